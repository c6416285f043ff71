/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay folder has a file for every disk that was written and not folded; what it takes on the host is what is measured. Meters that
 * still count an overlay that is gone are looked for only when the sums say that there are some. */
#include "domain/measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "catalog/meter_tab.h"
#include "domain/gc_int.h"

struct size {
	uint64_t number, bytes;
};

struct sizes {
	struct size *items;
	size_t count;
};

static void add(struct sizes *all, uint64_t number, uint64_t bytes)
{
	if ((all->count & (all->count - 1)) == 0) { /* full: room is the next power of two */
		all->items = reallocarray(all->items, all->count ? 2 * all->count : 1, sizeof *all->items);
		if (!all->items)
			abort();
	}
	all->items[all->count++] = (struct size){ number, bytes };
}

static int compare_sizes(const void *a, const void *b)
{
	uint64_t x = ((const struct size *)a)->number, y = ((const struct size *)b)->number;
	return x < y ? -1 : x > y;
}

/* ---- what there is ---- */

static int look_into_folder(struct service *s, struct sizes *ret, struct error *err)
{
	AUTO_FREE char *path = NULL;
	struct stat st;
	if (asprintf(&path, "%s/overlay", s->dir) < 0)
		abort();
	DIR *d = opendir(path);
	if (!d)
		return fail_errno(err, "cannot look into %s", path);
	for (struct dirent *e; (e = readdir(d));) {
		const char *dot = strrchr(e->d_name, '.');
		uint64_t number = dot && strcmp(dot, ".data") == 0 ? overlay_number_of(e->d_name) : 0;
		if (number && fstatat(dirfd(d), e->d_name, &st, 0) == 0)
			add(ret, number, (uint64_t)st.st_blocks * 512);
	}
	closedir(d);
	if (ret->count)
		qsort(ret->items, ret->count, sizeof *ret->items, compare_sizes);
	return 0;
}

/* ---- what the meters say ---- */

struct comparison {
	const struct sizes *there;
	struct sizes *changes;
	uint64_t noted; /* of those that are there */
	uint64_t sum;   /* of all */
};

static int compare_one(struct cat_txn *txn, struct comparison *c, const struct size *size)
{
	struct disk_row row;
	uint64_t written;
	int r = meter_written(txn, size->number, &written);
	if (r == -ENOENT) {
		written = 0;
		r = disk_row_get(txn, size->number, &row);
	}
	if (r)
		return r == -ENOENT ? 0 : r; /* left over: gc removes it */
	c->noted += written;
	if (written != size->bytes)
		add(c->changes, size->number, size->bytes);
	return 0;
}

static int add_sum(void *ctx, uint32_t account, uint32_t region, uint64_t bytes, uint64_t written)
{
	struct comparison *c = ctx;
	(void)account, (void)region, (void)bytes;
	c->sum += written;
	return 0;
}

static int note_gone(void *ctx, const struct meter *m)
{
	struct comparison *c = ctx;
	struct size key = { .number = m->disk };
	if (m->written && !(c->there->count && bsearch(&key, c->there->items, c->there->count, sizeof key, compare_sizes)))
		add(c->changes, m->disk, 0);
	return 0;
}

static int compare_all(struct cat_txn *txn, struct comparison *c)
{
	int r = 0;
	for (size_t i = 0; i < c->there->count && !r; i++)
		r = compare_one(txn, c, &c->there->items[i]);
	if (!r)
		r = meter_sum_each(txn, add_sum, c);
	return r || c->sum == c->noted ? r : meter_each(txn, 0, note_gone, c);
}

static int find_changes(struct service *s, const struct sizes *there, struct sizes *ret, struct error *err)
{
	struct comparison c = { .there = there, .changes = ret };
	struct cat_txn *txn;
	int r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = compare_all(txn, &c);
	cat_end(&txn);
	return r ? fail(err, r, "The meters cannot be read (%s).", err_name(r)) : 0;
}

/* ---- writing it down ---- */

static int write_change(struct cat_txn *txn, const struct size *size)
{
	struct disk_row row;
	uint64_t written;
	int r = disk_row_get(txn, size->number, &row);
	if (r == -ENOENT)
		r = meter_written(txn, size->number, &written);
	if (r)
		return r == -ENOENT ? 0 : r; /* it went meanwhile */
	return meter_set_written(txn, size->number, size->bytes);
}

static int write_changes(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct sizes *all = arg;
	int r = 0;
	(void)err;
	for (size_t i = 0; i < all->count && !r; i++)
		r = write_change(txn, &all->items[i]);
	return r;
}

int measure_overlays(struct service *s, struct error *err)
{
	struct sizes there = { .items = NULL }, changes = { .items = NULL };
	int r = look_into_folder(s, &there, err);
	if (!r)
		r = find_changes(s, &there, &changes, err);
	if (!r && changes.count)
		r = cat_write(s->catalog, write_changes, &changes, err);
	free(there.items);
	free(changes.items);
	return r;
}

int measure_disk(struct service *s, uint64_t number, uint64_t bytes, struct error *err)
{
	struct size size = { number, bytes };
	struct sizes one = { &size, 1 };
	struct cat_txn *txn;
	uint64_t written = 0;
	int r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = meter_written(txn, number, &written);
	cat_end(&txn);
	if (r && r != -ENOENT)
		return fail(err, r, "The meters cannot be read (%s).", err_name(r));
	return written == bytes ? 0 : cat_write(s->catalog, write_changes, &one, err);
}
