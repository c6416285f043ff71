/* SPDX-License-Identifier: Apache-2.0 */
/* run_tab: on which terms instances run: what was agreed when they were started, and for how long they have run since.
 *
 * An instance has a run from its start to its deletion. Being installed anew ends one and begins another, so it may have several, numbered
 * from 1; the last one is in force. Runs that have ended stay until the month in which they did is closed.
 */
#ifndef IMAGEFS_CATALOG_RUN_TAB_H
#define IMAGEFS_CATALOG_RUN_TAB_H

#include "base/money.h"
#include "catalog/image.h"

struct run {
	uint64_t instance; /* its id: it stays through renames and the trash */
	uint32_t number;
	uint32_t account, region;
	char name[IMAGE_NAME_MAX + 1]; /* of the instance, when the row was last written */
	uint64_t image;                /* id of what it was started from; 0: nobody knows */
	char image_text[240];          /* where that was */
	uint32_t vendor;               /* who is paid the price */
	char license[36];
	bool windows;                  /* the licence costs windows_rate */
	money instance_rate, windows_rate; /* an hour */
	money price;
	uint8_t unit;         /* enum price_unit */
	int64_t started, started_real; /* ledger's and real time */
	bool running;         /* not in the trash, not ended */
	bool gone;            /* ended: nothing is added any more */
	bool owes_once;       /* a price that is paid once, and is on no bill yet */
	int64_t since;        /* ledger time up to which `accrued` counts */
	int64_t accrued;      /* ns in this month */
};

int run_get(struct cat_txn *, uint64_t instance, struct run *ret) MUST_USE; /* the last; -ENOENT */
int run_put(struct cat_txn *, const struct run *) MUST_USE;
int run_remove(struct cat_txn *, uint64_t instance, uint32_t number) MUST_USE;
/* != 0 ends the walk and is returned; `each` may change rows. */
int run_each(struct cat_txn *, int (*each)(void *ctx, const struct run *), void *ctx) MUST_USE;

/* How long it has run this month, up to ledger time `at`. */
int64_t run_time(const struct run *, int64_t at);

#endif
