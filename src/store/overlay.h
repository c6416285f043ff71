/* SPDX-License-Identifier: Apache-2.0 */
/* overlay: what was written over a disk's map and is not folded into it yet.
 *
 * Files in the store's `overlay/` folder (docs/format-overlay.md): NUMBER.data holds the bytes at their own
 * offsets, NUMBER.live a bit a block that is valid in .data, mapped shared. Both are ordinary page-cache
 * files, so what write acknowledged outlives the process. sync() makes it outlive the power: NUMBER.bits has the
 * bits whose bytes are durable, NUMBER.log the blocks of small syncs. After a power cut each block is as at
 * the last sync or as written since, never anything else. Space for bits is allocated before they are
 * touched, so that a full disk is an error and never a SIGBUS.
 * Not thread-safe by itself except where said: disk.c does the locking.
 */
#ifndef IMAGEFS_STORE_OVERLAY_H
#define IMAGEFS_STORE_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/chunk.h"

struct overlay;

/* Opens what is there (after a crash), or starts empty; files are made at the first write. */
int overlay_open(struct overlay **ret, const char *dir, uint64_t number, struct error *err) MUST_USE;
bool overlay_recovered(const struct overlay *);           /* was it of another boot? Then see above */
void overlay_close(struct overlay *);                     /* files stay unless empty; syncs what was not */
int overlay_remove(const char *dir, uint64_t number, struct error *err) MUST_USE; /* none is fine */

/* Forget all and remove the files. *ret_fd is the last hold on the bytes (or -1): closing it gives their space
 * back, which takes a while. */
int overlay_reset(struct overlay *, int *ret_fd, struct error *err) MUST_USE;

/* Two numbers for disk.c that live as long as the bits: the size of the disk, and its cut: from that byte on
 * (a multiple of CHUNK_SIZE) the map below counts for nothing. OVERLAY_NONE: not set. */
#define OVERLAY_NONE UINT64_MAX
uint64_t overlay_size(const struct overlay *);
uint64_t overlay_cut(const struct overlay *);
int overlay_set_size(struct overlay *, uint64_t size, struct error *err) MUST_USE;
int overlay_set_cut(struct overlay *, uint64_t cut, struct error *err) MUST_USE;

/* When the disk was changed last, ns; 0: it has no files, so that is not known here. A note in memory that outlives the process: it costs no
 * write. After a power cut it is when the bytes were. Any thread. */
int64_t overlay_mtime(const struct overlay *);
void overlay_set_mtime(struct overlay *, int64_t mtime);

bool overlay_empty(const struct overlay *);               /* no bit set */
uint64_t overlay_bytes(const struct overlay *);           /* blocks set, in bytes */
uint64_t overlay_stored(struct overlay *);                /* what the bytes take on the host: zeros take nothing */
uint16_t overlay_bits(const struct overlay *, uint64_t chunk); /* atomic load, any thread */

/* Whole blocks: store the bytes, then set the bits (atomically). Any thread, different blocks. */
int overlay_write(struct overlay *, const void *buf, size_t len, uint64_t offset, struct error *err) MUST_USE;
int overlay_read(struct overlay *, void *buf, size_t len, uint64_t offset, struct error *err) MUST_USE;

/* Blocks become valid zeros without storing bytes (punches). Whole blocks. */
int overlay_zero(struct overlay *, uint64_t offset, uint64_t len, struct error *err) MUST_USE;

/* Forget a chunk / everything from an offset on: clear its bits first, then punch its bytes. */
int overlay_drop(struct overlay *, uint64_t chunk, struct error *err) MUST_USE;
int overlay_drop_from(struct overlay *, uint64_t chunk, struct error *err) MUST_USE;

/* The parts of a drop, for many at once: clear the bits of chunks, make that durable once, then punch those
 * whose bits are still clear. sync_bits() costs nothing when no clear bit was ever durable as set. */
void overlay_clear(struct overlay *, uint64_t chunk);
/* Is what was read from it until now what was written to it? Not once the kernel could not write a page: it may have thrown it away
 * since, and zeros are read there. Asks the kernel, which waits for nothing and writes nothing. Once the answer was an error it is one
 * in every later process, too, until all is forgotten. Asked after reading, and before what was read counts for more than the overlay. */
int overlay_check(struct overlay *, struct error *err) MUST_USE;
int overlay_broken(const struct overlay *, struct error *err) MUST_USE; /* was such a loss noticed? Waits for nobody */
/* Which one of the overlays that the disk has had this is; 0: it has no files, or none that a power cut leaves with this number. */
uint64_t overlay_life(const struct overlay *);

/* Before a commit that takes all that is in it: the catalog will name its life, and a later boot that finds it removes it, whatever
 * a power cut has left in it. So no sync may be acknowledged for what is written since: it waits from here on, until it is known whether the
 * commit was made. If it was and there is something still, that goes on under another life, durably. Should that fail it is broken. */
uint64_t overlay_consume(struct overlay *); /* that life; 0: there is nothing to be named, whatever comes to be meanwhile */
int overlay_consumed(struct overlay *, bool committed, struct error *err) MUST_USE;

/* A file that belongs to it could not be synced (errno): the same from here on. Returns that error. */
int overlay_lost(struct overlay *, struct error *err) MUST_USE;
int overlay_sync_bits(struct overlay *, struct error *err) MUST_USE;
int overlay_punch(struct overlay *, uint64_t chunk, uint64_t count, struct error *err) MUST_USE;

/* The first chunk >= chunk with any bit set; UINT64_MAX if none. Skips holes of the bits file fast. */
uint64_t overlay_next(struct overlay *, uint64_t chunk);

/* Are its files there, those that are open, and long enough? */
int overlay_verify(struct overlay *, struct error *err) MUST_USE;
int overlay_verify_bytes(struct overlay *, struct error *err) MUST_USE; /* can all be read? Takes as long as that takes; nobody waits for it */
/* What nobody uses for a while is put to rest: made durable, its files closed, its log removed. Bytes, size, cut and what it takes are
 * still known, a sync finds nothing to do; anything else opens the files again, and should be asked for by overlay_wake(), which can
 * tell of an error. Nobody may be in the overlay while it is put to rest; waking is for any thread. -EBUSY: it cannot rest now. */
int overlay_rest(struct overlay *, struct error *err) MUST_USE;
int overlay_wake(struct overlay *, struct error *err) MUST_USE;
bool overlay_is_resting(const struct overlay *);
bool overlay_is_open(const struct overlay *); /* it has files, and they are open */

/* All that was done before is durable. Few blocks cost one fdatasync, nothing costs none. */
int overlay_sync(struct overlay *, struct error *err) MUST_USE;

#endif
