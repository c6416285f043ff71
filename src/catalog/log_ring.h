/* SPDX-License-Identifier: Apache-2.0 */
/* log_ring: which entries of the log concern an account: what it did, and what others did to it. For log_tab.c alone.
 *
 * Each is a ring with room of its own. Whoever does much pushes out what they did themselves, and of what was done to others at
 * most what others still did to them. */
#ifndef IMAGEFS_CATALOG_LOG_RING_H
#define IMAGEFS_CATALOG_LOG_RING_H

#include <stddef.h>

#include "catalog/catalog.h"

enum ring_kind { RING_OWN, RING_OTHERS };

#define RING_OWN_BYTES (8u << 20)
#define RING_OTHERS_BYTES (2u << 20)

/* One more, of so many bytes. *ret_full: it has more than its room, and the oldest have to go. */
int ring_add(struct cat_txn *, uint32_t account, enum ring_kind, uint64_t seq, uint64_t bytes, bool *ret_full) MUST_USE;
int ring_remove(struct cat_txn *, uint32_t account, enum ring_kind, uint64_t seq) MUST_USE; /* 0 also when it is not there */
int ring_oldest(struct cat_txn *, uint32_t account, enum ring_kind, uint64_t *ret) MUST_USE; /* -ENOENT */

/* Numbers of entries, in no order. */
struct seqs {
	uint64_t *all;
	size_t n, room;
};
/* Adds the newest, up to so many bytes of them. */
int ring_newest(struct cat_txn *, uint32_t account, enum ring_kind, uint64_t bytes, struct seqs *ret) MUST_USE;
/* Calls each for every account that did anything that is still there. */
int ring_each(struct cat_txn *, int (*each)(void *ctx, uint32_t account), void *ctx) MUST_USE;

#endif
