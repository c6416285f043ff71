/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/service_manager.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tap.h"

static int bound(struct sockaddr_un *address, size_t len)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)))
		bail("no socket");
	return fd;
}

static void comes(int fd, const char *want, const char *what)
{
	char text[100] = "";
	ssize_t n = recv(fd, text, sizeof text - 1, 0);
	ok(n == (ssize_t)strlen(want) && strcmp(text, want) == 0, "%s: \"%s\"", what, text);
}

int main(void)
{
	struct sockaddr_un named = { .sun_family = AF_UNIX }, abstract = { .sun_family = AF_UNIX };
	char text[110];
	unsetenv("NOTIFY_SOCKET");
	service_manager_tell("READY=1");
	snprintf(named.sun_path, sizeof named.sun_path, "%s/n", test_folder());
	int a = bound(&named, strlen(named.sun_path) + 1);
	setenv("NOTIFY_SOCKET", named.sun_path, 1);
	service_manager_tell("READY=1");
	comes(a, "READY=1", "a socket with a name");

	snprintf(text, sizeof text, "@imagefs-test-%d", (int)getpid());
	memcpy(abstract.sun_path, text, strlen(text));
	abstract.sun_path[0] = 0;
	int b = bound(&abstract, strlen(text));
	setenv("NOTIFY_SOCKET", text, 1);
	service_manager_tell("STOPPING=1");
	comes(b, "STOPPING=1", "an abstract one");
	char none[1];
	ok(recv(a, none, 1, 0) < 0, "the other is told nothing more");
	close(a);
	close(b);

	setenv("NOTIFY_SOCKET", text, 1);
	service_manager_tell("READY=1");
	setenv("NOTIFY_SOCKET", "nonsense", 1);
	service_manager_tell("READY=1");
	memset(text, 'x', sizeof text - 1);
	text[0] = '/';
	text[sizeof text - 1] = 0;
	setenv("NOTIFY_SOCKET", text, 1);
	service_manager_tell("READY=1");
	ok(1, "nobody there, no address, too long: nothing happens");
	return done_testing();
}
