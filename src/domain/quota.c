/* SPDX-License-Identifier: Apache-2.0 */
/* A *quota* is an account in a region. It has four numbers, all changed without a lock:
 *
 *      used      as last measured
 *      done      written since, as it was taken: an upper bound of what that added
 *      pending   taken and not written yet
 *      limit
 *
 * used + done + pending is never below what is stored. Whoever changes one of them does it in an order in which others see too much rather than
 * too little for a moment: bytes go to `done` before they leave `pending`, a measurement to `used` before what it covers leaves `done`;
 * and they are read in the opposite order.
 *
 * A refusal must be right too. So before one it is measured while nothing is pending, done or moving into the pool
 * (where it would count twice), for which is waited, but not for ever. */
#include "domain/quota.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "catalog/account.h"
#include "catalog/meter_tab.h"
#include "domain/disks.h"
#include "domain/gc.h"
#include "domain/give_back.h"
#include "domain/measure.h"
#include "domain/policy.h"

#define POLICY "bytes-per-region"
#define NO_LIMIT UINT64_MAX
#define WAIT_STEP 1000000 /* ns */
#define WAIT_STEPS 1000u
#define FOLD_WORTH (UINT64_C(1) << 20) /* an overlay with less is not folded to make room */

struct quota {
	uint32_t account, region;
	pthread_mutex_t lock; /* guards disks; who measures has it. Nothing but the catalog's is taken under it */
	struct quota_disk *disks;
	_Atomic uint64_t used, done, pending, limit;
	_Atomic uint64_t known; /* quotas.changes when the limit was read, plus 1 */
	struct quota *next;
};

struct quota_disk {
	struct quotas *quotas;
	struct quota *quota;
	struct disk *disk;
	uint64_t number;
	_Atomic bool moving;
	struct quota_disk *next;
};

struct quotas {
	struct service *service;
	pthread_mutex_t lock; /* guards the list of quotas; they stay to the end */
	struct quota *first;
	_Atomic uint64_t changes; /* of policies */
};

/* ---- quotas ---- */

struct quotas *quotas_new(struct service *s)
{
	struct quotas *q = calloc(1, sizeof *q);
	if (!q)
		abort();
	q->service = s;
	pthread_mutex_init(&q->lock, NULL);
	return q;
}

void quotas_free(struct quotas *q)
{
	if (!q)
		return;
	for (struct quota *p; (p = q->first);) {
		q->first = p->next;
		pthread_mutex_destroy(&p->lock);
		free(p);
	}
	pthread_mutex_destroy(&q->lock);
	free(q);
}

void quotas_changed(struct quotas *q) { q->changes++; }

static struct quota *quota_of(struct quotas *q, uint32_t account, uint32_t region)
{
	WITH_LOCK(&q->lock);
	struct quota *p = q->first;
	while (p && (p->account != account || p->region != region))
		p = p->next;
	if (p)
		return p;
	p = calloc(1, sizeof *p);
	if (!p)
		abort();
	p->account = account;
	p->region = region;
	pthread_mutex_init(&p->lock, NULL);
	p->next = q->first;
	return q->first = p;
}

static int read_owner(struct service *s, uint64_t number, struct image *ret)
{
	struct cat_txn *txn;
	struct disk_row row;
	int r = cat_begin(s->catalog, &txn, NULL);
	if (r)
		return r;
	r = disk_row_get(txn, number, &row);
	if (!r)
		r = image_get(txn, row.image, ret);
	cat_end(&txn);
	return r;
}

struct quota_disk *quota_open(struct quotas *quotas, uint64_t number, struct disk *disk)
{
	struct image owner;
	if (read_owner(quotas->service, number, &owner))
		return NULL;
	struct quota_disk *q = calloc(1, sizeof *q);
	if (!q)
		abort();
	q->quotas = quotas;
	q->disk = disk;
	q->number = number;
	q->quota = quota_of(quotas, owner.owner, owner.shelf.region);
	WITH_LOCK(&q->quota->lock);
	q->next = q->quota->disks;
	q->quota->disks = q;
	return q;
}

void quota_close(struct quota_disk **disk)
{
	struct quota_disk *q = steal(disk);
	if (!q)
		return;
	{
		WITH_LOCK(&q->quota->lock);
		struct quota_disk **p = &q->quota->disks;
		while (*p != q)
			p = &(*p)->next;
		*p = q->next;
	}
	free(q);
}

void quota_moving(struct quota_disk *q, bool moving)
{
	if (q)
		q->moving = moving;
}

/* ---- measuring ---- */

/* Overlays are looked at before the catalog: what moves into the pool meanwhile counts twice, never not at all. */
static uint64_t live_bytes(const struct quota *p)
{
	uint64_t live = 0;
	for (const struct quota_disk *q = p->disks; q; q = q->next)
		live += disk_overlay_stored(q->disk);
	return live;
}

/* What meters say of overlays that are open: old news. */
static int noted_bytes(struct cat_txn *txn, const struct quota *p, uint64_t *ret)
{
	*ret = 0;
	for (const struct quota_disk *q = p->disks; q; q = q->next) {
		uint64_t written = 0;
		int r = meter_written(txn, q->number, &written);
		if (r && r != -ENOENT)
			return r;
		*ret += written;
	}
	return 0;
}

static int read_catalog(struct service *s, const struct quota *p, uint64_t *ret_limit, uint64_t *ret_bytes, struct error *err)
{
	struct cat_txn *txn;
	uint64_t bytes, written, noted;
	int r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = policy_number(txn, p->account, p->region, POLICY, ret_limit);
	if (!r)
		r = meter_sum(txn, p->account, p->region, &bytes, &written);
	if (!r)
		r = noted_bytes(txn, p, &noted);
	cat_end(&txn);
	if (r)
		return fail(err, r, "what is stored cannot be looked up (%s)", err_name(r));
	*ret_bytes = bytes + written - noted;
	return 0;
}

/* With the lock held. */
static int measure(struct quotas *quotas, struct quota *p, struct error *err)
{
	uint64_t changes = quotas->changes, done = p->done, live = live_bytes(p), limit = 0, bytes = 0;
	int r = read_catalog(quotas->service, p, &limit, &bytes, err);
	if (r)
		return r;
	p->used = bytes + live;
	p->done -= done;
	p->limit = limit;
	p->known = changes + 1;
	return 0;
}

/* ---- taking ---- */

static bool fits(const struct quota *p)
{
	uint64_t pending = p->pending, done = p->done, used = p->used, limit = p->limit;
	return limit == NO_LIMIT || used + done + pending <= limit;
}

bool quota_take(struct quota_disk *q, uint64_t bytes)
{
	if (!q)
		return true;
	struct quota *p = q->quota;
	p->pending += bytes;
	if (p->known == q->quotas->changes + 1 && fits(p))
		return true;
	p->pending -= bytes;
	return false;
}

void quota_done(struct quota_disk *q, uint64_t bytes)
{
	if (!q)
		return;
	q->quota->done += bytes;
	q->quota->pending -= bytes;
}

/* Is what was measured the whole truth? */
static bool is_still(const struct quota *p)
{
	bool still = p->pending == 0 && p->done == 0;
	for (const struct quota_disk *q = p->disks; q && still; q = q->next)
		still = !q->moving;
	return still;
}

static int refuse(struct quota_disk *q, uint64_t bytes, struct error *err)
{
	const struct quota *p = q->quota;
	struct cat_txn *txn;
	struct account account = { .name = "" };
	struct region region = { .name = "" };
	if (cat_begin(q->quotas->service->catalog, &txn, NULL) == 0) {
		if (account_get(txn, p->account, &account) || region_get(txn, p->region, &region))
			account.name[0] = 0;
		cat_end(&txn);
	}
	return fail(err, -EDQUOT, "account %s stores %llu bytes in %s, and with %llu more it would be over the %llu that policy " POLICY
		    " allows: delete something for good (rm -r %s/.trash/TYPE/NAME@TIME after rm -r), or ask an operator to raise it in "
		    ".policy", account.name, (unsigned long long)p->used, region.name, (unsigned long long)bytes, (unsigned long long)p->limit,
		    region.name);
}

/* 1: taken, 0: there is no room, or an error. -EAGAIN: ask again, something is under way. */
static int try_once(struct quota_disk *q, uint64_t bytes, struct error *err)
{
	struct quota *p = q->quota;
	WITH_LOCK(&p->lock);
	int r = measure(q->quotas, p, err);
	if (r)
		return r;
	p->pending += bytes;
	if (fits(p))
		return 1;
	p->pending -= bytes;
	return is_still(p) ? 0 : -EAGAIN;
}

static int try_exactly(struct quota_disk *q, uint64_t bytes, struct error *err)
{
	int r = -EAGAIN;
	for (unsigned i = 0; i < WAIT_STEPS && (r = try_once(q, bytes, err)) == -EAGAIN; i++)
		nanosleep(&(struct timespec){ .tv_nsec = WAIT_STEP }, NULL);
	return r == -EAGAIN ? 0 : r;
}

/* Of what was deleted for good the bytes may not have been collected yet, and the meters not know. */
static int collect(struct quota_disk *q, struct error *err)
{
	struct service *s = q->quotas->service;
	int r = s->gc ? gc_collect(s->gc, err) : 0;
	return r ? r : measure_overlays(s, err);
}

/* What waits in the overlay uncompressed takes less in the pool. */
static int make_room(struct quota_disk *q, struct error *err)
{
	struct disks *disks = q->quotas->service->disks;
	int r = disk_overlay_stored(q->disk) >= FOLD_WORTH ? disks_fold(disks, q->disk, NULL, err) : 0;
	return r ? r : collect(q, err);
}

/* 1, 0, or an error, as try_once(). */
static int try_harder(struct quota_disk *q, uint64_t bytes, struct error *err)
{
	const struct quota *p = q->quota;
	int r = make_room(q, err);
	if (r == 0)
		r = try_exactly(q, bytes, err);
	if (r || give_back_all(q->quotas->service, p->account, p->region, q->number) == 0)
		return r;
	r = collect(q, err);
	return r ? r : try_exactly(q, bytes, err);
}

int quota_ask(struct quota_disk *q, uint64_t bytes, struct error *err)
{
	int r = try_exactly(q, bytes, err);
	if (r == 0)
		r = try_harder(q, bytes, err);
	if (r == 0)
		return refuse(q, bytes, err);
	return r < 0 ? r : 0;
}

static int brought_bytes(struct quota_disk *q, bool *ret, struct error *err)
{
	struct cat_txn *txn;
	struct meter m = { .bytes = 0 };
	int r = cat_begin(q->quotas->service->catalog, &txn, err);
	if (r)
		return r;
	r = meter_get(txn, q->number, &m);
	cat_end(&txn);
	*ret = m.bytes > 0 || disk_overlay_stored(q->disk) > 0;
	return r && r != -ENOENT ? fail(err, r, "the meter of a disk cannot be read (%s)", err_name(r)) : 0;
}

int quota_check(struct quota_disk *q, struct error *err)
{
	bool brought;
	if (quota_take(q, 0))
		return 0;
	int r = brought_bytes(q, &brought, err);
	return r || !brought ? r : quota_ask(q, 0, err);
}
