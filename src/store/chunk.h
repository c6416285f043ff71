/* SPDX-License-Identifier: Apache-2.0 */
/* chunk: the sizes that everything agrees on.
 *
 * A disk is cut into chunks of 64 KiB at fixed offsets (the last one padded with zeros). A chunk of
 * zeros is not stored; its hash is hash_none. Writable disks remember what was written in blocks
 * of 4 KiB. Which chunk lies where is told by a tree of nodes, each 256 hashes (8 KiB): a leaf
 * names chunks, an inner node names nodes. An all-none node is not stored either: its hash is
 * hash_none too. Chunks and nodes are both *objects*: content-addressed, in packs.
 */
#ifndef IMAGEFS_STORE_CHUNK_H
#define IMAGEFS_STORE_CHUNK_H

#include "base/hash.h"

#define CHUNK_SIZE 65536u
#define BLOCK_SIZE 4096u
#define CHUNK_BLOCKS (CHUNK_SIZE / BLOCK_SIZE) /* 16: a bit each in a uint16_t */
#define NODE_FANOUT 256u
#define NODE_SIZE (NODE_FANOUT * HASH_SIZE) /* 8192 */

enum object_kind {
	OBJECT_CHUNK = 0, /* CHUNK_SIZE bytes */
	OBJECT_NODE = 1,  /* NODE_SIZE bytes */
};

static inline size_t object_size(enum object_kind kind) { return kind == OBJECT_NODE ? NODE_SIZE : CHUNK_SIZE; }

/* An object as somebody knows it: its name, and the domain (index.h) in which it is to be looked up. */
struct object {
	struct hash hash;
	uint32_t domain;
};

/* Where an object lies: a frame in a pack. */
struct place {
	uint32_t pack;   /* number of the pack, from 1 */
	uint32_t offset; /* of the frame in it */
	uint32_t length; /* of the frame, compressed */
	uint8_t kind;    /* enum object_kind */
};

/* The map of a disk: the root of its tree. levels: 1 = root is a leaf (16 MiB), 2 = 4 GiB,
 * 3 = 1 TiB, 4 = 256 TiB. An empty map has hash_none at any level. */
struct map_root {
	struct hash hash;
	uint8_t levels;
};

#endif
