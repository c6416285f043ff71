/* SPDX-License-Identifier: Apache-2.0 */
/* object_tab: places, references, the loose list and the packs' live numbers agree with a model, whatever is done. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "catalog/db.h"
#include "catalog/disk_tab.h"
#include "catalog/meter_tab.h"
#include "catalog/object_tab.h"
#include "tap.h"

#define OBJECTS 300
#define PACKS 6
#define DOMAINS 3
#define PAYERS 20 /* more than changes are gathered */

struct model_object {
	bool there;
	struct object_row row;
	unsigned lent; /* of its references: those of borrowed rows, which nobody else gives back */
};

struct model {
	struct model_object objects[DOMAINS][OBJECTS];
	struct pack_row packs[PACKS + 1];
	int64_t meters[PAYERS];
	uint64_t random;
};

static struct catalog *cat;

static struct hash hash_at(uint32_t i)
{
	struct hash h;
	hash_of(&i, sizeof i, &h);
	return h;
}

static uint64_t below(struct model *m, uint64_t limit) { return test_random(&m->random) % limit; }

static struct place any_place(struct model *m)
{
	return (struct place){ 1 + (uint32_t)below(m, PACKS), (uint32_t)below(m, 1u << 26),
			       1 + (uint32_t)below(m, 65536), (uint8_t)below(m, 2) };
}

/* Domains are numbered from 1; their numbers are far apart, so that byte order matters. */
static uint32_t domain_at(unsigned d) { return d == 0 ? 1 : 255 + d; }
static unsigned domain_index(uint32_t domain) { return domain == 1 ? 0 : domain - 255; }

static void live(struct model *m, const struct place *p, uint32_t payer, int sign)
{
	m->meters[payer] += sign * (int64_t)p->length;
	m->packs[p->pack].live_bytes += (uint64_t)(sign * (int64_t)p->length);
	m->packs[p->pack].live_count += (uint32_t)sign;
}

static int put_packs(struct cat_txn *txn, void *arg, struct error *err)
{
	struct model *m = arg;
	int r = 0;
	(void)err;
	for (uint32_t no = 1; r == 0 && no <= PACKS; no++) {
		m->packs[no] = (struct pack_row){ no, no % 2, 1, no * 1000, 0, 0, 0 };
		r = pack_row_put(txn, &m->packs[no]);
	}
	return r;
}

/* ---- one random step, in the table and in the model; false: they do not agree ---- */

/* What comes in in place of what is damaged. Answers what object_insert() has to. */
static int heal(struct model *m, struct model_object *o, uint32_t i, const struct place *p, uint32_t payer)
{
	struct model_object *lent = o->row.lender ? &m->objects[domain_index(o->row.lender)][i] : o;
	if (o->row.place.kind != p->kind || !lent->row.damaged)
		return 0;
	if (o->row.lender) {
		lent->row.refs--;
		lent->lent--;
		o->row = (struct object_row){ .place = *p, .refs = o->row.refs, .payer = payer };
		live(m, p, payer, 1);
		return 1;
	}
	live(m, &o->row.place, o->row.payer, -1);
	live(m, p, o->row.payer, 1);
	o->row.place = *p;
	o->row.damaged = false;
	return 0;
}

static bool step_damage(struct model *m, struct cat_txn *txn, unsigned d, uint32_t i)
{
	struct model_object *o = &m->objects[d][i];
	struct bad_object bad = { { hash_at(i), domain_at(d) }, o->row.place };
	if (below(m, 4) == 0)
		bad.place.offset ^= 1; /* it has moved meanwhile */
	else
		o->row.damaged |= o->there && !o->row.lender;
	return object_damaged_many(txn, &bad, 1) == 0;
}

static bool step_insert(struct model *m, struct cat_txn *txn, unsigned d, uint32_t i)
{
	struct hash h = hash_at(i);
	struct place p = any_place(m);
	struct model_object *o = &m->objects[d][i];
	uint32_t payer = (uint32_t)below(m, PAYERS);
	int want = o->there ? heal(m, o, i, &p, payer) : 1;
	if (!o->there) {
		*o = (struct model_object){ true, { .place = p, .payer = payer }, 0 };
		live(m, &p, payer, 1);
	}
	return object_insert(txn, domain_at(d), &h, &p, payer) == want;
}

static bool step_ref(struct model *m, struct cat_txn *txn, unsigned d, uint32_t i)
{
	struct hash h = hash_at(i);
	struct model_object *o = &m->objects[d][i];
	int want = o->there ? 0 : ERR_STALE;
	if (o->there)
		o->row.refs++;
	return object_ref(txn, domain_at(d), &h) == want;
}

static bool step_unref(struct model *m, struct cat_txn *txn, unsigned d, uint32_t i)
{
	struct hash h = hash_at(i);
	struct model_object *o = &m->objects[d][i];
	int want = !o->there ? ERR_STALE : o->row.refs ? 0 : ERR_DAMAGED;
	if (o->lent && o->row.refs == o->lent)
		return true;
	if (want == 0)
		o->row.refs--;
	return object_unref(txn, domain_at(d), &h) == want;
}

static bool step_remove(struct model *m, struct cat_txn *txn, unsigned d, uint32_t i)
{
	struct hash h = hash_at(i);
	struct model_object *o = &m->objects[d][i];
	int want = !o->there ? -ENOENT : o->row.refs ? -EBUSY : 0;
	if (want == 0) {
		o->there = false;
		if (o->row.lender) {
			struct model_object *lent = &m->objects[domain_index(o->row.lender)][i];
			lent->row.refs--;
			lent->lent--;
		} else {
			live(m, &o->row.place, o->row.payer, -1);
		}
	}
	return object_remove(txn, domain_at(d), &h) == want;
}

static bool step_move(struct model *m, struct cat_txn *txn, unsigned d, uint32_t i)
{
	struct hash h = hash_at(i);
	struct model_object *o = &m->objects[d][i];
	struct place from = o->row.place, to = any_place(m);
	int want = !o->there ? -ENOENT : o->row.lender ? -ESTALE : 0;
	to.kind = from.kind; /* it is the same object */
	if (below(m, 4) == 0) {
		from.offset ^= 1;
		want = o->there ? -ESTALE : -ENOENT;
	}
	if (want == 0) {
		live(m, &from, o->row.payer, -1);
		live(m, &to, o->row.payer, 1);
		o->row.place = to;
		o->row.damaged = false;
	}
	return object_move(txn, domain_at(d), &h, &from, &to) == want;
}

/* References in one domain to what another knows, or not. */
static bool step_take(struct model *m, struct cat_txn *txn, unsigned d, uint32_t i)
{
	struct object objects[4] = { { .domain = 0 } };
	unsigned from = (unsigned)below(m, DOMAINS), times = 1 + (unsigned)below(m, 4);
	struct model_object *o = &m->objects[d][i], *other = &m->objects[from][i];
	int want = o->there || other->there ? 0 : ERR_STALE;
	for (unsigned n = 0; n < times; n++)
		objects[n] = (struct object){ hash_at(i), domain_at(n && below(m, 2) ? d : from) };
	if (!o->there && other->there) {
		uint32_t lender = other->row.lender ? other->row.lender : domain_at(from);
		struct model_object *lent = &m->objects[domain_index(lender)][i];
		*o = (struct model_object){ .there = true, .row = { .place.kind = other->row.place.kind, .lender = lender } };
		lent->row.refs++;
		lent->lent++;
	}
	o->row.refs += want == 0 ? times : 0;
	return object_take_many(txn, domain_at(d), objects, times) == want;
}

/* A node's worth of references, with repetitions and holes, of objects that are there. */
static bool step_many(struct model *m, struct cat_txn *txn, unsigned d, bool ref)
{
	struct hash hashes[64];
	size_t n = 0;
	for (unsigned tries = below(m, 64); tries; tries--) {
		uint32_t i = (uint32_t)below(m, OBJECTS);
		struct model_object *o = &m->objects[d][i];
		unsigned times = (unsigned)below(m, 3);
		if (!o->there)
			continue;
		for (; times && n < 63 && (ref || o->row.refs > o->lent); times--) {
			hashes[n++] = hash_at(i);
			o->row.refs += ref ? 1 : -1u;
		}
		if (below(m, 5) == 0)
			hashes[n++] = hash_none;
		if (n >= 60)
			break;
	}
	return (ref ? object_ref_many : object_unref_many)(txn, domain_at(d), hashes, n) == 0;
}

/* What some pay for passes to another, as far as it is among a few objects. */
static bool step_claim(struct model *m, struct cat_txn *txn, unsigned d)
{
	struct hash hashes[40];
	uint64_t from[2], to = below(m, PAYERS);
	int want = 0;
	from[0] = (uint32_t)below(m, PAYERS - 1);
	from[1] = from[0] + 1 + (uint32_t)below(m, PAYERS - 1 - from[0]);
	for (unsigned n = 0; n < 40; n++) {
		uint32_t i = (uint32_t)below(m, OBJECTS);
		struct model_object *o = &m->objects[d][i];
		hashes[n] = hash_at(i);
		if (!o->there || o->row.lender || (o->row.payer != from[0] && o->row.payer != from[1]))
			continue;
		live(m, &o->row.place, o->row.payer, -1);
		o->row.payer = to;
		live(m, &o->row.place, to, 1);
		want++;
	}
	return object_claim_many(txn, domain_at(d), hashes, 40, from, 2, to) == want;
}

static bool step(struct model *m, struct cat_txn *txn)
{
	unsigned d = (unsigned)below(m, DOMAINS);
	uint32_t i = (uint32_t)below(m, OBJECTS);
	switch (below(m, 14)) {
	case 0:
	case 1: return step_insert(m, txn, d, i);
	case 2: return step_ref(m, txn, d, i);
	case 3: return step_unref(m, txn, d, i);
	case 4:
	case 5: return step_remove(m, txn, d, i);
	case 6: return step_move(m, txn, d, i);
	case 7: return step_many(m, txn, d, true);
	case 8: return step_claim(m, txn, d);
	case 9:
	case 10: return step_take(m, txn, d, i);
	case 11:
	case 12: return step_damage(m, txn, d, i);
	default: return step_many(m, txn, d, false);
	}
}

/* ---- comparing all of it ---- */

static bool same_row(const struct object_row *a, const struct object_row *b)
{
	return a->refs == b->refs && a->lender == b->lender && a->place.pack == b->place.pack && a->place.offset == b->place.offset &&
	       a->place.length == b->place.length && a->place.kind == b->place.kind && a->payer == b->payer && a->damaged == b->damaged;
}

static unsigned count_model(const struct model *m, bool loose_only)
{
	unsigned n = 0;
	for (unsigned d = 0; d < DOMAINS; d++)
		for (unsigned i = 0; i < OBJECTS; i++)
			n += m->objects[d][i].there && (!loose_only || m->objects[d][i].row.refs == 0);
	return n;
}

static bool check_rows(const struct model *m, struct cat_txn *txn)
{
	for (unsigned d = 0; d < DOMAINS; d++)
		for (uint32_t i = 0; i < OBJECTS; i++) {
			struct hash h = hash_at(i);
			struct object_row row;
			const struct model_object *o = &m->objects[d][i];
			int r = object_get(txn, domain_at(d), &h, &row);
			if (r != (o->there ? 0 : -ENOENT) || (o->there && !same_row(&row, &o->row)))
				return false;
		}
	return true;
}

/* A walk in small pieces gives each once, in order, and as many as the model has. */
static bool check_walk(const struct model *m, struct cat_txn *txn, bool loose_only)
{
	uint8_t cursor[32] = { 0 };
	struct loose got[7], last = { .domain = 0 };
	unsigned n = 0;
	for (;;) {
		int r = (loose_only ? object_loose : object_each)(txn, cursor, got, 7);
		if (r < 0)
			return false;
		for (int i = 0; i < r; i++) {
			struct object_row row;
			bool later = got[i].domain > last.domain ||
				     (got[i].domain == last.domain && hash_compare(&got[i].hash, &last.hash) > 0);
			if (!later || object_get(txn, got[i].domain, &got[i].hash, &row) ||
			    !same_row(&row, &got[i].row) || (loose_only && row.refs))
				return false;
			last = got[i];
		}
		n += (unsigned)r;
		if (r < 7)
			return n == count_model(m, loose_only);
	}
}

static bool check_packs(const struct model *m, struct cat_txn *txn)
{
	uint64_t bytes = 0, all_live = 0, got_bytes, got_live, got_packs, got_objects;
	for (uint32_t no = 1; no <= PACKS; no++) {
		struct pack_row row;
		const struct pack_row *want = &m->packs[no];
		if (pack_row_get(txn, no, &row) || row.live_bytes != want->live_bytes ||
		    row.live_count != want->live_count || row.bytes != want->bytes || row.pool != want->pool)
			return false;
		bytes += want->bytes;
		all_live += want->live_bytes;
	}
	return pack_totals(txn, &got_bytes, &got_live, &got_packs, &got_objects) == 0 && got_bytes == bytes &&
	       got_live == all_live && got_packs == PACKS && got_objects == count_model(m, false);
}

/* Every meter counts what the model says, and all together what the packs hold. */
static bool check_meters(const struct model *m, struct cat_txn *txn)
{
	uint64_t ignored, all_live, kept, sum = 0;
	for (unsigned i = 0; i < PAYERS; i++) {
		struct meter meter = { .bytes = 0 };
		int r = meter_get(txn, i, &meter);
		if ((r && r != -ENOENT) || meter.bytes != (uint64_t)m->meters[i])
			return false;
		sum += meter.bytes;
	}
	return pack_totals(txn, &ignored, &all_live, &ignored, &ignored) == 0 && sum == all_live &&
	       meter_sum(txn, 0, 0, &kept, NULL) == 0 && kept == sum;
}

static bool agrees(const struct model *m)
{
	struct cat_txn *txn = NULL;
	if (cat_begin(cat, &txn, NULL))
		return false;
	bool good = check_rows(m, txn) && check_walk(m, txn, false) && check_walk(m, txn, true) &&
		    check_packs(m, txn) && check_meters(m, txn);
	cat_end(&txn);
	return good;
}

/* A few steps in a transaction of their own or in a part of one, which may be undone. */
static bool run_part(struct model *m, struct cat_txn *whole)
{
	static struct model before;
	struct cat_txn txn;
	before = *m;
	bool good = db_write_begin(cat, whole, &txn, NULL) == 0;
	for (unsigned n = 1 + (unsigned)below(m, 30); n && good; n--)
		good = step(m, &txn);
	if (good && below(m, 4))
		return db_write_commit(&txn, NULL) == 0;
	db_write_abort(&txn);
	before.random = m->random; /* all goes back but this */
	*m = before;
	return good;
}

/* Like writers that share a commit. */
static bool run_parts(struct model *m)
{
	struct cat_txn whole;
	bool good = db_write_begin(cat, NULL, &whole, NULL) == 0;
	for (unsigned n = 1 + (unsigned)below(m, 5); n && good; n--)
		good = run_part(m, &whole);
	return good && db_write_commit(&whole, NULL) == 0;
}

static void test_random_steps(void)
{
	static struct model m;
	bool good = true;
	m.random = test_seed();
	ok(cat_write(cat, put_packs, &m, NULL) == 0, "packs are put");
	for (unsigned round = 0; good && round < 120; round++) {
		good = below(&m, 2) ? run_part(&m, NULL) : run_parts(&m);
		if (round % 10 == 9)
			good = good && agrees(&m);
	}
	ok(good, "random steps, some of them undone, agree with the model");
	ok(agrees(&m), "and so does all of it at the end");
	AUTO_FD int fd = open("/dev/null", O_WRONLY);
	is_int(catalog_copy(cat, fd, NULL), 0, "no page of the database was lost");
}

/* ---- promises that the model does not make ---- */

static int missing_pack(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash h = hash_at(90000);
	struct place p = { 4711, 0, 10, OBJECT_CHUNK };
	(void)arg, (void)err;
	return object_insert(txn, 1, &h, &p, 0);
}

static int unsound(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash h = hash_at(90001);
	struct place good = { 1, 0, 10, OBJECT_CHUNK }, long_one = { 1, 0, 1u << 24, OBJECT_CHUNK };
	(void)arg, (void)err;
	is_int(object_insert(txn, 1, &hash_none, &good, 0), -EINVAL, "a hole is not an object");
	is_int(object_insert(txn, 1, &h, &long_one, 0), -EINVAL, "a length that the row cannot hold is refused");
	is_int(object_insert(txn, 1, &h, &good, DISK_NO_MAX + 1), -EOVERFLOW, "and so is the number of a payer");
	return 0;
}

static int stale_many(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash hashes[3] = { hash_at(90002), hash_none, hash_at(90003) };
	(void)arg, (void)err;
	return object_ref_many(txn, 1, hashes, 3);
}

static int prefix_is_enough(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash h = hash_at(90004), part = { .b = { 0 } };
	struct place p = { 1, 77, 10, OBJECT_NODE };
	struct object_row row;
	(void)arg, (void)err;
	memcpy(part.b, h.b, 16);
	is_int(object_insert(txn, 1, &h, &p, 0), 1, "inserted");
	is_int(object_get(txn, 1, &part, &row), 0, "16 bytes of the hash are enough to find it");
	is_int(row.place.offset, 77, "at its place");
	is_int(object_insert(txn, 2, &h, &p, 0), 1, "another domain does not know it");
	is_int(object_ref(txn, 1, &part), 0, "to refer to it");
	struct hash both[2] = { h, part };
	is_int(object_ref_many(txn, 1, both, 2), 0, "mixed with whole hashes too");
	is_int(object_get(txn, 1, &h, &row), 0, "it is there");
	is_int(row.refs, 3, "all were counted");
	return -ECANCELED;
}

static bool finds(const struct hash *h, bool *ret_sure)
{
	struct index index = object_index(cat);
	struct found found = { .sure = false };
	bool there = index.find(index.ctx, 1, h, &found) == 0;
	*ret_sure = found.sure;
	return there;
}

static int insert_alike(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct hash *both = arg;
	struct place p = { 1, 77, 10, OBJECT_CHUNK };
	(void)err;
	is_int(object_insert(txn, 1, &both[0], &p, 0), 1, "an object");
	is_int(object_insert(txn, 1, &both[0], &p, 0), 0, "is known");
	is_int(object_insert(txn, 1, &both[1], &p, 0), -EEXIST, "another one whose hash begins alike is not it, and is refused");
	is_int(object_ref(txn, 1, &both[1]), -EEXIST, "nothing refers to it");
	is_int(object_take(txn, 2, &both[1], 1), ERR_STALE, "nor borrows it");
	is_int(object_ref(txn, 1, &both[0]), 0, "the first one is referred to");
	return 0;
}

/* As format 1 wrote it: what the row begins with. */
static int forget_rest(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct hash *both = arg;
	struct key k;
	struct bytes value;
	struct record r = { .len = 20 };
	(void)err;
	key_start(&k);
	key_u32(&k, 1);
	key_bytes(&k, both->b, 16);
	if (db_get(txn, DB_OBJECT, &k, &value) || value.len != 36)
		return -EIO;
	memcpy(r.data, value.data, 20);
	r.data[0] = (uint8_t)((r.data[0] & 15) | 1 << 4);
	return db_put(txn, DB_OBJECT, &k, &r);
}

static int move_it(struct cat_txn *txn, void *arg, struct error *err)
{
	struct place from = { 1, 77, 10, OBJECT_CHUNK }, to = { 1, 99, 10, OBJECT_CHUNK };
	(void)err;
	return object_move(txn, 1, arg, &from, &to);
}

static int remove_it(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	int r = object_unref(txn, 1, arg);
	return r ? r : object_remove(txn, 1, arg);
}

static void test_hashes_alike(void)
{
	struct hash both[2] = { hash_at(90009), hash_at(90009) };
	struct object_row row;
	struct cat_txn *txn;
	bool sure;
	both[1].b[20] ^= 1;
	is_int(cat_write(cat, insert_alike, both, NULL), 0, "both are tried");
	ok(finds(&both[0], &sure) && sure, "the index is sure of the first");
	ok(!finds(&both[1], &sure), "and has not the other");
	is_int(cat_write(cat, forget_rest, both, NULL), 0, "a row of format 1");
	ok(finds(&both[0], &sure) && !sure, "is found, but not believed");
	ok(cat_begin(cat, &txn, NULL) == 0 && object_get(txn, 1, &both[0], &row) == 0 && row.refs == 1 && row.place.offset == 77,
	   "all of it is read");
	cat_end(&txn);
	is_int(cat_write(cat, move_it, both, NULL), 0, "it is moved");
	ok(finds(&both[0], &sure) && sure && !finds(&both[1], &sure), "and is as good as a new one");
	is_int(cat_write(cat, remove_it, both, NULL), 0, "and removed");
}

/* Its high bits are above the offset. */
static int large_payer(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash h = hash_at(90011);
	struct place p = { 1, (64u << 20) - 1, 10, OBJECT_CHUNK }, beyond = { 1, 64u << 20, 10, OBJECT_CHUNK };
	struct object_row row;
	struct meter meter;
	uint64_t payer = DISK_NO_MAX - 5;
	(void)arg, (void)err;
	is_int(object_insert(txn, 1, &h, &beyond, 0), -EINVAL, "no pack is so long");
	is_int(object_insert(txn, 1, &h, &p, DISK_NO_MAX + 1), -EOVERFLOW, "no disk has such a number");
	is_int(object_insert(txn, 1, &h, &p, payer), 1, "and brings an object");
	ok(object_get(txn, 1, &h, &row) == 0 && row.payer == payer && row.place.offset == p.offset && row.place.length == 10,
	   "which it pays for, at the end of a pack");
	is_int(object_claim_many(txn, 1, &h, 1, &payer, 1, 7), 1, "another one claims it");
	ok(object_get(txn, 1, &h, &row) == 0 && row.payer == 7 && row.place.offset == p.offset, "and pays for it");
	is_int(object_claim_many(txn, 1, &h, 1, &(uint64_t){ 7 }, 1, payer), 1, "one with a large number claims it back");
	ok(object_get(txn, 1, &h, &row) == 0 && row.payer == payer && row.place.offset == p.offset, "and pays for it");
	ok(meter_get(txn, payer, &meter) == 0 && meter.bytes == 10 && meter_get(txn, (uint32_t)payer, &meter) == -ENOENT,
	   "by its own meter");
	return -ECANCELED;
}

/* Borrowed by 2 from 1, and by 3 from 2: which is from 1 too. */
static int borrowing(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash h = hash_at(90006);
	struct place p = { 1, 77, 10, OBJECT_NODE };
	struct object_row row;
	uint32_t domain = 0;
	(void)arg, (void)err;
	is_int(object_insert(txn, 1, &h, &p, 0), 1, "inserted");
	is_int(object_take(txn, 2, &h, 3), ERR_STALE, "what the lender does not have is not borrowed");
	is_int(object_take(txn, 2, &h, 1), 0, "another domain borrows it");
	is_int(object_take(txn, 3, &h, 2), 0, "and a third one from that");
	ok(object_get(txn, 3, &h, &row) == 0 && row.lender == 1 && row.refs == 1 && row.place.pack == 0 &&
		   row.place.length == 0 && row.place.kind == OBJECT_NODE, "the row is without bytes, and says who has them");
	ok(object_find(txn, 3, &h, &row, &domain) == 0 && domain == 1 && row.place.offset == 77 && row.refs == 2,
	   "there it is found, with a reference for each that borrowed it");
	is_int(object_insert(txn, 2, &h, &p, 0), 0, "what is borrowed is known, and not stored once more");
	is_int(object_remove(txn, 1, &h), -EBUSY, "what is lent is not removed");
	is_int(object_unref(txn, 2, &h), 0, "it is no longer used");
	is_int(object_remove(txn, 2, &h), 0, "and removed");
	ok(object_get(txn, 1, &h, &row) == 0 && row.refs == 1, "which gives back its reference");
	is_int(object_unref(txn, 3, &h), 0, "the same");
	is_int(object_remove(txn, 3, &h), 0, "for the last");
	is_int(object_remove(txn, 1, &h), 0, "now the lender's can go");
	return -ECANCELED;
}

/* Damaged in 1, from which 2 borrows it: 2 brings it again, then 1 does. */
static int healing(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash h = hash_at(90007);
	struct place p = { 1, 77, 10, OBJECT_NODE }, anew = { 2, 99, 12, OBJECT_NODE };
	struct bad_object bad = { { h, 1 }, { 1, 78, 10, OBJECT_NODE } };
	struct object_row row;
	uint32_t domain = 0;
	(void)arg, (void)err;
	is_int(object_insert(txn, 1, &h, &p, 0) + object_take(txn, 2, &h, 1), 1, "inserted, and borrowed");
	is_int(object_damaged_many(txn, &bad, 1), 0, "what lies elsewhere by now");
	ok(object_get(txn, 1, &h, &row) == 0 && !row.damaged, "is not damaged");
	is_int(object_insert(txn, 1, &h, &anew, 0), 0, "what is not damaged");
	ok(object_get(txn, 1, &h, &row) == 0 && row.place.pack == 1, "stays where it is");
	bad.place = p;
	is_int(object_damaged_many(txn, &bad, 1), 0, "it is damaged");
	ok(object_find(txn, 2, &h, &row, &domain) == 0 && domain == 1 && row.damaged, "which is found by whoever borrows it");
	is_int(object_insert(txn, 2, &h, &anew, 3), 1, "they bring it again");
	ok(object_find(txn, 2, &h, &row, &domain) == 0 && domain == 2 && row.refs == 1 && row.place.pack == 2 && row.payer == 3,
	   "and have it for themselves, with the references that there were");
	ok(object_get(txn, 1, &h, &row) == 0 && row.refs == 0 && row.damaged, "the lender's is still damaged, and lent no more");
	is_int(object_insert(txn, 1, &h, &anew, 3), 0, "it comes in there too");
	ok(object_get(txn, 1, &h, &row) == 0 && !row.damaged && row.place.offset == 99 && row.payer == 0, "and is healed");
	return -ECANCELED;
}

static int pack_life(struct cat_txn *txn, void *arg, struct error *err)
{
	struct pack_row row = { 500, 3, 7, 1 << 20, 0, 0, 7 }, got;
	(void)arg, (void)err;
	is_int(pack_row_put(txn, &row), 0, "a pack is put");
	is_int(cat_counter_get(txn, COUNTER_PACK), 500, "the counter of packs follows");
	is_int(pack_row_get(txn, 500, &got), 0, "it is there");
	ok(got.pool == 3 && got.domain == 7 && got.bytes == 1 << 20 && got.level == 7, "with its fields");
	is_int(pack_row_remove(txn, 500), 0, "it is removed");
	is_int(pack_row_remove(txn, 500), -ENOENT, "once");
	is_int(pack_row_get(txn, 500, &got), -ENOENT, "and gone");
	is_int(cat_counter_get(txn, COUNTER_PACK), 500, "its number is not given again");
	return 0;
}

static int damage(struct cat_txn *txn, void *arg, struct error *err)
{
	struct hash h = hash_at(90005);
	struct object_row row;
	struct key k;
	struct record r;
	(void)arg, (void)err;
	key_of_u32(&k, 1);
	key_bytes(&k, h.b, 16);
	record_start(&r, 1);
	record_u64(&r, 1);
	is_int(db_put(txn, DB_OBJECT, &k, &r), 0, "a short row is put");
	is_int(object_get(txn, 1, &h, &row), ERR_DAMAGED, "and is damage");
	is_int(object_ref(txn, 1, &h), ERR_DAMAGED, "to whoever changes it too");
	record_start(&r, 0xff); /* neither the version nor a kind */
	record_bytes(&r, "0123456789abcde", 15);
	is_int(db_put(txn, DB_OBJECT, &k, &r), 0, "a row of another version is put");
	is_int(object_get(txn, 1, &h, &row), ERR_DAMAGED, "and is damage");
	return -ECANCELED;
}

static void test_promises(void)
{
	struct error err = { .code = 0 };
	struct cat_txn *txn = NULL;
	struct hash h = hash_at(90000);
	struct object_row row;
	is_int(cat_write(cat, missing_pack, NULL, &err), ERR_STALE, "no object goes into an unknown pack");
	ok(err.code == ERR_STALE && err.text[0], "a sentence says so: %s", err.text);
	is_int(cat_write(cat, unsound, NULL, NULL), 0, "unsound objects");
	is_int(cat_write(cat, stale_many, NULL, NULL), ERR_STALE, "references to what is missing are stale");
	is_int(cat_write(cat, prefix_is_enough, NULL, NULL), -ECANCELED, "short hashes");
	is_int(cat_write(cat, borrowing, NULL, NULL), -ECANCELED, "borrowing");
	is_int(cat_write(cat, healing, NULL, NULL), -ECANCELED, "healing");
	is_int(cat_write(cat, pack_life, NULL, NULL), 0, "packs come and go");
	is_int(cat_write(cat, damage, NULL, NULL), -ECANCELED, "damage is told");
	ok(cat_begin(cat, &txn, NULL) == 0 && object_get(txn, 1, &h, &row) == -ENOENT, "nothing of that was kept");
	is_int(object_ref(txn, 1, &h), ERR_STALE, "nothing is found to change");
	struct pack_row pack = { .no = 9 };
	is_int(pack_row_put(txn, &pack), -EROFS, "nothing can be written in a read transaction");
	cat_end(&txn);
}

/* ---- many ---- */

#define MANY 5000

struct many {
	uint32_t first;
	struct hash hashes[MANY];
	struct place places[MANY];
	uint8_t inserted[MANY];
};

static int by_hash(const void *a, const void *b) { return hash_compare(a, b); }

static int insert_sorted(struct cat_txn *txn, void *arg, struct error *err)
{
	struct many *m = arg;
	(void)err;
	for (uint32_t i = 0; i < MANY; i++) {
		m->hashes[i] = hash_at(m->first + i);
		m->places[i] = (struct place){ 1 + i % PACKS, i, 100, OBJECT_CHUNK };
	}
	qsort(m->hashes, MANY, sizeof *m->hashes, by_hash);
	int64_t start = clock_mono();
	int r = object_insert_many(txn, 3, m->hashes, m->places, MANY, 1, m->inserted);
	diag("insert_many: %d ns each", (int)((clock_mono() - start) / MANY));
	return r;
}

static int ref_all(struct cat_txn *txn, void *arg, struct error *err)
{
	struct many *m = arg;
	(void)err;
	int64_t start = clock_mono();
	int r = object_ref_many(txn, 3, m->hashes, MANY);
	diag("ref_many: %d ns each", (int)((clock_mono() - start) / MANY));
	return r;
}

static unsigned sum(const uint8_t *flags, unsigned n)
{
	unsigned total = 0;
	while (n--)
		total += flags[n];
	return total;
}

static void test_known_many(struct many *m)
{
	struct index index = object_index(cat);
	struct found p;
	bool good = true;
	is_int(cat_write(cat, insert_sorted, m, NULL), 0, "thousands are inserted at once");
	is_int(sum(m->inserted, MANY), MANY, "all were new");
	m->first += MANY / 2;
	is_int(cat_write(cat, insert_sorted, m, NULL), 0, "again, half of them");
	is_int(sum(m->inserted, MANY), MANY / 2, "half were new");
	is_int(cat_write(cat, ref_all, m, NULL), 0, "all are referred to");
	int64_t start = clock_mono();
	for (unsigned i = 0; good && i < 20 * MANY; i++)
		good = index.find(index.ctx, 3, &m->hashes[i * 7919 % MANY], &p) == 0 && p.place.length == 100;
	diag("index.find: %d ns each", (int)((clock_mono() - start) / (20 * MANY)));
	ok(good, "the index finds them");
	is_int(index.find(index.ctx, 4, &m->hashes[0], &p), -ENOENT, "but not in another domain");
}

/* ---- look-ups from many threads while somebody writes ---- */

#define READERS 4

struct reader {
	const struct many *many;
	unsigned no;
	bool good;
};

static void *find_all(void *arg)
{
	struct reader *reader = arg;
	struct index index = object_index(cat);
	struct found p;
	reader->good = true;
	for (unsigned i = reader->no; i < MANY; i++)
		if (index.find(index.ctx, 3, &reader->many->hashes[i], &p) || p.place.length != 100)
			reader->good = false;
	return NULL;
}

static void test_many_readers(const struct many *known)
{
	static struct many more = { .first = 900000 };
	struct reader readers[READERS];
	pthread_t threads[READERS];
	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ known, i, false };
		pthread_create(&threads[i], NULL, find_all, &readers[i]);
	}
	for (unsigned i = 0; i < 4; i++, more.first += MANY)
		is_int(cat_write(cat, insert_sorted, &more, NULL), 0, "thousands are inserted meanwhile");
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		ok(readers[i].good, "thread %u found all", i);
	}
}

static void test_many(void)
{
	static struct many m = { .first = 100000 };
	test_known_many(&m);
	test_many_readers(&m);
}

int main(void)
{
	struct error err;
	if (catalog_open(&cat, test_folder(), CAT_CREATE, &err))
		bail("%s", err.text);
	test_random_steps();
	test_promises();
	test_hashes_alike();
	is_int(cat_write(cat, large_payer, NULL, NULL), -ECANCELED, "a payer of a large number is tried");
	test_many();
	catalog_close(cat);
	return done_testing();
}
