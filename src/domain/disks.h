/* SPDX-License-Identifier: Apache-2.0 */
/* disks: the disks that are open now: one struct disk for each number, shared and counted. */
#ifndef IMAGEFS_DOMAIN_DISKS_H
#define IMAGEFS_DOMAIN_DISKS_H

#include <pthread.h>

#include "domain/service.h"

struct disks;
struct disks *disks_new(struct service *);
void disks_free(struct disks *); /* closes all */

/* The disk of this number, opened if it must be. Its map is pinned against gc while it is open. Put it back with disks_put();
 * it stays open a while afterwards (at most 64 idle ones). */
int disks_get(struct disks *, uint64_t number, struct disk **ret, struct error *err) MUST_USE;
void disks_put(struct disks *, struct disk **);

/* A disk's gate. Whoever changes bytes holds it (shared) while they ask whether they may and do it; whoever settles an upload shuts
 * it, so that a write that was allowed before does not arrive after. Valid while one has the disk. */
struct disk_gate {
	pthread_rwlock_t lock;
	_Atomic uint64_t rounds; /* rises when leave to write, once given, has to be asked for again */
	_Atomic uint32_t writer; /* the process that closed it last after writing; 0: it is not known */
};
struct disk_gate *disks_gate(struct disks *, struct disk *);
/* What is written to it counts on no bytes that were not read (disk_set_careful()). If it is open. */
void disks_careful(struct disks *, uint64_t number);
void disks_ask_again(struct disks *, uint64_t number); /* if it is open */
uint32_t disks_last_writer(struct disks *, uint64_t number); /* gate.writer, if it is open */

/* What it counts against (quota.h); NULL: nothing. Valid while one has the disk. */
struct quota_disk;
struct quota_disk *disks_quota(struct disks *, struct disk *);

/* It is gone from the catalog: closed when its last user is done, overlay files removed. */
void disks_drop(struct disks *, uint64_t number);
unsigned disks_open_count(struct disks *);
unsigned disks_in_trouble(struct disks *); /* open ones that cannot be folded (disk_trouble()) */
bool disks_in_use(struct disks *, uint64_t number); /* does somebody have it from disks_get()? */

/* What the final fold of a disk should change besides the map: carried through disk_fold()'s `caller` to the commit. Runs inside the transaction,
 * after the disk row was changed (*row is what will be written; may be changed further). */
struct disks_final {
	int (*fn)(struct cat_txn *, struct disks_final *, struct disk_row *row, struct error *err);
	void *arg;
};
int disks_fold(struct disks *, struct disk *, struct disks_final *, struct error *err) MUST_USE;

/* Change the size of a disk that has no overlay, in a transaction of its own (for callers that know). */

#endif
