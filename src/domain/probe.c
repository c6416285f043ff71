/* SPDX-License-Identifier: Apache-2.0 */
/* probe: is this a raw disk, and all of it?
 *
 * In this order, so that the most helpful sentence wins: nothing but zeros; a container format
 * (probe_container.c); an odd size; a partition table (probe_table.c, probe_gpt.c) or, without one, an
 * ext file system that needs more bytes than there are. What is left is taken: guests may keep anything
 * on a data disk.
 *
 * Whether all is zero needs all bytes only when all is zero: both ends are looked at first.
 */
#include "domain/probe.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "domain/probe_int.h"

#define PIECE (1u << 20)

int probe_read(const struct source *src, void *buf, uint32_t len, uint64_t offset, struct error *err)
{
	if (offset > src->size || len > src->size - offset)
		return fail(err, -ENODATA, "Bytes beyond the end of the disk were asked for.");
	return src->read(src->ctx, buf, len, offset, err);
}

/* 1: the range is all zero; 0: it isn't. */
static int range_zero(const struct source *src, uint8_t *buf, uint64_t from, uint64_t to, struct error *err)
{
	for (;;) {
		int r = src->data && from < to ? src->data(src->ctx, from, &from, err) : 0;
		if (r < 0)
			return r;
		if (from >= to)
			return 1;
		uint32_t len = (uint32_t)MIN(to - from, (uint64_t)PIECE);
		r = probe_read(src, buf, len, from, err);
		if (r < 0)
			return r;
		if (!is_zero(buf, len))
			return 0;
		from += len;
	}
}

static int all_zero(const struct source *src, struct error *err)
{
	AUTO_FREE uint8_t *buf = malloc(PIECE);
	if (!buf)
		return fail(err, -ENOMEM, "There is no memory to look into the disk.");
	uint64_t head = MIN(src->size, (uint64_t)PIECE);
	uint64_t tail = MAX(head, src->size - head);
	int r = range_zero(src, buf, 0, head, err);
	if (r == 1)
		r = range_zero(src, buf, tail, src->size, err);
	if (r == 1)
		r = range_zero(src, buf, head, tail, err);
	return r;
}

static int refuse_cut(const struct source *src, uint64_t needs, const char *what, struct error *err)
{
	return fail(err, -ENODATA, "The disk ends at %" PRIu64 " bytes, but its %s needs %" PRIu64
		    ": the upload is cut, or not finished.", src->size, what, needs);
}

static int check_file_system(const struct source *src, struct error *err)
{
	uint8_t super[EXT_SUPER_SIZE];
	if (src->size < EXT_SUPER_OFFSET + EXT_SUPER_SIZE)
		return 0;
	int r = probe_read(src, super, sizeof super, EXT_SUPER_OFFSET, err);
	if (r < 0)
		return r;
	uint64_t needs = probe_ext_bytes(super);
	return needs > src->size ? refuse_cut(src, needs, "file system", err) : 0;
}

static int check_table(const struct source *src, struct error *err)
{
	AUTO_FREE struct partitions *table = calloc(1, sizeof *table);
	if (!table)
		return fail(err, -ENOMEM, "There is no memory to look into the disk.");
	int r = probe_table(src, table, err);
	if (r < 0)
		return r;
	if (table->needs > src->size)
		return refuse_cut(src, table->needs, "partition table", err);
	return table->kind == TABLE_NONE ? check_file_system(src, err) : 0;
}

/* Pieces may come in any order, and of any size: what has no beginning yet is not finished. */
static int judge_odd_size(const struct source *src, struct error *err)
{
	uint8_t first[SECTOR];
	uint32_t len = (uint32_t)MIN(src->size, (uint64_t)SECTOR);
	int r = probe_read(src, first, len, 0, err);
	if (r < 0)
		return r;
	if (is_zero(first, len))
		return fail(err, -ENODATA, "The disk has no beginning yet, and ends at %" PRIu64 " bytes, in the middle of a "
			    "sector: the upload is not finished.", src->size);
	return fail(err, -EINVAL, "The disk has %" PRIu64 " bytes, which is not a multiple of 512: "
		    "it is no raw disk, or the upload is cut.", src->size);
}

int probe_disk(const struct source *src, bool *ret_zero, struct error *err)
{
	if (ret_zero)
		*ret_zero = false;
	int r = probe_container(src, err);
	if (r < 0)
		return r;
	r = all_zero(src, err);
	if (r < 0)
		return r;
	if (r == 1) {
		if (ret_zero)
			*ret_zero = true;
		return fail(err, -EINVAL, "The disk holds nothing but zeros (%" PRIu64 " bytes of them).", src->size);
	}
	r = check_table(src, err);
	if (r < 0)
		return r;
	return src->size % SECTOR ? judge_odd_size(src, err) : 0;
}
