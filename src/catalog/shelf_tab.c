/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of table "meta": 's', the shelf, the audience. */
#include "catalog/shelf_tab.h"

#include "base/clock.h"
#include "catalog/db.h"

static struct key *time_key(struct key *k, const struct shelf *s, uint32_t audience)
{
	key_start(k);
	key_u8(k, 's');
	key_u32(k, s->account);
	key_u32(k, s->region);
	key_u8(k, s->type);
	key_u8(k, s->trash);
	key_u32(k, audience);
	return k;
}

int shelf_touch(struct cat_txn *txn, const struct shelf *s, uint32_t audience)
{
	struct key k;
	return db_put_number(txn, DB_META, time_key(&k, s, audience), (uint64_t)clock_real());
}

int shelf_time(struct cat_txn *txn, const struct shelf *s, uint32_t audience, int64_t *time)
{
	struct key k;
	uint64_t at;
	int r = db_get_number(txn, DB_META, time_key(&k, s, audience), &at);
	if (!r && (int64_t)at > *time)
		*time = (int64_t)at;
	return r == -ENOENT ? 0 : r;
}
