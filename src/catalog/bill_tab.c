/* SPDX-License-Identifier: Apache-2.0 */
/* By month, account, and the line's number in that bill. */
#include "catalog/bill_tab.h"

#include <string.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/row_check.h"

#define BILL_VERSION 1
#define BILL_KEY_SIZE 12

static const char *const kind_names[] = {
	[BILL_STORAGE] = "storage", [BILL_FREE_STORAGE] = "free-storage", [BILL_INSTANCE] = "instance",
	[BILL_WINDOWS] = "windows", [BILL_MARKETPLACE] = "marketplace",
};
static const char *const unit_names[] = {
	[BILL_GIB_MONTH] = "GiB-month", [BILL_HOUR] = "hour", [BILL_MONTH] = "month", [BILL_ONCE] = "once",
};

const char *bill_kind_name(enum bill_kind k) { return kind_names[k]; }
const char *bill_unit_name(enum bill_unit u) { return unit_names[u]; }

static void encode(const struct bill_line *b, struct record *r)
{
	record_start(r, BILL_VERSION);
	record_u32(r, b->region);
	record_u8(r, b->kind);
	record_u8(r, b->unit);
	record_u8(r, b->type);
	record_u64(r, b->id);
	RECORD_TEXT(r, b->name);
	record_u64(r, (uint64_t)b->quantity);
	record_u64(r, (uint64_t)b->rate);
	record_u64(r, (uint64_t)b->amount);
	RECORD_TEXT(r, b->currency);
	RECORD_TEXT(r, b->account_name);
	RECORD_TEXT(r, b->region_name);
	RECORD_TEXT(r, b->vendor);
}

static int decode(struct bytes key, struct bytes value, struct bill_line *ret)
{
	struct fields f;
	if (key.len != BILL_KEY_SIZE)
		return ERR_DAMAGED;
	*ret = (struct bill_line){ .month = get_be32(key.data), .account = get_be32(key.data + 4) };
	fields_start(&f, value, BILL_VERSION);
	ret->region = field_u32(&f);
	ret->kind = field_below(&f, BILL_KIND_MAX_);
	ret->unit = field_below(&f, BILL_UNIT_MAX_);
	ret->type = field_below(&f, TYPE_MAX_);
	ret->id = field_u64(&f);
	FIELD_TEXT(&f, ret->name);
	ret->quantity = (quantity)field_u64(&f);
	ret->rate = (money)field_u64(&f);
	ret->amount = (money)field_u64(&f);
	FIELD_TEXT(&f, ret->currency);
	FIELD_TEXT(&f, ret->account_name);
	FIELD_TEXT(&f, ret->region_name);
	FIELD_TEXT(&f, ret->vendor);
	return fields_end(&f);
}

static struct key *bill_key(struct key *k, uint32_t month, uint32_t account)
{
	key_u32(key_of_u32(k, month), account);
	return k;
}

int bill_put(struct cat_txn *txn, uint32_t number, const struct bill_line *line)
{
	struct key k;
	struct record record;
	encode(line, &record);
	key_u32(bill_key(&k, line->month, line->account), number);
	return db_insert(txn, DB_BILL, &k, &record);
}

struct bill_walk {
	int (*each)(void *ctx, const struct bill_line *);
	void *ctx;
};

static int on_line(void *ctx, struct bytes key, struct bytes value)
{
	struct bill_walk *walk = ctx;
	struct bill_line line;
	int r = decode(key, value, &line);
	return r ? r : walk->each(walk->ctx, &line);
}

int bill_each(struct cat_txn *txn, uint32_t month, uint32_t account, bool all, int (*each)(void *ctx, const struct bill_line *),
	      void *ctx)
{
	struct bill_walk walk = { each, ctx };
	struct key k;
	return db_walk(txn, DB_BILL, all ? key_of_u32(&k, month) : bill_key(&k, month, account), NULL, on_line, &walk);
}

int bill_row_check(struct bytes key, struct bytes value)
{
	struct bill_line line;
	return decode(key, value, &line);
}
