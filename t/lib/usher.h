/* SPDX-License-Identifier: Apache-2.0 */
/* usher: for programs that `imagefs mount` finds as `fusermount3`: they mount by the real one, and see the descriptor on its way. */
#ifndef IMAGEFS_T_LIB_USHER_H
#define IMAGEFS_T_LIB_USHER_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAL_FUSERMOUNT "/usr/bin/fusermount3"

static inline int usher_pass(int socket, int fd)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof fd)] = { 0 };
	struct iovec iov = { (char[]){ 0 }, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return sendmsg(socket, &m, 0) == 1 ? 0 : -1;
}

static inline int usher_take(int socket)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))];
	char byte;
	int fd;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
	if (recvmsg(socket, &m, 0) <= 0 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	return fd;
}

/* The socket on which whoever executed us waits for the descriptor. Asked for anything but a mount, the real one takes over. */
static inline int usher_socket(char **argv)
{
	const char *text = getenv("_FUSE_COMMFD");
	if (text)
		return (int)strtol(text, NULL, 10);
	execv(REAL_FUSERMOUNT, argv);
	_exit(127);
}

static inline int usher_mount(char **argv)
{
	char number[16];
	int pair[2], status = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	snprintf(number, sizeof number, "%d", pair[1]);
	pid_t pid = fork();
	if (pid == 0) {
		setenv("_FUSE_COMMFD", number, 1);
		execv(REAL_FUSERMOUNT, argv);
		_exit(127);
	}
	close(pair[1]);
	int fd = usher_take(pair[0]);
	waitpid(pid, &status, 0);
	return status == 0 ? fd : -1;
}

/* A process that outlives the mounting, with the descriptor: 0 in it. */
static inline pid_t usher_stay(int socket)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	int null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	close(socket);
	setsid();
	return 0;
}

#endif
