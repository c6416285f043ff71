/* SPDX-License-Identifier: Apache-2.0 */
/* policy: every limit is a value that an operator can change, for the store, a region, an account, or an account in a
 * region; the narrowest one counts. */
#ifndef IMAGEFS_DOMAIN_POLICY_H
#define IMAGEFS_DOMAIN_POLICY_H

#include "catalog/policy_tab.h"

struct buf;

/* The value in force: account in region, account, region, store, built-in default, in this order. -EINVAL: no such policy. */
int policy_value(struct cat_txn *, uint32_t account, uint32_t region, const char *name, char ret[64]) MUST_USE;

/* The same as a number; UINT64_MAX for "none". Sizes are bytes ("16T" is kept as it was written). */
int policy_number(struct cat_txn *, uint32_t account, uint32_t region, const char *name, uint64_t *ret) MUST_USE;

/* Write one: "NAME VALUE", or "NAME -" to reset. -EINVAL with a sentence. */
struct policy_place {
	uint32_t account, region; /* as for policy_row_put */
	bool whole;               /* the line is one of a whole file, as it is read: what is in force anyway is not set */
};
int policy_write_line(struct cat_txn *, const struct policy_place *, const char *line, struct error *err) MUST_USE;
bool policy_is_whole(const char *text); /* does it have a line for each policy? */

/* … and nothing but that: a copy of what was read here or somewhere else? */
bool policy_is_copy(const char *text);

/* All in force, with the scope that each is from; != 0 ends the walk and is returned. */
enum policy_scope { SCOPE_DEFAULT, SCOPE_STORE, SCOPE_REGION, SCOPE_ACCOUNT, SCOPE_ACCOUNT_REGION };
typedef int (*policy_fn)(void *ctx, const char *name, const char *value, enum policy_scope);
int policy_each(struct cat_txn *, uint32_t account, uint32_t region, policy_fn each, void *ctx) MUST_USE;

/* All in force, one `NAME VALUE` a line. */
int policy_text(struct cat_txn *, uint32_t account, uint32_t region, struct buf *ret) MUST_USE;

/* May this account have one more image / instance in this region? -EDQUOT with a sentence. */
struct shelf;
int policy_room_for_image(struct cat_txn *, const struct shelf *, struct error *err) MUST_USE;

/* May this account have one more alias there (`on_its_way`: ln -sfn makes one to rename it onto another) / one more in its trash? */
int policy_room_for_alias(struct cat_txn *, const struct shelf *, bool on_its_way, struct error *err) MUST_USE;
int policy_room_in_trash(struct cat_txn *, uint32_t account, uint32_t region, struct error *err) MUST_USE;

/* One of the operations that are counted by day: counts it, or -EDQUOT. */
int policy_spend_operation(struct cat_txn *, uint32_t account, uint32_t region, struct error *err) MUST_USE;

/* Is a disk of this size allowed? -EFBIG with a sentence. */
int policy_disk_size(struct cat_txn *, uint32_t account, uint32_t region, uint64_t size, struct error *err) MUST_USE;

#endif
