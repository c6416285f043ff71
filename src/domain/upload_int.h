/* SPDX-License-Identifier: Apache-2.0 */
/* upload_int: what the upload_*.c files share. */
#ifndef IMAGEFS_DOMAIN_UPLOAD_INT_H
#define IMAGEFS_DOMAIN_UPLOAD_INT_H

#include "domain/disks.h"
#include "domain/trash.h"
#include "domain/upload.h"

struct act;


/* The rows of a disk and of its image. -ESTALE when they are gone. */
int upload_rows(struct cat_txn *, uint64_t disk_node, struct tree_disk *ret, struct error *err) MUST_USE;

/* In the transaction that reopens it, before it is emptied: a disk that was available goes on in the trash (upload_take.c). */
int upload_keep_old(struct cat_txn *, struct act *, const struct tree_disk *, struct error *err) MUST_USE;

/* upload_hash() for somebody who waits: -EINTR when they don't any more, or the image was removed. */
int upload_hash_now(struct service *, const struct who *, uint64_t disk_node, struct disk *, struct hash *ret, struct error *err) MUST_USE;

/* A file beside the disk takes its place (upload_take.c). From take_begin() to take_end() nobody writes to the old disk. */
struct taking {
	struct service *service;
	uint64_t old;           /* number of the disk that is replaced; 0: there is none */
	struct disk *disk;      /* it */
	struct disk_gate *gate; /* … and its gate, shut */
	bool is_written;        /* it has bytes that its map has not */
	char told[40 + TRASH_NAME_MAX]; /* set by take_over(): where the old disk is, "" if it is gone */
};
int take_begin(struct taking *, struct service *, uint64_t old, struct error *err) MUST_USE;
void take_end(struct taking *);

/* In the transaction that makes `disk` that of the image, which the caller puts. -EBUSY while somebody has the old one open for writing. */
int take_over(struct cat_txn *, struct taking *, struct act *, struct image *, uint64_t disk, struct error *err) MUST_USE;

/* The name of a file beside the disk, "" if it is gone. */
void take_name(struct service *, const struct tree_disk *, char ret[256]);

#endif
