/* SPDX-License-Identifier: Apache-2.0 */
/* Reading goes in steps of STEP_MAX bytes. A step asks the map once for all its chunks, then each chunk comes
 * from the overlay, from the map, or block by block from both. A fixed disk needs only its map, which never
 * changes under a reader: no lock is taken. Should that disk be written, folded and its old map be swept
 * away while one such read is under way, objects are missing; then the read is done again under the lock. */
#include "store/disk_int.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"

#define AHEAD_BYTES (2u << 20)   /* this far ahead of a sequential reader */
#define AHEAD_STEP (256u << 10)  /* not for less than this at a time */
#define AHEAD_NEAR (512u << 10)  /* requests of one reader may come a little out of order */
#define STEP_CHUNKS (STEP_MAX / CHUNK_SIZE + 1)

int chunk_read(struct store *store, const struct object *o, void *buf, unsigned at, unsigned len, struct error *err)
{
	struct cache_ref ref;
	if (hash_is_none(&o->hash)) {
		memset(buf, 0, len);
		return 0;
	}
	int r = store_get(store, o->domain, OBJECT_CHUNK, &o->hash, &ref, NULL, err);
	if (r)
		return r;
	memcpy(buf, (const char *)ref.data + at, len);
	store_put(store, OBJECT_CHUNK, &ref);
	return 0;
}

int map_read(struct store *store, uint32_t domain, const struct map_root *root, void *buf, size_t len, uint64_t offset,
	     struct error *err)
{
	struct object chunks[STEP_CHUNKS];
	uint64_t first = offset / CHUNK_SIZE, end = offset + len;
	char *p = buf;
	unsigned count = (unsigned)(div_up(end, CHUNK_SIZE) - first);
	int r = map_find_many(store, domain, root, first, count, chunks, err);
	for (unsigned i = 0; r == 0 && i < count; i++) {
		unsigned at = (unsigned)(offset % CHUNK_SIZE);
		unsigned n = (unsigned)MIN((uint64_t)CHUNK_SIZE - at, end - offset);
		r = chunk_read(store, &chunks[i], p, at, n, err);
		p += n;
		offset += n;
	}
	return r;
}

int below_find(struct disk *d, uint64_t chunk, unsigned count, struct object *ret, struct error *err)
{
	uint64_t cut = d->cut / CHUNK_SIZE;
	unsigned below = chunk >= cut ? 0 : (unsigned)MIN((uint64_t)count, cut - chunk);
	struct map_root root = root_load(&d->root);
	memset(ret + below, 0, (count - below) * sizeof *ret);
	return map_find_many(d->store, d->domain, &root, chunk, below, ret, err);
}

/* Bytes from `at` to where blocks of the other kind begin, at most to `end`. */
static unsigned same_kind(uint16_t bits, unsigned at, unsigned end)
{
	unsigned block = at / BLOCK_SIZE, kind = bits >> block & 1;
	while (block * BLOCK_SIZE < end && (unsigned)(bits >> block & 1) == kind)
		block++;
	return MIN(block * BLOCK_SIZE, end) - at;
}

int merged_read(struct disk *d, uint64_t chunk, uint16_t bits, const struct object *below, void *buf, unsigned at,
		unsigned len, struct error *err)
{
	char *p = buf;
	unsigned end = at + len;
	int r = 0;
	while (r == 0 && at < end) {
		unsigned n = same_kind(bits, at, end);
		if (bits >> (at / BLOCK_SIZE) & 1)
			r = overlay_read(d->overlay, p, n, chunk * CHUNK_SIZE + at, err);
		else
			r = chunk_read(d->store, below, p, at, n, err);
		p += n;
		at += n;
	}
	return r;
}

/* Under data_lock. */
static int read_step(struct disk *d, void *buf, size_t len, uint64_t offset, struct error *err)
{
	struct object below[STEP_CHUNKS];
	uint16_t bits[STEP_CHUNKS], all = UINT16_MAX;
	uint64_t first = offset / CHUNK_SIZE, end = offset + len;
	unsigned count = (unsigned)(div_up(end, CHUNK_SIZE) - first);
	char *p = buf;
	for (unsigned i = 0; i < count; i++)
		all &= bits[i] = overlay_bits(d->overlay, first + i);
	if (all == UINT16_MAX)
		return overlay_read(d->overlay, buf, len, offset, err);
	int r = below_find(d, first, count, below, err);
	for (unsigned i = 0; r == 0 && i < count; i++) {
		unsigned at = (unsigned)(offset % CHUNK_SIZE);
		unsigned n = (unsigned)MIN((uint64_t)CHUNK_SIZE - at, end - offset);
		r = merged_read(d, first + i, bits[i], &below[i], p, at, n, err);
		p += n;
		offset += n;
	}
	return r;
}

static int read_locked(struct disk *d, char *p, size_t len, uint64_t offset, struct error *err)
{
	while (len > 0) {
		size_t n = MIN(len, (size_t)STEP_MAX - offset % CHUNK_SIZE);
		int r = disk_enter(d, false, err);
		if (r)
			return r;
		r = read_step(d, p, n, offset, err);
		disk_leave(d);
		if (r)
			return r;
		p += n;
		offset += n;
		len -= n;
	}
	return 0;
}

static int read_fixed(struct disk *d, const struct map_root *root, char *p, size_t len, uint64_t offset, struct error *err)
{
	int r = 0;
	while (r == 0 && len > 0) {
		size_t n = MIN(len, (size_t)STEP_MAX - offset % CHUNK_SIZE);
		r = map_read(d->store, d->domain, root, p, n, offset, err);
		p += n;
		offset += n;
		len -= n;
	}
	return r;
}

/* --- reading ahead --- */

static void prefetch(struct disk *d, uint64_t from, uint64_t upto)
{
	struct object chunks[AHEAD_BYTES / CHUNK_SIZE + 1];
	struct map_root root = root_load(&d->root);
	unsigned count = (unsigned)((upto - from) / CHUNK_SIZE);
	if (map_find_many(d->store, d->domain, &root, from / CHUNK_SIZE, count, chunks, NULL))
		return; /* the reader will meet the same and say so */
	for (unsigned i = 0; i < count; i++)
		if (!hash_is_none(&chunks[i].hash))
			store_prefetch(d->store, chunks[i].domain, &chunks[i].hash);
}

static bool is_sequential(uint64_t next, uint64_t offset, size_t len)
{
	if (offset == next)
		return next != 0 || len >= CHUNK_SIZE;
	return len >= CHUNK_SIZE && offset + AHEAD_NEAR > next && offset < next + AHEAD_NEAR;
}

static void read_ahead(struct disk *d, struct disk_ahead *ahead, uint64_t offset, size_t len)
{
	uint64_t next = atomic_load(&ahead->next), upto = atomic_load(&ahead->upto), end = offset + len;
	bool sequential = is_sequential(next, offset, len);
	if (!sequential || end > next)
		atomic_store(&ahead->next, end);
	if (!sequential)
		return atomic_store(&ahead->upto, 0);
	uint64_t from = round_up(end, CHUNK_SIZE), last = round_up(atomic_load(&d->size), CHUNK_SIZE);
	uint64_t want = MIN(from + AHEAD_BYTES, last);
	from = MAX(upto, from);
	if (from >= want || (want - from < AHEAD_STEP && want != last))
		return;
	if (atomic_compare_exchange_strong(&ahead->upto, &upto, want))
		prefetch(d, from, want);
}

ssize_t disk_read(struct disk *d, void *buf, size_t len, uint64_t offset, struct disk_ahead *ahead, struct error *err)
{
	uint64_t size = atomic_load(&d->size);
	struct error trouble;
	if (offset >= size || len == 0)
		return 0;
	len = (size_t)MIN((uint64_t)len, size - offset);
	if (ahead)
		read_ahead(d, ahead, offset, len);
	unsigned turn = atomic_load(&d->root.turn);
	if (atomic_load(&d->fixed)) {
		struct map_root root = root_load(&d->root);
		int r = read_fixed(d, &root, buf, len, offset, &trouble);
		if (r == 0)
			return (ssize_t)len;
		if (atomic_load(&d->fixed) && turn == atomic_load(&d->root.turn)) {
			if (err)
				*err = trouble;
			return r;
		}
	}
	int r = read_locked(d, buf, len, offset, err);
	return r ? r : (ssize_t)len;
}
