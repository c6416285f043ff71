/* SPDX-License-Identifier: Apache-2.0 */
/* A map with a range taken from another one. Subtrees wholly inside the range are the other map's, those
 * wholly outside are the old one's; only nodes that an edge of the range cuts through are made anew, so
 * the cost is two paths, whatever the length. */
#include "store/map_int.h"

#include <string.h>

#include "base/num.h"

struct range {
	uint64_t first, end; /* chunks */
};

static int splice_tree(struct map_build *, unsigned level, uint64_t base, const struct map_root *old,
		       const struct map_root *from, const struct range *, struct hash *ret, struct error *);

static struct map_root kid_tree(const struct map_root *tree, const struct hash *kids, bool low, unsigned i,
				unsigned level)
{
	if (low && i == 0)
		return *tree;
	return (struct map_root){ kids[i], (uint8_t)(level - 1) };
}

static int splice_kids(struct map_build *b, unsigned level, uint64_t base, const struct map_root *old,
		       const struct map_root *from, const struct range *range, struct hash kids[NODE_FANOUT],
		       struct error *err)
{
	struct hash theirs[NODE_FANOUT];
	bool low, from_low;
	int r = map_build_load(b, level, old, kids, &low, err);
	if (r == 0)
		r = map_build_load(b, level, from, theirs, &from_low, err);
	for (unsigned i = 0; r == 0 && i < NODE_FANOUT; i++) {
		struct map_root a = kid_tree(old, kids, low, i, level);
		struct map_root f = kid_tree(from, theirs, from_low, i, level);
		r = splice_tree(b, level - 1, base + i * map_span((uint8_t)(level - 1)), &a, &f, range, &kids[i], err);
	}
	return r;
}

/* What node of `level`, whose first chunk is `base`, becomes. Level 0 is a chunk. */
static int splice_tree(struct map_build *b, unsigned level, uint64_t base, const struct map_root *old,
		       const struct map_root *from, const struct range *range, struct hash *ret, struct error *err)
{
	uint64_t end = base + map_span((uint8_t)level);
	bool outside = end <= range->first || base >= range->end;
	bool inside = base >= range->first && end <= range->end;
	const struct map_root *whole = outside ? old : inside ? from : NULL;
	if (whole && (whole->levels == level || hash_is_none(&whole->hash))) {
		*ret = whole->hash;
		return 0;
	}
	struct hash kids[NODE_FANOUT];
	int r = splice_kids(b, level, base, old, from, range, kids, err);
	return r ? r : map_build_node(b, level, kids, &old->hash, ret, err);
}

/* The first part of a tree, as one of `levels`: what a lower map can name of it. */
static int lower(struct map_build *b, const struct map_root *tree, uint8_t levels, struct map_root *ret,
		 struct error *err)
{
	struct hash kids[NODE_FANOUT];
	bool low;
	*ret = *tree;
	while (ret->levels > levels) {
		int r = map_build_load(b, ret->levels, ret, kids, &low, err);
		if (r)
			return r;
		ret->hash = kids[0];
		ret->levels--;
	}
	return 0;
}

int map_splice(struct store *store, uint32_t domain, const struct map_root *old, uint8_t levels,
	       const struct map_root *from, uint64_t first, uint64_t count, struct pack_writer *writer,
	       struct map_nodes *nodes, struct map_root *ret, struct error *err)
{
	struct map_build b;
	struct map_root source, made = { .levels = levels };
	struct range range = { first, count > UINT64_MAX - first ? UINT64_MAX : first + count };
	if (levels < old->levels)
		return fail(err, -EINVAL, "a map of %u levels cannot become one of %u", old->levels, levels);
	map_build_begin(&b, store, domain, writer, nodes);
	int r = lower(&b, from, levels, &source, err);
	if (r == 0)
		r = splice_tree(&b, levels, 0, old, &source, &range, &made.hash, err);
	map_build_end(&b);
	if (r == 0)
		*ret = made;
	return r;
}
