/* SPDX-License-Identifier: Apache-2.0 */
/* What a fold changes in the catalog: its packs' objects are inserted, paid for by its disk; references are counted; the disk has its new
 * map; what a copy held is let go. All in one transaction, or nothing. */
#include "domain/disks_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/meter_tab.h"
#include "catalog/object_tab.h"
#include "domain/upload.h"
#include "domain/damage.h"

/* Sorted copies of what the table wants to be given: hashes and places of the items that are to be known. */
struct items {
	struct hash *hashes;
	struct place *places;
	uint8_t *inserted;
	size_t count;
};

static int compare_nodes(const void *a, const void *b)
{
	return hash_compare(&(*(const struct map_node *const *)a)->hash, &(*(const struct map_node *const *)b)->hash);
}

/* The nodes of a fold, to be found by hash. */
struct node_list {
	const struct map_node **sorted;
	uint8_t *is_new; /* in the same order */
	size_t count;
};

static void node_list_free(struct node_list *l)
{
	free(l->sorted);
	free(l->is_new);
}

static int node_list_make(struct node_list *l, const struct map_nodes *nodes)
{
	*l = (struct node_list){ calloc(nodes->count + 1, sizeof *l->sorted), calloc(nodes->count + 1, 1), nodes->count };
	if (!l->sorted || !l->is_new)
		return -ENOMEM;
	for (size_t i = 0; i < nodes->count; i++)
		l->sorted[i] = &nodes->items[i];
	qsort(l->sorted, l->count, sizeof *l->sorted, compare_nodes);
	return 0;
}

static uint8_t *node_mark(struct node_list *l, const struct hash *hash)
{
	const struct map_node *key = (const struct map_node *)(const void *)hash; /* hash is its first member */
	const struct map_node **found = bsearch(&key, l->sorted, l->count, sizeof *l->sorted, compare_nodes);
	return found ? &l->is_new[found - l->sorted] : NULL;
}

static void items_free(struct items *t)
{
	free(t->hashes);
	free(t->places);
	free(t->inserted);
}

static int items_make(struct items *t, const struct fold_pack *pack, struct node_list *nodes)
{
	size_t n = pack->n_items;
	*t = (struct items){ malloc(n * sizeof *t->hashes), malloc(n * sizeof *t->places), calloc(n, 1), 0 };
	if (!t->hashes || !t->places || !t->inserted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct pack_item *item = &pack->items[i];
		if (item->place.kind == OBJECT_NODE && !node_mark(nodes, &item->hash))
			continue;
		t->hashes[t->count] = item->hash;
		t->places[t->count++] = item->place;
	}
	return 0;
}

static int insert_pack(struct cat_txn *txn, const struct fold *f, const struct fold_pack *pack, struct node_list *nodes)
{
	struct pack_row row = { .no = pack->number, .domain = f->domain, .bytes = pack->bytes };
	struct items t;
	int r = items_make(&t, pack, nodes);
	if (!r)
		r = pack_row_put(txn, &row);
	if (!r)
		r = object_insert_many(txn, f->domain, t.hashes, t.places, t.count, f->number, t.inserted);
	for (size_t i = 0; i < t.count && r >= 0; i++)
		if (t.inserted[i] && t.places[i].kind == OBJECT_NODE)
			*node_mark(nodes, &t.hashes[i]) = 1;
	items_free(&t);
	return r < 0 ? r : 0;
}

/* A node that was new brings one reference to each of its kids. They are all gathered, so that the table is
 * gone through once in its own order. */
static int reference_kids(struct cat_txn *txn, const struct fold *f, const struct node_list *nodes)
{
	size_t count = 0;
	AUTO_FREE struct object *kids = reallocarray(NULL, (nodes->count + 1) * NODE_FANOUT, sizeof *kids);
	if (!kids)
		return -ENOMEM;
	for (size_t n = 0; n < nodes->count; n++) {
		const struct map_kids *all = &nodes->sorted[n]->kids;
		for (unsigned k = 0; nodes->is_new[n] && k < NODE_FANOUT; k++)
			if (!hash_is_none(&all->hash[k]))
				kids[count++] = (struct object){ all->hash[k], all->domain[k] };
	}
	return count ? object_take_many(txn, f->domain, kids, count) : 0;
}

static int write_objects(struct cat_txn *txn, const struct fold *f)
{
	struct node_list nodes;
	int r = node_list_make(&nodes, f->nodes);
	for (unsigned i = 0; i < f->n_packs && !r; i++)
		r = insert_pack(txn, f, &f->packs[i], &nodes);
	if (!r)
		r = reference_kids(txn, f, &nodes);
	node_list_free(&nodes);
	return r;
}

static int move_root(struct cat_txn *txn, const struct fold *f)
{
	if (hash_equal(&f->old.hash, &f->root.hash))
		return 0;
	int r = hash_is_none(&f->root.hash) ? 0 : object_ref(txn, f->domain, &f->root.hash);
	if (!r && !hash_is_none(&f->old.hash))
		r = object_unref(txn, f->domain, &f->old.hash);
	return r;
}

static int release_holds(struct cat_txn *txn, uint64_t number)
{
	struct map_root held;
	uint32_t domain;
	int r;
	while ((r = hold_take(txn, number, &domain, &held)) == 0)
		if (!hash_is_none(&held.hash) && (r = object_unref(txn, domain, &held.hash)))
			return r;
	return r == -ENOENT ? 0 : r;
}

/* Of an upload the row says when it was whole. */
static bool is_running_disk(struct cat_txn *txn, const struct disk_row *row)
{
	struct image i;
	return image_get(txn, row->image, &i) == 0 && i.disk == row->no && image_is_running(&i);
}

int disks_commit(struct cat_txn *txn, void *arg, struct error *err)
{
	struct disks_commit *c = arg;
	const struct fold *f = c->fold;
	struct disk_row row;
	int r = disk_row_get(txn, f->number, &row);
	if (r)
		return fail(err, r, "disk %llu is no longer in the catalog", (unsigned long long)f->number);
	if (!r && row.domain != f->domain) /* it has moved meanwhile */
		return ERR_STALE;
	if (!r)
		r = damage_write_in(txn, c->service);
	if (!r)
		r = write_objects(txn, f);
	if (!r)
		r = move_root(txn, f);
	if (!r && f->final)
		r = release_holds(txn, f->number);
	if (!r && f->final)
		r = meter_set_written(txn, f->number, 0);
	if (r == -EEXIST)
		return fail(err, -EINVAL, "disk %llu has 64 KiB whose SHA-256 begins with the same 16 bytes as that of others that are stored: that does "
			    "not happen by chance, and is not taken", (unsigned long long)f->number);
	if (r)
		return r == ERR_STALE ? r : fail(err, r, "the catalog could not take the chunks of disk %llu (%s)",
						 (unsigned long long)f->number, err_name(r));
	if (!hash_equal(&row.root.hash, &f->root.hash) || row.size != f->size)
		row.has_sha = false;
	row.root = f->root;
	row.size = f->size;
	if (f->final)
		row.overlay = f->overlay;
	if (f->mtime && is_running_disk(txn, &row))
		row.mtime = f->mtime;
	if (f->final && c->final)
		r = c->final->fn(txn, c->final, &row, err);
	return r ? r : disk_row_put(txn, &row);
}
