/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: a ring of ANSWERS_KEPT rows for each connection, (connection, slot), and the number of the slot that is
 * filled next at (connection, 0xffff). Looking one up goes back from the newest: what is sent twice was
 * sent lately, and it happens only after the daemon died. */
#include <string.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/journal.h"
#include "catalog/row_check.h"

#define ANSWER_VERSION 1
#define SLOT_NEXT 0xffff

static struct key *answer_key(struct key *k, uint32_t conn, uint16_t slot)
{
	key_u16(key_of_u32(k, conn), slot);
	return k;
}

static int next_slot(struct cat_txn *txn, uint32_t conn, uint64_t *ret)
{
	struct key k;
	*ret = 0;
	int r = db_get_number(txn, DB_ANSWER, answer_key(&k, conn, SLOT_NEXT), ret);
	if (r)
		return r == -ENOENT ? 0 : r;
	return *ret < ANSWERS_KEPT ? 0 : ERR_DAMAGED;
}

int answer_put(struct cat_txn *txn, uint32_t conn, uint64_t unique, const void *answer, unsigned len)
{
	struct key k;
	struct record record;
	uint64_t slot;
	if (len > ANSWER_MAX)
		return -EINVAL;
	int r = next_slot(txn, conn, &slot);
	if (r)
		return r;
	record_start(&record, ANSWER_VERSION);
	record_u64(&record, unique);
	record_blob(&record, answer, len);
	r = db_put(txn, DB_ANSWER, answer_key(&k, conn, (uint16_t)slot), &record);
	if (r)
		return r;
	return db_put_number(txn, DB_ANSWER, answer_key(&k, conn, SLOT_NEXT), (slot + 1) % ANSWERS_KEPT);
}

/* 0 when the slot holds the answer to `unique`, -ENOENT when another one or none. */
static int read_slot(struct cat_txn *txn, uint32_t conn, uint16_t slot, uint64_t unique, struct bytes *ret)
{
	struct key k;
	struct bytes value;
	struct fields f;
	int r = db_get(txn, DB_ANSWER, answer_key(&k, conn, slot), &value);
	if (r)
		return r;
	fields_start(&f, value, ANSWER_VERSION);
	uint64_t whose = field_u64(&f);
	*ret = field_blob(&f);
	r = fields_end(&f);
	if (r)
		return r;
	return whose == unique ? 0 : -ENOENT;
}

int answer_find(struct cat_txn *txn, uint32_t conn, uint64_t unique, void *ret, unsigned room, unsigned *ret_len)
{
	struct bytes answer;
	uint64_t next;
	int r = next_slot(txn, conn, &next);
	if (r)
		return r;
	r = -ENOENT;
	for (unsigned back = 1; r == -ENOENT && back <= ANSWERS_KEPT; back++)
		r = read_slot(txn, conn, (uint16_t)((next + ANSWERS_KEPT - back) % ANSWERS_KEPT), unique, &answer);
	if (r)
		return r;
	if (answer.len > room)
		return -ERANGE;
	if (answer.len)
		memcpy(ret, answer.data, answer.len);
	*ret_len = (unsigned)answer.len;
	return 0;
}

int answer_forget(struct cat_txn *txn, uint32_t conn)
{
	struct key k;
	return db_remove_all(txn, DB_ANSWER, key_of_u32(&k, conn));
}

int answer_row_check(struct bytes key, struct bytes value)
{
	struct fields f;
	uint64_t next;
	if (key.len != 6)
		return ERR_DAMAGED;
	if (get_be16(key.data + 4) == SLOT_NEXT)
		return db_decode_number(value, &next);
	fields_start(&f, value, ANSWER_VERSION);
	field_u64(&f);
	field_blob(&f);
	return fields_end(&f);
}
