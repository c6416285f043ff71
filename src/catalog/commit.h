/* SPDX-License-Identifier: Apache-2.0 */
/* commit: writers that come at the same time share one commit. cat_write() (catalog.h) is made here. */
#ifndef IMAGEFS_CATALOG_COMMIT_H
#define IMAGEFS_CATALOG_COMMIT_H

#include <stdint.h>

struct commit_queue;
struct commit_queue *commit_queue_new(void);
void commit_queue_free(struct commit_queue *); /* NULL is allowed; nobody may be writing */
void commit_queue_stat(struct commit_queue *, uint64_t *ret_commits, uint64_t *ret_requests);

#endif
