/* SPDX-License-Identifier: Apache-2.0 */
/* The log: entries by number. A row in table "meta" under 'l' has the last number and how many bytes of entries there
 * are; when they are more than LOG_BYTES each new entry takes a few of the oldest away, so that no
 * operation pays for a large cleaning. */
#include <string.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/journal.h"
#include "catalog/row_check.h"

#define ENTRY_VERSION 1
#define STATE_VERSION 1
#define DROP_AT_ONCE 16 /* the largest entry is about as long as 16 of the smallest */

/* ---- bytes ---- */

static void encode(const struct log_entry *e, struct record *r)
{
	record_start(r, ENTRY_VERSION);
	record_u64(r, (uint64_t)e->time);
	record_u32(r, e->account);
	record_u32(r, e->owner);
	record_u32(r, e->uid);
	record_u32(r, (uint32_t)e->result);
	RECORD_TEXT(r, e->operation);
	RECORD_TEXT(r, e->path);
	RECORD_TEXT(r, e->detail);
}

static int decode(struct bytes key, struct bytes value, struct log_entry *ret)
{
	struct fields f;
	if (key.len != 8)
		return ERR_DAMAGED;
	memset(ret, 0, sizeof *ret);
	fields_start(&f, value, ENTRY_VERSION);
	ret->seq = get_be64(key.data);
	ret->time = (int64_t)field_u64(&f);
	ret->account = field_u32(&f);
	ret->owner = field_u32(&f);
	ret->uid = field_u32(&f);
	ret->result = (int32_t)field_u32(&f);
	FIELD_TEXT(&f, ret->operation);
	FIELD_TEXT(&f, ret->path);
	FIELD_TEXT(&f, ret->detail);
	return fields_end(&f);
}

/* ---- the log as a whole ---- */

struct log_state {
	uint64_t last, bytes;
};

static struct key *state_key(struct key *k)
{
	key_start(k);
	key_u8(k, 'l');
	return k;
}

static int state_get(struct cat_txn *txn, struct log_state *ret)
{
	struct key k;
	struct bytes value;
	struct fields f;
	*ret = (struct log_state){ 0, 0 };
	int r = db_get(txn, DB_META, state_key(&k), &value);
	if (r)
		return r == -ENOENT ? 0 : r;
	fields_start(&f, value, STATE_VERSION);
	ret->last = field_u64(&f);
	ret->bytes = field_u64(&f);
	return fields_end(&f);
}

static int state_put(struct cat_txn *txn, const struct log_state *s)
{
	struct key k;
	struct record record;
	record_start(&record, STATE_VERSION);
	record_u64(&record, s->last);
	record_u64(&record, s->bytes);
	return db_put(txn, DB_META, state_key(&k), &record);
}

/* ---- adding ---- */

struct dropping {
	struct cat_txn *txn;
	struct log_state *state;
	unsigned left;
};

#define ENOUGH 1

static int drop_oldest(void *ctx, struct bytes key, struct bytes value)
{
	struct dropping *d = ctx;
	struct key k;
	if (d->state->bytes <= LOG_BYTES || d->left-- == 0)
		return ENOUGH;
	if (d->state->bytes < value.len)
		return ERR_DAMAGED;
	d->state->bytes -= value.len;
	key_start(&k);
	key_bytes(&k, key.data, key.len);
	return db_remove(d->txn, DB_LOG, &k);
}

int log_add(struct cat_txn *txn, const struct log_entry *entry)
{
	struct key k;
	struct record record;
	struct log_state state;
	encode(entry, &record);
	int r = state_get(txn, &state);
	if (r)
		return r;
	state.last++;
	state.bytes += record.len;
	r = db_insert(txn, DB_LOG, key_of_u64(&k, state.last), &record);
	if (r == 0 && state.bytes > LOG_BYTES) {
		struct dropping dropping = { txn, &state, DROP_AT_ONCE };
		r = db_walk(txn, DB_LOG, NULL, NULL, drop_oldest, &dropping);
	}
	return r < 0 ? r : state_put(txn, &state);
}

/* ---- reading ---- */

struct log_walk {
	uint32_t account;
	int (*each)(void *ctx, const struct log_entry *);
	void *ctx;
};

static int on_entry(void *ctx, struct bytes key, struct bytes value)
{
	struct log_walk *walk = ctx;
	struct log_entry entry;
	int r = decode(key, value, &entry);
	if (r)
		return r;
	if (walk->account && entry.account != walk->account && entry.owner != walk->account)
		return 0;
	return walk->each(walk->ctx, &entry);
}

int log_each(struct cat_txn *txn, uint32_t account, uint64_t after,
	     int (*each)(void *ctx, const struct log_entry *), void *ctx)
{
	struct log_walk walk = { account, each, ctx };
	struct key from;
	return db_walk(txn, DB_LOG, NULL, key_of_u64(&from, after), on_entry, &walk);
}

struct tail {
	uint64_t bytes, wanted, after;
};

/* A row is about as long as its line of text. */
static int on_tail(void *ctx, struct bytes key, struct bytes value)
{
	struct tail *tail = ctx;
	if (key.len != 8)
		return ERR_DAMAGED;
	if (tail->bytes >= tail->wanted) {
		tail->after = get_be64(key.data);
		return ENOUGH;
	}
	tail->bytes += value.len;
	return 0;
}

int log_tail(struct cat_txn *txn, uint64_t bytes, uint64_t *ret_after)
{
	struct tail tail = { 0, bytes, 0 };
	int r = db_walk_back(txn, DB_LOG, on_tail, &tail);
	if (r < 0)
		return r;
	*ret_after = tail.after;
	return 0;
}

int log_row_check(struct bytes key, struct bytes value)
{
	struct log_entry entry;
	return decode(key, value, &entry);
}
