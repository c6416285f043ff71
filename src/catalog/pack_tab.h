/* SPDX-License-Identifier: Apache-2.0 */
/* pack_tab: how object_tab keeps the live numbers of packs. For src/catalog alone. */
#ifndef IMAGEFS_CATALOG_PACK_TAB_H
#define IMAGEFS_CATALOG_PACK_TAB_H

#include "catalog/object_tab.h"

/* Changes to a few packs, gathered so that thousands of objects cost a handful of rows. Zero to begin. */
#define PACK_CHANGES 256
struct pack_changes {
	unsigned count;
	struct pack_change {
		uint32_t no;
		int64_t bytes, objects;
	} at[PACK_CHANGES];
};

/* An object is in the index now, or no longer. ERR_STALE when there is no row of a pack that gains objects;
 * one that loses them may be gone. */
int pack_gains(struct cat_txn *, struct pack_changes *, const struct place *) MUST_USE;
int pack_loses(struct cat_txn *, struct pack_changes *, const struct place *) MUST_USE;
int pack_changes_write(struct cat_txn *, struct pack_changes *) MUST_USE; /* once, after all of them */

#endif
