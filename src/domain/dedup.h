/* SPDX-License-Identifier: Apache-2.0 */
/* dedup: between whose disks bytes are shared: policy `dedup`.
 *
 * `store`: bytes are stored once for all accounts that have this policy, in the common domain. `account`: an account's bytes
 * are shared between its own disks only, in a domain of its own, so that nothing tells anybody else whether they are there; what
 * its disks take from disks of other domains (instances of public images, copies of shared ones) is borrowed from there.
 * docs/decisions/0008-dedup-domains.md */
#ifndef IMAGEFS_DOMAIN_DEDUP_H
#define IMAGEFS_DOMAIN_DEDUP_H

#include "catalog/image.h"

#define DOMAIN_COMMON 1u

/* The domain of a disk that is made for this image now. A later change of the policy leaves the disk where it is. Needs a write
 * transaction. */
int dedup_domain(struct cat_txn *, const struct image *, uint32_t *ret) MUST_USE;

#endif
