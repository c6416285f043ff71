/* SPDX-License-Identifier: Apache-2.0 */
/* gc_trash: rows whose time is over: those in the trash are deleted for good, uploads that nobody
 * finished go to the trash.
 *
 * Rows are looked for in a snapshot, a few at a time; each is looked at again in the transaction that
 * changes it, because somebody may have taken it out of the trash, or gone on with the upload, in
 * between.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "catalog/ledger_clock.h"
#include "domain/disks.h"
#include "domain/gc_int.h"
#include "domain/policy.h"
#include "domain/rights.h"
#include "domain/settings.h"
#include "domain/trash.h"
#include "domain/tree.h"

#define FOUND_MAX 64u
#define TOGETHER 16u /* rows changed in one transaction */
#define HOUR (INT64_C(3600) * 1000000000)

/* Is it time? 1, 0, or an error. */
typedef int (*due_fn)(struct cat_txn *, const struct image *, int64_t now);

struct search {
	struct cat_txn *txn;
	struct service *service;
	due_fn due;
	/* Is it in use, so that it has to wait? 1, 0, or an error. NULL: never. Not asked in a write
	 * transaction, which must not wait for the disks' lock. */
	int (*busy)(struct search *, const struct image *);
	int64_t now;
	unsigned count;
	uint64_t nodes[FOUND_MAX];
	uint64_t last; /* node that the next search goes on after */
};

/* By time that was lived through, not by the calendar, which may be wrong. */
static int is_over(struct cat_txn *txn, const struct image *i, const char *policy, int64_t unit, int64_t now)
{
	uint64_t units;
	int r = policy_number(txn, i->owner, i->shelf.region, policy, &units);
	if (r < 0)
		return r;
	return units < (uint64_t)(INT64_MAX / 2 / unit) && now - MIN(i->aging, now) >= (int64_t)units * unit;
}

static int trash_is_due(struct cat_txn *txn, const struct image *i, int64_t now)
{
	return i->shelf.trash ? is_over(txn, i, "trash-days", 24 * HOUR, now) : 0;
}

static int upload_is_due(struct cat_txn *txn, const struct image *i, int64_t now)
{
	if (i->shelf.trash || i->state != STATE_PENDING || i->kind != KIND_IMAGE || i->is_protected)
		return 0;
	return is_over(txn, i, "pending-hours", HOUR, now);
}

static int note_due(void *ctx, const struct image *i)
{
	struct search *s = ctx;
	int due = s->due(s->txn, i, s->now);
	int busy = due == 1 && s->busy ? s->busy(s, i) : 0;
	if (due < 0 || busy < 0)
		return due < 0 ? due : busy;
	s->last = i->node;
	if (due && !busy)
		s->nodes[s->count++] = i->node;
	return s->count == FOUND_MAX;
}

/* 1: there may be more after s->last. */
static int search(struct gc_work *w, struct search *s, struct error *err)
{
	int r = cat_begin(w->service->catalog, &s->txn, err);
	if (r < 0)
		return r;
	s->count = 0;
	r = lived_now(s->txn, &s->now);
	if (r == 0)
		r = image_each_all(s->txn, s->last, note_due, s);
	cat_end(&s->txn);
	return r < 0 ? fail(err, r, "The list of images cannot be read (%s).", err_name(r)) : r;
}

/* A few rows that are changed together. What the kernels and the disks are to be told is kept for after
 * the commit. */
struct changed {
	struct shelf shelf, old_shelf;
	char name[TRASH_NAME_MAX + 1], old_name[TRASH_NAME_MAX + 1];
	struct seers old_seers;
	struct purged purged; /* disks to be dropped */
};

struct change {
	struct service *service;
	const struct search *search;
	int (*fn)(struct cat_txn *, struct change *, struct image *, struct error *);
	unsigned first, end; /* of search->nodes */
	struct changed done[TOGETHER];
	unsigned n_done;
};

static int change_row(struct cat_txn *txn, struct change *c, uint64_t node, struct error *err)
{
	struct image image;
	int r = image_get(txn, node, &image);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = c->search->due(txn, &image, c->search->now);
	if (r != 1)
		return r;
	struct changed *done = &c->done[c->n_done];
	memset(done, 0, sizeof *done);
	done->old_shelf = done->shelf = image.shelf;
	done->old_seers = seers_on(&image.shelf, &image);
	memcpy(done->old_name, image.name, sizeof done->old_name);
	r = c->fn(txn, c, &image, err);
	if (r == 0)
		c->n_done++;
	return r;
}

static int change_rows(struct cat_txn *txn, void *arg, struct error *err)
{
	struct change *c = arg;
	int r = 0;
	c->n_done = 0;
	for (unsigned i = c->first; i < c->end && r == 0; i++)
		r = change_row(txn, c, c->search->nodes[i], err);
	return r;
}

/* A shelf is seen in its account's own view, and by others under accounts/. */
static void tell_entry(const struct service_events *e, struct seers seers, const struct shelf *shelf, const char *name)
{
	uint64_t own = tree_shelf_node(shelf);
	uint64_t nodes[2] = { own, node_make(NODE_PLACE, (uint64_t)shelf->account << 16 | shelf->region,
					     node_slot(own)) };
	for (unsigned i = 0; i < (shelf->account ? 2 : 1); i++) {
		if (e->entry)
			e->entry(e->ctx, seers, nodes[i], name);
		if (e->inode)
			e->inode(e->ctx, seers, nodes[i], true);
	}
}

static void tell(struct service *s, const struct changed *c)
{
	for (unsigned i = 0; i < c->purged.n; i++)
		disks_drop(s->disks, c->purged.disks[i]);
	tell_entry(&s->events, c->old_seers, &c->old_shelf, c->old_name);
	if (c->name[0])
		tell_entry(&s->events, SEEN_BY(c->shelf.account), &c->shelf, c->name);
}

static int change_found(struct gc_work *w, struct change *c, uint64_t *ret_count, struct error *err)
{
	for (c->first = 0; c->first < c->search->count; c->first = c->end) {
		c->end = MIN(c->search->count, c->first + TOGETHER);
		if (!gc_step_begin(w->gc))
			return -ECANCELED;
		int r = cat_write(w->service->catalog, change_rows, c, err);
		for (unsigned i = 0; r == 0 && i < c->n_done; i++)
			tell(w->service, &c->done[i]);
		gc_step_end(w->gc);
		if (r < 0)
			return r;
		*ret_count += c->n_done;
	}
	return 0;
}

/* ---- the trash */

static int purge(struct cat_txn *txn, struct change *c, struct image *image, struct error *err)
{
	int r = trash_purge_row(txn, image, &c->done[c->n_done].purged);
	return r < 0 ? fail(err, r, "%s cannot be removed from the trash (%s).", image->name, err_name(r)) : 0;
}

int gc_trash(struct gc_work *w, struct error *err)
{
	struct search s = { .service = w->service, .due = trash_is_due };
	AUTO_FREE struct change *c = calloc(1, sizeof *c);
	uint64_t purged = 0;
	int more, r;
	if (!c)
		return fail(err, -ENOMEM, "There is no memory to empty the trash.");
	*c = (struct change){ .service = w->service, .search = &s, .fn = purge };
	do {
		more = search(w, &s, err);
		r = more < 0 ? more : change_found(w, c, &purged, err);
	} while (r == 0 && more);
	w->report->images_purged += purged;
	if (purged)
		gc_say(w, "%llu images were deleted from the trash for good", (unsigned long long)purged);
	return r;
}

/* ---- uploads */

struct use {
	struct disks *disks;
	bool in_use;
};

static int note_use(void *ctx, uint8_t key, const char *value, unsigned len)
{
	struct use *u = ctx;
	if (key >= SET_SCRATCH && key <= SET_SCRATCH_MAX && len >= 8)
		u->in_use |= disks_in_use(u->disks, get_le64(value));
	return 0;
}

static int upload_is_busy(struct search *s, const struct image *image)
{
	struct use use = { s->service->disks, image->disk && disks_in_use(s->service->disks, image->disk) };
	int r = setting_each(s->txn, image->node, note_use, &use);
	return r < 0 ? r : use.in_use;
}

static int move_to_trash(struct cat_txn *txn, struct change *c, struct image *image, struct error *err)
{
	struct changed *done = &c->done[c->n_done];
	int r = trash_put(c->service, txn, image, err);
	done->shelf = image->shelf;
	memcpy(done->name, image->name, sizeof done->name);
	return r;
}

int gc_pending(struct gc_work *w, struct error *err)
{
	struct search s = { .service = w->service, .due = upload_is_due, .busy = upload_is_busy };
	AUTO_FREE struct change *c = calloc(1, sizeof *c);
	uint64_t moved = 0;
	int more, r;
	if (!c)
		return fail(err, -ENOMEM, "There is no memory to look for unfinished uploads.");
	*c = (struct change){ .service = w->service, .search = &s, .fn = move_to_trash };
	do {
		more = search(w, &s, err);
		r = more < 0 ? more : change_found(w, c, &moved, err);
	} while (r == 0 && more);
	if (moved)
		gc_say(w, "%llu unfinished uploads were moved to the trash", (unsigned long long)moved);
	return r;
}
