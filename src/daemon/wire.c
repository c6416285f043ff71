/* SPDX-License-Identifier: Apache-2.0 */
/* Packets with an optional descriptor. A path too long for sockaddr_un (108 bytes) is reached through
 * /proc/self/fd of its folder. Descriptors that were not asked for are closed at once. */
#include "daemon/wire.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PASSED_MAX 8 /* room to receive, and close, more than the one that is allowed */

static void attach_fd(struct msghdr *m, char *room, size_t size, int pass)
{
	m->msg_control = room;
	m->msg_controllen = size;
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof pass);
	memcpy(CMSG_DATA(c), &pass, sizeof pass);
}

int wire_send(int fd, const char *text, int pass)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))] = { 0 };
	size_t len = strlen(text);
	struct iovec iov = { (void *)(uintptr_t)text, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (len == 0 || len > WIRE_MAX)
		return -EMSGSIZE;
	if (pass >= 0)
		attach_fd(&m, room, sizeof room, pass);
	for (;;) {
		if (sendmsg(fd, &m, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
	}
}

int wire_sendf(int fd, const char *format, ...)
{
	char text[WIRE_MAX + 1];
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	return n < 0 ? -EINVAL : wire_send(fd, text, -1);
}

/* The one descriptor that came, or -1. false: there were more (now closed). */
static bool take_fd(struct msghdr *m, int *ret)
{
	unsigned found = 0;
	*ret = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
			if (found++ == 0)
				*ret = fd;
			else
				close(fd);
		}
	}
	if (found <= 1 && !(m->msg_flags & MSG_CTRUNC))
		return true;
	if (*ret >= 0)
		close(*ret);
	*ret = -1;
	return false;
}

static int wait_readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	for (;;) {
		int n = poll(&p, 1, timeout_ms);
		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

int wire_receive(int fd, struct wire_message *ret, int timeout_ms)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(PASSED_MAX * sizeof(int))];
	struct iovec iov = { ret->text, WIRE_MAX };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
	ssize_t n;

	ret->fd = -1;
	int r = wait_readable(fd, timeout_ms);
	if (r)
		return r;
	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	bool one = take_fd(&m, &ret->fd);
	if (one && n > 0 && !(m.msg_flags & MSG_TRUNC) && !memchr(ret->text, 0, (size_t)n)) {
		ret->text[n] = 0;
		return 0;
	}
	if (ret->fd >= 0)
		close(ret->fd);
	ret->fd = -1;
	return n == 0 && one ? -EPIPE : -EBADMSG;
}

/* *ret_folder keeps the way to a long path open. */
static int address_of(const char *store, struct sockaddr_un *ret, int *ret_folder)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (snprintf(ret->sun_path, sizeof ret->sun_path, "%s/socket", store) < (int)sizeof ret->sun_path)
		return 0;
	*ret_folder = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_folder < 0)
		return -errno;
	snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/socket", *ret_folder);
	return 0;
}

static int note_name(const char *store, struct wire_name *ret)
{
	AUTO_FD int folder = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 || fstatat(folder, "socket", &ret->made, AT_SYMLINK_NOFOLLOW))
		return -errno;
	ret->folder = steal_fd(&folder);
	return 0;
}

static int open_name(const char *store, int fd, const struct sockaddr_un *address, struct wire_name *ret_name, struct error *err)
{
	int code = chmod(address->sun_path, 0666) || listen(fd, 64) ? -errno : ret_name ? note_name(store, ret_name) : 0;
	if (code == 0)
		return 0;
	unlink(address->sun_path);
	return fail(err, code, "cannot listen on %s/socket: %s", store, strerror(-code));
}

int wire_listen(const char *store, struct wire_name *ret_name, struct error *err)
{
	struct sockaddr_un address;
	AUTO_FD int folder = -1;
	int r = address_of(store, &address, &folder);
	if (r)
		return fail(err, r, "cannot reach %s: %s", store, strerror(-r));
	AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_errno(err, "cannot make a socket");
	if (unlink(address.sun_path) && errno != ENOENT)
		return fail_errno(err, "cannot remove the old %s/socket", store);
	if (bind(fd, (struct sockaddr *)&address, sizeof address))
		return fail_errno(err, "cannot make %s/socket", store);
	r = open_name(store, fd, &address, ret_name, err);
	return r ? r : steal_fd(&fd);
}

/* The numbers of what was removed are given out again: the time tells them apart. */
static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

void wire_unlisten(struct wire_name *name)
{
	struct stat now;
	if (fstatat(name->folder, "socket", &now, AT_SYMLINK_NOFOLLOW) == 0 && is_same(&now, &name->made))
		(void)unlinkat(name->folder, "socket", 0); /* one that stays does no harm: the next daemon replaces it */
	close(name->folder);
}

int wire_connect(const char *store)
{
	struct sockaddr_un address;
	AUTO_FD int folder = -1;
	int r = address_of(store, &address, &folder);
	if (r)
		return r;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof address))
		return -errno;
	return steal_fd(&fd);
}
