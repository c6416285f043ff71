/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: key (domain, 16 bytes of the hash), value 36 bytes; and the loose list with the same keys, which is
 * an index of the objects with no references: whoever changes a count changes it too.
 *
 * What works on many objects goes through them in order of key with one cursor a table, so that a leaf page is
 * found once; the packs' live numbers, and what it does to meters, are gathered and written at the end.
 *
 * The value: a byte with the version in its upper half and the kind in its lower (and a bit for what is borrowed, one for what is damaged), 24 bits of length,
 * pack, offset, references, payer, the rest of the hash (not in rows that format 1 wrote). What is borrowed has no length, pack and payer, and its lender instead of the offset.
 */
#include "catalog/object_tab.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/disk_tab.h"
#include "catalog/meter_tab.h"
#include "catalog/pack_tab.h"
#include "catalog/row_check.h"

#define OBJECT_VERSION 2 /* 1 has no more of the hash than the key */
#define LOOSE_VERSION 1
#define OBJECT_VALUE_SIZE 36
#define OBJECT_VALUE_SIZE_1 20
#define OFFSET_BITS 26 /* a pack has at most 64 MiB; above them the high bits of the payer */
#define KIND_BORROWED 8u
#define KIND_DAMAGED 4u
#define LENGTH_LIMIT (1u << 24)
#define HASH_PART (OBJECT_KEY_SIZE - 4)

/* ---- bytes ---- */

static struct key *object_key(struct key *k, uint32_t domain, const struct hash *hash)
{
	k->len = OBJECT_KEY_SIZE;
	put_be32(k->data, domain);
	memcpy(k->data + 4, hash->b, HASH_PART);
	return k;
}

static bool has_rest(const struct hash *hash)
{
	static const uint8_t none[HASH_SIZE - HASH_PART];
	return memcmp(hash->b + HASH_PART, none, sizeof none) != 0;
}

/* Who has no more than the key's part of a hash (struct loose) has zeros behind it. */
static void set_rest(struct object_row *row, const struct hash *hash)
{
	if (!has_rest(hash))
		return;
	memcpy(row->rest, hash->b + HASH_PART, sizeof row->rest);
	row->whole = true;
}

/* Its hash begins like this one, and is another. */
static bool is_other(const struct object_row *row, const struct hash *hash)
{
	return row->whole && has_rest(hash) && memcmp(row->rest, hash->b + HASH_PART, sizeof row->rest) != 0;
}

static struct bytes encode(const struct object_row *row, uint8_t ret[OBJECT_VALUE_SIZE])
{
	uint32_t version = row->whole ? OBJECT_VERSION : 1;
	uint32_t borrowed = row->lender ? KIND_BORROWED : 0, damaged = row->damaged ? KIND_DAMAGED : 0;
	put_le32(ret, row->place.length << 8 | version << 4 | borrowed | damaged | row->place.kind);
	put_le32(ret + 4, row->place.pack);
	put_le32(ret + 8, borrowed ? row->lender : (uint32_t)(row->payer >> 32) << OFFSET_BITS | row->place.offset);
	put_le32(ret + 12, row->refs);
	put_le32(ret + 16, (uint32_t)row->payer);
	memcpy(ret + OBJECT_VALUE_SIZE_1, row->rest, sizeof row->rest);
	return (struct bytes){ ret, row->whole ? OBJECT_VALUE_SIZE : OBJECT_VALUE_SIZE_1 };
}

static int decode(struct bytes value, struct object_row *ret)
{
	if (value.len != OBJECT_VALUE_SIZE && value.len != OBJECT_VALUE_SIZE_1)
		return ERR_DAMAGED;
	uint32_t first = get_le32(value.data), third = get_le32(value.data + 8);
	bool borrowed = first & KIND_BORROWED;
	ret->place.kind = first & 15 & ~(KIND_BORROWED | KIND_DAMAGED);
	ret->damaged = first & KIND_DAMAGED;
	ret->place.length = first >> 8;
	ret->place.pack = get_le32(value.data + 4);
	ret->place.offset = borrowed ? 0 : third & ((1u << OFFSET_BITS) - 1);
	ret->lender = borrowed ? third : 0;
	ret->refs = get_le32(value.data + 12);
	ret->payer = get_le32(value.data + 16) | (borrowed ? 0 : (uint64_t)(third >> OFFSET_BITS) << 32);
	ret->whole = value.len == OBJECT_VALUE_SIZE;
	if (ret->whole)
		memcpy(ret->rest, value.data + OBJECT_VALUE_SIZE_1, sizeof ret->rest);
	else
		memset(ret->rest, 0, sizeof ret->rest);
	if (borrowed && (!ret->lender || ret->place.pack || ret->place.length))
		return ERR_DAMAGED;
	return (first >> 4 & 15) == (ret->whole ? OBJECT_VERSION : 1) && ret->place.kind <= OBJECT_NODE ? 0 : ERR_DAMAGED;
}

static bool place_is_sound(const struct place *p)
{
	return p->pack && p->length && p->length < LENGTH_LIMIT && p->offset >> OFFSET_BITS == 0 && p->kind <= OBJECT_NODE;
}

static bool same_place(const struct place *a, const struct place *b)
{
	return a->pack == b->pack && a->offset == b->offset && a->length == b->length && a->kind == b->kind;
}

static bool same_object(const struct hash *a, const struct hash *b)
{
	return memcmp(a, b, has_rest(a) && has_rest(b) ? HASH_SIZE : HASH_PART) == 0;
}

/* ---- looking up ---- */

int object_get(struct cat_txn *txn, uint32_t domain, const struct hash *hash, struct object_row *ret)
{
	struct key k;
	struct bytes value;
	int r = db_get(txn, DB_OBJECT, object_key(&k, domain, hash), &value);
	return r ? r : decode(value, ret);
}

int object_find(struct cat_txn *txn, uint32_t domain, const struct hash *hash, struct object_row *ret, uint32_t *ret_domain)
{
	int r = object_get(txn, domain, hash, ret);
	if (r == 0 && ret->lender) {
		domain = ret->lender;
		r = db_must_be(object_get(txn, domain, hash, ret));
		if (r == 0 && ret->lender)
			r = ERR_DAMAGED;
	}
	if (r == 0 && is_other(ret, hash))
		r = -ENOENT;
	if (ret_domain)
		*ret_domain = domain;
	return r;
}

static int index_find(void *ctx, uint32_t domain, const struct hash *hash, struct found *ret)
{
	struct cat_txn *txn = NULL;
	struct object_row row;
	int r = cat_begin(ctx, &txn, NULL);
	if (r)
		return r;
	r = object_find(txn, domain, hash, &row, &domain);
	cat_end(&txn);
	if (r == 0)
		*ret = (struct found){ row.place, domain, row.damaged, row.whole };
	return r;
}

struct index object_index(struct catalog *catalog) { return (struct index){ index_find, catalog }; }

/* ---- changing: an edit is a pair of cursors and what it did to packs and meters ---- */

struct edit {
	struct cat_txn *txn;
	struct db_cursor *objects, *loose;
	struct pack_changes packs;
	struct meter_changes meters;
	uint64_t dropped, dropped_bytes; /* objects */
};

static int edit_start(struct edit *e, struct cat_txn *txn)
{
	e->txn = txn;
	e->objects = e->loose = NULL;
	e->packs.count = e->meters.count = 0;
	e->dropped = e->dropped_bytes = 0;
	int r = db_cursor_open(txn, DB_OBJECT, &e->objects);
	return r ? r : db_cursor_open(txn, DB_LOOSE, &e->loose);
}

/* `r` is how it went so far; the answer how it went in all. */
static int edit_end(struct edit *e, int r)
{
	db_cursor_close(&e->objects);
	db_cursor_close(&e->loose);
	if (r == 0)
		r = pack_changes_write(e->txn, &e->packs);
	return r ? r : meter_changes_write(e->txn, &e->meters);
}

/* Its bytes are in a pack, and on its payer's meter; or no longer. */
static int gain(struct edit *e, const struct place *p, uint64_t payer)
{
	int r = pack_gains(e->txn, &e->packs, p);
	return r ? r : meter_note(e->txn, &e->meters, payer, p->length);
}

static int lose(struct edit *e, const struct place *p, uint64_t payer)
{
	int r = pack_loses(e->txn, &e->packs, p);
	return r ? r : meter_note(e->txn, &e->meters, payer, -(int64_t)p->length);
}

static int make_loose(struct edit *e, const struct key *k)
{
	static const uint8_t version = LOOSE_VERSION;
	int r = db_cursor_insert(e->loose, k, (struct bytes){ &version, 1 });
	return r == -EEXIST ? 0 : r;
}

static int make_held(struct edit *e, const struct key *k)
{
	struct bytes value;
	int r = db_cursor_find(e->loose, k, &value);
	if (r)
		return r == -ENOENT ? 0 : r;
	return db_cursor_remove(e->loose);
}

static int find_row(struct edit *e, const struct key *k, struct object_row *ret)
{
	struct bytes value;
	int r = db_cursor_find(e->objects, k, &value);
	return r ? r : decode(value, ret);
}

static int change_row(struct edit *e, const struct key *k, const struct object_row *row)
{
	uint8_t value[OBJECT_VALUE_SIZE];
	return db_cursor_change(e->objects, k, encode(row, value));
}

/* ---- references ---- */

static int ref_one(struct edit *e, const struct key *k, struct object_row *row, size_t times)
{
	if (times > UINT32_MAX - row->refs)
		return -EOVERFLOW;
	if (row->refs == 0) {
		int r = make_held(e, k);
		if (r)
			return r;
	}
	row->refs += (uint32_t)times;
	return change_row(e, k, row);
}

static int unref_one(struct edit *e, const struct key *k, struct object_row *row, size_t times)
{
	if (times > row->refs)
		return ERR_DAMAGED;
	row->refs -= (uint32_t)times;
	int r = change_row(e, k, row);
	return r == 0 && row->refs == 0 ? make_loose(e, k) : r;
}

/* The row was not loose: it is not on that list. */
static int drop_one(struct edit *e, const struct key *k, struct object_row *row, size_t times)
{
	if (times != row->refs || row->lender || row->place.kind != OBJECT_CHUNK)
		return unref_one(e, k, row, times);
	int r = db_cursor_remove(e->objects);
	e->dropped++;
	e->dropped_bytes += row->place.length;
	return r ? r : lose(e, &row->place, row->payer);
}

typedef int (*refer_fn)(struct edit *, const struct key *, struct object_row *, size_t times);

static int refer_times(struct edit *e, uint32_t domain, const struct hash *hash, size_t times, refer_fn refer)
{
	struct key k;
	struct object_row row;
	if (hash_is_none(hash))
		return 0;
	int r = find_row(e, object_key(&k, domain, hash), &row);
	if (r)
		return r == -ENOENT ? ERR_STALE : r;
	return is_other(&row, hash) ? -EEXIST : refer(e, &k, &row, times);
}

/* ---- inserting, healing ---- */

static int move_row(struct edit *e, const struct key *k, struct object_row *row, const struct place *to)
{
	struct place from = row->place;
	row->place = *to;
	row->damaged = false;
	int r = change_row(e, k, row);
	if (r == 0)
		r = lose(e, &from, row->payer);
	return r ? r : gain(e, to, row->payer);
}

/* What was borrowed is the domain's own now. */
static int own_row(struct edit *e, const struct key *k, const struct hash *hash, struct object_row *row,
		   const struct place *place, uint64_t payer)
{
	uint32_t lender = row->lender;
	row->lender = 0;
	row->place = *place;
	row->payer = payer;
	set_rest(row, hash);
	int r = change_row(e, k, row);
	if (r == 0)
		r = gain(e, place, payer);
	return r ? r : refer_times(e, lender, hash, 1, unref_one);
}

/* The row is there. If its bytes are known to be damaged, these are in their place from now on. */
static int heal_one(struct edit *e, const struct key *k, const struct hash *hash, const struct place *place,
		    uint64_t payer, bool *ret_inserted)
{
	struct object_row row, theirs;
	int r = find_row(e, k, &row);
	if (r == 0 && is_other(&row, hash))
		return -EEXIST;
	if (r || row.place.kind != place->kind)
		return r;
	if (!row.lender && row.damaged)
		set_rest(&row, hash);
	if (!row.lender)
		return row.damaged ? move_row(e, k, &row, place) : 0;
	r = db_must_be(object_get(e->txn, row.lender, hash, &theirs));
	*ret_inserted = r == 0 && theirs.damaged;
	return *ret_inserted ? own_row(e, k, hash, &row, place, payer) : r;
}

static int insert_one(struct edit *e, uint32_t domain, const struct hash *hash, const struct place *place,
		      uint64_t payer, bool *ret_inserted)
{
	struct key k;
	uint8_t value[OBJECT_VALUE_SIZE];
	struct object_row row = { .place = *place, .payer = payer };
	if (hash_is_none(hash) || !place_is_sound(place))
		return -EINVAL;
	set_rest(&row, hash);
	int r = db_cursor_insert(e->objects, object_key(&k, domain, hash), encode(&row, value));
	*ret_inserted = r == 0;
	if (r == -EEXIST)
		return heal_one(e, &k, hash, place, payer, ret_inserted);
	if (r == 0)
		r = make_loose(e, &k);
	return r ? r : gain(e, place, payer);
}

int object_insert_many(struct cat_txn *txn, uint32_t domain, const struct hash *hashes, const struct place *places,
		       size_t count, uint64_t payer, uint8_t *ret_inserted)
{
	struct edit e;
	if (payer > DISK_NO_MAX)
		return -EOVERFLOW;
	int r = edit_start(&e, txn);
	for (size_t i = 0; r == 0 && i < count; i++) {
		bool inserted = false;
		r = insert_one(&e, domain, &hashes[i], &places[i], payer, &inserted);
		if (ret_inserted)
			ret_inserted[i] = inserted;
	}
	return edit_end(&e, r);
}

int object_insert(struct cat_txn *txn, uint32_t domain, const struct hash *hash, const struct place *place,
		  uint64_t payer)
{
	uint8_t inserted;
	int r = object_insert_many(txn, domain, hash, place, 1, payer, &inserted);
	return r ? r : inserted;
}

/* ---- many references ---- */

static int compare_hashes(const void *a, const void *b) { return hash_compare(a, b); }

static int refer_all(struct edit *e, uint32_t domain, struct hash *hashes, size_t count, refer_fn refer)
{
	int r = 0;
	if (count > 1)
		qsort(hashes, count, sizeof *hashes, compare_hashes);
	for (size_t i = 0, n; r == 0 && i < count; i += n) {
		for (n = 1; i + n < count && same_object(&hashes[i], &hashes[i + n]); n++)
			;
		r = refer_times(e, domain, &hashes[i], n, refer);
	}
	return r;
}

static int refer_many(struct cat_txn *txn, uint32_t domain, struct hash *hashes, size_t count, refer_fn refer)
{
	struct edit e;
	int r = edit_start(&e, txn);
	if (r == 0)
		r = refer_all(&e, domain, hashes, count, refer);
	return edit_end(&e, r);
}

int object_ref_many(struct cat_txn *txn, uint32_t domain, struct hash *hashes, size_t count)
{
	return refer_many(txn, domain, hashes, count, ref_one);
}

int object_unref_many(struct cat_txn *txn, uint32_t domain, struct hash *hashes, size_t count)
{
	return refer_many(txn, domain, hashes, count, unref_one);
}

int object_drop_many(struct cat_txn *txn, uint32_t domain, struct hash *hashes, size_t count, uint64_t *objects,
		     uint64_t *bytes)
{
	struct edit e;
	int r = edit_start(&e, txn);
	if (r == 0)
		r = refer_all(&e, domain, hashes, count, drop_one);
	*objects += e.dropped;
	*bytes += e.dropped_bytes;
	return edit_end(&e, r);
}

int object_ref(struct cat_txn *txn, uint32_t domain, const struct hash *hash)
{
	struct hash one = *hash;
	return refer_many(txn, domain, &one, 1, ref_one);
}

int object_unref(struct cat_txn *txn, uint32_t domain, const struct hash *hash)
{
	struct hash one = *hash;
	return refer_many(txn, domain, &one, 1, unref_one);
}

/* ---- references that may have to be borrowed ---- */

/* A row of `domain` for what is known elsewhere, with its first references. */
static int borrow(struct edit *e, uint32_t domain, const struct object *o, size_t times)
{
	struct key k;
	uint8_t value[OBJECT_VALUE_SIZE];
	struct object_row theirs, mine = { .refs = (uint32_t)times };
	if (times > UINT32_MAX)
		return -EOVERFLOW;
	int r = object_find(e->txn, o->domain, &o->hash, &theirs, &mine.lender);
	if (r)
		return r == -ENOENT ? ERR_STALE : r;
	mine.place.kind = theirs.place.kind;
	set_rest(&mine, &o->hash);
	r = refer_times(e, mine.lender, &o->hash, 1, ref_one);
	return r ? r : db_cursor_insert(e->objects, object_key(&k, domain, &o->hash), encode(&mine, value));
}

/* `o` are `times` references to one object, each saying where it is known. */
static int take_times(struct edit *e, uint32_t domain, const struct object *o, size_t times)
{
	int r = refer_times(e, domain, &o->hash, times, ref_one);
	for (size_t i = 0; r == ERR_STALE && i < times; i++)
		if (o[i].domain != domain)
			return borrow(e, domain, &o[i], times);
	return r;
}

int object_take_many(struct cat_txn *txn, uint32_t domain, struct object *objects, size_t count)
{
	struct edit e;
	if (count > 1)
		qsort(objects, count, sizeof *objects, compare_hashes); /* the hash is an object's first member */
	int r = edit_start(&e, txn);
	for (size_t i = 0, n; r == 0 && i < count; i += n) {
		for (n = 1; i + n < count && same_object(&objects[i].hash, &objects[i + n].hash); n++)
			;
		r = take_times(&e, domain, &objects[i], n);
	}
	return edit_end(&e, r);
}

int object_take(struct cat_txn *txn, uint32_t domain, const struct hash *hash, uint32_t lender)
{
	return object_take_many(txn, domain, &(struct object){ *hash, lender }, 1);
}

/* ---- removing, moving ---- */

static int remove_one(struct edit *e, const struct key *k, const struct hash *hash)
{
	struct object_row row;
	int r = find_row(e, k, &row);
	if (r)
		return r;
	if (row.refs)
		return -EBUSY;
	r = db_cursor_remove(e->objects);
	if (r == 0)
		r = make_held(e, k);
	if (r == 0 && row.lender)
		return refer_times(e, row.lender, hash, 1, unref_one);
	return r ? r : lose(e, &row.place, row.payer);
}

int object_remove(struct cat_txn *txn, uint32_t domain, const struct hash *hash)
{
	struct key k;
	struct edit e;
	int r = edit_start(&e, txn);
	if (r == 0)
		r = remove_one(&e, object_key(&k, domain, hash), hash);
	return edit_end(&e, r);
}

/* The hash is from the index of the pack that it lies in: there it is whole. */
static int move_one(struct edit *e, const struct key *k, const struct hash *hash, const struct place *from,
		    const struct place *to)
{
	struct object_row row;
	int r = find_row(e, k, &row);
	if (r)
		return r;
	if (row.lender || !same_place(&row.place, from))
		return -ESTALE;
	if (is_other(&row, hash))
		return -EEXIST;
	set_rest(&row, hash);
	return move_row(e, k, &row, to);
}

int object_move(struct cat_txn *txn, uint32_t domain, const struct hash *hash, const struct place *from,
		const struct place *to)
{
	struct key k;
	struct edit e;
	if (!place_is_sound(to))
		return -EINVAL;
	int r = edit_start(&e, txn);
	if (r == 0)
		r = move_one(&e, object_key(&k, domain, hash), hash, from, to);
	return edit_end(&e, r);
}

/* ---- damage ---- */

static int damaged_one(struct edit *e, const struct bad_object *o)
{
	struct key k;
	struct object_row row;
	int r = find_row(e, object_key(&k, o->object.domain, &o->object.hash), &row);
	if (r || row.lender || row.damaged || !same_place(&row.place, &o->place))
		return r == -ENOENT ? 0 : r;
	row.damaged = true;
	return change_row(e, &k, &row);
}

int object_damaged_many(struct cat_txn *txn, const struct bad_object *objects, size_t count)
{
	struct edit e;
	int r = edit_start(&e, txn);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = damaged_one(&e, &objects[i]);
	return edit_end(&e, r);
}

/* ---- another payer ---- */

static bool is_among(uint64_t payer, const uint64_t *sorted, size_t count)
{
	size_t first = 0;
	while (first < count) {
		size_t middle = first + (count - first) / 2;
		if (sorted[middle] == payer)
			return true;
		if (sorted[middle] < payer)
			first = middle + 1;
		else
			count = middle;
	}
	return false;
}

/* 1: it was theirs. */
static int claim_one(struct edit *e, const struct key *k, const uint64_t *from, size_t n_from, uint64_t to)
{
	struct object_row row;
	int r = find_row(e, k, &row);
	if (r || row.lender || !is_among(row.payer, from, n_from))
		return r == -ENOENT ? 0 : r;
	r = meter_note(e->txn, &e->meters, row.payer, -(int64_t)row.place.length);
	if (r == 0)
		r = meter_note(e->txn, &e->meters, to, row.place.length);
	row.payer = to;
	if (r == 0)
		r = change_row(e, k, &row);
	return r ? r : 1;
}

int object_claim_many(struct cat_txn *txn, uint32_t domain, const struct hash *hashes, size_t count, const uint64_t *from, size_t n_from,
		      uint64_t to)
{
	struct key k;
	struct edit e;
	int claimed = 0;
	if (to > DISK_NO_MAX)
		return -EOVERFLOW;
	int r = edit_start(&e, txn);
	for (size_t i = 0; r >= 0 && i < count; i++) {
		r = claim_one(&e, object_key(&k, domain, &hashes[i]), from, n_from, to);
		claimed += r == 1;
	}
	r = edit_end(&e, r < 0 ? r : 0);
	return r ? r : claimed;
}

/* ---- walks that come back for more ---- */

struct gathering {
	struct cat_txn *txn;
	struct loose *ret;
	unsigned count, max;
};

#define GATHERED 1 /* ends the walk: there are as many as were asked for */

static int gather(struct gathering *g, struct bytes key, struct loose **ret)
{
	if (g->count == g->max)
		return GATHERED;
	if (key.len != OBJECT_KEY_SIZE)
		return ERR_DAMAGED;
	struct loose *at = &g->ret[g->count++];
	memset(at, 0, sizeof *at);
	at->domain = get_be32(key.data);
	memcpy(at->hash.b, key.data + 4, HASH_PART);
	*ret = at;
	return 0;
}

static int gather_object(void *ctx, struct bytes key, struct bytes value)
{
	struct loose *at;
	int r = gather(ctx, key, &at);
	return r ? r : decode(value, &at->row);
}

static int gather_loose(void *ctx, struct bytes key, struct bytes value)
{
	struct gathering *g = ctx;
	struct loose *at;
	int r = gather(g, key, &at);
	(void)value;
	return r ? r : db_must_be(object_get(g->txn, at->domain, &at->hash, &at->row));
}

static int gather_from(struct cat_txn *txn, enum db_table table, uint8_t cursor[32], struct loose *ret,
		       unsigned max, db_each each)
{
	struct gathering g = { txn, ret, 0, max };
	struct key from;
	key_start(&from);
	key_bytes(&from, cursor, OBJECT_KEY_SIZE);
	int r = db_walk(txn, table, NULL, &from, each, &g);
	if (r < 0)
		return r;
	if (g.count)
		memcpy(cursor, object_key(&from, ret[g.count - 1].domain, &ret[g.count - 1].hash)->data,
		       OBJECT_KEY_SIZE);
	return (int)g.count;
}

int object_loose(struct cat_txn *txn, uint8_t cursor[32], struct loose *ret, unsigned max)
{
	return gather_from(txn, DB_LOOSE, cursor, ret, max, gather_loose);
}

int object_each(struct cat_txn *txn, uint8_t cursor[32], struct loose *ret, unsigned max)
{
	return gather_from(txn, DB_OBJECT, cursor, ret, max, gather_object);
}

int object_row_check(struct bytes key, struct bytes value)
{
	struct object_row row;
	return key.len == OBJECT_KEY_SIZE ? decode(value, &row) : ERR_DAMAGED;
}

int loose_row_check(struct bytes key, struct bytes value)
{
	return key.len == OBJECT_KEY_SIZE && value.len == 1 && value.data[0] == LOOSE_VERSION ? 0 : ERR_DAMAGED;
}
