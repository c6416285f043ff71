/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay: bits and bytes, what another process finds, damage, threads on different blocks, what the power
 * leaves when it fails. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "powercut.h"
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

static void path_of(char ret[4300], uint64_t number, const char *kind)
{
	snprintf(ret, 4300, "%s/%d.%s", dir, (int)number, kind);
}

static void shorten(uint64_t number, const char *kind, off_t size)
{
	char path[4300];
	path_of(path, number, kind);
	if (truncate(path, size))
		bail("cannot shorten %s", path);
}

static void put_version(uint64_t number, const char *kind, uint8_t version)
{
	char path[4300];
	path_of(path, number, kind);
	int fd = open(path, O_WRONLY);
	if (fd < 0 || pwrite(fd, &version, 1, 8) != 1)
		bail("cannot write %s", path);
	close(fd);
}

static void test_lost_files(void)
{
	static uint8_t buf[CHUNK_SIZE];
	char path[4300];
	struct error err;
	struct overlay *o = open_one(9);
	memset(buf, 3, sizeof buf);
	ok(overlay_write(o, buf, sizeof buf, 0, NULL) == 0 && overlay_zero(o, 5 * CHUNK_SIZE, CHUNK_SIZE, NULL) == 0, "bytes, and zeros at the end");
	is_int(overlay_verify(o, &err), 0, "its files are whole");
	is_int(overlay_verify_bytes(o, &err), 0, "and can be read");
	overlay_close(o);
	o = open_one(9);
	overlay_close(o);
	shorten(9, "data", 5 * CHUNK_SIZE);
	is_int(overlay_open(&o, dir, 9, &err), ERR_DAMAGED, "a file that ends before its last bit is damage, also where there were zeros: %s", err.text);
	put_version(9, "bits", 2);
	put_version(9, "live", 2);
	o = open_one(9);
	ok(overlay_bytes(o) == 2 * CHUNK_SIZE && overlay_read(o, buf, CHUNK_SIZE, 5 * CHUNK_SIZE, NULL) == 0 && is_zero(buf, CHUNK_SIZE),
	   "but not in one of an earlier version, which had no bytes for them");
	is_int(overlay_sync(o, NULL), 0, "from the next sync on it is of this version");
	overlay_close(o);
	shorten(9, "data", 0);
	is_int(overlay_open(&o, dir, 9, &err), ERR_DAMAGED, "an empty file is damage");
	path_of(path, 9, "data");
	unlink(path);
	is_int(overlay_open(&o, dir, 9, &err), ERR_DAMAGED, "and a missing one");
	ok(!exists("9.data"), "which is not made");
	o = open_one(10);
	is_int(overlay_write(o, buf, BLOCK_SIZE, 0, NULL), 0, "another one");
	path_of(path, 10, "data");
	unlink(path);
	is_int(overlay_verify(o, &err), ERR_DAMAGED, "whose bytes go from under it: %s", err.text);
	overlay_close(o);
	o = open_one(11);
	is_int(overlay_write(o, buf, BLOCK_SIZE, 0, NULL), 0, "one more");
	overlay_close(o);
	path_of(path, 11, "bits");
	unlink(path);
	is_int(overlay_open(&o, dir, 11, &err), ERR_DAMAGED, "without its bits it is damage, too: %s", err.text);
	ok(exists("11.data"), "and the bytes are not removed");
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

/* --- the power --- */

#define LOG_GROWS 3 /* syncs until there is a log */

static char cut_dir[4200], power_dir[4100];

/* What overlay `number` is after a power cut now, as another boot sees it. */
static struct overlay *after_cut(uint64_t number)
{
	static int times;
	char path[4300];
	struct overlay *o;
	struct error err;
	snprintf(cut_dir, sizeof cut_dir, "%s-cut-%d", dir, ++times);
	power_cut(cut_dir);
	snprintf(path, sizeof path, "%s/%d.live", cut_dir, (int)number);
	int fd = open(path, O_WRONLY);
	if (fd >= 0 && pwrite(fd, "another boot", 12, 40) != 12)
		bail("cannot write %s", path);
	if (fd >= 0)
		close(fd);
	if (overlay_open(&o, cut_dir, number, &err))
		bail("open: %s", err.text);
	return o;
}

static void put_block(struct overlay *o, uint64_t block, int byte)
{
	char buf[4096];
	struct error err;
	memset(buf, byte, sizeof buf);
	if (overlay_write(o, buf, sizeof buf, block * 4096, &err))
		bail("%s", err.text);
}

static void sync_one(struct overlay *o)
{
	struct error err;
	if (overlay_sync(o, &err))
		bail("%s", err.text);
}

/* The byte that the block is full of; -1: its bit is not set; -2: it is torn. */
static int block_of(struct overlay *o, uint64_t block)
{
	unsigned char buf[4096];
	if (!(overlay_bits(o, block / 16) >> block % 16 & 1))
		return -1;
	if (overlay_read(o, buf, sizeof buf, block * 4096, NULL))
		return -2;
	return memcmp(buf, buf + 1, sizeof buf - 1) ? -2 : buf[0];
}

/* An overlay whose small syncs go into the log. */
static struct overlay *open_logging(uint64_t number)
{
	struct overlay *o = open_one(number);
	for (int i = 0; i < LOG_GROWS; i++) {
		put_block(o, 1000, i + 1);
		sync_one(o);
	}
	return o;
}

static void test_old_or_new(void)
{
	bool right = true;
	struct overlay *o = open_one(20);
	put_block(o, 1, 10);
	put_block(o, 2, 20);
	sync_one(o);
	put_block(o, 1, 11);
	put_block(o, 3, 30);
	for (int i = 0; i < 20; i++) {
		power_writeback();
		struct overlay *cut = after_cut(20);
		int a = block_of(cut, 1);
		right &= (a == 10 || a == 11) && block_of(cut, 2) == 20 && block_of(cut, 3) == -1;
		overlay_close(cut);
	}
	ok(right, "after a power cut: old or new bytes, and no bit without bytes");
	overlay_close(o);
}

static void test_syncs(void)
{
	struct overlay *o = open_logging(21);
	put_block(o, 5, 50);
	unsigned before = power_syncs();
	sync_one(o);
	is_int(power_syncs() - before, 1, "a small sync is one fdatasync");
	sync_one(o);
	is_int(power_syncs() - before, 1, "a sync of nothing is none");
	ok(overlay_set_size(o, 99999, NULL) == 0 && overlay_zero(o, 6 * 4096, 4096, NULL) == 0, "a size and zeros");
	sync_one(o);
	is_int(power_syncs() - before, 2, "are small, too");
	struct overlay *cut = after_cut(21);
	ok(block_of(cut, 1000) == LOG_GROWS && block_of(cut, 5) == 50 && block_of(cut, 6) == 0 && overlay_size(cut) == 99999,
	   "all of that is there after a power cut");
	put_block(cut, 7, 70);
	overlay_close(cut);
	struct error err;
	ok(overlay_open(&cut, cut_dir, 21, &err) == 0 && block_of(cut, 5) == 50 && block_of(cut, 7) == 70,
	   "and goes on from there");
	overlay_close(cut);
	overlay_close(o);
}

/* Records behind one that does not hold do not count; those before it do. */
static void test_torn_record(void)
{
	char garbage[512];
	struct overlay *cut;
	struct error err;
	struct overlay *o = open_logging(22);
	for (int i = 0; i < 3; i++) {
		put_block(o, (uint64_t)i, 10 + i);
		sync_one(o);
	}
	for (int header = 0; header < 2; header++) {
		char to[4200], file[4300];
		snprintf(to, sizeof to, "%s-torn-%d", dir, header);
		power_cut(to);
		memset(garbage, 99, sizeof garbage);
		snprintf(file, sizeof file, "%s/22.log", to);
		int fd = open(file, O_WRONLY);
		off_t at = 2 * 8192 + (header ? 512 : 5000); /* the first record is that of open_logging() */
		if (fd < 0 || pwrite(fd, garbage, sizeof garbage, at) != sizeof garbage)
			bail("cannot write %s", file);
		close(fd);
		snprintf(file, sizeof file, "%s/22.live", to);
		unlink(file);
		if (overlay_open(&cut, to, 22, &err))
			bail("%s", err.text);
		ok(block_of(cut, 0) == 10 && block_of(cut, 1) == -1 && block_of(cut, 2) == -1,
		   "a record with a torn %s ends the log", header ? "header" : "block");
		overlay_close(cut);
	}
	overlay_close(o);
}

static void test_dropped_stays_dropped(void)
{
	bool right = true;
	struct overlay *o = open_logging(23);
	put_block(o, 16, 1);
	put_block(o, 32, 2);
	sync_one(o);
	overlay_clear(o, 1);
	ok(overlay_sync_bits(o, NULL) == 0 && overlay_punch(o, 1, 1, NULL) == 0, "drop what is in the log");
	for (int i = 0; i < 10; i++) {
		struct overlay *cut = after_cut(23);
		right &= block_of(cut, 16) == -1 && block_of(cut, 32) == 2;
		overlay_close(cut);
	}
	ok(right, "a power cut does not bring it back");
	put_block(o, 16, 3);
	put_block(o, 17, 4);
	sync_one(o);
	overlay_clear(o, 1);
	put_block(o, 17, 5); /* between the two halves of a drop */
	ok(overlay_sync_bits(o, NULL) == 0 && overlay_punch(o, 1, 1, NULL) == 0, "drop what is being written");
	right = true;
	for (int i = 0; i < 10; i++) {
		struct overlay *cut = after_cut(23);
		int b = block_of(cut, 17);
		right &= block_of(cut, 16) == -1 && (b == -1 || b == 4 || b == 5);
		overlay_close(cut);
	}
	ok(right, "and what was written meanwhile is old or new");
	int fd = -1;
	ok(overlay_reset(o, &fd, NULL) == 0, "forget all");
	close(fd);
	right = true;
	for (int i = 0; i < 10; i++) {
		struct overlay *cut = after_cut(23);
		right &= overlay_empty(cut) && overlay_size(cut) == OVERLAY_NONE;
		overlay_close(cut);
	}
	ok(right, "none of it comes back");
	overlay_close(o);
}

static void test_full_log(void)
{
	struct overlay *o = open_logging(24);
	bool right = true;
	for (unsigned i = 0; i < 1400; i++) {
		put_block(o, i, (int)(i % 251));
		if (i % 10 == 9)
			sync_one(o);
	}
	struct overlay *cut = after_cut(24);
	for (unsigned i = 0; i < 1400; i++)
		right &= block_of(cut, i) == (int)(i % 251);
	ok(right, "more than the log can hold: nothing that was synced is lost");
	overlay_close(cut);
	for (unsigned i = 0; i < 100; i++)
		put_block(o, 2 * i, 77);
	sync_one(o);
	cut = after_cut(24);
	for (unsigned i = 0; i < 1400; i++)
		right &= block_of(cut, i) == (i % 2 || i >= 200 ? (int)(i % 251) : 77);
	ok(right, "nor of a large sync after them");
	overlay_close(cut);
	overlay_close(o);
}

/* Cut at each step of syncs, large and small, in turn. */
static void note_nothing(void *ctx) { (*(unsigned *)ctx)++; }

static void test_every_step(void)
{
	bool right = true;
	unsigned cuts = 0;
	for (unsigned n = 1; n < 24; n++) {
		char to[4200], live[4300];
		struct overlay *o = open_logging(25), *cut;
		snprintf(to, sizeof to, "%s-step-%u", dir, n);
		int synced = -1;
		power_cut_at(n, to, note_nothing, &cuts);
		for (int i = 0; i < 10; i++) {
			for (unsigned k = 0; k < (i % 3 ? 1u : 100u); k++)
				put_block(o, k, i);
			sync_one(o);
			if (i == 5) {
				overlay_clear(o, 3); /* blocks 48 to 63 */
				(void)!overlay_sync_bits(o, NULL);
				(void)!overlay_punch(o, 3, 1, NULL);
			}
			if (!power_was_cut())
				synced = i;
		}
		if (!power_was_cut())
			power_cut(to);
		snprintf(live, sizeof live, "%s/25.live", to);
		unlink(live);
		if (overlay_open(&cut, to, 25, NULL))
			bail("cannot open what step %u leaves", n);
		int b = block_of(cut, 0), far = block_of(cut, 50);
		right &= b >= synced && b <= synced + 1 && block_of(cut, 1000) == LOG_GROWS && far >= -1 && far % 3 != 1;
		if (!right)
			diag("step %u: synced %d, found %d and %d", n, synced, b, far);
		overlay_close(cut);
		int fd = -1;
		if (overlay_reset(o, &fd, NULL))
			bail("cannot reset");
		close(fd);
		overlay_close(o);
	}
	ok(right && cuts > 15, "a cut at any step leaves what was synced before, or what is new");
}

/* The kernel could not write pages of it: what they had is gone. */
static void test_lost_pages(void)
{
	struct overlay *o = open_logging(26), *cut;
	put_block(o, 7, 70);
	power_lose_pages(EIO);
	is_int(overlay_sync(o, NULL), -EIO, "a small sync does not take for written what was lost before it");
	is_int(overlay_sync(o, NULL), -EIO, "nor the next one");
	is_int(overlay_check(o, NULL), -EIO, "what is there is not to be believed");
	overlay_close(o);
	o = open_one(26);
	is_int(overlay_check(o, NULL), -EIO, "nor by another process");
	is_int(overlay_sync(o, NULL), -EIO, "whose syncs fail, too");
	cut = after_cut(26);
	ok(overlay_check(cut, NULL) == -EIO && block_of(cut, 1000) == LOG_GROWS, "nor after a power cut; what was synced is there");
	overlay_close(cut);
	int fd = -1;
	ok(overlay_reset(o, &fd, NULL) == 0 && overlay_check(o, NULL) == 0, "until all is forgotten");
	close(fd);
	put_block(o, 1, 1);
	errno = EIO;
	is_int(overlay_lost(o, NULL), -EIO, "a file beside it that could not be synced");
	is_int(overlay_sync(o, NULL), -EIO, "is lost with it");
	overlay_close(o);
}

static void *sync_thread(void *arg)
{
	sync_one(arg);
	return NULL;
}

/* A commit takes all that is there; what is written and synced meanwhile is of the next life. */
static void test_lives(void)
{
	pthread_t thread;
	struct overlay *o = open_logging(27), *cut;
	put_block(o, 5, 50);
	sync_one(o);
	uint64_t life = overlay_life(o);
	ok(life != 0, "an overlay has a life");
	overlay_consume(o);
	put_block(o, 6, 60);
	cut = after_cut(27);
	ok(overlay_life(cut) == life && block_of(cut, 6) == -1, "until its commit is made a power cut leaves the same, without what nobody synced");
	overlay_close(cut);
	pthread_create(&thread, NULL, sync_thread, o);
	overlay_clear(o, 0);
	is_int(overlay_consumed(o, true, NULL), 0, "the commit is made, and something was written meanwhile");
	pthread_join(thread, NULL);
	ok(overlay_life(o) != life && overlay_life(o) != 0, "that has a life of its own");
	cut = after_cut(27);
	ok(overlay_life(cut) == overlay_life(o) && block_of(cut, 1000) == LOG_GROWS && block_of(cut, 5) == -1,
	   "and survives a power cut with it; what the commit took is gone");
	overlay_close(cut);
	overlay_consume(o);
	is_int(overlay_consumed(o, false, NULL), 0, "a commit that fails");
	ok(overlay_life(o) != 0 && overlay_sync(o, NULL) == 0, "changes nothing");
	overlay_close(o);
}

int main(void)
{
	dir = test_folder();
	test_empty();
	test_bits();
	test_two_halves();
	test_damage();
	test_lost_files();
	test_threads();
	snprintf(power_dir, sizeof power_dir, "%s/power", dir);
	mkdir(power_dir, 0700);
	dir = power_dir;
	power_watch(dir, test_seed());
	test_old_or_new();
	test_syncs();
	test_torn_record();
	test_dropped_stays_dropped();
	test_full_log();
	test_every_step();
	test_lost_pages();
	test_lives();
	power_end();
	return done_testing();
}
