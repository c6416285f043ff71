/* SPDX-License-Identifier: Apache-2.0 */
/* row_check: does a row make sense by itself? One function for each table whose values are more than a number, beside its decoder.
 * For src/catalog alone: table_list.c has them all. 0 or ERR_DAMAGED. */
#ifndef IMAGEFS_CATALOG_ROW_CHECK_H
#define IMAGEFS_CATALOG_ROW_CHECK_H

#include "catalog/record.h"

typedef int (*row_check)(struct bytes key, struct bytes value);

int meta_row_check(struct bytes key, struct bytes value) MUST_USE;
int region_row_check(struct bytes key, struct bytes value) MUST_USE;
int account_row_check(struct bytes key, struct bytes value) MUST_USE;
int image_row_check(struct bytes key, struct bytes value) MUST_USE;
int image_count_row_check(struct bytes key, struct bytes value) MUST_USE;
int setting_row_check(struct bytes key, struct bytes value) MUST_USE;
int share_row_check(struct bytes key, struct bytes value) MUST_USE;
int disk_row_check(struct bytes key, struct bytes value) MUST_USE;
int hold_row_check(struct bytes key, struct bytes value) MUST_USE;
int object_row_check(struct bytes key, struct bytes value) MUST_USE;
int loose_row_check(struct bytes key, struct bytes value) MUST_USE;
int pack_row_check(struct bytes key, struct bytes value) MUST_USE;
int meter_row_check(struct bytes key, struct bytes value) MUST_USE;
int meter_sum_row_check(struct bytes key, struct bytes value) MUST_USE;
int run_row_check(struct bytes key, struct bytes value) MUST_USE;
int bill_row_check(struct bytes key, struct bytes value) MUST_USE;
int policy_row_check(struct bytes key, struct bytes value) MUST_USE;
int answer_row_check(struct bytes key, struct bytes value) MUST_USE;
int log_row_check(struct bytes key, struct bytes value) MUST_USE;
int hurt_row_check(struct bytes key, struct bytes value) MUST_USE;
int log_ring_row_check(struct bytes key, struct bytes value) MUST_USE;

#endif
