/* SPDX-License-Identifier: Apache-2.0 */
/* Making nodes. A node is hashed when its kids are complete; only one that is new in this change goes
 * into the writer and the list, and each only once, however often the same content appears.
 *
 * What a node that is borrowed names is known in the lender's domain, and so are the kids that a change leaves as they are:
 * they are listed with that domain, for the commit to borrow them too. */
#include "store/map_int.h"

#include <stdlib.h>
#include <string.h>

void map_nodes_free(struct map_nodes *nodes)
{
	free(nodes->items);
	*nodes = (struct map_nodes){ 0 };
}

static size_t slot_of(const struct map_build *b, const struct hash *hash)
{
	size_t i;
	memcpy(&i, hash->b, sizeof i);
	for (i &= b->n_slots - 1; b->slots[i]; i = (i + 1) & (b->n_slots - 1))
		if (hash_equal(&b->nodes->items[b->slots[i] - 1].hash, hash))
			break;
	return i;
}

/* Make the table fit for one more node. */
static void make_room(struct map_build *b)
{
	if (b->n_slots >= 2 * (b->nodes->count + 1))
		return;
	b->n_slots = 64;
	while (b->n_slots < 4 * (b->nodes->count + 1))
		b->n_slots *= 2;
	free(b->slots);
	b->slots = calloc(b->n_slots, sizeof *b->slots);
	if (!b->slots)
		abort();
	for (size_t i = 0; i < b->nodes->count; i++)
		b->slots[slot_of(b, &b->nodes->items[i].hash)] = (uint32_t)i + 1;
}

void map_build_begin(struct map_build *b, struct store *store, uint32_t domain, struct pack_writer *writer,
		     struct map_nodes *nodes)
{
	*b = (struct map_build){ .store = store, .domain = domain, .writer = writer, .nodes = nodes };
}

void map_build_end(struct map_build *b) { free(b->slots); }

static void list_node(struct map_build *b, unsigned level, const struct hash *hash, const struct map_kids *kids)
{
	struct map_nodes *n = b->nodes;
	if (n->count == n->room) {
		n->room = n->room ? 2 * n->room : 8;
		n->items = realloc(n->items, n->room * sizeof *n->items);
		if (!n->items)
			abort();
	}
	struct map_node *item = &n->items[n->count++];
	item->hash = *hash;
	item->level = (uint8_t)level;
	item->kids = *kids;
}

static void fill(struct map_kids *ret, const struct hash *hashes, uint32_t domain)
{
	memcpy(ret->hash, hashes, NODE_SIZE);
	for (unsigned i = 0; i < NODE_FANOUT; i++)
		ret->domain[i] = domain;
}

int map_build_load(struct map_build *b, unsigned level, const struct map_tree *tree, struct map_kids *ret,
		   bool *ret_low, struct error *err)
{
	bool none = hash_is_none(&tree->top.hash);
	if (none || tree->levels < level) {
		memset(ret, 0, sizeof *ret);
		*ret_low = !none;
		return 0;
	}
	*ret_low = false;
	make_room(b);
	uint32_t listed = b->slots[slot_of(b, &tree->top.hash)], domain;
	if (listed) { /* made by an earlier change of the same commit: the index does not know it yet */
		*ret = b->nodes->items[listed - 1].kids;
		return 0;
	}
	struct cache_ref ref;
	int r = store_get(b->store, tree->top.domain, OBJECT_NODE, &tree->top.hash, &ref, &domain, err);
	if (r)
		return r;
	fill(ret, ref.data, domain);
	store_put(b->store, OBJECT_NODE, &ref);
	return 0;
}

static bool all_none(const struct map_kids *kids)
{
	for (unsigned i = 0; i < NODE_FANOUT; i++)
		if (!hash_is_none(&kids->hash[i]))
			return false;
	return true;
}

int map_build_node(struct map_build *b, unsigned level, const struct map_kids *kids, const struct object *old,
		   struct object *ret, struct error *err)
{
	if (all_none(kids)) {
		*ret = (struct object){ hash_none, b->domain };
		return 0;
	}
	struct hash hash;
	hash_of(kids->hash, NODE_SIZE, &hash);
	if (hash_equal(&hash, &old->hash)) {
		*ret = *old;
		return 0;
	}
	make_room(b);
	size_t slot = slot_of(b, &hash);
	if (!b->slots[slot]) {
		int r = store_make(b->store, b->writer, b->domain, OBJECT_NODE, &hash, kids, err);
		if (r)
			return r;
		list_node(b, level, &hash, kids);
		b->slots[slot] = (uint32_t)b->nodes->count;
	}
	*ret = (struct object){ hash, b->domain };
	return 0;
}
