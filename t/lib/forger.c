/* SPDX-License-Identifier: Apache-2.0 */
/* forger: has the kernel ask a daemon about inode numbers that the daemon has never given it, as who holds a duplicate of a mount's
 * descriptor can: while the daemon is stopped, it answers a lookup in its place.
 *
 *	forger KEEPER DAEMON MOUNT UID NODE dir|file|link WAY
 *
 * takes the descriptor of MOUNT from the process KEEPER; a process of UID looks MOUNT/forged-… up (the kernel must know the folder MOUNT), which then is NODE, and tries WAY: stat,
 * read, write, truncate, list, readlink, chmod, unlink, create, xattr. Prints "ok", with what came, or the errno. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static char request[2 << 20];

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "forger: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- the descriptor ------------------------------------------------------------------------------------------ */

/* A duplicate in which the kernel has a request of our mount: of several it is found by trying. */
static int take_all(pid_t keeper, int *ret, int room)
{
	char path[64], text[64];
	int n = 0, pid = (int)syscall(SYS_pidfd_open, keeper, 0);
	for (int fd = 0; fd < 1024 && n < room; fd++) {
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)keeper, fd);
		ssize_t len = readlink(path, text, sizeof text - 1);
		if (len < 0 || strncmp(text, "/dev/fuse", (size_t)len))
			continue;
		ret[n] = (int)syscall(SYS_pidfd_getfd, pid, fd, 0);
		if (ret[n] < 0)
			die("pidfd_getfd");
		n++;
	}
	return n;
}

static void answer(int fd, uint64_t unique, uint64_t node, mode_t mode)
{
	struct {
		struct fuse_out_header header;
		struct fuse_entry_out entry;
	} out = { .header = { .len = sizeof out, .unique = unique },
		  .entry = { .nodeid = node, .generation = 1, .entry_valid = 60, .attr = { .ino = node, .mode = mode, .nlink = 1, .size = 4 << 20 } } };
	if (write(fd, &out, sizeof out) != (ssize_t)sizeof out)
		die("answer");
}

/* The daemon is stopped: whatever is asked is ours. Anything but the lookup is an error of the test. */
static int forge(const int *fds, int n, uint64_t node, mode_t mode)
{
	for (unsigned round = 0; round < 500; round++, usleep(10000))
		for (int i = 0; i < n; i++) {
			const struct fuse_in_header *in = (const struct fuse_in_header *)request;
			struct pollfd ready = { .fd = fds[i], .events = POLLIN };
			ssize_t len = poll(&ready, 1, 0) == 1 ? read(fds[i], request, sizeof request) : 0;
			if (len < (ssize_t)sizeof *in)
				continue;
			if (in->opcode != FUSE_LOOKUP || strncmp(request + sizeof *in, "forged-", 7)) {
				fprintf(stderr, "forger: request %u came\n", in->opcode);
				continue;
			}
			answer(fds[i], in->unique, node, mode);
			return 0;
		}
	fprintf(stderr, "forger: no lookup came through %d descriptors\n", n);
	return 1;
}

/* ---- what is tried --------------------------------------------------------------------------------------------- */

static int result(long r, const char *text, long len)
{
	if (r < 0)
		printf("%s\n", strerrorname_np(errno));
	else
		printf("ok %.*s\n", (int)(len < 100 ? len : 100), text);
	fflush(stdout);
	return 0;
}

static int list(const char *path)
{
	char names[2000] = "";
	DIR *dir = opendir(path);
	if (!dir)
		return result(-1, "", 0);
	errno = 0;
	for (struct dirent *d; (d = readdir(dir));)
		if (d->d_name[0] != '.')
			snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", d->d_name);
	return result(errno ? -1 : 0, names, (long)strlen(names));
}

static int try(const char *way, const char *path)
{
	char text[4096], inside[4200];
	struct stat st;
	long n;
	snprintf(inside, sizeof inside, "%s/description", path);
	if (strcmp(way, "list") == 0)
		return list(path);
	if (strcmp(way, "stat") == 0)
		return result(stat(path, &st), "", 0);
	if (strcmp(way, "readlink") == 0)
		return n = readlink(path, text, sizeof text), result(n, text, n);
	if (strcmp(way, "chmod") == 0)
		return result(chmod(path, 0555), "", 0);
	if (strcmp(way, "truncate") == 0)
		return result(truncate(path, 512), "", 0);
	if (strcmp(way, "unlink") == 0)
		return result(unlink(inside), "", 0);
	if (strcmp(way, "create") == 0)
		return result(open(inside, O_CREAT | O_WRONLY | O_CLOEXEC, 0644), "", 0);
	if (strcmp(way, "xattr") == 0)
		return n = getxattr(path, "user.imagefs.id", text, sizeof text), result(n, text, n);
	int fd = open(path, (strcmp(way, "write") ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (fd < 0)
		return result(-1, "", 0);
	n = strcmp(way, "write") ? read(fd, text, sizeof text) : write(fd, "x\n", 2);
	return result(n, text, strcmp(way, "write") ? n : 0);
}

int main(int argc, char **argv)
{
	int fds[16], status;
	char path[4096];
	if (argc != 8) {
		fprintf(stderr, "forger: see the top of forger.c for what it can do\n");
		return 2;
	}
	pid_t keeper = (pid_t)strtol(argv[1], NULL, 10), daemon = (pid_t)strtol(argv[2], NULL, 10);
	uid_t uid = (uid_t)strtoul(argv[4], NULL, 10);
	mode_t mode = argv[6][0] == 'd' ? S_IFDIR | 0755 : argv[6][0] == 'l' ? S_IFLNK | 0777 : S_IFREG | 0644;
	int n = take_all(keeper, fds, 16);
	snprintf(path, sizeof path, "%s/forged-%d", argv[3], (int)getpid());
	if (kill(daemon, SIGSTOP))
		die("stop");
	usleep(100000); /* its threads leave the descriptor */
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
			die("setresuid");
		exit(try(argv[7], path));
	}
	int failed = forge(fds, n, strtoull(argv[5], NULL, 0), mode);
	kill(daemon, SIGCONT);
	waitpid(pid, &status, 0);
	return failed ? failed : WEXITSTATUS(status);
}
