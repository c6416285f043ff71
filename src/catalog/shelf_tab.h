/* SPDX-License-Identifier: Apache-2.0 */
/* shelf_tab: when a name last came or went on a shelf: what its directory's mtime is.
 *
 * Not everybody sees every name, and what somebody does not see must not move what they see: so there is a time for each audience.
 * Changed by image_tab.c and share_tab.c, in the transaction in which the name comes or goes. */
#ifndef IMAGEFS_CATALOG_SHELF_TAB_H
#define IMAGEFS_CATALOG_SHELF_TAB_H

#include "catalog/image.h"

#define AUDIENCE_ALL 0u                 /* who sees the shelf at all; else the number of the one account that sees the name … */
#define AUDIENCE_OPERATORS UINT32_MAX   /* … beside operators */

int shelf_touch(struct cat_txn *, const struct shelf *, uint32_t audience) MUST_USE;
/* Raises *time to that of this audience, if there is one. */
int shelf_time(struct cat_txn *, const struct shelf *, uint32_t audience, int64_t *time) MUST_USE;

#endif
