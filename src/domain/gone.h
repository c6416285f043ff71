/* SPDX-License-Identifier: Apache-2.0 */
/* gone: what the bill of this month still has to know of accounts and regions that were removed since it began. */
#ifndef IMAGEFS_DOMAIN_GONE_H
#define IMAGEFS_DOMAIN_GONE_H

#include "catalog/account.h"
#include "catalog/region.h"

/* It is being removed. */
int gone_note_account(struct cat_txn *, const struct account *) MUST_USE;
int gone_note_region(struct cat_txn *, const struct region *) MUST_USE;

/* Those that there are, and those that were noted; "#7" for what never was: the payer of bytes that are nobody's. Of a region that is gone, its
 * name, storage price and free storage. */
int gone_account_name(struct cat_txn *, uint32_t no, char ret[PLACE_NAME_MAX + 1]) MUST_USE;
int gone_region(struct cat_txn *, uint32_t no, struct region *ret) MUST_USE;

#endif
