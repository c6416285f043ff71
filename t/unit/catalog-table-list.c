/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/table_list.h: every table has a reader, rows that make no sense are told by table and key, and a copy is read like the original. */
#include "catalog/table_list.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "catalog/account.h"
#include "catalog/db.h"
#include "catalog/image.h"
#include "catalog/region.h"
#include "tap.h"

struct heard {
	unsigned begun, bad, broken, last_bad;
	char key[100];
};

static void begins(void *ctx, unsigned table) { (void)table, ((struct heard *)ctx)->begun++; }
static void goes_on(void *ctx) { (void)ctx; }
static void broken(void *ctx, unsigned table, int code) { (void)table, (void)code, ((struct heard *)ctx)->broken++; }

static void bad_row(void *ctx, unsigned table, const char *key)
{
	struct heard *h = ctx;
	h->bad++;
	h->last_bad = table;
	snprintf(h->key, sizeof h->key, "%s", key);
}

static struct heard read_copy(struct catalog *cat)
{
	struct heard h = { .bad = 0 };
	struct table_reader reader = { begins, bad_row, goes_on, broken, &h };
	AUTO_FD int fd = memfd_create("copy", 0);
	if (catalog_copy_pages(cat, fd, NULL) || table_read_all(fd, 0, &reader, NULL))
		bail("the copy cannot be read");
	return h;
}

static int fill(struct cat_txn *txn, void *arg, struct error *err)
{
	struct region region = { .no = 7, .name = "far", .storage_price = "0", .windows_fee = "0", .instance_price = "0" };
	struct account account = { .no = 3, .name = "alice", .accept = "all", .n_uids = 1, .uids = { 1000 } };
	struct image image = { .node = cat_next(txn, COUNTER_NODE), .shelf = { 3, 7, TYPE_CUSTOM, false }, .name = "web", .id = 9 };
	(void)arg, (void)err;
	int r = region_put(txn, &region);
	if (r == 0)
		r = account_put(txn, &account);
	if (r == 0)
		r = cat_meta_set(txn, "uuid", "x");
	return r ? r : image_put(txn, &image);
}

/* A row with a key of one byte (no table but "meta" has such), and a value of version 200. */
static int spoil(struct cat_txn *txn, void *arg, struct error *err)
{
	struct key k;
	struct record r;
	(void)err;
	key_start(&k);
	key_u8(&k, 'c');
	record_start(&r, 200);
	return db_put(txn, *(enum db_table *)arg, &k, &r);
}

static int unspoil(struct cat_txn *txn, void *arg, struct error *err)
{
	struct key k;
	(void)err;
	key_start(&k);
	key_u8(&k, 'c');
	return db_remove(txn, *(enum db_table *)arg, &k);
}

int main(void)
{
	char dir[300];
	struct catalog *cat;
	bool told = true, named = true;
	snprintf(dir, sizeof dir, "%s/catalog", test_folder());
	if (catalog_open(&cat, dir, CAT_CREATE, NULL) || cat_write(cat, fill, NULL, NULL))
		bail("a catalog");
	struct heard h = read_copy(cat);
	is_int(h.begun, DB_TABLES_, "all tables are read");
	is_int(h.bad + h.broken, 0, "and make sense");
	for (unsigned t = 0; t < table_count(); t++) {
		named = named && table_name(t) && table_loss(t);
		if (cat_write(cat, spoil, &t, NULL))
			bail("spoil %u", t);
		h = read_copy(cat);
		if (h.bad != 1 || h.last_bad != t || strcmp(h.key, "63") || h.broken) {
			told = false;
			diag("  table %u (%s): %u bad", t, table_name(t), h.bad);
		}
		if (cat_write(cat, unspoil, &t, NULL))
			bail("unspoil %u", t);
	}
	ok(named, "every table says what it is and what is lost with it (table_list.c)");
	ok(told, "a row that makes no sense is told, whichever table it is in (row_check.h)");
	catalog_close(cat);
	return done_testing();
}
