/* SPDX-License-Identifier: Apache-2.0 */
/* inherit: terms follow bytes that a program reads from one disk and writes to another.
 *
 * Copies inside the store are known for certain (upload_lineage). A program that reads and writes is not asked what it does; but when it
 * has the disk of an image with a licence or a price open for reading while it writes to another disk, that one gets these terms.
 */
#ifndef IMAGEFS_DOMAIN_INHERIT_H
#define IMAGEFS_DOMAIN_INHERIT_H

#include "domain/service.h"
#include "domain/who.h"

/* The program has `from` open for reading and `to` for writing. Cheap when nothing has to change. A server that reads the disk of another
 * one is no copy: between the disks of two instances that run nothing is done. -EPERM: `to` has bytes of an image with another price. */
int inherit_by_reading(struct service *, const struct who *, uint64_t to_disk_node, uint64_t from_disk_node, struct error *err) MUST_USE;

#endif
