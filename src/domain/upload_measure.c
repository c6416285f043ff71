/* SPDX-License-Identifier: Apache-2.0 */
/* What the whole of a disk takes in the store, for du and .status: every object once, however often the map names it. A node that was
 * seen is not gone into again, so repeats cost nothing.
 *
 * A close looks at so many objects only. What is larger is noted with what was found so far, and counted to its end by the thread that
 * folds quiet instances. */
#include "domain/upload_int.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "catalog/object_tab.h"
#include "domain/act.h"
#include "domain/disks.h"

#define AT_CLOSE 65536u         /* objects: 4 GiB of a disk that is full and has no repeats */
#define SEEN_MAX (1u << 21)     /* objects that are remembered: what lies behind is counted each time. 32 MiB */
#define WAITING_MAX 256u        /* disks: of others du tells less until they are closed again */
#define MEASURE_STEP 4096u      /* objects in one view of the catalog */

/* ---- those to be counted ---- */

struct to_measure {
	pthread_mutex_t lock; /* guards all below */
	uint64_t numbers[WAITING_MAX];
	unsigned count;
};

struct to_measure *to_measure_new(void)
{
	struct to_measure *t = calloc(1, sizeof *t);
	if (!t)
		abort();
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void to_measure_free(struct to_measure *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static void measure_later(struct to_measure *t, uint64_t number)
{
	WITH_LOCK(&t->lock);
	for (unsigned i = 0; i < t->count; i++)
		if (t->numbers[i] == number)
			return;
	if (t->count < WAITING_MAX)
		t->numbers[t->count++] = number;
}

static uint64_t next_to_measure(struct to_measure *t)
{
	WITH_LOCK(&t->lock);
	return t->count ? t->numbers[--t->count] : 0;
}

/* ---- counting ---- */

struct measure {
	struct service *service;
	struct cat_txn *txn; /* a new one now and then: pages of the catalog that an old one sees cannot be used again */
	uint64_t stored, objects, most;
	bool (*stop)(void *ctx);
	void *ctx;
	uint64_t *seen; /* open addressing by the begin of the hash; 0: free */
	size_t n_seen, room;
	bool partly;    /* `most` was not enough */
};

static uint64_t *slot_of(const struct measure *m, uint64_t key)
{
	size_t i = (size_t)key & (m->room - 1);
	while (m->seen[i] && m->seen[i] != key)
		i = (i + 1) & (m->room - 1);
	return &m->seen[i];
}

static void make_room(struct measure *m)
{
	uint64_t *old = m->seen;
	size_t room = m->room;
	m->room = room ? 2 * room : 1024;
	m->seen = calloc(m->room, sizeof *m->seen);
	if (!m->seen)
		abort();
	for (size_t i = 0; i < room; i++)
		if (old[i])
			*slot_of(m, old[i]) = old[i];
	free(old);
}

static bool was_seen(struct measure *m, const struct object *o)
{
	uint64_t key;
	memcpy(&key, o->hash.b, sizeof key);
	key = (key ^ (uint64_t)o->domain * 0x9e3779b97f4a7c15u) | 1;
	if (2 * (m->n_seen + 1) > m->room && m->n_seen < SEEN_MAX)
		make_room(m);
	uint64_t *slot = slot_of(m, key);
	if (*slot == key)
		return true;
	if (m->n_seen < SEEN_MAX) {
		*slot = key;
		m->n_seen++;
	}
	return false;
}

static int renew_view(struct measure *m)
{
	cat_end(&m->txn);
	int r = cat_begin(m->service->catalog, &m->txn, NULL);
	return r ? r : m->stop && m->stop(m->ctx) ? -ECANCELED : 0;
}

static int measure_object(void *ctx, enum object_kind kind, const struct object *o, uint64_t chunk)
{
	struct measure *m = ctx;
	struct object_row row;
	(void)kind, (void)chunk;
	if (was_seen(m, o))
		return 1;
	m->partly = ++m->objects > m->most;
	int r = m->partly ? -ECANCELED : m->objects % MEASURE_STEP == 0 ? renew_view(m) : 0;
	if (r)
		return r;
	if (object_find(m->txn, o->domain, &o->hash, &row, NULL) == 0)
		m->stored += row.place.length;
	return 0;
}

/* ---- noting ---- */

static int do_measured(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct measure *m = (struct measure *)(void *)a->text;
	struct disk_row row;
	int r = disk_row_get(txn, node_number(a->node), &row);
	if (r)
		return fail(err, r, "the disk is gone");
	row.stored = m->partly ? MAX(m->stored, row.stored) : m->stored;
	return disk_row_put(txn, &row);
}

static void measure(struct measure *m, struct disk *disk)
{
	struct service *s = m->service;
	struct map_root root = disk_root(disk);
	struct who nobody = { .account = 0 }; /* nothing that has to be answered again, or logged */
	struct error ignored;
	struct act a = { .service = s, .who = &nobody, .fn = do_measured, .node = node_disk(disk_number(disk)),
			 .text = (const char *)(void *)m };
	if (cat_begin(s->catalog, &m->txn, NULL))
		return;
	int r = map_walk(s->store, disk_domain(disk), &root, measure_object, m, &ignored);
	if (m->txn)
		cat_end(&m->txn);
	free(m->seen);
	if ((r == 0 || m->partly) && act_run(&a, &ignored))
		return; /* the number stays what it was; the disk itself is safe */
}

void upload_measure(struct service *s, struct disk *disk)
{
	struct measure m = { .service = s, .most = AT_CLOSE };
	measure(&m, disk);
	if (m.partly)
		measure_later(s->to_measure, disk_number(disk));
}

void upload_measure_rest(struct service *s, bool (*stop)(void *ctx), void *ctx)
{
	uint64_t number;
	while (!stop(ctx) && (number = next_to_measure(s->to_measure))) {
		struct measure m = { .service = s, .most = UINT64_MAX, .stop = stop, .ctx = ctx };
		struct disk *disk;
		if (disks_get(s->disks, number, &disk, NULL))
			continue; /* it is gone */
		measure(&m, disk);
		disks_put(s->disks, &disk);
	}
}
