/* SPDX-License-Identifier: Apache-2.0 */
/* gc_claim: what disks that are gone still pay for passes to those that use it.
 *
 * An object has one payer, the disk that brought it (docs/decisions/0007-who-pays.md). When that is deleted and others still have the
 * object, it goes to the oldest of them. So all disks are walked through, the oldest first, as long as the gone ones pay for
 * anything; whatever one names of theirs becomes its own. That is known of a subtree that an older disk was seen to have, so
 * maps that are shared are walked once, as far as a small table remembers.
 *
 * Each step is a small transaction, in which the disk still has the map that is walked: who pays is right at each moment, and a pass that
 * was interrupted is simply done again. What nothing refers to stays with who is gone until it is collected, and what only a running
 * copy holds until the copy is there. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "catalog/meter_tab.h"
#include "catalog/object_tab.h"
#include "domain/gc_int.h"
#include "store/map.h"

#define PASS_SECONDS 600u
#define GONE_MAX 65536u /* payers that a pass cares for; the others' turn is the next one */
#define GROUP_MAX 512u
#define SEEN_MAX 16384u
#define AGAIN (INT64_C(3600) * 1000000000) /* without a change that a meter shows */
#define ALL_DONE (-ECANCELED - 10000) /* ends a walk: nobody that is gone pays for anything */

struct seen {
	uint32_t domain;
	uint8_t hash[16];
};

struct claim {
	struct gc_work *work;
	uint64_t gone[GONE_MAX]; /* sorted */
	size_t n_gone;
	uint64_t left;           /* bytes that they pay for */
	struct disk_row disk;    /* that is walked through */
	unsigned count;
	struct object group[GROUP_MAX]; /* that it names */
	struct seen seen[SEEN_MAX];     /* by hash; a later one takes the place of an earlier one */
	uint64_t claimed;               /* objects */
};

/* ---- who is gone ---- */

static int note_gone(void *ctx, const struct meter *m)
{
	struct claim *c = ctx;
	if (!m->bytes || (!m->gone && m->disk != METER_NOBODY))
		return 0;
	c->gone[c->n_gone++] = m->disk;
	c->left += m->bytes;
	return c->n_gone == GONE_MAX;
}

static int find_gone(struct claim *c, struct error *err)
{
	struct cat_txn *txn;
	int r = cat_begin(c->work->service->catalog, &txn, err);
	if (r)
		return r;
	r = meter_each(txn, 0, note_gone, c);
	cat_end(&txn);
	return r < 0 ? fail(err, r, "The meters cannot be read (%s).", err_name(r)) : 0;
}

static int compare_payers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static bool is_gone(const struct claim *c, uint64_t payer)
{
	return bsearch(&payer, c->gone, c->n_gone, sizeof payer, compare_payers) != NULL;
}

/* ---- a group of objects ---- */

/* Those that somebody pays for who is gone, moved to the front, each with the domain in which its bytes are. */
static int keep_theirs(struct claim *c, struct error *err)
{
	struct cat_txn *txn;
	unsigned kept = 0;
	int r = cat_begin(c->work->service->catalog, &txn, err);
	if (r)
		return r;
	for (unsigned i = 0; i < c->count && !r; i++) {
		struct object_row row;
		struct object o = c->group[i];
		r = object_find(txn, o.domain, &o.hash, &row, &o.domain);
		if (r == 0 && is_gone(c, row.payer))
			c->group[kept++] = o;
		r = r == -ENOENT ? 0 : r; /* the map is another one by now */
	}
	cat_end(&txn);
	c->count = kept;
	return r ? fail(err, r, "The index of objects cannot be read (%s).", err_name(r)) : 0;
}

static int compare_objects(const void *a, const void *b)
{
	const struct object *x = a, *y = b;
	if (x->domain != y->domain)
		return x->domain < y->domain ? -1 : 1;
	return hash_compare(&x->hash, &y->hash);
}

struct claiming {
	const struct claim *claim;
	uint64_t claimed;       /* objects */
	uint64_t before, after; /* what the disk pays for */
};

static int paid_bytes(struct cat_txn *txn, const struct claim *c, uint64_t *ret)
{
	struct meter m = { .bytes = 0 };
	int r = meter_get(txn, c->disk.no, &m);
	*ret = r ? 0 : m.bytes;
	return r == -ENOENT ? 0 : r;
}

static int claim_runs(struct cat_txn *txn, struct claiming *g)
{
	const struct claim *c = g->claim;
	struct hash hashes[GROUP_MAX];
	for (unsigned i = 0, n; i < c->count; i += n) {
		for (n = 0; i + n < c->count && c->group[i + n].domain == c->group[i].domain; n++)
			hashes[n] = c->group[i + n].hash;
		int r = object_claim_many(txn, c->group[i].domain, hashes, n, c->gone, c->n_gone, c->disk.no);
		if (r < 0)
			return r;
		g->claimed += (unsigned)r;
	}
	return 0;
}

static int claim_group(struct cat_txn *txn, void *arg, struct error *err)
{
	struct claiming *g = arg;
	struct disk_row row;
	(void)err;
	g->claimed = g->before = g->after = 0;
	int r = disk_row_get(txn, g->claim->disk.no, &row);
	if (r || !hash_equal(&row.root.hash, &g->claim->disk.root.hash))
		return r == -ENOENT ? 0 : r;
	r = paid_bytes(txn, g->claim, &g->before);
	if (!r)
		r = claim_runs(txn, g);
	return r ? r : paid_bytes(txn, g->claim, &g->after);
}

static void no_work(void *arg) { (void)arg; }

static int take_group(struct claim *c, struct error *err)
{
	struct claiming g = { .claim = c };
	if (c->work->idle) /* not before a processor was idle: it has time */
		store_idle(c->work->service->store, no_work, NULL);
	int r = keep_theirs(c, err);
	if (r || c->count == 0)
		return r;
	qsort(c->group, c->count, sizeof *c->group, compare_objects);
	if (!gc_step_begin(c->work->gc))
		return -ECANCELED;
	r = cat_write(c->work->service->catalog, claim_group, &g, err);
	gc_step_end(c->work->gc);
	c->count = 0;
	if (r)
		return r;
	c->claimed += g.claimed;
	c->left -= MIN(c->left, g.after - g.before);
	return c->left ? 0 : ALL_DONE;
}

/* ---- maps ---- */

static bool was_seen(struct claim *c, const struct object *o)
{
	struct seen *s = &c->seen[(get_le32(o->hash.b) ^ o->domain) % SEEN_MAX];
	if (s->domain == o->domain && memcmp(s->hash, o->hash.b, sizeof s->hash) == 0)
		return true;
	s->domain = o->domain;
	memcpy(s->hash, o->hash.b, sizeof s->hash);
	return false;
}

static int note_object(void *ctx, enum object_kind kind, const struct object *o, uint64_t chunk)
{
	struct claim *c = ctx;
	struct error ignored;
	(void)chunk;
	if (gc_stopping(c->work->gc))
		return -ECANCELED;
	if (kind == OBJECT_NODE && was_seen(c, o))
		return 1;
	c->group[c->count++] = *o;
	return c->count == GROUP_MAX ? take_group(c, &ignored) : 0;
}

/* A map that cannot be read keeps no other disk from claiming. */
static int walk_disk(struct claim *c, struct error *err)
{
	struct service *s = c->work->service;
	struct error why = { .code = 0 };
	gc_pin(c->work->gc, c->disk.domain, &c->disk.root);
	c->count = 0;
	int r = map_walk(s->store, c->disk.domain, &c->disk.root, note_object, c, &why);
	if (r == 0)
		r = take_group(c, &why);
	gc_unpin(c->work->gc, c->disk.domain, &c->disk.root);
	if (r == ERR_DAMAGED || r == -ENOENT || r == ERR_STALE)
		return 0;
	if (r && err)
		*err = why;
	return r;
}

static int first_disk(void *ctx, const struct disk_row *row)
{
	*(struct disk_row *)ctx = *row;
	return 1;
}

/* 1: there is one. */
static int next_disk(struct claim *c, struct error *err)
{
	struct cat_txn *txn;
	int r = cat_begin(c->work->service->catalog, &txn, err);
	if (r)
		return r;
	r = disk_row_each(txn, c->disk.no, first_disk, &c->disk);
	cat_end(&txn);
	return r < 0 ? fail(err, r, "The disks cannot be read (%s).", err_name(r)) : r;
}

static int walk_all(struct claim *c, struct error *err)
{
	int r;
	while ((r = next_disk(c, err)) == 1)
		if ((r = walk_disk(c, err)))
			break;
	return r == ALL_DONE ? 0 : r;
}

int gc_claim(struct gc_work *w, struct claim_pass *last, struct error *err)
{
	AUTO_FREE struct claim *c = calloc(1, sizeof *c);
	int64_t now = clock_mono();
	if (!c)
		return fail(err, -ENOMEM, "There is no memory to find out who pays.");
	c->work = w;
	int r = find_gone(c, err);
	if (r || !c->left || (last && last->left == c->left && now - last->time < AGAIN))
		return r;
	r = walk_all(c, err);
	if (last && r == 0)
		*last = (struct claim_pass){ c->left, now };
	if (c->claimed)
		gc_say(w, "%llu objects of deleted disks are paid for by others that use them now", (unsigned long long)c->claimed);
	return r;
}

void *gc_claim_thread(void *arg)
{
	struct gc *gc = arg;
	struct gc_report report = { 0 };
	struct gc_work w = { gc, gc_service(gc), &report, NULL, NULL, true };
	struct claim_pass last = { 0, 0 };
	struct error err;
	while (gc_pause(gc, PASS_SECONDS)) {
		int r = gc_claim(&w, &last, &err);
		if (r && r != -ECANCELED)
			gc_bad(gc, (uint64_t)-r << 41, "Finding out who pays for what deleted disks shared was interrupted: %s", err.text);
	}
	return NULL;
}
