/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-probe: hostile disks for domain/probe.h. An entry for libFuzzer:
 *
 *     clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Isrc t/fuzz/fuzz-probe.c src/domain/probe*.c
 *           src/base/err.c -lext2fs -lcom_err -o fuzz-probe && ./fuzz-probe t/fuzz/corpus/probe
 *
 * t/unit/domain-probe.c runs the corpus too. So that a small file can be a large disk, a file is the disk's
 * size (8 bytes, little-endian), then pieces: offset (4 bytes), length (2 bytes), bytes. All else reads as zeros.
 */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "domain/probe.h"

#define FUZZ_DISK_MAX (UINT64_C(1) << 26)

struct sparse {
	const uint8_t *data;
	size_t len;
};

static void put_piece(uint8_t *buf, uint64_t from, uint64_t len, uint64_t offset, const uint8_t *bytes, uint64_t n)
{
	uint64_t begin = MAX(from, offset), end = MIN(from + len, offset + n);
	if (begin < end)
		memcpy(buf + (begin - from), bytes + (begin - offset), (size_t)(end - begin));
}

static int sparse_read(void *ctx, void *buf, uint32_t len, uint64_t offset, struct error *err)
{
	const struct sparse *s = ctx;
	size_t at = 8;
	(void)err;
	memset(buf, 0, len);
	while (at + 6 <= s->len) {
		size_t n = MIN((size_t)get_le16(s->data + at + 4), s->len - at - 6);
		put_piece(buf, offset, len, get_le32(s->data + at), s->data + at + 6, n);
		at += 6 + n;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 8)
		return 0;
	struct sparse sparse = { data, len };
	struct source src = { .read = sparse_read, .ctx = &sparse, .size = get_le64(data) % FUZZ_DISK_MAX };
	char os[64], arch[16];
	bool zero;
	struct error err = { 0, "" };
	int r = probe_disk(&src, &zero, &err);
	if (r < 0 && (err.code != r || !err.text[0]))
		abort(); /* a refusal has a sentence */
	if (zero && r != -EINVAL)
		abort();
	probe_system(&src, NULL, os, arch);
	if (strnlen(os, sizeof os) == sizeof os || strnlen(arch, sizeof arch) == sizeof arch)
		abort();
	return 0;
}
