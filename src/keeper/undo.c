/* SPDX-License-Identifier: Apache-2.0 */
/* undo: the mount is found by the id of the mount that an O_PATH descriptor of `dir` lies in, in mountinfo; and
 * unmounted through that descriptor. */
#include "keeper/undo.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/cleanup.h"

extern char **environ;

static int mount_id(int fd)
{
	char path[64], line[256];
	int id = -1;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	AUTO_FILE FILE *f = fopen(path, "re");
	while (f && id < 0 && fgets(line, sizeof line, f))
		if (sscanf(line, "mnt_id: %d", &id) != 1)
			id = -1;
	return id;
}

/* "ID PARENT MAJ:MIN ROOT POINT OPTIONS [MORE...] - TYPE SOURCE SUPER_OPTIONS" */
static bool is_fuse_of(const char *line, uint32_t uid)
{
	char option[40];
	const char *type = strstr(line, " - ");
	const char *options = strrchr(line, ' '); /* spaces inside of fields are escaped */

	if (!type || (strncmp(type, " - fuse ", 8) != 0 && strncmp(type, " - fuse.", 8) != 0))
		return false;
	snprintf(option, sizeof option, ",user_id=%" PRIu32 ",", uid);
	return strstr(options, option) != NULL;
}

static bool is_ours(int fd, uint32_t uid)
{
	AUTO_FREE char *line = NULL;
	size_t room = 0;
	int id = mount_id(fd), line_id;
	AUTO_FILE FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f && id >= 0 && getline(&line, &room, f) > 0)
		if (sscanf(line, "%d", &line_id) == 1 && line_id == id)
			return is_fuse_of(line, uid);
	return false;
}

static int spawn_fusermount(const char *dir, pid_t *ret)
{
	const char *const argv[] = { "fusermount3", "-u", "-z", "--", dir, NULL };
	posix_spawnattr_t attr;
	sigset_t none;

	sigemptyset(&none); /* the keeper blocks signals */
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	int r = posix_spawnp(ret, argv[0], NULL, &attr, (char *const *)argv, environ);
	posix_spawnattr_destroy(&attr);
	return r;
}

static int run_fusermount(const char *dir, struct error *err)
{
	pid_t pid;
	int status;
	int r = spawn_fusermount(dir, &pid);

	if (r != 0)
		return fail(err, -r, "fusermount3 cannot be run to unmount %s: %s", dir, strerror(r));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_errno(err, "fusermount3 got lost while it unmounted %s", dir);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return fail(err, -EBUSY, "fusermount3 could not unmount %s", dir);
	return 0;
}

int mount_undo(const char *dir, uint32_t uid, struct error *err)
{
	char path[64];
	if (geteuid() != 0 && geteuid() != uid)
		return fail(err, -EPERM, "the mount on %s is left for its user %" PRIu32 " to unmount", dir, uid);
	AUTO_FD int fd = open(dir, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(err, "%s cannot be unmounted", dir);
	if (!is_ours(fd, uid))
		return fail(err, -ENOENT, "Nothing of user %" PRIu32 " is mounted on %s", uid, dir);
	if (geteuid() != 0)
		return run_fusermount(dir, err);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (umount2(path, MNT_DETACH) < 0)
		return fail_errno(err, "%s cannot be unmounted", dir);
	return 0;
}
