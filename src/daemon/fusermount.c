/* SPDX-License-Identifier: Apache-2.0 */
/* posix_spawn, because the daemon has threads; what the helper prints becomes the sentence. */
#include "daemon/fusermount.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

extern char **environ;

/* environ with _FUSE_COMMFD; the array is the caller's to free, the texts are not. */
static char **environment_with(char *setting)
{
	size_t n = 0;
	while (environ[n])
		n++;
	char **ret = calloc(n + 2, sizeof *ret);
	if (!ret)
		abort();
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "_FUSE_COMMFD=", 13))
			ret[kept++] = environ[i];
	if (setting)
		ret[kept] = setting;
	return ret;
}

static int spawn(const char *const *args, int comm_fd, int said_fd, pid_t *ret)
{
	char setting[40];
	snprintf(setting, sizeof setting, "_FUSE_COMMFD=%d", comm_fd);
	AUTO_FREE char **environment = environment_with(comm_fd >= 0 ? setting : NULL);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none); /* the daemon blocks some */
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, said_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, said_fd, STDERR_FILENO);
	if (comm_fd >= 0) /* onto itself: loses its close-on-exec flag, in the child only */
		posix_spawn_file_actions_adddup2(&actions, comm_fd, comm_fd);
	int code = posix_spawnp(ret, args[0], &actions, &attributes, (char *const *)(uintptr_t)args, environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -code;
}

/* All that it prints, on one line. */
static void read_said(int fd, char *ret, size_t size)
{
	size_t n = 0;
	for (;;) {
		char spill[256];
		ssize_t m = n + 1 < size ? read(fd, ret + n, size - 1 - n) : read(fd, spill, sizeof spill);
		if (m < 0 && errno == EINTR)
			continue;
		if (m <= 0)
			break;
		if (n + 1 < size)
			n += (size_t)m;
	}
	while (n > 0 && ret[n - 1] == '\n')
		n--;
	ret[n] = 0;
	for (char *p = ret; *p; p++)
		if (*p == '\n')
			*p = ' ';
}

static int wait_for(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

int fusermount_run(const char *const *args, int comm_fd, struct error *err)
{
	char said[300];
	pid_t pid;
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC))
		return fail_errno(err, "cannot make a pipe");
	AUTO_FD int read_end = pipes[0];
	int r = spawn(args, comm_fd, pipes[1], &pid);
	close(pipes[1]);
	if (r == -ENOENT)
		return fail(err, r, "fusermount3 is not installed, and without it only root can mount: "
				    "install the package fuse3");
	if (r)
		return fail(err, r, "cannot run fusermount3: %s", strerror(-r));
	read_said(read_end, said, sizeof said);
	int status = wait_for(pid);
	if (status == 0)
		return 0;
	if (status > 0 && !*said)
		snprintf(said, sizeof said, "fusermount3 failed without a word");
	if (status < 0)
		return fail(err, status, "cannot wait for fusermount3: %s", strerror(-status));
	return fail(err, strstr(said, strerror(EBUSY)) ? -EBUSY : -EPERM, "%s", said);
}

int fusermount_receive(int socket)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))];
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
	int fd;

	if (recvmsg(socket, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) <= 0)
		return -ENODATA;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof fd))
		return -ENODATA;
	memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}
