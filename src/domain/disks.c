/* SPDX-License-Identifier: Apache-2.0 */
/* disks: the table of open disks, and what a disk asks of the catalog.
 *
 * A disk that nobody uses stays open for a while (MAX_IDLE of them): a shell that reads a file piece by piece,
 * or a hundred commands on one image, do not open it again each time. */
#include "domain/disks.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "catalog/object_tab.h"
#include "domain/gc.h"

#define BUCKETS 1024
#define MAX_IDLE 64

struct open_disk {
	uint64_t number;
	struct disk *disk;
	unsigned users;
	bool dropped;          /* gone from the catalog */
	bool closing;          /* being closed, without the lock: wait for it */
	uint64_t idle_since;   /* order of becoming idle */
	struct map_root pinned;
	struct open_disk *next;
};

struct disks {
	struct service *service;
	char overlay_dir[PATH_MAX];
	pthread_mutex_t lock; /* guards the table; never held while a disk is folded or read */
	struct open_disk *buckets[BUCKETS];
	pthread_cond_t closed; /* an entry has left the table */
	uint64_t clock;
	unsigned n_open, n_idle;
};

/* ---- what a disk asks of the catalog ------------------------------------------------------- */

struct commit {
	const struct fold *fold;
	struct disks_final *final;
};

static int insert_objects(struct cat_txn *txn, const struct fold *f, uint8_t *node_is_new)
{
	for (size_t i = 0; i < f->n_items; i++) {
		int r = object_insert(txn, f->domain, &f->items[i].hash, &f->items[i].place);
		if (r < 0)
			return r;
		if (r == 1 && f->items[i].place.kind == OBJECT_NODE)
			for (size_t n = 0; n < f->nodes->count; n++)
				if (hash_equal(&f->nodes->items[n].hash, &f->items[i].hash))
					node_is_new[n] = 1;
	}
	return 0;
}

/* A node that was new brings one reference to each of its kids. They are all gathered, so that the table is
 * gone through once in its own order. */
static int reference_kids(struct cat_txn *txn, const struct fold *f, const uint8_t *node_is_new)
{
	size_t count = 0;
	for (size_t n = 0; n < f->nodes->count; n++)
		count += node_is_new[n] ? NODE_FANOUT : 0;
	if (count == 0)
		return 0;
	AUTO_FREE struct hash *kids = malloc(count * sizeof *kids);
	if (!kids)
		return -ENOMEM;
	count = 0;
	for (size_t n = 0; n < f->nodes->count; n++)
		if (node_is_new[n]) {
			memcpy(kids + count, f->nodes->items[n].kids, sizeof f->nodes->items[n].kids);
			count += NODE_FANOUT;
		}
	return object_ref_many(txn, f->domain, kids, count);
}

static int write_objects(struct cat_txn *txn, const struct fold *f)
{
	if (f->n_items == 0)
		return 0;
	struct pack_row pack = { .no = f->pack, .domain = f->domain, .bytes = f->pack_bytes };
	AUTO_FREE uint8_t *node_is_new = calloc(f->nodes->count + 1, 1);
	if (!node_is_new)
		return -ENOMEM;
	int r = pack_row_put(txn, &pack);
	if (!r)
		r = insert_objects(txn, f, node_is_new);
	return r ? r : reference_kids(txn, f, node_is_new);
}

static int move_root(struct cat_txn *txn, const struct fold *f)
{
	if (hash_equal(&f->old.hash, &f->root.hash))
		return 0;
	int r = hash_is_none(&f->root.hash) ? 0 : object_ref(txn, f->domain, &f->root.hash);
	if (!r && !hash_is_none(&f->old.hash))
		r = object_unref(txn, f->domain, &f->old.hash);
	return r;
}

static int release_holds(struct cat_txn *txn, uint64_t number)
{
	struct map_root held;
	uint32_t domain;
	int r;
	while ((r = hold_take(txn, number, &domain, &held)) == 0)
		if (!hash_is_none(&held.hash) && (r = object_unref(txn, domain, &held.hash)))
			return r;
	return r == -ENOENT ? 0 : r;
}

static int commit_fold(struct cat_txn *txn, void *arg, struct error *err)
{
	struct commit *c = arg;
	const struct fold *f = c->fold;
	struct disk_row row;
	int r = disk_row_get(txn, f->number, &row);
	if (r)
		return fail(err, r, "disk %llu is no longer in the catalog", (unsigned long long)f->number);
	if (!r)
		r = write_objects(txn, f);
	if (!r)
		r = move_root(txn, f);
	if (!r && f->final)
		r = release_holds(txn, f->number);
	if (r)
		return r == ERR_STALE ? r : fail(err, r, "the catalog could not take the chunks of disk %llu (%s)",
						 (unsigned long long)f->number, err_name(r));
	if (!hash_equal(&row.root.hash, &f->root.hash) || row.size != f->size) {
		row.mtime = clock_real();
		row.has_sha = false;
	}
	row.root = f->root;
	row.size = f->size;
	if (f->final && c->final)
		r = c->final->fn(txn, c->final, &row, err);
	return r ? r : disk_row_put(txn, &row);
}

static struct open_disk *find(struct disks *d, uint64_t number)
{
	struct open_disk *o = d->buckets[number % BUCKETS];
	while (o && o->number != number)
		o = o->next;
	return o;
}

/* The open disk's pin follows its map: what it reads from must not be collected, whatever the catalog says. */
static void repin(struct disks *d, const struct fold *f)
{
	struct map_root old = { .levels = 0 };
	{
		WITH_LOCK(&d->lock);
		struct open_disk *o = find(d, f->number);
		if (!o || hash_equal(&o->pinned.hash, &f->root.hash))
			return;
		old = o->pinned;
		o->pinned = f->root;
	}
	gc_pin(d->service->gc, f->domain, &f->root);
	gc_unpin(d->service->gc, f->domain, &old);
}

static int on_commit(void *ctx, const struct fold *f, struct error *err)
{
	struct disks *d = ctx;
	struct commit c = { f, f->caller };
	int r = cat_write(d->service->catalog, commit_fold, &c, err);
	if (!r) {
		repin(d, f);
		gc_wake(d->service->gc);
	}
	return r;
}

struct holding {
	uint64_t number;
	uint32_t domain;
	const struct map_root *map;
};

static int write_hold(struct cat_txn *txn, void *arg, struct error *err)
{
	struct holding *h = arg;
	int r = hold_put(txn, h->number, h->domain, h->map);
	if (r == -EEXIST || hash_is_none(&h->map->hash))
		return r == -EEXIST ? 0 : r;
	if (!r)
		r = object_ref(txn, h->domain, &h->map->hash);
	return r == ERR_STALE ? fail(err, r, "the disk that is being copied is gone") : r;
}

static int on_hold(void *ctx, uint64_t number, uint32_t domain, const struct map_root *map, struct error *err)
{
	struct disks *d = ctx;
	struct holding h = { number, domain, map };
	return cat_write(d->service->catalog, write_hold, &h, err);
}

/* ---- the table ---------------------------------------------------------------------------- */

struct disks *disks_new(struct service *s)
{
	struct disks *d = calloc(1, sizeof *d);
	if (!d)
		abort();
	d->service = s;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->closed, NULL);
	snprintf(d->overlay_dir, sizeof d->overlay_dir, "%s/overlay", s->dir);
	return d;
}

/* Leftovers of a disk that could not be removed are found again by gc at the next start. */
static void forget_files(struct disks *d, uint64_t number)
{
	struct error ignored;
	if (disk_forget(d->overlay_dir, number, &ignored))
		return;
}

static void unlink_one(struct disks *d, struct open_disk *gone)
{
	struct open_disk **p = &d->buckets[gone->number % BUCKETS];
	while (*p != gone)
		p = &(*p)->next;
	*p = gone->next;
	d->n_open--;
}

/* Closing waits for the disk's jobs, and those may commit and come back for the lock: so it is done without it. Until it is done
 * the entry stays in the table, and whoever wants that number waits. */
static void close_idle(struct disks *d, struct open_disk *o)
{
	uint32_t domain = disk_domain(o->disk);
	o->closing = true;
	d->n_idle--;
	pthread_mutex_unlock(&d->lock);
	disk_close(o->disk);
	if (o->dropped)
		forget_files(d, o->number);
	gc_unpin(d->service->gc, domain, &o->pinned);
	pthread_mutex_lock(&d->lock);
	unlink_one(d, o);
	pthread_cond_broadcast(&d->closed);
	free(o);
}

void disks_free(struct disks *d)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		while (d->buckets[i]) {
			struct open_disk *o = d->buckets[i];
			d->buckets[i] = o->next;
			disk_close(o->disk);
			free(o);
		}
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static int open_disk(struct disks *d, uint64_t number, struct open_disk **ret, struct error *err)
{
	struct disk_row row;
	struct cat_txn *txn;
	int r = cat_begin(d->service->catalog, &txn, err);
	if (r)
		return r;
	r = disk_row_get(txn, number, &row);
	/* Pinned before the snapshot ends: afterwards the row may go, and its map with it. */
	if (!r)
		gc_pin(d->service->gc, row.domain, &row.root);
	cat_end(&txn);
	if (r)
		return fail(err, r == -ENOENT ? -ESTALE : r, "disk %llu is gone", (unsigned long long)number);
	struct disk_conf conf = {
		.store = d->service->store,
		.hooks = { on_commit, on_hold, d },
		.overlay_dir = d->overlay_dir,
		.number = number,
		.domain = row.domain,
		.root = row.root,
		.size = row.size,
	};
	struct open_disk *o = calloc(1, sizeof *o);
	if (!o)
		abort();
	o->number = number;
	o->pinned = row.root;
	r = disk_open(&o->disk, &conf, err);
	if (r) {
		gc_unpin(d->service->gc, row.domain, &row.root);
		free(o);
		return r;
	}
	*ret = o;
	return 0;
}

static struct open_disk *find_settled(struct disks *d, uint64_t number)
{
	struct open_disk *o;
	while ((o = find(d, number)) && o->closing)
		pthread_cond_wait(&d->closed, &d->lock);
	return o;
}

int disks_get(struct disks *d, uint64_t number, struct disk **ret, struct error *err)
{
	WITH_LOCK(&d->lock);
	struct open_disk *o = find_settled(d, number);
	if (!o) {
		int r = open_disk(d, number, &o, err);
		if (r)
			return r;
		o->next = d->buckets[number % BUCKETS];
		d->buckets[number % BUCKETS] = o;
		d->n_open++;
	} else if (o->users == 0) {
		d->n_idle--;
	}
	o->users++;
	*ret = o->disk;
	return 0;
}

static struct open_disk *oldest_idle(struct disks *d)
{
	struct open_disk *oldest = NULL;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct open_disk *o = d->buckets[i]; o; o = o->next)
			if (o->users == 0 && !o->closing && (!oldest || o->idle_since < oldest->idle_since))
				oldest = o;
	return oldest;
}

void disks_put(struct disks *d, struct disk **disk)
{
	if (!*disk)
		return;
	WITH_LOCK(&d->lock);
	struct open_disk *o = find(d, disk_number(*disk));
	*disk = NULL;
	if (--o->users > 0)
		return;
	o->idle_since = ++d->clock;
	d->n_idle++;
	if (o->dropped)
		close_idle(d, o);
	else if (d->n_idle > MAX_IDLE)
		close_idle(d, oldest_idle(d));
}

void disks_drop(struct disks *d, uint64_t number)
{
	WITH_LOCK(&d->lock);
	struct open_disk *o = find_settled(d, number);
	if (!o) {
		forget_files(d, number);
		return;
	}
	o->dropped = true;
	if (o->users == 0)
		close_idle(d, o);
}

unsigned disks_open_count(struct disks *d)
{
	WITH_LOCK(&d->lock);
	return d->n_open;
}

bool disks_in_use(struct disks *d, uint64_t number)
{
	WITH_LOCK(&d->lock);
	const struct open_disk *o = find(d, number);
	return o && o->users > 0;
}

int disks_fold(struct disks *d, struct disk *disk, struct disks_final *final, struct error *err)
{
	(void)d;
	return disk_fold(disk, final, err);
}
