/* SPDX-License-Identifier: Apache-2.0 */
/* One moment of a disk that is being written.
 *
 * A fold takes chunk after chunk; what a writer changes meanwhile may be in it or not. That is no moment: a write that came
 * later may be in the map while an earlier one is not, and a file system on the disk could not be repaired. So writers wait
 * while the last of it is folded. To keep that short, everything that was written before is folded first, without waiting. */
#include "store/disk_int.h"

#include "base/cleanup.h"
#include "base/num.h"

bool disk_moment(struct disk *d, struct moment *ret)
{
	*ret = (struct moment){ d->domain, disk_root(d), disk_size(d) };
	return !disk_dirty(d);
}

int disk_snapshot(struct disk *d, void (*pin)(void *ctx, const struct moment *), void *ctx, struct moment *ret,
		  struct error *err)
{
	int r = disk_dirty(d) ? disk_fold(d, NULL, err) : 0;
	if (r)
		return r;
	WITH_WRLOCK(&d->moment_lock);
	if (disk_dirty(d))
		r = disk_fold(d, NULL, err);
	if (r)
		return r;
	(void)disk_moment(d, ret); /* all of it is in the map now */
	if (pin)
		pin(ctx, ret);
	return 0;
}

ssize_t moment_read(struct store *store, const struct moment *m, void *buf, size_t len, uint64_t offset, struct error *err)
{
	char *p = buf;
	size_t want = offset < m->size ? (size_t)MIN((uint64_t)len, m->size - offset) : 0, left = want;
	while (left > 0) {
		size_t n = MIN(left, (size_t)STEP_MAX - offset % CHUNK_SIZE);
		int r = map_read(store, m->domain, &m->root, p, n, offset, err);
		if (r)
			return r;
		p += n;
		offset += n;
		left -= n;
	}
	return (ssize_t)want;
}

int moment_seek(struct store *store, const struct moment *m, uint64_t offset, bool data, uint64_t *ret, struct error *err)
{
	uint64_t end = div_up(m->size, CHUNK_SIZE), at;
	if (offset >= m->size)
		return -ENXIO;
	int r = map_seek(store, m->domain, &m->root, offset / CHUNK_SIZE, end, data, &at, err);
	if (r)
		return r;
	if (at == end && data)
		return -ENXIO;
	at = MIN(at * CHUNK_SIZE, m->size);
	*ret = MAX(offset, at);
	return 0;
}
