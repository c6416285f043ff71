/* SPDX-License-Identifier: Apache-2.0 */
/* catalog: what is known: the LMDB environment, its transactions, its counters.
 *
 * Everything that must be true after a crash is a row here. The tables have headers of their own
 * (region.h, account.h, image.h, disk_tab.h, object_tab.h, policy_tab.h, journal.h); all their
 * functions take a transaction. Values hold a version byte and little-endian fields, keys are
 * big-endian and ordered, every value is below 2 KB. docs/format-catalog.md has the bytes.
 *
 * Reading: cat_begin() ... cat_end(); short, never across a request. Writing: cat_write() runs a function in
 * the one write transaction. Writers that come at the same time are carried out together and share one commit (one
 * fsync); each function's changes are all there or not at all: it fails alone, by a nested
 * transaction when several share. When cat_write() returns 0 it is durable.
 */
#ifndef IMAGEFS_CATALOG_CATALOG_H
#define IMAGEFS_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct catalog;
struct cat_txn;

#define CATALOG_FORMAT 2

enum {
	CAT_CREATE = 1,   /* make a new one; -EEXIST if there is one */
	CAT_READONLY = 2, /* for check of a store that somebody else has open is NOT possible: one opener at a time */
};

/* `dir` holds the LMDB files. ERR_NEWER if a newer version wrote it; one of an older format is brought to CATALOG_FORMAT,
 * a step and a durable transaction for each number (format.c), before this returns. The map is as large as the address
 * space allows (1 TiB, less under sanitizers), so that it never has to be grown. Clears readers of dead processes.
 * -EBUSY while it is open, here or elsewhere. */
int catalog_open(struct catalog **ret, const char *dir, int flags, struct error *err) MUST_USE;
void catalog_close(struct catalog *);
uint32_t catalog_came_with(const struct catalog *); /* the format that it had before it was opened */

/* When LMDB could not write its meta page it refuses everything from then on, reading too, until it is opened anew. Told by
 * everybody who is refused, in their thread, before they fail; need not return. Set before anything is read or written. */
void catalog_on_broken(struct catalog *, void (*broken)(void *ctx), void *ctx);

int cat_begin(struct catalog *, struct cat_txn **ret, struct error *err) MUST_USE; /* read only */
void cat_end(struct cat_txn **);                                                 /* NULL inside allowed */

/* fn returns 0 to have its changes kept; anything else undoes them and is returned by cat_write. fn may be run twice
 * (after a failure of somebody it shared a commit with), so it must not change anything outside of the transaction that it
 * cannot set again. It must not call cat_begin or cat_write (-EDEADLK).
 * It may run in the thread of another writer, while its own waits in cat_write. err is filled by fn or by the commit. */
typedef int (*cat_fn)(struct cat_txn *, void *arg, struct error *err);
int cat_write(struct catalog *, cat_fn fn, void *arg, struct error *err) MUST_USE;

/* Numbers that are never given out twice (also not after a crash). From 1; `cat_next` needs a write transaction. */
enum cat_counter {
	COUNTER_NODE,    /* images, instances, aliases: what inode numbers are made of */
	COUNTER_DISK,
	COUNTER_REGION,
	COUNTER_ACCOUNT,
	COUNTER_CONN,    /* attached mounts */
	COUNTER_PACK,    /* highest pack number that was ever committed */
	COUNTER_DOMAIN,
	COUNTER_MAX_,
};
uint64_t cat_next(struct cat_txn *, enum cat_counter);
uint64_t cat_counter_get(struct cat_txn *, enum cat_counter);                /* last one given out */
int cat_counter_raise(struct cat_txn *, enum cat_counter, uint64_t at_least) MUST_USE;

/* Properties of the store: small named texts ("uuid", "created", …). -ENOENT; value has room for `size` with NUL. */
int cat_meta_get(struct cat_txn *, const char *name, char *ret, unsigned size) MUST_USE;
int cat_meta_set(struct cat_txn *, const char *name, const char *value) MUST_USE;

/* Numbers for .metrics and status. */
struct cat_stat {
	uint64_t map_size, used_bytes, commits, commit_requests;
};
void cat_stat(struct catalog *, struct cat_stat *ret);

/* Copy all of it, compacted, to an open file (backup). */
int catalog_copy(struct catalog *, int fd, struct error *err) MUST_USE;
/* The same page by page, as fast as the disk writes: nothing in it is looked at, so what is damaged is damaged in the copy. */
int catalog_copy_pages(struct catalog *, int fd, struct error *err) MUST_USE;
/* Reads a copy, or the data.mdb of a catalog that nobody has open, of this format or an older one: tables that came later have
 * no rows, and must not be asked for any. Nothing is written, and no lock is taken. The descriptor stays the caller's, open. */
int catalog_open_copy(struct catalog **ret, int fd, struct error *err) MUST_USE;

#endif
