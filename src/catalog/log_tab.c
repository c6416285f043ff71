/* SPDX-License-Identifier: Apache-2.0 */
/* The log: entries by number, and rings of those that concern an account (log_ring.h). A row in table "meta" under 'l' has the last number
 * and how many bytes of entries there are. A ring that is full gives up its oldest for each new entry; when all of them together are more than
 * LOG_BYTES, the oldest of all go, a few at a time, so that no operation pays for a large cleaning.
 *
 * Entries that were made before there were rings come into them with the first new one; until then they are read as they lie.
 */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/journal.h"
#include "catalog/log_ring.h"
#include "catalog/row_check.h"

#define ENTRY_VERSION 1
#define STATE_VERSION 2 /* 1: there are no rings */
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
	bool has_rings;
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
	*ret = (struct log_state){ .has_rings = true };
	int r = db_get(txn, DB_META, state_key(&k), &value);
	if (r)
		return r == -ENOENT ? 0 : r;
	ret->has_rings = fields_start_upto(&f, value, STATE_VERSION) > 1;
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

/* ---- dropping ---- */

#define ENOUGH 1

static int drop(struct cat_txn *txn, struct log_state *s, uint64_t seq)
{
	struct key k;
	struct bytes value;
	struct log_entry e;
	int r = db_must_be(db_get(txn, DB_LOG, key_of_u64(&k, seq), &value));
	if (!r)
		r = decode((struct bytes){ k.data, k.len }, value, &e);
	if (r || s->bytes < value.len)
		return r ? r : ERR_DAMAGED;
	s->bytes -= value.len;
	r = db_remove(txn, DB_LOG, &k);
	if (!r)
		r = ring_remove(txn, e.account, RING_OWN, seq);
	return r || e.owner == e.account ? r : ring_remove(txn, e.owner, RING_OTHERS, seq);
}

struct dropping {
	struct cat_txn *txn;
	struct log_state *state;
	unsigned left;
};

static int drop_oldest(void *ctx, struct bytes key, struct bytes value)
{
	struct dropping *d = ctx;
	(void)value;
	if (d->state->bytes <= LOG_BYTES || d->left-- == 0)
		return ENOUGH;
	return key.len == 8 ? drop(d->txn, d->state, get_be64(key.data)) : ERR_DAMAGED;
}

/* What others did stays in their own rings. */
static int drop_of_ring(struct cat_txn *txn, struct log_state *s, uint32_t account, enum ring_kind kind)
{
	uint64_t seq;
	int r = ring_oldest(txn, account, kind, &seq);
	if (r)
		return r == -ENOENT ? 0 : r;
	return kind == RING_OWN ? drop(txn, s, seq) : ring_remove(txn, account, kind, seq);
}

/* ---- adding ---- */

/* Two may go for one that comes: what is shorter makes room for what is longer, in the long run. */
static int add_to_ring(struct cat_txn *txn, struct log_state *s, uint32_t account, enum ring_kind kind, uint64_t seq, uint64_t bytes)
{
	bool full;
	int r = ring_add(txn, account, kind, seq, bytes, &full);
	if (!r && full)
		r = drop_of_ring(txn, s, account, kind);
	return r || !full ? r : drop_of_ring(txn, s, account, kind);
}

static int add_to_rings(struct cat_txn *txn, struct log_state *s, const struct log_entry *e, uint64_t seq, uint64_t bytes)
{
	int r = add_to_ring(txn, s, e->account, RING_OWN, seq, bytes);
	return r || e->owner == e->account ? r : add_to_ring(txn, s, e->owner, RING_OTHERS, seq, bytes);
}

struct making {
	struct cat_txn *txn;
	struct log_state *state;
};

static int make_ring(void *ctx, struct bytes key, struct bytes value)
{
	const struct making *m = ctx;
	struct log_entry e;
	int r = decode(key, value, &e);
	return r ? r : add_to_rings(m->txn, m->state, &e, e.seq, value.len);
}

static int make_rings(struct cat_txn *txn, struct log_state *s)
{
	struct making m = { txn, s };
	s->has_rings = true;
	return db_walk(txn, DB_LOG, NULL, NULL, make_ring, &m);
}

int log_add(struct cat_txn *txn, const struct log_entry *entry)
{
	struct key k;
	struct record record;
	struct log_state state;
	encode(entry, &record);
	int r = state_get(txn, &state);
	if (!r && !state.has_rings)
		r = make_rings(txn, &state);
	if (r)
		return r;
	state.last++;
	state.bytes += record.len;
	r = db_insert(txn, DB_LOG, key_of_u64(&k, state.last), &record);
	if (!r)
		r = add_to_rings(txn, &state, entry, state.last, record.len);
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
	int r = db_walk_back(txn, DB_LOG, NULL, on_tail, &tail);
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

/* ---- what concerns somebody ---- */

struct collecting {
	struct cat_txn *txn;
	struct seqs seqs;
	uint64_t bytes; /* of each account */
	unsigned accounts;
};

static int count_account(void *ctx, uint32_t account)
{
	struct collecting *c = ctx;
	(void)account;
	c->accounts++;
	return 0;
}

static int collect_account(void *ctx, uint32_t account)
{
	struct collecting *c = ctx;
	return ring_newest(c->txn, account, RING_OWN, c->bytes, &c->seqs);
}

/* Of each account as much as of any other: nobody pushes out what others did. */
static int collect_all(struct collecting *c, uint64_t bytes)
{
	int r = ring_each(c->txn, count_account, c);
	c->bytes = c->accounts ? MAX(bytes / c->accounts, (uint64_t)LOG_SHARE_LEAST) : 0;
	return r ? r : ring_each(c->txn, collect_account, c);
}

static int collect(struct collecting *c, uint32_t account, uint64_t bytes)
{
	if (!account)
		return collect_all(c, bytes);
	int r = ring_newest(c->txn, account, RING_OWN, bytes - bytes / 4, &c->seqs);
	return r ? r : ring_newest(c->txn, account, RING_OTHERS, bytes / 4, &c->seqs);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static int tell(struct collecting *c, int (*each)(void *ctx, const struct log_entry *), void *ctx)
{
	int r = 0;
	if (c->seqs.n)
		qsort(c->seqs.all, c->seqs.n, sizeof c->seqs.all[0], by_number);
	for (size_t i = 0; i < c->seqs.n && !r; i++) {
		struct key k;
		struct bytes value;
		struct log_entry e;
		r = db_must_be(db_get(c->txn, DB_LOG, key_of_u64(&k, c->seqs.all[i]), &value));
		if (!r)
			r = decode((struct bytes){ k.data, k.len }, value, &e);
		if (!r)
			r = each(ctx, &e);
	}
	return r;
}

int log_newest(struct cat_txn *txn, uint32_t account, uint64_t bytes, int (*each)(void *ctx, const struct log_entry *), void *ctx)
{
	struct collecting c = { .txn = txn };
	struct log_state state;
	uint64_t after = 0;
	int r = state_get(txn, &state);
	if (!r && !state.has_rings) {
		r = log_tail(txn, bytes, &after);
		return r ? r : log_each(txn, account, after, each, ctx);
	}
	if (!r)
		r = collect(&c, account, bytes);
	if (!r)
		r = tell(&c, each, ctx);
	free(c.seqs.all);
	return r;
}
