/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol is a promise of systemd (sd_notify(3)): one datagram of lines NAME=VALUE; a name that begins with @ is in the abstract
 * namespace. It has NotifyAccess=all for us: the keeper is the main process, and the daemon knows. */
#include "daemon/service_manager.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"

static int tell(const char *path, const char *state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	if (len >= sizeof address.sun_path || (*path != '/' && *path != '@'))
		return -EINVAL;
	memcpy(address.sun_path, path, len);
	if (*path == '@')
		address.sun_path[0] = 0;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return -errno;
	return 0;
}

void service_manager_tell(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int r = path && *path ? tell(path, state) : 0;
	if (r)
		log_warn("cannot tell the service manager %s at %s: %s", state, path, strerror(-r));
}
