/* SPDX-License-Identifier: Apache-2.0 */
/* meter_tab: who pays for what is stored: a meter for every disk that pays for something.
 *
 * Every object in the pool has one payer, the disk that brought it (object_tab.h). A disk's meter counts the bytes of its objects, and
 * what its overlay takes beside them ("written"), and integrates both over the ledger's time (ledger_clock.h). Whatever
 * happens, at every commit:
 *
 *      sum of `bytes` over all meters  ==  live bytes of all packs (pack_totals)
 *
 * When a disk is deleted its meter stays, as "gone", until its objects were collected or have passed to another disk
 * (domain/gc_claim.c), and its last month is closed. Payer 0 is nobody: account 0, region 0.
 *
 * Time is cut into months (or whatever): meter_set_end() says when the one under way ends. What is spent after that moment counts
 * for the next one, exactly, however late meter_close() comes. `spent` counts what belongs to the current month, `ended` what
 * belongs to the one that has ended and is not closed yet.
 */
#ifndef IMAGEFS_CATALOG_METER_TAB_H
#define IMAGEFS_CATALOG_METER_TAB_H

#include "catalog/catalog.h"
#include "catalog/image.h"

typedef unsigned __int128 byte_time; /* bytes times nanoseconds */

struct meter {
	uint64_t disk;
	uint32_t account, region;      /* of its image's owner; they never change */
	uint64_t image;                /* id of the image or instance that it belongs to, or did */
	uint8_t type;                  /* enum image_type */
	char name[IMAGE_NAME_MAX + 1]; /* as it is, or was when it went; without what the trash adds */
	uint64_t bytes;                /* in the pool */
	uint64_t written;              /* of its overlay, as last measured */
	int64_t since;                 /* ledger time up to which spent and ended count */
	byte_time spent, ended;
	bool gone;                     /* its disk is deleted */
	int64_t end;                   /* of the month under way (the same for all); 0: never */
};

#define METER_NOBODY 0

/* As the image is called now, where there is one. -ENOENT: pays nothing, and did not this month. */
int meter_get(struct cat_txn *, uint64_t disk, struct meter *ret) MUST_USE;
int meter_each(struct cat_txn *, uint64_t after, int (*each)(void *ctx, const struct meter *), void *ctx) MUST_USE;

/* Byte-nanoseconds up to ledger time `now` that belong to the month under way at that time, and to the one that ended at
 * meter->end (0 unless now is after it). */
byte_time meter_spent(const struct meter *, int64_t now);
byte_time meter_ended(const struct meter *, int64_t now);

/* The disk pays for so many bytes more (or less) from now on. Made from the rows of the disk and its image when there is none yet; a
 * disk that does not exist has a meter of nobody's account. ERR_DAMAGED when it would pay for less than nothing. */
int meter_add(struct cat_txn *, uint64_t disk, int64_t bytes) MUST_USE;
int meter_set_written(struct cat_txn *, uint64_t disk, uint64_t bytes) MUST_USE;

/* Changes to a few meters, gathered so that thousands of objects cost a handful of rows. Zero to begin; written once, after all of them. */
#define METER_CHANGES 16
struct meter_changes {
	unsigned count;
	struct meter_change {
		uint64_t disk;
		int64_t bytes;
	} at[METER_CHANGES];
};
int meter_note(struct cat_txn *, struct meter_changes *, uint64_t disk, int64_t bytes) MUST_USE;
int meter_changes_write(struct cat_txn *, struct meter_changes *) MUST_USE;

int meter_written(struct cat_txn *, uint64_t disk, uint64_t *ret) MUST_USE; /* of meter_get() only this, which is faster */

/* The disk is being deleted (its row and its image's are still there). For disk_row_remove(). */
int meter_leave(struct cat_txn *, uint64_t disk) MUST_USE;

/* What an account stores in a region: bytes in the pool, of overlays. Kept, not counted. Either may be NULL. */
int meter_sum(struct cat_txn *, uint32_t account, uint32_t region, uint64_t *ret_bytes, uint64_t *ret_written) MUST_USE;

/* The (account, region)s that have sums, in order. */
int meter_sum_each(struct cat_txn *, int (*each)(void *ctx, uint32_t account, uint32_t region, uint64_t bytes, uint64_t written),
		   void *ctx) MUST_USE;

/* When does the month under way end (ledger time)? It may be set anew until it has passed; then only meter_close() sets the next. -EBUSY: it
 * has passed. */
int meter_end(struct cat_txn *, int64_t *ret) MUST_USE; /* 0: never */
int meter_set_end(struct cat_txn *, int64_t end) MUST_USE;

/* The month is over (-EAGAIN: it is not yet): `each` is told what every meter has spent in it (NULL allowed), meters of disks that are gone and
 * pay nothing any more go, and the month that begins then ends at `next_end` (0: never). */
int meter_close(struct cat_txn *, int64_t next_end, int (*each)(void *ctx, const struct meter *, byte_time spent), void *ctx) MUST_USE;

#endif
