/* SPDX-License-Identifier: Apache-2.0 */
/* service_manager: what systemd is told of a service of Type=notify: a datagram to the socket that $NOTIFY_SOCKET names. */
#ifndef IMAGEFS_DAEMON_SERVICE_MANAGER_H
#define IMAGEFS_DAEMON_SERVICE_MANAGER_H

/* "READY=1", "STOPPING=1". Without $NOTIFY_SOCKET nothing is told; a failure is logged, for nothing depends on it here. */
void service_manager_tell(const char *state);

#endif
