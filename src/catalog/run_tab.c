/* SPDX-License-Identifier: Apache-2.0 */
/* By instance and number, the numbers backwards: the last run is the first that a look-up meets. */
#include "catalog/run_tab.h"

#include <string.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/row_check.h"

#define RUN_VERSION 1
#define RUN_KEY_SIZE 12
#define FOUND 1

static void encode(const struct run *u, struct record *r)
{
	record_start(r, RUN_VERSION);
	record_u32(r, u->account);
	record_u32(r, u->region);
	RECORD_TEXT(r, u->name);
	record_u64(r, u->image);
	RECORD_TEXT(r, u->image_text);
	record_u32(r, u->vendor);
	RECORD_TEXT(r, u->license);
	record_u8(r, u->windows);
	record_u64(r, (uint64_t)u->instance_rate);
	record_u64(r, (uint64_t)u->windows_rate);
	record_u64(r, (uint64_t)u->price);
	record_u8(r, u->unit);
	record_u64(r, (uint64_t)u->started);
	record_u64(r, (uint64_t)u->started_real);
	record_u8(r, u->running);
	record_u8(r, u->gone);
	record_u8(r, u->owes_once);
	record_u64(r, (uint64_t)u->since);
	record_u64(r, (uint64_t)u->accrued);
}

static int decode(struct bytes key, struct bytes value, struct run *ret)
{
	struct fields f;
	if (key.len != RUN_KEY_SIZE)
		return ERR_DAMAGED;
	*ret = (struct run){ .instance = get_be64(key.data), .number = ~get_be32(key.data + 8) };
	fields_start(&f, value, RUN_VERSION);
	ret->account = field_u32(&f);
	ret->region = field_u32(&f);
	FIELD_TEXT(&f, ret->name);
	ret->image = field_u64(&f);
	FIELD_TEXT(&f, ret->image_text);
	ret->vendor = field_u32(&f);
	FIELD_TEXT(&f, ret->license);
	ret->windows = field_bool(&f);
	ret->instance_rate = (money)field_u64(&f);
	ret->windows_rate = (money)field_u64(&f);
	ret->price = (money)field_u64(&f);
	ret->unit = field_u8(&f);
	ret->started = (int64_t)field_u64(&f);
	ret->started_real = (int64_t)field_u64(&f);
	ret->running = field_bool(&f);
	ret->gone = field_bool(&f);
	ret->owes_once = field_bool(&f);
	ret->since = (int64_t)field_u64(&f);
	ret->accrued = (int64_t)field_u64(&f);
	return fields_end(&f);
}

static struct key *run_key(struct key *k, uint64_t instance, uint32_t number)
{
	key_u32(key_of_u64(k, instance), ~number);
	return k;
}

struct run_walk {
	int (*each)(void *ctx, const struct run *);
	void *ctx;
};

static int on_run(void *ctx, struct bytes key, struct bytes value)
{
	struct run_walk *walk = ctx;
	struct run run;
	int r = decode(key, value, &run);
	return r ? r : walk->each(walk->ctx, &run);
}

int run_each(struct cat_txn *txn, int (*each)(void *ctx, const struct run *), void *ctx)
{
	struct run_walk walk = { each, ctx };
	return db_walk(txn, DB_RUN, NULL, NULL, on_run, &walk);
}

static int take_first(void *ctx, const struct run *run)
{
	*(struct run *)ctx = *run;
	return FOUND;
}

int run_get(struct cat_txn *txn, uint64_t instance, struct run *ret)
{
	struct run_walk walk = { take_first, ret };
	struct key k;
	int r = db_walk(txn, DB_RUN, key_of_u64(&k, instance), NULL, on_run, &walk);
	return r == FOUND ? 0 : r ? r : -ENOENT;
}

int run_put(struct cat_txn *txn, const struct run *run)
{
	struct key k;
	struct record record;
	encode(run, &record);
	return db_put(txn, DB_RUN, run_key(&k, run->instance, run->number), &record);
}

int run_remove(struct cat_txn *txn, uint64_t instance, uint32_t number)
{
	struct key k;
	return db_remove(txn, DB_RUN, run_key(&k, instance, number));
}

int64_t run_time(const struct run *run, int64_t at)
{
	return run->accrued + (run->running && at > run->since ? at - run->since : 0);
}

int run_row_check(struct bytes key, struct bytes value)
{
	struct run run;
	return decode(key, value, &run);
}
