/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts by number, and their numbers by name and by uid. The two indexes follow the row in account_put
 * and account_remove. account_put looks at everything that could be taken before it changes anything. */
#include <string.h>

#include "base/num.h"
#include "catalog/account.h"
#include "catalog/db.h"
#include "catalog/row_check.h"

#define ACCOUNT_VERSION 1

static void encode(const struct account *a, struct record *r)
{
	record_start(r, ACCOUNT_VERSION);
	RECORD_TEXT(r, a->name);
	record_u8(r, a->is_operator);
	record_u8(r, a->is_vendor);
	RECORD_TEXT(r, a->accept);
	record_u64(r, (uint64_t)a->created);
	record_u8(r, (uint8_t)a->n_uids);
	for (unsigned i = 0; i < a->n_uids; i++)
		record_u32(r, a->uids[i]);
}

static int decode(uint32_t no, struct bytes value, struct account *ret)
{
	struct fields f;
	memset(ret, 0, sizeof *ret);
	fields_start(&f, value, ACCOUNT_VERSION);
	ret->no = no;
	FIELD_TEXT(&f, ret->name);
	ret->is_operator = field_bool(&f);
	ret->is_vendor = field_bool(&f);
	FIELD_TEXT(&f, ret->accept);
	ret->created = (int64_t)field_u64(&f);
	unsigned n = field_below(&f, ACCOUNT_UIDS + 1);
	for (unsigned i = 0; i < n && !f.bad; i++)
		ret->uids[ret->n_uids++] = field_u32(&f);
	return fields_end(&f);
}

int account_get(struct cat_txn *txn, uint32_t no, struct account *ret)
{
	struct key k;
	struct bytes value;
	int r = db_get(txn, DB_ACCOUNT, key_of_u32(&k, no), &value);
	return r ? r : decode(no, value, ret);
}

int account_find(struct cat_txn *txn, const char *name, struct account *ret)
{
	struct key k;
	uint64_t no;
	int r = db_get_number(txn, DB_ACCOUNT_NAME, key_of_text(&k, name), &no);
	return r ? r : db_must_be(account_get(txn, (uint32_t)no, ret));
}

int account_by_uid(struct cat_txn *txn, uint32_t uid, struct account *ret)
{
	struct key k;
	uint64_t no;
	int r = db_get_number(txn, DB_ACCOUNT_UID, key_of_u32(&k, uid), &no);
	return r ? r : db_must_be(account_get(txn, (uint32_t)no, ret));
}

/* ---- changing ---- */

static int check_free(struct cat_txn *txn, enum db_table table, const struct key *k, uint32_t no)
{
	uint64_t who;
	int r = db_get_number(txn, table, k, &who);
	if (r)
		return r == -ENOENT ? 0 : r;
	return who == no ? 0 : -EEXIST;
}

static int check_all_free(struct cat_txn *txn, const struct account *a)
{
	struct key k;
	int r = check_free(txn, DB_ACCOUNT_NAME, key_of_text(&k, a->name), a->no);
	for (unsigned i = 0; r == 0 && i < a->n_uids; i++)
		r = check_free(txn, DB_ACCOUNT_UID, key_of_u32(&k, a->uids[i]), a->no);
	return r;
}

static int drop_entries(struct cat_txn *txn, const struct account *a)
{
	struct key k;
	int r = db_must_be(db_remove(txn, DB_ACCOUNT_NAME, key_of_text(&k, a->name)));
	for (unsigned i = 0; r == 0 && i < a->n_uids; i++) {
		r = db_remove(txn, DB_ACCOUNT_UID, key_of_u32(&k, a->uids[i]));
		if (r == -ENOENT) /* named twice by the row */
			r = 0;
	}
	return r;
}

static int add_entries(struct cat_txn *txn, const struct account *a)
{
	struct key k;
	int r = db_put_number(txn, DB_ACCOUNT_NAME, key_of_text(&k, a->name), a->no);
	for (unsigned i = 0; r == 0 && i < a->n_uids; i++)
		r = db_put_number(txn, DB_ACCOUNT_UID, key_of_u32(&k, a->uids[i]), a->no);
	return r;
}

int account_put(struct cat_txn *txn, const struct account *account)
{
	struct key k;
	struct record record;
	struct account old;
	if (account->no == 0 || account->n_uids > ACCOUNT_UIDS)
		return -EINVAL;
	encode(account, &record);
	if (record.bad || !account->name[0])
		return -EINVAL;
	int r = check_all_free(txn, account);
	if (r)
		return r;
	r = account_get(txn, account->no, &old);
	if (r == 0)
		r = drop_entries(txn, &old);
	else if (r == -ENOENT)
		r = 0;
	if (r == 0)
		r = add_entries(txn, account);
	return r ? r : db_put(txn, DB_ACCOUNT, key_of_u32(&k, account->no), &record);
}

int account_remove(struct cat_txn *txn, uint32_t no)
{
	struct key k;
	struct account old;
	int r = account_get(txn, no, &old);
	if (r == 0)
		r = drop_entries(txn, &old);
	if (r == 0)
		r = db_remove(txn, DB_ACCOUNT_DOMAIN, key_of_u32(&k, no));
	if (r == -ENOENT) /* it never needed one */
		r = 0;
	return r ? r : db_remove(txn, DB_ACCOUNT, key_of_u32(&k, no));
}

/* ---- domains ---- */

int account_domain(struct cat_txn *txn, uint32_t no, uint32_t *ret)
{
	struct key k;
	uint64_t domain;
	int r = db_get_number(txn, DB_ACCOUNT_DOMAIN, key_of_u32(&k, no), &domain);
	if (r == -ENOENT) {
		domain = cat_next(txn, COUNTER_DOMAIN);
		r = db_put_number(txn, DB_ACCOUNT_DOMAIN, &k, domain);
	}
	*ret = (uint32_t)domain;
	return r;
}

/* ---- walk ---- */

struct account_walk {
	int (*each)(void *ctx, const struct account *);
	void *ctx;
};

static int on_row(void *ctx, struct bytes key, struct bytes value)
{
	struct account_walk *walk = ctx;
	struct account account;
	if (key.len != 4)
		return ERR_DAMAGED;
	int r = decode(get_be32(key.data), value, &account);
	return r ? r : walk->each(walk->ctx, &account);
}

int account_each(struct cat_txn *txn, uint32_t after, int (*each)(void *ctx, const struct account *), void *ctx)
{
	struct account_walk walk = { each, ctx };
	struct key from;
	return db_walk(txn, DB_ACCOUNT, NULL, key_of_u32(&from, after), on_row, &walk);
}

int account_row_check(struct bytes key, struct bytes value)
{
	struct account account;
	return key.len == 4 ? decode(get_be32(key.data), value, &account) : ERR_DAMAGED;
}
