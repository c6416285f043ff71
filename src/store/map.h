/* SPDX-License-Identifier: Apache-2.0 */
/* map: which chunk lies where in a disk: an immutable tree of content-addressed nodes (chunk.h).
 *
 * Looking up loads one node a level. Changing makes new nodes for the changed paths only and
 * shares all others with the map it came from.
 *
 * A map is read and changed in the domain of the disk that it belongs to. Parts of it may be borrowed from other domains
 * (index.h); the answers say of each object where it is known.
 */
#ifndef IMAGEFS_STORE_MAP_H
#define IMAGEFS_STORE_MAP_H

#include "store/store.h"

/* Levels that a disk of `size` bytes needs (1 at least). Chunks that a tree of `levels` can name. */
uint8_t map_levels(uint64_t size);
uint64_t map_span(uint8_t levels);

/* Chunk `chunk` (hash_none: a hole, also beyond the tree's span). */
int map_find(struct store *, uint32_t domain, const struct map_root *, uint64_t chunk, struct object *ret,
	     struct error *err) MUST_USE;

/* The same for `count` chunks in a row: one node load serves neighbours. */
int map_find_many(struct store *, uint32_t domain, const struct map_root *, uint64_t chunk, unsigned count,
		  struct object *ret, struct error *err) MUST_USE;

/* The first chunk >= `chunk` and < `end` that is data (want_data) or a hole; `end` if there is none.
 * Empty subtrees are stepped over in one go. */
int map_seek(struct store *, uint32_t domain, const struct map_root *, uint64_t chunk, uint64_t end,
	     bool want_data, uint64_t *ret, struct error *err) MUST_USE;

/* A node that map_update or map_splice made: its hash and what it names. */
struct map_kids {
	struct hash hash[NODE_FANOUT];
	uint32_t domain[NODE_FANOUT]; /* where each is known: that of the map, or one to borrow from */
};
struct map_node {
	struct hash hash;
	uint8_t level; /* 1 = leaf: kids are chunks; else kids are nodes */
	struct map_kids kids;
};
struct map_nodes { /* children come before their parents; no hash twice */
	struct map_node *items;
	size_t count, room;
};
void map_nodes_free(struct map_nodes *);

struct map_change {
	uint64_t chunk;
	struct object object; /* hash_none: becomes a hole */
};

/* The map `old` with these changes (sorted by chunk, none twice), tall enough for `levels` (>= old's;
 * growing the tree keeps its content). Whatever domains parts of it are borrowed from, the new nodes, and the root,
 * are the map's own domain's. New nodes are appended to `nodes` and put into `writer`
 * (ERR_FULL as there: seal, commit what you have, try again with another writer). */
int map_update(struct store *, uint32_t domain, const struct map_root *old, uint8_t levels,
	       const struct map_change *, size_t count, struct pack_writer *writer, struct map_nodes *nodes,
	       struct map_root *ret, struct error *err) MUST_USE;

/* The map `old` in which chunks [first, first+count) are those of `from` (of the same domain) at the same positions.
 * Whole subtrees are shared, so the cost does not follow `count`. */
int map_splice(struct store *, uint32_t domain, const struct map_root *old, uint8_t levels,
	       const struct map_root *from, uint64_t first, uint64_t count, struct pack_writer *writer,
	       struct map_nodes *nodes, struct map_root *ret, struct error *err) MUST_USE;

/* Cut to `chunks` chunks: what lies beyond becomes holes. (map_splice from an empty map does it.) */

/* Walk all that a tree names: each(ctx, kind, object, chunk) for nodes before their children; `chunk` is
 * the first chunk below. A non-zero answer for a node below 1000 and > 0 skips its children; < 0 ends. */
int map_walk(struct store *, uint32_t domain, const struct map_root *,
	     int (*each)(void *ctx, enum object_kind, const struct object *, uint64_t chunk), void *ctx,
	     struct error *err) MUST_USE;

#endif
