/* SPDX-License-Identifier: Apache-2.0 */
/* rights: ask decide() about rows: what it wants to know is gathered in the transaction in which the caller acts. */
#ifndef IMAGEFS_DOMAIN_RIGHTS_H
#define IMAGEFS_DOMAIN_RIGHTS_H

#include "domain/decide.h"
#include "domain/service.h"

/* shelf may be NULL when image is given; image may be NULL. */
int may(struct cat_txn *, const struct who *, enum verb, const struct shelf *, const struct image *, struct error *err) MUST_USE;

/* Who sees an image in the state that this row tells, but those that it is shared with: they see it as another node. */
struct seers seers_of(const struct image *);

/* … and a change on a shelf: its account, or, on the common ones, who sees the image concerned. */
struct seers seers_on(const struct shelf *, const struct image *);

/* What somebody does who sets this setting. */
enum verb verb_of_setting(unsigned key);

/* Copy `from` into `to`: an instance is started by that, an image is another copy. */
int may_copy_into(struct cat_txn *, const struct who *, const struct image *from, const struct image *to, struct error *err) MUST_USE;

/* The same in transactions of their own. */
int may_now(struct service *, const struct who *, enum verb, const struct image *, struct error *err) MUST_USE;
int may_copy_into_now(struct service *, const struct who *, const struct image *from, const struct image *to,
		      struct error *err) MUST_USE;

#endif
