/* SPDX-License-Identifier: Apache-2.0 */
/* undo: take a mount of ours out of the file tree.
 *
 * `dir` came from a client, who may have lied: only a FUSE mount that was made by `uid` is undone, and what is
 * looked at is what is unmounted, however names change meanwhile. As root by umount2(2), else by
 * fusermount3, which unmounts only what its caller mounted: mounts of other users are not even looked at then, for the way to
 * them may lead through file systems that hang. Does not wait for users of the mount (a lazy unmount).
 */
#ifndef IMAGEFS_KEEPER_UNDO_H
#define IMAGEFS_KEEPER_UNDO_H

#include <stdint.h>

#include "base/err.h"

int mount_undo(const char *dir, uint32_t uid, struct error *err) MUST_USE; /* -ENOENT: there is no such mount; -EPERM: it is not ours to unmount */

#endif
