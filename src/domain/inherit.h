/* SPDX-License-Identifier: Apache-2.0 */
/* inherit: terms follow bytes that are read from one disk and written to another.
 *
 * Copies inside the store are known for certain (upload_lineage). A program that reads and writes is not asked what it does; but when it
 * has the disk of an image with a licence or a price open for reading while it writes to another disk, that one gets these terms. And when an
 * import turns out to be, whole and byte for byte, what its account has with inherited terms already, it has come from there, by
 * whichever way. What others have is not looked at: it would tell who has what.
 */
#ifndef IMAGEFS_DOMAIN_INHERIT_H
#define IMAGEFS_DOMAIN_INHERIT_H

#include "catalog/disk_tab.h"
#include "domain/service.h"
#include "domain/who.h"

/* The program has `from` open for reading and `to` for writing. Cheap when nothing has to change. A server that reads the disk of another
 * one is no copy: between the disks of two instances that run nothing is done. -EPERM: `to` has bytes of an image with another price. */
int inherit_by_reading(struct service *, const struct who *, uint64_t to_disk_node, uint64_t from_disk_node, struct error *err) MUST_USE;

/* The import that process `pid` made is whole; its disk will be `row`. The caller writes the image's row. */
int inherit_by_content(struct cat_txn *, struct image *, uint32_t pid, const struct disk_row *, struct error *err) MUST_USE;

#endif
