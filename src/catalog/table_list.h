/* SPDX-License-Identifier: Apache-2.0 */
/* table_list: all tables of a catalog, what is in them, and whether each row of them can be read. For check.
 *
 * LMDB ends the process that meets a page that makes no sense (an assertion, a signal), so this is done in a process of its own, on a
 * file that nobody changes: a copy (catalog_copy_pages), or the catalog of a store that nobody has open. */
#ifndef IMAGEFS_CATALOG_TABLE_LIST_H
#define IMAGEFS_CATALOG_TABLE_LIST_H

#include "catalog/catalog.h"

unsigned table_count(void);
const char *table_name(unsigned table);
const char *table_loss(unsigned table); /* what is lost with a row of it: "a region: its name, prices and zones" */

struct table_reader {
	void (*begins)(void *ctx, unsigned table);
	void (*bad_row)(void *ctx, unsigned table, const char *key); /* that makes no sense: as much of its key as fits, in hex */
	void (*goes_on)(void *ctx); /* now and then */
	void (*broken)(void *ctx, unsigned table, int code);         /* it cannot be read to its end */
	void *ctx;
};

/* Every row of every table from number `first` on. The answer is about opening alone. */
int table_read_all(int fd, unsigned first, const struct table_reader *, struct error *err) MUST_USE;

#endif
