/* SPDX-License-Identifier: Apache-2.0 */
/* account: who images belong to: a team, with one or more uids of this machine. */
#ifndef IMAGEFS_CATALOG_ACCOUNT_H
#define IMAGEFS_CATALOG_ACCOUNT_H

#include "catalog/region.h"

#define ACCOUNT_UIDS 64

struct account {
	uint32_t no; /* from COUNTER_ACCOUNT; never reused */
	char name[PLACE_NAME_MAX + 1];
	uint32_t uids[ACCOUNT_UIDS];
	unsigned n_uids;
	bool is_operator, is_vendor;
	char accept[801]; /* "all", or account names with spaces between */
	int64_t created;
};

int account_get(struct cat_txn *, uint32_t no, struct account *ret) MUST_USE;
int account_find(struct cat_txn *, const char *name, struct account *ret) MUST_USE;
int account_by_uid(struct cat_txn *, uint32_t uid, struct account *ret) MUST_USE; /* a uid belongs to one account at most */
/* Insert or change, with its uids; -EEXIST when one of the uids or the name belongs to another account. */
int account_put(struct cat_txn *, const struct account *) MUST_USE;
int account_remove(struct cat_txn *, uint32_t no) MUST_USE;
/* The domain (store/index.h) that is this account's alone; it gets its number when it is first asked for. */
int account_domain(struct cat_txn *, uint32_t no, uint32_t *ret) MUST_USE;
int account_each(struct cat_txn *, uint32_t after, int (*each)(void *ctx, const struct account *), void *ctx) MUST_USE;

#endif
