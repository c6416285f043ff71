/* SPDX-License-Identifier: Apache-2.0 */
/* db: what the tables are made of: rows in LMDB by key, walks, cursors. For src/catalog alone; db.c is
 * the only file that knows LMDB.
 *
 * Bytes that a look-up gives are LMDB's own: they stay until the next change in the same transaction, or its
 * end. A table decodes them before it does anything else.
 */
#ifndef IMAGEFS_CATALOG_DB_H
#define IMAGEFS_CATALOG_DB_H

#include "catalog/catalog.h"
#include "catalog/key.h"
#include "catalog/record.h"

enum db_table {
	DB_META,
	DB_REGION, DB_REGION_NAME,
	DB_ACCOUNT, DB_ACCOUNT_NAME, DB_ACCOUNT_UID, DB_ACCOUNT_DOMAIN,
	DB_IMAGE, DB_IMAGE_NAME, DB_IMAGE_SHELF, DB_IMAGE_ID, DB_IMAGE_CHILD, DB_IMAGE_COUNT,
	DB_SETTING,
	DB_SHARE, DB_SHARE_OF, DB_SHARE_TO, DB_SHARE_NAME,
	DB_DISK, DB_HOLD,
	DB_OBJECT, DB_LOOSE, DB_PACK,
	DB_METER, DB_METER_SUM,
	DB_RUN, DB_BILL,
	DB_POLICY, DB_DAY,
	DB_ANSWER, DB_LOG,
	/* Here ends format 1. New ones go here: they are made, empty, when a catalog without them is opened. */
	DB_HURT,
	DB_LOG_RING,
	DB_TABLES_,
};
#define DB_TABLES_OF_FORMAT_1 (DB_LOG + 1u)

struct MDB_txn;
struct clock_source;

/* Used by one thread at a time. */
struct cat_txn {
	struct catalog *catalog;
	struct MDB_txn *mdb;
	bool write;
	bool full;            /* LMDB ran out of room for this transaction */
	int failed;           /* of a function that has no way to say so (cat_next): undo it all */
	struct cat_txn *next; /* among those that wait to be used again */
};

/* Format and map size of one attempt to open; catalog_open() tries sizes until one can be mapped. */
int db_open(struct catalog **ret, const char *dir, int flags, uint64_t map_size, struct error *err) MUST_USE;

bool db_has_table(const struct catalog *, enum db_table); /* always, but in what catalog_open_copy() opened */

const struct clock_source *db_clock(struct catalog *); /* what ledger_clock.c reads */

/* Write transactions: for commit.c. With a parent (same thread) it is a part of it that can be undone alone. */
struct commit_queue;
struct commit_queue *db_commit_queue(struct catalog *);
int db_write_begin(struct catalog *, struct cat_txn *parent, struct cat_txn *ret, struct error *err) MUST_USE;
int db_write_commit(struct cat_txn *, struct error *err) MUST_USE; /* when it fails everything is undone */
void db_write_abort(struct cat_txn *);

/* Rows. A key that is empty or too long has no row. */
int db_get(struct cat_txn *, enum db_table, const struct key *, struct bytes *ret) MUST_USE;         /* -ENOENT */
int db_put(struct cat_txn *, enum db_table, const struct key *, const struct record *) MUST_USE;    /* or change */
int db_insert(struct cat_txn *, enum db_table, const struct key *, const struct record *) MUST_USE; /* -EEXIST */
int db_remove(struct cat_txn *, enum db_table, const struct key *) MUST_USE;                        /* -ENOENT */
int db_count(struct cat_txn *, enum db_table, uint64_t *ret) MUST_USE;

/* Rows whose keys begin with `prefix` (NULL: all), in order, those after the key `after` (NULL: from the first).
 * != 0 ends the walk and is returned. `each` may change any table: the walk goes on after the key it was at. */
typedef int (*db_each)(void *ctx, struct bytes key, struct bytes value);
int db_walk(struct cat_txn *, enum db_table, const struct key *prefix, const struct key *after,
	    db_each each, void *ctx) MUST_USE;
/* The same from the last to the first; `each` must not change this table. */
int db_walk_back(struct cat_txn *, enum db_table, const struct key *prefix, db_each each, void *ctx) MUST_USE;
/* Remove every row whose key begins with prefix. */
int db_remove_all(struct cat_txn *, enum db_table, const struct key *prefix) MUST_USE;

/* A cursor makes many look-ups in order of key cheap: a leaf page is searched for once. */
struct db_cursor;
int db_cursor_open(struct cat_txn *, enum db_table, struct db_cursor **ret) MUST_USE;
void db_cursor_close(struct db_cursor **); /* before its transaction ends; NULL inside allowed */
#define AUTO_CURSOR __attribute__((cleanup(db_cursor_close)))
int db_cursor_find(struct db_cursor *, const struct key *, struct bytes *ret) MUST_USE; /* -ENOENT */
int db_cursor_insert(struct db_cursor *, const struct key *, struct bytes value) MUST_USE; /* -EEXIST */
int db_cursor_change(struct db_cursor *, const struct key *, struct bytes value) MUST_USE; /* the row just found */
int db_cursor_remove(struct db_cursor *) MUST_USE;                                         /* the row just found */

/* The number in a value that is nothing but one (indexes, counts). */
int db_get_number(struct cat_txn *, enum db_table, const struct key *, uint64_t *ret) MUST_USE; /* -ENOENT */
int db_put_number(struct cat_txn *, enum db_table, const struct key *, uint64_t value) MUST_USE;
int db_insert_number(struct cat_txn *, enum db_table, const struct key *, uint64_t value) MUST_USE; /* -EEXIST */
int db_decode_number(struct bytes value, uint64_t *ret) MUST_USE;

/* The row of a key that is in an index must be there: -ENOENT becomes ERR_DAMAGED. */
static inline int db_must_be(int code) { return code == -ENOENT ? ERR_DAMAGED : code; }

#endif
