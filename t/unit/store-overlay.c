/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay: bits and bytes, what another process finds, damage, threads on different blocks. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/overlay.h"
#include "tap.h"

static const char *dir;

static struct overlay *open_one(uint64_t number)
{
	struct overlay *o;
	struct error err;
	if (overlay_open(&o, dir, number, &err))
		bail("open: %s", err.text);
	return o;
}

static bool exists(const char *name)
{
	char path[4200];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static void put(const char *name, const void *data, size_t len)
{
	char path[4200];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || pwrite(fd, data, len, 0) != (ssize_t)len)
		bail("cannot write %s", path);
	close(fd);
}

static void test_empty(void)
{
	struct overlay *o = open_one(1);
	ok(overlay_empty(o) && overlay_bits(o, 5) == 0, "a new overlay is empty");
	ok(overlay_next(o, 0) == UINT64_MAX, "it has no next chunk");
	ok(overlay_size(o) == OVERLAY_NONE && overlay_cut(o) == OVERLAY_NONE, "it knows neither size nor cut");
	is_int(overlay_sync(o, NULL), 0, "it can be synced");
	is_int(overlay_drop(o, 3, NULL), 0, "dropping nothing is fine");
	ok(!exists("1.bits") && !exists("1.data"), "and has no files");
	overlay_close(o);
	is_int(overlay_remove(dir, 1, NULL), 0, "removing none is fine");
}

static void test_bits(void)
{
	static char buf[CHUNK_SIZE], got[CHUNK_SIZE];
	const uint64_t far = (uint64_t)1 << 40;
	struct overlay *o = open_one(2);
	memset(buf, 7, sizeof buf);
	is_int(overlay_write(o, buf, 4096, 3 * CHUNK_SIZE + 8192, NULL), 0, "write a block");
	is_int(overlay_bits(o, 3), 4, "its bit is set");
	is_int(overlay_write(o, buf, 8192, 4 * CHUNK_SIZE - 4096, NULL), 0, "write over the end of a chunk");
	ok(overlay_bits(o, 3) == 0x8004 && overlay_bits(o, 4) == 1, "both chunks' bits are set");
	is_int(overlay_write(o, buf, CHUNK_SIZE, far, NULL), 0, "write a chunk far away");
	is_int(overlay_bits(o, far / CHUNK_SIZE), 0xffff, "it is full");
	is_int(overlay_bytes(o), 19 * 4096, "19 blocks are counted");
	ok(overlay_next(o, 0) == 3 && overlay_next(o, 4) == 4, "the next chunk");
	ok(overlay_next(o, 5) == far / CHUNK_SIZE && overlay_next(o, far / CHUNK_SIZE + 1) == UINT64_MAX, "over a long hole");
	is_int(overlay_write(o, buf, 100, 0, NULL), -EINVAL, "parts of blocks are refused");
	is_int(overlay_zero(o, far, 4096, NULL), 0, "zero a block");
	ok(overlay_read(o, got, CHUNK_SIZE, far, NULL) == 0 && got[0] == 0 && got[4096] == 7, "it reads as zeros");
	is_int(overlay_zero(o, 2 * far, CHUNK_SIZE, NULL), 0, "zeros where nothing was");
	ok(overlay_bits(o, 2 * far / CHUNK_SIZE) == 0xffff, "are valid");
	memset(got, 1, sizeof got);
	ok(overlay_read(o, got, CHUNK_SIZE, 2 * far, NULL) == 0 && got[0] == 0 && got[65535] == 0, "also beyond the end of the file");
	is_int(overlay_drop(o, 3, NULL), 0, "drop a chunk");
	ok(overlay_bits(o, 3) == 0 && overlay_next(o, 0) == 4, "its bits are gone");
	ok(overlay_read(o, got, 4096, 4 * CHUNK_SIZE - 4096, NULL) == 0 && got[0] == 0, "and its bytes");
	ok(overlay_set_size(o, 12345, NULL) == 0 && overlay_set_cut(o, 65536, NULL) == 0, "note size and cut");
	overlay_close(o);

	o = open_one(2);
	ok(overlay_size(o) == 12345 && overlay_cut(o) == 65536, "another process finds size and cut");
	ok(overlay_bits(o, 3) == 0 && overlay_bits(o, 4) == 1 && overlay_bits(o, far / CHUNK_SIZE) == 0xffff, "the bits");
	is_int(overlay_bytes(o), 33 * 4096, "their number");
	ok(overlay_read(o, got, 4096, 4 * CHUNK_SIZE, NULL) == 0 && got[0] == 7, "and the bytes");
	is_int(overlay_drop_from(o, 5, NULL), 0, "drop the end");
	ok(overlay_bytes(o) == 4096 && overlay_next(o, 5) == UINT64_MAX, "only what was before is left");
	is_int(overlay_sync(o, NULL), 0, "sync");
	int fd;
	ok(overlay_reset(o, &fd, NULL) == 0 && fd >= 0 && overlay_empty(o), "forget all");
	close(fd);
	ok(!exists("2.bits") && !exists("2.data"), "the files are gone");
	is_int(overlay_write(o, buf, 4096, 0, NULL), 0, "and made again by the next write");
	is_int(overlay_write(o, buf, 4096, (uint64_t)1 << 50, NULL), -EFBIG, "there is an end");
	is_int(overlay_drop(o, 0, NULL), 0, "empty again");
	put("7.data", buf, sizeof buf);
	overlay_close(open_one(7));
	ok(!exists("7.data"), "bytes without bits are removed");
	overlay_close(o);
	ok(!exists("2.bits"), "closing an empty one removes its files");
}

static void test_two_halves(void)
{
	static char buf[3 * CHUNK_SIZE], got[4096];
	struct overlay *o = open_one(3);
	memset(buf, 9, sizeof buf);
	is_int(overlay_write(o, buf, sizeof buf, 0, NULL), 0, "three chunks");
	overlay_clear(o, 0);
	overlay_clear(o, 2);
	is_int(overlay_sync_bits(o, NULL), 0, "two are cleared, durably");
	is_int(overlay_write(o, buf, 4096, 2 * CHUNK_SIZE, NULL), 0, "one is written again");
	is_int(overlay_punch(o, 0, 3, NULL), 0, "punch all three");
	ok(overlay_read(o, got, 4096, 0, NULL) == 0 && got[0] == 0, "the cleared one is punched");
	ok(overlay_read(o, got, 4096, CHUNK_SIZE, NULL) == 0 && got[0] == 9, "one that was not cleared is not");
	ok(overlay_read(o, got, 4096, 2 * CHUNK_SIZE, NULL) == 0 && got[0] == 9, "nor one that was written again");
	overlay_close(o);
}

static void test_damage(void)
{
	struct overlay *o;
	char page[4096] = { 0 };
	put("4.bits", page, 4096);
	is_int(overlay_open(&o, dir, 4, NULL), 0, "a header that was lost in a power cut is none");
	is_int(overlay_write(o, page, 4096, 0, NULL), 0, "and made anew");
	overlay_close(o);
	put("4.bits", "garbage!", 8);
	is_int(overlay_open(&o, dir, 4, NULL), ERR_DAMAGED, "garbage is damage");
	put("4.bits", "imgfs-ov\377", 9);
	is_int(overlay_open(&o, dir, 4, NULL), ERR_NEWER, "a newer version is told apart");
	o = open_one(6);
	is_int(overlay_write(o, page, 4096, 0, NULL), 0, "an overlay");
	overlay_close(o);
	char from[4200], to[4200];
	snprintf(from, sizeof from, "%s/6.bits", dir);
	snprintf(to, sizeof to, "%s/8.bits", dir);
	ok(rename(from, to) == 0, "under another number");
	is_int(overlay_open(&o, dir, 8, NULL), ERR_DAMAGED, "is not that disk's");
}

struct part {
	struct overlay *o;
	unsigned first;
	int result;
};

/* Every fourth block, so that all threads set bits in every chunk. */
static void *write_part(void *arg)
{
	struct part *p = arg;
	char block[4096];
	memset(block, (int)p->first + 1, sizeof block);
	for (uint64_t i = p->first; i < 4096 && !p->result; i += 4)
		p->result = overlay_write(p->o, block, sizeof block, i * 4096, NULL);
	return NULL;
}

static void test_threads(void)
{
	struct overlay *o = open_one(5);
	struct part parts[4];
	pthread_t threads[4];
	bool good = true;
	for (unsigned i = 0; i < 4; i++) {
		parts[i] = (struct part){ o, i, 0 };
		pthread_create(&threads[i], NULL, write_part, &parts[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		good &= parts[i].result == 0;
	}
	for (uint64_t c = 0; c < 256; c++)
		good &= overlay_bits(o, c) == 0xffff;
	ok(good && overlay_bytes(o) == 4096 * 4096, "threads that write different blocks lose no bit");
	char block[4096];
	ok(overlay_read(o, block, 4096, 4095 * 4096, NULL) == 0 && block[0] == 4, "and no byte");
	overlay_close(o);
}

int main(void)
{
	dir = test_folder();
	test_empty();
	test_bits();
	test_two_halves();
	test_damage();
	test_threads();
	return done_testing();
}
