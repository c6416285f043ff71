/* SPDX-License-Identifier: Apache-2.0 */
/* index: how the store asks where an object lies. The catalog implements it over LMDB; unit tests
 * use a table in memory (t/lib).
 *
 * A domain is a space within which bytes are deduplicated; each has rows of its own. A row either says where the object
 * lies, or that it is *borrowed* from another domain, the lender. A borrowed node brings all that is below it: what it
 * names has rows with the lender, not with the borrower. So whoever goes down a map goes on in the domain in which
 * each node was found. A lender's row is never borrowed itself. */
#ifndef IMAGEFS_STORE_INDEX_H
#define IMAGEFS_STORE_INDEX_H

#include <stdbool.h>

#include "store/chunk.h"

struct found {
	struct place place;
	uint32_t domain; /* in which it lies: the one that was asked for, or its lender */
	bool damaged;    /* it is known that its bytes cannot be read (bad.h): nothing new may count on them */
	bool sure;       /* the whole hash was compared; else only 16 bytes of it, and new bytes have to be compared with those that are there */
};

/* An object whose bytes at that place cannot be read. */
struct bad_object {
	struct object object; /* its domain is the one in which it lies */
	struct place place;
};

struct index {
	/* 0 and the place, or -ENOENT. From any thread. */
	int (*find)(void *ctx, uint32_t domain, const struct hash *, struct found *ret);
	void *ctx;
};

#endif
