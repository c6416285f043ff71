/* SPDX-License-Identifier: Apache-2.0 */
/* index_mem: struct index (store/index.h) as a table in memory, for tests. Thread-safe. */
#ifndef IMAGEFS_T_INDEX_MEM_H
#define IMAGEFS_T_INDEX_MEM_H

#include <stdbool.h>
#include <stddef.h>

#include "store/index.h"

struct index_mem;

struct index_mem *index_mem_new(void); /* aborts when there is no memory */
void index_mem_free(struct index_mem *); /* NULL allowed; nobody may use the index any more */

/* The vtable over it. Valid until index_mem_free(). */
struct index index_mem_index(struct index_mem *);

/* Tell where an object lies; a place that was known is replaced. */
void index_mem_insert(struct index_mem *, uint32_t domain, const struct hash *, const struct place *);

/* Tell that `domain` borrows it from `lender`. */
void index_mem_borrow(struct index_mem *, uint32_t domain, const struct hash *, uint32_t lender);

/* Forget it; false when it was not known. */
bool index_mem_remove(struct index_mem *, uint32_t domain, const struct hash *);

size_t index_mem_count(struct index_mem *); /* of all domains */

#endif
