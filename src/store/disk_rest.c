/* SPDX-License-Identifier: Apache-2.0 */
/* Which overlays have their files open. Disks with open ones stand in a ring; when there are too many, a hand goes round it
 * and puts to rest whoever was not used since it last came by, in a thread of its own. Whoever uses one that rests opens its files
 * again. A disk whose chunks wait in a half full pack has that committed first: the pack is a file, too.
 *
 * Only a disk that nobody is in is put to rest: under fold_lock and data_lock for writing, which are tried, never waited for, and with
 * no chunk on its way. So whoever has one of these finds the files open if they were woken under it. */
#include "store/disk_int.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/num.h"

#define OPEN_MOST 1024u /* overlays, by default */
#define FILES_EACH 8u   /* of the process's descriptors, an eighth is for one each */

struct ring {
	pthread_mutex_t lock; /* guards all below, and the ring's fields in the disks */
	pthread_cond_t put;   /* a disk is put to rest, or was not */
	struct disk *hand;
	unsigned count, most;
	bool asked;           /* the thread is to run */
	struct workers *thread;
};

static unsigned room_for_files(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur / FILES_EACH > OPEN_MOST)
		return OPEN_MOST;
	return (unsigned)files.rlim_cur / FILES_EACH + 1;
}

struct ring *ring_new(unsigned most)
{
	struct ring *g = calloc(1, sizeof *g);
	if (!g)
		abort();
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->put, NULL);
	g->most = most ? most : room_for_files();
	g->thread = workers_new("rest", 1, 1);
	return g;
}

void ring_free(struct ring *g)
{
	workers_free(g->thread);
	pthread_mutex_destroy(&g->lock);
	pthread_cond_destroy(&g->put);
	free(g);
}

/* --- under the ring's lock --- */

static void join(struct ring *g, struct disk *d)
{
	if (g->hand) { /* where the hand comes last */
		d->next = g->hand;
		d->prev = g->hand->prev;
		d->prev->next = d->next->prev = d;
	} else {
		g->hand = d->next = d->prev = d;
	}
	g->count++;
	atomic_store(&d->in_ring, true);
}

static void leave(struct ring *g, struct disk *d)
{
	if (g->hand == d)
		g->hand = d->next == d ? NULL : d->next;
	d->prev->next = d->next;
	d->next->prev = d->prev;
	g->count--;
	atomic_store(&d->in_ring, false);
}

/* The next one that nobody used for a round; NULL: everybody is used. */
static struct disk *take_unused(struct ring *g)
{
	for (unsigned i = 0; i < 2 * g->count; i++) {
		struct disk *d = g->hand;
		if (!atomic_exchange(&d->used, false)) {
			leave(g, d);
			d->going = true;
			return d;
		}
		g->hand = d->next;
	}
	return NULL;
}

/* --- putting to rest --- */

/* Nothing of it on its way? What waits in a pack that is not full is sent on, what nobody has taken yet is left to the next fold. */
static bool is_still(struct disk *d)
{
	struct absorb *a = &d->absorb;
	struct move *m;
	WITH_LOCK(&a->lock);
	if (a->in_hand || a->takers || a->committing || a->hurry)
		return false;
	if (a->filling && a->filling->taken) {
		a->filling->full = true;
		batch_start_commit(d);
		return false;
	}
	while ((m = absorb_dequeue(a)))
		absorb_remove(a, m);
	return a->used == 0;
}

static int rest_alone(struct disk *d, struct error *err)
{
	if (pthread_rwlock_trywrlock(&d->data_lock))
		return -EBUSY;
	int r = is_still(d) ? overlay_rest(d->overlay, err) : -EBUSY;
	pthread_rwlock_unlock(&d->data_lock);
	return r;
}

int disk_rest(struct disk *d, struct error *err)
{
	int r = is_still(d) && atomic_load(&d->n_splices) == 0 ? 0 : -EBUSY;
	if (r == 0)
		r = overlay_sync(d->overlay, err); /* most of it while nobody has to wait */
	if (r || pthread_mutex_trylock(&d->fold_lock))
		return r ? r : -EBUSY;
	r = atomic_load(&d->n_splices) == 0 ? rest_alone(d, err) : -EBUSY;
	pthread_mutex_unlock(&d->fold_lock);
	return r;
}

/* One of them; false: there was none that could. */
static bool rest_one(struct ring *g)
{
	struct disk *d;
	{
		WITH_LOCK(&g->lock);
		d = take_unused(g);
	}
	if (!d)
		return false;
	int r = disk_rest(d, NULL);
	WITH_LOCK(&g->lock);
	d->going = false;
	if (r && overlay_is_open(d->overlay) && !atomic_load(&d->in_ring))
		join(g, d);
	pthread_cond_broadcast(&g->put);
	return true;
}

static unsigned too_many(struct ring *g)
{
	WITH_LOCK(&g->lock);
	return g->count > g->most ? g->count - g->most : 0;
}

/* As many as are too many now, each of which may turn out to be busy. */
static void rest_some(void *arg)
{
	struct ring *g = arg;
	for (unsigned n = too_many(g); n > 0 && too_many(g); n--)
		if (!rest_one(g))
			break;
	WITH_LOCK(&g->lock);
	g->asked = false;
}

/* --- what the others see --- */

int disk_wake(struct disk *d, struct error *err)
{
	if (!atomic_load(&d->used))
		atomic_store(&d->used, true);
	return overlay_wake(d->overlay, err);
}

static bool join_and_ask(struct ring *g, struct disk *d)
{
	WITH_LOCK(&g->lock);
	if (!atomic_load(&d->in_ring) && !d->going)
		join(g, d);
	if (g->count > g->most && !g->asked)
		g->asked = workers_try(g->thread, rest_some, g);
	return g->count > 2 * g->most;
}

void disk_noted(struct disk *d)
{
	if (!overlay_is_open(d->overlay) || atomic_load(&d->in_ring))
		return;
	if (join_and_ask(d->store->ring, d)) /* the thread does not follow: whoever opens files closes others' */
		(void)rest_one(d->store->ring);
}

void disk_unnoted(struct disk *d)
{
	struct ring *g = d->store->ring;
	WITH_LOCK(&g->lock);
	while (d->going)
		pthread_cond_wait(&g->put, &g->lock);
	if (atomic_load(&d->in_ring))
		leave(g, d);
}
