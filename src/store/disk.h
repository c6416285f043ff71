/* SPDX-License-Identifier: Apache-2.0 */
/* disk: a virtual disk that is open: a map, and maybe an overlay of what was written over it.
 *
 * One struct disk per disk number, shared by everybody who has it open; all calls are thread-safe
 * unless said otherwise. A fixed (sealed) disk simply has an empty overlay.
 *
 * Writing goes to the overlay and is acknowledged. Chunks that have been written full are
 * compressed in the background ("absorbed") into a pack; when that pack is full, or when disk_fold() is
 * called, the pack is sealed, a new map is made, and the owner's commit hook puts it all
 * into the catalog in one transaction; then the overlay's copies are dropped. A crash before
 * the commit costs only the work: the overlay still has the bytes.
 *
 *      write ──► overlay ──(chunk full, or fold)──► pack ──seal──► commit hook ──► map; overlay dropped
 *
 * A chunk written to again between absorb and commit keeps its overlay copy (which wins over the map).
 *
 * Copying ranges from another disk (disk_copy) does not move bytes: ranges are noted in
 * NUMBER.splice in the overlay folder (so that they outlive the process) and are made part of
 * the map at the next fold, read, or any other operation that needs them.
 */
#ifndef IMAGEFS_STORE_DISK_H
#define IMAGEFS_STORE_DISK_H

#include <sys/types.h>

#include "store/map.h"

struct disk;

/* A pack that a fold wrote. `items` is sorted by hash. */
struct fold_pack {
	const struct pack_item *items;
	size_t n_items;
	uint32_t number;
	uint64_t bytes;
};
#define FOLD_PACKS 4

/* What a commit must do, in one transaction, durable when the hook returns 0:
 *   insert the items of `packs` (new objects) - those already known are skipped and are dead bytes in their pack, and so are nodes that
 *   are not in `nodes` (made on the way and not needed); for each node of `nodes` that was NOT known before, add a reference to each
 *   of its kids that is not hash_none, borrowing those that `domain` does not have from the domain that the node names for them (a
 *   kid that exists in neither: the hook returns ERR_STALE, nothing is changed);
 *   add a reference to `root`, set it as the disk's map (with `size`), drop the reference to `old`.
 * Children come before parents in `nodes`. */
struct fold {
	uint64_t number; /* of the disk */
	uint32_t domain;
	struct fold_pack packs[FOLD_PACKS]; /* mostly one; a second when the map's nodes did not fit beside the chunks */
	unsigned n_packs;
	const struct map_nodes *nodes;
	struct map_root old, root;
	uint64_t size;
	int64_t mtime; /* as disk_mtime() */
	bool final;    /* this fold left the overlay empty: map and size are the whole truth */
	uint64_t overlay; /* final: number of the overlay that it takes all of, to be kept with the map; 0: none, or not all */
	void *caller;  /* what disk_fold() was given; NULL in folds that happen by themselves */
};

struct disk_hooks {
	/* Durably, or nothing. When it fails the packs are the hook's to remove, for it knows whether anything counts on them; after ERR_STALE
	 * nothing does. */
	int (*commit)(void *ctx, const struct fold *, struct error *err);

	/* What was committed has left the overlay now, or stays in it for some reason. NULL: nobody cares. */
	void (*emptied)(void *ctx, uint64_t number);

	/* true: from here on no object goes away that the index knows; false: they may again. Asked for when a commit has met ERR_STALE,
	 * so that the next does not: what is collected slowly would otherwise go away under one after the other. NULL: they never do. */
	void (*keep)(void *ctx, bool all);

	/* Before the first range of `from` is noted in `number`: hold a reference to that map for this disk, in the disk's domain
	 * (borrowing it from `lender`, where it is known, if that is another), durably, until the next commit with `final`. -EXDEV: that
	 * domain borrows nothing from there, so bytes are copied. */
	int (*hold)(void *ctx, uint64_t number, uint32_t domain, const struct map_root *from, uint32_t lender, struct error *err);
	void *ctx;
};

struct disk_conf {
	struct store *store;
	struct disk_hooks hooks;
	const char *overlay_dir; /* copied */
	uint64_t number;
	uint32_t domain;
	struct map_root root;
	uint64_t size;
	uint64_t consumed; /* `overlay` of the last final commit: what a power cut left of that one counts for nothing */
};

/* Opens the map and whatever overlay and splices a crash or an earlier close left. Size is that of the
 * conf, unless the overlay's size record (in .bits) says otherwise: the disk grew or shrank since. */
int disk_open(struct disk **ret, const struct disk_conf *, struct error *err) MUST_USE;
void disk_close(struct disk *); /* waits for jobs; keeps the overlay; last user only */

uint64_t disk_number(const struct disk *);
uint64_t disk_size(struct disk *);
uint32_t disk_domain(const struct disk *);
void disk_set_domain(struct disk *, uint32_t domain); /* while it has no map and no copies; a commit under way must meet ERR_STALE */

/* What is written from here on counts on what the pool has already (deduplication) only once that was read and compared. */
void disk_set_careful(struct disk *);

struct map_root disk_root(struct disk *); /* of the map alone; complete only if !disk_dirty() */
/* When it was changed last (by a write, zeros, a copy, another size), ns; 0: not since its map was committed. */
int64_t disk_mtime(struct disk *);
void disk_set_mtime(struct disk *, int64_t mtime);
bool disk_dirty(struct disk *);           /* overlay or splices hold something */
uint64_t disk_overlay_bytes(struct disk *);
uint64_t disk_overlay_stored(struct disk *); /* the same without zeros: what it takes on the host */

/* How many bytes the overlay would grow by if this range were written now, in whole blocks: those of it that it has are written in place. */
uint64_t disk_new_bytes(struct disk *, uint64_t offset, uint64_t len);

/* Returns the bytes read (less only at the end of the disk), or an error. Sequential reads are noticed through
 * `ahead`, kept per open file by the caller (zero it first; may be NULL): prefetch follows it. */
struct disk_ahead {
	_Atomic uint64_t next, upto;
};
ssize_t disk_read(struct disk *, void *buf, size_t len, uint64_t offset, struct disk_ahead *ahead, struct error *err) MUST_USE;

/* Any offset and length; the disk grows as needed (limits are the caller's business). */
int disk_write(struct disk *, const void *buf, size_t len, uint64_t offset, struct error *err) MUST_USE;
int disk_zero(struct disk *, uint64_t offset, uint64_t len, struct error *err) MUST_USE; /* within the size */
int disk_truncate(struct disk *, uint64_t size, struct error *err) MUST_USE;

/* SEEK_DATA / SEEK_HOLE: *ret is the offset, -ENXIO as lseek(2). Chunk-exact in the map, block-exact in the overlay. */
int disk_seek(struct disk *, uint64_t offset, bool data, uint64_t *ret, struct error *err) MUST_USE;

/* Copy [from_off, +len) of map `from` (of a disk of `from_size`, same store, known in `from_domain`) to `to_off`. Ranges where both offsets
 * are congruent mod CHUNK_SIZE are noted, the edges and everything else are copied as bytes. */
int disk_copy(struct disk *to, uint64_t to_off, uint32_t from_domain, const struct map_root *from, uint64_t from_size,
	      uint64_t from_off, uint64_t len, struct error *err) MUST_USE;

/* Power-cut durability of everything acknowledged so far. Depends on the overlay folder only, and not on what becomes of chunks. */
int disk_sync(struct disk *, struct error *err) MUST_USE;

/* What keeps it from being folded, in the background or the last time that somebody tried: 0 when the last commit succeeded. Also
 * whether its overlay lost anything. */
int disk_trouble(struct disk *, struct error *err) MUST_USE;

/* For a check: are the files beside the pool what they must be; with `read`, can all bytes be read? */
int disk_verify(struct disk *, bool read, struct error *err) MUST_USE;

/* Absorb everything and commit: afterwards disk_root() and disk_size() are the whole truth, unless somebody wrote meanwhile (then
 * disk_dirty()). `caller` reaches the final commit hook, which is always called once with final = true, even if nothing was dirty and
 * root == old (so that the owner can change state in the same transaction). ERR_STALE from the hook is retried inside, with everything kept. */
int disk_fold(struct disk *, void *caller, struct error *err) MUST_USE;

/* What the overlay holds becomes chunks on processors that would be idle, however long that takes, so that a fold has little left to do.
 * Nobody waits for it: a fold that begins meanwhile takes over what is not done. What it needs besides (reading, filling the pack,
 * committing full batches) is done in the calling thread. -ECANCELED: `stop` (may be NULL) said so; -EBUSY: the disk was written to
 * meanwhile. What is done stays done. */
int disk_absorb_idle(struct disk *, bool (*stop)(void *ctx), void *ctx, struct error *err) MUST_USE;

/* What a disk is at one moment. */
struct moment {
	uint32_t domain;
	struct map_root root;
	uint64_t size;
};

/* The moment that a disk is at which does not change: false when there is more to it than its map. */
bool disk_moment(struct disk *, struct moment *ret);

/* The disk as it is at one moment, as a map: folds (twice, so that writers wait only for the second, small one). Its owner pins
 * or references the root before it lets the disk go on: `pin` is called (may be NULL) while writers still wait. Costs what was written since the
 * last fold. */
int disk_snapshot(struct disk *, void (*pin)(void *ctx, const struct moment *), void *ctx, struct moment *ret,
		  struct error *err) MUST_USE;

/* Reading a moment, whether or not the disk is still there: as disk_read() and disk_seek(). */
ssize_t moment_read(struct store *, const struct moment *, void *buf, size_t len, uint64_t offset, struct error *err) MUST_USE;
int moment_seek(struct store *, const struct moment *, uint64_t offset, bool data, uint64_t *ret, struct error *err) MUST_USE;

/* Remove overlay files of a disk that is no more (not open). */
int disk_forget(const char *overlay_dir, uint64_t number, struct error *err) MUST_USE;

/* Progress of folding: chunks absorbed and chunks to absorb, since the overlay was last empty. */
void disk_progress(struct disk *, uint64_t *ret_done, uint64_t *ret_todo);

#endif
