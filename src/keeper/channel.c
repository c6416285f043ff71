/* SPDX-License-Identifier: Apache-2.0 */
/* channel: messages between keeper and daemon.
 *
 * One packet is one message, as long as its text; at most one descriptor travels with it. What arrives is
 * checked before anybody sees it: the kind is known, lengths fit, the text ends.
 */
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "keeper/keeper.h"

union fd_space {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static void attach_fd(struct msghdr *h, union fd_space *space, int fd)
{
	memset(space, 0, sizeof *space);
	h->msg_control = space->bytes;
	h->msg_controllen = sizeof space->bytes;
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

static int send_code(int e)
{
	if (e == ECONNRESET || e == ENOTCONN)
		return -EPIPE;
	/* Too many descriptors are on their way: they will arrive. */
	return e == ETOOMANYREFS ? -EAGAIN : -e;
}

int keep_send(int channel, const struct keep_message *m, int fd)
{
	size_t len = offsetof(struct keep_message, dir) + strnlen(m->dir, sizeof m->dir - 1) + 1;
	struct iovec iov = { .iov_base = (void *)m, .iov_len = len };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	union fd_space space;
	ssize_t n;

	if (fd >= 0)
		attach_fd(&h, &space, fd);
	do
		n = sendmsg(channel, &h, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? send_code(errno) : 0;
}

static int attached_fd(struct msghdr *h)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fd))
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

static bool is_whole(const struct keep_message *m, size_t len)
{
	if (len <= offsetof(struct keep_message, dir) || m->dir[len - 1 - offsetof(struct keep_message, dir)])
		return false;
	return m->kind >= KEEP_ADD && m->kind <= KEEP_FAILED && m->init_len <= sizeof m->init;
}

int keep_receive(int channel, struct keep_message *ret, int *ret_fd)
{
	struct iovec iov = { .iov_base = ret, .iov_len = sizeof *ret };
	union fd_space space;
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space.bytes,
			    .msg_controllen = sizeof space.bytes };
	ssize_t n;

	memset(ret, 0, sizeof *ret);
	*ret_fd = -1;
	do
		n = recvmsg(channel, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return -EPIPE;
	if (n < 0)
		return -errno;
	AUTO_FD int fd = attached_fd(&h);
	if (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || !is_whole(ret, (size_t)n))
		return -EBADMSG;
	*ret_fd = steal_fd(&fd);
	return 0;
}
