/* SPDX-License-Identifier: Apache-2.0 */
/* notified SOCKET FILE: what systemd is to a service of Type=notify: a datagram socket, of mode 0666. What comes is appended to
 * FILE, "UID LINE" each, with the sender's uid as the kernel tells it. Runs until it is killed. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int on = 1, fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || chmod(path, 0666) ||
	    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on))
		return -1;
	return fd;
}

static int receive(int fd, FILE *out)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(struct ucred))];
	char text[4096];
	struct iovec iov = { text, sizeof text - 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
	struct ucred who = { .uid = (uid_t)-1 };
	ssize_t n = recvmsg(fd, &m, 0);
	const struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_type != SCM_CREDENTIALS)
		return -1;
	memcpy(&who, CMSG_DATA(c), sizeof who);
	text[n] = 0;
	fprintf(out, "%u %s\n", (unsigned)who.uid, text);
	return fflush(out);
}

int main(int argc, char **argv)
{
	FILE *out = argc == 3 ? fopen(argv[2], "ae") : NULL;
	int fd = out ? listen_at(argv[1]) : -1;
	if (fd < 0) {
		perror("notified");
		return 1;
	}
	while (receive(fd, out) == 0)
		;
	perror("notified");
	return 1;
}
