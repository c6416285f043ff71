/* SPDX-License-Identifier: Apache-2.0 */
/* A regular file is read by SEEK_DATA and SEEK_HOLE. What is read is written piece by piece, and pieces of
 * zeros are left out: a pipe knows no holes, and many a file has zeros that it could do without. */
#include "cli/copy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

#define PIECE (1u << 20)
#define GRAIN 65536u /* zeros are looked for in units of a chunk */

/* As much as there is, up to a piece; 0 at the end. */
static ssize_t read_piece(struct copy *c, char *buf, size_t want, struct error *err)
{
	size_t n = 0;
	while (n < want) {
		ssize_t m = read(c->in, buf + n, want - n);
		if (m < 0 && errno == EINTR && !*c->stop)
			continue;
		if (m < 0)
			return fail_errno(err, "cannot read %s", c->in_name);
		if (m == 0)
			break;
		n += (size_t)m;
	}
	return (ssize_t)n;
}

static int write_run(struct copy *c, const char *buf, size_t len, uint64_t offset, struct error *err)
{
	int r = io_pwrite(c->out, buf, len, offset);
	if (r == 0) {
		c->written += len;
		return 0;
	}
	c->out_failed = true;
	return fail(err, r, "cannot write %s: %s", c->out_name, strerror(-r));
}

/* Write what is not zero, in runs as long as they are. */
static int write_piece(struct copy *c, const char *buf, size_t len, uint64_t offset, struct error *err)
{
	size_t from = 0, at = 0;
	while (at < len) {
		size_t n = MIN((size_t)GRAIN, len - at);
		if (is_zero(buf + at, n)) {
			int r = at > from ? write_run(c, buf + from, at - from, offset + from, err) : 0;
			if (r)
				return r;
			from = at + n;
		}
		at += n;
	}
	return len > from ? write_run(c, buf + from, len - from, offset + from, err) : 0;
}

static void hash_zeros(struct copy *c, uint64_t len)
{
	static const char zeros[65536];
	while (c->hasher && len > 0 && !*c->stop) {
		size_t n = (size_t)MIN(len, (uint64_t)sizeof zeros);
		hasher_add(c->hasher, zeros, n);
		len -= n;
	}
}

/* Bytes from the current position of `in` to `end` (0: to its end), which are `*at` of the disk. */
static int copy_data(struct copy *c, char *buf, uint64_t *at, uint64_t end, struct error *err)
{
	while (!end || *at < end) {
		size_t want = end ? (size_t)MIN(end - *at, (uint64_t)PIECE) : PIECE;
		if (*c->stop)
			return fail(err, -EINTR, "interrupted");
		ssize_t n = read_piece(c, buf, want, err);
		if (n <= 0)
			return (int)n;
		if (c->hasher)
			hasher_add(c->hasher, buf, (size_t)n);
		int r = write_piece(c, buf, (size_t)n, *at, err);
		if (r)
			return r;
		*at += (uint64_t)n;
		progress_at(c->progress, *at, c->size);
	}
	return 0;
}

static int copy_extents(struct copy *c, char *buf, struct error *err)
{
	uint64_t at = 0;
	while (at < c->size) {
		off_t data = lseek(c->in, (off_t)at, SEEK_DATA);
		if (data < 0 && errno != ENXIO)
			return fail_errno(err, "cannot find the data of %s", c->in_name);
		uint64_t begin = data < 0 ? c->size : MIN((uint64_t)data, c->size);
		hash_zeros(c, begin - at);
		at = begin;
		if (at == c->size)
			break;
		off_t hole = lseek(c->in, data, SEEK_HOLE);
		if (hole < 0 || lseek(c->in, data, SEEK_SET) < 0)
			return fail_errno(err, "cannot find the holes of %s", c->in_name);
		uint64_t before = at, end = MIN((uint64_t)hole, c->size);
		int r = copy_data(c, buf, &at, end, err);
		if (r)
			return r;
		if (at < end)
			return fail(err, -ENODATA, "%s became shorter while it was read (at %llu)", c->in_name,
				    (unsigned long long)before);
	}
	return 0;
}

/* 0 for what has none: a pipe. */
static uint64_t size_of(int fd, const struct stat *st)
{
	uint64_t size = 0;
	if (S_ISREG(st->st_mode))
		return (uint64_t)st->st_size;
	if (S_ISBLK(st->st_mode) && ioctl(fd, BLKGETSIZE64, &size) == 0)
		return size;
	return 0;
}

int copy_sparse(struct copy *c, struct error *err)
{
	struct stat st;
	uint64_t at = 0;
	AUTO_FREE char *buf = aligned_alloc(4096, PIECE);
	if (!buf)
		return fail(err, -ENOMEM, "no memory");
	if (fstat(c->in, &st))
		return fail_errno(err, "cannot look at %s", c->in_name);
	c->size = size_of(c->in, &st);
	int r = S_ISREG(st.st_mode) ? copy_extents(c, buf, err) : copy_data(c, buf, &at, 0, err);
	if (r == 0 && *c->stop)
		r = fail(err, -EINTR, "interrupted");
	if (r)
		return r;
	if (!S_ISREG(st.st_mode))
		c->size = at;
	if (ftruncate(c->out, (off_t)c->size)) {
		c->out_failed = true;
		return fail_errno(err, "cannot set the size of %s", c->out_name);
	}
	return 0;
}
