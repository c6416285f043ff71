/* SPDX-License-Identifier: Apache-2.0 */
/* Disks against a plain array of bytes: random operations, folds, and processes that end without a word; copies
 * that share maps; errors in the background; writers and readers during folds. The commit hook plays the
 * catalog. A process that is killed is modelled by opening a copy of the overlay's files as they are. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "index_mem.h"
#include "powercut.h"
#include "store/disk_int.h"
#include "tap.h"

#define DOMAIN 3

static struct store *store;
static struct index_mem *mem;
static uint64_t seed;

/* --- the catalog --- */

struct owner {
	uint64_t number;
	struct map_root root;
	uint64_t size;
	char dir[4200];
	struct disk *disk;
	pthread_mutex_t lock; /* guards what follows and root, size */
	int commits, finals, holds, made, fail_times, fail_code;
	int64_t mtime;
	uint64_t overlay; /* that the last final commit took all of */
	int stales, kept; /* times that something went away, times that nothing may */
	bool collects;    /* there is always something that goes away before a commit, unless everything is kept */
	void *caller;
	bool right; /* every commit was as promised */
};

static bool known(const struct hash *h)
{
	struct index index = index_mem_index(mem);
	struct found found;
	return hash_is_none(h) || index.find(index.ctx, DOMAIN, h, &found) == 0;
}

static bool kids_exist(const struct fold *f)
{
	for (size_t i = 0; i < f->nodes->count; i++)
		for (unsigned k = 0; k < NODE_FANOUT; k++)
			if (!known(&f->nodes->items[i].kids.hash[k]))
				return false;
	return known(&f->root.hash);
}

static void forget_items(const struct fold_pack *p, const bool *fresh)
{
	for (size_t i = 0; i < p->n_items; i++)
		if (fresh[i])
			index_mem_remove(mem, DOMAIN, &p->items[i].hash);
}

static bool *insert_items(struct owner *o, const struct fold_pack *p)
{
	bool *fresh = calloc(p->n_items + 1, sizeof *fresh);
	for (size_t i = 0; i < p->n_items; i++) {
		o->right &= i == 0 || hash_compare(&p->items[i - 1].hash, &p->items[i].hash) < 0;
		fresh[i] = !known(&p->items[i].hash);
		if (fresh[i])
			index_mem_insert(mem, DOMAIN, &p->items[i].hash, &p->items[i].place);
	}
	return fresh;
}

static int commit(void *ctx, const struct fold *f, struct error *err)
{
	struct owner *o = ctx;
	WITH_LOCK(&o->lock);
	if (o->fail_times > 0) {
		o->fail_times--;
		return fail(err, o->fail_code, "the catalog was told to fail");
	}
	if (o->collects && !o->kept) {
		o->stales++;
		return fail(err, ERR_STALE, "it was just taken away");
	}
	o->right &= hash_equal(&f->old.hash, &o->root.hash) && f->number == o->number && f->domain == DOMAIN;
	bool *fresh[FOLD_PACKS];
	for (unsigned n = 0; n < f->n_packs; n++)
		fresh[n] = insert_items(o, &f->packs[n]);
	bool stale = !kids_exist(f);
	for (unsigned n = 0; n < f->n_packs; n++) {
		if (stale)
			forget_items(&f->packs[n], fresh[n]);
		free(fresh[n]);
	}
	if (stale)
		return fail(err, ERR_STALE, "a kid does not exist");
	o->root = f->root;
	o->size = f->size;
	o->mtime = f->mtime;
	o->commits++;
	o->finals += f->final;
	o->made += (int)f->nodes->count;
	if (f->final) {
		o->caller = f->caller;
		o->overlay = f->overlay;
	}
	return 0;
}

static void keep(void *ctx, bool all)
{
	struct owner *o = ctx;
	WITH_LOCK(&o->lock);
	o->kept += all ? 1 : -1;
}

static int hold(void *ctx, uint64_t number, uint32_t domain, const struct map_root *from, uint32_t lender,
		struct error *err)
{
	struct owner *o = ctx;
	(void)domain, (void)from, (void)lender, (void)err;
	WITH_LOCK(&o->lock);
	o->right &= number == o->number;
	o->holds++;
	return 0;
}

static void open_disk(struct owner *o)
{
	struct error err;
	struct disk_conf conf = { store, { .commit = commit, .keep = keep, .hold = hold, .ctx = o }, o->dir, o->number, DOMAIN, o->root, o->size, o->overlay };
	if (disk_open(&o->disk, &conf, &err))
		bail("open: %s", err.text);
}

static void new_owner(struct owner *o, uint64_t number)
{
	*o = (struct owner){ .number = number, .root.levels = 1, .right = true };
	pthread_mutex_init(&o->lock, NULL);
	snprintf(o->dir, sizeof o->dir, "%s/overlay", test_folder());
	mkdir(o->dir, 0700);
	open_disk(o);
}

static void copy_file(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct stat st;
	if (out < 0 || (in >= 0 && fstat(in, &st)))
		bail("cannot copy %s", from);
	off_t at = 0;
	while (in >= 0 && (at = lseek(in, at, SEEK_DATA)) >= 0) {
		ssize_t n = pread(in, buf, sizeof buf, at);
		if (n <= 0 || pwrite(out, buf, (size_t)n, at) != n)
			break;
		at += n;
	}
	if (in >= 0 && ftruncate(out, st.st_size))
		bail("cannot copy %s", from);
	close(out);
	if (in >= 0)
		close(in);
	else
		unlink(to);
}

static void next_folder(char *ret, size_t size)
{
	static int times;
	snprintf(ret, size, "%s/after-%d", test_folder(), ++times);
	mkdir(ret, 0700);
}

/* Open what is in another folder. */
static void move_disk(struct owner *o, const char *next)
{
	disk_close(o->disk);
	if (disk_forget(o->dir, o->number, NULL))
		bail("cannot forget a disk");
	snprintf(o->dir, sizeof o->dir, "%s", next);
	open_disk(o);
}

/* The process is killed, another one opens what it finds. */
static void kill_disk(struct owner *o)
{
	static const char *const kinds[] = { "data", "bits", "live", "log", "splice" };
	char next[4200], from[4300], to[4300];
	next_folder(next, sizeof next);
	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		snprintf(from, sizeof from, "%s/%" PRIu64 ".%s", o->dir, o->number, kinds[i]);
		snprintf(to, sizeof to, "%s/%" PRIu64 ".%s", next, o->number, kinds[i]);
		copy_file(from, to);
	}
	power_move(next);
	move_disk(o, next);
}

static void end_owner(struct owner *o)
{
	ok(o->right, "every commit of disk %" PRIu64 " was as promised", o->number);
	disk_close(o->disk);
	if (disk_forget(o->dir, o->number, NULL))
		bail("cannot forget a disk");
	pthread_mutex_destroy(&o->lock);
}

static void must(int r, const struct error *err)
{
	if (r < 0)
		bail("%s", err->text);
}

static void fold(struct owner *o)
{
	struct error err;
	must(disk_fold(o->disk, NULL, &err), &err);
}

static void absorb_idle(struct owner *o)
{
	struct error err;
	must(disk_absorb_idle(o->disk, NULL, NULL, &err), &err);
}

static void put(struct owner *o, const void *buf, size_t len, uint64_t offset)
{
	struct error err;
	must(disk_write(o->disk, buf, len, offset, &err), &err);
}

static bool reads(struct owner *o, const uint8_t *want, size_t len, uint64_t offset)
{
	AUTO_FREE uint8_t *got = malloc(len + 1);
	struct error err;
	ssize_t n = disk_read(o->disk, got, len, offset, NULL, &err);
	if (n < 0)
		diag("%s", err.text);
	return n == (ssize_t)len && memcmp(got, want, len) == 0;
}

static unsigned files(const struct owner *o)
{
	DIR *d = opendir(o->dir);
	unsigned n = 0;
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n - 2;
}

static void fill(uint8_t *buf, size_t len)
{
	for (size_t i = 0; i + 8 <= len; i += 8)
		put_le64(buf + i, test_random(&seed));
}

/* --- tests --- */

static void test_basics(void)
{
	static uint8_t buf[300000], zero[4096];
	struct owner o;
	struct error err;
	uint64_t at;
	int me;
	new_owner(&o, 1);
	ok(!disk_dirty(o.disk) && disk_size(o.disk) == 0 && files(&o) == 0, "a new disk is clean, and has no files");
	is_int(disk_read(o.disk, buf, 10, 0, NULL, &err), 0, "nothing to read");
	fill(buf, sizeof buf);
	put(&o, buf, sizeof buf, 100000);
	ok(disk_size(o.disk) == 400000 && disk_dirty(o.disk), "writing makes it grow");
	ok(reads(&o, buf, sizeof buf, 100000) && reads(&o, zero, 4096, 50000), "what was written, and zeros before");
	is_int(disk_fold(o.disk, &me, &err), 0, "fold");
	ok(o.finals == 1 && o.caller == &me && o.size == 400000, "one final commit, with size and caller");
	ok(!disk_dirty(o.disk) && disk_overlay_bytes(o.disk) == 0 && files(&o) == 0, "clean, without files");
	struct map_root root = disk_root(o.disk);
	ok(hash_equal(&root.hash, &o.root.hash), "its root is the one committed");
	ok(reads(&o, buf, sizeof buf, 100000) && reads(&o, zero, 4096, 50000), "and it reads the same");
	is_int(disk_fold(o.disk, NULL, &err), 0, "fold again");
	ok(o.finals == 2 && hash_equal(&root.hash, &o.root.hash), "a final commit of the same map");
	ok(disk_seek(o.disk, 0, true, &at, &err) == 0 && at == CHUNK_SIZE, "data begins with the chunk");
	ok(disk_seek(o.disk, CHUNK_SIZE, false, &at, &err) == 0 && at == 400000, "no hole but the end");
	is_int(disk_seek(o.disk, 400000, true, &at, &err), -ENXIO, "nothing beyond the end");
	uint64_t done, todo;
	put(&o, buf, 5000, 0);
	disk_progress(o.disk, &done, &todo);
	ok(done == 0 && todo == 1, "one chunk to absorb");
	is_int(disk_sync(o.disk, &err), 0, "sync");
	must(disk_truncate(o.disk, 2000, &err), &err);
	fold(&o);
	is_int(o.size, 2000, "a smaller size is committed");
	must(disk_truncate(o.disk, 400000, &err), &err);
	kill_disk(&o);
	ok(reads(&o, buf, 2000, 0) && reads(&o, zero, 4096, 2000) && reads(&o, zero, 4096, 100000), "zeros come back, not bytes");
	is_int(disk_size(o.disk), 400000, "a killed process leaves the size");
	must(disk_write(o.disk, buf, 1, (uint64_t)1 << 43, &err), &err);
	is_int(disk_write(o.disk, buf, 1, (uint64_t)1 << 48, &err), -EFBIG, "8 TiB yes, 256 TiB no");
	fold(&o);
	ok(reads(&o, buf, 1, (uint64_t)1 << 43) && reads(&o, buf, 2000, 0), "both ends after growing the map");
	end_owner(&o);
}

static void test_cut_survives(void)
{
	static uint8_t buf[10 * CHUNK_SIZE], zero[CHUNK_SIZE];
	struct owner o;
	struct error err;
	new_owner(&o, 2);
	fill(buf, sizeof buf);
	put(&o, buf, sizeof buf, 0);
	fold(&o);
	must(disk_truncate(o.disk, 3 * CHUNK_SIZE + 100, &err), &err);
	must(disk_truncate(o.disk, sizeof buf, &err), &err);
	put(&o, buf, CHUNK_SIZE, 8 * CHUNK_SIZE);
	for (int i = 0; i < 3; i++) {
		ok(reads(&o, buf, 3 * CHUNK_SIZE + 100, 0) && reads(&o, zero, CHUNK_SIZE - 100, 3 * CHUNK_SIZE + 100) &&
			   reads(&o, zero, CHUNK_SIZE, 5 * CHUNK_SIZE) && reads(&o, buf, CHUNK_SIZE, 8 * CHUNK_SIZE),
		   "shrunk and grown: zeros but for what was written since");
		if (i == 0)
			kill_disk(&o);
		else if (i == 1)
			fold(&o);
	}
	end_owner(&o);
}

static void test_copy(void)
{
	static uint8_t buf[4 * CHUNK_SIZE], got[CHUNK_SIZE];
	const uint64_t tera = (uint64_t)1 << 40, piece = ((uint64_t)4 << 30) - 4096;
	struct owner from, to;
	struct error err;
	new_owner(&from, 10);
	new_owner(&to, 11);
	fill(buf, sizeof buf);
	put(&from, buf, sizeof buf, 0);
	put(&from, buf, 3000, tera - 777);
	put(&from, buf, 5000, piece - 2000);
	fold(&from);
	uint64_t size = disk_size(from.disk);
	struct map_root root = disk_root(from.disk);
	int64_t start = clock_mono();
	for (uint64_t at = 0; at < size; at += piece)
		must(disk_copy(to.disk, at, DOMAIN, &root, size, at, piece, &err), &err);
	int64_t took = clock_mono() - start;
	ok(took < 100000000, "257 pieces of a TiB in less than 100 ms (%" PRId64 " us)", took / 1000);
	ok(disk_size(to.disk) == size && to.holds == 1 && to.commits == 0, "one hold, no commit yet");
	is_int(disk_sync(to.disk, &err), 0, "sync");
	kill_disk(&to);
	fold(&to);
	struct map_root copy = disk_root(to.disk);
	ok(hash_equal(&copy.hash, &root.hash) && copy.levels == root.levels && to.made == 0, "the root is the source's, no node was made");
	ok(!disk_dirty(to.disk) && to.commits == 1 && to.finals == 1, "in one commit");
	put(&to, buf, 4096, 65536);
	must(disk_copy(to.disk, 65536, DOMAIN, &root, size, 65536, CHUNK_SIZE, &err), &err);
	is_int(to.holds, 2, "after a final commit the source is held anew");
	ok(reads(&to, buf + CHUNK_SIZE, CHUNK_SIZE, 65536), "a copy wins over what was written before");
	must(disk_copy(to.disk, 0, DOMAIN, &root, size, 65536, CHUNK_SIZE, &err), &err);
	must(disk_copy(to.disk, 131072 + 4096, DOMAIN, &root, size, 65536 + 4096, 2 * CHUNK_SIZE, &err), &err);
	put(&to, buf, 100, 50);
	ok(disk_read(to.disk, got, CHUNK_SIZE, 0, NULL, &err) == CHUNK_SIZE && memcmp(got + 50, buf, 100) == 0 &&
		   memcmp(got, buf + CHUNK_SIZE, 50) == 0, "a write after it wins over the copy");
	ok(reads(&to, buf + CHUNK_SIZE + 4096, 2 * CHUNK_SIZE, 131072 + 4096), "a range that begins and ends within chunks, elsewhere");
	must(disk_copy(to.disk, 77, DOMAIN, &root, size, 1234, 100000, &err), &err);
	ok(reads(&to, buf + 1234, 100000, 77), "any range at all");
	fold(&to);
	ok(reads(&to, buf + 1234, 100000, 77) && reads(&to, buf, 3000, tera - 777), "the same when folded");
	end_owner(&to);
	end_owner(&from);
}

/* Two notes that share chunks, one of them with its edge: the later one wins there. */
static void test_overlapping_copies(void)
{
	static uint8_t buf[6 * CHUNK_SIZE], want[6 * CHUNK_SIZE];
	struct owner from, to;
	struct error err;
	new_owner(&from, 12);
	fill(buf, sizeof buf);
	put(&from, buf, sizeof buf, 0);
	fold(&from);
	struct map_root root = disk_root(from.disk);
	for (int edges_last = 0; edges_last < 2; edges_last++) {
		const uint64_t a = CHUNK_SIZE + 4096, b = 3 * CHUNK_SIZE + 4096, len = 2 * CHUNK_SIZE;
		memcpy(want, buf, sizeof want);
		new_owner(&to, 13);
		if (edges_last)
			must(disk_copy(to.disk, 0, DOMAIN, &root, sizeof buf, 0, sizeof buf, &err), &err);
		must(disk_copy(to.disk, a, DOMAIN, &root, sizeof buf, b, len, &err), &err);
		if (edges_last)
			memcpy(want + a, buf + b, len);
		else
			must(disk_copy(to.disk, 0, DOMAIN, &root, sizeof buf, 0, sizeof buf, &err), &err);
		kill_disk(&to);
		fold(&to);
		ok(reads(&to, want, sizeof want, 0), "the later of two copies wins, %s", edges_last ? "edges last" : "edges first");
		end_owner(&to);
	}
	end_owner(&from);
}

/* --- the model --- */

#define MODEL_MAX (3u << 20)
#define PAST_MAX 6u

struct past {
	uint64_t size;
	uint8_t bytes[MODEL_MAX];
};

struct model {
	struct owner o;
	uint64_t size;
	uint8_t bytes[MODEL_MAX];
	struct past past[PAST_MAX]; /* what a power cut may bring back, block by block: from the last sync on */
	unsigned n_past;
	bool copied; /* since the last sync */
	struct map_root cut_root; /* what the catalog has after the cut */
	uint64_t cut_size, cut_overlay;
	bool folding, cut_committed; /* the power failed after the final commit of a fold */
	int finals; /* before it */
	struct owner from;
	uint8_t source[MODEL_MAX];
};

static uint64_t some_offset(uint64_t most)
{
	uint64_t at = test_random(&seed) % (most + 1);
	switch (test_random(&seed) % 3) {
	case 0: return at;
	case 1: return round_down(at, BLOCK_SIZE);
	default: return round_down(at, CHUNK_SIZE);
	}
}

static uint64_t some_length(uint64_t most)
{
	static const uint64_t sizes[] = { 100, 5000, 70000, 400000, 1500000 };
	uint64_t len = 1 + test_random(&seed) % sizes[test_random(&seed) % 5];
	return MIN(test_random(&seed) % 2 ? len : round_up(len, BLOCK_SIZE), most);
}

static void grow_model(struct model *m, uint64_t size)
{
	m->size = MAX(m->size, size);
}

static void do_write(struct model *m)
{
	uint64_t at = some_offset(MODEL_MAX - 1), len = some_length(MODEL_MAX - at);
	AUTO_FREE uint8_t *buf = malloc(len);
	memset(buf, test_random(&seed) % 8 ? (int)test_random(&seed) : 0, len);
	put(&m->o, buf, len, at);
	memcpy(m->bytes + at, buf, len);
	grow_model(m, at + len);
}

static void do_zero(struct model *m)
{
	struct error err;
	uint64_t at = some_offset(MODEL_MAX - 1), len = some_length(MODEL_MAX - at);
	must(disk_zero(m->o.disk, at, len, &err), &err);
	if (at < m->size)
		memset(m->bytes + at, 0, MIN(len, m->size - at));
}

static void do_truncate(struct model *m)
{
	struct error err;
	uint64_t size = some_offset(MODEL_MAX);
	must(disk_truncate(m->o.disk, size, &err), &err);
	if (size < m->size)
		memset(m->bytes + size, 0, m->size - size);
	m->size = size;
}

static void do_copy(struct model *m)
{
	struct error err;
	struct map_root root = disk_root(m->from.disk);
	uint64_t at = some_offset(MODEL_MAX - 1), to = some_offset(MODEL_MAX - 1), len = some_length(MODEL_MAX);
	if (test_random(&seed) % 3)
		to = at;
	if (test_random(&seed) % 4 == 0)
		at = to = 0, len = MODEL_MAX;
	uint64_t most = MODEL_MAX - MAX(at, to);
	len = MIN(len, most);
	must(disk_copy(m->o.disk, to, DOMAIN, &root, disk_size(m->from.disk), at, len, &err), &err);
	m->copied = true;
	if (at >= disk_size(m->from.disk))
		return;
	len = MIN(len, disk_size(m->from.disk) - at);
	memcpy(m->bytes + to, m->source + at, len);
	grow_model(m, to + len);
}

/* Data may be told of zeros, but no hole of anything else. */
static bool seek_right(struct model *m)
{
	struct error err;
	uint64_t at = some_offset(MODEL_MAX - 1), data, hole;
	int r = disk_seek(m->o.disk, at, true, &data, &err);
	if (r == -ENXIO)
		return at >= m->size || is_zero(m->bytes + at, m->size - at);
	if (r || data < at || data >= m->size || !is_zero(m->bytes + at, data - at))
		return false;
	r = disk_seek(m->o.disk, at, false, &hole, &err);
	return r == 0 && hole >= at && hole <= m->size &&
	       (hole == m->size || m->bytes[hole] == 0) && (data > at || hole > at);
}

static bool model_right(struct model *m, bool whole)
{
	uint64_t at = whole ? 0 : some_offset(MODEL_MAX - 1), len = whole ? MODEL_MAX : some_length(MODEL_MAX - at);
	if (disk_size(m->o.disk) != m->size)
		return false;
	return at >= m->size || reads(&m->o, m->bytes + at, MIN(len, m->size - at), at);
}

static void remember(struct model *m)
{
	struct past *p = &m->past[m->n_past++];
	p->size = m->size;
	memcpy(p->bytes, m->bytes, MODEL_MAX);
}

/* All that was done is durable, if the power was still there at the end. */
static void settle(struct model *m)
{
	if (power_was_cut())
		return;
	m->n_past = 0;
	m->copied = false;
	remember(m);
}

static void do_sync(struct model *m)
{
	struct error err;
	must(disk_sync(m->o.disk, &err), &err);
	settle(m);
}

/* Once the final commit is there, all is durable, also when the power failed right after it. */
static void do_fold(struct model *m)
{
	m->finals = m->o.finals;
	m->folding = !power_was_cut();
	fold(&m->o);
	m->folding = false;
	settle(m);
	if (m->cut_committed) {
		m->n_past = 0;
		m->copied = false;
		remember(m);
	}
	m->cut_committed = false;
}

/* A data base, say: little writes, each of them synced. */
static void do_small_syncs(struct model *m)
{
	for (uint64_t n = test_random(&seed) % 20; n > 0 && !power_was_cut(); n--) {
		uint64_t at = some_offset(MODEL_MAX - 10000), len = 1 + test_random(&seed) % 5000;
		if (m->n_past == PAST_MAX)
			return;
		memset(m->bytes + at, (int)test_random(&seed), len);
		put(&m->o, m->bytes + at, len, at);
		grow_model(m, at + len);
		remember(m);
		if (test_random(&seed) % 4)
			do_sync(m);
	}
}

static void wait_still(struct disk *d)
{
	WITH_LOCK(&d->absorb.lock);
	while (d->absorb.takers)
		pthread_cond_wait(&d->absorb.moved, &d->absorb.lock);
}

/* What is put to rest is durable, so that is what a cut may go back to. */
static unsigned rests;
static void do_rest(struct model *m)
{
	do_sync(m);
	for (int i = 0; i < 5 && !power_was_cut() && disk_rest(m->o.disk, NULL); i++)
		wait_still(m->o.disk);
	rests += overlay_is_resting(m->o.disk->overlay);
}

static const char *one_step(struct model *m)
{
	switch (test_random(&seed) % 28) {
	case 0: case 1: case 2: case 3: case 4: case 5: case 6: return do_write(m), "write";
	case 7: case 8: return do_zero(m), "zero";
	case 9: case 10: return do_truncate(m), "truncate";
	case 11: case 12: case 13: return do_copy(m), "copy";
	case 14: return kill_disk(&m->o), "kill";
	case 15: return disk_close(m->o.disk), open_disk(&m->o), "close and open";
	case 16: return do_fold(m), "fold";
	case 17: return do_sync(m), "sync";
	case 18: case 19: return do_small_syncs(m), "small syncs";
	case 20: return power_writeback(), "writeback";
	case 21: return absorb_idle(&m->o), "absorb, idle";
	case 22: case 23: case 24: case 25: return do_rest(m), "rest";
	default: return "read";
	}
}

/* Leaves room for one more past. */
static const char *remembered_step(struct model *m)
{
	if (m->n_past >= PAST_MAX - 1)
		do_sync(m);
	if (m->n_past >= PAST_MAX - 1)
		return "sync"; /* which was cut */
	const char *what = one_step(m);
	if (m->n_past < PAST_MAX)
		remember(m);
	return what;
}

/* --- the power --- */

static void note_catalog(void *ctx)
{
	struct model *m = ctx;
	WITH_LOCK(&m->o.lock);
	m->cut_root = m->o.root;
	m->cut_size = m->o.size;
	m->cut_overlay = m->o.overlay;
	m->cut_committed = m->folding && m->o.finals > m->finals;
}

static bool was_once(const struct model *m, uint64_t at, uint64_t len)
{
	for (unsigned i = 0; i < m->n_past; i++)
		if (memcmp(m->past[i].bytes + at, m->bytes + at, len) == 0)
			return true;
	return false;
}

/* A block is old or new. A copy that is not aligned comes in pieces that end within blocks. */
static bool block_survived(const struct model *m, uint64_t at, uint64_t len)
{
	if (was_once(m, at, len))
		return true;
	for (uint64_t i = 0; i < len; i++)
		if (!m->copied || !was_once(m, at + i, 1))
			return false;
	return true;
}

static bool size_was_once(const struct model *m, uint64_t size)
{
	for (unsigned i = 0; i < m->n_past; i++)
		if (m->past[i].size == size)
			return true;
	return false;
}

/* Takes what is there for the truth, if every block is old or new. */
static bool survived(struct model *m)
{
	struct error err;
	m->size = disk_size(m->o.disk);
	if (!size_was_once(m, m->size))
		return diag("the size is %" PRIu64, m->size), false;
	memset(m->bytes, 0, MODEL_MAX);
	must((int)disk_read(m->o.disk, m->bytes, m->size, 0, NULL, &err), &err);
	for (uint64_t at = 0; at < m->size; at += BLOCK_SIZE)
		if (!block_survived(m, at, MIN((uint64_t)BLOCK_SIZE, m->size - at)))
			return diag("the block at %" PRIu64 " begins with %d, of %u states the last has %d", at,
				    m->bytes[at], m->n_past, m->past[m->n_past - 1].bytes[at]), false;
	m->n_past = 0;
	m->copied = false;
	remember(m);
	return true;
}

/* Another boot: what the bits of this one say is not believed. */
static void forget_boot(const struct owner *o)
{
	char path[4300];
	snprintf(path, sizeof path, "%s/%" PRIu64 ".live", o->dir, o->number);
	int fd = open(path, O_WRONLY);
	if (fd >= 0 && pwrite(fd, "another boot", 12, 40) != 12)
		bail("cannot write %s", path);
	if (fd >= 0)
		close(fd);
}

/* The power fails, now or in the middle of something. What each step leaves is a state of its own. */
static bool cut_power(struct model *m)
{
	char next[4200];
	next_folder(next, sizeof next);
	if (test_random(&seed) % 3) {
		power_cut_at(1 + (unsigned)test_random(&seed) % 15, next, note_catalog, m);
		for (int i = 0; i < 8 && !power_was_cut(); i++)
			remembered_step(m);
	}
	if (!power_was_cut()) {
		power_cut(next);
		note_catalog(m);
	}
	power_end();
	disk_close(m->o.disk);
	m->o.root = m->cut_root;
	m->o.size = m->cut_size;
	m->o.overlay = m->cut_overlay;
	snprintf(m->o.dir, sizeof m->o.dir, "%s", next);
	forget_boot(&m->o);
	open_disk(&m->o);
	power_watch(next, test_random(&seed));
	return survived(m);
}

static void make_source(struct model *m)
{
	struct error err;
	new_owner(&m->from, 20);
	fill(m->source, MODEL_MAX - 5000);
	memset(m->source + 700000, 0, 500000);
	put(&m->from, m->source, MODEL_MAX - 5000, 0);
	must(disk_zero(m->from.disk, 700000, 500000, &err), &err);
	fold(&m->from);
}

struct last_fold {
	struct owner *o;
	struct map_root root;
	uint64_t size, overlay;
	int finals;
};

static void note_last_fold(void *ctx)
{
	struct last_fold *f = ctx;
	WITH_LOCK(&f->o->lock);
	f->root = f->o->root;
	f->size = f->o->size;
	f->overlay = f->o->overlay;
	f->finals = f->o->finals;
}

/* Bytes are synced, others written over them, and all folded; the power fails at the n-th step of that. */
static bool fold_and_cut(unsigned n, unsigned *committed)
{
	static uint8_t old[CHUNK_SIZE], new[CHUNK_SIZE], got[CHUNK_SIZE];
	char next[4200];
	struct owner o;
	struct error err;
	struct last_fold last = { .o = &o };
	new_owner(&o, 23);
	power_watch(o.dir, test_random(&seed));
	memset(old, 1, sizeof old);
	memset(new, 2, sizeof new);
	put(&o, old, sizeof old, 0);
	must(disk_sync(o.disk, &err), &err);
	put(&o, new, sizeof new, 0);
	next_folder(next, sizeof next);
	power_cut_at(n, next, note_last_fold, &last);
	fold(&o);
	if (!power_was_cut()) {
		power_cut(next);
		note_last_fold(&last);
	}
	power_end();
	disk_close(o.disk);
	o.root = last.root;
	o.size = last.size;
	o.overlay = last.overlay;
	snprintf(o.dir, sizeof o.dir, "%s", next);
	forget_boot(&o);
	open_disk(&o);
	must((int)disk_read(o.disk, got, sizeof got, 0, NULL, &err), &err);
	bool right = last.finals == 0 || memcmp(got, new, sizeof got) == 0;
	*committed += last.finals;
	if (!right)
		diag("cut at step %u: %d", n, got[0]);
	disk_close(o.disk);
	must(disk_forget(o.dir, o.number, &err), &err);
	pthread_mutex_destroy(&o.lock);
	return right;
}

static void test_final_commit(void)
{
	bool right = true;
	unsigned committed = 0;
	for (unsigned i = 0; i < 60; i++)
		right &= fold_and_cut(1 + i % 6, &committed);
	ok(right && committed > 10, "once a fold is committed no power cut brings older bytes back (%u times)", committed);
}

struct beginner {
	struct owner *o;
	_Atomic bool over;
};

/* Writes when there is nothing over the map. */
static void *begin_again(void *arg)
{
	struct beginner *b = arg;
	uint64_t state = 1;
	for (uint8_t byte = 0; !b->over; byte++) {
		while (!b->over && disk_dirty(b->o->disk))
			sched_yield();
		for (volatile uint64_t n = test_random(&state) % 4096; n > 0; n--)
			;
		put(b->o, &byte, 1, 0);
	}
	return NULL;
}

/* A final commit names the overlay that it took all of, and never one that came to be meanwhile: a power cut would undo its syncs. */
static void test_new_overlay(void)
{
	struct owner o;
	struct beginner b = { .o = &o };
	pthread_t thread;
	unsigned wrong = 0, folds = 0;
	new_owner(&o, 50);
	pthread_create(&thread, NULL, begin_again, &b);
	for (int64_t end = clock_mono() + 1000000000; clock_mono() < end; folds++) {
		fold(&o);
		wrong += o.overlay && overlay_life(o.disk->overlay) == o.overlay;
	}
	b.over = true;
	pthread_join(thread, NULL);
	is_int(wrong, 0, "none of %u folds named an overlay that began meanwhile", folds);
	end_owner(&o);
}

/* What a sync has acknowledged as the edge of a copy is in the overlay once the copy is carried out. */
static void test_copied_edge(const struct model *m)
{
	char next[4200];
	struct owner o;
	struct error err;
	struct map_root root = disk_root(m->from.disk);
	bool right = true;
	for (int i = 0; i < 8; i++) {
		new_owner(&o, 22);
		power_watch(o.dir, test_random(&seed));
		must(disk_copy(o.disk, 4096, DOMAIN, &root, disk_size(m->from.disk), 4096, 3 * CHUNK_SIZE, &err), &err);
		must(disk_sync(o.disk, &err), &err);
		right &= reads(&o, m->source + 4096, 3 * CHUNK_SIZE, 4096);
		next_folder(next, sizeof next);
		power_cut(next);
		power_end();
		disk_close(o.disk);
		must(disk_forget(o.dir, o.number, &err), &err);
		snprintf(o.dir, sizeof o.dir, "%s", next);
		forget_boot(&o);
		open_disk(&o);
		right &= reads(&o, m->source + 4096, 3 * CHUNK_SIZE, 4096);
		disk_close(o.disk);
		must(disk_forget(o.dir, o.number, &err), &err);
		pthread_mutex_destroy(&o.lock);
	}
	ok(right, "a copy that was synced and then carried out survives a power cut, edges too");
}

static const char *model_step(struct model *m, bool *ret_right)
{
	if (test_random(&seed) % 15)
		return remembered_step(m);
	*ret_right = cut_power(m);
	return "power cut";
}

static void run_model(struct model *m)
{
	bool right = true, seeks = true;
	int steps = 0, cuts = 0;
	for (int64_t end = clock_mono() + 2000000000; right && seeks && (steps <= 20 || clock_mono() < end); steps++) {
		const char *what = model_step(m, &right);
		cuts += strcmp(what, "power cut") == 0;
		if (right && test_random(&seed) % 3 == 0)
			right = model_right(m, test_random(&seed) % 8 == 0);
		if (right && test_random(&seed) % 3 == 0)
			seeks = seek_right(m);
		if (!right || !seeks)
			diag("wrong after step %d, a %s", steps, what);
	}
	ok(right && seeks && steps > 20, "random operations read, and seek, as the model does; %d power cuts", cuts);
}

static void test_model(void)
{
	struct model *m = calloc(1, sizeof *m);
	new_owner(&m->o, 21);
	make_source(m);
	test_copied_edge(m);
	power_watch(m->o.dir, seed);
	remember(m);
	run_model(m);
	power_end();
	ok(rests > 0, "its overlay was put to rest %u times", rests);
	ok(model_right(m, true), "the whole disk at the end");
	kill_disk(&m->o);
	ok(model_right(m, true), "as another process finds it");
	fold(&m->o);
	ok(model_right(m, true) && !disk_dirty(m->o.disk), "and folded");
	ok(m->o.size == m->size, "with its size");
	end_owner(&m->o);
	end_owner(&m->from);
	free(m);
}

/* --- the background --- */

static void wait_absorbed(struct owner *o, uint64_t want)
{
	uint64_t done = 0, todo;
	for (int64_t end = clock_mono() + 10000000000; done < want && clock_mono() < end;) {
		disk_progress(o->disk, &done, &todo);
		usleep(1000);
	}
}

static void test_stale(void)
{
	static uint8_t buf[8 * CHUNK_SIZE];
	struct owner a, b;
	struct hash h;
	struct error err;
	new_owner(&a, 30);
	new_owner(&b, 31);
	fill(buf, sizeof buf);
	put(&a, buf, sizeof buf, 0);
	fold(&a);
	put(&b, buf, sizeof buf, 0);
	wait_absorbed(&b, 8);
	hash_of(buf, CHUNK_SIZE, &h);
	index_mem_remove(mem, DOMAIN, &h);
	is_int(disk_fold(b.disk, NULL, &err), 0, "a chunk that was counted on and went away is made again");
	ok(reads(&b, buf, sizeof buf, 0) && b.finals == 1, "and there it is");
	put(&b, buf, 4096, 8192);
	b.collects = true;
	is_int(disk_fold(b.disk, NULL, &err), 0, "where something always goes away, nothing does the second time");
	ok(b.stales == 1 && b.kept == 0, "which is asked for, and given back");
	b.collects = false;
	b.fail_times = 1000;
	b.fail_code = ERR_STALE;
	put(&b, buf, 4096, 4096);
	is_int(disk_fold(b.disk, NULL, &err), ERR_STALE, "not for ever");
	b.fail_times = 0;
	ok(reads(&b, buf, 4096, 4096), "nothing was lost");
	end_owner(&b);
	end_owner(&a);
}

/* More than a pack, which does not shrink: a commit happens by itself. */
static void test_background(void)
{
	const size_t len = 80u << 20, step = 1u << 20;
	AUTO_FREE uint8_t *buf = malloc(len);
	struct owner o;
	struct error err;
	new_owner(&o, 40);
	fill(buf, len);
	o.fail_times = 1;
	o.fail_code = -ENOSPC;
	for (size_t at = 0; at < len; at += step)
		put(&o, buf + at, step, at);
	for (int i = 0; i < 5000; i++) { /* until the commit in the background has met its error */
		WITH_LOCK(&o.lock);
		if (o.fail_times == 0)
			break;
		pthread_mutex_unlock(&o.lock);
		usleep(1000);
		pthread_mutex_lock(&o.lock);
	}
	is_int(o.fail_times, 0, "a full pack was to be committed in the background");
	is_int(disk_fold(o.disk, NULL, &err), -ENOSPC, "its error is told by the next fold");
	ok(disk_overlay_bytes(o.disk) == len && o.commits == 0, "the overlay keeps the bytes");
	is_int(disk_fold(o.disk, NULL, &err), 0, "which the one after that folds");
	ok(o.commits >= 2 && o.finals == 1 && !disk_dirty(o.disk), "in several commits, the last one final");
	ok(reads(&o, buf, len, 0), "nothing was lost");
	end_owner(&o);
}

/* What a failed sync lost may have been thrown out of the page cache: what is read from there is not believed any more. */
static void test_failed_sync(void)
{
	uint8_t buf[3 * CHUNK_SIZE];
	struct owner o;
	struct error err;
	new_owner(&o, 45);
	fill(buf, sizeof buf);
	put(&o, buf, sizeof buf, 0);
	power_fail_sync(EIO);
	is_int(disk_sync(o.disk, &err), -EIO, "a sync that fails");
	is_int(disk_sync(o.disk, &err), -EIO, "is not made good by the next one");
	is_int(disk_fold(o.disk, NULL, &err), -EIO, "nor does the disk become a map");
	is_int(o.finals, 0, "nothing was committed");
	kill_disk(&o);
	is_int(disk_sync(o.disk, &err), -EIO, "nor does a process that comes after it believe it");
	is_int(disk_fold(o.disk, NULL, &err), -EIO, "or make a map of it");
	must(disk_truncate(o.disk, 0, &err), &err);
	put(&o, buf, sizeof buf, CHUNK_SIZE);
	is_int(disk_sync(o.disk, &err), 0, "a disk that was emptied is good again");
	fold(&o);
	ok(o.finals == 1 && reads(&o, buf, sizeof buf, CHUNK_SIZE) && disk_size(o.disk) == 4 * CHUNK_SIZE,
	   "and has what was written since");
	end_owner(&o);
}

/* Nobody asks again of files that are closed. */
static void test_failed_rest(void)
{
	uint8_t buf[BLOCK_SIZE] = { 1 };
	struct owner o;
	struct error err;
	new_owner(&o, 49);
	put(&o, buf, sizeof buf, 0);
	must(disk_sync(o.disk, &err), &err);
	power_fail_sync(EIO);
	for (int i = 0; i < 100 && disk_rest(o.disk, NULL) == -EBUSY; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ok(!overlay_is_resting(o.disk->overlay), "what cannot be written is not put to rest");
	is_int(disk_sync(o.disk, &err), -EIO, "and who syncs is told");
	is_int(disk_fold(o.disk, NULL, &err), -EIO, "as is who makes a map of it");
	end_owner(&o);
}

/* The kernel could not write a page, nobody had synced, and zeros are read where it was. */
static void test_lost_pages(void)
{
	static uint8_t buf[3 * CHUNK_SIZE];
	struct owner o;
	struct error err;
	new_owner(&o, 46);
	fill(buf, sizeof buf);
	put(&o, buf, BLOCK_SIZE, 0);
	power_lose_pages(ENOSPC);
	is_int(disk_fold(o.disk, NULL, &err), -EIO, "a page that was lost is no part of a map");
	ok(strstr(err.text, "may be lost"), "it is said: %s", err.text);
	ok(o.commits == 0 && disk_dirty(o.disk), "the overlay keeps all");
	is_int(disk_sync(o.disk, &err), -EIO, "the next sync tells, too");
	kill_disk(&o);
	is_int(disk_sync(o.disk, &err), -EIO, "and that of another process");
	end_owner(&o);
}

static void put_to_rest(struct owner *o)
{
	for (int i = 0; i < 100 && disk_rest(o->disk, NULL); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ok(overlay_is_resting(o->disk->overlay), "disk %" PRIu64 " rests", o->number);
}

static void test_times(void)
{
	static uint8_t buf[CHUNK_SIZE];
	struct owner o;
	struct error err;
	new_owner(&o, 48);
	fill(buf, sizeof buf);
	is_int(disk_mtime(o.disk), 0, "of a disk that was never changed the catalog knows the time");
	put(&o, buf, sizeof buf, 0);
	int64_t t = disk_mtime(o.disk);
	ok(t > 0, "a write is noted");
	kill_disk(&o);
	is_int(disk_mtime(o.disk), t, "for the next process, too");
	must(disk_sync(o.disk, &err), &err);
	is_int(disk_mtime(o.disk), t, "a sync is no change");
	disk_set_mtime(o.disk, 5);
	disk_close(o.disk);
	open_disk(&o);
	is_int(disk_mtime(o.disk), 5, "a time that is set is the time");
	put_to_rest(&o);
	disk_set_mtime(o.disk, 6);
	disk_close(o.disk);
	open_disk(&o);
	is_int(disk_mtime(o.disk), 6, "one that is set while the disk rests, too");
	fold(&o);
	is_int(o.mtime, 6, "and goes into the catalog with the bytes");
	must(disk_zero(o.disk, 0, 4096, &err), &err);
	ok(disk_mtime(o.disk) >= t, "zeros are a change");
	must(disk_truncate(o.disk, 100, &err), &err);
	ok(disk_mtime(o.disk) >= t, "and another size");
	end_owner(&o);
}

/* Syncs until it is told of an error, like a server that has the same disk open. */
struct taking {
	struct owner *o;
	_Atomic bool began, over;
};

static void *take_trouble(void *arg)
{
	struct taking *t = arg;
	struct error err;
	while (!t->over && disk_sync(t->o->disk, &err) == 0)
		t->began = true;
	t->over = true;
	return NULL;
}

/* What has nothing to do with the overlay is shown, and told to who folds; a sync does not fail for it. */
static void test_trouble_shown(void)
{
	static uint8_t buf[CHUNK_SIZE];
	struct owner o;
	struct error err;
	new_owner(&o, 47);
	fill(buf, sizeof buf);
	put(&o, buf, BLOCK_SIZE, 0);
	is_int(disk_trouble(o.disk, NULL), 0, "a disk without trouble");
	o.fail_times = 1;
	o.fail_code = -ENOSPC;
	is_int(disk_fold(o.disk, NULL, &err), -ENOSPC, "a fold that fails");
	ok(disk_trouble(o.disk, &err) == -ENOSPC && strstr(err.text, "told to fail"), "is shown: %s", err.text);
	is_int(disk_sync(o.disk, &err), 0, "a sync does not depend on it");
	is_int(disk_fold(o.disk, NULL, &err), 0, "the next fold succeeds");
	is_int(disk_trouble(o.disk, NULL), 0, "and there is no trouble any more");
	end_owner(&o);
}

/* A chunk that cannot be stored: a part of it lies below, and is gone. */
static void test_trouble_taken(void)
{
	static uint8_t buf[CHUNK_SIZE];
	pthread_t thread;
	struct owner o;
	struct taking taking = { .o = &o };
	struct error err;
	struct hash h;
	new_owner(&o, 41);
	fill(buf, sizeof buf);
	put(&o, buf, CHUNK_SIZE, 0);
	fold(&o);
	hash_of(buf, CHUNK_SIZE, &h);
	index_mem_remove(mem, DOMAIN, &h);
	put(&o, buf + 8192, BLOCK_SIZE, 0);
	for (uint64_t c = NODE_FANOUT; c < 1000; c++) /* in other nodes of the map */
		put(&o, buf, BLOCK_SIZE, c * CHUNK_SIZE);
	must(disk_sync(o.disk, &err), &err); /* from here on it is quick */
	pthread_create(&thread, NULL, take_trouble, &taking);
	while (!taking.began)
		;
	ok(disk_fold(o.disk, NULL, &err) == ERR_DAMAGED && o.finals == 1,
	   "a fold that lost a chunk fails, although others sync meanwhile");
	ok(disk_dirty(o.disk), "and the overlay keeps what was written");
	bool failed = taking.over;
	taking.over = true;
	pthread_join(thread, NULL);
	ok(!failed && disk_sync(o.disk, &err) == 0, "which goes on");
	end_owner(&o);
}

/* --- on idle processors --- */

static struct store_stat stat_now(void)
{
	struct store_stat s;
	store_stat(store, &s);
	return s;
}

/* Blocks all over: no chunk is full, so nobody takes it before a fold. */
static void put_blocks(struct owner *o, uint8_t *bytes, uint64_t chunks)
{
	for (uint64_t c = 0; c < chunks; c++) {
		fill(bytes + c * CHUNK_SIZE + BLOCK_SIZE, BLOCK_SIZE);
		put(o, bytes + c * CHUNK_SIZE + BLOCK_SIZE, BLOCK_SIZE, c * CHUNK_SIZE + BLOCK_SIZE);
	}
}

static bool say_stop(void *ctx) { return --*(int *)ctx < 0; }

static void test_idle(void)
{
	enum { CHUNKS = 37 };
	static uint8_t bytes[CHUNKS * CHUNK_SIZE];
	struct owner o, twin;
	struct error err;
	struct store_stat before = stat_now();
	int rounds = 3;
	new_owner(&o, 70);
	must(disk_truncate(o.disk, sizeof bytes, &err), &err);
	put_blocks(&o, bytes, CHUNKS);
	is_int(disk_absorb_idle(o.disk, say_stop, &rounds, &err), -ECANCELED, "it can be stopped");
	unsigned part = (unsigned)(stat_now().chunks_hashed_idle - before.chunks_hashed_idle);
	ok(part > 0 && part < CHUNKS && o.commits == 0, "after a part (%u chunks)", part);
	absorb_idle(&o);
	is_int(stat_now().chunks_hashed_idle - before.chunks_hashed_idle, CHUNKS, "the idle thread makes the chunks, each once");
	absorb_idle(&o);
	fold(&o);
	is_int(stat_now().chunks_hashed_idle - before.chunks_hashed_idle, CHUNKS, "it is not asked for what it has made");
	is_int(stat_now().chunks_hashed - before.chunks_hashed, 0, "and the fold makes none at all");
	ok(o.finals == 1 && !disk_dirty(o.disk) && reads(&o, bytes, sizeof bytes, 0), "the disk is folded, and as it was");
	new_owner(&twin, 71);
	put(&twin, bytes, sizeof bytes, 0);
	absorb_idle(&twin);
	fold(&twin);
	ok(hash_equal(&twin.root.hash, &o.root.hash), "the same bytes give the same map");
	put(&o, bytes, 100, 5 * CHUNK_SIZE + 3);
	o.fail_times = 1;
	o.fail_code = -ENOSPC;
	absorb_idle(&o);
	is_int(disk_fold(o.disk, NULL, &err), -ENOSPC, "a fold that fails");
	fold(&o);
	memcpy(bytes + 5 * CHUNK_SIZE + 3, bytes, 100);
	ok(reads(&o, bytes, sizeof bytes, 0), "costs nothing but the work");
	end_owner(&twin);
	end_owner(&o);
}

/* Whoever comes to a disk that rests opens its files again, and may find that he cannot. */
static void test_idle_at_rest(void)
{
	char path[4300], away[4310];
	uint8_t byte = 7, got = 0;
	struct owner o;
	struct error err;
	new_owner(&o, 72);
	put(&o, &byte, 1, 0);
	put_to_rest(&o);
	snprintf(path, sizeof path, "%s/72.data", o.dir);
	snprintf(away, sizeof away, "%s.away", path);
	rename(path, away);
	is_int(disk_absorb_idle(o.disk, NULL, NULL, &err), ERR_DAMAGED, "its bytes are gone, which the idle thread says");
	rename(away, path);
	absorb_idle(&o);
	fold(&o);
	ok(disk_read(o.disk, &got, 1, 0, NULL, NULL) == 1 && got == 7, "when they are back all is as it was");
	end_owner(&o);
}

/* What stands for processors that are never idle: a job that lasts. */
struct stall {
	_Atomic bool began, over, absorbed;
	struct owner *o;
	int result;
};

static void stall(void *arg)
{
	struct stall *s = arg;
	s->began = true;
	while (!s->over)
		usleep(1000);
}

static void *absorb_stalled(void *arg)
{
	struct stall *s = arg;
	struct error err;
	s->result = disk_absorb_idle(s->o->disk, NULL, NULL, &err);
	s->absorbed = true;
	return NULL;
}

static bool idle_has_some(struct disk *d)
{
	WITH_LOCK(&d->absorb.lock);
	for (size_t i = 0; i < d->absorb.room; i++)
		if (move_is_idle(&d->absorb.table[i]))
			return true;
	return false;
}

struct beside {
	struct disk *disk;
	_Atomic bool end;
};

static void *absorb_beside(void *arg)
{
	struct beside *b = arg;
	struct error err;
	while (!b->end)
		if (disk_absorb_idle(b->disk, NULL, NULL, &err) == -EIO)
			break;
	return NULL;
}

/* What a fold has queued is not taken from it: it would end without that, and a snapshot would have what was there before. */
static void test_idle_beside_folds(void)
{
	enum { CHUNKS = 60, ROUNDS = 60 };
	static uint8_t bytes[CHUNKS * CHUNK_SIZE];
	struct owner o;
	pthread_t thread;
	struct error err;
	int whole = 0;
	new_owner(&o, 73);
	must(disk_truncate(o.disk, sizeof bytes, &err), &err);
	struct beside b = { .disk = o.disk };
	pthread_create(&thread, NULL, absorb_beside, &b);
	for (int i = 0; i < ROUNDS; i++) {
		put_blocks(&o, bytes, CHUNKS);
		fold(&o);
		whole += !disk_dirty(o.disk);
	}
	b.end = true;
	pthread_join(thread, NULL);
	is_int(whole, ROUNDS, "a fold leaves nothing out, whatever the idle thread takes meanwhile");
	end_owner(&o);
}

/* Nobody waits for the idle thread: not a fold, not a writer, not a snapshot. */
static void test_idle_in_a_hurry(void)
{
	enum { CHUNKS = 20 };
	static uint8_t bytes[CHUNKS * CHUNK_SIZE];
	struct owner o;
	struct stall s = { .o = &o };
	struct moment moment;
	struct error err;
	pthread_t thread;
	new_owner(&o, 72);
	must(disk_truncate(o.disk, sizeof bytes, &err), &err);
	put_blocks(&o, bytes, CHUNKS);
	workers_add(store->idle, stall, &s);
	while (!s.began)
		usleep(1000);
	pthread_create(&thread, NULL, absorb_stalled, &s);
	while (!idle_has_some(o.disk))
		usleep(1000);
	put_blocks(&o, bytes, 2);
	fold(&o);
	ok(!s.absorbed && o.finals == 1 && !disk_dirty(o.disk), "a fold ends while the idle thread gets no processor");
	ok(reads(&o, bytes, sizeof bytes, 0), "with all that was written");
	put_blocks(&o, bytes, 3);
	must(disk_snapshot(o.disk, NULL, NULL, &moment, &err), &err);
	ok(!s.absorbed && hash_equal(&moment.root.hash, &o.root.hash), "so does a snapshot");
	put_blocks(&o, bytes, 1);
	s.over = true;
	pthread_join(thread, NULL);
	ok(s.result == 0 || s.result == -EBUSY, "what the idle thread had is thrown away");
	absorb_idle(&o);
	fold(&o);
	ok(reads(&o, bytes, sizeof bytes, 0), "and does no harm");
	end_owner(&o);
}

struct idler {
	struct owner *o;
	_Atomic bool *end;
	int wrong, rounds;
};

static void *idler(void *arg)
{
	struct idler *i = arg;
	struct error err;
	while (!atomic_load(i->end)) {
		int r = disk_absorb_idle(i->o->disk, NULL, NULL, &err);
		i->wrong += r != 0 && r != -EBUSY;
		i->rounds++;
	}
	return NULL;
}

#define RACERS 3
#define RACE_BYTES (20u * CHUNK_SIZE)

struct race {
	struct owner *o;
	_Atomic bool *end;
	unsigned me;
	bool right;
	uint8_t bytes[RACE_BYTES];
};

/* Writes into its own part of the disk, whose chunks it shares with nobody, and reads it. */
static void *racer(void *arg)
{
	struct race *r = arg;
	uint64_t state = seed + r->me, base = (uint64_t)r->me * RACE_BYTES;
	AUTO_FREE uint8_t *got = malloc(RACE_BYTES);
	while (!atomic_load(r->end) && r->right) {
		uint32_t at = (uint32_t)(test_random(&state) % RACE_BYTES);
		uint32_t len = (uint32_t)(1 + test_random(&state) % (test_random(&state) % 2 ? 5000 : 200000));
		len = MIN(len, RACE_BYTES - at);
		memset(r->bytes + at, (int)test_random(&state), len);
		r->right &= disk_write(r->o->disk, r->bytes + at, len, base + at, NULL) == 0;
		at = (uint32_t)(test_random(&state) % RACE_BYTES);
		len = MIN(len, RACE_BYTES - at);
		r->right &= disk_read(r->o->disk, got, len, base + at, NULL, NULL) == (ssize_t)len &&
			    memcmp(got, r->bytes + at, len) == 0;
	}
	return NULL;
}

static void test_race(void)
{
	static struct race races[RACERS];
	pthread_t threads[RACERS], idle_thread;
	_Atomic bool end = false;
	struct owner o;
	struct idler idle = { .o = &o, .end = &end };
	struct error err;
	int folds = 0, r = 0;
	bool right = true;
	new_owner(&o, 50);
	must(disk_truncate(o.disk, RACERS * RACE_BYTES, &err), &err);
	for (unsigned i = 0; i < RACERS; i++) {
		races[i] = (struct race){ .o = &o, .end = &end, .me = i, .right = true };
		pthread_create(&threads[i], NULL, racer, &races[i]);
	}
	pthread_create(&idle_thread, NULL, idler, &idle);
	for (int64_t stop = clock_mono() + 1000000000; r == 0 && clock_mono() < stop; folds++) {
		r = disk_fold(o.disk, NULL, &err);
		for (int64_t rest = clock_mono() + folds % 3 * 1000000; clock_mono() < rest;)
			usleep(100);
	}
	atomic_store(&end, true);
	pthread_join(idle_thread, NULL);
	is_int(idle.wrong, 0, "what is absorbed on idle processors meanwhile is no trouble");
	for (unsigned i = 0; i < RACERS; i++) {
		pthread_join(threads[i], NULL);
		right &= races[i].right;
	}
	is_int(r, 0, "%d folds during writes and reads", folds);
	ok(right, "every reader saw what it had written");
	is_int(o.finals, folds, "each fold ended with one final commit");
	fold(&o);
	for (unsigned i = 0; i < RACERS; i++)
		ok(reads(&o, races[i].bytes, RACE_BYTES, (uint64_t)i * RACE_BYTES), "and it is all there at the end");
	ok(!disk_dirty(o.disk), "folded");
	end_owner(&o);
}

/* Parts of the same blocks, by several threads, never overlapping. */
static void *sliver(void *arg)
{
	struct race *r = arg;
	uint8_t byte = (uint8_t)(r->me + 1);
	for (uint64_t at = r->me; at < 4096 * 64 && r->right; at += 1000)
		r->right &= disk_write(r->o->disk, &byte, 1, at, NULL) == 0;
	return NULL;
}

static void test_slivers(void)
{
	static struct race races[RACERS];
	static uint8_t buf[4096 * 64];
	pthread_t threads[RACERS];
	struct owner o;
	bool right = true;
	new_owner(&o, 51);
	memset(buf, 99, sizeof buf);
	put(&o, buf, sizeof buf, 0);
	fold(&o);
	for (unsigned i = 0; i < RACERS; i++) {
		races[i] = (struct race){ .o = &o, .me = i, .right = true };
		pthread_create(&threads[i], NULL, sliver, &races[i]);
		for (uint64_t at = i; at < sizeof buf; at += 1000)
			buf[at] = (uint8_t)(i + 1);
	}
	for (unsigned i = 0; i < RACERS; i++) {
		pthread_join(threads[i], NULL);
		right &= races[i].right;
	}
	ok(right && reads(&o, buf, sizeof buf, 0), "parts of one block by several threads are all there");
	end_owner(&o);
}

static void test_sequential(void)
{
	const size_t len = 16u << 20;
	AUTO_FREE uint8_t *buf = malloc(len), *got = malloc(len);
	struct disk_ahead ahead = { 0 };
	struct owner o;
	bool right = true;
	new_owner(&o, 60);
	fill(buf, len);
	put(&o, buf, len, 0);
	fold(&o);
	for (size_t at = 0; at < len; at += 131072)
		right &= disk_read(o.disk, got + at, 131072, at, &ahead, NULL) == 131072;
	ok(right && memcmp(buf, got, len) == 0, "a sequential reader gets what is there");
	ok(atomic_load(&ahead.next) == len && atomic_load(&ahead.upto) == len, "and was read ahead for, to the end");
	end_owner(&o);
}

int main(void)
{
	struct backend *backend;
	char path[4200];
	seed = test_seed();
	snprintf(path, sizeof path, "%s/pool", test_folder());
	mem = index_mem_new();
	if (backend_open_dir(&backend, path, 16, NULL) ||
	    store_open(&store, backend, index_mem_index(mem), &(struct store_options){ .overlays = 1 }, NULL)) /* others are put to rest all the time */
		bail("cannot open a store");
	test_basics();
	test_cut_survives();
	test_copy();
	test_overlapping_copies();
	test_model();
	test_final_commit();
	test_new_overlay();
	test_stale();
	test_background();
	test_trouble_taken();
	test_failed_sync();
	test_failed_rest();
	test_lost_pages();
	test_trouble_shown();
	test_times();
	test_idle();
	test_idle_at_rest();
	test_idle_in_a_hurry();
	test_idle_beside_folds();
	test_race();
	test_slivers();
	test_sequential();
	store_close(store);
	index_mem_free(mem);
	return done_testing();
}
