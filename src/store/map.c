/* SPDX-License-Identifier: Apache-2.0 */
/* Looking things up in a map. Every look-up goes down from the root to the one leaf that matters (a view)
 * and serves as many chunks from it as were asked for; the nodes come from the store's node cache, so
 * going down again for the next leaf costs a few hash look-ups. */
#include "store/map_int.h"

#include "base/num.h"

uint64_t map_span(uint8_t levels)
{
	return levels >= 8 ? UINT64_MAX : (uint64_t)1 << (8 * levels);
}

uint8_t map_levels(uint64_t size)
{
	uint64_t chunks = div_up(size, CHUNK_SIZE);
	uint8_t levels = 1;
	while (map_span(levels) < chunks)
		levels++;
	return levels;
}

/* No node: nothing but holes around `chunk`, as far as a subtree of `level` reaches. */
static void view_holes(struct map_view *v, uint64_t chunk, unsigned level)
{
	uint64_t span = map_span((uint8_t)level);
	*v = (struct map_view){ .first = round_down(chunk, span), .end = round_down(chunk, span) + span };
}

int map_view_at(struct store *store, uint32_t domain, const struct map_root *root, uint64_t chunk,
		struct map_view *ret, struct error *err)
{
	if (chunk >= map_span(root->levels)) {
		*ret = (struct map_view){ .first = map_span(root->levels), .end = UINT64_MAX };
		return 0;
	}
	struct object at = { root->hash, domain };
	for (unsigned level = root->levels;; level--) {
		struct cache_ref ref;
		if (hash_is_none(&at.hash)) {
			view_holes(ret, chunk, level);
			return 0;
		}
		int r = store_get(store, at.domain, OBJECT_NODE, &at.hash, &ref, &at.domain, err);
		if (r)
			return r;
		if (level == 1) {
			uint64_t first = round_down(chunk, NODE_FANOUT);
			*ret = (struct map_view){ first, first + NODE_FANOUT, ref.data, at.domain, ref };
			return 0;
		}
		at.hash = ((const struct hash *)ref.data)[map_slot(chunk, level)];
		store_put(store, OBJECT_NODE, &ref);
	}
}

void map_unview(struct store *store, struct map_view *v)
{
	if (v->kids)
		store_put(store, OBJECT_NODE, &v->ref);
	v->kids = NULL;
}

int map_find_many(struct store *store, uint32_t domain, const struct map_root *root, uint64_t chunk, unsigned count,
		  struct object *ret, struct error *err)
{
	while (count > 0) {
		struct map_view v;
		int r = map_view_at(store, domain, root, chunk, &v, err);
		if (r)
			return r;
		unsigned n = (unsigned)MIN((uint64_t)count, v.end - chunk);
		for (unsigned i = 0; i < n; i++)
			ret[i] = (struct object){ v.kids ? v.kids[chunk - v.first + i] : hash_none, v.domain };
		map_unview(store, &v);
		chunk += n;
		ret += n;
		count -= n;
	}
	return 0;
}

int map_find(struct store *store, uint32_t domain, const struct map_root *root, uint64_t chunk, struct object *ret,
	     struct error *err)
{
	struct object found;
	int r = map_find_many(store, domain, root, chunk, 1, &found, err);
	if (r == 0)
		*ret = found;
	return r;
}

/* The first chunk of the view, from `chunk` on, that is what is wanted; v->end if none is. */
static uint64_t seek_in_view(const struct map_view *v, uint64_t chunk, bool want_data)
{
	if (!v->kids)
		return want_data ? v->end : chunk;
	while (chunk < v->end && hash_is_none(&v->kids[chunk - v->first]) == want_data)
		chunk++;
	return chunk;
}

int map_seek(struct store *store, uint32_t domain, const struct map_root *root, uint64_t chunk, uint64_t end,
	     bool want_data, uint64_t *ret, struct error *err)
{
	while (chunk < end) {
		struct map_view v;
		int r = map_view_at(store, domain, root, chunk, &v, err);
		if (r)
			return r;
		chunk = seek_in_view(&v, chunk, want_data);
		bool found = chunk < v.end;
		map_unview(store, &v);
		if (found)
			break;
	}
	*ret = MIN(chunk, end);
	return 0;
}
