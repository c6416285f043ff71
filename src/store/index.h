/* SPDX-License-Identifier: Apache-2.0 */
/* index: how the store asks where an object lies. The catalog implements it over LMDB; unit tests
 * use a table in memory (t/lib). `domain` is the number of the space within which bytes are
 * deduplicated: objects of different domains know nothing of each other. */
#ifndef IMAGEFS_STORE_INDEX_H
#define IMAGEFS_STORE_INDEX_H

#include "store/chunk.h"

struct index {
	/* 0 and the place, or -ENOENT. From any thread. */
	int (*find)(void *ctx, uint32_t domain, const struct hash *, struct place *ret);
	void *ctx;
};

#endif
