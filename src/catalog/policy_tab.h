/* SPDX-License-Identifier: Apache-2.0 */
/* policy_tab: limits as values. Scope: account 0 = any, region 0 = any. Values are texts; meaning is domain/policy.h's. */
#ifndef IMAGEFS_CATALOG_POLICY_TAB_H
#define IMAGEFS_CATALOG_POLICY_TAB_H

#include "catalog/catalog.h"

#define POLICY_VALUE_MAX 63

int policy_row_get(struct cat_txn *, uint32_t account, uint32_t region, const char *name, char ret[POLICY_VALUE_MAX + 1]) MUST_USE; /* -ENOENT */
int policy_row_put(struct cat_txn *, uint32_t account, uint32_t region, const char *name, const char *value) MUST_USE;
int policy_row_remove(struct cat_txn *, uint32_t account, uint32_t region, const char *name) MUST_USE; /* -ENOENT */
int policy_row_each(struct cat_txn *, int (*each)(void *ctx, uint32_t account, uint32_t region, const char *name, const char *value), void *ctx) MUST_USE;

/* Operations an account made in a region on a UTC day (days since 1970): for operations-per-day. Older days are dropped as new ones begin. */
int day_count_get(struct cat_txn *, uint32_t account, uint32_t region, uint32_t day, uint64_t *ret) MUST_USE; /* 0 if none */
int day_count_add(struct cat_txn *, uint32_t account, uint32_t region, uint32_t day) MUST_USE;

#endif
