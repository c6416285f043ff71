/* SPDX-License-Identifier: Apache-2.0 */
/* Maps against an array of hashes: changed, spliced, looked up and walked at random, and sharing nodes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "index_mem.h"
#include "store/map.h"
#include "tap.h"

#define DOMAIN 7
#define CHUNKS 70000u /* three levels, the last one thin */

static struct store *store;
static struct index_mem *mem;
static uint64_t seed;

static struct hash some_hash(uint64_t n)
{
	struct hash h = hash_none;
	if (n)
		hash_of(&n, sizeof n, &h);
	return h;
}

static struct map_change change(uint64_t chunk, uint64_t n)
{
	return (struct map_change){ chunk, { some_hash(n), DOMAIN } };
}

static void open_store(void)
{
	struct backend *backend;
	char path[4200];
	snprintf(path, sizeof path, "%s/pool", test_folder());
	mem = index_mem_new();
	if (backend_open_dir(&backend, path, 16, NULL) ||
	    store_open(&store, backend, index_mem_index(mem), &(struct store_options){ 0 }, NULL))
		bail("cannot open a store");
}

static struct pack_writer *begin(void)
{
	struct pack_writer *w;
	if (pack_begin(&w, store->backend, &store->next_pack, NULL))
		bail("cannot begin a pack");
	return w;
}

static size_t commit_to(uint32_t domain, struct pack_writer *w)
{
	size_t n;
	if (pack_seal(w, NULL))
		bail("cannot seal");
	const struct pack_item *items = pack_items(w, &n);
	for (size_t i = 0; i < n; i++)
		index_mem_insert(mem, domain, &items[i].hash, &items[i].place);
	pack_free(w);
	return n;
}

static size_t commit(struct pack_writer *w) { return commit_to(DOMAIN, w); }

/* Every node's inner kids must be listed before it or known; none listed twice. */
static bool in_order(const struct map_nodes *nodes)
{
	for (size_t i = 0; i < nodes->count; i++)
		for (size_t j = 0; j < i; j++)
			if (hash_equal(&nodes->items[i].hash, &nodes->items[j].hash))
				return false;
	for (size_t i = 0; i < nodes->count; i++)
		for (unsigned k = 0; nodes->items[i].level > 1 && k < NODE_FANOUT; k++)
			for (size_t j = i; j < nodes->count; j++)
				if (hash_equal(&nodes->items[i].kids.hash[k], &nodes->items[j].hash))
					return false;
	return true;
}

static struct map_root update(struct map_root old, uint8_t levels, const struct map_change *c, size_t n, size_t *ret_nodes)
{
	struct pack_writer *w = begin();
	struct map_nodes nodes = { 0 };
	struct map_root root;
	struct error err;
	if (map_update(store, DOMAIN, &old, levels, c, n, w, &nodes, &root, &err))
		bail("update: %s", err.text);
	if (!in_order(&nodes))
		ok(false, "nodes come once, children first");
	if (ret_nodes)
		*ret_nodes = nodes.count;
	map_nodes_free(&nodes);
	commit(w);
	return root;
}

static struct map_root splice(struct map_root old, uint8_t levels, struct map_root from, uint64_t first, uint64_t count,
			      size_t *ret_nodes)
{
	struct pack_writer *w = begin();
	struct map_nodes nodes = { 0 };
	struct map_root root;
	struct error err;
	if (map_splice(store, DOMAIN, &old, levels, &from, first, count, w, &nodes, &root, &err))
		bail("splice: %s", err.text);
	if (!in_order(&nodes))
		ok(false, "nodes come once, children first");
	if (ret_nodes)
		*ret_nodes = nodes.count;
	map_nodes_free(&nodes);
	commit(w);
	return root;
}

static bool same(struct map_root root, const uint64_t *model)
{
	static struct object got[CHUNKS + 5];
	if (map_find_many(store, DOMAIN, &root, 0, CHUNKS + 5, got, NULL))
		return false;
	for (unsigned i = 0; i < CHUNKS + 5; i++) {
		struct hash want = some_hash(i < CHUNKS ? model[i] : 0);
		if (!hash_equal(&got[i].hash, &want))
			return false;
	}
	return true;
}

static void test_sizes(void)
{
	is_int(map_levels(0), 1, "an empty disk has one level");
	is_int(map_levels(16 << 20), 1, "16 MiB fit into one");
	is_int(map_levels((16 << 20) + 1), 2, "one byte more does not");
	is_int(map_levels((uint64_t)1 << 40), 3, "1 TiB needs three");
	is_int(map_levels(((uint64_t)1 << 40) + 1), 4, "and a byte more four");
	is_int((int64_t)map_span(3), 1 << 24, "three levels name 2^24 chunks");
}

static void test_update(void)
{
	struct map_root none = { .levels = 1 }, a, b;
	struct map_change c[] = { change(3, 1), change(255, 2), change(256, 1), change(66000, 3) };
	size_t nodes;
	struct object h;
	a = update(none, 3, c, 4, &nodes);
	is_int((int64_t)nodes, 6, "each touched node is written once: 3 leaves, 2 inner, 1 root");
	ok(map_find(store, DOMAIN, &a, 66000, &h, NULL) == 0 && hash_equal(&h.hash, &c[3].object.hash), "found again");
	ok(map_find(store, DOMAIN, &a, 4, &h, NULL) == 0 && hash_is_none(&h.hash), "a hole is none");
	ok(map_find(store, DOMAIN, &a, UINT64_MAX / 2, &h, NULL) == 0 && hash_is_none(&h.hash), "beyond the span is a hole");
	b = update(a, 3, c, 4, &nodes);
	ok(hash_equal(&a.hash, &b.hash) && nodes == 0, "changing nothing makes nothing");
	for (int i = 0; i < 4; i++)
		c[i].object.hash = hash_none;
	b = update(a, 3, c, 4, &nodes);
	ok(hash_is_none(&b.hash) && nodes == 0, "a map of holes is none");
	a = update(none, 1, c, 0, &nodes);
	ok(hash_is_none(&a.hash), "nothing changed in nothing");
	struct map_change twice[] = { change(0, 9), change(256, 9), change(512, 9) };
	a = update(none, 2, twice, 3, &nodes);
	is_int((int64_t)nodes, 2, "leaves with the same content are listed once");
	b = update(a, 4, twice, 0, &nodes);
	ok(nodes == 2 && b.levels == 4, "growing puts nodes on top");
	ok(map_find(store, DOMAIN, &b, 512, &h, NULL) == 0 && hash_equal(&h.hash, &twice[0].object.hash), "and keeps the content");
	struct map_root bad;
	struct map_nodes list = { 0 };
	is_int(map_update(store, DOMAIN, &b, 2, twice, 3, NULL, &list, &bad, NULL), -EINVAL, "a map does not become lower");
}

static void test_splice(void)
{
	struct map_change c[] = { change(1, 1), change(300, 2), change(65536, 3), change(69000, 4) };
	struct map_root none = { .levels = 1 }, from = update(none, 3, c, 4, NULL), got;
	size_t nodes;
	struct object h;
	got = splice(none, 3, from, 0, map_span(3), &nodes);
	ok(hash_equal(&got.hash, &from.hash) && nodes == 0, "a whole map is shared, no node is made");
	got = splice(none, 3, from, 0, 69001, &nodes);
	ok(hash_equal(&got.hash, &from.hash), "as much of it as has data is it");
	got = splice(none, 3, from, 0, 65536, &nodes);
	is_int((int64_t)nodes, 1, "its first half is its first subtree under a new root");
	got = splice(from, 3, none, 65537, UINT64_MAX, &nodes);
	ok(map_find(store, DOMAIN, &got, 65536, &h, NULL) == 0 && hash_equal(&h.hash, &c[2].object.hash), "cut: what is before stays");
	ok(map_find(store, DOMAIN, &got, 69000, &h, NULL) == 0 && hash_is_none(&h.hash), "cut: what is beyond goes");
	got = splice(none, 1, from, 0, 100, &nodes);
	ok(map_find(store, DOMAIN, &got, 1, &h, NULL) == 0 && hash_equal(&h.hash, &c[0].object.hash), "from a taller map");
	struct map_root low = update(none, 1, c, 1, NULL);
	got = splice(from, 3, low, 0, 1000, &nodes);
	ok(map_find(store, DOMAIN, &got, 1, &h, NULL) == 0 && hash_equal(&h.hash, &c[0].object.hash), "from a lower map");
	ok(map_find(store, DOMAIN, &got, 300, &h, NULL) == 0 && hash_is_none(&h.hash), "whose end is holes");
}

static bool seeks_right(struct map_root root, const uint64_t *model)
{
	for (int i = 0; i < 300; i++) {
		uint64_t at = test_random(&seed) % CHUNKS, end = at + test_random(&seed) % (CHUNKS - at + 1), got, want = at;
		bool data = i % 2;
		while (want < end && (model[want] != 0) != data)
			want++;
		if (map_seek(store, DOMAIN, &root, at, end, data, &got, NULL) || got != want)
			return false;
	}
	return true;
}

struct walked {
	const uint64_t *model;
	size_t chunks;
	bool right;
};

static int each(void *ctx, enum object_kind kind, const struct object *o, uint64_t chunk)
{
	struct walked *w = ctx;
	if (kind == OBJECT_NODE)
		return 0;
	struct hash want = some_hash(w->model[chunk]);
	w->right &= hash_equal(&o->hash, &want);
	w->chunks++;
	return 0;
}

static int end_soon(void *ctx, enum object_kind kind, const struct object *o, uint64_t chunk)
{
	(void)o, (void)chunk;
	++*(int *)ctx;
	return kind == OBJECT_CHUNK ? -ECANCELED : 0;
}

static int skip_all(void *ctx, enum object_kind kind, const struct object *o, uint64_t chunk)
{
	(void)kind, (void)o, (void)chunk;
	++*(int *)ctx;
	return 1;
}

static void test_random_maps(void)
{
	static uint64_t model[CHUNKS], other[CHUNKS];
	struct map_root root = { .levels = 1 }, older = root;
	bool right = true, seeks = true;
	for (int round = 0; round < 25 && right; round++) {
		if (round % 5 == 4) {
			uint64_t at = test_random(&seed) % CHUNKS, n = test_random(&seed) % (CHUNKS - at);
			root = splice(root, 3, older, at, n, NULL);
			memcpy(model + at, other + at, n * sizeof *model);
		} else {
			struct map_change c[500];
			size_t n = 0;
			if (round % 5 == 0) {
				older = root;
				memcpy(other, model, sizeof other);
			}
			for (uint64_t at = test_random(&seed) % 3000; at < CHUNKS && n < 500; n++) {
				model[at] = test_random(&seed) % 4 ? test_random(&seed) % 50 : 0;
				c[n] = change(at, model[at]);
				at += 1 + test_random(&seed) % (test_random(&seed) % 8 ? 3 : 20000);
			}
			root = update(root, 3, c, n, NULL);
		}
		right = same(root, model);
		seeks = seeks && seeks_right(root, model);
	}
	ok(right, "random changes and splices read as the model does");
	ok(seeks, "random seeks too");
	ok(same(older, other), "an older map is what it was");
	struct walked w = { model, 0, true };
	size_t data = 0;
	int calls = 0;
	for (unsigned i = 0; i < CHUNKS; i++)
		data += model[i] != 0;
	is_int(map_walk(store, DOMAIN, &root, each, &w, NULL), 0, "a walk");
	ok(w.right && w.chunks == data, "meets each chunk once, in its place");
	is_int(map_walk(store, DOMAIN, &root, end_soon, &calls, NULL), -ECANCELED, "a walk can be ended");
	is_int(calls, 4, "with the first chunk");
	calls = 0;
	is_int(map_walk(store, DOMAIN, &root, skip_all, &calls, NULL), 0, "a node's children can be skipped");
	is_int(calls, 1, "the root's are all");
}

/* ---- a map that is borrowed: nothing but its root is known in DOMAIN ---- */

#define LENDER 8

static struct map_root lent_map(void)
{
	struct pack_writer *w = begin();
	struct map_nodes nodes = { 0 };
	struct map_root none = { .levels = 1 }, root;
	struct map_change c[] = { change(3, 1), change(255, 2), change(300, 1), change(66000, 3) };
	for (unsigned i = 0; i < 4; i++)
		c[i].object.domain = LENDER;
	if (map_update(store, LENDER, &none, 3, c, 4, w, &nodes, &root, NULL))
		bail("cannot make a map to lend");
	map_nodes_free(&nodes);
	commit_to(LENDER, w);
	return root;
}

static int all_lent(void *ctx, enum object_kind kind, const struct object *o, uint64_t chunk)
{
	(void)kind;
	++*(int *)ctx;
	return o->domain == (chunk == 0 && *(int *)ctx == 1 ? DOMAIN : LENDER) ? 0 : -EXDEV;
}

/* Of the nodes of a change: kids that are to be borrowed, and nothing else that is not known or listed. */
static unsigned lent_kids(const struct map_nodes *nodes, bool *ret_right)
{
	unsigned lent = 0;
	*ret_right = true;
	for (size_t i = 0; i < nodes->count; i++)
		for (unsigned k = 0; k < NODE_FANOUT; k++) {
			const struct map_kids *kids = &nodes->items[i].kids;
			if (hash_is_none(&kids->hash[k]))
				continue;
			lent += kids->domain[k] == LENDER;
			*ret_right &= kids->domain[k] == LENDER || kids->domain[k] == DOMAIN;
		}
	return lent;
}

static void test_borrowed(void)
{
	struct map_root lent = lent_map(), got;
	struct map_change c = change(4, 9);
	struct map_nodes nodes = { 0 };
	struct object o[2];
	uint64_t at;
	bool right;
	int calls = 0;
	ok(map_find(store, DOMAIN, &lent, 3, o, NULL) == ERR_DAMAGED, "what is not borrowed is not found");
	index_mem_borrow(mem, DOMAIN, &lent.hash, LENDER);
	ok(map_find_many(store, DOMAIN, &lent, 255, 2, o, NULL) == 0 && o[0].domain == LENDER && hash_is_none(&o[1].hash),
	   "what is below a borrowed root is known to its lender");
	ok(map_seek(store, DOMAIN, &lent, 301, 70000, true, &at, NULL) == 0 && at == 66000, "a seek goes through it");
	ok(map_walk(store, DOMAIN, &lent, all_lent, &calls, NULL) == 0 && calls == 10, "and a walk: only the root is ours");
	struct pack_writer *w = begin();
	if (map_update(store, DOMAIN, &lent, 3, &c, 1, w, &nodes, &got, NULL))
		bail("cannot change a borrowed map");
	is_int((int64_t)nodes.count, 3, "a change makes the nodes on its way");
	is_int(lent_kids(&nodes, &right), 4, "and borrows beside it: two chunks, a leaf, a subtree");
	ok(right, "all the rest is ours");
	map_nodes_free(&nodes);
	is_int((int64_t)commit(w), 3, "nothing but these is stored");
	nodes = (struct map_nodes){ 0 };
	w = begin();
	if (map_splice(store, DOMAIN, &(struct map_root){ .levels = 1 }, 2, &lent, 0, 65536, w, &nodes, &got, NULL))
		bail("cannot take a part of a borrowed map");
	ok(nodes.count == 1 && hash_equal(&nodes.items[0].hash, &got.hash) && lent_kids(&nodes, &right) == 2,
	   "a root that was below a borrowed one becomes our own");
	map_nodes_free(&nodes);
	commit(w);
}

static void test_missing_node(void)
{
	struct map_change c = change(5, 777);
	struct map_root none = { .levels = 1 }, root = update(none, 2, &c, 1, NULL);
	struct object h = { some_hash(42), DOMAIN };
	struct error err;
	index_mem_remove(mem, DOMAIN, &root.hash);
	is_int(map_find(store, DOMAIN, &root, 5, &h, &err), ERR_DAMAGED, "a map whose node is gone is damaged");
	struct hash before = some_hash(42);
	ok(hash_equal(&h.hash, &before), "and nothing is returned");
}

int main(void)
{
	seed = test_seed();
	open_store();
	test_sizes();
	test_update();
	test_splice();
	test_random_maps();
	test_borrowed();
	test_missing_node();
	store_close(store);
	index_mem_free(mem);
	return done_testing();
}
