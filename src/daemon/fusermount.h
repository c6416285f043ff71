/* SPDX-License-Identifier: Apache-2.0 */
/* fusermount: run fusermount3, the setuid helper by which ordinary users mount and unmount. */
#ifndef IMAGEFS_DAEMON_FUSERMOUNT_H
#define IMAGEFS_DAEMON_FUSERMOUNT_H

#include "base/err.h"

/* args: argv, "fusermount3" first, NULL last. comm_fd: a socket that it is given as _FUSE_COMMFD, or -1.
 * Fails with what it said: -ENOENT not installed, -EPERM it refused, -EBUSY in use. */
int fusermount_run(const char *const *args, int comm_fd, struct error *err) MUST_USE;

/* The descriptor that it sent over the other end of comm_fd; -ENODATA when it sent none. */
int fusermount_receive(int socket) MUST_USE;

#endif
