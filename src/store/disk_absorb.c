/* SPDX-License-Identifier: Apache-2.0 */
/* Absorbing in the background. Jobs on the store's workers ("takers") take a few chunks at a time from the
 * queue, hash and compress them into the pack of the batch being filled (disk_batch.c), and note their hashes. If the batch
 * is full while the one before is still being committed, they stop until that has ended.
 *
 * What goes wrong in the background is kept until a fold tells of it or a commit succeeds. For a while nothing is absorbed then: the
 * overlay has all the bytes, and the next fold finds them there. A server that writes on and on is not folded, so it
 * is tried again after so many chunks. A sync does not depend on any of this. */
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
#define REST 512u      /* chunks (32 MiB) that become full before it is tried again */

void absorb_init(struct absorb *a)
{
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->moved, NULL);
}

/* --- one chunk --- */

int absorb_read(struct disk *d, uint64_t chunk, void *buf, struct error *err)
{
	struct object below;
	WITH_RDLOCK(&d->data_lock);
	int r = disk_wake(d, err);
	if (r)
		return r;
	uint16_t bits = overlay_bits(d->overlay, chunk);
	if (bits == UINT16_MAX)
		return overlay_read(d->overlay, buf, CHUNK_SIZE, chunk * CHUNK_SIZE, err);
	r = below_find(d, chunk, 1, &below, err);
	return r ? r : merged_read(d, chunk, bits, &below, buf, 0, CHUNK_SIZE, err);
}

static int absorb_chunk(struct disk *d, struct batch *b, uint64_t chunk, struct hash *ret, struct error *err)
{
	uint8_t buf[CHUNK_SIZE];
	int r = absorb_read(d, chunk, buf, err);
	if (r)
		return r;
	if (is_zero(buf, sizeof buf)) {
		*ret = hash_none;
		return 0;
	}
	hash_of(buf, sizeof buf, ret);
	atomic_fetch_add(&d->store->chunks_hashed, 1);
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
	return !a->closing && !a->resting && !(a->filling && (a->filling->full || a->filling->broken)) && a->popped < a->pushed;
}

static struct batch *take(struct disk *d, struct taken *ret, unsigned *ret_count)
{
	struct absorb *a = &d->absorb;
	struct move *m;
	unsigned n = 0;
	WITH_LOCK(&a->lock);
	if (!may_take(a))
		return NULL;
	struct batch *b = batch_filling(a);
	while (n < TAKE_MOST && (m = absorb_dequeue(a))) {
		m->state = MOVE_TAKEN;
		m->dirty = false;
		m->batch = b;
		m->ticket = ++a->tickets;
		ret[n++] = (struct taken){ .chunk = m->chunk, .ticket = m->ticket };
		batch_take(b, m->chunk);
	}
	a->in_hand += n;
	b->users++;
	*ret_count = n;
	return b;
}

static void put_down_all(struct disk *d, struct batch *b, const struct taken *t, unsigned count)
{
	struct absorb *a = &d->absorb;
	struct batch *broken;
	{
		WITH_LOCK(&a->lock);
		for (unsigned i = 0; i < count; i++) {
			b->broken |= t[i].result && t[i].result != ERR_FULL;
			put_down(a, b, &t[i]);
		}
		b->users--;
		broken = batch_take_broken(a);
		batch_start_commit(d);
		pthread_cond_broadcast(&a->moved);
	}
	batch_free(broken);
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
	int r = a->resting ? a->trouble.code : 0;
	if (r && err)
		*err = a->trouble;
	a->resting = false;
	batch_start_commit(d); /* that may have had to wait for this */
	pthread_cond_broadcast(&a->moved);
	return r;
}

int disk_trouble(struct disk *d, struct error *err)
{
	int r = overlay_broken(d->overlay, err);
	if (r)
		return r;
	WITH_LOCK(&d->absorb.lock);
	if (d->absorb.trouble.code && err)
		*err = d->absorb.trouble;
	return d->absorb.trouble.code;
}

struct absorb_setbacks absorb_setbacks(struct disk *d)
{
	WITH_LOCK(&d->absorb.lock);
	return d->absorb.setbacks;
}

static bool too_much(const struct absorb *a)
{
	return a->pushed - a->popped + a->in_hand > WAITING_MAX && !a->resting;
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

/* Another chunk is full. Under absorb.lock. */
static bool still_resting(struct disk *d)
{
	struct absorb *a = &d->absorb;
	if (a->resting && ++a->passed < REST)
		return true;
	if (a->resting) {
		a->resting = false;
		batch_start_commit(d);
		pthread_cond_broadcast(&a->moved);
	}
	return false;
}

/* Under absorb.lock. */
static void written(struct disk *d, uint64_t chunk)
{
	struct absorb *a = &d->absorb;
	struct move *m = absorb_find(a, chunk);
	if (m) {
		m->dirty = m->state != MOVE_QUEUED;
	} else if (overlay_bits(d->overlay, chunk) == UINT16_MAX && !still_resting(d)) {
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
	/* What was written to while it was on its way must get there first, to be taken once more. Nobody waits for the idle
	 * thread: what it has is taken from it. */
	while ((m = absorb_find(a, chunk)) && m->dirty && !move_is_idle(m) &&
	       (m->state == MOVE_TAKEN || m->batch == a->committing))
		pthread_cond_wait(&a->moved, &a->lock);
	if (a->resting || (m && !m->dirty && !move_is_idle(m)))
		return;
	if (m)
		*m = (struct move){ .chunk = chunk, .state = MOVE_QUEUED };
	else
		absorb_add(a, chunk);
	absorb_enqueue(a, chunk);
}

void absorb_hurry(struct disk *d, bool on)
{
	WITH_LOCK(&d->absorb.lock);
	d->absorb.hurry = on;
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
		if (a->popped >= upto || a->resting)
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
	batch_free(a->filling);
	free(a->table);
	free(a->queue);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->moved);
}
