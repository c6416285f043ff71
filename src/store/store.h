/* SPDX-License-Identifier: Apache-2.0 */
/* store: the objects of one pool: find, read, verify, and make new ones.
 *
 * Nothing here changes the catalog. New objects are gathered in a pack_writer (pack.h); once it is
 * sealed, whoever owns the catalog inserts its items and the references to them in one transaction.
 *
 * Everything that is read for somebody goes through the caches, whatever disk it is read through: a hundred disks with
 * one map read it from the pool once, also at the same time, as long as what they read fits into the cache (cache.h
 * has the promise, also for when it does not). An object that was moved to another pack is read once more.
 */
#ifndef IMAGEFS_STORE_STORE_H
#define IMAGEFS_STORE_STORE_H

#include "base/room.h"
#include "base/workers.h"
#include "store/cache.h"
#include "store/bad.h"
#include "store/index.h"
#include "store/pack.h"

struct ring; /* disk_rest.c */
struct ring *ring_new(unsigned most);
void ring_free(struct ring *);

struct store_options {
	size_t chunk_cache; /* bytes of decoded chunks to keep (default 96 MiB when 0) */
	size_t node_cache;  /* bytes of decoded nodes (default 16 MiB when 0) */
	int level;          /* zstd level (default 4 when 0) */
	unsigned overlays;  /* of open disks, whose files are open at once (default 1024, or an eighth of the descriptors, when 0) */
	unsigned threads;   /* that compress and prefetch (default: processors, 2-8, when 0) */
	uint32_t next_pack; /* first pack number that was never used, as far as the catalog knows */
};

struct store {
	struct backend *backend; /* owned */
	struct index index;
	struct cache *chunks, *nodes;
	struct bad *bad;           /* what could not be read */
	struct workers *workers;   /* jobs of compression */
	struct workers *prefetch;  /* jobs of reading ahead */
	struct workers *idle;      /* jobs for store_idle() */
	struct room *nodes_made;   /* nodes that commits have in memory */
	struct ring *ring;         /* of disks whose overlay has open files */
	_Atomic uint32_t next_pack;
	_Atomic uint64_t pool_reads, pool_read_bytes, chunks_hashed, chunks_hashed_idle;
	int level;
};

/* Takes over the backend, also on failure. Looks through the backend's names so that no pack
 * number is used twice. */
int store_open(struct store **ret, struct backend *, struct index, const struct store_options *,
	       struct error *err) MUST_USE;
void store_close(struct store *); /* every user must be done */

/* One chunk or node, pinned in the cache. What fails is read once more, from the medium, before it is taken for damaged. hash_none is not allowed here: callers know their holes.
 * *ret_domain (may be NULL) is where it lies, and where what a node names is to be looked up.
 * ERR_DAMAGED when it cannot be verified; -ENOENT becomes ERR_DAMAGED too (something refers to it).
 * A pack that was compacted away under the reader is looked up again by itself. */
int store_get(struct store *, uint32_t domain, enum object_kind, const struct hash *, struct cache_ref *ret,
	      uint32_t *ret_domain, struct error *err) MUST_USE;
void store_put(struct store *, enum object_kind, struct cache_ref *);

/* The frame at a place, and what it holds (object_size(place.kind) bytes), past the caches: from the pool, and what fails once more from
 * the medium. ERR_DAMAGED, -ENOENT; -EIO and others: it may be there. Only the codec's checksum is verified. */
int store_read_frame(struct store *, const struct place *, uint8_t *frame, void *data, struct error *err) MUST_USE;

/* Have it in the cache soon, by another thread; returns at once, promises nothing. */
void store_prefetch(struct store *, uint32_t domain, const struct hash *);

/* Since the store was opened: frames of chunks and nodes that were read from the pool for somebody, and gets of chunks that
 * the cache had or had not. What is read to be written anew (compaction) or to be checked is not counted.
 * And chunks that were made of what was written: by the workers, and by the idle thread. */
struct store_stat {
	uint64_t pool_reads, pool_read_bytes, cache_hits, cache_misses, chunks_hashed, chunks_hashed_idle;
};
void store_stat(struct store *, struct store_stat *ret);

/* Have it done on processors that would be idle, and wait for that, however long it takes. A thread that nobody waits for hands over
 * what is mere work like this, and stays one like others itself: a thread of SCHED_IDLE that reads through the caches, or writes to the
 * catalog, makes others wait for a processor that is never idle. So `fn` takes no lock and touches nothing that others do. */
void store_idle(struct store *, work_fn fn, void *arg);

/* Is it there already (for deduplication)? What only other domains have is not, and what is known to be damaged is not. */
bool store_has(struct store *, uint32_t domain, const struct hash *);

/* The same for who has its bytes. When the index is not sure, or the caller careful, for he trusts nobody, they are read from the pool and
 * compared. What cannot be read is known to be damaged from then on. */
bool store_has_bytes(struct store *, bool careful, uint32_t domain, enum object_kind, const struct hash *, const void *data);

/* Put one object into the writer unless index or writer has it (a careful writer takes no index's word: store_has_bytes()). Compresses in
 * the calling thread.
 * `data` has object_size(kind) bytes and is not all zero; *hash is its hash. ERR_FULL: see pack.h. */
int store_make(struct store *, struct pack_writer *, uint32_t domain, enum object_kind, const struct hash *,
	       const void *data, struct error *err) MUST_USE;

#endif
