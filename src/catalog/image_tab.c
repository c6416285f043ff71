/* SPDX-License-Identifier: Apache-2.0 */
/* Images: one table of rows by node, and five that are derived from them:
 *
 *   image-name   shelf, name  -> node      names are unique on a shelf
 *   image-shelf  shelf, node  -> 1         the order of listings
 *   image-id     id, node     -> 1         the newest row (highest node) with an id is the one it names
 *   image-child  from, node   -> 1         lineage
 *   image-count  shelf        -> how many  of KIND_IMAGE; no row when none
 *   image-count  shelf, its type plus 128 -> how many  of KIND_ALIAS that were made since they are counted; no row when none
 *
 * Every change goes through image_put or image_remove, which take the entries of the old row out and put those of the
 * new row in, in the same transaction; so they cannot come apart.
 */
#include "catalog/image.h"

#include <string.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/ledger_clock.h"
#include "catalog/shelf_tab.h"
#include "catalog/row_check.h"

#define IMAGE_VERSION 2 /* 2: with aging */

/* ---- a row's bytes ---- */

static void encode(const struct image *i, int64_t aging, struct record *r)
{
	record_start(r, IMAGE_VERSION);
	record_u64(r, i->id);
	record_u32(r, i->shelf.account);
	record_u32(r, i->shelf.region);
	record_u8(r, i->shelf.type);
	record_u8(r, i->shelf.trash);
	RECORD_TEXT(r, i->name);
	record_u8(r, i->kind);
	record_u8(r, i->state);
	record_u8(r, i->state_before_trash);
	record_u8(r, i->is_protected);
	record_u8(r, i->used);
	record_u8(r, i->published);
	record_u32(r, i->owner);
	record_u64(r, (uint64_t)i->created);
	record_u64(r, (uint64_t)i->changed);
	record_u64(r, (uint64_t)i->last_used);
	record_u64(r, (uint64_t)i->trashed);
	record_u64(r, i->disk);
	record_u64(r, i->from);
	record_u8(r, i->from_shared);
	record_u8(r, i->inherits);
	record_u32(r, i->vendor);
	RECORD_TEXT(r, i->from_text);
	RECORD_TEXT(r, i->target);
	record_u64(r, i->expect_size);
	record_u8(r, i->expect_sha);
	record_bytes(r, i->expect_sha256, sizeof i->expect_sha256);
	RECORD_TEXT(r, i->upload);
	RECORD_TEXT(r, i->reason);
	RECORD_TEXT(r, i->format);
	record_u8(r, i->incomplete);
	record_u64(r, i->replaced_by);
	record_u32(r, i->maker_pid);
	record_u32(r, i->maker_conn);
	record_u64(r, (uint64_t)aging);
}

static int decode(uint64_t node, struct bytes value, struct image *ret)
{
	struct fields f;
	memset(ret, 0, sizeof *ret);
	uint8_t version = fields_start_upto(&f, value, IMAGE_VERSION);
	ret->node = node;
	ret->id = field_u64(&f);
	ret->shelf.account = field_u32(&f);
	ret->shelf.region = field_u32(&f);
	ret->shelf.type = field_below(&f, TYPE_MAX_);
	ret->shelf.trash = field_bool(&f);
	FIELD_TEXT(&f, ret->name);
	ret->kind = field_below(&f, KIND_ALIAS + 1);
	ret->state = field_below(&f, STATE_TRASHED + 1);
	ret->state_before_trash = field_below(&f, STATE_TRASHED + 1);
	ret->is_protected = field_bool(&f);
	ret->used = field_bool(&f);
	ret->published = field_bool(&f);
	ret->owner = field_u32(&f);
	ret->created = (int64_t)field_u64(&f);
	ret->changed = (int64_t)field_u64(&f);
	ret->last_used = (int64_t)field_u64(&f);
	ret->trashed = (int64_t)field_u64(&f);
	ret->disk = field_u64(&f);
	ret->from = field_u64(&f);
	ret->from_shared = field_bool(&f);
	ret->inherits = field_below(&f, INHERITS_ALL + 1);
	ret->vendor = field_u32(&f);
	FIELD_TEXT(&f, ret->from_text);
	FIELD_TEXT(&f, ret->target);
	ret->expect_size = field_u64(&f);
	ret->expect_sha = field_bool(&f);
	field_bytes(&f, ret->expect_sha256, sizeof ret->expect_sha256);
	FIELD_TEXT(&f, ret->upload);
	FIELD_TEXT(&f, ret->reason);
	FIELD_TEXT(&f, ret->format);
	ret->incomplete = field_bool(&f);
	ret->replaced_by = field_u64(&f);
	ret->maker_pid = field_u32(&f);
	ret->maker_conn = field_u32(&f);
	ret->aging = version < 2 ? 0 : (int64_t)field_u64(&f); /* it ages from when that clock began */
	return fields_end(&f);
}

/* ---- keys ---- */

static struct key *shelf_key(struct key *k, const struct shelf *s)
{
	key_start(k);
	key_u32(k, s->account);
	key_u32(k, s->region);
	key_u8(k, s->type);
	key_u8(k, s->trash);
	return k;
}

static struct key *alias_key(struct key *k, const struct shelf *s)
{
	struct shelf of_aliases = *s;
	of_aliases.type |= 0x80;
	return shelf_key(k, &of_aliases);
}

static struct key *name_key(struct key *k, const struct shelf *s, const char *name)
{
	key_text(shelf_key(k, s), name);
	return k;
}

static struct key *place_key(struct key *k, const struct shelf *s, uint64_t node)
{
	key_u64(shelf_key(k, s), node);
	return k;
}

static struct key *pair_key(struct key *k, uint64_t number, uint64_t node)
{
	key_u64(key_of_u64(k, number), node);
	return k;
}

/* The node at the end of an index's key of `len` bytes. */
static int node_of_key(struct bytes key, size_t len, uint64_t *ret)
{
	if (key.len != len)
		return ERR_DAMAGED;
	*ret = get_be64(key.data + len - 8);
	return 0;
}

#define SHELF_KEY_SIZE 10
#define PLACE_KEY_SIZE (SHELF_KEY_SIZE + 8)
#define PAIR_KEY_SIZE 16

/* ---- looking up ---- */

int image_get(struct cat_txn *txn, uint64_t node, struct image *ret)
{
	struct key k;
	struct bytes value;
	int r = db_get(txn, DB_IMAGE, key_of_u64(&k, node), &value);
	return r ? r : decode(node, value, ret);
}

int image_find(struct cat_txn *txn, const struct shelf *shelf, const char *name, struct image *ret)
{
	struct key k;
	uint64_t node;
	int r = db_get_number(txn, DB_IMAGE_NAME, name_key(&k, shelf, name), &node);
	return r ? r : db_must_be(image_get(txn, node, ret));
}

static int keep_node(void *ctx, struct bytes key, struct bytes value)
{
	(void)value;
	return node_of_key(key, PAIR_KEY_SIZE, ctx);
}

int image_by_id(struct cat_txn *txn, uint64_t id, struct image *ret)
{
	struct key prefix;
	uint64_t node = 0;
	int r = db_walk(txn, DB_IMAGE_ID, key_of_u64(&prefix, id), NULL, keep_node, &node);
	if (r)
		return r;
	return node ? db_must_be(image_get(txn, node, ret)) : -ENOENT;
}

/* ---- the derived tables ---- */

/* Aliases that were made before they were counted are not: that there are fewer than none of them is no damage. */
static int count_alias(struct cat_txn *txn, const struct shelf *shelf, bool more)
{
	struct key k;
	uint64_t count;
	int r = image_count_aliases(txn, shelf, &count);
	if (r || (!more && count == 0))
		return r;
	count = more ? count + 1 : count - 1;
	alias_key(&k, shelf);
	return count ? db_put_number(txn, DB_IMAGE_COUNT, &k, count) : db_remove(txn, DB_IMAGE_COUNT, &k);
}

static int count_on(struct cat_txn *txn, const struct image *i, bool more)
{
	struct key k;
	uint64_t count;
	if (i->kind != KIND_IMAGE)
		return count_alias(txn, &i->shelf, more);
	int r = image_count(txn, &i->shelf, &count);
	if (r)
		return r;
	if (!more && count == 0)
		return ERR_DAMAGED;
	count = more ? count + 1 : count - 1;
	shelf_key(&k, &i->shelf);
	return count ? db_put_number(txn, DB_IMAGE_COUNT, &k, count) : db_remove(txn, DB_IMAGE_COUNT, &k);
}

static int move_name(struct cat_txn *txn, const struct image *old, const struct image *new)
{
	struct key k;
	int r = 0;
	if (old && new && shelf_equal(&old->shelf, &new->shelf) && strcmp(old->name, new->name) == 0)
		return 0;
	if (new) /* first: when the name is taken nothing is changed yet */
		r = db_insert_number(txn, DB_IMAGE_NAME, name_key(&k, &new->shelf, new->name), new->node);
	if (r == 0 && old)
		r = db_must_be(db_remove(txn, DB_IMAGE_NAME, name_key(&k, &old->shelf, old->name)));
	return r;
}

static int move_place(struct cat_txn *txn, const struct image *old, const struct image *new)
{
	struct key k;
	int r = 0;
	if (old && new && shelf_equal(&old->shelf, &new->shelf))
		return 0;
	if (old)
		r = db_must_be(db_remove(txn, DB_IMAGE_SHELF, place_key(&k, &old->shelf, old->node)));
	if (r == 0 && new)
		r = db_put_number(txn, DB_IMAGE_SHELF, place_key(&k, &new->shelf, new->node), 1);
	return r;
}

static int move_count(struct cat_txn *txn, const struct image *old, const struct image *new)
{
	int r = 0;
	if (old && new && shelf_equal(&old->shelf, &new->shelf) && old->kind == new->kind)
		return 0;
	if (old)
		r = count_on(txn, old, false);
	if (r == 0 && new)
		r = count_on(txn, new, true);
	return r;
}

/* An index of (number, node) in which rows with number 0 have no entry. */
static int move_pair(struct cat_txn *txn, enum db_table table, uint64_t old, uint64_t new, uint64_t node)
{
	struct key k;
	int r = 0;
	if (old == new)
		return 0;
	if (old)
		r = db_must_be(db_remove(txn, table, pair_key(&k, old, node)));
	if (r == 0 && new)
		r = db_put_number(txn, table, pair_key(&k, new, node), 1);
	return r;
}

/* Does everybody see it who sees its shelf? Of what is public, or in the marketplace, only what is published. */
static bool is_seen_by_all(const struct image *i)
{
	return i->shelf.account != 0 ||
	       (i->published && (i->kind == KIND_ALIAS || i->state == STATE_AVAILABLE || i->state == STATE_DEPRECATED));
}

static int touch(struct cat_txn *txn, const struct image *i)
{
	if (is_seen_by_all(i))
		return shelf_touch(txn, &i->shelf, AUDIENCE_ALL);
	int r = shelf_touch(txn, &i->shelf, i->owner);
	return r ? r : shelf_touch(txn, &i->shelf, AUDIENCE_OPERATORS);
}

static int move_times(struct cat_txn *txn, const struct image *old, const struct image *new)
{
	if (old && new && shelf_equal(&old->shelf, &new->shelf) && strcmp(old->name, new->name) == 0 &&
	    is_seen_by_all(old) == is_seen_by_all(new))
		return 0;
	int r = old ? touch(txn, old) : 0;
	return r || !new ? r : touch(txn, new);
}

/* From the entries of the old row to those of the new one; NULL: there is none. */
static int move_entries(struct cat_txn *txn, const struct image *old, const struct image *new)
{
	uint64_t node = (old ? old : new)->node;
	int r = move_name(txn, old, new);
	if (r == 0)
		r = move_place(txn, old, new);
	if (r == 0)
		r = move_count(txn, old, new);
	if (r == 0)
		r = move_times(txn, old, new);
	if (r == 0)
		r = move_pair(txn, DB_IMAGE_ID, old ? old->id : 0, new ? new->id : 0, node);
	if (r == 0)
		r = move_pair(txn, DB_IMAGE_CHILD, old ? old->from : 0, new ? new->from : 0, node);
	return r;
}

/* ---- changing ---- */

static bool is_sound(const struct image *i)
{
	return i->node && i->name[0] && i->shelf.type < TYPE_MAX_ && i->kind <= KIND_ALIAS &&
	       i->state <= STATE_TRASHED && i->state_before_trash <= STATE_TRASHED;
}

/* Since when it ages; `old` (may be NULL) is the row before. */
static int age_from(struct cat_txn *txn, const struct image *old, const struct image *new, int64_t *ret)
{
	bool same = old && old->shelf.trash == new->shelf.trash;
	if (!same || (new->shelf.trash ? old->trashed != new->trashed : old->changed != new->changed))
		return lived_now(txn, ret);
	*ret = old->aging;
	return 0;
}

int image_put(struct cat_txn *txn, const struct image *image)
{
	struct key k;
	struct record record;
	struct image row, *old;
	int64_t aging;
	if (!is_sound(image))
		return -EINVAL;
	int r = image_get(txn, image->node, &row);
	if (r && r != -ENOENT)
		return r;
	old = r ? NULL : &row;
	r = age_from(txn, old, image, &aging);
	if (r)
		return r;
	encode(image, aging, &record);
	if (record.bad)
		return -EINVAL;
	r = move_entries(txn, old, image);
	return r ? r : db_put(txn, DB_IMAGE, key_of_u64(&k, image->node), &record);
}

int image_remove(struct cat_txn *txn, uint64_t node)
{
	struct key k;
	struct image old;
	int r = image_get(txn, node, &old);
	if (r == 0)
		r = move_entries(txn, &old, NULL);
	if (r == 0)
		r = db_remove_all(txn, DB_SETTING, key_of_u64(&k, node));
	return r ? r : db_remove(txn, DB_IMAGE, key_of_u64(&k, node));
}

/* ---- walks ---- */

struct image_walk {
	struct cat_txn *txn;
	int (*each)(void *ctx, const struct image *);
	void *ctx;
};

static int on_shelf(void *ctx, struct bytes key, struct bytes value)
{
	struct image_walk *walk = ctx;
	struct image image;
	uint64_t node;
	(void)value;
	int r = node_of_key(key, PLACE_KEY_SIZE, &node);
	if (r == 0)
		r = db_must_be(image_get(walk->txn, node, &image));
	return r ? r : walk->each(walk->ctx, &image);
}

int image_each(struct cat_txn *txn, const struct shelf *shelf, uint64_t after,
	       int (*each)(void *ctx, const struct image *), void *ctx)
{
	struct image_walk walk = { txn, each, ctx };
	struct key prefix, from;
	return db_walk(txn, DB_IMAGE_SHELF, shelf_key(&prefix, shelf), place_key(&from, shelf, after), on_shelf,
		       &walk);
}

static int on_row(void *ctx, struct bytes key, struct bytes value)
{
	struct image_walk *walk = ctx;
	struct image image;
	uint64_t node;
	int r = node_of_key(key, 8, &node);
	if (r == 0)
		r = decode(node, value, &image);
	return r ? r : walk->each(walk->ctx, &image);
}

int image_each_all(struct cat_txn *txn, uint64_t after, int (*each)(void *ctx, const struct image *), void *ctx)
{
	struct image_walk walk = { txn, each, ctx };
	struct key from;
	return db_walk(txn, DB_IMAGE, NULL, key_of_u64(&from, after), on_row, &walk);
}

int image_count(struct cat_txn *txn, const struct shelf *shelf, uint64_t *ret)
{
	struct key k;
	int r = db_get_number(txn, DB_IMAGE_COUNT, shelf_key(&k, shelf), ret);
	if (r != -ENOENT)
		return r;
	*ret = 0;
	return 0;
}

int image_count_aliases(struct cat_txn *txn, const struct shelf *shelf, uint64_t *ret)
{
	struct key k;
	int r = db_get_number(txn, DB_IMAGE_COUNT, alias_key(&k, shelf), ret);
	if (r != -ENOENT)
		return r;
	*ret = 0;
	return 0;
}

struct child_walk {
	int (*each)(void *ctx, uint64_t node);
	void *ctx;
};

static int on_child(void *ctx, struct bytes key, struct bytes value)
{
	struct child_walk *walk = ctx;
	uint64_t node;
	(void)value;
	int r = node_of_key(key, PAIR_KEY_SIZE, &node);
	return r ? r : walk->each(walk->ctx, node);
}

int image_each_child(struct cat_txn *txn, uint64_t id, uint64_t after, int (*each)(void *ctx, uint64_t node),
		     void *ctx)
{
	struct child_walk walk = { each, ctx };
	struct key prefix, from;
	return db_walk(txn, DB_IMAGE_CHILD, key_of_u64(&prefix, id), pair_key(&from, id, after), on_child, &walk);
}

int image_row_check(struct bytes key, struct bytes value)
{
	struct image image;
	return key.len == 8 ? decode(get_be64(key.data), value, &image) : ERR_DAMAGED;
}

/* A shelf, and behind it a 1 in the row that counts aliases. */
int image_count_row_check(struct bytes key, struct bytes value)
{
	uint64_t number;
	bool aliases = key.len == SHELF_KEY_SIZE + 1 && key.data[SHELF_KEY_SIZE] == 1;
	return key.len == SHELF_KEY_SIZE || aliases ? db_decode_number(value, &number) : ERR_DAMAGED;
}
