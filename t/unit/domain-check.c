/* SPDX-License-Identifier: Apache-2.0 */
/* domain/check.h: whole stores have no problems, also while they are in use; each kind of damage is found and named. */
#include "domain/check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/rig.h"
#include "../lib/tap.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "base/num.h"
#include "catalog/db.h"
#include "catalog/meter_tab.h"
#include "catalog/account.h"
#include "catalog/db.h"
#include "catalog/object_tab.h"
#include "catalog/share_tab.h"
#include "domain/gc.h"
#include "store/pack_format.h"

#define CHUNKS 12u

static struct buf said;
static struct check_report report;

static void note(void *ctx, const char *sentence)
{
	(void)ctx;
	buf_addf(&said, "%s\n", sentence);
}

static uint64_t check(struct rig *rig, bool read_data)
{
	struct check_options options = { .read_data = read_data, .problem = note };
	struct error err = { 0, "" };
	buf_clear(&said);
	if (check_run(rig->service, &options, &report, &err) < 0)
		bail("check_run: %s", err.text);
	return report.problems;
}

static bool says(const char *words)
{
	if (said.data && strstr(said.data, words))
		return true;
	diag("  it says: %s", said.len ? said.data : "nothing");
	return false;
}

static bool clean(struct rig *rig, bool read_data)
{
	if (check(rig, read_data) == 0)
		return true;
	diag("  it says: %s", said.data);
	return false;
}

static int change(struct rig *rig, cat_fn fn, void *arg)
{
	return cat_write(rig->service->catalog, fn, arg, NULL);
}

/* Two images: `a` has chunks 0-11 of seeds 1-12 in pack 1; `b` chunks 0-3 of seeds 1-4 and 300-307 of others. */
struct sample {
	struct rig rig;
	uint64_t a, b, seeds[CHUNKS], others[8];
};

static void make(struct sample *s, const char *name)
{
	for (unsigned i = 0; i < CHUNKS; i++)
		s->seeds[i] = 1 + i;
	for (unsigned i = 0; i < 8; i++)
		s->others[i] = 100 + i;
	rig_make(&s->rig, name);
	s->a = rig_image(&s->rig, "a", STATE_AVAILABLE);
	s->b = rig_image(&s->rig, "b", STATE_AVAILABLE);
	rig_write(&s->rig, s->a, 0, s->seeds, CHUNKS);
	rig_write(&s->rig, s->b, 0, s->seeds, 4);
	rig_write(&s->rig, s->b, 300, s->others, 8);
}

static struct hash hash_of_seed(uint64_t seed)
{
	static uint8_t buf[CHUNK_SIZE];
	struct hash hash;
	rig_bytes(seed, buf);
	hash_of(buf, sizeof buf, &hash);
	return hash;
}

static struct place place_of(struct rig *rig, const struct hash *hash)
{
	struct cat_txn *txn;
	struct object_row row;
	if (cat_begin(rig->service->catalog, &txn, NULL) < 0 || object_get(txn, 1, hash, &row) < 0)
		bail("object_get");
	cat_end(&txn);
	return row.place;
}

static struct disk_row disk_of(struct rig *rig, uint64_t node)
{
	struct cat_txn *txn;
	struct disk_row row;
	uint64_t no = rig_disk_of(rig, node);
	if (cat_begin(rig->service->catalog, &txn, NULL) < 0 || disk_row_get(txn, no, &row) < 0)
		bail("disk_row_get");
	cat_end(&txn);
	return row;
}

/* ---- nothing wrong */

static unsigned steps_told;

static void note_step(void *ctx, uint64_t done, uint64_t total, const char *what)
{
	(void)ctx, (void)done, (void)total, (void)what;
	steps_told++;
}

static void test_whole(void)
{
	struct sample s;
	struct rig empty;
	rig_make(&empty, "empty");
	ok(clean(&empty, true), "an empty store has no problems");
	rig_close(&empty);
	make(&s, "whole");
	ok(clean(&s.rig, false), "nor has one with images");
	ok(clean(&s.rig, true), "nor when everything is read");
	is_int(report.images, 2, "images are counted");
	is_int(report.disks, 2, "disks too");
	is_int(report.chunks, CHUNKS + 8, "chunks, each once");
	ok(report.nodes >= 4 && report.packs >= 2 && report.bytes > (CHUNKS + 8) * CHUNK_SIZE,
	   "nodes, packs, bytes");
	struct check_options options = { .progress = note_step };
	ok(check_run(s.rig.service, &options, NULL, NULL) == 0 && steps_told > 3, "progress is told");
	struct image image = rig_row(&s.rig, s.b);
	image.shelf.trash = true;
	rig_change(&s.rig, &image);
	ok(clean(&s.rig, true), "the trash belongs to it");
	rig_purge(&s.rig, s.b);
	ok(clean(&s.rig, true), "loose objects are no problem");
	if (gc_run(s.rig.service->gc, NULL, NULL, NULL, NULL) < 0)
		bail("gc_run");
	ok(clean(&s.rig, true), "nor is there one after they were collected");
	rig_close(&s.rig);
	rig_open(&s.rig);
	ok(clean(&s.rig, true), "or after a restart");
	rig_close(&s.rig);
}

/* ---- bytes */

static void test_chunk(void)
{
	struct sample s;
	struct hash third = hash_of_seed(4);
	make(&s, "chunk");
	struct place place = place_of(&s.rig, &third);
	rig_flip(&s.rig, place.pack, place.offset + place.length / 2);
	ok(clean(&s.rig, false), "a damaged chunk is not noticed without reading it");
	ok(check(&s.rig, true) == 3, "but when everything is read");
	ok(says("pack 1: the 6") && says("are damaged"), "the pack is named");
	ok(says("image ap-guangzhou/custom/a: chunk 3 (offset 196608) is damaged in pack 1"), "and the image");
	ok(says("image ap-guangzhou/custom/b: chunk 3 (offset 196608) is damaged in pack 1"),
	   "and the other that has it");
	rig_flip(&s.rig, place.pack, place.offset + place.length / 2);
	ok(clean(&s.rig, true), "the byte back as it was: all is well");
	rig_close(&s.rig);
}

static void test_node(void)
{
	struct sample s;
	make(&s, "node");
	struct disk_row row = disk_of(&s.rig, s.a);
	struct place place = place_of(&s.rig, &row.root.hash);
	rig_flip(&s.rig, place.pack, place.offset + place.length - 2);
	ok(check(&s.rig, false) >= 1, "a damaged part of a map is always found");
	ok(says("image ap-guangzhou/custom/a: the map of chunks 0 to 255 (from offset 0 on) is damaged in pack "
		"1"),
	   "where");
	ok(!strstr(said.data, "never removed"), "counts that cannot be compared are not complained about");
	ok(!strstr(said.data, "custom/b"), "who is not concerned is not named");
	rig_close(&s.rig);
}

static void test_frame_of_pack(void)
{
	struct sample s;
	make(&s, "frame");
	unsigned missed = 0;
	for (int i = 1; i <= (int)PACK_FOOTER_SIZE; i++) {
		rig_flip(&s.rig, 1, -i);
		missed += check(&s.rig, false) == 0 || !strstr(said.data, "pack 1");
		rig_flip(&s.rig, 1, -i);
	}
	is_int(missed, 0, "every byte of the footer matters");
	for (int i = 0; i < (int)PACK_HEADER_SIZE; i++) {
		rig_flip(&s.rig, 1, i);
		missed += check(&s.rig, false) == 0 || !strstr(said.data, "pack 1");
		rig_flip(&s.rig, 1, i);
	}
	is_int(missed, 0, "every byte of the header");
	for (int i = 1; i <= 2 * (int)PACK_ENTRY_SIZE; i++) {
		rig_flip(&s.rig, 1, -(int)PACK_FOOTER_SIZE - i);
		missed += check(&s.rig, false) == 0 || !strstr(said.data, "pack 1");
		rig_flip(&s.rig, 1, -(int)PACK_FOOTER_SIZE - i);
	}
	is_int(missed, 0, "every byte of the index");
	ok(clean(&s.rig, true), "and nothing else was changed by this test");
	rig_close(&s.rig);
}

static void test_lost_pack(void)
{
	struct sample s;
	char path[4200];
	make(&s, "lost");
	if (truncate(rig_pack_path(&s.rig, 1, path), 4096) < 0)
		bail("truncate");
	ok(check(&s.rig, false) >= 1 && says("pack 1 has 4096 bytes instead of"), "a pack that was cut");
	rig_close(&s.rig);
	if (unlink(path) < 0)
		bail("unlink");
	rig_open(&s.rig);
	check(&s.rig, false);
	ok(says("pack 1 (pack-00000001) is gone from the pool, with 13 objects"), "a pack that is gone");
	ok(says("image ap-guangzhou/custom/a: the map of chunks 0 to 255 (from offset 0 on) is lost with pack "
		"1"),
	   "maps in it");
	ok(says("image ap-guangzhou/custom/b: chunk 2 (offset 131072) is lost with pack 1"), "chunks in it");
	rig_close(&s.rig);
}

/* ---- the catalog */

static int ref_seed(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash hash = hash_of_seed(*(uint64_t *)arg);
	(void)err;
	return object_ref(txn, 1, &hash);
}

static int unref_seed(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash hash = hash_of_seed(*(uint64_t *)arg);
	(void)err;
	return object_unref(txn, 1, &hash);
}

static int forget_seed(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash hash = hash_of_seed(*(uint64_t *)arg);
	int r = unref_seed(txn, arg, err);
	return r ? r : object_remove(txn, 1, &hash);
}

static int move_seed(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash hash = hash_of_seed(*(uint64_t *)arg);
	struct object_row row;
	(void)err;
	int r = object_get(txn, 1, &hash, &row);
	struct place to = row.place;
	to.offset += 5;
	return r ? r : object_move(txn, 1, &hash, &row.place, &to);
}

static void test_references(void)
{
	struct sample s;
	uint64_t seed = 12, other = 100;
	make(&s, "refs");
	if (change(&s.rig, ref_seed, &seed) < 0)
		bail("object_ref");
	is_int(check(&s.rig, false), 1, "one reference too many");
	ok(says("is counted as used 2 times, but it is 1 times: it is never removed"), "is told");
	if (change(&s.rig, unref_seed, &seed) < 0 || change(&s.rig, unref_seed, &other) < 0)
		bail("object_unref");
	is_int(check(&s.rig, false), 1, "one too few");
	ok(says("is counted as used 0 times, but it is 1 times: it may be removed while it is in use"), "is told");
	if (change(&s.rig, ref_seed, &other) < 0 || change(&s.rig, forget_seed, &seed) < 0)
		bail("object_remove");
	ok(check(&s.rig, false) >= 2, "an object that is gone though it is used");
	ok(says("which is not there") &&
		   says("image ap-guangzhou/custom/a: chunk 11 (offset 720896) is not in the index"),
	   "is told by name");
	rig_close(&s.rig);
}

static void test_places(void)
{
	struct sample s;
	uint64_t seed = 12;
	make(&s, "places");
	if (change(&s.rig, move_seed, &seed) < 0)
		bail("object_move");
	ok(check(&s.rig, false) >= 2 && says("but the pack has it at offset"), "a wrong place is found");
	ok(says("custom/a: chunk 11 "), "and whose chunk it is");
	rig_close(&s.rig);
}

static int change_live(struct cat_txn *txn, void *arg, struct error *err)
{
	struct pack_row row;
	(void)err;
	int r = pack_row_get(txn, 1, &row);
	row.live_count += *(uint32_t *)arg;
	row.live_bytes += 7;
	return r ? r : pack_row_put(txn, &row);
}

static int change_bytes(struct cat_txn *txn, void *arg, struct error *err)
{
	struct pack_row row;
	(void)err, (void)arg;
	int r = pack_row_get(txn, 1, &row);
	row.bytes++;
	return r ? r : pack_row_put(txn, &row);
}

static int drop_pack_row(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err, (void)arg;
	return pack_row_remove(txn, 1);
}

static void test_numbers(void)
{
	struct sample s;
	uint32_t more = 1;
	make(&s, "numbers");
	if (change(&s.rig, change_live, &more) < 0)
		bail("pack_row_put");
	ok(check(&s.rig, false) == 1 && says("pack 1 is said to have 14 live objects"), "wrong live numbers");
	rig_close(&s.rig);
	make(&s, "bytes");
	if (change(&s.rig, change_bytes, NULL) < 0)
		bail("pack_row_put");
	ok(check(&s.rig, false) == 1 && says("pack 1 has"), "a wrong size");
	rig_close(&s.rig);
	make(&s, "row");
	rig_close(&s.rig);
	rig_open(&s.rig);
	if (change(&s.rig, drop_pack_row, NULL) < 0)
		bail("pack_row_remove");
	ok(check(&s.rig, false) > 1 && says("there is no such pack") && says("pack 1 is in the pool, but"),
	   "a lost row");
	rig_close(&s.rig);
}

/* ---- who pays */

static int pay_more(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return meter_add(txn, *(uint64_t *)arg, 3);
}

static int pay_as_other(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash hash = hash_of_seed(12);
	struct object_row row;
	struct key k;
	struct record record = { .len = 0 };
	struct bytes value;
	(void)err;
	key_of_u32(&k, 1);
	key_bytes(&k, hash.b, 16);
	int r = object_get(txn, 1, &hash, &row);
	if (!r)
		r = db_get(txn, DB_OBJECT, &k, &value);
	if (r)
		return r;
	record_bytes(&record, value.data, value.len);
	put_le32(record.data + 16, (uint32_t)*(uint64_t *)arg);
	return db_put(txn, DB_OBJECT, &k, &record);
}

static int drift_sum(struct cat_txn *txn, void *arg, struct error *err)
{
	struct meter m;
	struct key k;
	struct record record;
	(void)err;
	uint64_t bytes, written;
	int r = meter_get(txn, *(uint64_t *)arg, &m);
	if (!r)
		r = meter_sum(txn, m.account, m.region, &bytes, &written);
	if (r)
		return r;
	key_u32(key_of_u32(&k, m.account), m.region);
	record_start(&record, 1);
	record_u64(&record, bytes + 9);
	record_u64(&record, written);
	return db_put(txn, DB_METER_SUM, &k, &record);
}

static void test_meters(void)
{
	struct sample s;
	uint64_t strange = 4712;
	make(&s, "meters");
	uint64_t disk = rig_disk_of(&s.rig, s.a), other = rig_disk_of(&s.rig, s.b);
	if (change(&s.rig, pay_more, &disk) < 0)
		bail("meter_add");
	is_int(check(&s.rig, false), 2, "a disk that is billed for more than it stores");
	ok(says("is billed for") && says("bytes are billed, but"), "is told");
	rig_close(&s.rig);
	make(&s, "payer");
	if (change(&s.rig, pay_as_other, &other) < 0)
		bail("payer");
	is_int(check(&s.rig, false), 2, "an object of another payer than is billed: two disks are wrong");
	if (change(&s.rig, pay_as_other, &strange) < 0)
		bail("payer");
	is_int(check(&s.rig, false), 2, "one that nobody is billed for");
	ok(says("is paid for by disk 4712, which has no meter: nobody pays for it"), "is told");
	rig_close(&s.rig);
	make(&s, "sums");
	if (change(&s.rig, drift_sum, &disk) < 0)
		bail("sum");
	is_int(check(&s.rig, false), 1, "a sum of an account that is not its disks'");
	ok(says("is said to store 9 bytes more"), "is told");
	rig_close(&s.rig);
}

static int drop_disk_row(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return disk_row_remove(txn, *(uint64_t *)arg);
}

static int drop_image_row(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return image_remove(txn, *(uint64_t *)arg);
}

static int hold_nothing(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return hold_put(txn, 4711, 1, arg);
}

static void test_rows(void)
{
	struct sample s;
	make(&s, "rows");
	uint64_t disk = rig_disk_of(&s.rig, s.a);
	struct map_root root = disk_of(&s.rig, s.a).root;
	if (change(&s.rig, hold_nothing, &root) < 0)
		bail("hold_put");
	ok(check(&s.rig, false) == 2 && says("a map is held for disk 4711") &&
		   says("used 1 times, but it is 2"),
	   "a strange hold");
	if (change(&s.rig, drop_disk_row, &disk) < 0)
		bail("disk_row_remove");
	ok(check(&s.rig, false) >= 1 && says("image ap-guangzhou/custom/a: its disk"),
	   "an image whose disk is gone");
	if (change(&s.rig, drop_image_row, &s.b) < 0)
		bail("image_remove");
	ok(check(&s.rig, false) >= 1 && says("belongs to no image"), "a disk whose image is gone");
	rig_close(&s.rig);
}

/* ---- shares */

static int put_share(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return share_put(txn, arg);
}

static int make_receiver(struct cat_txn *txn, void *arg, struct error *err)
{
	struct account receiver = { .name = "bob", .accept = "all" };
	(void)err;
	*(uint32_t *)arg = receiver.no = (uint32_t)cat_next(txn, COUNTER_ACCOUNT);
	return account_put(txn, &receiver);
}

static int lose_share(struct cat_txn *txn, void *arg, struct error *err)
{
	struct key k;
	(void)err;
	return db_remove(txn, DB_SHARE, key_of_u64(&k, *(uint64_t *)arg));
}

static void test_shares(void)
{
	struct sample s;
	make(&s, "shares");
	struct image a = rig_row(&s.rig, s.a);
	struct share share = { .image = s.a, .owner = 1, .region = a.shelf.region, .name = "gift" };
	struct share strange = { .image = 4711, .owner = 1, .receiver = 4712, .region = 1, .name = "strange" };
	a.used = true;
	rig_change(&s.rig, &a);
	if (change(&s.rig, make_receiver, &share.receiver) || change(&s.rig, put_share, &share))
		bail("share");
	ok(clean(&s.rig, false), "a share is no problem");
	a.shelf.trash = true;
	rig_change(&s.rig, &a);
	ok(check(&s.rig, false) == 1 && says("gift): image ap-guangzhou/.trash/custom/a is in the trash"), "of what is in the trash it is");
	a.shelf.trash = a.used = false;
	rig_change(&s.rig, &a);
	ok(check(&s.rig, false) == 1 && says("is not sealed"), "or of what may still change");
	a.used = true;
	a.shelf.region++;
	rig_change(&s.rig, &a);
	ok(check(&s.rig, false) == 1 && says("is in another region than the share"), "or of what is elsewhere");
	a.shelf.region--;
	rig_change(&s.rig, &a);
	if (change(&s.rig, put_share, &strange))
		bail("share");
	ok(check(&s.rig, false) == 2 && says("strange): its image is not there") && says("account that is not there (4712)"),
	   "one of nothing with nobody");
	if (change(&s.rig, lose_share, &strange.no))
		bail("lose");
	ok(check(&s.rig, false) == 1 && says("there are 1 shares, but 6 entries that lead to them instead of 3"), "names without a share");
	rig_close(&s.rig);
}

/* ---- leftovers */

static void leave(struct rig *rig, const char *name)
{
	char path[4500];
	snprintf(path, sizeof path, "%s/%s", rig->dir, name);
	if (io_write_file(path, "left", 4, 0600, NULL) < 0)
		bail("%s cannot be written", path);
}

static void test_orphans(void)
{
	struct sample s;
	char name[60], folder[4500];
	make(&s, "orphans");
	snprintf(folder, sizeof folder, "%s/pool/77", s.rig.dir);
	if (io_make_dir(folder, 0700, NULL) < 0)
		bail("mkdir");
	leave(&s.rig, "pool/77/pack-00000077");
	leave(&s.rig, "overlay/999.bits");
	snprintf(name, sizeof name, "overlay/%llu.splice", (unsigned long long)rig_disk_of(&s.rig, s.a));
	leave(&s.rig, name);
	rig_close(&s.rig);
	rig_open(&s.rig);
	is_int(check(&s.rig, false), 2, "two leftovers");
	ok(says("pack 119 is in the pool, but the catalog does not know it"), "a pack");
	ok(says("overlay/999.bits belongs to a disk that is gone"), "and an overlay");
	rig_close(&s.rig);
}

/* ---- while it is in use */

static _Atomic bool busy;

struct user {
	struct rig *rig;
	unsigned no;
	uint64_t random;
};

static void *use(void *arg)
{
	struct user *u = arg;
	char name[40];
	for (unsigned round = 0; busy; round++) {
		uint64_t seeds[10];
		snprintf(name, sizeof name, "u%u-%u", u->no, round);
		uint64_t node = rig_image(u->rig, name, STATE_AVAILABLE);
		for (unsigned k = 0; k < 3; k++) {
			for (unsigned i = 0; i < 10; i++)
				seeds[i] = test_random(&u->random) % 20;
			rig_write(u->rig, node, test_random(&u->random) % 500, seeds, 10);
		}
		rig_purge(u->rig, node);
	}
	return NULL;
}

static void *collect(void *arg)
{
	struct rig *rig = arg;
	while (busy)
		if (gc_run(rig->service->gc, NULL, NULL, NULL, NULL) < 0)
			bail("gc_run");
	return NULL;
}

/* In the middle of a check: both images are deleted and collected to the end, and one row is written again and again. */
struct meanwhile {
	struct sample s;
	bool done;
	struct rig_totals after;
	uint64_t used_before, used_after;
};

static int write_property(struct cat_txn *txn, void *arg, struct error *err)
{
	char value[30];
	(void)err;
	snprintf(value, sizeof value, "%u", *(unsigned *)arg);
	return cat_meta_set(txn, "again", value);
}

static uint64_t used_bytes(struct rig *rig)
{
	struct cat_stat stat;
	cat_stat(rig->service->catalog, &stat);
	return stat.used_bytes;
}

static void delete_now(void *ctx, uint64_t done, uint64_t total, const char *what)
{
	struct meanwhile *m = ctx;
	(void)done, (void)total;
	if (m->done || strcmp(what, "packs") != 0)
		return;
	m->done = true;
	rig_purge(&m->s.rig, m->s.a);
	rig_purge(&m->s.rig, m->s.b);
	if (gc_run(m->s.rig.service->gc, NULL, NULL, NULL, NULL) < 0)
		bail("gc_run");
	m->after = rig_totals(&m->s.rig);
	m->used_before = used_bytes(&m->s.rig);
	for (unsigned i = 0; i < 500; i++)
		if (change(&m->s.rig, write_property, &i))
			bail("a property");
	m->used_after = used_bytes(&m->s.rig);
}

static void test_deleted_meanwhile(void)
{
	struct meanwhile m = { .done = false };
	make(&m.s, "meanwhile");
	struct check_options options = { .progress = delete_now, .problem = note, .ctx = &m };
	buf_clear(&said);
	ok(check_run(m.s.rig.service, &options, &report, NULL) == 0 && report.problems == 0 && m.done,
	   "what is deleted and collected during a check is no problem: %s", said.data);
	is_int(m.after.objects, 0, "it goes while the check is under way");
	ok(m.after.packs == 0 && m.after.files > 0, "but the bytes, which the check reads");
	ok(m.used_after - m.used_before < 256 << 10, "pages that are replaced meanwhile are used again: the catalog grows by %llu bytes",
	   (unsigned long long)(m.used_after - m.used_before));
	is_int(rig_totals(&m.s.rig).files, 0, "the bytes go with the end of the check");
	rig_close(&m.s.rig);
}

static void test_in_use(void)
{
	struct sample s;
	pthread_t threads[3];
	uint64_t seed = test_seed();
	bool good = true;
	make(&s, "use");
	struct user users[2] = { { &s.rig, 0, seed }, { &s.rig, 1, seed + 1 } };
	busy = true;
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, use, &users[i]);
	pthread_create(&threads[2], NULL, collect, &s.rig);
	for (unsigned i = 0; i < 10 && good; i++)
		good = clean(&s.rig, i % 2);
	ok(good, "a store that is written to, deleted from and collected has no problems");
	busy = false;
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ok(clean(&s.rig, true), "and none afterwards");
	rig_close(&s.rig);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	test_whole();
	test_chunk();
	test_node();
	test_frame_of_pack();
	test_lost_pack();
	test_references();
	test_places();
	test_numbers();
	test_meters();
	test_rows();
	test_shares();
	test_orphans();
	test_deleted_meanwhile();
	test_in_use();
	buf_free(&said);
	return done_testing();
}
