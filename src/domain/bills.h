/* SPDX-License-Identifier: Apache-2.0 */
/* bills: what a month costs whom.
 *
 * The lines of a bill, per account and region:
 *
 *     storage        an image, an instance or something in the trash: GiB-months, at the region's storage-price when the month is closed.
 *                    A GiB-month is 2^30 bytes held for the whole of that month
 *     free-storage   less than nothing: what of these is free, at most the region's free-storage
 *     instance       hours that an instance ran, at the rate at which it was started
 *     windows        the same hours again, at the fee for its licence at that time
 *     marketplace    the vendor's price: once, for hours, or for the part of the month
 *
 * A line's quantity is rounded to a billionth, its amount is quantity times rate, rounded to a millionth; sums are sums of lines.
 */
#ifndef IMAGEFS_DOMAIN_BILLS_H
#define IMAGEFS_DOMAIN_BILLS_H

#include "catalog/bill_tab.h"

typedef int (*bill_fn)(void *ctx, const struct bill_line *);

/* Whose bill: of an account, or everybody's; of one region, or all. */
struct bill_scope {
	uint32_t account, region; /* region 0: all */
	bool all;                 /* accounts */
};

/* Lines of a closed month as they were written; of the one under way as they would be if it ended now. -ENOENT: of any other. */
int bills_of(struct cat_txn *, uint32_t month, const struct bill_scope *, bill_fn, void *ctx) MUST_USE;

/* The month ends at ledger time `end` and the next at `next_end`: write its lines. For ledger.c. */
int bills_close(struct cat_txn *, uint32_t month, int64_t end, int64_t next_end) MUST_USE;

/* As CSV (RFC 4180, newlines). The name, which may have commas in it, comes last, so that the others can be told by counting commas. */
struct buf;
#define BILL_CSV_HEADER "month,account,region,kind,id,quantity,unit,rate,amount,currency,vendor,name\n"
void bill_csv(const struct bill_line *, struct buf *ret);
int bills_csv(struct cat_txn *, uint32_t month, const struct bill_scope *, struct buf *ret) MUST_USE; /* with the header */

#endif
