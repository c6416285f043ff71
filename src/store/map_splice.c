/* SPDX-License-Identifier: Apache-2.0 */
/* A map with a range taken from another one. Subtrees wholly inside the range are the other map's, those
 * wholly outside are the old one's; only nodes that an edge of the range cuts through are made anew, so
 * the cost is two paths, whatever the length. */
#include "store/map_int.h"

#include "base/num.h"

struct range {
	uint64_t first, end; /* chunks */
};

static int splice_tree(struct map_build *, unsigned level, uint64_t base, const struct map_tree *old,
		       const struct map_tree *from, const struct range *, struct object *ret, struct error *);

static struct map_tree kid_tree(const struct map_tree *tree, const struct map_kids *kids, bool low, unsigned i,
				unsigned level)
{
	if (low && i == 0)
		return *tree;
	return (struct map_tree){ { kids->hash[i], kids->domain[i] }, (uint8_t)(level - 1) };
}

static int splice_kids(struct map_build *b, unsigned level, uint64_t base, const struct map_tree *old,
		       const struct map_tree *from, const struct range *range, struct map_kids *kids, struct error *err)
{
	struct map_kids theirs;
	struct object made;
	bool low, from_low;
	int r = map_build_load(b, level, old, kids, &low, err);
	if (r == 0)
		r = map_build_load(b, level, from, &theirs, &from_low, err);
	for (unsigned i = 0; r == 0 && i < NODE_FANOUT; i++) {
		struct map_tree a = kid_tree(old, kids, low, i, level);
		struct map_tree f = kid_tree(from, &theirs, from_low, i, level);
		r = splice_tree(b, level - 1, base + i * map_span((uint8_t)(level - 1)), &a, &f, range, &made, err);
		if (r)
			break;
		kids->hash[i] = made.hash;
		kids->domain[i] = made.domain;
	}
	return r;
}

/* What node of `level`, whose first chunk is `base`, becomes. Level 0 is a chunk. */
static int splice_tree(struct map_build *b, unsigned level, uint64_t base, const struct map_tree *old,
		       const struct map_tree *from, const struct range *range, struct object *ret, struct error *err)
{
	uint64_t end = base + map_span((uint8_t)level);
	bool outside = end <= range->first || base >= range->end;
	bool inside = base >= range->first && end <= range->end;
	const struct map_tree *whole = outside ? old : inside ? from : NULL;
	if (whole && (whole->levels == level || hash_is_none(&whole->top.hash))) {
		*ret = whole->top;
		return 0;
	}
	struct map_kids kids;
	int r = splice_kids(b, level, base, old, from, range, &kids, err);
	return r ? r : map_build_node(b, level, &kids, &old->top, ret, err);
}

/* The first part of a tree, as one of `levels`: what a lower map can name of it. */
static int lower(struct map_build *b, struct map_tree *tree, uint8_t levels, struct error *err)
{
	struct map_kids kids;
	bool low;
	while (tree->levels > levels) {
		int r = map_build_load(b, tree->levels, tree, &kids, &low, err);
		if (r)
			return r;
		tree->top = (struct object){ kids.hash[0], kids.domain[0] };
		tree->levels--;
	}
	return 0;
}

/* Of a map that was borrowed and lowered, the root may be a node that this domain does not know: then it becomes one of its own. */
static int own_root(struct map_build *b, uint8_t levels, struct object *root, struct error *err)
{
	struct map_tree tree = { *root, levels };
	struct map_kids kids;
	bool low;
	if (root->domain == b->domain || hash_is_none(&root->hash))
		return 0;
	int r = map_build_load(b, levels, &tree, &kids, &low, err);
	return r ? r : map_build_node(b, levels, &kids, &(struct object){ .domain = 0 }, root, err);
}

int map_splice(struct store *store, uint32_t domain, const struct map_root *old, uint8_t levels,
	       const struct map_root *from, uint64_t first, uint64_t count, struct pack_writer *writer,
	       struct map_nodes *nodes, struct map_root *ret, struct error *err)
{
	struct map_build b;
	struct map_tree tree = { { old->hash, domain }, old->levels }, source = { { from->hash, domain }, from->levels };
	struct object made;
	struct range range = { first, count > UINT64_MAX - first ? UINT64_MAX : first + count };
	if (levels < old->levels)
		return fail(err, -EINVAL, "a map of %u levels cannot become one of %u", old->levels, levels);
	map_build_begin(&b, store, domain, writer, nodes);
	int r = lower(&b, &source, levels, err);
	if (r == 0)
		r = splice_tree(&b, levels, 0, &tree, &source, &range, &made, err);
	if (r == 0)
		r = own_root(&b, levels, &made, err);
	map_build_end(&b);
	if (r == 0)
		*ret = (struct map_root){ made.hash, levels };
	return r;
}
