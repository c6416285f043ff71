/* SPDX-License-Identifier: Apache-2.0 */
/* Writing goes to the overlay in steps of at most STEP_MAX bytes, whole blocks in one go. A block that is
 * only partly written and not in the overlay yet is completed with what lies below. All writers hold the
 * stripes of the chunks they write, so that nobody completes a block over another's bytes; and they hold
 * data_lock for reading until those chunks that are on their way into a pack are marked as written. */
#include "store/disk_int.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"

#define ZERO_STEP (64u << 20)

static void lock_stripes(struct disk *d, uint64_t stripes)
{
	for (unsigned i = 0; i < STRIPES; i++)
		if (stripes >> i & 1)
			pthread_mutex_lock(&d->stripes[i]);
}

static void unlock_stripes(struct disk *d, uint64_t stripes)
{
	for (unsigned i = 0; i < STRIPES; i++)
		if (stripes >> i & 1)
			pthread_mutex_unlock(&d->stripes[i]);
}

static uint64_t stripes_of(uint64_t first, uint64_t end)
{
	uint64_t stripes = 0;
	if (end - first >= STRIPES)
		return UINT64_MAX;
	for (; first < end; first++)
		stripes |= (uint64_t)1 << first % STRIPES;
	return stripes;
}

/* Part of one block (buf NULL: zeros), completed. Under its stripe. */
static int write_block_part(struct disk *d, const void *buf, unsigned len, uint64_t offset, struct error *err)
{
	uint8_t block[BLOCK_SIZE];
	struct object below;
	uint64_t start = round_down(offset, BLOCK_SIZE), chunk = offset / CHUNK_SIZE;
	uint16_t bits = overlay_bits(d->overlay, chunk);
	int r = below_find(d, chunk, 1, &below, err);
	if (r == 0)
		r = merged_read(d, chunk, bits, &below, block, (unsigned)(start % CHUNK_SIZE), BLOCK_SIZE, err);
	if (r)
		return r;
	if (buf)
		memcpy(block + (offset - start), buf, len);
	else
		memset(block + (offset - start), 0, len);
	return overlay_write(d->overlay, block, sizeof block, start, err);
}

/* Up to where the first, partial block reaches; 0 when the range begins with a whole block. */
static size_t head_of(uint64_t offset, size_t len)
{
	uint64_t rest = round_up(offset, BLOCK_SIZE) - offset;
	if (rest == 0 && len < BLOCK_SIZE)
		return len;
	return (size_t)MIN(rest, (uint64_t)len);
}

static int write_whole(struct disk *d, const char *p, size_t len, uint64_t offset, struct error *err)
{
	if (len == 0)
		return 0;
	return p ? overlay_write(d->overlay, p, len, offset, err) : overlay_zero(d->overlay, offset, len, err);
}

/* Head, whole blocks, tail; p NULL: zeros. Under the stripes. */
static int write_parts(struct disk *d, const char *p, size_t len, uint64_t offset, struct error *err)
{
	size_t head = head_of(offset, len), whole = (len - head) / BLOCK_SIZE * BLOCK_SIZE;
	size_t tail = len - head - whole;
	int r = head ? write_block_part(d, p, (unsigned)head, offset, err) : 0;
	if (r == 0)
		r = write_whole(d, p ? p + head : NULL, whole, offset + head, err);
	if (r == 0 && tail)
		r = write_block_part(d, p ? p + head + whole : NULL, (unsigned)tail, offset + head + whole, err);
	return r;
}

int write_step(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err)
{
	uint64_t first = offset / CHUNK_SIZE, end = div_up(offset + len, CHUNK_SIZE);
	uint64_t stripes = stripes_of(first, end);
	lock_stripes(d, stripes);
	int r = write_parts(d, buf, len, offset, err);
	unlock_stripes(d, stripes);
	absorb_written(d, first, end);
	return r;
}

int punch_step(struct disk *d, uint64_t first, uint64_t count, struct error *err)
{
	uint64_t stripes = stripes_of(first, first + count);
	WITH_RDLOCK(&d->data_lock);
	lock_stripes(d, stripes);
	int r = overlay_punch(d->overlay, first, count, err);
	unlock_stripes(d, stripes);
	return r;
}

int write_now(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err)
{
	const char *p = buf;
	if (offset > MAP_LIMIT || len > MAP_LIMIT - offset)
		return fail(err, -EFBIG, "a disk cannot be larger than 256 TiB");
	while (len > 0) {
		size_t n = MIN(len, (size_t)STEP_MAX - offset % CHUNK_SIZE);
		absorb_room(d);
		int r = disk_enter(d, true, err);
		if (r)
			return r;
		r = disk_grow(d, offset + n, err);
		if (r == 0)
			r = write_step(d, p, n, offset, err);
		disk_touch(d); /* also when it failed: a part may be there */
		disk_leave(d);
		absorb_push(d);
		if (r)
			return r;
		p += n;
		offset += n;
		len -= n;
	}
	return 0;
}

int disk_write(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err)
{
	WITH_RDLOCK(&d->moment_lock);
	return write_now(d, buf, len, offset, err);
}

/* --- zeros --- */

/* Is there nothing but a hole already in whole chunks [first, end)? 1 or 0, or an error. */
static int is_hole(struct disk *d, uint64_t first, uint64_t end, struct error *err)
{
	struct map_root root = root_load(&d->root);
	uint64_t cut = MIN(end, d->cut / CHUNK_SIZE), data = end;
	if (overlay_next(d->overlay, first) < end)
		return 0;
	int r = first < cut ? map_seek(d->store, d->domain, &root, first, cut, true, &data, err) : 0;
	return r ? r : first >= cut || data == cut;
}

static int zero_step(struct disk *d, size_t len, uint64_t offset, struct error *err)
{
	int r = is_hole(d, offset / CHUNK_SIZE, div_up(offset + len, CHUNK_SIZE), err);
	if (r)
		return r < 0 ? r : 0;
	disk_touch(d);
	return write_step(d, NULL, len, offset, err);
}

int zero_now(struct disk *d, uint64_t offset, uint64_t len, struct error *err)
{
	uint64_t size = atomic_load(&d->size);
	if (offset >= size)
		return 0;
	len = MIN(len, size - offset);
	while (len > 0) {
		size_t n = (size_t)MIN(len, ZERO_STEP - offset % ZERO_STEP);
		absorb_room(d);
		int r = disk_enter(d, true, err);
		if (r)
			return r;
		r = zero_step(d, n, offset, err);
		disk_leave(d);
		absorb_push(d);
		if (r)
			return r;
		offset += n;
		len -= n;
	}
	return 0;
}

int disk_zero(struct disk *d, uint64_t offset, uint64_t len, struct error *err)
{
	WITH_RDLOCK(&d->moment_lock);
	return zero_now(d, offset, len, err);
}

int zero_tail(struct disk *d, uint64_t offset, uint64_t len, struct error *err)
{
	return zero_step(d, (size_t)len, offset, err);
}
