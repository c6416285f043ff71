/* SPDX-License-Identifier: Apache-2.0 */
/* What several tables do with rows, made of db.c's look-ups and walks. */
#include "catalog/db.h"

#define NUMBER_VERSION 1

struct removal {
	struct cat_txn *txn;
	enum db_table table;
};

static int remove_row(void *ctx, struct bytes key, struct bytes value)
{
	struct removal *removal = ctx;
	struct key k;
	(void)value;
	key_start(&k);
	key_bytes(&k, key.data, key.len);
	return db_remove(removal->txn, removal->table, &k);
}

int db_remove_all(struct cat_txn *txn, enum db_table table, const struct key *prefix)
{
	struct removal removal = { txn, table };
	return db_walk(txn, table, prefix, NULL, remove_row, &removal);
}

static void record_number(struct record *r, uint64_t value)
{
	record_start(r, NUMBER_VERSION);
	record_u64(r, value);
}

int db_decode_number(struct bytes value, uint64_t *ret)
{
	struct fields f;
	fields_start(&f, value, NUMBER_VERSION);
	*ret = field_u64(&f);
	return fields_end(&f);
}

int db_get_number(struct cat_txn *txn, enum db_table table, const struct key *key, uint64_t *ret)
{
	struct bytes value;
	int r = db_get(txn, table, key, &value);
	return r ? r : db_decode_number(value, ret);
}

int db_put_number(struct cat_txn *txn, enum db_table table, const struct key *key, uint64_t value)
{
	struct record r;
	record_number(&r, value);
	return db_put(txn, table, key, &r);
}

int db_insert_number(struct cat_txn *txn, enum db_table table, const struct key *key, uint64_t value)
{
	struct record r;
	record_number(&r, value);
	return db_insert(txn, table, key, &r);
}
