/* SPDX-License-Identifier: Apache-2.0 */
/* region: where images live. */
#ifndef IMAGEFS_CATALOG_REGION_H
#define IMAGEFS_CATALOG_REGION_H

#include "catalog/catalog.h"

#define PLACE_NAME_MAX 32 /* region and account names: 1-32 of a-z 0-9 . _ - */

struct region {
	uint32_t no; /* from COUNTER_REGION; never reused */
	char name[PLACE_NAME_MAX + 1];
	bool mainland, copy; /* copy: may copies come in */
	uint8_t types;       /* bit per enum image_type: which are offered */
	uint32_t pool;       /* 0: the store's own folder */
	char zones[161];     /* space-separated; may be empty */
	uint64_t free_storage;                                     /* bytes an account has free */
	char storage_price[24], windows_fee[24], instance_price[24]; /* decimal texts, "0" */
	int64_t created;
};

int region_get(struct cat_txn *, uint32_t no, struct region *ret) MUST_USE;       /* -ENOENT */
int region_find(struct cat_txn *, const char *name, struct region *ret) MUST_USE; /* -ENOENT */
int region_put(struct cat_txn *, const struct region *) MUST_USE;                 /* insert or change; the name of an existing one never changes */
int region_remove(struct cat_txn *, uint32_t no) MUST_USE;
/* In order of number, those with number > after; each != 0 ends the walk and is returned. */
int region_each(struct cat_txn *, uint32_t after, int (*each)(void *ctx, const struct region *), void *ctx) MUST_USE;

#endif
