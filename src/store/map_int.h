/* SPDX-License-Identifier: Apache-2.0 */
/* map_int: what the files of the map share: looking into a leaf, and building new nodes. */
#ifndef IMAGEFS_STORE_MAP_INT_H
#define IMAGEFS_STORE_MAP_INT_H

#include "store/map.h"

static inline unsigned map_slot(uint64_t chunk, unsigned level)
{
	return (unsigned)(chunk >> (8 * (level - 1))) % NODE_FANOUT;
}

/* The leaf that names a chunk, or the largest empty subtree that the chunk lies in. */
struct map_view {
	uint64_t first, end;      /* chunks that this view tells of */
	const struct hash *kids;  /* of [first, end); NULL: all are holes */
	uint32_t domain;          /* where they are known */
	struct cache_ref ref;
};

/* To be released by map_unview(). */
int map_view_at(struct store *, uint32_t domain, const struct map_root *, uint64_t chunk, struct map_view *ret,
		struct error *err) MUST_USE;
void map_unview(struct store *, struct map_view *);

/* A tree, or a part of one, and where it is known. */
struct map_tree {
	struct object top;
	uint8_t levels;
};

/* One change of a map under way: where nodes go, and which hashes are listed already. */
struct map_build {
	struct store *store;
	uint32_t domain;
	struct pack_writer *writer;
	struct map_nodes *nodes;
	uint32_t *slots; /* open addressing: 1 + index into nodes->items; 0 = free */
	size_t n_slots;  /* a power of two, at least twice nodes->count */
};

void map_build_begin(struct map_build *, struct store *, uint32_t domain, struct pack_writer *, struct map_nodes *);
void map_build_end(struct map_build *);

/* The kids of the node `tree`, seen as a node of `level`. A tree that is lower than `level` is the first kid
 * of the first kid … : then *ret_low is true, kids are all none, and kid 0 is `tree` itself. */
int map_build_load(struct map_build *, unsigned level, const struct map_tree *tree, struct map_kids *ret,
		   bool *ret_low, struct error *err) MUST_USE;

/* The node with these kids; made and listed unless it is `old` or all none. */
int map_build_node(struct map_build *, unsigned level, const struct map_kids *, const struct object *old,
		   struct object *ret, struct error *err) MUST_USE;

#endif
