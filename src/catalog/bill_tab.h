/* SPDX-License-Identifier: Apache-2.0 */
/* bill_tab: the lines of bills of months that are closed. They never change again, so names stand in them as they were.
 *
 * A month is counted from the year 0: year × 12 + month (0-11).
 */
#ifndef IMAGEFS_CATALOG_BILL_TAB_H
#define IMAGEFS_CATALOG_BILL_TAB_H

#include "base/money.h"
#include "catalog/image.h"
#include "catalog/region.h"

enum bill_kind { BILL_STORAGE, BILL_FREE_STORAGE, BILL_INSTANCE, BILL_WINDOWS, BILL_MARKETPLACE, BILL_KIND_MAX_ };
enum bill_unit { BILL_GIB_MONTH, BILL_HOUR, BILL_MONTH, BILL_ONCE, BILL_UNIT_MAX_ };

struct bill_line {
	uint32_t month, account, region; /* account 0: nobody's */
	uint8_t kind, unit;
	uint8_t type;                  /* enum image_type */
	uint64_t id;                   /* of the image or instance; 0: the line is about none */
	char name[IMAGE_NAME_MAX + 1]; /* its */
	quantity quantity;
	money rate, amount;
	char currency[4];
	char account_name[PLACE_NAME_MAX + 1], region_name[PLACE_NAME_MAX + 1];
	char vendor[PLACE_NAME_MAX + 1]; /* who is paid by it; "": the operator */
};

/* Line `number` of the account's bill of that month. -EEXIST: it has that line. */
int bill_put(struct cat_txn *, uint32_t number, const struct bill_line *) MUST_USE;

/* A month's lines of an account (all: everybody's), by number, account by account. */
int bill_each(struct cat_txn *, uint32_t month, uint32_t account, bool all, int (*each)(void *ctx, const struct bill_line *),
	      void *ctx) MUST_USE;

const char *bill_kind_name(enum bill_kind); /* "free-storage" */
const char *bill_unit_name(enum bill_unit); /* "GiB-month" */

#endif
