/* SPDX-License-Identifier: Apache-2.0 */
/* domain/gc.h over real stores: what goes, and above all what stays. */
#include "domain/gc.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/rig.h"
#include "../lib/tap.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/num.h"
#include "catalog/ledger_clock.h"
#include "catalog/object_tab.h"
#include "catalog/policy_tab.h"
#include "domain/disks.h"
#include "domain/gc_int.h"

#define HOUR (INT64_C(3600) * 1000000000)

static struct gc_report collect(struct rig *rig)
{
	struct gc_report report;
	struct error err = { 0, "" };
	if (gc_run(rig->service->gc, NULL, NULL, &report, &err) < 0)
		bail("gc_run: %s", err.text);
	return report;
}

static void seeds_from(uint64_t first, uint64_t *ret, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		ret[i] = first + i;
}

static bool is_empty(struct rig *rig)
{
	struct rig_totals t = rig_totals(rig);
	if (t.objects || t.packs || t.files || t.bytes || t.live)
		diag("%llu objects, %llu packs, %llu files, %llu bytes, %llu live", (unsigned long long)t.objects,
		     (unsigned long long)t.packs, (unsigned long long)t.files, (unsigned long long)t.bytes,
		     (unsigned long long)t.live);
	return !t.objects && !t.packs && !t.files && !t.bytes && !t.live;
}

static void test_deleted(void)
{
	struct rig rig;
	uint64_t seeds[40];
	seeds_from(1, seeds, 40);
	rig_make(&rig, "deleted");
	is_int(collect(&rig).objects, 0, "an empty store has no garbage");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE), b = rig_image(&rig, "b", STATE_AVAILABLE);
	rig_write(&rig, a, 0, seeds, 40);
	rig_write(&rig, b, 300, seeds, 20); /* the same chunks, other nodes */
	struct rig_totals before = rig_totals(&rig);
	is_int(collect(&rig).objects, 0, "what is used is kept");
	rig_purge(&rig, a);
	ok(collect(&rig).objects >= 21, "half of the chunks and the map of a go");
	ok(rig_totals(&rig).objects < before.objects && rig_holds(&rig, b, 300, seeds, 20),
	   "b has all it shared with a");
	rig_purge(&rig, b);
	struct gc_report report = collect(&rig);
	ok(report.objects >= 20 && report.packs_removed >= 1, "and when b goes");
	ok(is_empty(&rig), "nothing is left, in the catalog and in the pool");
	rig_close(&rig);
}

/* A quarter of a GiB, of chunks that differ in eight bytes. */
#define MANY 4096u

static void write_chunks(struct disk *disk, uint64_t first, unsigned count)
{
	uint8_t buf[CHUNK_SIZE] = { 0 };
	for (uint64_t i = 0; i < count; i++) {
		put_le64(buf, first + i);
		if (disk_write(disk, buf, sizeof buf, i * CHUNK_SIZE, NULL))
			bail("disk_write");
	}
}

static uint64_t many_chunks(struct rig *rig)
{
	uint64_t node = rig_image(rig, "many", STATE_AVAILABLE);
	struct disk *disk;
	if (disks_get(rig->service->disks, rig_disk_of(rig, node), &disk, NULL))
		bail("disks_get");
	write_chunks(disk, 1, MANY);
	if (disks_fold(rig->service->disks, disk, NULL, NULL))
		bail("disks_fold");
	disks_put(rig->service->disks, &disk);
	return node;
}

static uint64_t commits_of(struct rig *rig)
{
	struct cat_stat stat;
	cat_stat(rig->service->catalog, &stat);
	return stat.commits;
}

struct writing {
	struct rig *rig;
	_Atomic bool stop;
	uint64_t count;
};

static int write_little(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)arg, (void)err;
	return cat_meta_set(txn, "little", "x");
}

static void *write_all_the_time(void *arg)
{
	struct writing *w = arg;
	for (; !w->stop; w->count++)
		if (cat_write(w->rig->service->catalog, write_little, NULL, NULL))
			bail("a write");
	return NULL;
}

/* 128 objects a transaction, 3 parts of a map, made 604 for 4 GiB: a TiB took twenty minutes. */
static void test_few_steps(void)
{
	struct rig rig;
	pthread_t thread;
	rig_make(&rig, "steps");
	uint64_t node = many_chunks(&rig);
	rig_purge(&rig, node);
	uint64_t before = commits_of(&rig);
	ok(collect(&rig).objects > MANY && is_empty(&rig), "many chunks go");
	uint64_t steps = commits_of(&rig) - before;
	ok(steps <= 8, "in few transactions: %llu", (unsigned long long)steps);

	node = many_chunks(&rig);
	rig_purge(&rig, node);
	struct writing writing = { .rig = &rig };
	pthread_create(&thread, NULL, write_all_the_time, &writing);
	ok(collect(&rig).objects > MANY && is_empty(&rig), "they go while others write");
	writing.stop = true;
	pthread_join(thread, NULL);
	ok(writing.count > 0, "and %llu writes of others went on", (unsigned long long)writing.count);
	rig_close(&rig);
}

/* A catalog that can take nothing more: its file may not grow. */
static void test_unmade(void)
{
	struct rig rig;
	struct rlimit limit, low;
	struct stat st;
	struct disk *disk;
	char path[4200];
	unsigned failed = 0;
	rig_make(&rig, "unmade");
	many_chunks(&rig); /* the catalog's file is larger than the pack will be */
	uint64_t node = rig_image(&rig, "more", STATE_AVAILABLE);
	if (disks_get(rig.service->disks, rig_disk_of(&rig, node), &disk, NULL))
		bail("disks_get");
	write_chunks(disk, 1 + MANY, MANY / 2);
	snprintf(path, sizeof path, "%s/catalog/data.mdb", rig.dir);
	if (stat(path, &st) || getrlimit(RLIMIT_FSIZE, &limit))
		bail("stat");
	signal(SIGXFSZ, SIG_IGN);
	low = limit;
	low.rlim_cur = (rlim_t)st.st_size;
	setrlimit(RLIMIT_FSIZE, &low);
	for (unsigned i = 0; i < 12; i++)
		failed += disks_fold(rig.service->disks, disk, NULL, NULL) < 0;
	is_int(failed, 12, "a fold that the catalog has no room for fails, however often");
	struct rig_totals t = rig_totals(&rig);
	is_int(t.files, t.packs, "and leaves no pack behind that nobody knows");
	setrlimit(RLIMIT_FSIZE, &limit);
	ok(disks_fold(rig.service->disks, disk, NULL, NULL) == 0, "when there is room it succeeds");
	disks_put(rig.service->disks, &disk);
	t = rig_totals(&rig);
	ok(t.files == t.packs && t.objects > MANY / 2, "and all of it is there");
	rig_close(&rig);
}

static void test_pinned(void)
{
	struct rig rig;
	uint64_t seeds[10];
	struct disk *disk;
	static uint8_t got[CHUNK_SIZE], want[CHUNK_SIZE];
	seeds_from(100, seeds, 10);
	rig_make(&rig, "pinned");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
	rig_write(&rig, a, 500, seeds, 10); /* two levels */
	if (disks_get(rig.service->disks, rig_disk_of(&rig, a), &disk, NULL) < 0)
		bail("disks_get");
	rig_purge(&rig, a);
	collect(&rig);
	bool same = true;
	for (unsigned i = 0; i < 10; i++) {
		rig_bytes(seeds[i], want);
		same = same && disk_read(disk, got, CHUNK_SIZE, (500 + i) * CHUNK_SIZE, NULL, NULL) == CHUNK_SIZE &&
		       memcmp(got, want, CHUNK_SIZE) == 0;
	}
	ok(same, "a reader of a deleted image reads on");
	disks_put(rig.service->disks, &disk);
	collect(&rig);
	ok(is_empty(&rig), "until it closes");
	rig_close(&rig);
}

static void test_pins_are_counted(void)
{
	struct rig rig;
	uint64_t seed = 7;
	struct disk_row row = { 0 };
	struct cat_txn *txn;
	rig_make(&rig, "pins");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
	rig_write(&rig, a, 0, &seed, 1);
	if (cat_begin(rig.service->catalog, &txn, NULL) < 0 || disk_row_get(txn, rig_disk_of(&rig, a), &row) < 0)
		bail("disk_row_get");
	cat_end(&txn);
	gc_pin(rig.service->gc, 1, &row.root);
	gc_pin(rig.service->gc, 1, &row.root);
	gc_pin(rig.service->gc, 2, &row.root);
	rig_purge(&rig, a);
	gc_unpin(rig.service->gc, 1, &row.root);
	collect(&rig);
	is_int(rig_totals(&rig).objects, 2, "one of two pins is left: root and chunk stay");
	gc_unpin(rig.service->gc, 1, &row.root);
	collect(&rig);
	ok(is_empty(&rig), "a pin in another domain keeps nothing");
	gc_unpin(rig.service->gc, 2, &row.root);
	struct map_root none = { .levels = 1 };
	gc_pin(rig.service->gc, 1, &none);
	gc_unpin(rig.service->gc, 1, &none);
	rig_close(&rig);
}

static void test_compaction(void)
{
	struct rig rig;
	uint64_t seeds[100];
	seeds_from(1000, seeds, 100);
	rig_make(&rig, "compaction");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
	rig_write(&rig, a, 0, seeds, 100);
	seeds_from(5000, seeds, 30);
	rig_write(&rig, a, 0, seeds, 30);
	collect(&rig);
	struct rig_totals t = rig_totals(&rig);
	ok(t.packs == 2 && t.bytes > t.live * 5 / 4, "a pack of which 70 %% live stays as it is");
	seeds_from(6000, seeds, 60);
	rig_write(&rig, a, 0, seeds, 60);
	struct gc_report report = collect(&rig);
	t = rig_totals(&rig);
	ok(report.packs_compacted >= 1, "one of which 40 %% live is written anew");
	ok(t.bytes < t.live * 11 / 10 && t.files == t.packs, "and then there are few dead bytes");
	ok(rig_holds(&rig, a, 0, seeds, 100), "the disk has its bytes");
	rig_close(&rig);
	rig_open(&rig);
	ok(rig_holds(&rig, a, 0, seeds, 100), "also after a restart");
	is_int(collect(&rig).packs_compacted, 0, "nothing is left to do");
	rig_purge(&rig, a);
	collect(&rig);
	ok(is_empty(&rig), "compacted packs go like others");
	rig_close(&rig);
}

/* Words from a short list: shrinks, and more so the longer one looks. */
static void write_words(struct rig *rig, uint64_t node, uint8_t *text, size_t len)
{
	static const char *const words[] = { "server ", "image ", "region ", "kernel ", "boot ", "disk ", "of ", "a " };
	struct disk *disk;
	struct error err;
	uint64_t seed = 42;
	for (size_t at = 0; at < len;)
		for (const char *w = words[test_random(&seed) % 8]; *w && at < len; w++)
			text[at++] = (uint8_t)(*w ^ (test_random(&seed) % 16 == 0));
	if (disks_get(rig->service->disks, rig_disk_of(rig, node), &disk, &err) || disk_write(disk, text, len, 0, &err) ||
	    disks_fold(rig->service->disks, disk, NULL, &err))
		bail("%s", err.text);
	disks_put(rig->service->disks, &disk);
}

static bool reads_words(struct rig *rig, uint64_t node, const uint8_t *text, size_t len)
{
	struct disk *disk;
	struct error err;
	uint8_t *got = malloc(len);
	if (!got || disks_get(rig->service->disks, rig_disk_of(rig, node), &disk, &err))
		bail("%s", err.text);
	bool same = disk_read(disk, got, len, 0, NULL, &err) == (ssize_t)len && memcmp(got, text, len) == 0;
	disks_put(rig->service->disks, &disk);
	free(got);
	return same;
}

/* Where the chunks of a disk lie in their pack: the rank of each. */
static void ranks_of(struct rig *rig, uint64_t node, unsigned count, unsigned *ret)
{
	struct disk_row row;
	struct cat_txn *txn;
	struct error err;
	uint32_t offsets[64];
	if (cat_begin(rig->service->catalog, &txn, &err) || disk_row_get(txn, rig_disk_of(rig, node), &row))
		bail("no disk");
	for (unsigned i = 0; i < count; i++) {
		struct object_row object;
		struct object h;
		if (map_find(rig->service->store, row.domain, &row.root, i, &h, &err) || object_get(txn, h.domain, &h.hash, &object))
			bail("no chunk %u", i);
		offsets[i] = object.place.offset;
	}
	cat_end(&txn);
	for (unsigned i = 0; i < count; i++) {
		ret[i] = 0;
		for (unsigned k = 0; k < count; k++)
			ret[i] += offsets[k] < offsets[i];
	}
}

static void test_squeeze(void)
{
	enum { LEN = 40 * CHUNK_SIZE };
	struct rig rig;
	struct gc_report report;
	struct error err;
	uint8_t *text = malloc(LEN);
	rig_make(&rig, "squeeze");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
	write_words(&rig, a, text, LEN);
	collect(&rig);
	unsigned ranks[40], ranks_after[40];
	ranks_of(&rig, a, 40, ranks);
	struct rig_totals before = rig_totals(&rig);
	is_int(gc_squeeze(rig.service->gc, NULL, NULL, &report, &err), 0, "packs are compressed harder");
	struct rig_totals after = rig_totals(&rig);
	ok(report.packs_compacted == before.packs && after.packs == before.packs && after.files == after.packs, "each once");
	ranks_of(&rig, a, 40, ranks_after);
	ok(memcmp(ranks, ranks_after, sizeof ranks) == 0, "in the order in which they were written, which is that of reading");
	ok(after.bytes < before.bytes * 97 / 100 && after.objects == before.objects, "they take less: %llu for %llu bytes",
	   (unsigned long long)after.bytes, (unsigned long long)before.bytes);
	is_int(gc_squeeze(rig.service->gc, NULL, NULL, &report, &err), 0, "again");
	is_int(report.packs_compacted, 0, "there is nothing left to do");
	rig_close(&rig);
	rig_open(&rig);
	ok(reads_words(&rig, a, text, LEN), "and the disk has its bytes");
	rig_close(&rig);
	free(text);
}

/* Compressing takes long, and meanwhile what the pack has may go, and the pack with it: that is no damage. */
static void test_pack_that_went(void)
{
	struct rig rig;
	struct error err = { 0, "" };
	struct gc_report report = { 0 };
	struct pack_row row;
	struct cat_txn *txn;
	uint64_t seeds[8];
	uint32_t after = 0;
	seeds_from(3000, seeds, 8);
	rig_make(&rig, "went");
	struct gc_work w = { rig.service->gc, rig.service, &report, NULL, NULL, true };
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE), b = rig_image(&rig, "b", STATE_AVAILABLE);
	rig_write(&rig, a, 0, seeds, 4);
	rig_write(&rig, b, 0, seeds + 4, 4);
	if (cat_begin(rig.service->catalog, &txn, &err) || pack_row_get(txn, 1, &row))
		bail("pack 1: %s", err.text);
	cat_end(&txn);
	rig_purge(&rig, a);
	collect(&rig);
	is_int(gc_rewrite(&w, &row, 1, 15, &err), 0, "a pack that went before it was read");
	ok(!gc_is_bad(rig.service->gc, 1), "is not told to be damaged");
	is_int(gc_squeeze_one(&w, &after, &err), 1, "the next is compressed harder, on idle processors");
	ok(rig_totals(&rig).packs == 1 && rig_holds(&rig, b, 0, seeds + 4, 4), "and its disk has its bytes");
	rig_close(&rig);
}

static bool has_sum(struct rig *rig, uint64_t node, const uint8_t *text, size_t len)
{
	struct cat_txn *txn;
	struct disk_row row;
	struct error err;
	struct hash want;
	hash_of(text, len, &want);
	if (cat_begin(rig->service->catalog, &txn, &err))
		bail("%s", err.text);
	int r = disk_row_get(txn, rig_disk_of(rig, node), &row);
	cat_end(&txn);
	return r == 0 && row.has_sha && hash_equal(&row.sha256, &want);
}

static void test_sum(void)
{
	enum { LEN = 30 * CHUNK_SIZE };
	struct rig rig;
	struct error err;
	uint64_t after = 0;
	uint8_t *text = malloc(LEN);
	rig_make(&rig, "sum");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
	uint64_t b = rig_image(&rig, "b", STATE_AVAILABLE);
	write_words(&rig, a, text, LEN);
	write_words(&rig, b, text, LEN);
	struct image sealed = rig_row(&rig, a);
	sealed.used = true;
	rig_change(&rig, &sealed);
	struct gc_report report = { 0 };
	struct gc_work w = { rig.service->gc, rig.service, &report, NULL, NULL, true };
	is_int(gc_sum_one(&w, &after, &err), 1, "a sealed disk is summed");
	ok(has_sum(&rig, a, text, LEN), "rightly");
	is_int(gc_sum_one(&w, &after, &err), 0, "one that may still change is not");
	after = 0;
	is_int(gc_sum_one(&w, &after, &err), 0, "and none twice");
	rig_close(&rig);
	free(text);
}

static void test_small_packs(void)
{
	struct rig rig;
	uint64_t seeds[20];
	seeds_from(2000, seeds, 20);
	rig_make(&rig, "small");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
	for (unsigned i = 0; i < 15; i++)
		rig_write(&rig, a, i, seeds + i, 1);
	collect(&rig);
	ok(rig_totals(&rig).packs >= 15, "a few small packs are left in peace");
	for (unsigned i = 15; i < 20; i++)
		rig_write(&rig, a, i, seeds + i, 1);
	collect(&rig);
	is_int(rig_totals(&rig).packs, 1, "many become one");
	is_int(rig_totals(&rig).files, 1, "in the pool too");
	ok(rig_holds(&rig, a, 0, seeds, 20), "and nothing is lost");
	rig_close(&rig);
}

static void test_tiny_frames(void)
{
	struct rig rig;
	static uint8_t buf[CHUNK_SIZE];
	struct disk *disk;
	rig_make(&rig, "tiny");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
	if (disks_get(rig.service->disks, rig_disk_of(&rig, a), &disk, NULL) < 0)
		bail("disks_get");
	for (unsigned i = 0; i < 200; i++) {
		memset(buf, 1 + (int)i, sizeof buf);
		if (disk_write(disk, buf, sizeof buf, i * (uint64_t)CHUNK_SIZE, NULL) < 0)
			bail("disk_write");
	}
	if (disks_fold(rig.service->disks, disk, NULL, NULL) < 0)
		bail("disks_fold");
	disks_put(rig.service->disks, &disk);
	is_int(collect(&rig).packs_compacted, 0, "a pack that is mostly index is not compacted for ever");
	rig_close(&rig);
}

/* ---- damage */

/* Where the object of that kind lies that has the smallest key. */
static struct place first_place(struct rig *rig, enum object_kind kind)
{
	struct cat_txn *txn;
	uint8_t cursor[32] = { 0 };
	struct loose one;
	if (cat_begin(rig->service->catalog, &txn, NULL) < 0)
		bail("cat_begin");
	do {
		if (object_each(txn, cursor, &one, 1) != 1)
			bail("there is no such object");
	} while (one.row.place.kind != kind);
	cat_end(&txn);
	return one.row.place;
}

static struct place place_of_seed(struct rig *rig, uint64_t seed)
{
	static uint8_t buf[CHUNK_SIZE];
	struct cat_txn *txn;
	struct object_row row;
	struct hash hash;
	rig_bytes(seed, buf);
	hash_of(buf, sizeof buf, &hash);
	if (cat_begin(rig->service->catalog, &txn, NULL) < 0 || object_get(txn, 1, &hash, &row) < 0)
		bail("the chunk of seed %llu is not there", (unsigned long long)seed);
	cat_end(&txn);
	return row.place;
}

static void test_damaged_frame(void)
{
	struct rig rig;
	uint64_t seeds[50], others[30];
	seeds_from(3000, seeds, 50);
	seeds_from(4000, others, 30);
	rig_make(&rig, "frame");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
	rig_write(&rig, a, 0, seeds, 50);
	rig_write(&rig, a, 0, others, 30);
	struct place place = place_of_seed(&rig, 3035);
	rig_flip(&rig, place.pack, place.offset + place.length / 2);
	is_int(collect(&rig).packs_compacted, 0, "a pack with a damaged live frame is not compacted");
	ok(rig_holds(&rig, a, 36, seeds + 36, 14), "what is whole in it can be read");
	unsigned moved = 0;
	for (unsigned i = 3030; i < 3050; i++)
		moved += place_of_seed(&rig, i).pack != place.pack;
	is_int(moved, 0, "where it was");
	is_int(collect(&rig).packs_compacted, 0, "it is left alone from then on");
	ok(gc_is_bad(rig.service->gc, place.pack), "the thread does not try it again for a while");
	rig_flip(&rig, place.pack, place.offset + place.length / 2);
	is_int(collect(&rig).packs_compacted, 1, "the same pack without the damage is compacted, in the same daemon");
	ok(rig_holds(&rig, a, 30, seeds + 30, 20), "with all that was in it");
	rig_close(&rig);
}

static void test_damaged_index(void)
{
	struct rig rig;
	uint64_t seeds[50];
	seeds_from(3000, seeds, 50);
	rig_make(&rig, "index");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
	rig_write(&rig, a, 0, seeds, 50);
	seeds_from(4000, seeds, 30);
	rig_write(&rig, a, 0, seeds, 30);
	rig_flip(&rig, 1, -100);
	is_int(collect(&rig).packs_compacted, 0, "a pack with a damaged index is not compacted");
	seeds_from(3000, seeds, 50);
	ok(rig_holds(&rig, a, 30, seeds + 30, 20), "and is still read from");
	rig_purge(&rig, a);
	collect(&rig);
	ok(is_empty(&rig), "but once nothing in it lives, it goes");
	rig_close(&rig);
}

static void test_damaged_node(void)
{
	struct rig rig;
	uint64_t seeds[5], other[5];
	seeds_from(1, seeds, 5);
	seeds_from(11, other, 5);
	rig_make(&rig, "node");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE), b = rig_image(&rig, "b", STATE_AVAILABLE);
	rig_write(&rig, a, 0, seeds, 5);
	struct place place = first_place(&rig, OBJECT_NODE);
	rig_write(&rig, b, 0, other, 5);
	rig_flip(&rig, place.pack, place.offset + place.length - 3);
	rig_close(&rig);
	rig_open(&rig); /* so that no cache has the node */
	rig_purge(&rig, a);
	collect(&rig);
	is_int(rig_totals(&rig).objects, 12, "a loose node that can't be read is kept, and what it may name");
	rig_purge(&rig, b);
	collect(&rig);
	is_int(rig_totals(&rig).objects, 6, "and does not keep others from going");
	rig_flip(&rig, place.pack, place.offset + place.length - 3);
	collect(&rig);
	ok(is_empty(&rig), "when it can be read again it goes, in the same daemon");
	rig_close(&rig);
}

/* A pool whose next reads fail. */
static struct {
	const struct backend_ops *real;
	struct backend_ops ops;
	int errors, code;
} moody;

static int read_moody(struct backend *b, const char *name, void *buf, size_t len, uint64_t offset, struct error *err)
{
	if (moody.errors > 0 && moody.errors--)
		return fail(err, moody.code, "not now");
	return moody.real->read(b, name, buf, len, offset, err);
}

static void test_transient(void)
{
	struct rig rig;
	uint64_t seed = 5;
	const int codes[] = { -ENOMEM, -EIO };
	rig_make(&rig, "transient");
	for (unsigned i = 0; i < 2; i++) {
		uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
		rig_write(&rig, a, 0, &seed, 1);
		rig_close(&rig);
		rig_open(&rig); /* so that no cache has the node */
		moody.real = rig.service->store->backend->ops;
		moody.ops = *moody.real;
		moody.ops.read = read_moody;
		rig.service->store->backend->ops = &moody.ops;
		struct gc_report report = { 0 };
		struct gc_work w = { rig.service->gc, rig.service, &report, NULL, NULL, false };
		rig_purge(&rig, a);
		moody.errors = 2;
		moody.code = codes[i];
		is_int(gc_loose(&w, NULL), 0, "a node cannot be read now (%s)", strerror(-codes[i]));
		moody.errors = 0;
		is_int(gc_loose(&w, NULL), 0, "the next run");
		is_int(rig_totals(&rig).objects, 0, "takes it and what it names");
		rig.service->store->backend->ops = moody.real;
		collect(&rig);
	}
	rig_close(&rig);
}

/* ---- leftovers */

static void leave(struct rig *rig, const char *name)
{
	char path[4500];
	snprintf(path, sizeof path, "%s/%s", rig->dir, name);
	if (io_write_file(path, "left", 4, 0600, NULL) < 0)
		bail("%s cannot be written", path);
}

static bool there(struct rig *rig, const char *name)
{
	char path[4500];
	snprintf(path, sizeof path, "%s/%s", rig->dir, name);
	return access(path, F_OK) == 0;
}

static void test_orphans(void)
{
	struct rig rig;
	uint64_t seed = 5;
	char kept[60], folder[4500];
	rig_make(&rig, "orphans");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE), gone = rig_image(&rig, "gone", STATE_AVAILABLE);
	uint64_t gone_disk = rig_disk_of(&rig, gone);
	rig_write(&rig, a, 0, &seed, 1);
	rig_purge(&rig, gone);
	snprintf(kept, sizeof kept, "overlay/%llu.data", (unsigned long long)rig_disk_of(&rig, a));
	rig_close(&rig);
	snprintf(folder, sizeof folder, "%s/pool/07", rig.dir);
	if (io_make_dir(folder, 0700, NULL) < 0)
		bail("mkdir");
	leave(&rig, "pool/07/pack-00000007");
	leave(&rig, "overlay/notes.txt");
	char path[60];
	const char *const kinds[] = { "data", "bits", "splice" };
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "overlay/%llu.%s", (unsigned long long)gone_disk, kinds[i]);
		leave(&rig, path);
	}
	leave(&rig, kept);
	leave(&rig, "overlay/999.data");
	rig_open(&rig);
	uint64_t seed2 = 6;
	rig_write(&rig, rig_image(&rig, "new", STATE_AVAILABLE), 0, &seed2, 1);
	collect(&rig);
	ok(!there(&rig, "pool/07/pack-00000007"), "a pack that no row knows goes");
	ok(rig_totals(&rig).files == 2, "packs that rows know stay, also new ones");
	bool none = true;
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "overlay/%llu.%s", (unsigned long long)gone_disk, kinds[i]);
		none = none && !there(&rig, path);
	}
	ok(none, "overlay files of a disk that is gone go");
	ok(there(&rig, kept), "those of one that is there stay");
	ok(there(&rig, "overlay/999.data"), "numbers that were never given out may just be coming: they stay");
	ok(there(&rig, "overlay/notes.txt"), "what is none of ours is not touched");
	leave(&rig, "pool/07/pack-00000007");
	collect(&rig);
	ok(there(&rig, "pool/07/pack-00000007"), "only once, at the begin");
	rig_close(&rig);
}

/* ---- rows */

struct policy {
	const char *name, *value;
};

static int put_policy(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct policy *p = arg;
	(void)err;
	return policy_row_put(txn, 1, 0, p->name, p->value);
}

static void set_policy(struct rig *rig, const char *name, const char *value)
{
	struct policy p = { name, value };
	if (cat_write(rig->service->catalog, put_policy, &p, NULL) < 0)
		bail("policy_row_put");
}

/* The machine's clocks: that of the calendar, and that which nobody sets. */
static struct clock_reading hands = { .real = INT64_C(1800000000) * 1000000000, .boot = HOUR, .boot_id = "one" };

static void read_hands(void *ctx, struct clock_reading *ret) { *ret = *(struct clock_reading *)ctx; }

static void tick(struct rig *rig)
{
	if (ledger_tick(rig->service->catalog, NULL))
		bail("ledger_tick");
}

static void make_with_clock(struct rig *rig, const char *name)
{
	rig_make(rig, name);
	catalog_set_clock(rig->service->catalog, &(struct clock_source){ read_hands, &hands });
	tick(rig);
}

static void go(int64_t hours)
{
	hands.real += hours * HOUR;
	hands.boot += hours * HOUR;
}

static uint64_t in_trash(struct rig *rig, const char *name)
{
	uint64_t node = rig_image(rig, name, STATE_AVAILABLE);
	struct image i = rig_row(rig, node);
	i.shelf.trash = true;
	i.state = STATE_TRASHED;
	i.trashed = hands.real;
	rig_change(rig, &i);
	return node;
}

static unsigned entries_told;

static void count_entry(void *ctx, struct seers seers, uint64_t parent, const char *name)
{
	(void)ctx, (void)seers, (void)parent, (void)name;
	entries_told++;
}

static void test_trash(void)
{
	struct rig rig;
	uint64_t seeds[3] = { 1, 2, 3 };
	make_with_clock(&rig, "trash");
	rig.service->events.entry = count_entry;
	uint64_t over = in_trash(&rig, "over"), shown = rig_image(&rig, "shown", STATE_AVAILABLE);
	rig_write(&rig, over, 0, seeds, 3);
	go(2);
	uint64_t old = in_trash(&rig, "old");
	go(7 * 24 - 1);
	uint64_t fresh = in_trash(&rig, "fresh");
	struct gc_report report = collect(&rig);
	is_int(report.images_purged, 1, "one is over its seven days");
	ok(rig_row(&rig, fresh).node && rig_row(&rig, old).node && rig_row(&rig, shown).node, "others stay");
	ok(!rig_row(&rig, over).node && is_empty(&rig), "it is gone, and its bytes in the same run");
	ok(entries_told > 0, "whoever shows the trash is told");
	set_policy(&rig, "trash-days", "2");
	is_int(collect(&rig).images_purged, 1, "the account's policy counts");
	set_policy(&rig, "trash-days", "0");
	is_int(collect(&rig).images_purged, 1, "no days at all");
	ok(rig_row(&rig, shown).node, "what is not in the trash is never purged");
	for (unsigned i = 0; i < 150; i++) {
		char name[20];
		snprintf(name, sizeof name, "many-%u", i);
		in_trash(&rig, name);
	}
	is_int(collect(&rig).images_purged, 150, "many at once");
	rig_close(&rig);
}

static uint64_t unfinished(struct rig *rig, const char *name)
{
	uint64_t node = rig_image(rig, name, STATE_PENDING);
	struct image i = rig_row(rig, node);
	i.changed = hands.real;
	rig_change(rig, &i);
	return node;
}

static void test_pending(void)
{
	struct rig rig;
	struct disk *disk;
	make_with_clock(&rig, "pending");
	uint64_t busy = unfinished(&rig, "busy"), old = unfinished(&rig, "old");
	go(2);
	uint64_t young = unfinished(&rig, "young");
	go(23);
	if (disks_get(rig.service->disks, rig_disk_of(&rig, busy), &disk, NULL) < 0)
		bail("disks_get");
	set_policy(&rig, "pending-hours", "none");
	collect(&rig);
	ok(!rig_row(&rig, old).shelf.trash, "policy \"none\": never");
	set_policy(&rig, "pending-hours", "24");
	collect(&rig);
	ok(rig_row(&rig, old).shelf.trash, "an upload that nobody finished goes to the trash");
	ok(rig_row(&rig, old).state == STATE_TRASHED && rig_row(&rig, old).state_before_trash == STATE_PENDING,
	   "as any image");
	ok(!rig_row(&rig, young).shelf.trash, "a young one doesn't");
	ok(!rig_row(&rig, busy).shelf.trash, "one that is being written doesn't");
	disks_put(rig.service->disks, &disk);
	collect(&rig);
	ok(rig_row(&rig, busy).shelf.trash, "until it is closed");
	rig_close(&rig);
}

/* Only time in which the machine ran counts, whatever the calendar says. */
static void test_wrong_clocks(void)
{
	struct rig rig;
	make_with_clock(&rig, "clocks");
	uint64_t gone = in_trash(&rig, "gone"), half = unfinished(&rig, "half");
	hands.real += 400 * 24 * HOUR;
	go(1);
	is_int(collect(&rig).images_purged, 0, "a clock that is 400 days ahead empties no trash");
	ok(!rig_row(&rig, half).shelf.trash, "and gives up no upload");
	uint64_t ahead = in_trash(&rig, "ahead");
	hands.real -= 400 * 24 * HOUR;
	go(7 * 24 - 2);
	is_int(collect(&rig).images_purged, 0, "set right again, nothing is early");
	go(1);
	is_int(collect(&rig).images_purged, 1, "nothing is late");
	ok(!rig_row(&rig, gone).node, "the first that went into the trash is gone after its seven days");
	go(1);
	is_int(collect(&rig).images_purged, 1, "and so is what went there while the clock was ahead");
	ok(!rig_row(&rig, ahead).node, "after its own");
	in_trash(&rig, "last");
	tick(&rig);
	hands.real += 400 * 24 * HOUR;
	hands.boot = HOUR;
	snprintf(hands.boot_id, sizeof hands.boot_id, "two");
	tick(&rig);
	is_int(collect(&rig).images_purged, 0, "a machine that comes up 400 days later has not lived them");
	go(7 * 24);
	is_int(collect(&rig).images_purged, 2, "after seven days with it on all is gone, the upload too");
	rig_close(&rig);
}

/* ---- the thread, and everything at once */

static void *collect_once(void *arg)
{
	collect(arg);
	return NULL;
}

static void test_hold(void)
{
	struct rig rig;
	pthread_t thread;
	uint64_t seeds[3] = { 1, 2, 3 };
	rig_make(&rig, "hold");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
	rig_write(&rig, a, 0, seeds, 3);
	rig_purge(&rig, a);
	gc_hold(rig.service->gc);
	gc_hold(rig.service->gc);
	pthread_create(&thread, NULL, collect_once, &rig);
	gc_release(rig.service->gc);
	usleep(100000);
	is_int(rig_totals(&rig).objects, 4, "nothing goes while somebody holds");
	gc_release(rig.service->gc);
	pthread_join(thread, NULL);
	ok(is_empty(&rig), "and all goes after the last one released");
	rig_close(&rig);
}

struct holder {
	struct gc *gc;
	_Atomic bool holds;
};

static void *hold_it(void *arg)
{
	struct holder *h = arg;
	gc_hold(h->gc);
	h->holds = true;
	gc_release(h->gc);
	return NULL;
}

/* The thread that collects and the one that squeezes are in a step at the same time. */
static void test_hold_waits_for_all(void)
{
	struct rig rig;
	pthread_t thread;
	rig_make(&rig, "two-steps");
	struct holder h = { .gc = rig.service->gc };
	bool both = gc_step_begin(h.gc) && gc_step_begin(h.gc);
	pthread_create(&thread, NULL, hold_it, &h);
	gc_step_end(h.gc);
	usleep(50000);
	ok(both && !h.holds, "who holds the collector waits for all steps that are under way");
	gc_step_end(h.gc);
	pthread_join(thread, NULL);
	ok(h.holds, "and then has it");
	rig_close(&rig);
}

static void test_thread(void)
{
	struct rig rig;
	uint64_t seeds[3] = { 1, 2, 3 };
	rig_make(&rig, "thread");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
	rig_write(&rig, a, 0, seeds, 3);
	gc_start(rig.service->gc);
	usleep(50000);
	rig_purge(&rig, a);
	for (unsigned i = 0; i < 60 && rig_totals(&rig).files; i++)
		usleep(50000);
	ok(is_empty(&rig), "the thread is woken and collects");
	int64_t start = clock_mono();
	rig_close(&rig);
	ok(clock_mono() - start < INT64_C(2000000000), "and stops when it is told to");
}

#define WRITERS 3u
#define DISK_CHUNKS 40u
#define ROUNDS 25u

struct writer {
	struct rig *rig;
	unsigned no;
	uint64_t node, seeds[DISK_CHUNKS], random;
	bool good;
};

/* Few different seeds: the same chunks come and go on all disks all the time. */
static void *write_about(void *arg)
{
	struct writer *w = arg;
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned first = (unsigned)(test_random(&w->random) % DISK_CHUNKS);
		unsigned count = 1 + (unsigned)(test_random(&w->random) % (DISK_CHUNKS - first));
		if (round % 8 == 7) {
			char name[40];
			rig_purge(w->rig, w->node);
			snprintf(name, sizeof name, "w%u-%u", w->no, round);
			w->node = rig_image(w->rig, name, STATE_AVAILABLE);
			memset(w->seeds, 0, sizeof w->seeds);
			first = 0, count = DISK_CHUNKS;
		}
		for (unsigned i = 0; i < count; i++)
			w->seeds[first + i] = test_random(&w->random) % 30;
		rig_write(w->rig, w->node, first, w->seeds + first, count);
		w->good = w->good && rig_holds(w->rig, w->node, 0, w->seeds, DISK_CHUNKS);
	}
	return NULL;
}

static _Atomic bool writing;

static void *collect_about(void *arg)
{
	while (writing)
		collect(arg);
	return NULL;
}

static void test_all_at_once(void)
{
	struct rig rig;
	pthread_t threads[WRITERS], collector;
	static struct writer writers[WRITERS];
	uint64_t seed = test_seed();
	bool good = true;
	rig_make(&rig, "busy");
	writing = true;
	for (unsigned i = 0; i < WRITERS; i++) {
		char name[40];
		snprintf(name, sizeof name, "w%u", i);
		writers[i] = (struct writer){ .rig = &rig, .no = i, .random = seed + i, .good = true };
		writers[i].node = rig_image(&rig, name, STATE_AVAILABLE);
		uint64_t zeros[DISK_CHUNKS] = { 0 };
		rig_write(&rig, writers[i].node, 0, zeros, DISK_CHUNKS);
		pthread_create(&threads[i], NULL, write_about, &writers[i]);
	}
	pthread_create(&collector, NULL, collect_about, &rig);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	writing = false;
	pthread_join(collector, NULL);
	for (unsigned i = 0; i < WRITERS; i++)
		good = good && writers[i].good &&
		       rig_holds(&rig, writers[i].node, 0, writers[i].seeds, DISK_CHUNKS);
	ok(good, "disks are written, deleted and collected at the same time, and every byte is right");
	for (unsigned i = 0; i < WRITERS; i++)
		rig_purge(&rig, writers[i].node);
	collect(&rig);
	ok(is_empty(&rig), "and in the end nothing is left over");
	rig_close(&rig);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	test_deleted();
	test_few_steps();
	test_unmade();
	test_pinned();
	test_pins_are_counted();
	test_compaction();
	test_squeeze();
	test_pack_that_went();
	test_sum();
	test_small_packs();
	test_tiny_frames();
	test_damaged_frame();
	test_damaged_index();
	test_damaged_node();
	test_transient();
	test_orphans();
	test_trash();
	test_pending();
	test_wrong_clocks();
	test_hold();
	test_hold_waits_for_all();
	test_thread();
	test_all_at_once();
	return done_testing();
}
