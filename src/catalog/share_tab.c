/* SPDX-License-Identifier: Apache-2.0 */
/* Shares: one table of rows, and three that are derived from it:
 *
 *   share       no                              -> the row
 *   share-of    image, receiver                 -> no      an image is shared with an account once
 *   share-to    receiver, region, no            -> 1       the order in which a receiver lists them
 *   share-name  receiver, region, owner, name   -> no      names are unique
 *
 * Of a row only the name ever changes.
 */
#include "catalog/share_tab.h"

#include <string.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/shelf_tab.h"
#include "catalog/row_check.h"

#define SHARE_VERSION 1
#define TO_KEY_SIZE 16

static struct key *of_key(struct key *k, uint64_t image, uint32_t receiver)
{
	key_u32(key_of_u64(k, image), receiver);
	return k;
}

static struct key *place_key(struct key *k, uint32_t receiver, uint32_t region)
{
	key_u32(key_of_u32(k, receiver), region);
	return k;
}

static struct key *to_key(struct key *k, uint32_t receiver, uint32_t region, uint64_t no)
{
	key_u64(place_key(k, receiver, region), no);
	return k;
}

static struct key *name_key(struct key *k, const struct share *s)
{
	key_u32(place_key(k, s->receiver, s->region), s->owner);
	key_text(k, s->name);
	return k;
}

static int decode(uint64_t no, struct bytes value, struct share *ret)
{
	struct fields f;
	*ret = (struct share){ .no = no };
	fields_start(&f, value, SHARE_VERSION);
	ret->image = field_u64(&f);
	ret->owner = field_u32(&f);
	ret->receiver = field_u32(&f);
	ret->region = field_u32(&f);
	FIELD_TEXT(&f, ret->name);
	ret->created = (int64_t)field_u64(&f);
	return fields_end(&f);
}

int share_get(struct cat_txn *txn, uint64_t no, struct share *ret)
{
	struct key k;
	struct bytes value;
	int r = db_get(txn, DB_SHARE, key_of_u64(&k, no), &value);
	return r ? r : decode(no, value, ret);
}

int share_of(struct cat_txn *txn, uint64_t image, uint32_t receiver, struct share *ret)
{
	struct key k;
	uint64_t no;
	int r = db_get_number(txn, DB_SHARE_OF, of_key(&k, image, receiver), &no);
	return r ? r : db_must_be(share_get(txn, no, ret));
}

int share_find(struct cat_txn *txn, uint32_t receiver, uint32_t region, uint32_t owner, const char *name, struct share *ret)
{
	struct key k;
	uint64_t no;
	key_u32(place_key(&k, receiver, region), owner);
	key_text(&k, name);
	int r = db_get_number(txn, DB_SHARE_NAME, &k, &no);
	return r ? r : db_must_be(share_get(txn, no, ret));
}

static int put_row(struct cat_txn *txn, const struct share *s)
{
	struct key k;
	struct record record;
	record_start(&record, SHARE_VERSION);
	record_u64(&record, s->image);
	record_u32(&record, s->owner);
	record_u32(&record, s->receiver);
	record_u32(&record, s->region);
	RECORD_TEXT(&record, s->name);
	record_u64(&record, (uint64_t)s->created);
	return db_put(txn, DB_SHARE, key_of_u64(&k, s->no), &record);
}

/* The receiver sees the name, and in the makers' box its maker and operators. */
static int touch(struct cat_txn *txn, const struct share *s)
{
	struct shelf shelf = { s->receiver, s->region, TYPE_SHARED, false };
	int r = shelf_touch(txn, &shelf, AUDIENCE_ALL);
	if (!r)
		r = shelf_touch(txn, &shelf, s->owner);
	return r ? r : shelf_touch(txn, &shelf, AUDIENCE_OPERATORS);
}

static int put_new(struct cat_txn *txn, struct share *s)
{
	struct key k;
	s->no = cat_next(txn, COUNTER_NODE);
	int r = db_insert_number(txn, DB_SHARE_OF, of_key(&k, s->image, s->receiver), s->no);
	if (!r)
		r = db_insert_number(txn, DB_SHARE_NAME, name_key(&k, s), s->no);
	if (!r)
		r = db_insert_number(txn, DB_SHARE_TO, to_key(&k, s->receiver, s->region, s->no), 1);
	if (!r)
		r = touch(txn, s);
	return r ? r : put_row(txn, s);
}

int share_put(struct cat_txn *txn, struct share *s)
{
	struct key k;
	struct share old;
	if (!s->no)
		return put_new(txn, s);
	int r = share_get(txn, s->no, &old);
	if (r || strcmp(old.name, s->name) == 0)
		return r;
	r = db_insert_number(txn, DB_SHARE_NAME, name_key(&k, s), s->no);
	if (!r)
		r = db_must_be(db_remove(txn, DB_SHARE_NAME, name_key(&k, &old)));
	if (!r)
		r = touch(txn, s);
	return r ? r : put_row(txn, s);
}

int share_remove(struct cat_txn *txn, uint64_t no)
{
	struct key k;
	struct share s;
	int r = share_get(txn, no, &s);
	if (r)
		return r;
	r = db_remove(txn, DB_SHARE_NAME, name_key(&k, &s));
	if (!r)
		r = db_remove(txn, DB_SHARE_TO, to_key(&k, s.receiver, s.region, no));
	if (!r)
		r = db_remove(txn, DB_SHARE_OF, of_key(&k, s.image, s.receiver));
	if (!r)
		r = touch(txn, &s);
	return db_must_be(r ? r : db_remove(txn, DB_SHARE, key_of_u64(&k, no)));
}

/* ---- walks ---- */

struct share_walk {
	struct cat_txn *txn;
	share_each each;
	void *ctx;
};

static int on_share(struct share_walk *w, uint64_t no)
{
	struct share s;
	int r = db_must_be(share_get(w->txn, no, &s));
	return r ? r : w->each(w->ctx, &s);
}

static int on_of(void *ctx, struct bytes key, struct bytes value)
{
	uint64_t no;
	(void)key;
	int r = db_decode_number(value, &no);
	return r ? r : on_share(ctx, no);
}

int share_each_of(struct cat_txn *txn, uint64_t image, share_each each, void *ctx)
{
	struct key prefix;
	struct share_walk w = { txn, each, ctx };
	return db_walk(txn, DB_SHARE_OF, key_of_u64(&prefix, image), NULL, on_of, &w);
}

static int on_to(void *ctx, struct bytes key, struct bytes value)
{
	(void)value;
	return key.len == TO_KEY_SIZE ? on_share(ctx, get_be64(key.data + 8)) : ERR_DAMAGED;
}

int share_each_to(struct cat_txn *txn, uint32_t receiver, uint32_t region, uint64_t after, share_each each, void *ctx)
{
	struct key prefix, from;
	struct share_walk w = { txn, each, ctx };
	return db_walk(txn, DB_SHARE_TO, place_key(&prefix, receiver, region),
		       after ? to_key(&from, receiver, region, after) : NULL, on_to, &w);
}

static int count_one(void *ctx, const struct share *s)
{
	(void)s;
	++*(uint64_t *)ctx;
	return 0;
}

int share_count(struct cat_txn *txn, uint64_t image, uint64_t *ret)
{
	*ret = 0;
	return share_each_of(txn, image, count_one, ret);
}

/* ---- all of them ---- */

static int on_row(void *ctx, struct bytes key, struct bytes value)
{
	struct share_walk *w = ctx;
	struct share s;
	int r = key.len == 8 ? decode(get_be64(key.data), value, &s) : ERR_DAMAGED;
	return r ? r : w->each(w->ctx, &s);
}

int share_each_all(struct cat_txn *txn, share_each each, void *ctx)
{
	struct share_walk w = { txn, each, ctx };
	return db_walk(txn, DB_SHARE, NULL, NULL, on_row, &w);
}

bool share_is_indexed(struct cat_txn *txn, const struct share *s)
{
	struct key k;
	uint64_t of, name, to;
	return db_get_number(txn, DB_SHARE_OF, of_key(&k, s->image, s->receiver), &of) == 0 && of == s->no &&
	       db_get_number(txn, DB_SHARE_NAME, name_key(&k, s), &name) == 0 && name == s->no &&
	       db_get_number(txn, DB_SHARE_TO, to_key(&k, s->receiver, s->region, s->no), &to) == 0;
}

static int count_entry(void *ctx, struct bytes key, struct bytes value)
{
	(void)key, (void)value;
	++*(uint64_t *)ctx;
	return 0;
}

int share_count_index(struct cat_txn *txn, uint64_t *ret)
{
	static const enum db_table tables[SHARE_INDEXES] = { DB_SHARE_OF, DB_SHARE_TO, DB_SHARE_NAME };
	int r = 0;
	*ret = 0;
	for (unsigned i = 0; i < SHARE_INDEXES && !r; i++)
		r = db_walk(txn, tables[i], NULL, NULL, count_entry, ret);
	return r;
}

int share_row_check(struct bytes key, struct bytes value)
{
	struct share share;
	return key.len == 8 ? decode(get_be64(key.data), value, &share) : ERR_DAMAGED;
}
