/* SPDX-License-Identifier: Apache-2.0 */
/* damage: what readers found to be damaged (store/bad.h) is written down in the catalog, where it lasts until somebody brings the
 * same bytes again; and so are the disks that somebody could not read, so that .status and .list tell it to their owners. */
#ifndef IMAGEFS_DOMAIN_DAMAGE_H
#define IMAGEFS_DOMAIN_DAMAGE_H

#include "domain/service.h"

/* In a transaction of its own; none when there is nothing to write. */
int damage_write(struct service *, struct error *err) MUST_USE;

/* In a transaction that is about to insert objects: so that they heal what is known to be damaged at this moment. */
int damage_write_in(struct cat_txn *, struct service *) MUST_USE;

/* Somebody could not read these bytes of a disk: if it is the pool that lacks them, the disk is known to be hurt from now on. */
void damage_seen(struct service *, uint64_t disk, uint64_t offset, uint64_t len);

/* The pool lacks the bytes of a disk from here on: somebody has made sure of it. */
void damage_found(struct service *, uint64_t disk, uint64_t offset);

/* Of disks that are known to be hurt: those whose bytes were healed are so no longer, unless they lack others. Some at a time. */
int damage_review(struct service *, struct error *err) MUST_USE;

#endif
