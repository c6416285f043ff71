/* SPDX-License-Identifier: Apache-2.0 */
/* hurt_tab: disks of which something is known to be unreadable, so that their owners can be told. */
#ifndef IMAGEFS_CATALOG_HURT_TAB_H
#define IMAGEFS_CATALOG_HURT_TAB_H

#include "catalog/catalog.h"

struct hurt {
	uint64_t disk;
	uint64_t offset; /* of the first byte that was found to be unreadable */
	int64_t found;   /* ns */
};

int hurt_put(struct cat_txn *, const struct hurt *) MUST_USE; /* in the place of what was known of that disk */
int hurt_get(struct cat_txn *, uint64_t disk, struct hurt *ret) MUST_USE; /* -ENOENT */
int hurt_remove(struct cat_txn *, uint64_t disk) MUST_USE;                /* 0 also when nothing was known */
int hurt_each(struct cat_txn *, uint64_t after, int (*each)(void *ctx, const struct hurt *), void *ctx) MUST_USE;

#endif
