/* SPDX-License-Identifier: Apache-2.0 */
/* disks: the table of open disks, and what a disk asks of the catalog (a fold: disks_commit.c).
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
#include "base/log.h"
#include "catalog/object_tab.h"
#include "domain/dedup.h"
#include "domain/disks_int.h"
#include "domain/gc.h"
#include "domain/measure.h"
#include "domain/quota.h"

#define BUCKETS 1024
#define MAX_IDLE 64

struct open_disk {
	uint64_t number;
	struct disk *disk;
	unsigned users;
	bool dropped;          /* gone from the catalog */
	bool opening, closing; /* being opened or closed, without the lock: wait for it */
	uint64_t idle_since;   /* order of becoming idle */
	struct map_root pinned;
	struct disk_gate gate;
	struct quota_disk *quota;
	struct open_disk *next;
};

struct disks {
	struct service *service;
	char overlay_dir[PATH_MAX];
	pthread_mutex_t lock; /* guards the table; never held while a disk is folded or read */
	struct open_disk *buckets[BUCKETS];
	pthread_cond_t settled; /* an entry has left the table, or its disk is open */
	uint64_t clock;
	unsigned n_open, n_idle;
};

/* ---- what a disk asks of the catalog ------------------------------------------------------- */

static struct open_disk *find(struct disks *d, uint64_t number)
{
	struct open_disk *o = d->buckets[number % BUCKETS];
	while (o && o->number != number)
		o = o->next;
	return o;
}

/* The open disk's pin follows its map, which is pinned already. Returns the one that is to be unpinned. */
static struct map_root move_pin(struct disks *d, const struct fold *f)
{
	WITH_LOCK(&d->lock);
	struct open_disk *o = find(d, f->number);
	if (!o)
		return f->root;
	struct map_root old = o->pinned;
	o->pinned = f->root;
	return old;
}

static void set_moving(struct disks *d, uint64_t number, bool moving)
{
	WITH_LOCK(&d->lock);
	struct open_disk *o = find(d, number);
	if (o)
		quota_moving(o->quota, moving);
}

static void on_emptied(void *ctx, uint64_t number) { set_moving(ctx, number, false); }

static int on_commit(void *ctx, const struct fold *f, struct error *err)
{
	struct disks *d = ctx;
	struct disks_commit c = { d->service, f, f->caller };
	struct map_root unpin = f->root;
	/* What it reads from must not be collected, whatever the catalog says: somebody may delete the disk right
	 * after this commit. So the pin is there before it. */
	gc_pin(d->service->gc, f->domain, &f->root);
	set_moving(d, f->number, true);
	int r = cat_write(d->service->catalog, disks_commit, &c, err);
	if (!r) {
		unpin = move_pin(d, f);
		gc_wake(d->service->gc);
	}
	gc_unpin(d->service->gc, f->domain, &unpin);
	for (unsigned i = 0; r && i < f->n_packs; i++)
		gc_unmake_pack(d->service->gc, f->packs[i].number);
	return r;
}

static void on_keep(void *ctx, bool all)
{
	struct disks *d = ctx;
	if (all)
		gc_hold(d->service->gc);
	else
		gc_release(d->service->gc);
}

struct holding {
	uint64_t number;
	uint32_t domain, lender;
	const struct map_root *map;
};

static int write_hold(struct cat_txn *txn, void *arg, struct error *err)
{
	struct holding *h = arg;
	int r = hold_put(txn, h->number, h->domain, h->map);
	if (!r && !dedup_may_borrow(h->domain, h->lender))
		return -EXDEV;
	if (r == -EEXIST || hash_is_none(&h->map->hash))
		return r == -EEXIST ? 0 : r;
	if (!r)
		r = object_take(txn, h->domain, &h->map->hash, h->lender);
	return r == ERR_STALE ? fail(err, r, "the disk that is being copied is gone") : r;
}

static int on_hold(void *ctx, uint64_t number, uint32_t domain, const struct map_root *map, uint32_t lender,
		   struct error *err)
{
	struct disks *d = ctx;
	struct holding h = { number, domain, lender, map };
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
	pthread_cond_init(&d->settled, NULL);
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

/* Programs that write on and on must not keep out the one that closes. */
static void gate_init(struct disk_gate *g)
{
	pthread_rwlockattr_t attr;
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&g->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

static void free_entry(struct open_disk *o)
{
	pthread_rwlock_destroy(&o->gate.lock);
	free(o);
}

/* From here on what it has beside the pool is what its meter says. */
static void leave_quota(struct disks *d, const struct open_disk *o, struct quota_disk *quota)
{
	struct error err;
	if (!o->dropped && measure_disk(d->service, o->number, disk_overlay_stored(o->disk), &err))
		log_warn("What was written to disk %llu is measured later: %s", (unsigned long long)o->number, err.text);
	quota_close(&quota);
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
	struct quota_disk *quota = steal(&o->quota); /* its jobs, which may still commit, find none */
	o->closing = true;
	d->n_idle--;
	pthread_mutex_unlock(&d->lock);
	leave_quota(d, o, quota);
	disk_close(o->disk);
	if (o->dropped)
		forget_files(d, o->number);
	gc_unpin(d->service->gc, domain, &o->pinned);
	pthread_mutex_lock(&d->lock);
	unlink_one(d, o);
	pthread_cond_broadcast(&d->settled);
	free_entry(o);
}

/* Out of the table, where its jobs, which may still commit, do not find it any more. */
static struct open_disk *take_first(struct disks *d, unsigned bucket)
{
	WITH_LOCK(&d->lock);
	struct open_disk *o = d->buckets[bucket];
	d->buckets[bucket] = o->next;
	quota_close(&o->quota);
	return o;
}

void disks_free(struct disks *d)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		while (d->buckets[i]) {
			struct open_disk *o = take_first(d, i);
			disk_close(o->disk);
			free_entry(o);
		}
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static int read_row(struct disks *d, uint64_t number, struct disk_row *ret, struct error *err)
{
	struct cat_txn *txn;
	int r = cat_begin(d->service->catalog, &txn, err);
	if (r)
		return r;
	r = disk_row_get(txn, number, ret);
	cat_end(&txn);
	return r ? fail(err, r == -ENOENT ? -ESTALE : r, "disk %llu is gone", (unsigned long long)number) : 0;
}

/* The row, with its map pinned. Between reading and pinning the row may go, and gc take its map: so it is looked at
 * again once the pin is there. */
static int read_and_pin(struct disks *d, uint64_t number, struct disk_row *ret, struct error *err)
{
	struct disk_row again;
	int r = read_row(d, number, ret, err);
	while (!r) {
		gc_pin(d->service->gc, ret->domain, &ret->root);
		r = read_row(d, number, &again, err);
		if (!r && hash_equal(&again.root.hash, &ret->root.hash))
			return 0;
		gc_unpin(d->service->gc, ret->domain, &ret->root);
		*ret = again;
	}
	return r;
}

/* Without the lock: it may have to read a long log, or wait for a slow medium. */
static int open_disk(struct disks *d, struct open_disk *o, struct error *err)
{
	struct disk_row row;
	struct disk *disk;
	int r = read_and_pin(d, o->number, &row, err);
	if (r)
		return r;
	struct disk_conf conf = {
		.store = d->service->store,
		.hooks = { .commit = on_commit, .emptied = on_emptied, .keep = on_keep, .hold = on_hold, .ctx = d },
		.overlay_dir = d->overlay_dir,
		.number = o->number,
		.domain = row.domain,
		.root = row.root,
		.size = row.size,
		.consumed = row.overlay,
	};
	o->pinned = row.root;
	r = disk_open(&disk, &conf, err);
	if (r) {
		gc_unpin(d->service->gc, row.domain, &row.root);
		return r;
	}
	o->disk = disk;
	o->quota = quota_open(d->service->quotas, o->number, disk);
	return 0;
}

/* An entry that others wait for. */
static struct open_disk *new_entry(struct disks *d, uint64_t number)
{
	struct open_disk *o = calloc(1, sizeof *o);
	if (!o)
		abort();
	o->number = number;
	o->opening = true;
	gate_init(&o->gate);
	o->next = d->buckets[number % BUCKETS];
	d->buckets[number % BUCKETS] = o;
	d->n_open++;
	return o;
}

/* Under the lock, which is given up meanwhile. */
static int open_entry(struct disks *d, uint64_t number, struct open_disk **ret, struct error *err)
{
	struct open_disk *o = new_entry(d, number);
	pthread_mutex_unlock(&d->lock);
	int r = open_disk(d, o, err);
	pthread_mutex_lock(&d->lock);
	o->opening = false;
	pthread_cond_broadcast(&d->settled);
	if (r) {
		unlink_one(d, o);
		free_entry(o);
		return r;
	}
	*ret = o;
	return 0;
}

static struct open_disk *find_settled(struct disks *d, uint64_t number)
{
	struct open_disk *o;
	while ((o = find(d, number)) && (o->opening || o->closing))
		pthread_cond_wait(&d->settled, &d->lock);
	return o;
}

int disks_get(struct disks *d, uint64_t number, struct disk **ret, struct error *err)
{
	WITH_LOCK(&d->lock);
	struct open_disk *o = find_settled(d, number);
	if (!o) {
		int r = open_entry(d, number, &o, err);
		if (r)
			return r;
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
			if (o->users == 0 && !o->opening && !o->closing && (!oldest || o->idle_since < oldest->idle_since))
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

struct disk_gate *disks_gate(struct disks *d, struct disk *disk)
{
	WITH_LOCK(&d->lock);
	return &find(d, disk_number(disk))->gate;
}

struct quota_disk *disks_quota(struct disks *d, struct disk *disk)
{
	WITH_LOCK(&d->lock);
	return find(d, disk_number(disk))->quota;
}

void disks_careful(struct disks *d, uint64_t number)
{
	WITH_LOCK(&d->lock);
	struct open_disk *o = find_settled(d, number);
	if (o)
		disk_set_careful(o->disk);
}

void disks_ask_again(struct disks *d, uint64_t number)
{
	WITH_LOCK(&d->lock);
	struct open_disk *o = find(d, number);
	if (o)
		o->gate.rounds++;
}

uint32_t disks_last_writer(struct disks *d, uint64_t number)
{
	WITH_LOCK(&d->lock);
	const struct open_disk *o = find(d, number);
	return o ? o->gate.writer : 0;
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

unsigned disks_in_trouble(struct disks *d)
{
	unsigned n = 0;
	WITH_LOCK(&d->lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct open_disk *o = d->buckets[i]; o; o = o->next)
			n += !o->opening && !o->closing && disk_trouble(o->disk, NULL);
	return n;
}

bool disks_in_use(struct disks *d, uint64_t number)
{
	WITH_LOCK(&d->lock);
	const struct open_disk *o = find(d, number);
	return o && (o->opening || o->users > 0);
}

int disks_fold(struct disks *d, struct disk *disk, struct disks_final *final, struct error *err)
{
	(void)d;
	return disk_fold(disk, final, err);
}
