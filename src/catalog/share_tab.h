/* SPDX-License-Identifier: Apache-2.0 */
/* share_tab: which image is shared with which account, and by what name.
 *
 * An image is shared with an account once. The name is the maker's link in accounts/RECEIVER/REGION/shared; the receiver
 * sees it as NAME@OWNER, so names are unique for their owner, receiver and region. */
#ifndef IMAGEFS_CATALOG_SHARE_TAB_H
#define IMAGEFS_CATALOG_SHARE_TAB_H

#include "catalog/image.h"

struct share {
	uint64_t no; /* from COUNTER_NODE, never reused; given by share_put when it is 0 */
	uint64_t image; /* node of its row */
	uint32_t owner, receiver, region;
	char name[IMAGE_NAME_MAX + 1];
	int64_t created;
};

int share_get(struct cat_txn *, uint64_t no, struct share *ret) MUST_USE;                            /* -ENOENT */
int share_of(struct cat_txn *, uint64_t image, uint32_t receiver, struct share *ret) MUST_USE; /* -ENOENT */
int share_find(struct cat_txn *, uint32_t receiver, uint32_t region, uint32_t owner, const char *name, struct share *ret) MUST_USE; /* -ENOENT */

/* Insert, or change the name of one there is. -EEXIST when the owner has another share of that name there. */
int share_put(struct cat_txn *, struct share *) MUST_USE;
int share_remove(struct cat_txn *, uint64_t no) MUST_USE; /* -ENOENT */

/* Those of one image, by receiver; those that an account receives in a region, by no > after. != 0 ends the walk and is returned. */
typedef int (*share_each)(void *ctx, const struct share *);
int share_each_of(struct cat_txn *, uint64_t image, share_each each, void *ctx) MUST_USE;
int share_each_to(struct cat_txn *, uint32_t receiver, uint32_t region, uint64_t after, share_each each, void *ctx) MUST_USE;

/* All, by no. */
int share_each_all(struct cat_txn *, share_each each, void *ctx) MUST_USE;

/* For check: is it found in each of the ways above? How many entries have the tables that say so, together? */
bool share_is_indexed(struct cat_txn *, const struct share *);
int share_count_index(struct cat_txn *, uint64_t *ret) MUST_USE;
#define SHARE_INDEXES 3 /* entries for each row */

int share_count(struct cat_txn *, uint64_t image, uint64_t *ret) MUST_USE; /* receivers of an image */

#endif
