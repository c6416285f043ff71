/* SPDX-License-Identifier: Apache-2.0 */
/* pack: many objects in one immutable backend object of at most 64 MiB, with an index of its own.
 *
 * On disk (docs/format-pack.md; constants in pack_format.h): header, frames one after another,
 * index sorted by hash, footer with the SHA-256 of the index. Named "pack-%08x" by its number.
 *
 * A writer is for one batch of work; several threads may add to it. It is durable, and can be
 * told to the catalog, only after pack_seal(). Freed before that, it leaves nothing behind.
 */
#ifndef IMAGEFS_STORE_PACK_H
#define IMAGEFS_STORE_PACK_H

#include <stdbool.h>

#include "backend/backend.h"
#include "store/chunk.h"

struct pack_item {
	struct hash hash;
	struct place place;
};

struct pack_writer;

/* `numbers` gives out pack numbers: *numbers is the next one; it is raised (atomically) past every
 * number that is taken, also past those that put() finds taken (-EEXIST). */
int pack_begin(struct pack_writer **ret, struct backend *, _Atomic uint32_t *numbers, struct error *err) MUST_USE;

/* Append one frame. ERR_FULL: no room, seal this one. 0 also when the writer has that hash already
 * (nothing is appended). Thread-safe. Writeback of what was appended is started as it grows. */
int pack_add(struct pack_writer *, const struct hash *, enum object_kind, const void *frame, size_t len,
	     struct error *err) MUST_USE;

/* Whether what goes in besides may count on what the pool is said to have only once that was read (store_make()). Thread-safe. */
void pack_set_careful(struct pack_writer *, bool);
bool pack_is_careful(const struct pack_writer *);

/* Does this writer have it already? Thread-safe. */
bool pack_has(struct pack_writer *, const struct hash *);

/* Write the index, make it durable under its name. An empty one makes no object and succeeds. */
int pack_seal(struct pack_writer *, struct error *err) MUST_USE;

/* After the seal: what is in it, sorted by hash; its number; its size in bytes (0 if empty). */
const struct pack_item *pack_items(const struct pack_writer *, size_t *ret_count);
uint32_t pack_number(const struct pack_writer *);
uint64_t pack_bytes(const struct pack_writer *);
void pack_free(struct pack_writer *); /* NULL allowed */

/* Read a frame (place.length bytes) into buf. -ENOENT if the pack is gone. */
int pack_read_frame(struct backend *, const struct place *, void *buf, struct error *err) MUST_USE;

/* Read and verify the index of pack `number`. Caller frees *ret. ERR_DAMAGED if it does not hold. */
int pack_read_index(struct backend *, uint32_t number, struct pack_item **ret, size_t *ret_count,
		    struct error *err) MUST_USE;

/* Name of pack `number` (ret has 20 bytes), and back (0 if it is no pack's name). */
char *pack_name(uint32_t number, char ret[20]);
uint32_t pack_number_of(const char *name);

#endif
