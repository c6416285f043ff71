/* SPDX-License-Identifier: Apache-2.0 */
/* gc_loose: objects with no references go out of the index.
 *
 * A node takes the references to its kids with it, in the same transaction. Chunks that lose their last one by that go at once, in order
 * of their keys over all nodes of a step, for a leaf page of the index is then changed once; nodes become loose and are found by the next
 * sweep. One that is borrowed takes only the one to its lender's with it. A step is a group of objects, one transaction: a large one (16384
 * chunks, 1 GiB of disk) when nobody else writes, one that nobody notices when somebody does, and a small one when there is no room for the pages
 * that a larger one changes. Whether an object is still loose is decided inside of it (object_remove), and so is whether it is
 * pinned.
 *
 * A node that can't be read is kept, with all below it, because what it refers to is not known; so is
 * an object with which the catalog is at odds. Both are logged, and found by check.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "catalog/object_tab.h"
#include "domain/gc_int.h"

#define LOOK_AT 256u
#define NODES_MAX 64u /* each has up to 256 kids */
#define NODES_BESIDE_OTHERS 4u
#define GROUP_MAX (NODES_MAX * NODE_FANOUT)

struct victim {
	struct loose object;
	unsigned kids; /* of a node: which of the group's */
};

struct group {
	struct gc *gc;
	unsigned nodes_limit; /* of a step; of other objects 256 times as many */
	uint64_t requests;    /* to write the catalog, when the last step was done */
	unsigned count, nodes;
	struct victim items[GROUP_MAX];
	struct hash kids[NODES_MAX][NODE_FANOUT];
	struct hash dropped[NODES_MAX * NODE_FANOUT]; /* kids of those that went in the transaction */
	unsigned first, end;  /* of items: those that the transaction is about */
	uint64_t objects, bytes; /* set by the transaction */
};

static bool counts_kids(const struct loose *o) { return o->row.place.kind == OBJECT_NODE && !o->row.lender; }

/* *count: of g->dropped. */
static int remove_victim(struct cat_txn *txn, struct group *g, struct victim *v, size_t *count)
{
	if (gc_pinned(g->gc, v->object.domain, &v->object.hash))
		return 0;
	int r = object_remove(txn, v->object.domain, &v->object.hash);
	if (r == -EBUSY || r == -ENOENT)
		return 0;
	if (r)
		return r;
	g->objects++;
	g->bytes += v->object.row.place.length;
	if (counts_kids(&v->object)) {
		memcpy(g->dropped + *count, g->kids[v->kids], NODE_SIZE);
		*count += NODE_FANOUT;
	}
	return 0;
}

/* The items are in order of domain. */
static int remove_group(struct cat_txn *txn, void *arg, struct error *err)
{
	struct group *g = arg;
	size_t count = 0;
	int r = 0;
	(void)err;
	g->objects = g->bytes = 0;
	for (unsigned i = g->first; i < g->end && r == 0; i++) {
		uint32_t domain = g->items[i].object.domain;
		r = remove_victim(txn, g, &g->items[i], &count);
		if (r == 0 && count && (i + 1 == g->end || g->items[i + 1].object.domain != domain)) {
			r = object_drop_many(txn, domain, g->dropped, count, &g->objects, &g->bytes);
			count = 0;
		}
	}
	return r;
}

/* Others who write wait for a step to end; each that came since the last one is a reason to take little at a time. */
static void choose_size(struct gc_work *w, struct group *g)
{
	struct cat_stat stat;
	cat_stat(w->service->catalog, &stat);
	g->nodes_limit = stat.commit_requests > g->requests + 1 ? NODES_BESIDE_OTHERS : MIN(2 * g->nodes_limit, NODES_MAX);
	g->requests = stat.commit_requests;
}

static uint64_t thing_of(const struct loose *o)
{
	return get_le64(o->hash.b) | UINT64_C(1) << 63;
}

static void keep_bad(struct gc_work *w, const struct loose *o)
{
	char hex[HASH_HEX_SIZE];
	gc_bad(w->gc, thing_of(o),
	       "Object %.32s is loose, but what it refers to is not counted so; it is kept. 'imagefs check' tells more.",
	       hash_hex(&o->hash, hex));
}

static int write_items(struct gc_work *w, struct group *g, unsigned first, unsigned end, struct error *err)
{
	g->first = first;
	g->end = end;
	int r = cat_write(w->service->catalog, remove_group, g, err);
	if (r == 0) {
		w->report->objects += g->objects;
		w->report->bytes += g->bytes;
	}
	return r;
}

/* What cannot be done in one transaction is done in two halves: deleting changes pages, and a full disk or catalog may have too few for
 * many; and when the catalog contradicts itself about some of the objects the others still go. */
static int write_in_parts(struct gc_work *w, struct group *g, unsigned first, unsigned end, struct error *err)
{
	int r = write_items(w, g, first, end, err);
	if (r == 0 || (r != -ENOSPC && r != ERR_STALE && r != ERR_DAMAGED))
		return r;
	if (end - first == 1 && r == -ENOSPC)
		return r;
	if (end - first == 1) {
		keep_bad(w, &g->items[first].object);
		return 0;
	}
	unsigned middle = first + (end - first) / 2;
	r = write_in_parts(w, g, first, middle, err);
	return r ? r : write_in_parts(w, g, middle, end, err);
}

static int write_group(struct gc_work *w, struct group *g, struct error *err)
{
	if (g->count == 0)
		return 0;
	if (!gc_step_begin(w->gc))
		return -ECANCELED;
	int r = write_in_parts(w, g, 0, g->count, err);
	gc_step_end(w->gc);
	g->count = g->nodes = 0;
	choose_size(w, g);
	return r;
}

static int load_kids(struct gc_work *w, const struct loose *o, struct hash kids[NODE_FANOUT])
{
	struct store *store = w->service->store;
	struct cache_ref ref;
	struct error err;
	int r = store_get(store, o->domain, OBJECT_NODE, &o->hash, &ref, NULL, &err);
	if (r < 0) {
		if (r == ERR_DAMAGED)
			gc_bad(w->gc, thing_of(o),
			       "A part of a deleted disk's map is damaged, so what it names cannot be removed: %s",
			       err.text);
		return r;
	}
	memcpy(kids, ref.data, NODE_SIZE);
	store_put(store, OBJECT_NODE, &ref);
	return 0;
}

static int add_to_group(struct gc_work *w, struct group *g, const struct loose *o, struct error *err)
{
	bool node = counts_kids(o);
	if (gc_pinned(w->gc, o->domain, &o->hash) || gc_is_bad(w->gc, thing_of(o)))
		return 0;
	if (g->count >= g->nodes_limit * NODE_FANOUT || (node && g->nodes >= g->nodes_limit)) {
		int r = write_group(w, g, err);
		if (r < 0)
			return r;
	}
	if (node && load_kids(w, o, g->kids[g->nodes]) < 0)
		return 0;
	g->items[g->count++] = (struct victim){ *o, g->nodes };
	g->nodes += node;
	return 0;
}

static int look(struct gc_work *w, uint8_t cursor[32], struct loose *ret, struct error *err)
{
	struct cat_txn *txn;
	int r = cat_begin(w->service->catalog, &txn, err);
	if (r < 0)
		return r;
	r = object_loose(txn, cursor, ret, LOOK_AT);
	cat_end(&txn);
	return r < 0 ? fail(err, r, "The list of loose objects cannot be read (%s).", err_name(r)) : r;
}

static int sweep(struct gc_work *w, struct group *g, struct loose *found, struct error *err)
{
	uint8_t cursor[32] = { 0 };
	int n;
	while ((n = look(w, cursor, found, err)) > 0)
		for (int i = 0; i < n; i++) {
			int r = add_to_group(w, g, &found[i], err);
			if (r < 0)
				return r;
		}
	return n < 0 ? n : write_group(w, g, err);
}

int gc_loose(struct gc_work *w, struct error *err)
{
	AUTO_FREE struct group *g = calloc(1, sizeof *g);
	AUTO_FREE struct loose *found = calloc(LOOK_AT, sizeof *found);
	uint64_t before, start = w->report->objects;
	if (!g || !found)
		return fail(err, -ENOMEM, "There is no memory to collect garbage.");
	g->gc = w->gc;
	g->nodes_limit = NODES_MAX;
	choose_size(w, g);
	do {
		before = w->report->objects;
		int r = sweep(w, g, found, err);
		if (r < 0)
			return r;
	} while (w->report->objects > before);
	if (w->report->objects > start)
		gc_say(w, "%llu objects that nothing refers to were removed",
		       (unsigned long long)(w->report->objects - start));
	return 0;
}
