/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that a map names, nodes before what is below them. The nodes on the way down stay pinned. */
#include "store/map_int.h"

struct walk {
	struct store *store;
	int (*each)(void *ctx, enum object_kind, const struct object *, uint64_t chunk);
	void *ctx;
};

static int walk_kids(const struct walk *, unsigned level, const struct hash *kids, uint32_t domain, uint64_t chunk,
		     struct error *);

/* `level` 0 is a chunk. */
static int walk_tree(const struct walk *w, unsigned level, const struct object *o, uint64_t chunk, struct error *err)
{
	if (hash_is_none(&o->hash))
		return 0;
	int r = w->each(w->ctx, level ? OBJECT_NODE : OBJECT_CHUNK, o, chunk);
	if (r < 0)
		return fail(err, r, "the walk through a map was ended at chunk %llu", (unsigned long long)chunk);
	if (r > 0 || level == 0)
		return 0;
	struct cache_ref ref;
	uint32_t domain;
	r = store_get(w->store, o->domain, OBJECT_NODE, &o->hash, &ref, &domain, err);
	if (r)
		return r;
	r = walk_kids(w, level, ref.data, domain, chunk, err);
	store_put(w->store, OBJECT_NODE, &ref);
	return r;
}

static int walk_kids(const struct walk *w, unsigned level, const struct hash *kids, uint32_t domain, uint64_t chunk,
		     struct error *err)
{
	uint64_t span = map_span((uint8_t)(level - 1));
	int r = 0;
	for (unsigned i = 0; r == 0 && i < NODE_FANOUT; i++)
		r = walk_tree(w, level - 1, &(struct object){ kids[i], domain }, chunk + i * span, err);
	return r;
}

int map_walk(struct store *store, uint32_t domain, const struct map_root *root,
	     int (*each)(void *ctx, enum object_kind, const struct object *, uint64_t chunk), void *ctx,
	     struct error *err)
{
	struct walk w = { store, each, ctx };
	return walk_tree(&w, root->levels, &(struct object){ root->hash, domain }, 0, err);
}
