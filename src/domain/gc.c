/* SPDX-License-Identifier: Apache-2.0 */
/* gc: the thread, the pins, and the order of the jobs.
 *
 * A run goes through the jobs in the order in which one makes work for the next: rows (gc_trash.c),
 * objects (gc_loose.c), packs (gc_pack.c). Each job is a row of steps, each step at most one small
 * write transaction. Only one run goes on at a time; between its steps it can be stopped (gc_stop) or
 * held (gc_hold).
 *
 * The thread runs all jobs once a minute, and those for objects and packs soon after gc_wake(): going
 * through all images for every fold would be too much. What has time has threads of its own: folding quiet
 * instances (gc_fold.c), compressing harder (gc_squeeze.c).
 */
#include "domain/gc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "catalog/ledger_clock.h"
#include "domain/damage.h"
#include "domain/gc_int.h"
#include "domain/ledger.h"
#include "domain/measure.h"

#define ROUND (INT64_C(60) * 1000000000) /* between two full runs */
#define TICK (INT64_C(600) * 1000000000) /* between two marks of the ledger's clock */
#define PAUSE (INT64_C(1) * 1000000000)  /* between two runs of any kind */
#define QUIET (INT64_C(60) * 1000000000) /* without a change: time to compress harder */
#define RETRY (INT64_C(3600) * 1000000000) /* until what was bad is tried again: it may have been healed */
#define PIN_BUCKETS 1024u
#define PIN_BYTES 16u /* of the hash: what the catalog's keys have */
#define BAD_MAX 1024u

struct pin {
	uint32_t domain;
	uint8_t hash[PIN_BYTES];
	unsigned count;
	struct pin *next;
};

struct bad_thing {
	uint64_t thing;
	int64_t until; /* clock_mono(): it is not tried again before */
};

struct gc {
	struct service *service;
	uint32_t first_new_pack;
	uint64_t last_old_disk;

	pthread_mutex_t run; /* one run at a time; guards `swept`. Taken before `lock` */
	bool swept;          /* orphans were looked for */
	pthread_mutex_t fold; /* one looks for quiet instances and folds them. Taken before `lock`; what is under way can take long */

	pthread_mutex_t lock; /* guards everything below; nothing else is taken under it */
	pthread_cond_t changed;
	bool started, stop, woken;
	unsigned holders, steps; /* steps under way: the collecting thread's, and the squeezing one's */
	int64_t changed_at;  /* when something was last changed (gc_wake) */
	_Atomic int64_t used_at; /* when something was last read; not under the lock */
	pthread_t thread, fold_thread, claim_thread, squeeze_thread;
	struct pin *pins[PIN_BUCKETS];
	struct keep *keep; /* has a lock of its own */
	struct bad_thing bad[BAD_MAX];
	unsigned n_bad;
};

/* ---- pins */

static struct pin **pin_of(struct gc *gc, uint32_t domain, const struct hash *h)
{
	struct pin **p = &gc->pins[(get_le32(h->b) ^ domain) % PIN_BUCKETS];
	while (*p && ((*p)->domain != domain || memcmp((*p)->hash, h->b, PIN_BYTES) != 0))
		p = &(*p)->next;
	return p;
}

void gc_pin(struct gc *gc, uint32_t domain, const struct map_root *root)
{
	if (hash_is_none(&root->hash))
		return;
	WITH_LOCK(&gc->lock);
	struct pin **p = pin_of(gc, domain, &root->hash);
	if (!*p) {
		*p = calloc(1, sizeof **p);
		if (!*p)
			abort();
		(*p)->domain = domain;
		memcpy((*p)->hash, root->hash.b, PIN_BYTES);
	}
	(*p)->count++;
}

void gc_unpin(struct gc *gc, uint32_t domain, const struct map_root *root)
{
	if (hash_is_none(&root->hash))
		return;
	WITH_LOCK(&gc->lock);
	struct pin **p = pin_of(gc, domain, &root->hash);
	struct pin *pin = *p;
	if (!pin || --pin->count > 0)
		return;
	*p = pin->next;
	free(pin);
}

bool gc_pinned(struct gc *gc, uint32_t domain, const struct hash *hash)
{
	WITH_LOCK(&gc->lock);
	return *pin_of(gc, domain, hash) != NULL;
}

/* ---- steps */

bool gc_step_begin(struct gc *gc)
{
	WITH_LOCK(&gc->lock);
	while (gc->holders && !gc->stop)
		pthread_cond_wait(&gc->changed, &gc->lock);
	gc->steps += !gc->stop;
	return !gc->stop;
}

void gc_step_end(struct gc *gc)
{
	WITH_LOCK(&gc->lock);
	gc->steps--;
	pthread_cond_broadcast(&gc->changed);
}

void gc_hold(struct gc *gc)
{
	if (!gc)
		return;
	WITH_LOCK(&gc->lock);
	gc->holders++;
	while (gc->steps)
		pthread_cond_wait(&gc->changed, &gc->lock);
}

void gc_release(struct gc *gc)
{
	if (!gc)
		return;
	WITH_LOCK(&gc->lock);
	gc->holders--;
	pthread_cond_broadcast(&gc->changed);
}

/* ---- what is said */

/* Under the lock; NULL: nothing was said of it. */
static struct bad_thing *find_bad(struct gc *gc, uint64_t thing)
{
	for (unsigned i = 0; i < gc->n_bad; i++)
		if (gc->bad[i].thing == thing)
			return &gc->bad[i];
	return NULL;
}

bool gc_is_bad(struct gc *gc, uint64_t thing)
{
	WITH_LOCK(&gc->lock);
	const struct bad_thing *b = find_bad(gc, thing);
	return b && clock_mono() < b->until;
}

/* By hand everything is tried again. */
static void retry_bad(struct gc *gc)
{
	WITH_LOCK(&gc->lock);
	for (unsigned i = 0; i < gc->n_bad; i++)
		gc->bad[i].until = 0;
}

void gc_bad(struct gc *gc, uint64_t thing, const char *format, ...)
{
	char text[600];
	va_list ap;
	{
		WITH_LOCK(&gc->lock);
		struct bad_thing *known = find_bad(gc, thing);
		if (known)
			known->until = clock_mono() + RETRY;
		else if (gc->n_bad < BAD_MAX)
			gc->bad[gc->n_bad++] = (struct bad_thing){ thing, clock_mono() + RETRY };
		if (known)
			return;
	}
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	log_warn("%s", text);
}

void gc_say(const struct gc_work *w, const char *format, ...)
{
	char line[600];
	va_list ap;
	if (!w->say)
		return;
	va_start(ap, format);
	vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	w->say(w->ctx, line);
}

/* ---- runs */

uint32_t gc_first_new_pack(const struct gc *gc) { return gc->first_new_pack; }
uint64_t gc_last_old_disk(const struct gc *gc) { return gc->last_old_disk; }

static int sweep_once(struct gc_work *w, struct error *err)
{
	if (w->gc->swept)
		return 0;
	int r = gc_orphans(w, err);
	w->gc->swept = r == 0;
	return r;
}

static int run_rows(struct gc_work *w, struct error *err)
{
	int r = sweep_once(w, err);
	if (r == 0)
		r = measure_overlays(w->service, err);
	if (r == 0)
		r = gc_trash(w, err);
	if (r == 0)
		r = gc_pending(w, err);
	return r ? r : gc_links(w, err);
}

static int run_objects(struct gc_work *w, struct error *err)
{
	int r = damage_write(w->service, err);
	if (r == 0)
		r = damage_review(w->service, err);
	if (r == 0)
		r = gc_loose(w, err);
	if (r == 0)
		r = gc_dead_packs(w, err);
	return r ? r : gc_compact(w, err);
}

static int run(struct gc_work *w, bool rows, struct error *err)
{
	WITH_LOCK(&w->gc->run);
	int r = rows ? run_rows(w, err) : 0;
	if (r == 0)
		r = run_objects(w, err);
	return r == -ECANCELED ? 0 : r;
}

void gc_fold_now(struct gc_work *w)
{
	WITH_LOCK(&w->gc->fold);
	gc_fold(w);
}

int gc_run(struct gc *gc, void (*say)(void *ctx, const char *line), void *ctx, struct gc_report *ret,
	   struct error *err)
{
	struct gc_report report = { 0 };
	struct gc_work w = { gc, gc->service, &report, say, ctx, false };
	retry_bad(gc);
	gc_fold_now(&w);
	int r = run(&w, true, err);
	if (r == 0)
		r = gc_claim(&w, NULL, err);
	if (r == -ECANCELED)
		r = 0;
	if (ret)
		*ret = report;
	return r;
}

static bool is_held(struct gc *gc)
{
	WITH_LOCK(&gc->lock);
	return gc->holders > 0;
}

int gc_collect(struct gc *gc, struct error *err)
{
	struct gc_report report = { 0 };
	struct gc_work w = { gc, gc->service, &report, NULL, NULL, false };
	if (is_held(gc))
		return 0;
	int r = gc_loose(&w, err);
	if (r == 0)
		r = gc_dead_packs(&w, err);
	return r == -ECANCELED ? 0 : r;
}

/* ---- the thread */

static void run_in_background(struct gc *gc, bool rows)
{
	struct gc_report report = { 0 };
	struct gc_work w = { gc, gc->service, &report, NULL, NULL, false };
	struct error err;
	if (run(&w, rows, &err) < 0)
		log_warn("Collecting garbage was interrupted and goes on in a minute: %s", err.text);
	if (report.objects || report.packs_removed || report.images_purged)
		log_debug("gc: %llu images purged, %llu objects and %llu packs removed, %llu packs compacted",
			  (unsigned long long)report.images_purged, (unsigned long long)report.objects,
			  (unsigned long long)report.packs_removed, (unsigned long long)report.packs_compacted);
}

/* Until that time, or until stop, or (if it ends the wait) until woken. Called with the lock held. */
static void wait_until(struct gc *gc, int64_t until, bool wakes)
{
	struct timespec t = { until / 1000000000, until % 1000000000 };
	while (!gc->stop && !(wakes && gc->woken) && clock_mono() < until)
		pthread_cond_timedwait(&gc->changed, &gc->lock, &t);
}

static void tick(struct gc *gc, int64_t *next)
{
	struct error err;
	if (clock_mono() < *next)
		return;
	*next = clock_mono() + TICK;
	if (ledger_tick(gc->service->catalog, &err))
		log_warn("The ledger's clock could not be written down: %s", err.text);
}

static void roll(struct gc *gc)
{
	struct error err;
	if (ledger_roll(gc->service, &err))
		log_warn("%s", err.text);
}

static void *collect(void *arg)
{
	struct gc *gc = arg;
	int64_t next = clock_mono(), next_tick = next + TICK;
	for (;;) {
		bool rows = clock_mono() >= next;
		tick(gc, &next_tick);
		if (rows) {
			next = clock_mono() + ROUND;
			roll(gc);
		}
		run_in_background(gc, rows);
		WITH_LOCK(&gc->lock);
		wait_until(gc, MIN(next, clock_mono() + PAUSE), false);
		wait_until(gc, next, true);
		gc->woken = false;
		if (gc->stop)
			return NULL;
	}
}

void gc_note_use(struct gc *gc)
{
	gc->used_at = clock_read_(CLOCK_MONOTONIC_COARSE); /* no system call */
}

void gc_wake(struct gc *gc)
{
	WITH_LOCK(&gc->lock);
	gc->woken = true;
	gc->changed_at = clock_mono();
	pthread_cond_broadcast(&gc->changed);
}

struct service *gc_service(struct gc *gc) { return gc->service; }
struct keep *gc_keep(struct gc *gc) { return gc->keep; }

bool gc_stopping(struct gc *gc)
{
	WITH_LOCK(&gc->lock);
	return gc->stop;
}

bool gc_pause(struct gc *gc, unsigned seconds)
{
	WITH_LOCK(&gc->lock);
	wait_until(gc, clock_mono() + INT64_C(1000000000) * seconds, false);
	return !gc->stop;
}

bool gc_wait_quiet(struct gc *gc)
{
	WITH_LOCK(&gc->lock);
	while (!gc->stop && clock_mono() - MAX(gc->changed_at, gc->used_at) < QUIET)
		wait_until(gc, MAX(gc->changed_at, gc->used_at) + QUIET, false);
	return !gc->stop;
}

void gc_rest(struct gc *gc)
{
	WITH_LOCK(&gc->lock);
	for (int64_t seen = gc->changed_at; !gc->stop && gc->changed_at == seen;)
		pthread_cond_wait(&gc->changed, &gc->lock);
}

void gc_start(struct gc *gc)
{
	if (pthread_create(&gc->thread, NULL, collect, gc) != 0 ||
	    pthread_create(&gc->fold_thread, NULL, gc_fold_thread, gc) != 0 ||
	    pthread_create(&gc->claim_thread, NULL, gc_claim_thread, gc) != 0 ||
	    pthread_create(&gc->squeeze_thread, NULL, gc_squeeze_thread, gc) != 0)
		abort();
	pthread_setname_np(gc->thread, "gc");
	pthread_setname_np(gc->fold_thread, "fold");
	pthread_setname_np(gc->claim_thread, "claim");
	pthread_setname_np(gc->squeeze_thread, "squeeze");
	WITH_LOCK(&gc->lock);
	gc->started = true;
}

void gc_stop(struct gc *gc)
{
	bool started;
	{
		WITH_LOCK(&gc->lock);
		gc->stop = true;
		started = gc->started;
		gc->started = false;
		pthread_cond_broadcast(&gc->changed);
	}
	if (!started)
		return;
	pthread_join(gc->thread, NULL);
	pthread_join(gc->fold_thread, NULL);
	pthread_join(gc->claim_thread, NULL);
	pthread_join(gc->squeeze_thread, NULL);
}

/* ---- from begin to end */

/* Without a catalog that can be read nothing counts as left over. */
static uint64_t last_disk(struct service *s)
{
	struct cat_txn *txn;
	if (cat_begin(s->catalog, &txn, NULL) < 0)
		return 0;
	uint64_t no = cat_counter_get(txn, COUNTER_DISK);
	cat_end(&txn);
	return no;
}

struct gc *gc_new(struct service *s)
{
	pthread_condattr_t attr;
	struct gc *gc = calloc(1, sizeof *gc);
	if (!gc)
		abort();
	gc->service = s;
	gc->keep = keep_new();
	gc->changed_at = clock_mono();
	gc->first_new_pack = s->store->next_pack;
	gc->last_old_disk = last_disk(s);
	pthread_mutex_init(&gc->run, NULL);
	pthread_mutex_init(&gc->fold, NULL);
	pthread_mutex_init(&gc->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&gc->changed, &attr);
	pthread_condattr_destroy(&attr);
	return gc;
}

void gc_free(struct gc *gc)
{
	if (!gc)
		return;
	gc_stop(gc);
	for (unsigned i = 0; i < PIN_BUCKETS; i++)
		while (gc->pins[i]) {
			struct pin *next = gc->pins[i]->next;
			free(gc->pins[i]);
			gc->pins[i] = next;
		}
	keep_free(gc->keep);
	pthread_cond_destroy(&gc->changed);
	pthread_mutex_destroy(&gc->lock);
	pthread_mutex_destroy(&gc->run);
	pthread_mutex_destroy(&gc->fold);
	free(gc);
}
