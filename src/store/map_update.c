/* SPDX-License-Identifier: Apache-2.0 */
/* A map with some chunks changed. The changes are sorted, so each touched node is met once: its kids are
 * loaded, the changes below each kid are carried out by going down, and then the node is made. */
#include "store/map_int.h"

#include "base/num.h"

/* How many of the changes lie below the same kid as the first. */
static size_t same_kid(const struct map_change *changes, size_t count, unsigned level)
{
	uint64_t span = map_span((uint8_t)(level - 1)), end = round_down(changes[0].chunk, span) + span;
	size_t n = 1;
	while (n < count && changes[n].chunk < end)
		n++;
	return n;
}

static int update_tree(struct map_build *, unsigned level, const struct map_tree *old, const struct map_change *,
		       size_t count, struct object *ret, struct error *);

/* What kid `i` becomes, which was `kid`. */
static int update_kid(struct map_build *b, unsigned level, struct map_kids *kids, unsigned i, const struct map_tree *kid,
		      const struct map_change *changes, size_t count, struct error *err)
{
	struct object made;
	int r = update_tree(b, level - 1, kid, changes, count, &made, err);
	if (r)
		return r;
	kids->hash[i] = made.hash;
	kids->domain[i] = made.domain;
	return 0;
}

static int update_kids(struct map_build *b, unsigned level, struct map_kids *kids, const struct map_tree *low,
		       const struct map_change *changes, size_t count, struct error *err)
{
	while (count > 0) {
		unsigned i = map_slot(changes->chunk, level);
		size_t n = same_kid(changes, count, level);
		struct map_tree kid = { { kids->hash[i], kids->domain[i] }, (uint8_t)(level - 1) };
		if (low && i == 0)
			kid = *low;
		int r = update_kid(b, level, kids, i, &kid, changes, n, err);
		if (r)
			return r;
		changes += n;
		count -= n;
	}
	return 0;
}

static int update_inner(struct map_build *b, unsigned level, const struct map_tree *old,
			const struct map_change *changes, size_t count, struct map_kids *kids, struct error *err)
{
	bool low;
	int r = map_build_load(b, level, old, kids, &low, err);
	if (r)
		return r;
	bool first_untouched = count == 0 || map_slot(changes->chunk, level) != 0;
	if (low && first_untouched) /* the old tree becomes the first kid as it is */
		r = update_kid(b, level, kids, 0, old, NULL, 0, err);
	return r ? r : update_kids(b, level, kids, low ? old : NULL, changes, count, err);
}

static int update_leaf(struct map_build *b, const struct map_tree *old, const struct map_change *changes, size_t count,
		       struct map_kids *kids, struct error *err)
{
	bool low;
	int r = map_build_load(b, 1, old, kids, &low, err);
	for (size_t i = 0; r == 0 && i < count; i++) {
		unsigned slot = map_slot(changes[i].chunk, 1);
		kids->hash[slot] = changes[i].object.hash;
		kids->domain[slot] = changes[i].object.domain;
	}
	return r;
}

/* `old` (of at most `level` levels) with the changes, as a node of `level`. */
static int update_tree(struct map_build *b, unsigned level, const struct map_tree *old,
		       const struct map_change *changes, size_t count, struct object *ret, struct error *err)
{
	if (count == 0 && (old->levels == level || hash_is_none(&old->top.hash))) {
		*ret = old->top;
		return 0;
	}
	struct map_kids kids;
	int r = level == 1 ? update_leaf(b, old, changes, count, &kids, err)
			   : update_inner(b, level, old, changes, count, &kids, err);
	return r ? r : map_build_node(b, level, &kids, &old->top, ret, err);
}

int map_update(struct store *store, uint32_t domain, const struct map_root *old, uint8_t levels,
	       const struct map_change *changes, size_t count, struct pack_writer *writer, struct map_nodes *nodes,
	       struct map_root *ret, struct error *err)
{
	struct map_build b;
	struct map_tree tree = { { old->hash, domain }, old->levels };
	struct object made;
	if (levels < old->levels)
		return fail(err, -EINVAL, "a map of %u levels cannot become one of %u", old->levels, levels);
	if (count && changes[count - 1].chunk >= map_span(levels))
		return fail(err, -EINVAL, "a map of %u levels has no chunk %llu", levels,
			    (unsigned long long)changes[count - 1].chunk);
	map_build_begin(&b, store, domain, writer, nodes);
	int r = update_tree(&b, levels, &tree, changes, count, &made, err);
	map_build_end(&b);
	if (r == 0)
		*ret = (struct map_root){ made.hash, levels };
	return r;
}
