/* SPDX-License-Identifier: Apache-2.0 */
/* thief: found as `fusermount3` by `imagefs mount`, it mounts like that, but keeps a duplicate of the descriptor. From it it reads requests of
 * its own mount and never answers them, until a process of its hangs in DIR/$THIEF_DIR with that folder locked by the kernel: then it
 * makes the file $THIEF_DONE and sleeps with what it has stolen. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAL "/usr/bin/fusermount3"
#define REQUEST_MAX (2u << 20)
enum { LOOKUP = 1, MKDIR = 9, RMDIR = 11 }; /* for which the folder is locked */

static int pass(int socket, int fd)
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

static int take(int socket)
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

static int mount_really(char **argv)
{
	char number[16];
	int pair[2], status = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	snprintf(number, sizeof number, "%d", pair[1]);
	pid_t pid = fork();
	if (pid == 0) {
		setenv("_FUSE_COMMFD", number, 1);
		execv(REAL, argv);
		_exit(127);
	}
	close(pair[1]);
	int fd = take(pair[0]);
	waitpid(pid, &status, 0);
	return status == 0 ? fd : -1;
}

static void __attribute__((noreturn)) knock(const char *folder)
{
	for (unsigned i = 0;; i++) {
		char path[4200];
		snprintf(path, sizeof path, "%s/stolen-%u", folder, i);
		mkdir(path, 0755);
		rmdir(path);
		usleep(500);
	}
}

/* What `imagefs mount` asks to see whether the mount answers is not stolen: it would wait for ever. */
static void __attribute__((noreturn)) steal(int fd, const char *dir, pid_t mounting)
{
	char folder[4100], *request = malloc(REQUEST_MAX);
	struct stat st;
	while (kill(mounting, 0) == 0)
		usleep(10000);
	snprintf(folder, sizeof folder, "%s/%s", dir, getenv("THIEF_DIR"));
	while (stat(folder, &st) || !S_ISDIR(st.st_mode))
		usleep(10000);
	if (fork() == 0)
		knock(folder);
	for (;;) {
		uint32_t header[2];
		if (read(fd, request, REQUEST_MAX) < (ssize_t)sizeof header)
			continue;
		memcpy(header, request, sizeof header);
		if (header[1] == LOOKUP || header[1] == MKDIR || header[1] == RMDIR)
			break;
	}
	close(open(getenv("THIEF_DONE"), O_CREAT | O_WRONLY, 0644));
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *text = getenv("_FUSE_COMMFD");
	if (!text) {
		execv(REAL, argv);
		return 127;
	}
	pid_t mounting = getppid();
	int comm = (int)strtol(text, NULL, 10);
	int fd = mount_really(argv);
	if (fd < 0 || pass(comm, fd))
		return 1;
	if (fork() == 0) {
		int null = open("/dev/null", O_RDWR);
		for (int i = 0; i < 3; i++)
			dup2(null, i);
		close(comm);
		setsid();
		steal(fd, argv[argc - 1], mounting);
	}
	return 0;
}
