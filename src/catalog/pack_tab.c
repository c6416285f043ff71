/* SPDX-License-Identifier: Apache-2.0 */
/* Packs by number, and the sums over them: a row in table "meta" under 't' that every change of a pack row
 * brings up to date. The numbers of packs and objects are LMDB's own counts of rows. */
#include "catalog/pack_tab.h"

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/row_check.h"

#define PACK_VERSION 1
#define TOTALS_VERSION 1

/* ---- totals ---- */

struct totals {
	uint64_t bytes, live;
};

static struct key *totals_key(struct key *k)
{
	key_start(k);
	key_u8(k, 't');
	return k;
}

static int totals_get(struct cat_txn *txn, struct totals *ret)
{
	struct key k;
	struct bytes value;
	struct fields f;
	*ret = (struct totals){ 0, 0 };
	int r = db_get(txn, DB_META, totals_key(&k), &value);
	if (r)
		return r == -ENOENT ? 0 : r;
	fields_start(&f, value, TOTALS_VERSION);
	ret->bytes = field_u64(&f);
	ret->live = field_u64(&f);
	return fields_end(&f);
}

/* From what one pack's row was to what it is. */
static int totals_move(struct cat_txn *txn, const struct pack_row *old, const struct pack_row *new)
{
	struct key k;
	struct record record;
	struct totals t;
	int r = totals_get(txn, &t);
	if (r)
		return r;
	record_start(&record, TOTALS_VERSION);
	record_u64(&record, t.bytes - old->bytes + new->bytes);
	record_u64(&record, t.live - old->live_bytes + new->live_bytes);
	return db_put(txn, DB_META, totals_key(&k), &record);
}

int pack_totals(struct cat_txn *txn, uint64_t *ret_bytes, uint64_t *ret_live, uint64_t *ret_packs,
		uint64_t *ret_objects)
{
	struct totals t;
	uint64_t packs, objects;
	int r = totals_get(txn, &t);
	if (r == 0)
		r = db_count(txn, DB_PACK, &packs);
	if (r == 0)
		r = db_count(txn, DB_OBJECT, &objects);
	if (r)
		return r;
	*ret_bytes = t.bytes;
	*ret_live = t.live;
	*ret_packs = packs;
	*ret_objects = objects;
	return 0;
}

/* ---- rows ---- */

static int decode(uint32_t no, struct bytes value, struct pack_row *ret)
{
	struct fields f;
	fields_start(&f, value, PACK_VERSION);
	ret->no = no;
	ret->pool = field_u32(&f);
	ret->domain = field_u32(&f);
	ret->bytes = field_u64(&f);
	ret->live_bytes = field_u64(&f);
	ret->live_count = field_u32(&f);
	ret->level = field_u8(&f);
	return fields_end(&f);
}

static int write_row(struct cat_txn *txn, const struct pack_row *row)
{
	struct key k;
	struct record r;
	record_start(&r, PACK_VERSION);
	record_u32(&r, row->pool);
	record_u32(&r, row->domain);
	record_u64(&r, row->bytes);
	record_u64(&r, row->live_bytes);
	record_u32(&r, row->live_count);
	record_u8(&r, row->level);
	return db_put(txn, DB_PACK, key_of_u32(&k, row->no), &r);
}

int pack_row_get(struct cat_txn *txn, uint32_t no, struct pack_row *ret)
{
	struct key k;
	struct bytes value;
	int r = db_get(txn, DB_PACK, key_of_u32(&k, no), &value);
	return r ? r : decode(no, value, ret);
}

int pack_row_put(struct cat_txn *txn, const struct pack_row *row)
{
	struct pack_row old;
	if (row->no == 0)
		return -EINVAL;
	int r = pack_row_get(txn, row->no, &old);
	if (r == -ENOENT) {
		old = (struct pack_row){ .no = row->no };
		r = cat_counter_raise(txn, COUNTER_PACK, row->no);
	}
	if (r == 0)
		r = totals_move(txn, &old, row);
	return r ? r : write_row(txn, row);
}

int pack_row_remove(struct cat_txn *txn, uint32_t no)
{
	static const struct pack_row none;
	struct key k;
	struct pack_row old;
	int r = pack_row_get(txn, no, &old);
	if (r == 0)
		r = totals_move(txn, &old, &none);
	return r ? r : db_remove(txn, DB_PACK, key_of_u32(&k, no));
}

struct pack_walk {
	int (*each)(void *ctx, const struct pack_row *);
	void *ctx;
};

static int on_row(void *ctx, struct bytes key, struct bytes value)
{
	struct pack_walk *walk = ctx;
	struct pack_row row;
	if (key.len != 4)
		return ERR_DAMAGED;
	int r = decode(get_be32(key.data), value, &row);
	return r ? r : walk->each(walk->ctx, &row);
}

int pack_row_each(struct cat_txn *txn, uint32_t after, int (*each)(void *ctx, const struct pack_row *), void *ctx)
{
	struct pack_walk walk = { each, ctx };
	struct key from;
	return db_walk(txn, DB_PACK, NULL, key_of_u32(&from, after), on_row, &walk);
}

/* ---- live numbers ---- */

static int write_change(struct cat_txn *txn, const struct pack_change *change)
{
	struct pack_row old;
	int r = pack_row_get(txn, change->no, &old);
	if (r == -ENOENT)
		return change->objects > 0 ? ERR_STALE : 0;
	if (r)
		return r;
	struct pack_row new = old;
	new.live_bytes += (uint64_t)change->bytes;
	new.live_count += (uint32_t)change->objects;
	bool fell = change->objects < 0;
	if (fell && (new.live_bytes > old.live_bytes || new.live_count > old.live_count))
		return ERR_DAMAGED; /* more went than there were */
	r = totals_move(txn, &old, &new);
	return r ? r : write_row(txn, &new);
}

int pack_changes_write(struct cat_txn *txn, struct pack_changes *changes)
{
	int r = 0;
	for (unsigned i = 0; r == 0 && i < changes->count; i++)
		r = write_change(txn, &changes->at[i]);
	changes->count = 0;
	return r;
}

/* The entry of a pack, made when it has none. */
static int change_of(struct cat_txn *txn, struct pack_changes *changes, uint32_t no, struct pack_change **ret)
{
	int r = 0;
	for (unsigned i = 0; i < changes->count; i++)
		if (changes->at[i].no == no) {
			*ret = &changes->at[i];
			return 0;
		}
	if (changes->count == PACK_CHANGES)
		r = pack_changes_write(txn, changes);
	*ret = &changes->at[changes->count++];
	**ret = (struct pack_change){ .no = no };
	return r;
}

int pack_gains(struct cat_txn *txn, struct pack_changes *changes, const struct place *place)
{
	struct pack_change *change;
	int r = change_of(txn, changes, place->pack, &change);
	change->bytes += place->length;
	change->objects++;
	return r;
}

int pack_loses(struct cat_txn *txn, struct pack_changes *changes, const struct place *place)
{
	struct pack_change *change;
	int r = change_of(txn, changes, place->pack, &change);
	change->bytes -= place->length;
	change->objects--;
	return r;
}

int pack_row_check(struct bytes key, struct bytes value)
{
	struct pack_row row;
	return key.len == 4 ? decode(get_be32(key.data), value, &row) : ERR_DAMAGED;
}
