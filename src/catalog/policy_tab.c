/* SPDX-License-Identifier: Apache-2.0 */
/* Limits by (account, region, name); operations by (day, account, region), so that the days that are over stand
 * at the beginning of their table. Each count drops a few rows of earlier days: more than it adds. */
#include "catalog/policy_tab.h"

#include <string.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/row_check.h"

#define POLICY_VERSION 1
#define SCOPE_SIZE 8
#define DAY_KEY_SIZE 12
#define DROP_AT_ONCE 16

/* ---- limits ---- */

static struct key *policy_key(struct key *k, uint32_t account, uint32_t region, const char *name)
{
	key_u32(key_of_u32(k, account), region);
	key_text(k, name);
	return k;
}

static int decode(struct bytes value, char ret[POLICY_VALUE_MAX + 1])
{
	struct fields f;
	fields_start(&f, value, POLICY_VERSION);
	field_text(&f, ret, POLICY_VALUE_MAX + 1);
	return fields_end(&f);
}

int policy_row_get(struct cat_txn *txn, uint32_t account, uint32_t region, const char *name,
		   char ret[POLICY_VALUE_MAX + 1])
{
	struct key k;
	struct bytes value;
	int r = db_get(txn, DB_POLICY, policy_key(&k, account, region, name), &value);
	return r ? r : decode(value, ret);
}

int policy_row_put(struct cat_txn *txn, uint32_t account, uint32_t region, const char *name, const char *value)
{
	struct key k;
	struct record record;
	if (!name[0])
		return -EINVAL;
	record_start(&record, POLICY_VERSION);
	record_text(&record, value, POLICY_VALUE_MAX + 1);
	return db_put(txn, DB_POLICY, policy_key(&k, account, region, name), &record);
}

int policy_row_remove(struct cat_txn *txn, uint32_t account, uint32_t region, const char *name)
{
	struct key k;
	return db_remove(txn, DB_POLICY, policy_key(&k, account, region, name));
}

struct policy_walk {
	int (*each)(void *ctx, uint32_t account, uint32_t region, const char *name, const char *value);
	void *ctx;
};

static int on_row(void *ctx, struct bytes key, struct bytes value)
{
	struct policy_walk *walk = ctx;
	char name[KEY_MAX + 1], text[POLICY_VALUE_MAX + 1];
	if (key.len <= SCOPE_SIZE || key.len > KEY_MAX)
		return ERR_DAMAGED;
	memcpy(name, key.data + SCOPE_SIZE, key.len - SCOPE_SIZE);
	name[key.len - SCOPE_SIZE] = 0;
	int r = decode(value, text);
	return r ? r : walk->each(walk->ctx, get_be32(key.data), get_be32(key.data + 4), name, text);
}

int policy_row_each(struct cat_txn *txn,
		    int (*each)(void *ctx, uint32_t account, uint32_t region, const char *name, const char *value),
		    void *ctx)
{
	struct policy_walk walk = { each, ctx };
	return db_walk(txn, DB_POLICY, NULL, NULL, on_row, &walk);
}

/* ---- operations of a day ---- */

static struct key *day_key(struct key *k, uint32_t account, uint32_t region, uint32_t day)
{
	key_u32(key_of_u32(k, day), account);
	key_u32(k, region);
	return k;
}

int day_count_get(struct cat_txn *txn, uint32_t account, uint32_t region, uint32_t day, uint64_t *ret)
{
	struct key k;
	int r = db_get_number(txn, DB_DAY, day_key(&k, account, region, day), ret);
	if (r != -ENOENT)
		return r;
	*ret = 0;
	return 0;
}

struct dropping {
	struct cat_txn *txn;
	uint32_t day;
	unsigned left;
};

#define ENOUGH 1

static int drop_one(void *ctx, struct bytes key, struct bytes value)
{
	struct dropping *dropping = ctx;
	struct key k;
	(void)value;
	if (key.len != DAY_KEY_SIZE)
		return ERR_DAMAGED;
	if (get_be32(key.data) >= dropping->day || dropping->left-- == 0)
		return ENOUGH;
	key_start(&k);
	key_bytes(&k, key.data, key.len);
	return db_remove(dropping->txn, DB_DAY, &k);
}

int day_count_add(struct cat_txn *txn, uint32_t account, uint32_t region, uint32_t day)
{
	struct key k;
	uint64_t count;
	struct dropping dropping = { txn, day, DROP_AT_ONCE };
	int r = db_walk(txn, DB_DAY, NULL, NULL, drop_one, &dropping);
	if (r < 0)
		return r;
	r = day_count_get(txn, account, region, day, &count);
	return r ? r : db_put_number(txn, DB_DAY, day_key(&k, account, region, day), count + 1);
}

int policy_row_check(struct bytes key, struct bytes value)
{
	char text[POLICY_VALUE_MAX + 1];
	return key.len > SCOPE_SIZE && key.len <= KEY_MAX ? decode(value, text) : ERR_DAMAGED;
}
