/* SPDX-License-Identifier: Apache-2.0 */
/* One moment of a disk that is being written.
 *
 * A fold takes chunk after chunk; what a writer changes meanwhile may be in it or not. That is no moment: a write that came
 * later may be in the map while an earlier one is not, and a file system on the disk could not be repaired. So writers wait
 * while the last of it is folded. To keep that short, everything that was written before is folded first, without waiting. */
#include "store/disk_int.h"

#include "base/cleanup.h"
#include "base/num.h"

int disk_snapshot(struct disk *d, void (*pin)(void *ctx, uint32_t domain, const struct map_root *), void *ctx,
		  struct map_root *ret_root, uint64_t *ret_size, struct error *err)
{
	int r = disk_dirty(d) ? disk_fold(d, NULL, err) : 0;
	if (r)
		return r;
	WITH_WRLOCK(&d->moment_lock);
	if (disk_dirty(d))
		r = disk_fold(d, NULL, err);
	if (r)
		return r;
	*ret_root = disk_root(d);
	*ret_size = disk_size(d);
	if (pin)
		pin(ctx, d->domain, ret_root);
	return 0;
}

ssize_t disk_read_map(struct disk *d, const struct map_root *root, uint64_t size, void *buf, size_t len, uint64_t offset,
		      struct error *err)
{
	char *p = buf;
	size_t want = offset < size ? (size_t)MIN((uint64_t)len, size - offset) : 0, left = want;
	while (left > 0) {
		size_t n = MIN(left, (size_t)STEP_MAX - offset % CHUNK_SIZE);
		int r = map_read(d, d->domain, root, p, n, offset, err);
		if (r)
			return r;
		p += n;
		offset += n;
		left -= n;
	}
	return (ssize_t)want;
}

int disk_seek_map(struct disk *d, const struct map_root *root, uint64_t size, uint64_t offset, bool data, uint64_t *ret,
		  struct error *err)
{
	uint64_t end = div_up(size, CHUNK_SIZE), at;
	if (offset >= size)
		return -ENXIO;
	int r = map_seek(d->store, d->domain, root, offset / CHUNK_SIZE, end, data, &at, err);
	if (r)
		return r;
	if (at == end && data)
		return -ENXIO;
	at = MIN(at * CHUNK_SIZE, size);
	*ret = MAX(offset, at);
	return 0;
}
