/* SPDX-License-Identifier: Apache-2.0 */
/* device: a description of our own for the connection of a mount.
 *
 * Whoever mounts has the descriptor that he hands over, too, and both share one open file description: its flags are as much his as ours.
 * He can clear O_NONBLOCK under a thread that reads, and he can answer requests that we have read. So the descriptor that was handed over is
 * used only to say which connection is meant: FUSE_DEV_IOC_CLONE makes an own open of /dev/fuse another one of it. What
 * is read from that one can be answered only there; and what it has not answered when its last descriptor is closed is lost,
 * so the keeper has a duplicate of it (decision 15).
 */
#ifndef IMAGEFS_FRONT_DEVICE_H
#define IMAGEFS_FRONT_DEVICE_H

#include <stdbool.h>

#include "base/err.h"

/* The connection of `theirs`, through a description that nobody shares, non-blocking and close-on-exec. -ENOTCONN: `theirs` belongs to no mount, or no
 * longer; never waits for it to. -EACCES, -ENOENT, …: this process cannot open /dev/fuse. */
int device_own(int theirs, int *ret, struct error *err) MUST_USE;

/* A request waits to be read. mount(2) leaves the INIT there; where there is none, somebody else has read it. */
bool device_has_request(int fd);
bool device_is_over(int fd); /* unmounted, or aborted */

#endif
