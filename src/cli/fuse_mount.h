/* SPDX-License-Identifier: Apache-2.0 */
/* fuse_mount: the kernel's side of a mount, made by the client as itself. */
#ifndef IMAGEFS_CLI_FUSE_MOUNT_H
#define IMAGEFS_CLI_FUSE_MOUNT_H

#include <stdbool.h>

#include "base/err.h"

/* An open /dev/fuse, or why there is none. */
int fuse_device(struct error *err) MUST_USE;

/* As root: mount(2) of an open /dev/fuse at dir. */
int fuse_mount_root(int device, const char *store, const char *dir, bool allow_other, struct error *err) MUST_USE;

/* As anybody, through fusermount3: answers the descriptor. */
int fuse_mount_user(const char *store, const char *dir, bool allow_other, struct error *err) MUST_USE;

/* Wait for the mount at dir to answer, and let the kernel read ahead as far as we can serve (as root; best effort). */
int fuse_mount_answers(const char *dir, struct error *err) MUST_USE;

#endif
