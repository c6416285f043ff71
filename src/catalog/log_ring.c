/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of table log-ring:
 *   account u32, kind u8           -> how many bytes its entries have
 *   account u32, kind u8, seq u64  -> how many bytes this one has
 */
#include "catalog/log_ring.h"

#include <stdlib.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/row_check.h"

#define SUM_KEY 5u
#define ENTRY_KEY 13u
#define ENOUGH 1

static struct key *sum_key(struct key *k, uint32_t account, enum ring_kind kind)
{
	key_start(k);
	key_u32(k, account);
	key_u8(k, (uint8_t)kind);
	return k;
}

static struct key *entry_key(struct key *k, uint32_t account, enum ring_kind kind, uint64_t seq)
{
	key_u64(sum_key(k, account, kind), seq);
	return k;
}

int log_ring_row_check(struct bytes key, struct bytes value)
{
	uint64_t number;
	return key.len == SUM_KEY || key.len == ENTRY_KEY ? db_decode_number(value, &number) : ERR_DAMAGED;
}

static int sum_get(struct cat_txn *txn, uint32_t account, enum ring_kind kind, uint64_t *ret)
{
	struct key k;
	*ret = 0;
	int r = db_get_number(txn, DB_LOG_RING, sum_key(&k, account, kind), ret);
	return r == -ENOENT ? 0 : r;
}

static int sum_put(struct cat_txn *txn, uint32_t account, enum ring_kind kind, uint64_t bytes)
{
	struct key k;
	if (bytes)
		return db_put_number(txn, DB_LOG_RING, sum_key(&k, account, kind), bytes);
	int r = db_remove(txn, DB_LOG_RING, sum_key(&k, account, kind));
	return r == -ENOENT ? 0 : r;
}

int ring_add(struct cat_txn *txn, uint32_t account, enum ring_kind kind, uint64_t seq, uint64_t bytes, bool *ret_full)
{
	struct key k;
	uint64_t sum;
	int r = sum_get(txn, account, kind, &sum);
	if (!r)
		r = db_insert_number(txn, DB_LOG_RING, entry_key(&k, account, kind, seq), bytes);
	*ret_full = sum + bytes > (kind == RING_OWN ? RING_OWN_BYTES : RING_OTHERS_BYTES);
	return r ? r : sum_put(txn, account, kind, sum + bytes);
}

int ring_remove(struct cat_txn *txn, uint32_t account, enum ring_kind kind, uint64_t seq)
{
	struct key k;
	uint64_t sum, bytes;
	int r = db_get_number(txn, DB_LOG_RING, entry_key(&k, account, kind, seq), &bytes);
	if (r)
		return r == -ENOENT ? 0 : r;
	r = sum_get(txn, account, kind, &sum);
	if (!r)
		r = db_remove(txn, DB_LOG_RING, entry_key(&k, account, kind, seq));
	return r ? r : sum_put(txn, account, kind, sum - MIN(sum, bytes));
}

static int take_first(void *ctx, struct bytes key, struct bytes value)
{
	(void)value;
	if (key.len != ENTRY_KEY)
		return 0;
	*(uint64_t *)ctx = get_be64((const uint8_t *)key.data + SUM_KEY);
	return ENOUGH;
}

int ring_oldest(struct cat_txn *txn, uint32_t account, enum ring_kind kind, uint64_t *ret)
{
	struct key k;
	int r = db_walk(txn, DB_LOG_RING, sum_key(&k, account, kind), NULL, take_first, ret);
	return r < 0 ? r : r == ENOUGH ? 0 : -ENOENT;
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

struct newest {
	struct seqs *seqs;
	uint64_t bytes, wanted;
};

static int push(struct seqs *s, uint64_t seq)
{
	if (s->n == s->room) {
		size_t room = s->room * 2 + 256;
		uint64_t *all = reallocarray(s->all, room, sizeof *all);
		if (!all)
			return -ENOMEM;
		s->all = all;
		s->room = room;
	}
	s->all[s->n++] = seq;
	return 0;
}

static int take_newest(void *ctx, struct bytes key, struct bytes value)
{
	struct newest *n = ctx;
	uint64_t bytes;
	if (key.len != ENTRY_KEY || n->bytes >= n->wanted)
		return ENOUGH;
	int r = db_decode_number(value, &bytes);
	n->bytes += r ? 0 : bytes;
	return r ? r : push(n->seqs, get_be64((const uint8_t *)key.data + SUM_KEY));
}

int ring_newest(struct cat_txn *txn, uint32_t account, enum ring_kind kind, uint64_t bytes, struct seqs *ret)
{
	struct key k;
	struct newest n = { ret, 0, bytes };
	int r = db_walk_back(txn, DB_LOG_RING, sum_key(&k, account, kind), take_newest, &n);
	return r < 0 ? r : 0;
}

static int take_account(void *ctx, struct bytes key, struct bytes value)
{
	(void)value;
	if (key.len < SUM_KEY)
		return ERR_DAMAGED;
	*(uint32_t *)ctx = get_be32(key.data);
	return ENOUGH;
}

/* From one account's first row to the next account's: its entries are not walked over. */
int ring_each(struct cat_txn *txn, int (*each)(void *ctx, uint32_t account), void *ctx)
{
	uint32_t account;
	struct key after;
	int r = db_walk(txn, DB_LOG_RING, NULL, NULL, take_account, &account);
	while (r == ENOUGH) {
		uint64_t sum;
		r = sum_get(txn, account, RING_OWN, &sum);
		if (!r && sum)
			r = each(ctx, account);
		if (r)
			return r;
		r = db_walk(txn, DB_LOG_RING, NULL, entry_key(&after, account, RING_OTHERS, UINT64_MAX), take_account, &account);
	}
	return r;
}
