/* SPDX-License-Identifier: Apache-2.0 */
/* journal: what was done: the log for people, and the answers for requests that are sent twice.
 *
 * An operation that must not be done twice records its answer in the transaction that carries it out.
 * When the kernel sends the request again (the daemon died before it answered), the record is found by
 * (connection, unique) and given again. A connection keeps its last ANSWERS_KEPT; older ones are overwritten.
 */
#ifndef IMAGEFS_CATALOG_JOURNAL_H
#define IMAGEFS_CATALOG_JOURNAL_H

#include "catalog/catalog.h"

#define ANSWERS_KEPT 1024
#define ANSWER_MAX 64

int answer_put(struct cat_txn *, uint32_t conn, uint64_t unique, const void *answer, unsigned len) MUST_USE;
int answer_find(struct cat_txn *, uint32_t conn, uint64_t unique, void *ret, unsigned room, unsigned *ret_len) MUST_USE; /* -ENOENT */
int answer_forget(struct cat_txn *, uint32_t conn) MUST_USE; /* the connection is gone */

/* The log: one entry an operation, numbered. What an account did has room of its own (8 MiB), and what others did to it (2 MiB): beyond, the
 * oldest of that go. When it holds more than LOG_BYTES in all, the oldest go, whosever they are. */
#define LOG_BYTES (64u << 20)
#define LOG_SHARE_LEAST (16u << 10)
struct log_entry {
	uint64_t seq;     /* given by log_add */
	int64_t time;     /* ns */
	uint32_t account; /* who did it */
	uint32_t owner;   /* account it was done to (equal to account mostly) */
	uint32_t uid;
	int32_t result;   /* 0 or negative code */
	char operation[16];
	char path[400];   /* region/type/name */
	char detail[300]; /* "" or what else there is to say */
};
int log_add(struct cat_txn *, const struct log_entry *) MUST_USE;
/* Entries with seq > after that concern `account` (as doer or owner; 0 = everybody's), oldest first. */
int log_each(struct cat_txn *, uint32_t account, uint64_t after, int (*each)(void *ctx, const struct log_entry *), void *ctx) MUST_USE;
/* The newest that concern `account`, about so many bytes of them, oldest first: three parts of what it did, one of what others did to it. 0: of all
 * accounts, each with the same share (at least LOG_SHARE_LEAST). */
int log_newest(struct cat_txn *, uint32_t account, uint64_t bytes, int (*each)(void *ctx, const struct log_entry *), void *ctx) MUST_USE;
/* seq such that about `bytes` of text follow it (where a tail begins). */
int log_tail(struct cat_txn *, uint64_t bytes, uint64_t *ret_after) MUST_USE;

#endif
