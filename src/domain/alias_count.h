/* SPDX-License-Identifier: Apache-2.0 */
/* alias_count: how many aliases name an image, for a listing of many: all aliases are looked at once. */
#ifndef IMAGEFS_DOMAIN_ALIAS_COUNT_H
#define IMAGEFS_DOMAIN_ALIAS_COUNT_H

#include "catalog/image.h"

struct alias_count;

/* As of this transaction. NULL: no memory. */
struct alias_count *alias_count_new(struct cat_txn *);
void alias_count_free(struct alias_count *); /* NULL is allowed */

unsigned alias_count_of(const struct alias_count *, const struct image *);

#endif
