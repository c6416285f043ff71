/* SPDX-License-Identifier: Apache-2.0 */
/* cache: decoded objects in a fixed number of slots of one size, by a 64-bit key (pack and offset).
 *
 * Slot states: EMPTY -> LOADING (one thread fills it, others wait) -> READY (pinned by readers)
 * -> EMPTY when evicted by the clock hand, never while pinned. When every slot is pinned the
 * caller's loader fills a private buffer instead: a get never fails for want of room.
 * Sharded: no lock is held while a loader runs.
 */
#ifndef IMAGEFS_STORE_CACHE_H
#define IMAGEFS_STORE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct cache;
struct cache_ref { /* a pinned object */
	const void *data;
	void *slot; /* the cache's own business */
};

typedef int (*cache_load)(void *ctx, void *buf, struct error *err); /* fills one object */

struct cache *cache_new(size_t bytes, size_t object_size);
void cache_free(struct cache *);

/* The object for key, loaded if it must be. Unpin with cache_put(). A failed load is not kept.
 * Without a loader (NULL): -ENOENT, and *err untouched, when it is not there. */
int cache_get(struct cache *, uint64_t key, cache_load, void *ctx, struct cache_ref *ret, struct error *err) MUST_USE;
void cache_put(struct cache *, struct cache_ref *);
bool cache_has(struct cache *, uint64_t key); /* READY or LOADING: for prefetchers */

#endif
