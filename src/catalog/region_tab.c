/* SPDX-License-Identifier: Apache-2.0 */
/* Regions by number, and their numbers by name. */
#include <string.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/region.h"
#include "catalog/row_check.h"

#define REGION_VERSION 1

static void encode(const struct region *g, struct record *r)
{
	record_start(r, REGION_VERSION);
	RECORD_TEXT(r, g->name);
	record_u8(r, g->mainland);
	record_u8(r, g->copy);
	record_u8(r, g->types);
	record_u32(r, g->pool);
	RECORD_TEXT(r, g->zones);
	record_u64(r, g->free_storage);
	RECORD_TEXT(r, g->storage_price);
	RECORD_TEXT(r, g->windows_fee);
	RECORD_TEXT(r, g->instance_price);
	record_u64(r, (uint64_t)g->created);
}

static int decode(uint32_t no, struct bytes value, struct region *ret)
{
	struct fields f;
	memset(ret, 0, sizeof *ret);
	fields_start(&f, value, REGION_VERSION);
	ret->no = no;
	FIELD_TEXT(&f, ret->name);
	ret->mainland = field_bool(&f);
	ret->copy = field_bool(&f);
	ret->types = field_u8(&f);
	ret->pool = field_u32(&f);
	FIELD_TEXT(&f, ret->zones);
	ret->free_storage = field_u64(&f);
	FIELD_TEXT(&f, ret->storage_price);
	FIELD_TEXT(&f, ret->windows_fee);
	FIELD_TEXT(&f, ret->instance_price);
	ret->created = (int64_t)field_u64(&f);
	return fields_end(&f);
}

int region_get(struct cat_txn *txn, uint32_t no, struct region *ret)
{
	struct key k;
	struct bytes value;
	int r = db_get(txn, DB_REGION, key_of_u32(&k, no), &value);
	return r ? r : decode(no, value, ret);
}

int region_find(struct cat_txn *txn, const char *name, struct region *ret)
{
	struct key k;
	uint64_t no;
	int r = db_get_number(txn, DB_REGION_NAME, key_of_text(&k, name), &no);
	return r ? r : db_must_be(region_get(txn, (uint32_t)no, ret));
}

int region_put(struct cat_txn *txn, const struct region *region)
{
	struct key k;
	struct record record;
	struct region old;
	encode(region, &record);
	if (region->no == 0 || record.bad)
		return -EINVAL;
	int r = region_get(txn, region->no, &old);
	if (r == 0 && strcmp(old.name, region->name))
		return -EINVAL;
	if (r == -ENOENT)
		r = db_insert_number(txn, DB_REGION_NAME, key_of_text(&k, region->name), region->no);
	return r ? r : db_put(txn, DB_REGION, key_of_u32(&k, region->no), &record);
}

int region_remove(struct cat_txn *txn, uint32_t no)
{
	struct key k;
	struct region old;
	int r = region_get(txn, no, &old);
	if (r == 0)
		r = db_must_be(db_remove(txn, DB_REGION_NAME, key_of_text(&k, old.name)));
	return r ? r : db_remove(txn, DB_REGION, key_of_u32(&k, no));
}

struct region_walk {
	int (*each)(void *ctx, const struct region *);
	void *ctx;
};

static int on_row(void *ctx, struct bytes key, struct bytes value)
{
	struct region_walk *walk = ctx;
	struct region region;
	if (key.len != 4)
		return ERR_DAMAGED;
	int r = decode(get_be32(key.data), value, &region);
	return r ? r : walk->each(walk->ctx, &region);
}

int region_each(struct cat_txn *txn, uint32_t after, int (*each)(void *ctx, const struct region *), void *ctx)
{
	struct region_walk walk = { each, ctx };
	struct key from;
	return db_walk(txn, DB_REGION, NULL, key_of_u32(&from, after), on_row, &walk);
}

int region_row_check(struct bytes key, struct bytes value)
{
	struct region region;
	return key.len == 4 ? decode(get_be32(key.data), value, &region) : ERR_DAMAGED;
}
