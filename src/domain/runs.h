/* SPDX-License-Identifier: Apache-2.0 */
/* runs: when instances begin, pause and end to cost something. All inside the transaction in which that happens.
 *
 *      runs_begin          runs_pause            runs_end
 *     ───────────► runs ──────────────► paused ──────────► ended
 *                   ▲  ◄──────────────┘  (in the trash)
 *                   └─ runs_begin again: installed anew, on the terms of the image and the region at that time
 */
#ifndef IMAGEFS_DOMAIN_RUNS_H
#define IMAGEFS_DOMAIN_RUNS_H

#include "catalog/image.h"

/* The instance has its disk, and its settings have the terms of what that was made of (domain/price.h). A price that is paid once is
 * not due again when the run before this had the same price of the same vendor. */
int runs_begin(struct cat_txn *, const struct image *instance) MUST_USE;

/* It runs, and not on these terms: begin anew. */
int runs_review(struct cat_txn *, const struct image *instance) MUST_USE;

int runs_pause(struct cat_txn *, const struct image *instance) MUST_USE;  /* what never ran, or does not, is left alone: as in the others */
int runs_resume(struct cat_txn *, const struct image *instance) MUST_USE;
int runs_end(struct cat_txn *, const struct image *instance) MUST_USE;

/* The disk that `instance` gives up is `old` from now on, an instance in the trash: should it be restored, it runs on the terms it had, and
 * is one more server. */
int runs_split(struct cat_txn *, const struct image *instance, const struct image *old) MUST_USE;

#endif
