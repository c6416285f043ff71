/* SPDX-License-Identifier: Apache-2.0 */
/* quota: policy bytes-per-region, in the path that writes.
 *
 * What an account stores in a region is what its meters count in the pool and what its overlays take, those of open disks as they are at this
 * moment, deleted ones and the trash included. Before bytes are written they are *taken*: counted as if they were there already, so
 * that programs that write at the same time cannot together write what none of them may alone. While the sum stays below the
 * limit that costs a few atomic operations. Above it, it is measured what is really stored (what was compressed, or was known
 * already, takes less than was taken for it); the disk is folded if that may help, what was deleted for good is collected, and failed uploads
of the account are emptied (give_back.h); only then is the write refused.
 *
 * The limit binds what is written. What is stored already stays; a fold, which makes less of it, is never refused; nor is what takes no bytes
 * (copies, instances). A map's own nodes may go a little beyond it.
 */
#ifndef IMAGEFS_DOMAIN_QUOTA_H
#define IMAGEFS_DOMAIN_QUOTA_H

#include "domain/service.h"

struct quotas;
struct quotas *quotas_new(struct service *);
void quotas_free(struct quotas *); /* no disk is open any more */
void quotas_changed(struct quotas *); /* a policy was changed: limits are looked up again */

/* For disks.c: a disk is open, from _open to _close, and in _moving while what a commit put into the pool is in the overlay too.
 * NULL: it belongs to no image, and is not limited. */
struct quota_disk;
struct quota_disk *quota_open(struct quotas *, uint64_t number, struct disk *);
void quota_close(struct quota_disk **);
void quota_moving(struct quota_disk *, bool moving);

/* Take `bytes` that are about to be written: true; false when it must be asked first: quota_ask() takes them, or answers -EDQUOT with a
 * sentence; it may fold the disk, so the caller holds nothing of it but its gate. quota_done() once they are written, or not. All three
 * from any thread; q may be NULL. */
bool quota_take(struct quota_disk *q, uint64_t bytes);
int quota_ask(struct quota_disk *q, uint64_t bytes, struct error *err) MUST_USE;
void quota_done(struct quota_disk *q, uint64_t bytes);

/* Is what is stored there, with what this disk brought, within the limit? Always, if it brought nothing. -EDQUOT. */
int quota_check(struct quota_disk *q, struct error *err) MUST_USE;

#endif
