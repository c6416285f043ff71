/* SPDX-License-Identifier: Apache-2.0 */
/* A row has to be decoded by its table's function, or to be a number whose key is as long as it must be; keys have to ascend: pages
 * that name each other in a circle end there. */
#include "catalog/table_list.h"

#include <string.h>

#include "catalog/db.h"
#include "catalog/row_check.h"

#define GOES_ON 10000u /* rows */

static const struct table {
	const char *name, *loss;
	row_check check;   /* NULL: numbers … */
	unsigned key_size; /* … whose keys have so many bytes … */
	bool named;        /* … and a text behind them */
} tables[DB_TABLES_] = {
	[DB_META] = { "meta", "a counter, a property of the store or the state of its ledger", meta_row_check, 0, false },
	[DB_REGION] = { "region", "a region: its name, prices and zones", region_row_check, 0, false },
	[DB_REGION_NAME] = { "region-name", "the way from a region's name to the region", NULL, 0, true },
	[DB_ACCOUNT] = { "account", "an account: its name, uids and rights", account_row_check, 0, false },
	[DB_ACCOUNT_NAME] = { "account-name", "the way from an account's name to the account", NULL, 0, true },
	[DB_ACCOUNT_UID] = { "account-uid", "the way from a uid to its account", NULL, 4, false },
	[DB_ACCOUNT_DOMAIN] = { "account-domain", "where the bytes are that an account shares with nobody", NULL, 4, false },
	[DB_IMAGE] = { "image", "an image, an instance or an alias: its name, its state and which disk is its", image_row_check, 0, false },
	[DB_IMAGE_NAME] = { "image-name", "the way from an image's name to the image", NULL, 10, true },
	[DB_IMAGE_SHELF] = { "image-shelf", "an image's place in the listing of its folder", NULL, 18, false },
	[DB_IMAGE_ID] = { "image-id", "the way from an image's id to the image", NULL, 16, false },
	[DB_IMAGE_CHILD] = { "image-child", "the way from an image to one made from it", NULL, 16, false },
	[DB_IMAGE_COUNT] = { "image-count", "how many images are in a folder", image_count_row_check, 0, false },
	[DB_SETTING] = { "setting", "a setting of an image", setting_row_check, 0, false },
	[DB_SHARE] = { "share", "who shares an image with whom", share_row_check, 0, false },
	[DB_SHARE_OF] = { "share-of", "the way from an image to a share of it", NULL, 12, false },
	[DB_SHARE_TO] = { "share-to", "a share's place in the listing of its receiver", NULL, 16, false },
	[DB_SHARE_NAME] = { "share-name", "the way from a share's name to the share", NULL, 12, true },
	[DB_DISK] = { "disk", "a disk: its size and where its bytes begin", disk_row_check, 0, false },
	[DB_HOLD] = { "hold", "what a disk that is being written still needs", hold_row_check, 0, false },
	[DB_OBJECT] = { "object", "where 64 KiB of disks, or a part of a map, are", object_row_check, 0, false },
	[DB_LOOSE] = { "loose", "that an object is garbage", loose_row_check, 0, false },
	[DB_PACK] = { "pack", "how much of a pack is in use", pack_row_check, 0, false },
	[DB_METER] = { "meter", "how long a disk's bytes were stored this month", meter_row_check, 0, false },
	[DB_METER_SUM] = { "meter-sum", "how much an account stores in a region", meter_sum_row_check, 0, false },
	[DB_RUN] = { "run", "when a server ran, and for what price", run_row_check, 0, false },
	[DB_BILL] = { "bill", "a line of a closed bill", bill_row_check, 0, false },
	[DB_POLICY] = { "policy", "a policy that an operator set", policy_row_check, 0, false },
	[DB_DAY] = { "day", "how many operations an account did on a day", NULL, 12, false },
	[DB_ANSWER] = { "answer", "what a request was answered that may be sent again", answer_row_check, 0, false },
	[DB_LOG] = { "log", "an entry of the log", log_row_check, 0, false },
	[DB_HURT] = { "hurt", "that a disk is known to be damaged", hurt_row_check, 0, false },
	[DB_LOG_RING] = { "log-ring", "whom an entry of the log concerns", log_ring_row_check, 0, false },
};

unsigned table_count(void) { return DB_TABLES_; }
const char *table_name(unsigned table) { return table < DB_TABLES_ ? tables[table].name : "?"; }
const char *table_loss(unsigned table) { return table < DB_TABLES_ ? tables[table].loss : "?"; }

static int check_row(const struct table *t, struct bytes key, struct bytes value)
{
	uint64_t number;
	if (t->check)
		return t->check(key, value);
	if (t->named ? key.len <= t->key_size : key.len != t->key_size)
		return ERR_DAMAGED;
	return db_decode_number(value, &number);
}

struct reading {
	const struct table_reader *reader;
	unsigned table;
	uint64_t rows;
	struct key last;
};

static void tell_bad_row(struct reading *r, struct bytes key)
{
	char hex[2 * 40 + 1] = "";
	for (size_t i = 0; i < key.len && i < 40; i++) {
		static const char digits[] = "0123456789abcdef";
		hex[2 * i] = digits[key.data[i] >> 4];
		hex[2 * i + 1] = digits[key.data[i] & 15];
		hex[2 * i + 2] = 0;
	}
	r->reader->bad_row(r->reader->ctx, r->table, hex);
}

/* As LMDB orders them. */
static bool ascends(const struct key *last, struct bytes key)
{
	size_t n = last->len < key.len ? last->len : key.len;
	int order = memcmp(last->data, key.data, n);
	return order < 0 || (order == 0 && last->len < key.len);
}

static int read_row(void *ctx, struct bytes key, struct bytes value)
{
	struct reading *r = ctx;
	if (r->rows++ && !ascends(&r->last, key))
		return ERR_DAMAGED;
	key_start(&r->last);
	key_bytes(&r->last, key.data, key.len);
	if (check_row(&tables[r->table], key, value))
		tell_bad_row(r, key);
	if (r->rows % GOES_ON == 0)
		r->reader->goes_on(r->reader->ctx);
	return 0;
}

static void read_table(struct cat_txn *txn, unsigned table, const struct table_reader *reader)
{
	struct reading reading = { reader, table, 0, { .len = 0 } };
	uint64_t count;
	reader->begins(reader->ctx, table);
	int r = db_count(txn, table, &count);
	if (r == 0)
		r = db_walk(txn, table, NULL, NULL, read_row, &reading);
	if (r == 0 && count != reading.rows)
		r = ERR_DAMAGED;
	if (r)
		reader->broken(reader->ctx, table, r);
}

int table_read_all(int fd, unsigned first, const struct table_reader *reader, struct error *err)
{
	struct catalog *cat;
	struct cat_txn *txn;
	int r = catalog_open_copy(&cat, fd, err);
	if (r)
		return r;
	r = cat_begin(cat, &txn, err);
	for (unsigned table = first; r == 0 && table < DB_TABLES_; table++)
		if (db_has_table(cat, table))
			read_table(txn, table, reader);
	if (r == 0)
		cat_end(&txn);
	catalog_close(cat);
	return r;
}
