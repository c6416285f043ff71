/* SPDX-License-Identifier: Apache-2.0 */
/* overlay: what was written over a disk's map and is not folded into it yet.
 *
 * Two sparse files in the store's `overlay/` folder: NUMBER.data holds the bytes at their own
 * offsets, NUMBER.bits two bytes a chunk, a bit a block that is valid in .data (docs/format-overlay.md).
 * Both are ordinary page-cache files, so what write acknowledged outlives the process; sync()
 * makes it outlive the power. The bits are mapped shared; their file's space is allocated before it is
 * touched, so that a full disk is an error and never a SIGBUS.
 * Not thread-safe by itself except where said: disk.c does the locking.
 */
#ifndef IMAGEFS_STORE_OVERLAY_H
#define IMAGEFS_STORE_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "store/chunk.h"

struct overlay;

/* Opens what is there (after a crash), or starts empty; files are made at the first write. */
int overlay_open(struct overlay **ret, const char *dir, uint64_t number, struct error *err) MUST_USE;
void overlay_close(struct overlay *);                     /* files stay unless empty */
int overlay_remove(const char *dir, uint64_t number, struct error *err) MUST_USE; /* none is fine */

bool overlay_empty(const struct overlay *);               /* no bit set */
uint64_t overlay_bytes(const struct overlay *);           /* blocks set, in bytes */
uint16_t overlay_bits(const struct overlay *, uint64_t chunk); /* atomic load, any thread */

/* Whole blocks: store the bytes, then set the bits (atomically). Any thread, different blocks. */
int overlay_write(struct overlay *, const void *buf, size_t len, uint64_t offset, struct error *err) MUST_USE;
int overlay_read(struct overlay *, void *buf, size_t len, uint64_t offset, struct error *err) MUST_USE;

/* Blocks become valid zeros without storing bytes (punches). Whole blocks. */
int overlay_zero(struct overlay *, uint64_t offset, uint64_t len, struct error *err) MUST_USE;

/* Forget a chunk / everything from an offset on: clear its bits first, then punch its bytes. */
int overlay_drop(struct overlay *, uint64_t chunk, struct error *err) MUST_USE;
int overlay_drop_from(struct overlay *, uint64_t chunk, struct error *err) MUST_USE;

/* The first chunk >= chunk with any bit set; UINT64_MAX if none. Skips holes of the bits file fast. */
uint64_t overlay_next(struct overlay *, uint64_t chunk);

int overlay_sync(struct overlay *, struct error *err) MUST_USE; /* bytes, then bits, durable */

#endif
