/* SPDX-License-Identifier: Apache-2.0 */
/* upload: the life of an image's disk from its first byte to the moment when it never changes again.
 *
 *                 act_create                upload_settle                      upload_use
 *      (no disk) ───────────► pending ──────────────────────► available ──────────────────────► sealed
 *                              ▲  │ not a disk: failed            │                               (used)
 *                              └──┴───────────────────────────────┘
 *                                 upload_reopen: written again before its first use
 */
#ifndef IMAGEFS_DOMAIN_UPLOAD_H
#define IMAGEFS_DOMAIN_UPLOAD_H

#include "domain/decide.h"
#include "domain/tree.h"

enum upload_end {
	UPLOAD_CLOSED, /* somebody closed a file that they wrote to */
	UPLOAD_PAUSED, /* … and others may write on: it need not be whole yet */
	UPLOAD_RENAMED, /* it was called otherwise before, and has the name of the disk now */
	UPLOAD_COPIED, /* … and what they copied into it was copied to its end */
	UPLOAD_KILLED, /* … because they were killed */
	UPLOAD_BROKEN, /* … after a write had failed */
	UPLOAD_NO_ROOM, /* … because the store is full: give_back.h */
	UPLOAD_OVER,    /* … because of policy bytes-per-region */
};

/* An instance that has its disk: writing to it is what it is for, and no upload. */
bool image_is_running(const struct image *);

/* What it takes to write to this disk. */
enum verb verb_of_writing(const struct tree_disk *);

/* Is this another account's custom image, or made from one, to the account of `to`? What has bytes of it is marked (from_shared). */
bool image_is_from_others(const struct image *from, const struct image *to);

/* Before a write (or an open for writing): the image is pending from here on. -EPERM when it is sealed. Cheap when it is pending already. */
int upload_reopen(struct service *, const struct who *, uint64_t disk_node, struct error *err) MUST_USE;

/* The same before all of it is truncated. What was available, and others could still want, goes on in the trash: -EDQUOT when that is full. */
int upload_begin_anew(struct service *, const struct who *, uint64_t disk_node, struct error *err) MUST_USE;

/* A writer is done, maybe the last one: look at the disk; when it is whole, fold it and show it as available. 0 also when the image
 * has to stay pending (nothing in it yet, more to come); an error when what is there can't be a disk image. Does all the work
 * before it returns. */
int upload_settle(struct service *, const struct who *, uint64_t disk_node, enum upload_end, struct error *err) MUST_USE;

/* A file was closed, and nothing was ever written to it: an upload is refused by that, -EINVAL with a sentence and a line in the log. 0: it is not
 * empty, or not the disk of a pending image. */
#define UPLOAD_IS_EMPTY "it is empty: nothing was written to it"
int upload_check_empty(struct service *, const struct who *, uint64_t disk_node, struct error *err) MUST_USE;

/* Count what the disk takes in the store and note it (du, .status). It must have been folded. Of a large one a part is counted now; the
 * collector's thread has the others counted to their end by upload_measure_rest(). */
void upload_measure(struct service *, struct disk *);
void upload_measure_rest(struct service *, bool (*stop)(void *ctx), void *ctx);
struct to_measure; /* those that wait for it */
struct to_measure *to_measure_new(void);
void to_measure_free(struct to_measure *);

/* Would a file of this name and size, beside the disk that the image has, take that disk's place when it is closed? */
bool upload_replaces(const struct image *, const char *name, uint64_t size);

/* It is being used: notes when, which is told to operators, and to who owns it of their own uses alone (a receiver's are the receiver's
 * business). The caller writes the row. */
void note_use(struct image *, const struct who *);

/* The first use (read, copy, start, share) seals it. Cheap when it is sealed already. */
int upload_use(struct service *, const struct who *, const struct image *, struct error *err) MUST_USE;

/* Somebody begins to copy from `from`, whose map is `map`, into the disk of a pending image: may they (-EROFS: that region takes no
 * copies)? Remembers where it came from, that `from` is used, and holds the map. */
int upload_lineage(struct service *, const struct who *, uint64_t to_disk_node, const struct image *from,
		   const struct map_root *map, struct error *err) MUST_USE;

/* Its bytes are all gone: so is what is known of where they came from. */
int upload_emptied(struct service *, const struct who *, uint64_t disk_node, struct error *err) MUST_USE;

/* May the disk have this size? (policy max-disk) */
int upload_size_allowed(struct service *, const struct who *, uint64_t disk_node, uint64_t size, struct error *err) MUST_USE;

#define UPLOAD_HASH_MOST ((uint64_t)1 << 40) /* bytes, holes included; -EFBIG beyond: 10 minutes, or half an hour on an old processor */
/* SHA-256 of all bytes of a disk. With `idle` (may be NULL) it is found on processors that would be idle. stop (may be NULL) is asked now and
 * then: -ECANCELED when it says so. */
int upload_hash(struct disk *, struct store *idle, bool (*stop)(void *ctx), void *ctx, struct hash *ret, struct error *err) MUST_USE;

/* See to it that the SHA-256 of an image's available disk is known (read all of it, the first time). 0 for what is not available yet. */
int upload_sum(struct service *, const struct who *, uint64_t image_node, struct error *err) MUST_USE;

/* In act_change.c: check and write a setting of a row that the transaction has read; writes the row too. */
int setting_write(struct cat_txn *, struct image *, enum setting_key, const char *value, unsigned len, struct error *err) MUST_USE;

#endif
