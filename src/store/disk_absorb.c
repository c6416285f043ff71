/* SPDX-License-Identifier: Apache-2.0 */
/* Absorbing in the background. Jobs on the store's workers ("takers") take a few chunks at a time from the
 * queue, hash and compress them into the pack of the batch being filled, and note their hashes. When that
 * pack is full, or has enough, the batch is committed by a thread of its own while the takers fill the next
 * one; if the next one is full too before that has ended, they stop until it has.
 *
 * What goes wrong in the background is kept until absorb_trouble() tells somebody. Until then nothing is
 * absorbed: the overlay has all the bytes, and the next fold finds them there. */
#include "store/disk_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"

#define TAKE_MOST 8u   /* chunks a taker takes at a time */
#define TAKERS_MOST 8u
#define TAKES_MOST 4u  /* before other disks' jobs get their turn */
#define PUSH_MIN 4u    /* queued chunks that are worth waking a thread */

void absorb_init(struct absorb *a)
{
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->moved, NULL);
}

/* --- batches --- */

int batch_writer(struct disk *d, struct batch *b, struct error *err)
{
	struct pack_writer *writer;
	{
		WITH_LOCK(&d->absorb.lock);
		if (b->writer)
			return 0;
	}
	int r = pack_begin(&writer, d->store->backend, &d->store->next_pack, err);
	if (r)
		return r;
	WITH_LOCK(&d->absorb.lock);
	if (b->writer) /* another thread was faster */
		pack_free(writer);
	else
		b->writer = writer;
	return 0;
}

static void absorb_fail(struct disk *d, const struct error *err)
{
	struct absorb *a = &d->absorb;
	WITH_LOCK(&a->lock);
	if (!a->trouble.code)
		a->trouble = *err;
	a->setbacks.failed++;
	a->setbacks.code = err->code;
	struct move *m;
	while ((m = absorb_dequeue(a)))
		absorb_remove(a, m);
	pthread_cond_broadcast(&a->moved);
}

static struct batch *filling(struct absorb *a)
{
	if (!a->filling && !(a->filling = calloc(1, sizeof *a->filling)))
		abort();
	return a->filling;
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

static void free_batch(struct batch *b)
{
	if (b)
		pack_free(b->writer);
	free(b);
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
	if (r && r != ERR_STALE)
		absorb_fail(d, &err);
	absorb_turned(d, b, r);
	absorb_push(d);
	WITH_LOCK(&a->lock);
	a->takers--;
	pthread_cond_broadcast(&a->moved);
	return NULL;
}

/* Commit the full batch, if it is the time. Under absorb.lock. */
static void start_commit(struct disk *d)
{
	struct absorb *a = &d->absorb;
	pthread_t thread;
	if (!a->filling || !a->filling->full || a->committing || a->closing || a->trouble.code)
		return;
	int r = pthread_create(&thread, NULL, commit_thread, d);
	if (r) { /* the next fold commits it */
		fail(&a->trouble, -r, "cannot start a thread that commits disk %" PRIu64 ": %s", d->number,
		     strerror(r));
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
	struct batch *b = a->committing = filling(a);
	a->filling = NULL;
	while (b->users)
		pthread_cond_wait(&a->moved, &a->lock);
	return b;
}

void absorb_turned(struct disk *d, struct batch *b, int result)
{
	struct absorb *a = &d->absorb;
	{
		WITH_LOCK(&a->lock);
		forget_batch(a, b);
		a->setbacks.stale += result == ERR_STALE;
		a->committing = NULL;
		start_commit(d);
		pthread_cond_broadcast(&a->moved);
	}
	free_batch(b);
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
			changes[n++] = (struct map_change){ a->table[i].chunk, a->table[i].hash };
	qsort(changes, n, sizeof *changes, compare_changes);
	*ret_count = n;
	return changes;
}

/* --- one chunk --- */

/* The bytes that the chunk has now. */
static int read_merged(struct disk *d, uint64_t chunk, void *buf, struct error *err)
{
	struct hash below;
	WITH_RDLOCK(&d->data_lock);
	uint16_t bits = overlay_bits(d->overlay, chunk);
	if (bits == UINT16_MAX)
		return overlay_read(d->overlay, buf, CHUNK_SIZE, chunk * CHUNK_SIZE, err);
	int r = below_find(d, chunk, 1, &below, err);
	return r ? r : merged_read(d, chunk, bits, &below, buf, 0, CHUNK_SIZE, err);
}

static int absorb_chunk(struct disk *d, struct batch *b, uint64_t chunk, struct hash *ret, struct error *err)
{
	uint8_t buf[CHUNK_SIZE];
	int r = read_merged(d, chunk, buf, err);
	if (r)
		return r;
	if (is_zero(buf, sizeof buf)) {
		*ret = hash_none;
		return 0;
	}
	hash_of(buf, sizeof buf, ret);
	r = batch_writer(d, b, err);
	return r ? r : store_make(d->store, b->writer, d->domain, OBJECT_CHUNK, ret, buf, err);
}

struct taken {
	uint64_t chunk, ticket;
	struct hash hash;
	int result;
};

/* What came of it. Under absorb.lock. */
static void put_down(struct absorb *a, struct batch *b, const struct taken *t)
{
	struct move *m = absorb_find(a, t->chunk);
	a->in_hand--;
	if (!m || m->state != MOVE_TAKEN || m->ticket != t->ticket)
		return; /* it left the overlay meanwhile */
	if (t->result == 0) {
		m->state = MOVE_ABSORBED;
		m->hash = t->hash;
		atomic_fetch_add(&a->done, 1);
	} else if (t->result == ERR_FULL) {
		*m = (struct move){ .chunk = t->chunk, .state = MOVE_QUEUED };
		absorb_enqueue(a, t->chunk);
		a->setbacks.returned++;
		b->full = true;
	} else {
		absorb_remove(a, m);
	}
}

/* --- takers --- */

static bool may_take(const struct absorb *a)
{
	return !a->closing && !a->trouble.code && !(a->filling && a->filling->full) && a->popped < a->pushed;
}

static struct batch *take(struct disk *d, struct taken *ret, unsigned *ret_count)
{
	struct absorb *a = &d->absorb;
	struct move *m;
	unsigned n = 0;
	WITH_LOCK(&a->lock);
	if (!may_take(a))
		return NULL;
	struct batch *b = filling(a);
	while (n < TAKE_MOST && (m = absorb_dequeue(a))) {
		m->state = MOVE_TAKEN;
		m->dirty = false;
		m->batch = b;
		m->ticket = ++a->tickets;
		ret[n++] = (struct taken){ .chunk = m->chunk, .ticket = m->ticket };
	}
	a->in_hand += n;
	b->taken += n;
	b->users++;
	b->full |= b->taken >= BATCH_CHUNKS;
	*ret_count = n;
	return b;
}

static void put_down_all(struct disk *d, struct batch *b, const struct taken *t, unsigned count)
{
	struct absorb *a = &d->absorb;
	WITH_LOCK(&a->lock);
	for (unsigned i = 0; i < count; i++)
		put_down(a, b, &t[i]);
	b->users--;
	start_commit(d);
	pthread_cond_broadcast(&a->moved);
}

/* false: nothing could be taken. */
static bool absorb_some(struct disk *d)
{
	struct taken taken[TAKE_MOST];
	struct error err;
	unsigned count;
	struct batch *b = take(d, taken, &count);
	if (!b)
		return false;
	for (unsigned i = 0; i < count; i++) {
		taken[i].result = absorb_chunk(d, b, taken[i].chunk, &taken[i].hash, &err);
		if (taken[i].result && taken[i].result != ERR_FULL)
			absorb_fail(d, &err);
	}
	put_down_all(d, b, taken, count);
	return true;
}

static void taker(void *arg)
{
	struct disk *d = arg;
	bool more = true;
	do {
		for (unsigned i = 0; more && i < TAKES_MOST; i++)
			more = absorb_some(d);
		if (more && workers_try(d->store->workers, taker, d))
			return;
	} while (more);
	WITH_LOCK(&d->absorb.lock);
	d->absorb.takers--;
	pthread_cond_broadcast(&d->absorb.moved);
}

static bool want_taker(struct absorb *a, unsigned least)
{
	WITH_LOCK(&a->lock);
	uint64_t queued = a->pushed - a->popped;
	if (!may_take(a) || queued < least || a->takers >= MIN((uint64_t)TAKERS_MOST, div_up(queued, TAKE_MOST)))
		return false;
	a->takers++;
	return true;
}

void absorb_push(struct disk *d)
{
	while (want_taker(&d->absorb, PUSH_MIN))
		workers_add(d->store->workers, taker, d);
}

/* --- the other side: writers and folds --- */

int absorb_trouble(struct disk *d, struct error *err)
{
	struct absorb *a = &d->absorb;
	WITH_LOCK(&a->lock);
	int r = a->trouble.code;
	if (r && err)
		*err = a->trouble;
	a->trouble.code = 0;
	start_commit(d); /* that may have had to wait for this */
	pthread_cond_broadcast(&a->moved);
	return r;
}

struct absorb_setbacks absorb_setbacks(struct disk *d)
{
	WITH_LOCK(&d->absorb.lock);
	return d->absorb.setbacks;
}

static bool too_much(const struct absorb *a)
{
	return a->pushed - a->popped + a->in_hand > WAITING_MAX && !a->trouble.code;
}

void absorb_room(struct disk *d)
{
	struct absorb *a = &d->absorb;
	for (;;) {
		absorb_push(d);
		WITH_LOCK(&a->lock);
		if (!too_much(a))
			return;
		pthread_cond_wait(&a->moved, &a->lock);
	}
}

/* Under absorb.lock. */
static void written(struct disk *d, uint64_t chunk)
{
	struct absorb *a = &d->absorb;
	struct move *m = absorb_find(a, chunk);
	if (m) {
		m->dirty = m->state != MOVE_QUEUED;
	} else if (!a->trouble.code && overlay_bits(d->overlay, chunk) == UINT16_MAX) {
		absorb_add(a, chunk);
		absorb_enqueue(a, chunk);
	}
}

void absorb_written(struct disk *d, uint64_t first, uint64_t end)
{
	struct absorb *a = &d->absorb;
	if (end - first == 1 && atomic_load(&a->moves) == 0 && overlay_bits(d->overlay, first) != UINT16_MAX)
		return;
	WITH_LOCK(&a->lock);
	for (; first < end; first++)
		written(d, first);
}

void absorb_queue(struct disk *d, uint64_t chunk)
{
	struct absorb *a = &d->absorb;
	struct move *m;
	absorb_room(d);
	WITH_LOCK(&a->lock);
	/* What was written to while it was on its way must get there first, to be taken once more. */
	while ((m = absorb_find(a, chunk)) && m->dirty && (m->state == MOVE_TAKEN || m->batch == a->committing))
		pthread_cond_wait(&a->moved, &a->lock);
	if (a->trouble.code || (m && !m->dirty))
		return;
	if (m)
		*m = (struct move){ .chunk = chunk, .state = MOVE_QUEUED };
	else
		absorb_add(a, chunk);
	absorb_enqueue(a, chunk);
}

void absorb_drain(struct disk *d)
{
	struct absorb *a = &d->absorb;
	uint64_t upto;
	{
		WITH_LOCK(&a->lock);
		upto = a->pushed;
	}
	for (;;) {
		while (want_taker(a, 1))
			workers_add(d->store->workers, taker, d);
		WITH_LOCK(&a->lock);
		if (a->popped >= upto || a->trouble.code)
			return;
		if (!may_take(a) || a->takers)
			pthread_cond_wait(&a->moved, &a->lock);
	}
}

void absorb_forget(struct disk *d, uint64_t first, uint64_t end)
{
	struct absorb *a = &d->absorb;
	WITH_LOCK(&a->lock);
	for (size_t i = 0; i < a->room;) {
		struct move *m = &a->table[i];
		if (m->state != MOVE_FREE && m->chunk >= first && m->chunk < end)
			absorb_remove(a, m);
		else
			i++;
	}
	pthread_cond_broadcast(&a->moved);
}

void absorb_end(struct disk *d)
{
	struct absorb *a = &d->absorb;
	{
		WITH_LOCK(&a->lock);
		a->closing = true;
		while (a->takers)
			pthread_cond_wait(&a->moved, &a->lock);
	}
	free_batch(a->filling);
	free(a->table);
	free(a->queue);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->moved);
}
