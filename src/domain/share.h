/* SPDX-License-Identifier: Apache-2.0 */
/* share: giving an image to another account, in the transactions of act_*.c.
 *
 * The maker has a link in accounts/RECEIVER/REGION/shared; the receiver a directory NAME@OWNER in REGION/shared. The link is the
 * share: making it shares, renaming it renames (also what the receiver sees), removing it cancels. The directory is removed by rmdir: that
 * declines. An image is shared with an account once: a second link of it takes the first one's place.
 */
#ifndef IMAGEFS_DOMAIN_SHARE_H
#define IMAGEFS_DOMAIN_SHARE_H

#include "catalog/share_tab.h"
#include "domain/act.h"

/* Links of accounts/RECEIVER/REGION/shared (a->parent). */
int share_link(struct cat_txn *, struct act *, struct error *err) MUST_USE;
int share_rename(struct cat_txn *, struct act *, struct error *err) MUST_USE;
int share_unlink(struct cat_txn *, struct act *, struct error *err) MUST_USE;

/* A directory of one's own REGION/shared. */
int share_decline(struct cat_txn *, struct act *, struct error *err) MUST_USE;

/* All that an account receives: it is being removed. */
int share_forget_receiver(struct cat_txn *, struct act *, uint32_t receiver) MUST_USE;

/* Nobody accepts this account by its name any more: another one may be called so one day. */
int share_forget_maker(struct cat_txn *, const char *maker) MUST_USE;

/* Is this directory accounts/RECEIVER/REGION/shared, and whose? */
bool share_is_box(uint64_t node, uint32_t *ret_receiver, uint32_t *ret_region);

/* NAME@OWNER. */
#define RECEIVED_NAME_MAX (IMAGE_NAME_MAX + 1 + 32)
int share_received_name(struct cat_txn *, const struct share *, char ret[RECEIVED_NAME_MAX + 1]) MUST_USE;
int share_find_received(struct cat_txn *, uint32_t receiver, uint32_t region, const char *name, struct share *ret) MUST_USE;

#endif
