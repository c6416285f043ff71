/* SPDX-License-Identifier: Apache-2.0 */
/* disk_tab: virtual disks by number: their size and the root of their map; and maps held for copies under way. */
#ifndef IMAGEFS_CATALOG_DISK_TAB_H
#define IMAGEFS_CATALOG_DISK_TAB_H

#include "catalog/catalog.h"
#include "store/chunk.h"

#define DISK_NO_MAX ((UINT64_C(1) << 38) - 1) /* objects' rows have 38 bits for their payer */

struct disk_row {
	uint64_t no; /* from COUNTER_DISK; never reused */
	uint64_t image;  /* node of the row it belongs to */
	uint32_t domain; /* deduplication domain of its objects */
	uint32_t pool;
	uint64_t size;   /* virtual bytes */
	struct map_root root; /* a reference to root.hash is counted for this row (unless it is hash_none) */
	int64_t mtime;   /* ns: when its content came to be */
	uint64_t stored;       /* compressed bytes of all it names (each once) */
	bool has_sha;
	struct hash sha256;    /* of the `size` bytes */
	uint64_t overlay;      /* the one that the last final fold took all of (struct fold) */
};

int disk_row_get(struct cat_txn *, uint64_t no, struct disk_row *ret) MUST_USE; /* -ENOENT */
int disk_row_put(struct cat_txn *, const struct disk_row *) MUST_USE; /* the row alone: references are the caller's. -EOVERFLOW above DISK_NO_MAX */
int disk_row_remove(struct cat_txn *, uint64_t no) MUST_USE;
int disk_row_each(struct cat_txn *, uint64_t after, int (*each)(void *ctx, const struct disk_row *), void *ctx) MUST_USE;

/* Maps held for disk `no` (each is a counted reference, kept by the caller). hold_put of one it has: -EEXIST. */
int hold_put(struct cat_txn *, uint64_t no, uint32_t domain, const struct map_root *) MUST_USE;
int hold_take(struct cat_txn *, uint64_t no, uint32_t *ret_domain, struct map_root *ret) MUST_USE; /* removes one; -ENOENT */
int hold_any(struct cat_txn *, uint64_t no) MUST_USE; /* 0: there is one; -ENOENT */
int hold_each(struct cat_txn *, int (*each)(void *ctx, uint64_t no, uint32_t domain, const struct map_root *), void *ctx) MUST_USE;

#endif
