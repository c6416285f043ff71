/* SPDX-License-Identifier: Apache-2.0 */
/* What one request of somebody may cost all others: nodes of maps that are made, in one commit and for one request. Counted, not
 * timed. Maps are made of names of chunks that nobody has, so that a gigabyte costs nothing. The commit hook plays the catalog. */
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "index_mem.h"
#include "powercut.h"
#include "store/disk_int.h"
#include "tap.h"

#define DOMAIN 3
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)
#define COMMIT_MOST 1024u  /* nodes in one commit */
#define REQUEST_MOST 4096u /* nodes for one request */

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
	unsigned commits, finals, most; /* nodes in one commit, at most */
	uint64_t nodes;                 /* in all */
	unsigned fail_after;            /* commits; 0: never */
};

static int commit(void *ctx, const struct fold *f, struct error *err)
{
	struct owner *o = ctx;
	if (o->fail_after && --o->fail_after == 0)
		return fail(err, -ENOSPC, "the catalog was told to fail");
	for (unsigned n = 0; n < f->n_packs; n++)
		for (size_t i = 0; i < f->packs[n].n_items; i++)
			index_mem_insert(mem, DOMAIN, &f->packs[n].items[i].hash, &f->packs[n].items[i].place);
	o->root = f->root;
	o->size = f->size;
	o->commits++;
	o->finals += f->final;
	o->nodes += f->nodes->count;
	o->most = MAX(o->most, (unsigned)f->nodes->count);
	return 0;
}

static int hold(void *ctx, uint64_t number, uint32_t domain, const struct map_root *from, uint32_t lender, struct error *err)
{
	(void)ctx, (void)number, (void)domain, (void)from, (void)lender, (void)err;
	return 0;
}

static void open_disk(struct owner *o)
{
	struct error err;
	struct disk_conf conf = { store, { .commit = commit, .hold = hold, .ctx = o }, o->dir, o->number, DOMAIN, o->root, o->size, 0 };
	if (disk_open(&o->disk, &conf, &err))
		bail("open: %s", err.text);
}

static void new_owner(struct owner *o, uint64_t number)
{
	*o = (struct owner){ .number = number, .root.levels = 1 };
	snprintf(o->dir, sizeof o->dir, "%s/overlay", test_folder());
	mkdir(o->dir, 0700);
	open_disk(o);
}

static void end_owner(struct owner *o)
{
	disk_close(o->disk);
	if (disk_forget(o->dir, o->number, NULL))
		bail("cannot forget a disk");
}

static void must(int r, const struct error *err)
{
	if (r < 0)
		bail("%s", err->text);
}

/* --- a source without bytes --- */

static void random_hash(struct hash *ret)
{
	for (unsigned i = 0; i < HASH_SIZE; i += 8)
		put_le64(ret->b + i, test_random(&seed));
}

/* `count` chunks from the first one on, full of names. */
static struct map_root dense_map(unsigned count)
{
	struct map_change *changes = calloc(count, sizeof *changes);
	struct map_nodes nodes = { 0 };
	struct pack_writer *w;
	struct map_root root = { .levels = 2 };
	struct error err;
	size_t n;
	for (unsigned i = 0; i < count; i++) {
		changes[i] = (struct map_change){ .chunk = i, .object.domain = DOMAIN };
		random_hash(&changes[i].object.hash);
	}
	must(pack_begin(&w, store->backend, &store->next_pack, &err), &err);
	must(map_update(store, DOMAIN, &root, 2, changes, count, w, &nodes, &root, &err), &err);
	must(pack_seal(w, &err), &err);
	const struct pack_item *items = pack_items(w, &n);
	for (size_t i = 0; i < n; i++)
		index_mem_insert(mem, DOMAIN, &items[i].hash, &items[i].place);
	pack_free(w);
	map_nodes_free(&nodes);
	free(changes);
	return root;
}

static bool same_chunks(const struct owner *o, uint64_t to, const struct map_root *from, uint64_t chunk, unsigned count)
{
	struct object a[256], b[256];
	struct error err;
	must(map_find_many(store, DOMAIN, &o->root, to, count, a, &err), &err);
	must(map_find_many(store, DOMAIN, from, chunk, count, b, &err), &err);
	for (unsigned i = 0; i < count; i++)
		if (!hash_equal(&a[i].hash, &b[i].hash))
			return false;
	return true;
}

/* --- copies to places that are not those of the source --- */

#define SOURCE_CHUNKS ((unsigned)(GIB / CHUNK_SIZE))
#define SPACING (GIB + 4 * MIB)

/* Where copy `i` goes. */
static uint64_t place_of(unsigned i) { return i * SPACING + (1 + i % 61) * CHUNK_SIZE; }

/* Nodes that the dearest of the requests made. */
static uint64_t copy_all(struct owner *o, const struct map_root *from, unsigned copies)
{
	struct error err;
	uint64_t dearest = 0;
	for (unsigned i = 0; i < copies; i++) {
		uint64_t before = o->nodes;
		must(disk_copy(o->disk, place_of(i), DOMAIN, from, GIB, 0, GIB, &err), &err);
		dearest = MAX(dearest, o->nodes - before);
	}
	return dearest;
}

static bool all_there(const struct owner *o, const struct map_root *from, unsigned copies)
{
	bool right = true;
	for (unsigned i = 0; i < copies; i++) {
		uint64_t first = place_of(i) / CHUNK_SIZE;
		right &= same_chunks(o, first, from, 0, 256) && same_chunks(o, first + SOURCE_CHUNKS - 256, from, SOURCE_CHUNKS - 256, 256);
	}
	return right;
}

static void test_many_copies(unsigned copies, const struct map_root *from)
{
	struct owner o;
	struct error err;
	char byte;
	new_owner(&o, copies);
	uint64_t dearest = copy_all(&o, from, copies), before = o.nodes;
	int r = disk_read(o.disk, &byte, 1, (copies - 1) * SPACING, NULL, &err) >= 0 ? 0 : err.code;
	is_int(r, 0, "a disk with %u copies is read", copies);
	dearest = MAX(dearest, o.nodes - before);
	ok(dearest <= REQUEST_MOST, "no copy and no read pays for more than %u nodes (%" PRIu64 ")", REQUEST_MOST, dearest);
	must(disk_fold(o.disk, NULL, &err), &err);
	ok(o.most <= COMMIT_MOST, "no commit has more than %u nodes (%u)", COMMIT_MOST, o.most);
	ok(all_there(&o, from, copies), "what was copied is there");
	ok(o.finals == 1 && !disk_dirty(o.disk), "the last commit is the final one, and nothing is left over it");
	end_owner(&o);
}

/* More than a commit takes, noted at once; the catalog is full in the middle; then the process ends. */
static void test_interrupted(const struct map_root *from)
{
	struct owner o;
	struct error err;
	const unsigned copies = 20;
	new_owner(&o, 7);
	copy_all(&o, from, copies);
	o.fail_after = 2;
	is_int(disk_fold(o.disk, NULL, &err), -ENOSPC, "a fold whose second commit fails");
	ok(o.commits == 1 && o.finals == 0, "the first one was not final");
	must(disk_copy(o.disk, copies * SPACING, DOMAIN, from, GIB, 0, MIB, &err), &err);
	must(disk_copy(o.disk, copies * SPACING + MIB, DOMAIN, from, GIB, MIB, MIB, &err), &err);
	o.fail_after = 2;
	is_int(disk_fold(o.disk, NULL, &err), -ENOSPC, "the next one goes on, and fails again");
	disk_close(o.disk);
	open_disk(&o);
	must(disk_fold(o.disk, NULL, &err), &err);
	ok(all_there(&o, from, copies) && same_chunks(&o, copies * SPACING / CHUNK_SIZE, from, 0, 32), "all is there when another process has folded it");
	ok(o.finals == 1 && !disk_dirty(o.disk), "and nothing is left over it");
	end_owner(&o);
}

/* A copy that is longer than any commit, made longer after a part of it was committed. */
static void test_longer(const struct map_root *from)
{
	struct owner o;
	struct error err;
	char byte;
	const uint64_t size = 16 * SPACING;
	new_owner(&o, 8);
	copy_all(&o, from, 16);
	must(disk_truncate(o.disk, size, &err), &err);
	must(disk_fold(o.disk, NULL, &err), &err);
	struct map_root wide = o.root;
	end_owner(&o);
	new_owner(&o, 9);
	must(disk_copy(o.disk, CHUNK_SIZE, DOMAIN, &wide, size, 0, 12 * SPACING, &err), &err);
	o.fail_after = 2;
	ok(disk_read(o.disk, &byte, 1, 0, NULL, &err) < 0 && o.commits == 1, "a read meets a failing catalog when a part is committed");
	must(disk_copy(o.disk, CHUNK_SIZE + 12 * SPACING, DOMAIN, &wide, size, 12 * SPACING, 4 * SPACING, &err), &err);
	must(disk_fold(o.disk, NULL, &err), &err);
	bool right = true;
	for (unsigned i = 0; i < size / CHUNK_SIZE / 64; i++)
		right &= same_chunks(&o, 1 + i * 64, &wide, i * 64, 64);
	ok(right && o.most <= COMMIT_MOST, "all of the longer copy is there, in commits of at most %u nodes", COMMIT_MOST);
	end_owner(&o);
}

/* Is every chunk as it was, or what was copied there from the one before it? */
static bool old_or_new(const struct owner *o, const struct map_root *old, uint64_t chunks)
{
	struct object now[256], was[257];
	struct error err;
	bool right = true;
	for (uint64_t c = 1; c + 256 <= chunks; c += 256) {
		must(map_find_many(store, DOMAIN, &o->root, c, 256, now, &err), &err);
		must(map_find_many(store, DOMAIN, old, c - 1, 257, was, &err), &err);
		for (unsigned i = 0; i < 256; i++)
			right &= hash_equal(&now[i].hash, &was[i].hash) || hash_equal(&now[i].hash, &was[i + 1].hash);
	}
	return right;
}

/* A copy over what is there is committed in parts, which begin with a hole. Between two of them the power fails, and nobody had synced. */
static void test_cut_between_parts(const struct map_root *from)
{
	struct owner o, after;
	struct error err;
	char byte;
	const uint64_t size = 16 * SPACING;
	bool right = true;
	new_owner(&o, 10);
	copy_all(&o, from, 16);
	must(disk_truncate(o.disk, size, &err), &err);
	must(disk_fold(o.disk, NULL, &err), &err);
	struct map_root old = o.root;
	power_watch(o.dir, test_random(&seed));
	must(disk_copy(o.disk, CHUNK_SIZE, DOMAIN, &old, size, 0, 12 * SPACING, &err), &err);
	o.fail_after = 2;
	ok(disk_read(o.disk, &byte, 1, 0, NULL, &err) < 0 && !hash_equal(&o.root.hash, &old.hash), "a part of a copy is committed");
	for (unsigned i = 0; i < 8; i++) {
		after = (struct owner){ .number = o.number, .root = o.root, .size = o.size };
		snprintf(after.dir, sizeof after.dir, "%s/after-%u", test_folder(), i);
		power_cut(after.dir);
		open_disk(&after);
		must(disk_fold(after.disk, NULL, &err), &err);
		right &= old_or_new(&after, &old, 12 * SPACING / CHUNK_SIZE);
		end_owner(&after);
	}
	ok(right, "after a power cut all is what it was, or what was copied");
	power_end();
	must(disk_fold(o.disk, NULL, &err), &err);
	end_owner(&o);
}

/* --- what many disks keep --- */

#define DISKS 100
#define OPEN_DISKS 8u

static unsigned count_entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n - 2;
}

static unsigned count_logs(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	unsigned n = 0;
	while (d && (e = readdir(d)))
		n += strstr(e->d_name, ".log") != NULL;
	if (d)
		closedir(d);
	return n;
}

static unsigned count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned n = 0;
	for (int c; f && (c = getc(f)) != EOF;)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static void write_and_sync(struct owner *o, unsigned round)
{
	uint64_t block[512];
	struct error err;
	for (unsigned i = 0; i < 512; i++)
		block[i] = o->number << 32 | round;
	must(disk_write(o->disk, block, sizeof block, round * TIB, &err), &err);
	must(disk_sync(o->disk, &err), &err);
}

static bool reads_right(struct owner *o, unsigned rounds)
{
	uint64_t block[512];
	struct error err;
	bool right = true;
	for (unsigned round = 0; round < rounds; round++) {
		must((int)disk_read(o->disk, block, sizeof block, round * TIB, NULL, &err), &err);
		right &= block[0] == (o->number << 32 | round) && block[511] == block[0];
	}
	return right;
}

/* Files are closed in another thread, so what is there at once is twice as many, at most, and one on its way. */
static void test_many_disks(void)
{
	static struct owner disks[DISKS];
	const unsigned rounds = 5, most = 2 * OPEN_DISKS + 1;
	unsigned files = count_entries("/proc/self/fd"), mappings = count_mappings();
	bool right = true;
	for (unsigned i = 0; i < DISKS; i++)
		new_owner(&disks[i], 1000 + i);
	for (unsigned i = 0; i < DISKS; i++)
		for (unsigned round = 0; round < rounds; round++)
			write_and_sync(&disks[i], round);
	unsigned now = count_entries("/proc/self/fd"), maps = count_mappings(), logs = count_logs(disks[0].dir);
	ok(now <= files + 4 * most, "%u disks that were written and synced have at most %u files open (%d)", DISKS, 4 * most, (int)(now - files));
	ok(maps <= mappings + 3 * most + 20, "and %u mappings, though each was written over 5 TiB (%d)", 3 * most, (int)(maps - mappings));
	ok(logs <= most, "%u of them have logs", logs);
	for (unsigned i = 0; i < DISKS; i++)
		right &= reads_right(&disks[i], rounds);
	ok(right, "all are read as they were written");
	for (unsigned i = 0; i < DISKS; i++) {
		struct error err;
		write_and_sync(&disks[i], 0);
		must(disk_truncate(disks[i].disk, 5 * TIB, &err), &err);
		disk_close(disks[i].disk);
		open_disk(&disks[i]);
		right &= reads_right(&disks[i], rounds) && disk_size(disks[i].disk) == 5 * TIB;
	}
	ok(right, "and after they were written again, closed and opened");
	for (unsigned i = 0; i < DISKS; i++)
		end_owner(&disks[i]);
}

/* One block in each of many leaves: no commit takes more than it may, and nobody is kept from committing. */
static void test_scattered(void)
{
	struct owner o;
	struct error err;
	uint64_t block[512] = { 0 };
	const unsigned count = 1000;
	new_owner(&o, 5000);
	for (unsigned i = 0; i < count; i++) {
		block[0] = i + 1;
		must(disk_write(o.disk, block, sizeof block, i * (TIB / 64), &err), &err);
	}
	must(disk_fold(o.disk, NULL, &err), &err);
	ok(o.most <= COMMIT_MOST && o.commits > 1, "%u chunks, 16 GiB apart, are %u commits of at most %u nodes", count, o.commits, o.most);
	bool right = true;
	for (unsigned i = 0; i < count; i++) {
		must((int)disk_read(o.disk, block, sizeof block, i * (TIB / 64), NULL, &err), &err);
		right &= block[0] == i + 1;
	}
	ok(right && o.finals == 1, "they are read from the map, which the last of them finished");
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
	    store_open(&store, backend, index_mem_index(mem), &(struct store_options){ .overlays = OPEN_DISKS }, NULL))
		bail("cannot open a store");
	struct map_root from = dense_map(SOURCE_CHUNKS);
	test_many_copies(200, &from);
	test_many_copies(1500, &from);
	test_interrupted(&from);
	test_longer(&from);
	test_cut_between_parts(&from);
	test_many_disks();
	test_scattered();
	store_close(store);
	index_mem_free(mem);
	return done_testing();
}
