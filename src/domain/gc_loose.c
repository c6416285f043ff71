/* SPDX-License-Identifier: Apache-2.0 */
/* gc_loose: objects with no references go out of the index.
 *
 * A node takes the references to its kids with it, in the same transaction; they may become loose by
 * that and are found by the next sweep. One that is borrowed takes only the one to its lender's with it. A step is a group of objects small enough for one transaction.
 * Whether an object is still loose is decided inside of it (object_remove), and so is whether it is
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
#define GROUP_MAX 128u /* together about 1000 changed rows: */
#define NODES_MAX 3u   /* each has up to 256 kids */

struct victim {
	struct loose object;
	unsigned kids; /* of a node: which of the group's */
};

struct group {
	struct gc *gc;
	unsigned count, nodes;
	struct victim items[GROUP_MAX];
	struct hash kids[NODES_MAX][NODE_FANOUT];
	unsigned first, end;  /* of items: those that the transaction is about */
	uint64_t objects, bytes; /* set by the transaction */
};

static bool counts_kids(const struct loose *o) { return o->row.place.kind == OBJECT_NODE && !o->row.lender; }

static int remove_victim(struct cat_txn *txn, struct group *g, struct victim *v)
{
	if (gc_pinned(g->gc, v->object.domain, &v->object.hash))
		return 0;
	int r = object_remove(txn, v->object.domain, &v->object.hash);
	if (r == -EBUSY || r == -ENOENT)
		return 0;
	if (r == 0 && counts_kids(&v->object))
		r = object_unref_many(txn, v->object.domain, g->kids[v->kids], NODE_FANOUT);
	if (r == 0) {
		g->objects++;
		g->bytes += v->object.row.place.length;
	}
	return r;
}

static int remove_group(struct cat_txn *txn, void *arg, struct error *err)
{
	struct group *g = arg;
	(void)err;
	g->objects = g->bytes = 0;
	for (unsigned i = g->first; i < g->end; i++) {
		int r = remove_victim(txn, g, &g->items[i]);
		if (r < 0)
			return r;
	}
	return 0;
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

static uint64_t thing_of(const struct loose *o)
{
	return get_le64(o->hash.b) | UINT64_C(1) << 63;
}

/* The catalog contradicts itself about some of the group: the others still go. */
static int write_one_by_one(struct gc_work *w, struct group *g)
{
	for (unsigned i = 0; i < g->count; i++) {
		struct error err;
		char hex[HASH_HEX_SIZE];
		int r = write_items(w, g, i, i + 1, &err);
		if (r == ERR_STALE || r == ERR_DAMAGED)
			gc_bad(w->gc, thing_of(&g->items[i].object),
			       "Object %.32s is loose, but what it refers to is not "
			       "counted so; it is kept. 'imagefs check' tells more.",
			       hash_hex(&g->items[i].object.hash, hex));
		else if (r < 0)
			return r;
	}
	return 0;
}

static int write_group(struct gc_work *w, struct group *g, struct error *err)
{
	if (g->count == 0)
		return 0;
	if (!gc_step_begin(w->gc))
		return -ECANCELED;
	int r = write_items(w, g, 0, g->count, err);
	if (r == ERR_STALE || r == ERR_DAMAGED)
		r = write_one_by_one(w, g);
	gc_step_end(w->gc);
	g->count = g->nodes = 0;
	return r;
}

static int load_kids(struct gc_work *w, const struct loose *o, struct hash kids[NODE_FANOUT])
{
	struct store *store = w->service->store;
	struct cache_ref ref;
	struct error err;
	int r = store_get(store, o->domain, OBJECT_NODE, &o->hash, &ref, NULL, &err);
	if (r < 0) {
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
	if (g->count == GROUP_MAX || (node && g->nodes == NODES_MAX)) {
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
