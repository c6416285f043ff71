/* SPDX-License-Identifier: Apache-2.0 */
/* trash: deleting that can be undone. */
#ifndef IMAGEFS_DOMAIN_TRASH_H
#define IMAGEFS_DOMAIN_TRASH_H

#include "domain/service.h"

/* The name that `name` gets in the trash now, free on that shelf: NAME@2026-11-20T08-15-30Z, with -2 … behind if that is taken. */
int trash_name(struct cat_txn *, const struct shelf *trash_shelf, const char *name, char ret[TRASH_NAME_MAX + 1]) MUST_USE;

/* Move the whole row (same node) to the trash of its shelf's account and region. */
int trash_put(struct service *, struct cat_txn *, struct image *, struct error *err) MUST_USE;

/* The disk of an image or instance, which something else is going to replace, as a row of its own in the trash, with a copy of the settings:
 * it can be restored under another name. The image still names that disk: the caller gives it another one. */
struct act;
int trash_disk(struct cat_txn *, struct act *, const struct image *, char ret_name[TRASH_NAME_MAX + 1],
	       struct error *err) MUST_USE; /* -EDQUOT: the trash is full */

/* The same of a disk whose file goes on with other bytes: what was committed of it, with a number of its own. */
int trash_copy(struct cat_txn *, struct act *, const struct image *, char ret_name[TRASH_NAME_MAX + 1], struct error *err) MUST_USE;

/* Of a row that went to the trash as a copy: files on their way are not its. */
int trash_forget_scratch(struct cat_txn *, uint64_t node) MUST_USE;

/* Delete for good: row, settings, disk row and references; then its open disk and overlay. A transaction of its own. */
int trash_purge(struct service *, uint64_t node, struct error *err) MUST_USE;

/* The same inside a transaction; *ret has the disks to be dropped (disks_drop) after the commit. */
#define PURGED_MAX 41 /* the image's, and its unfinished files */
struct purged {
	uint64_t disks[PURGED_MAX];
	unsigned n;
};
int trash_purge_row(struct cat_txn *, const struct image *, struct purged *ret) MUST_USE;

/* Drop a disk row and the references it and its holds count. */
int disk_row_release(struct cat_txn *, uint64_t disk) MUST_USE;

#endif
