/* SPDX-License-Identifier: Apache-2.0 */
/* disks_int: between the files of disks. Nobody else includes it. */
#ifndef IMAGEFS_DOMAIN_DISKS_INT_H
#define IMAGEFS_DOMAIN_DISKS_INT_H

#include "domain/disks.h"

struct disks_commit {
	struct service *service;
	const struct fold *fold;
	struct disks_final *final; /* for the final fold; may be NULL */
};

/* A cat_fn; arg is a struct disks_commit. ERR_STALE: something that the fold counted on is gone, or the disk has another domain now. */
int disks_commit(struct cat_txn *, void *arg, struct error *err) MUST_USE;

#endif
