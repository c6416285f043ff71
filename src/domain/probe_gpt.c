/* SPDX-License-Identifier: Apache-2.0 */
/* probe_gpt: partitions by GPT, for sectors of 512 and of 4096 bytes.
 *
 * The header at the disk's begin is believed if its checksum and that of its entries hold, else the one
 * at the very end. A header that holds but speaks of places beyond the end is a disk that was cut, and
 * not looked into further.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "domain/probe_int.h"

#define HEADER_MIN 92u
#define TABLE_MAX (1u << 20) /* bytes of entries: 64 times what everybody has */

struct gpt {
	uint32_t sector;
	uint64_t other, last_usable, table;
	uint32_t count, size, crc;
};

static uint32_t crc32_of(const uint8_t *p, size_t len)
{
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static bool header_holds(uint8_t *h, uint32_t sector, uint64_t here)
{
	uint32_t len = get_le32(h + 12), crc = get_le32(h + 16);
	if (memcmp(h, "EFI PART", 8) != 0 || len < HEADER_MIN || len > sector)
		return false;
	put_le32(h + 16, 0);
	return crc32_of(h, len) == crc && get_le64(h + 24) == here;
}

/* 1: a header that holds; 0: there is none. */
static int read_header(const struct source *src, uint32_t sector, uint64_t here, struct gpt *ret, struct error *err)
{
	uint8_t h[4096];
	if (src->size / sector <= here)
		return 0;
	int r = probe_read(src, h, sector, here * sector, err);
	if (r < 0)
		return r;
	if (!header_holds(h, sector, here))
		return 0;
	*ret = (struct gpt){
		.sector = sector,
		.other = get_le64(h + 32),
		.last_usable = get_le64(h + 48),
		.table = get_le64(h + 72),
		.count = get_le32(h + 80),
		.size = get_le32(h + 84),
		.crc = get_le32(h + 88),
	};
	return ret->size >= 128 && ret->size % 8 == 0 && ret->count >= 1 && ret->count <= TABLE_MAX / ret->size;
}

/* Sectors up to this one must be there. */
static void note_last(const struct gpt *g, struct partitions *t, uint64_t last)
{
	uint64_t end = last >= UINT64_MAX / g->sector - 1 ? UINT64_MAX : (last + 1) * g->sector;
	t->needs = MAX(t->needs, end);
}

static void note_header(const struct gpt *g, struct partitions *t)
{
	uint64_t sectors = div_up((uint64_t)g->count * g->size, g->sector);
	note_last(g, t, g->other);
	note_last(g, t, g->last_usable);
	note_last(g, t, g->table > UINT64_MAX - sectors ? UINT64_MAX : g->table + sectors - 1);
}

static void note_entries(const struct source *src, const struct gpt *g, const uint8_t *table, struct partitions *t)
{
	for (uint32_t i = 0; i < g->count; i++) {
		const uint8_t *e = table + (size_t)i * g->size;
		if (is_zero(e, 16))
			continue;
		struct partition *p = probe_partition(src, t, g->sector, get_le64(e + 32), get_le64(e + 40));
		if (p)
			memcpy(p->guid, e, sizeof p->guid);
	}
}

/* 1: the entries hold and are noted; 0: they don't. */
static int read_entries(const struct source *src, const struct gpt *g, struct partitions *t, struct error *err)
{
	uint32_t len = g->count * g->size;
	AUTO_FREE uint8_t *table = malloc(len);
	if (!table)
		return fail(err, -ENOMEM, "There is no memory for a partition table.");
	int r = probe_read(src, table, len, g->table * g->sector, err);
	if (r < 0)
		return r;
	if (crc32_of(table, len) != g->crc)
		return 0;
	note_entries(src, g, table, t);
	return 1;
}

/* 1: this copy of the table settles it; 0: look elsewhere (t is as it was). */
static int read_copy(const struct source *src, uint32_t sector, uint64_t here, struct partitions *t,
		     struct error *err)
{
	struct gpt g;
	uint64_t needs = t->needs;
	int r = read_header(src, sector, here, &g, err);
	if (r != 1)
		return r;
	note_header(&g, t);
	if (t->needs > src->size)
		return 1;
	r = read_entries(src, &g, t, err);
	if (r == 0)
		t->needs = needs;
	return r;
}

int probe_gpt(const struct source *src, struct partitions *ret, struct error *err)
{
	static const uint32_t sectors[] = { 512, 4096 };
	int r = 0;
	for (unsigned i = 0; i < 2 && r == 0; i++)
		r = read_copy(src, sectors[i], 1, ret, err);
	for (unsigned i = 0; i < 2 && r == 0; i++)
		if (src->size / sectors[i] > 1)
			r = read_copy(src, sectors[i], src->size / sectors[i] - 1, ret, err);
	if (r == 0)
		return fail(err, -EINVAL, "The disk should have a GPT, but neither of its two headers holds: "
			    "it is damaged, or the upload is cut.");
	if (r < 0)
		return r;
	ret->kind = TABLE_GPT;
	return 0;
}
