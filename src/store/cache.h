/* SPDX-License-Identifier: Apache-2.0 */
/* cache: decoded objects in a fixed number of slots of one size, by a 64-bit key (pack and offset).
 *
 * Slot states: EMPTY -> LOADING (one thread fills it, others wait) -> READY (pinned by readers)
 * -> EMPTY when evicted by the clock hand, never while pinned. When every slot is pinned the
 * caller's loader fills a private buffer instead: a get never fails for want of room.
 * Sharded: no lock is held while a loader runs.
 *
 * The promise: an object that is here is not loaded, and of those who want one that is not, at the same
 * time, one loads it and the others wait. So as long as what is wanted fits, everything is loaded once. What
 * does not fit goes in the order in which it came, but an object that was got a second time since the hand came
 * by stays for another round: what many read outlives what one reader passes over once, however long that is.
 * A shard that is full evicts though another has room; up to three quarters of the bytes can be counted on.
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

/* The object for key, loaded if it must be. Unpin with cache_put(). A failed load is not kept. */
int cache_get(struct cache *, uint64_t key, cache_load, void *ctx, struct cache_ref *ret, struct error *err) MUST_USE;
void cache_put(struct cache *, struct cache_ref *);

/* Load it for somebody who will get it soon; that get is not the second one. 0 at once when it is READY or LOADING, or
 * when there is no room. */
int cache_warm(struct cache *, uint64_t key, cache_load, void *ctx, struct error *err) MUST_USE;
bool cache_has(struct cache *, uint64_t key); /* READY or LOADING */

struct cache_stat {
	uint64_t hits, misses; /* of gets: there, or being loaded, and not */
};
void cache_stat(struct cache *, struct cache_stat *ret);

#endif
