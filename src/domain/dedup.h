/* SPDX-License-Identifier: Apache-2.0 */
/* dedup: between whose disks bytes are shared: policy `dedup`.
 *
 * `store`: bytes are stored once for all accounts that have this policy, in the common domain. `account`: an account's bytes
 * are shared between its own disks only, in a domain of its own, so that nothing tells anybody else whether they are there; what
 * its disks take from disks of other domains (instances of public images, copies of shared ones) is borrowed from there.
 *
 * The common domain borrows from nobody: else what one account shared with another would be found there by all who store the same
 * bytes. A disk that takes its map from a domain of one account is in the domain of its own account, whatever the policy.
 * docs/decisions/0008-dedup-domains.md */
#ifndef IMAGEFS_DOMAIN_DEDUP_H
#define IMAGEFS_DOMAIN_DEDUP_H

#include "catalog/image.h"

#define DOMAIN_COMMON 1u

/* The domain of a disk that is made for this image now. A later change of the policy leaves the disk where it is. Needs a write
 * transaction. */
int dedup_domain(struct cat_txn *, const struct image *, uint32_t *ret) MUST_USE;

/* May a disk of `domain` borrow from `lender`? */
bool dedup_may_borrow(uint32_t domain, uint32_t lender);

/* *domain is where this image's disk would be; it is to take a map from `lender`: where it has to be for that. */
int dedup_domain_for(struct cat_txn *, const struct image *, uint32_t lender, uint32_t *domain) MUST_USE;

#endif
