/* SPDX-License-Identifier: Apache-2.0 */
/* Who pays, over real stores: the first who brings an object, and the oldest who has it when that one is gone; what all pay for is always
 * what is stored, whatever is written, copied, deleted, collected, compressed harder and claimed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/rig.h"
#include "../lib/tap.h"
#include "catalog/meter_tab.h"
#include "catalog/object_tab.h"
#include "domain/check.h"
#include "domain/disks.h"
#include "domain/gc.h"
#include "domain/gc_int.h"
#include "domain/measure.h"

#define IMAGES 8u
#define CHUNKS 40u
#define SEEDS 30u

static char said[4000];

static void note(void *ctx, const char *sentence)
{
	(void)ctx;
	size_t len = strlen(said);
	snprintf(said + len, sizeof said - len, "%s\n", sentence);
}

static void collect(struct rig *rig)
{
	struct error err = { 0, "" };
	if (gc_run(rig->service->gc, NULL, NULL, NULL, &err))
		bail("gc_run: %s", err.text);
}

/* check compares all meters with all objects, and with the packs. */
static bool is_right(struct rig *rig)
{
	struct check_options options = { .problem = note };
	struct check_report report;
	struct error err = { 0, "" };
	said[0] = 0;
	if (check_run(rig->service, &options, &report, &err))
		bail("check_run: %s", err.text);
	if (report.problems)
		diag("%s", said);
	return report.problems == 0;
}

static struct meter meter_of(struct rig *rig, uint64_t disk)
{
	struct cat_txn *txn;
	struct meter m;
	if (cat_begin(rig->service->catalog, &txn, NULL))
		bail("cat_begin");
	if (meter_get(txn, disk, &m))
		m = (struct meter){ .disk = 0 };
	cat_end(&txn);
	return m;
}

static int sum_gone(void *ctx, const struct meter *m)
{
	*(uint64_t *)ctx += m->gone ? m->bytes : 0;
	return 0;
}

static uint64_t paid_by_the_dead(struct rig *rig)
{
	struct cat_txn *txn;
	uint64_t sum = 0;
	if (cat_begin(rig->service->catalog, &txn, NULL) || meter_each(txn, 0, sum_gone, &sum))
		bail("meter_each");
	cat_end(&txn);
	return sum;
}

/* The disk of `to` becomes that of `from`, as it does when an instance is started. */
struct sharing {
	uint64_t from, to;
};

static int share_map(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct sharing *s = arg;
	struct disk_row from, to;
	(void)err;
	int r = disk_row_get(txn, s->from, &from);
	if (!r)
		r = disk_row_get(txn, s->to, &to);
	if (r)
		return r;
	to.root = from.root;
	to.size = from.size;
	if (!hash_is_none(&from.root.hash))
		r = object_ref(txn, from.domain, &from.root.hash);
	return r ? r : disk_row_put(txn, &to);
}

static uint64_t copy_of(struct rig *rig, uint64_t image, const char *name)
{
	struct error err = { 0, "" };
	uint64_t node = rig_image(rig, name, STATE_AVAILABLE);
	struct sharing s = { rig_disk_of(rig, image), rig_disk_of(rig, node) };
	if (cat_write(rig->service->catalog, share_map, &s, &err))
		bail("share_map: %s", err.text);
	return node;
}

/* ---- the rule ---- */

static void seeds_from(uint64_t first, uint64_t *ret, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		ret[i] = first + i;
}

static void test_rule(void)
{
	struct rig rig;
	uint64_t seeds[12];
	rig_make(&rig, "rule");
	seeds_from(100, seeds, 12);
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE), b = rig_image(&rig, "b", STATE_AVAILABLE);
	uint64_t da = rig_disk_of(&rig, a), db = rig_disk_of(&rig, b);
	rig_write(&rig, a, 0, seeds, 10);
	uint64_t alone = meter_of(&rig, da).bytes;
	ok(alone > 10 * CHUNK_SIZE, "who brings bytes pays for them");
	rig_write(&rig, b, 0, seeds + 2, 10);
	uint64_t more = meter_of(&rig, db).bytes;
	ok(more > 2 * CHUNK_SIZE && more < 3 * CHUNK_SIZE, "who brings them again pays for what is new");
	uint64_t c = copy_of(&rig, a, "c"), d = copy_of(&rig, a, "d");
	is_int(meter_of(&rig, rig_disk_of(&rig, c)).bytes, 0, "a copy costs nothing");
	ok(is_right(&rig), "all bills together are what is stored");
	rig_purge(&rig, a);
	struct meter gone = meter_of(&rig, da);
	ok(gone.gone && gone.bytes == alone && !strcmp(gone.name, "a"), "who is deleted pays on");
	collect(&rig);
	is_int(meter_of(&rig, da).bytes, 0, "until what is still used is found");
	ok(meter_of(&rig, db).bytes >= more + 8 * CHUNK_SIZE, "the oldest who has it pays for it now");
	ok(meter_of(&rig, rig_disk_of(&rig, c)).bytes > 2 * CHUNK_SIZE, "what only a copy has is the oldest copy's");
	is_int(meter_of(&rig, rig_disk_of(&rig, d)).bytes, 0, "and not the younger one's");
	ok(is_right(&rig), "all bills together are what is stored");
	rig_purge(&rig, b);
	rig_purge(&rig, c);
	rig_purge(&rig, d);
	collect(&rig);
	struct rig_totals t = rig_totals(&rig);
	ok(t.live == 0 && paid_by_the_dead(&rig) == 0, "when all are deleted nobody pays for anything");
	ok(is_right(&rig), "and nothing is stored");
	rig_close(&rig);
}

/* ---- overlays ---- */

static void write_unfolded(struct rig *rig, uint64_t image, unsigned chunks)
{
	uint8_t buf[CHUNK_SIZE];
	struct disk *disk;
	struct error err = { 0, "" };
	if (disks_get(rig->service->disks, rig_disk_of(rig, image), &disk, &err))
		bail("disks_get: %s", err.text);
	for (unsigned i = 0; i < chunks; i++) {
		rig_bytes(1000 + i, buf);
		/* Not whole: nothing is absorbed on the way. */
		if (disk_write(disk, buf, CHUNK_SIZE / 2, (uint64_t)i * CHUNK_SIZE, &err))
			bail("disk_write: %s", err.text);
	}
	disks_put(rig->service->disks, &disk);
}

static void measure(struct rig *rig)
{
	struct error err = { 0, "" };
	if (measure_overlays(rig->service, &err))
		bail("measure_overlays: %s", err.text);
}

static uint64_t commits(struct rig *rig)
{
	struct cat_stat stat;
	cat_stat(rig->service->catalog, &stat);
	return stat.commits;
}

static void test_overlays(void)
{
	struct rig rig;
	struct error err = { 0, "" };
	struct disk *disk;
	uint64_t seed = 5;
	rig_make(&rig, "overlays");
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE), b = rig_image(&rig, "b", STATE_AVAILABLE);
	uint64_t da = rig_disk_of(&rig, a), db = rig_disk_of(&rig, b);
	write_unfolded(&rig, a, 8);
	is_int(meter_of(&rig, da).written, 0, "what is written is not measured at once");
	measure(&rig);
	struct meter m = meter_of(&rig, da);
	ok(m.written >= 8 * CHUNK_SIZE / 2 && m.bytes == 0, "but when it is, on its disk's meter");
	uint64_t before = commits(&rig);
	measure(&rig);
	is_int(commits(&rig) - before, 0, "nothing is written when nothing changed");
	write_unfolded(&rig, b, 4);
	rig_close(&rig);
	rig_open(&rig);
	ok(meter_of(&rig, db).written >= 4 * CHUNK_SIZE / 2, "a service that is closed has measured all");
	is_int(disks_get(rig.service->disks, da, &disk, &err), 0, "a disk");
	is_int(disks_fold(rig.service->disks, disk, NULL, &err), 0, "is folded");
	disks_put(rig.service->disks, &disk);
	m = meter_of(&rig, da);
	ok(m.written == 0 && m.bytes > 0, "its bytes are in the pool, and nowhere else");
	ok(is_right(&rig), "all is right");
	rig_purge(&rig, b);
	measure(&rig);
	is_int(meter_of(&rig, db).written, 0, "the overlay of a disk that is deleted is nobody's when it is gone");
	rig_write(&rig, a, 0, &seed, 1);
	is_int(meter_of(&rig, da).written, 0, "one that was folded takes nothing");
	ok(is_right(&rig), "all is right in the end");
	rig_close(&rig);
}

/* ---- a pass that changes nothing, or is not to be made ---- */

static void test_pass(void)
{
	struct rig rig;
	uint64_t seeds[4];
	struct gc_report report = { 0 };
	struct claim_pass last = { 0, 0 };
	struct disk *disk;
	struct error err = { 0, "" };
	rig_make(&rig, "pass");
	struct gc_work w = { rig.service->gc, rig.service, &report, NULL, NULL, false };
	seeds_from(7, seeds, 4);
	uint64_t a = rig_image(&rig, "a", STATE_AVAILABLE);
	rig_write(&rig, a, 0, seeds, 4);
	uint64_t da = rig_disk_of(&rig, a);
	is_int(disks_get(rig.service->disks, da, &disk, &err), 0, "somebody reads it");
	rig_purge(&rig, a);
	collect(&rig);
	ok(meter_of(&rig, da).bytes > 4 * CHUNK_SIZE, "what a deleted disk is read from is paid for by it");
	is_int(gc_claim(&w, &last, &err), 0, "there is nobody to claim it");
	ok(last.left == meter_of(&rig, da).bytes, "which is remembered");
	uint64_t b = rig_image(&rig, "b", STATE_AVAILABLE);
	rig_write(&rig, b, 0, seeds, 4);
	ok(meter_of(&rig, rig_disk_of(&rig, b)).bytes < CHUNK_SIZE, "one who brings the same bytes does not pay for them while they are there");
	is_int(gc_claim(&w, NULL, &err), 0, "a new pass");
	ok(meter_of(&rig, rig_disk_of(&rig, b)).bytes > 4 * CHUNK_SIZE, "finds who uses them now");
	disks_put(rig.service->disks, &disk);
	collect(&rig);
	ok(is_right(&rig) && paid_by_the_dead(&rig) == 0, "all is right when nobody reads it any more");
	rig_close(&rig);
}

/* ---- whatever is done ---- */

struct world {
	struct rig rig;
	uint64_t images[IMAGES], random;
	unsigned named;
};

static uint64_t below(struct world *w, uint64_t limit) { return test_random(&w->random) % limit; }

static uint64_t new_image(struct world *w)
{
	char name[20];
	snprintf(name, sizeof name, "i%u", w->named++);
	return rig_image(&w->rig, name, STATE_AVAILABLE);
}

static void write_some(struct world *w, uint64_t image)
{
	uint64_t seeds[8];
	unsigned n = 1 + (unsigned)below(w, 8);
	for (unsigned i = 0; i < n; i++)
		seeds[i] = below(w, SEEDS);
	rig_write(&w->rig, image, below(w, CHUNKS), seeds, n);
}

static void squeeze(struct world *w)
{
	struct error err = { 0, "" };
	if (gc_squeeze(w->rig.service->gc, NULL, NULL, NULL, &err))
		bail("gc_squeeze: %s", err.text);
}

static void step(struct world *w)
{
	uint64_t *at = &w->images[below(w, IMAGES)], *other = &w->images[below(w, IMAGES)];
	char name[20];
	switch (below(w, 12)) {
	case 0:
	case 1:
		if (*at)
			rig_purge(&w->rig, *at);
		*at = 0;
		break;
	case 2:
	case 3:
		if (*at && !*other) {
			snprintf(name, sizeof name, "c%u", w->named++);
			*other = copy_of(&w->rig, *at, name);
		}
		break;
	case 4: collect(&w->rig); break;
	case 5: squeeze(w); break;
	case 6:
		rig_close(&w->rig);
		rig_open(&w->rig);
		break;
	default:
		if (!*at)
			*at = new_image(w);
		write_some(w, *at);
	}
}

static void test_anything(void)
{
	static struct world w;
	bool right = true;
	w.random = test_seed();
	rig_make(&w.rig, "anything");
	for (unsigned i = 0; i < 150 && right; i++) {
		step(&w);
		if (i % 5 == 4)
			right = is_right(&w.rig);
	}
	ok(right, "all bills together are what is stored, whatever is done");
	collect(&w.rig);
	is_int(paid_by_the_dead(&w.rig), 0, "nobody who is gone pays when all is collected");
	ok(is_right(&w.rig), "and it is right in the end");
	rig_close(&w.rig);
}

int main(void)
{
	test_rule();
	test_overlays();
	test_pass();
	test_anything();
	return done_testing();
}
