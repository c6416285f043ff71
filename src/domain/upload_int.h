/* SPDX-License-Identifier: Apache-2.0 */
/* upload_int: what the upload_*.c files share. */
#ifndef IMAGEFS_DOMAIN_UPLOAD_INT_H
#define IMAGEFS_DOMAIN_UPLOAD_INT_H

#include "domain/upload.h"

/* The rows of a disk and of its image. -ESTALE when they are gone. */
int upload_rows(struct cat_txn *, uint64_t disk_node, struct tree_disk *ret, struct error *err) MUST_USE;

#endif
