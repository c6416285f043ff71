/* SPDX-License-Identifier: Apache-2.0 */
/* SEEK_DATA and SEEK_HOLE: a block is data when the overlay holds it or the map has its chunk. */
#include "store/disk_int.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "base/num.h"

/* The first block >= first of a chunk whose bit is (not) set; CHUNK_BLOCKS if there is none. */
static unsigned find_block(uint16_t bits, unsigned first, bool set)
{
	while (first < CHUNK_BLOCKS && (bits >> first & 1) != set)
		first++;
	return first;
}

static int below_seek(struct disk *d, uint64_t chunk, uint64_t end, bool data, uint64_t *ret, struct error *err)
{
	struct map_root root = root_load(&d->root);
	uint64_t cut = MIN(end, d->cut / CHUNK_SIZE), found;
	if (chunk >= cut) {
		*ret = data ? end : chunk;
		return 0;
	}
	int r = map_seek(d->store, d->domain, &root, chunk, cut, data, &found, err);
	if (r == 0)
		*ret = data && found == cut ? end : found;
	return r;
}

static int seek_data(struct disk *d, uint64_t offset, uint64_t end, uint64_t *ret, struct error *err)
{
	uint64_t chunk = offset / CHUNK_SIZE, below;
	int r = below_seek(d, chunk, end, true, &below, err);
	if (r)
		return r;
	for (uint64_t c = chunk; (c = overlay_next(d->overlay, c)) < below; c++) {
		unsigned first = c == chunk ? (unsigned)(offset % CHUNK_SIZE / BLOCK_SIZE) : 0;
		unsigned block = find_block(overlay_bits(d->overlay, c), first, true);
		if (block < CHUNK_BLOCKS) {
			*ret = MAX(offset, c * CHUNK_SIZE + block * BLOCK_SIZE);
			return 0;
		}
	}
	*ret = MAX(offset, below * CHUNK_SIZE);
	return 0;
}

static int seek_hole(struct disk *d, uint64_t offset, uint64_t end, uint64_t *ret, struct error *err)
{
	unsigned first = (unsigned)(offset % CHUNK_SIZE / BLOCK_SIZE);
	for (uint64_t c = offset / CHUNK_SIZE; c < end; c++, first = 0) {
		uint64_t hole;
		int r = below_seek(d, c, end, false, &hole, err);
		if (r)
			return r;
		if (hole != c)
			first = 0;
		c = hole;
		unsigned block = c < end ? find_block(overlay_bits(d->overlay, c), first, false) : 0;
		if (block < CHUNK_BLOCKS) {
			*ret = MAX(offset, c * CHUNK_SIZE + block * BLOCK_SIZE);
			return 0;
		}
	}
	*ret = end * CHUNK_SIZE;
	return 0;
}

int disk_seek(struct disk *d, uint64_t offset, bool data, uint64_t *ret, struct error *err)
{
	uint64_t found = 0;
	int r = disk_enter(d, false, err);
	if (r)
		return r;
	uint64_t size = atomic_load(&d->size), end = div_up(size, CHUNK_SIZE);
	if (offset < size)
		r = data ? seek_data(d, offset, end, &found, err) : seek_hole(d, offset, end, &found, err);
	disk_leave(d);
	if (r)
		return r;
	if (offset >= size || (data && found >= size))
		return fail(err, -ENXIO, "disk %" PRIu64 " has nothing there from byte %" PRIu64 " on", d->number,
			    offset);
	*ret = MIN(found, size);
	return 0;
}
