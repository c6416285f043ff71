/* SPDX-License-Identifier: Apache-2.0 */
/* mounts: what is mounted where, as the kernel lists it, and undoing a mount. Nothing here touches the
 * mounted tree itself, so it works for mounts whose daemon is dead, and inside the daemon. */
#ifndef IMAGEFS_DAEMON_MOUNTS_H
#define IMAGEFS_DAEMON_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define MOUNT_TYPE "fuse.imagefs"

struct mount_entry {
	char dir[4096], source[4096];
	char type[64];
	uint32_t user_id;            /* of a FUSE mount: who made it */
	unsigned int major_no, minor_no; /* its st_dev */
};

/* One line of /proc/self/mountinfo. -EINVAL when it is not one. */
int mount_parse(const char *line, struct mount_entry *ret) MUST_USE;

/* What is mounted exactly at `dir` (absolute, resolved), the topmost; -ENOENT. */
int mount_at(const char *dir, struct mount_entry *ret) MUST_USE;

/* The mount that `path` (absolute, resolved) lies in; -ENOENT. */
int mount_holding(const char *path, struct mount_entry *ret) MUST_USE;

/* Unmount: umount2(2) as root, `fusermount3 -u` otherwise. -EBUSY: in use (never when lazy). */
int mount_remove(const char *dir, bool lazy, struct error *err) MUST_USE;

#endif
