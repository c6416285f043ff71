/* SPDX-License-Identifier: Apache-2.0 */
/* replace: images that are deprecated, and what is to be used instead.
 *
 * `ln -s OTHER R/public/N/replaced-by` deprecates N: OTHER is a published image on the same shelf that is not deprecated itself (so
 * there are chains, but no circles). Both names may change; the link follows. When OTHER is gone, the link leads nowhere and
 * .status says so. Instances of N go on, and new ones may be started; they have a link replaced-by, too, and a notice in .status.
 */
#ifndef IMAGEFS_DOMAIN_REPLACE_H
#define IMAGEFS_DOMAIN_REPLACE_H

#include "domain/act.h"

/* A link is made in the directory of this image: is it for us? Else it is one that a tool copies along. */
bool replace_is_meant(const struct act *, const struct image *);

/* replaced-by is made; another name is kept until it is renamed to replaced-by (ln -sf). */
int replace_link(struct cat_txn *, struct act *, struct image *, struct error *err) MUST_USE;
int replace_rename(struct cat_txn *, struct act *, struct image *, uint8_t key, struct error *err) MUST_USE;
int replace_unlink(struct cat_txn *, struct act *, struct image *, struct error *err) MUST_USE;

/* What replaces `i` (a deprecated image), as `who` may see it: its path in their view. False: it is gone, and the name that
 * it had comes with "@ID" behind it. */
struct buf;
bool replace_path(struct cat_txn *, const struct who *, const struct image *i, struct buf *ret);

/* The deprecated image that `i` was made from, as far as `who` may see it. -ENOENT: it is none. */
int replace_origin(struct cat_txn *, const struct who *, const struct image *i, struct image *ret) MUST_USE;

/* " (deprecated: use …)" behind what the log says of a start from `origin`; else nothing. */
void replace_note(struct cat_txn *, const struct who *, const struct image *origin, char *detail, size_t room);

#endif
