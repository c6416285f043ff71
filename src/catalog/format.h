/* SPDX-License-Identifier: Apache-2.0 */
/* format: the number in a catalog that says what is in it, and the steps from each number to the next. For db.c alone.
 *
 * A step runs in one write transaction together with the new number: a catalog that was killed in the middle has the old
 * number and the old rows. format.c has the table of steps; docs/format-catalog.md says what each changes.
 */
#ifndef IMAGEFS_CATALOG_FORMAT_H
#define IMAGEFS_CATALOG_FORMAT_H

#include "catalog/db.h"

/* The format of a catalog whose table "meta" is open. ERR_NEWER above CATALOG_FORMAT; ERR_DAMAGED when it says none. */
int format_read(struct cat_txn *, uint32_t *ret, struct error *err) MUST_USE;
int format_write_first(struct cat_txn *) MUST_USE; /* of a catalog that is being made */

/* The step from `*format` to the next; *format becomes what it is then. The tables that it needs are there. */
int format_step(struct cat_txn *, uint32_t *format, struct error *err) MUST_USE;

#endif
