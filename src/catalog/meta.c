/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and properties, in table "meta": keys begin with a letter for what they are ('c' a counter and
 * its number in enum cat_counter, 'p' a property and its name; db.c has 'f', the format). A counter's row is its
 * last number; it is changed in the transaction that uses the number, so none is given out twice. */
#include <string.h>

#include "catalog/db.h"
#include "catalog/row_check.h"

#define PROPERTY_VERSION 1

static struct key *counter_key(struct key *k, enum cat_counter counter)
{
	key_start(k);
	key_u8(k, 'c');
	key_u8(k, (uint8_t)counter);
	return k;
}

static int counter_read(struct cat_txn *txn, enum cat_counter counter, uint64_t *ret)
{
	struct key k;
	int r = db_get_number(txn, DB_META, counter_key(&k, counter), ret);
	if (r == -ENOENT) {
		*ret = 0;
		r = 0;
	}
	return r;
}

uint64_t cat_next(struct cat_txn *txn, enum cat_counter counter)
{
	struct key k;
	uint64_t last = 0;
	int r = counter_read(txn, counter, &last);
	if (r == 0)
		r = db_put_number(txn, DB_META, counter_key(&k, counter), last + 1);
	if (r && !txn->failed)
		txn->failed = r;
	return last + 1;
}

uint64_t cat_counter_get(struct cat_txn *txn, enum cat_counter counter)
{
	uint64_t last = 0;
	int r = counter_read(txn, counter, &last);
	if (r && !txn->failed)
		txn->failed = r;
	return last;
}

int cat_counter_raise(struct cat_txn *txn, enum cat_counter counter, uint64_t at_least)
{
	struct key k;
	uint64_t last;
	int r = counter_read(txn, counter, &last);
	if (r || last >= at_least)
		return r;
	return db_put_number(txn, DB_META, counter_key(&k, counter), at_least);
}

static struct key *property_key(struct key *k, const char *name)
{
	key_start(k);
	key_u8(k, 'p');
	key_text(k, name);
	return k;
}

int cat_meta_get(struct cat_txn *txn, const char *name, char *ret, unsigned size)
{
	struct key k;
	struct bytes value;
	struct fields f;
	int r = db_get(txn, DB_META, property_key(&k, name), &value);
	if (r)
		return r;
	fields_start(&f, value, PROPERTY_VERSION);
	struct bytes text = field_blob(&f);
	r = fields_end(&f);
	if (r)
		return r;
	if (text.len >= size)
		return -ERANGE;
	memcpy(ret, text.data, text.len);
	ret[text.len] = 0;
	return 0;
}

int cat_meta_set(struct cat_txn *txn, const char *name, const char *value)
{
	struct key k;
	struct record r;
	record_start(&r, PROPERTY_VERSION);
	record_blob(&r, value, strlen(value));
	return db_put(txn, DB_META, property_key(&k, name), &r);
}

/* By the first byte of the key. Of what only one row has, its reader finds what is wrong with it; a letter that nobody reads does no harm. */
int meta_row_check(struct bytes key, struct bytes value)
{
	struct fields f;
	uint64_t number;
	if (key.len == 0)
		return ERR_DAMAGED;
	if (key.data[0] == 'c' || key.data[0] == 'm' || key.data[0] == 's')
		return db_decode_number(value, &number);
	if (key.data[0] != 'p')
		return value.len > 1 ? 0 : ERR_DAMAGED;
	fields_start(&f, value, PROPERTY_VERSION);
	field_blob(&f);
	return fields_end(&f);
}
