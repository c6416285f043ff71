/* SPDX-License-Identifier: Apache-2.0 */
/* Folding everything. All that the overlay holds at the start is queued, in order of place, unless it has been
 * absorbed as it is; then the batch that has the last of it is committed as the final one. Packs that fill up
 * on the way are committed in the background. Objects that were counted on and are gone (ERR_STALE) make
 * the whole begin again: the overlay still has what was not committed. From the second time on nothing may go away. */
#include "store/disk_int.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define TRIES 10

static uint64_t next_chunk(struct disk *d, uint64_t chunk)
{
	WITH_RDLOCK(&d->data_lock);
	return overlay_next(d->overlay, chunk);
}

static void queue_all(struct disk *d)
{
	for (uint64_t c = next_chunk(d, 0); c != UINT64_MAX; c = next_chunk(d, c + 1))
		absorb_queue(d, c);
}

static int commit_turned(struct disk *d, struct batch *b, bool final, void *caller, struct error *err)
{
	struct commit c = { .batch = b, .splices = true, .final = final, .caller = caller };
	struct error why = { .code = 0 };
	int r = commit_batch(d, &c, &why);
	absorb_turned(d, b, r, why.code && r != ERR_STALE ? &why : NULL);
	if (r && err)
		*err = why;
	return r;
}

/* Commit what has been absorbed: the last batch, unless chunks of ours came back from the one before, or more was copied than
 * one commit takes. */
static int commit_next(struct disk *d, const struct absorb_setbacks *start, unsigned returned, void *caller,
		       bool *ret_final, struct error *err)
{
	struct batch *b = absorb_turn(d);
	struct absorb_setbacks now = absorb_setbacks(d);
	int r = absorb_trouble(d, err);
	if (r == 0 && now.failed != start->failed)
		r = fail(err, now.code, "not all that was written to disk %" PRIu64 " could be stored: another program "
			 "that closed it was told why", d->number);
	if (r == 0 && now.stale != start->stale)
		r = fail(err, ERR_STALE, "objects that disk %" PRIu64 " counted on went away", d->number);
	if (r) {
		absorb_turned(d, b, r, NULL);
		return r;
	}
	bool last = now.returned == returned;
	r = commit_turned(d, b, last, caller, err);
	*ret_final = last && atomic_load(&d->n_splices) == 0;
	return r;
}

/* Once; ERR_STALE: again. */
static int fold_once(struct disk *d, void *caller, struct error *err)
{
	struct absorb_setbacks start = absorb_setbacks(d);
	int r = splices_edges(d, err);
	if (r)
		return r;
	absorb_hurry(d, true);
	queue_all(d);
	bool final = false;
	for (unsigned returned = start.returned; r == 0 && !final; returned = absorb_setbacks(d).returned) {
		absorb_drain(d);
		r = commit_next(d, &start, returned, caller, &final, err);
	}
	absorb_hurry(d, false);
	return r;
}

/* TRIES: what was counted on before everything was kept may still turn out to be gone. */
static int until_not_stale(struct disk *d, int (*once)(struct disk *, void *caller, struct error *), void *caller,
			   struct error *err)
{
	int r = once(d, caller, err);
	if (r != ERR_STALE)
		return r;
	if (d->hooks.keep)
		d->hooks.keep(d->hooks.ctx, true);
	for (int i = 1; r == ERR_STALE && i < TRIES; i++)
		r = once(d, caller, err);
	if (d->hooks.keep)
		d->hooks.keep(d->hooks.ctx, false);
	return r;
}

static void forget_held(struct disk *d)
{
	free(steal(&d->held));
	d->n_held = 0;
}

static int fold_now(struct disk *d, void *caller, struct error *err)
{
	WITH_LOCK(&d->fold_lock);
	int r = absorb_trouble(d, err);
	if (r == 0)
		r = disk_wake(d, err);
	if (r)
		return r;
	r = until_not_stale(d, fold_once, caller, err);
	if (r == 0)
		forget_held(d);
	return r;
}

int disk_fold(struct disk *d, void *caller, struct error *err)
{
	int r = fold_now(d, caller, err);
	disk_noted(d);
	return r;
}

static int commit_splices(struct disk *d, void *caller, struct error *err)
{
	return commit_turned(d, absorb_turn(d), false, caller, err);
}

int settle_splices_locked(struct disk *d, struct error *err)
{
	if (atomic_load(&d->n_splices) == 0)
		return 0;
	int r = disk_wake(d, err);
	if (r == 0)
		r = splices_edges(d, err);
	while (r == 0 && atomic_load(&d->n_splices))
		r = until_not_stale(d, commit_splices, NULL, err);
	return r;
}

int settle_splices(struct disk *d, struct error *err)
{
	if (atomic_load(&d->n_splices) == 0)
		return 0;
	WITH_LOCK(&d->fold_lock);
	return settle_splices_locked(d, err);
}
