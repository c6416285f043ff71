/* SPDX-License-Identifier: Apache-2.0 */
/* Settings: one row each, by node and key, so that changing one rewrites nothing else. */
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "catalog/db.h"
#include "catalog/image.h"
#include "catalog/row_check.h"

#define SETTING_VERSION 2 /* 1 had no time */
#define SETTING_KEY_SIZE 9

static struct key *setting_key(struct key *k, uint64_t node, uint8_t key)
{
	key_u8(key_of_u64(k, node), key);
	return k;
}

/* *ret_time is 0 in a row that has none. */
static int decode(struct bytes value, struct bytes *ret, int64_t *ret_time)
{
	struct fields f;
	uint8_t version = fields_start_upto(&f, value, SETTING_VERSION);
	*ret = field_blob(&f);
	*ret_time = version > 1 ? (int64_t)field_u64(&f) : 0;
	return fields_end(&f);
}

static int find(struct cat_txn *txn, uint64_t node, uint8_t key, struct bytes *ret, int64_t *ret_time)
{
	struct key k;
	struct bytes value;
	int r = db_get(txn, DB_SETTING, setting_key(&k, node, key), &value);
	return r ? r : decode(value, ret, ret_time);
}

int setting_get(struct cat_txn *txn, uint64_t node, uint8_t key, char *ret, unsigned room, unsigned *ret_len)
{
	struct bytes text;
	int64_t time;
	int r = find(txn, node, key, &text, &time);
	if (r)
		return r;
	if (text.len > room)
		return -ERANGE;
	if (text.len)
		memcpy(ret, text.data, text.len);
	if (text.len < room)
		ret[text.len] = 0;
	if (ret_len)
		*ret_len = (unsigned)text.len;
	return 0;
}

static int put(struct cat_txn *txn, uint64_t node, uint8_t key, const char *value, unsigned len, int64_t time)
{
	struct key k;
	struct record r;
	if (key == 0)
		return -EINVAL;
	if (len > SETTING_MAX)
		return -E2BIG;
	record_start(&r, SETTING_VERSION);
	record_blob(&r, value, len);
	record_u64(&r, (uint64_t)time);
	return db_put(txn, DB_SETTING, setting_key(&k, node, key), &r);
}

int setting_put(struct cat_txn *txn, uint64_t node, uint8_t key, const char *value, unsigned len)
{
	return put(txn, node, key, value, len, clock_real());
}

int setting_time(struct cat_txn *txn, uint64_t node, uint8_t key, int64_t *ret)
{
	struct bytes text;
	return find(txn, node, key, &text, ret);
}

int setting_set_time(struct cat_txn *txn, uint64_t node, uint8_t key, int64_t time)
{
	char text[SETTING_MAX];
	unsigned len;
	int r = setting_get(txn, node, key, text, sizeof text, &len);
	return r ? r : put(txn, node, key, text, len, time);
}

int setting_remove(struct cat_txn *txn, uint64_t node, uint8_t key)
{
	struct key k;
	return db_remove(txn, DB_SETTING, setting_key(&k, node, key));
}

struct setting_walk {
	int (*each)(void *ctx, uint8_t key, const char *value, unsigned len);
	void *ctx;
};

/* The caller gets a copy with a NUL behind it: it may change settings while it looks at this one. */
static int on_setting(void *ctx, struct bytes key, struct bytes value)
{
	struct setting_walk *walk = ctx;
	struct bytes text;
	int64_t time;
	char copy[SETTING_MAX + 1];
	int r = decode(value, &text, &time);
	if (r || key.len != SETTING_KEY_SIZE || text.len > SETTING_MAX)
		return ERR_DAMAGED;
	memcpy(copy, text.data, text.len);
	copy[text.len] = 0;
	return walk->each(walk->ctx, key.data[SETTING_KEY_SIZE - 1], copy, (unsigned)text.len);
}

int setting_each(struct cat_txn *txn, uint64_t node,
		 int (*each)(void *ctx, uint8_t key, const char *value, unsigned len), void *ctx)
{
	struct setting_walk walk = { each, ctx };
	struct key prefix;
	return db_walk(txn, DB_SETTING, key_of_u64(&prefix, node), NULL, on_setting, &walk);
}

struct copying {
	struct cat_txn *txn;
	uint64_t from, to;
};

static int copy_one(void *ctx, uint8_t key, const char *value, unsigned len)
{
	struct copying *copying = ctx;
	int64_t time;
	int r = setting_time(copying->txn, copying->from, key, &time);
	return r ? r : put(copying->txn, copying->to, key, value, len, time);
}

int setting_copy_all(struct cat_txn *txn, uint64_t from_node, uint64_t to_node)
{
	struct copying copying = { txn, from_node, to_node };
	return setting_each(txn, from_node, copy_one, &copying);
}

int setting_row_check(struct bytes key, struct bytes value)
{
	struct bytes text;
	int64_t time;
	int r = decode(value, &text, &time);
	return r || key.len != SETTING_KEY_SIZE || text.len > SETTING_MAX ? ERR_DAMAGED : 0;
}
