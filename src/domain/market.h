/* SPDX-License-Identifier: Apache-2.0 */
/* market: the way of an image into the marketplace and out of it.
 *
 *                  its disk is whole                chmod a+rx
 *      pending ─────────────────────► submitted ───────────────► available ◄──────► deprecated    (replace.h)
 *        │  ▲  support, guide lack:       │  ▲                       │                   │
 *        │  └─ stays pending until        │  └───────────────────────┴───────────────────┘
 *        │     they are set               │                     chmod go-rx
 *        │                                └─ echo REASON > review ─► rejected
 *        └─ anything may still be changed;      ▲
 *           from `submitted` on, nothing ───────┘
 *
 * A row that was submitted keeps its bytes, settings, name and number until it is deleted; whatever comes later by that name has
 * another number. So whoever stands in the directory (cd) looks at what they publish (chmod a+rx .). What is restored from the trash
 * is submitted again, or still rejected; never published.
 */
#ifndef IMAGEFS_DOMAIN_MARKET_H
#define IMAGEFS_DOMAIN_MARKET_H

#include "domain/act.h"

/* Its disk is whole: the state that it has now (the caller sets it), submitted or pending. In the second case *why says what lacks. Writes no
 * row. */
int market_submit(struct cat_txn *, struct image *, enum image_state *ret, struct error *why) MUST_USE;

/* A setting was closed: has the submission everything now? */
int market_complete(struct service *, const struct who *, uint64_t image_node, struct error *err) MUST_USE;

/* In a transaction, by somebody who may: the caller writes the row. */
void market_publish(struct act *, struct image *);
void market_withdraw(struct act *, struct image *);
int market_reject(struct act *, struct image *, const char *review, unsigned len, struct error *err) MUST_USE;

/* The row is what the trash gave back. */
void market_restore(struct image *);

/* What stays of a deleted image is not what was submitted, or published. */
void market_forget(struct image *);

/* Is this the process that made the image, still at it? What it does by the way (modes and links of the directory that it copies) does
 * not mean what it means in the hands of a person. */
bool market_is_copying(const struct who *, const struct image *);

#endif
