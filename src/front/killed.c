/* SPDX-License-Identifier: Apache-2.0 */
/* killed: did the process that closes a file do so, or did it die?
 *
 * When a process is killed the kernel closes its files like any other close. While it exits its memory is gone already, so
 * /proc/PID/statm is all zero: only then may /proc/PID/stat be read. (In the FLUSH of a close-on-exec, reading `stat` would wait for that
 * very FLUSH to be answered.) Its last field is the exit code, its ninth the flags, where 0x400 says "by a signal"; but an _exit()
 * of a process with threads sets that flag too, so the code has to agree.
 *
 * The code of another user's process is shown as 0 to all but root. A daemon that serves other users then goes by the flag alone: a
 * program with threads that ends without closing what it writes is taken for killed, which is better than half an image. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "front/front_int.h"

#define PF_SIGNALED 0x400u

static bool read_proc(uint32_t pid, const char *file, char *ret, size_t room)
{
	char path[48];
	snprintf(path, sizeof path, "/proc/%u/%s", pid, file);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, room - 1);
	if (n <= 0)
		return false;
	ret[n] = 0;
	return true;
}

static bool is_code_shown(uint32_t pid)
{
	char path[32];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%u", pid);
	return geteuid() == 0 || (stat(path, &st) == 0 && st.st_uid == geteuid());
}

static bool is_exiting(uint32_t pid)
{
	char text[128];
	return read_proc(pid, "statm", text, sizeof text) && strspn(text, "0 \n") == strlen(text);
}

/* A fatal signal is pending for each thread as SIGKILL, until the kernel has its answers. */
bool process_is_dying(uint32_t pid)
{
	char text[4096];
	unsigned long long pending;
	if (!pid || !read_proc(pid, "status", text, sizeof text))
		return false;
	const char *p = strstr(text, "\nSigPnd:");
	return p && sscanf(p + 8, "%llx", &pending) == 1 && pending >> (SIGKILL - 1) & 1;
}

bool process_was_killed(uint32_t pid)
{
	char text[1024];
	if (!pid || !is_exiting(pid) || !read_proc(pid, "stat", text, sizeof text))
		return false;
	char *p = strrchr(text, ')'); /* the name before it may hold anything */
	char *last = strrchr(text, ' ');
	unsigned flags;
	if (!p || !last || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
		return false;
	if (!is_code_shown(pid))
		return (flags & PF_SIGNALED) != 0;
	unsigned code = (unsigned)strtoul(last + 1, NULL, 10);
	/* Low bits: the signal. A shell's "exit 1" without close is 256 and no kill; but whoever exits with an error in the middle
	 * of a copy has not finished it either. */
	return code != 0 && ((flags & PF_SIGNALED) || (code & 0x7f) || code >> 8);
}
