/* SPDX-License-Identifier: Apache-2.0 */
/* damage: what readers found to be damaged (store/bad.h) is written down in the catalog, where it lasts until somebody brings the
 * same bytes again. */
#ifndef IMAGEFS_DOMAIN_DAMAGE_H
#define IMAGEFS_DOMAIN_DAMAGE_H

#include "domain/service.h"

/* In a transaction of its own; none when there is nothing to write. */
int damage_write(struct service *, struct error *err) MUST_USE;

/* In a transaction that is about to insert objects: so that they heal what is known to be damaged at this moment. */
int damage_write_in(struct cat_txn *, struct service *) MUST_USE;

#endif
