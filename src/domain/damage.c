/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/damage.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "catalog/disk_tab.h"
#include "catalog/hurt_tab.h"
#include "catalog/object_tab.h"
#include "store/map.h"

#define REVIEW_DISKS 64u     /* at a time */
#define REVIEW_CHUNKS 65536u /* of one disk that are looked at for more damage, when what was known is healed */

struct found_damage {
	struct bad_object items[BAD_MOST];
	unsigned count;
};

static int write_list(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct found_damage *d = arg;
	(void)err;
	return object_damaged_many(txn, d->items, d->count);
}

int damage_write(struct service *s, struct error *err)
{
	AUTO_FREE struct found_damage *d = calloc(1, sizeof *d);
	if (!d)
		return fail(err, -ENOMEM, "There is no memory to write down what is damaged.");
	d->count = bad_list(s->store->bad, d->items);
	if (d->count == 0)
		return 0;
	int r = cat_write(s->catalog, write_list, d, err);
	if (r == 0)
		bad_done(s->store->bad, d->items, d->count);
	return r;
}

int damage_write_in(struct cat_txn *txn, struct service *s)
{
	if (!bad_any(s->store->bad))
		return 0;
	AUTO_FREE struct found_damage *d = calloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;
	d->count = bad_list(s->store->bad, d->items);
	return object_damaged_many(txn, d->items, d->count); /* they stay in the list until a transaction of their own */
}

/* ---- disks ---- */

/* The first chunk of [chunk, end) of a disk that the pool lacks; `end` if there is none. */
static uint64_t first_lacking(struct service *s, const struct disk_row *row, uint64_t chunk, uint64_t end)
{
	struct object o;
	for (; chunk < end; chunk++) {
		if (map_seek(s->store, row->domain, &row->root, chunk, end, true, &chunk, NULL) || chunk == end)
			return chunk;
		if (map_find(s->store, row->domain, &row->root, chunk, &o, NULL) || !store_has(s->store, o.domain, &o.hash))
			return chunk;
	}
	return end;
}

/* A chunk may be missed without anybody having met it yet, when its pack is lost: it is read. */
static bool is_readable(struct service *s, const struct disk_row *row, uint64_t chunk)
{
	struct object o;
	struct cache_ref ref;
	if (map_find(s->store, row->domain, &row->root, chunk, &o, NULL))
		return false;
	if (hash_is_none(&o.hash))
		return true;
	if (!store_has(s->store, o.domain, &o.hash) || store_get(s->store, o.domain, OBJECT_CHUNK, &o.hash, &ref, NULL, NULL))
		return false;
	store_put(s->store, OBJECT_CHUNK, &ref);
	return true;
}

static int read_row(struct service *s, uint64_t disk, struct disk_row *ret, struct hurt *ret_hurt)
{
	struct cat_txn *txn;
	int r = cat_begin(s->catalog, &txn, NULL);
	if (r)
		return r;
	r = disk_row_get(txn, disk, ret);
	if (!r && hurt_get(txn, disk, ret_hurt) != 0)
		ret_hurt->disk = 0;
	cat_end(&txn);
	return r;
}

static int write_hurt(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct hurt *h = arg;
	struct disk_row row;
	(void)err;
	int r = disk_row_get(txn, h->disk, &row);
	return r == -ENOENT ? 0 : r ? r : hurt_put(txn, h);
}

void damage_found(struct service *s, uint64_t disk, uint64_t offset)
{
	struct hurt hurt = { disk, offset, clock_real() };
	struct error err;
	if (cat_write(s->catalog, write_hurt, &hurt, &err))
		log_warn("It could not be written down that disk %llu is damaged: %s", (unsigned long long)disk, err.text);
}

void damage_seen(struct service *s, uint64_t disk, uint64_t offset, uint64_t len)
{
	struct disk_row row;
	struct hurt known = { .disk = 0 };
	uint64_t end = div_up(offset + len, CHUNK_SIZE);
	if (read_row(s, disk, &row, &known) || known.disk)
		return;
	end = MIN(end, div_up(row.size, CHUNK_SIZE));
	uint64_t chunk = first_lacking(s, &row, offset / CHUNK_SIZE, end);
	if (chunk < end)
		damage_found(s, disk, chunk * CHUNK_SIZE);
}

struct review {
	struct hurt items[REVIEW_DISKS];
	unsigned count;
};

static int add_to_review(void *ctx, const struct hurt *h)
{
	struct review *v = ctx;
	v->items[v->count++] = *h;
	return v->count == REVIEW_DISKS;
}

static int end_hurt(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return hurt_remove(txn, *(uint64_t *)arg);
}

static int review_disk(struct service *s, struct hurt *h, struct error *err)
{
	struct disk_row row;
	struct hurt known;
	int r = read_row(s, h->disk, &row, &known);
	if (r)
		return r == -ENOENT ? 0 : fail(err, r, "The row of disk %llu cannot be read.", (unsigned long long)h->disk);
	uint64_t chunk = h->offset / CHUNK_SIZE, end = MIN(chunk + REVIEW_CHUNKS, div_up(row.size, CHUNK_SIZE));
	if (chunk < end && !is_readable(s, &row, chunk))
		return 0;
	uint64_t found = first_lacking(s, &row, chunk, end);
	h->offset = found * CHUNK_SIZE;
	return found < end ? cat_write(s->catalog, write_hurt, h, err) : cat_write(s->catalog, end_hurt, &h->disk, err);
}

int damage_review(struct service *s, struct error *err)
{
	struct review v = { .count = 0 };
	struct cat_txn *txn;
	int r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = hurt_each(txn, s->hurt_reviewed, add_to_review, &v);
	cat_end(&txn);
	for (unsigned i = 0; r >= 0 && i < v.count; i++)
		r = review_disk(s, &v.items[i], err);
	s->hurt_reviewed = v.count == REVIEW_DISKS ? v.items[v.count - 1].disk : 0;
	return r < 0 ? r : 0;
}
