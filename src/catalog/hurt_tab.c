/* SPDX-License-Identifier: Apache-2.0 */
/* By disk. */
#include "catalog/hurt_tab.h"

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/row_check.h"

#define HURT_VERSION 1

int hurt_put(struct cat_txn *txn, const struct hurt *h)
{
	struct key k;
	struct record r;
	record_start(&r, HURT_VERSION);
	record_u64(&r, h->offset);
	record_u64(&r, (uint64_t)h->found);
	return db_put(txn, DB_HURT, key_of_u64(&k, h->disk), &r);
}

static int decode(uint64_t disk, struct bytes value, struct hurt *ret)
{
	struct fields f;
	fields_start(&f, value, HURT_VERSION);
	ret->disk = disk;
	ret->offset = field_u64(&f);
	ret->found = (int64_t)field_u64(&f);
	return fields_end(&f);
}

int hurt_get(struct cat_txn *txn, uint64_t disk, struct hurt *ret)
{
	struct key k;
	struct bytes value;
	int r = db_get(txn, DB_HURT, key_of_u64(&k, disk), &value);
	return r ? r : decode(disk, value, ret);
}

int hurt_remove(struct cat_txn *txn, uint64_t disk)
{
	struct key k;
	int r = db_remove(txn, DB_HURT, key_of_u64(&k, disk));
	return r == -ENOENT ? 0 : r;
}

struct hurt_walk {
	int (*each)(void *ctx, const struct hurt *);
	void *ctx;
};

static int decode_row(struct bytes key, struct bytes value, struct hurt *ret)
{
	return key.len == 8 ? decode(get_be64(key.data), value, ret) : ERR_DAMAGED;
}

int hurt_row_check(struct bytes key, struct bytes value)
{
	struct hurt ignored;
	return decode_row(key, value, &ignored);
}

static int on_row(void *ctx, struct bytes key, struct bytes value)
{
	struct hurt_walk *walk = ctx;
	struct hurt hurt;
	int r = decode_row(key, value, &hurt);
	return r ? r : walk->each(walk->ctx, &hurt);
}

int hurt_each(struct cat_txn *txn, uint64_t after, int (*each)(void *ctx, const struct hurt *), void *ctx)
{
	struct hurt_walk walk = { each, ctx };
	struct key from;
	return db_walk(txn, DB_HURT, NULL, key_of_u64(&from, after), on_row, &walk);
}
