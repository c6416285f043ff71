/* SPDX-License-Identifier: Apache-2.0 */
/* What a check asks of an overlay that is open, beside what opening it has found out: its files have not gone from under it, and hold
 * what the bits say. */
#include "store/overlay_int.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"

#define PIECE (1u << 20)

/* Is the open file the one that the next process will find by this name? */
static int verify_file(struct overlay *o, const char *kind, int fd, struct error *err)
{
	char path[PATH_MAX];
	struct stat open, named;
	int r = overlay_path(path, sizeof path, o->dir, o->number, kind, err);
	if (r || fd < 0)
		return r;
	if (fstat(fd, &open))
		return fail_errno(err, "cannot look at %s", path);
	if (stat(path, &named) == 0 && named.st_ino == open.st_ino && named.st_dev == open.st_dev)
		return 0;
	return fail(err, ERR_DAMAGED, "%s was removed or replaced while the disk is open: what was written to the disk and is not in the pool "
		    "is lost when it is closed; copy the disk now (cat DISK > FILE)", path);
}

static uint64_t end_of_bits(struct overlay *o)
{
	uint64_t last = UINT64_MAX;
	for (uint64_t c = overlay_next(o, 0); c != UINT64_MAX; c = overlay_next(o, c + 1))
		last = c;
	unsigned bits = last == UINT64_MAX ? 0 : overlay_bits(o, last);
	return bits ? last * CHUNK_BLOCKS + 32 - (unsigned)__builtin_clz(bits) : 0;
}

int overlay_verify(struct overlay *o, struct error *err)
{
	WITH_RDLOCK(&o->files);
	if (!atomic_load(&o->there))
		return 0;
	int r = overlay_check_data(o, end_of_bits(o), err);
	if (r == 0)
		r = verify_file(o, "data", o->data, err);
	if (r == 0)
		r = verify_file(o, "bits", o->bits, err);
	if (r == 0)
		r = verify_file(o, "live", o->live, err);
	return r ? r : overlay_broken(o, err);
}

/* From *at on, at most a piece; then *at is behind it. 1: there is no more. */
static int read_piece(struct overlay *o, char *buf, off_t *at, struct error *err)
{
	WITH_RDLOCK(&o->files);
	if (!atomic_load(&o->there) || (*at = lseek(o->data, *at, SEEK_DATA)) < 0)
		return 1;
	ssize_t n = pread(o->data, buf, PIECE, *at);
	if (n < 0)
		return fail_errno(err, "%s/%" PRIu64 ".data cannot be read at %lld", o->dir, o->number, (long long)*at);
	*at += n;
	return n == 0;
}

int overlay_verify_bytes(struct overlay *o, struct error *err)
{
	AUTO_FREE char *buf = malloc(PIECE);
	off_t at = 0;
	int r = 0;
	if (!buf)
		abort();
	while (r == 0)
		r = read_piece(o, buf, &at, err);
	return r > 0 ? 0 : r;
}
