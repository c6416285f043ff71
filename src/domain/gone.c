/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of the catalog, as numbers are never used again. */
#include "domain/gone.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEY_SIZE 32
#define VALUE_SIZE 128

static char *key_of(const char *what, uint32_t no, char ret[KEY_SIZE])
{
	snprintf(ret, KEY_SIZE, "gone-%s-%" PRIu32, what, no);
	return ret;
}

int gone_note_account(struct cat_txn *txn, const struct account *a)
{
	char key[KEY_SIZE];
	return cat_meta_set(txn, key_of("account", a->no, key), a->name);
}

int gone_note_region(struct cat_txn *txn, const struct region *g)
{
	char key[KEY_SIZE], value[VALUE_SIZE];
	snprintf(value, sizeof value, "%s %s %" PRIu64, g->name, g->storage_price, g->free_storage);
	return cat_meta_set(txn, key_of("region", g->no, key), value);
}

int gone_account_name(struct cat_txn *txn, uint32_t no, char ret[PLACE_NAME_MAX + 1])
{
	char key[KEY_SIZE];
	struct account account;
	int r = account_get(txn, no, &account);
	if (!r)
		snprintf(ret, PLACE_NAME_MAX + 1, "%s", account.name);
	if (r == -ENOENT)
		r = cat_meta_get(txn, key_of("account", no, key), ret, PLACE_NAME_MAX + 1);
	if (r == -ENOENT)
		snprintf(ret, PLACE_NAME_MAX + 1, "#%" PRIu32, no);
	return r == -ENOENT ? 0 : r;
}

int gone_region(struct cat_txn *txn, uint32_t no, struct region *ret)
{
	char key[KEY_SIZE], value[VALUE_SIZE];
	int r = region_get(txn, no, ret);
	if (r != -ENOENT)
		return r;
	*ret = (struct region){ .storage_price = "0" };
	r = cat_meta_get(txn, key_of("region", no, key), value, sizeof value);
	if (!r)
		return sscanf(value, "%32s %23s %" SCNu64, ret->name, ret->storage_price, &ret->free_storage) == 3 ? 0 : ERR_DAMAGED;
	snprintf(ret->name, sizeof ret->name, "#%" PRIu32, no);
	return r == -ENOENT ? 0 : r;
}
