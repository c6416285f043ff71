/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: the chunks that are committed together, and their pack. When the pack is full, or has enough, the batch is committed
 * by a thread of its own while the next one is filled. At most one is being filled and one committed. */
#include "store/disk_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

int batch_writer(struct disk *d, struct batch *b, struct error *err)
{
	struct pack_writer *writer;
	{
		WITH_LOCK(&d->absorb.lock);
		if (b->writer) {
			pack_set_careful(b->writer, d->careful);
			return 0;
		}
	}
	int r = pack_begin(&writer, d->store->backend, &d->store->next_pack, err);
	if (r)
		return r;
	WITH_LOCK(&d->absorb.lock);
	pack_set_careful(writer, d->careful);
	if (b->writer) /* another thread was faster */
		pack_free(writer);
	else
		b->writer = writer;
	return 0;
}

/* Under absorb.lock. */
static void note_trouble(struct absorb *a, const struct error *err)
{
	if (!a->resting)
		a->trouble = *err;
	a->resting = true;
	a->passed = 0;
	a->setbacks.failed++;
	a->setbacks.code = err->code;
	struct move *m;
	while ((m = absorb_dequeue(a)))
		absorb_remove(a, m);
	pthread_cond_broadcast(&a->moved);
}

void absorb_fail(struct disk *d, const struct error *err)
{
	WITH_LOCK(&d->absorb.lock);
	note_trouble(&d->absorb, err);
}

struct batch *batch_filling(struct absorb *a)
{
	if (!a->filling && !(a->filling = calloc(1, sizeof *a->filling)))
		abort();
	return a->filling;
}

void batch_take(struct batch *b, uint64_t chunk)
{
	uint64_t leaf = chunk / NODE_FANOUT, *seen = &b->leaf_seen[leaf % LEAVES_SEEN];
	b->leaves += *seen != leaf + 1;
	*seen = leaf + 1;
	b->taken++;
	b->full |= b->taken >= BATCH_CHUNKS || b->leaves >= BATCH_LEAVES;
}

static void forget_batch(struct absorb *a, const struct batch *b)
{
	for (size_t i = 0; i < a->room;) {
		struct move *m = &a->table[i];
		if (m->state == MOVE_ABSORBED && m->batch == b)
			absorb_remove(a, m); /* another one may move here */
		else
			i++;
	}
}

/* What it has absorbed is in the overlay still. Whoever counted on it is told. */
struct batch *batch_take_broken(struct absorb *a)
{
	struct batch *b = a->filling;
	if (!b || !b->broken || b->users)
		return NULL;
	forget_batch(a, b);
	a->setbacks.failed++;
	a->filling = NULL;
	return b;
}

void batch_free(struct batch *b)
{
	if (b)
		pack_free(b->writer);
	free(b);
}

/* A fold that has counted on what is forgotten here is told of the trouble, if that is why: both come at once, for what was told
 * before it began is no news to it. */
static void turn(struct disk *d, struct batch *b, int result, const struct error *trouble)
{
	struct absorb *a = &d->absorb;
	{
		WITH_LOCK(&a->lock);
		forget_batch(a, b);
		if (result == 0 && !a->resting)
			a->trouble.code = 0;
		if (trouble)
			note_trouble(a, trouble);
		a->setbacks.stale += result == ERR_STALE;
		a->committing = NULL;
		batch_start_commit(d);
		pthread_cond_broadcast(&a->moved);
	}
	batch_free(b);
}

void absorb_turned(struct disk *d, struct batch *b, int result, const struct error *err)
{
	turn(d, b, result, NULL);
	if (err)
		absorb_say(d, err);
}

void absorb_say(struct disk *d, const struct error *err)
{
	WITH_LOCK(&d->absorb.lock);
	if (!d->absorb.resting)
		d->absorb.trouble = *err;
}

static void *commit_thread(void *arg)
{
	struct disk *d = arg;
	struct absorb *a = &d->absorb;
	struct error err;
	struct batch *b;
	{
		WITH_LOCK(&a->lock);
		b = a->committing;
		while (b->users)
			pthread_cond_wait(&a->moved, &a->lock);
	}
	int r = commit_batch(d, &(struct commit){ .batch = b }, &err);
	turn(d, b, r, r && r != ERR_STALE ? &err : NULL);
	absorb_push(d);
	WITH_LOCK(&a->lock);
	a->takers--;
	pthread_cond_broadcast(&a->moved);
	return NULL;
}

void batch_start_commit(struct disk *d)
{
	struct absorb *a = &d->absorb;
	pthread_t thread;
	if (!a->filling || !a->filling->full || a->committing || a->closing || a->resting)
		return;
	int r = pthread_create(&thread, NULL, commit_thread, d);
	if (r) { /* the next fold commits it */
		fail(&a->trouble, -r, "cannot start a thread that commits disk %" PRIu64 ": %s", d->number,
		     strerror(r));
		a->resting = true;
		a->passed = 0;
		return;
	}
	pthread_detach(thread);
	a->takers++;
	a->committing = steal(&a->filling);
}

struct batch *absorb_turn(struct disk *d)
{
	struct absorb *a = &d->absorb;
	WITH_LOCK(&a->lock);
	while (a->committing)
		pthread_cond_wait(&a->moved, &a->lock);
	struct batch *b = a->committing = batch_filling(a);
	a->filling = NULL;
	while (b->users)
		pthread_cond_wait(&a->moved, &a->lock);
	return b;
}

static int compare_changes(const void *a, const void *b)
{
	uint64_t x = ((const struct map_change *)a)->chunk, y = ((const struct map_change *)b)->chunk;
	return x < y ? -1 : x > y;
}

struct map_change *absorb_changes(struct disk *d, const struct batch *b, size_t *ret_count)
{
	struct absorb *a = &d->absorb;
	WITH_LOCK(&a->lock);
	struct map_change *changes = calloc(a->used + 1, sizeof *changes);
	size_t n = 0;
	if (!changes)
		abort();
	for (size_t i = 0; i < a->room; i++)
		if (a->table[i].state == MOVE_ABSORBED && a->table[i].batch == b)
			changes[n++] = (struct map_change){ a->table[i].chunk, { a->table[i].hash, d->domain } };
	qsort(changes, n, sizeof *changes, compare_changes);
	*ret_count = n;
	return changes;
}
