/* SPDX-License-Identifier: Apache-2.0 */
/* Absorbing what nobody waits for. The caller's thread takes a few chunks, reads them, and puts what came of them into the pack of
 * the batch being filled; between, the store's idle thread hashes and compresses them, in memory that is theirs alone. So
 * the work is done on processors that would be idle, and no lock, batch or file waits for it:
 *
 *    (none), QUEUED ──claim──► TAKEN, no batch ──made──► TAKEN, of a batch ──► ABSORBED
 *                                  │       │
 *                                  │       └─ written to: (none), it is taken again another time
 *                                  └─ a fold in a hurry: QUEUED, and what the idle thread made is thrown away
 *
 * One batch's worth is committed in the background as ever; the fold that follows finds all else in the pack already. */
#include "store/disk_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "store/codec.h"

#define GROUP 4u /* chunks at a time: as many are lost to a fold in a hurry */

struct piece {
	uint64_t chunk, ticket;
	struct hash hash;
	bool wanted;  /* it has to be compressed */
	int length;   /* of the frame: 0 none, < 0 an error */
	uint8_t data[CHUNK_SIZE], frame[FRAME_MAX];
};

struct group {
	struct store *store;
	unsigned count;
	struct piece pieces[GROUP];
};

/* --- in the idle thread --- */

static void hash_all(void *arg)
{
	struct group *g = arg;
	for (unsigned i = 0; i < g->count; i++) {
		struct piece *p = &g->pieces[i];
		p->hash = hash_none;
		p->length = 0;
		if (!is_zero(p->data, CHUNK_SIZE))
			hash_of(p->data, CHUNK_SIZE, &p->hash);
	}
	atomic_fetch_add(&g->store->chunks_hashed_idle, g->count);
}

static void compress_all(void *arg)
{
	struct group *g = arg;
	for (unsigned i = 0; i < g->count; i++) {
		struct piece *p = &g->pieces[i];
		if (p->wanted)
			p->length = codec_pack(g->store->level, p->data, CHUNK_SIZE, p->frame);
	}
}

/* --- taking --- */

/* 1: it is ours; 0: it is absorbed or on its way. */
static int claim(struct disk *d, uint64_t chunk, uint64_t *ret_ticket)
{
	struct absorb *a = &d->absorb;
	WITH_LOCK(&a->lock);
	struct move *m = absorb_find(a, chunk);
	if (m && m->state != MOVE_QUEUED && (m->state == MOVE_TAKEN || !m->dirty || m->batch == a->committing))
		return 0;
	if (m && m->state == MOVE_QUEUED && a->hurry) /* the fold would end without it, and the map lack what it has */
		return 0;
	if (!m)
		m = absorb_add(a, chunk);
	*m = (struct move){ .chunk = chunk, .state = MOVE_TAKEN, .ticket = ++a->tickets };
	*ret_ticket = m->ticket;
	return 1;
}

static void let_go(struct disk *d, const struct piece *p)
{
	struct absorb *a = &d->absorb;
	WITH_LOCK(&a->lock);
	struct move *m = absorb_find(a, p->chunk);
	if (m && move_is_idle(m) && m->ticket == p->ticket)
		absorb_remove(a, m);
}

/* The next chunk from *at on that the overlay has. The disk may rest, and its files be gone or damaged: that is an error. */
static int next_chunk(struct disk *d, uint64_t *at, struct error *err)
{
	WITH_RDLOCK(&d->data_lock);
	int r = disk_wake(d, err);
	if (r == 0)
		*at = overlay_next(d->overlay, *at);
	return r;
}

/* The next chunks from *at on. */
static int gather(struct disk *d, struct group *g, uint64_t *at, struct error *err)
{
	int r = 0;
	g->count = 0;
	while (r == 0 && g->count < GROUP) {
		struct piece *p = &g->pieces[g->count];
		r = next_chunk(d, at, err);
		if (r || *at == UINT64_MAX)
			return r;
		p->chunk = (*at)++;
		if (!claim(d, p->chunk, &p->ticket))
			continue;
		g->count++;
		r = absorb_read(d, p->chunk, p->data, err);
	}
	return r;
}

/* --- bringing back --- */

/* The batch that the piece goes into; NULL: it is ours no more, was written to, or there is trouble. */
static struct batch *join_batch(struct disk *d, const struct piece *p, bool *ret_written)
{
	struct absorb *a = &d->absorb;
	WITH_LOCK(&a->lock);
	for (;;) {
		struct move *m = absorb_find(a, p->chunk);
		if (!m || !move_is_idle(m) || m->ticket != p->ticket)
			return NULL;
		if (m->dirty || a->resting) { /* the fold tells of the trouble */
			*ret_written |= m->dirty;
			absorb_remove(a, m);
			return NULL;
		}
		struct batch *b = batch_filling(a);
		if (!b->full && !b->broken) {
			m->batch = b;
			b->users++;
			batch_take(b, p->chunk);
			return b;
		}
		batch_start_commit(d); /* if there is no thread to be had, that is trouble, which nobody else tells us of */
		if (a->filling == b && !a->resting)
			pthread_cond_wait(&a->moved, &a->lock);
	}
}

/* Under absorb.lock. */
static void note_piece(struct absorb *a, struct batch *b, const struct piece *p, int result)
{
	struct move *m = absorb_find(a, p->chunk);
	if (m && (m->state != MOVE_TAKEN || m->ticket != p->ticket))
		m = NULL; /* it left the overlay meanwhile */
	if (m && result == 0) {
		m->state = MOVE_ABSORBED;
		m->hash = p->hash;
		atomic_fetch_add(&a->done, 1);
	} else if (m && result == ERR_FULL) {
		m->batch = NULL;
	} else if (m) {
		absorb_remove(a, m);
	}
	b->full |= result == ERR_FULL;
	b->broken |= result && result != ERR_FULL;
}

static void leave_batch(struct disk *d, struct batch *b, const struct piece *p, int result)
{
	struct absorb *a = &d->absorb;
	struct batch *broken;
	{
		WITH_LOCK(&a->lock);
		note_piece(a, b, p, result);
		b->users--;
		broken = batch_take_broken(a);
		batch_start_commit(d);
		pthread_cond_broadcast(&a->moved);
	}
	batch_free(broken);
}

static int add_to_pack(struct disk *d, struct batch *b, const struct piece *p, struct error *err)
{
	if (p->length == 0)
		return 0;
	int r = batch_writer(d, b, err);
	return r ? r : pack_add(b->writer, &p->hash, OBJECT_CHUNK, p->frame, (size_t)p->length, err);
}

static int bring_back(struct disk *d, const struct piece *p, bool *ret_written, struct error *err)
{
	struct batch *b;
	int r = ERR_FULL;
	if (p->length < 0) {
		let_go(d, p);
		return fail(err, p->length, "cannot compress: %s", strerror(-p->length));
	}
	while (r == ERR_FULL && (b = join_batch(d, p, ret_written))) {
		r = add_to_pack(d, b, p, err);
		leave_batch(d, b, p, r);
	}
	return r == ERR_FULL ? 0 : r;
}

static bool is_stored(struct disk *d, const struct piece *p)
{
	return store_has_bytes(d->store, d->careful, d->domain, OBJECT_CHUNK, &p->hash, p->data);
}

static int absorb_group(struct disk *d, struct group *g, bool *ret_written, struct error *err)
{
	int r = 0;
	store_idle(d->store, hash_all, g);
	for (unsigned i = 0; i < g->count; i++) {
		struct piece *p = &g->pieces[i];
		p->wanted = !hash_is_none(&p->hash) && !is_stored(d, p);
	}
	store_idle(d->store, compress_all, g);
	for (unsigned i = 0; i < g->count; i++) {
		if (r == 0)
			r = bring_back(d, &g->pieces[i], ret_written, err);
		else
			let_go(d, &g->pieces[i]);
	}
	return r;
}

int disk_absorb_idle(struct disk *d, bool (*stop)(void *ctx), void *ctx, struct error *err)
{
	struct group *g = calloc(1, sizeof *g);
	bool written = false;
	uint64_t at = 0;
	int r = 0;
	if (!g)
		abort();
	g->store = d->store;
	do {
		r = stop && stop(ctx) ? -ECANCELED : gather(d, g, &at, err);
		if (r == 0)
			r = absorb_group(d, g, &written, err);
		else if (r != -ECANCELED)
			for (unsigned i = 0; i < g->count; i++)
				let_go(d, &g->pieces[i]);
	} while (r == 0 && g->count == GROUP);
	free(g);
	disk_noted(d);
	if (r && r != -ECANCELED && err)
		absorb_say(d, err);
	return r ? r : written ? -EBUSY : 0;
}
