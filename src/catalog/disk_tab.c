/* SPDX-License-Identifier: Apache-2.0 */
/* Disks by number. Holds by (disk, domain, levels, hash): the key says it all, the value is a version byte. */
#include "catalog/disk_tab.h"

#include <string.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/hurt_tab.h"
#include "catalog/meter_tab.h"
#include "catalog/row_check.h"

#define DISK_VERSION 2
#define HOLD_VERSION 1
#define HOLD_KEY_SIZE (8 + 4 + 1 + HASH_SIZE)

/* ---- disks ---- */

static void encode(const struct disk_row *d, struct record *r)
{
	record_start(r, DISK_VERSION);
	record_u64(r, d->image);
	record_u32(r, d->domain);
	record_u32(r, d->pool);
	record_u64(r, d->size);
	record_bytes(r, d->root.hash.b, HASH_SIZE);
	record_u8(r, d->root.levels);
	record_u64(r, (uint64_t)d->mtime);
	record_u64(r, d->stored);
	record_u8(r, d->has_sha);
	record_bytes(r, d->sha256.b, HASH_SIZE);
	record_u64(r, d->overlay);
}

static int decode(uint64_t no, struct bytes value, struct disk_row *ret)
{
	struct fields f;
	memset(ret, 0, sizeof *ret);
	uint8_t version = fields_start_upto(&f, value, DISK_VERSION);
	ret->no = no;
	ret->image = field_u64(&f);
	ret->domain = field_u32(&f);
	ret->pool = field_u32(&f);
	ret->size = field_u64(&f);
	field_bytes(&f, ret->root.hash.b, HASH_SIZE);
	ret->root.levels = field_u8(&f);
	ret->mtime = (int64_t)field_u64(&f);
	ret->stored = field_u64(&f);
	ret->has_sha = field_bool(&f);
	field_bytes(&f, ret->sha256.b, HASH_SIZE);
	if (version >= 2)
		ret->overlay = field_u64(&f);
	return fields_end(&f);
}

int disk_row_get(struct cat_txn *txn, uint64_t no, struct disk_row *ret)
{
	struct key k;
	struct bytes value;
	int r = db_get(txn, DB_DISK, key_of_u64(&k, no), &value);
	return r ? r : decode(no, value, ret);
}

int disk_row_put(struct cat_txn *txn, const struct disk_row *disk)
{
	struct key k;
	struct record record;
	if (disk->no == 0)
		return -EINVAL;
	if (disk->no > DISK_NO_MAX)
		return -EOVERFLOW;
	encode(disk, &record);
	return db_put(txn, DB_DISK, key_of_u64(&k, disk->no), &record);
}

int disk_row_remove(struct cat_txn *txn, uint64_t no)
{
	struct key k;
	int r = meter_leave(txn, no);
	if (!r)
		r = hurt_remove(txn, no);
	return r ? r : db_remove(txn, DB_DISK, key_of_u64(&k, no));
}

struct disk_walk {
	int (*each)(void *ctx, const struct disk_row *);
	void *ctx;
};

static int on_disk(void *ctx, struct bytes key, struct bytes value)
{
	struct disk_walk *walk = ctx;
	struct disk_row disk;
	if (key.len != 8)
		return ERR_DAMAGED;
	int r = decode(get_be64(key.data), value, &disk);
	return r ? r : walk->each(walk->ctx, &disk);
}

int disk_row_each(struct cat_txn *txn, uint64_t after, int (*each)(void *ctx, const struct disk_row *), void *ctx)
{
	struct disk_walk walk = { each, ctx };
	struct key from;
	return db_walk(txn, DB_DISK, NULL, key_of_u64(&from, after), on_disk, &walk);
}

/* ---- holds ---- */

static struct key *hold_key(struct key *k, uint64_t no, uint32_t domain, const struct map_root *root)
{
	key_u32(key_of_u64(k, no), domain);
	key_u8(k, root->levels);
	key_bytes(k, root->hash.b, HASH_SIZE);
	return k;
}

int hold_put(struct cat_txn *txn, uint64_t no, uint32_t domain, const struct map_root *root)
{
	struct key k;
	struct record record;
	record_start(&record, HOLD_VERSION);
	return db_insert(txn, DB_HOLD, hold_key(&k, no, domain, root), &record);
}

struct hold {
	uint64_t no;
	uint32_t domain;
	struct map_root root;
};

static int decode_hold(struct bytes key, struct bytes value, struct hold *ret)
{
	struct fields f;
	fields_start(&f, value, HOLD_VERSION);
	if (key.len != HOLD_KEY_SIZE)
		return ERR_DAMAGED;
	ret->no = get_be64(key.data);
	ret->domain = get_be32(key.data + 8);
	ret->root.levels = key.data[12];
	memcpy(ret->root.hash.b, key.data + 13, HASH_SIZE);
	return fields_end(&f);
}

#define FOUND 1

static int on_first_hold(void *ctx, struct bytes key, struct bytes value)
{
	int r = decode_hold(key, value, ctx);
	return r ? r : FOUND;
}

int hold_take(struct cat_txn *txn, uint64_t no, uint32_t *ret_domain, struct map_root *ret)
{
	struct key k;
	struct hold hold;
	int r = db_walk(txn, DB_HOLD, key_of_u64(&k, no), NULL, on_first_hold, &hold);
	if (r != FOUND)
		return r ? r : -ENOENT;
	r = db_remove(txn, DB_HOLD, hold_key(&k, no, hold.domain, &hold.root));
	if (r)
		return r;
	*ret_domain = hold.domain;
	*ret = hold.root;
	return 0;
}

int hold_any(struct cat_txn *txn, uint64_t no)
{
	struct key k;
	struct hold hold;
	int r = db_walk(txn, DB_HOLD, key_of_u64(&k, no), NULL, on_first_hold, &hold);
	return r == FOUND ? 0 : r ? r : -ENOENT;
}

struct hold_walk {
	int (*each)(void *ctx, uint64_t no, uint32_t domain, const struct map_root *);
	void *ctx;
};

static int on_hold(void *ctx, struct bytes key, struct bytes value)
{
	struct hold_walk *walk = ctx;
	struct hold hold;
	int r = decode_hold(key, value, &hold);
	return r ? r : walk->each(walk->ctx, hold.no, hold.domain, &hold.root);
}

int hold_each(struct cat_txn *txn, int (*each)(void *ctx, uint64_t no, uint32_t domain, const struct map_root *),
	      void *ctx)
{
	struct hold_walk walk = { each, ctx };
	return db_walk(txn, DB_HOLD, NULL, NULL, on_hold, &walk);
}

int disk_row_check(struct bytes key, struct bytes value)
{
	struct disk_row disk;
	return key.len == 8 ? decode(get_be64(key.data), value, &disk) : ERR_DAMAGED;
}

int hold_row_check(struct bytes key, struct bytes value)
{
	struct hold hold;
	return decode_hold(key, value, &hold);
}
