/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fuse_mount.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "daemon/fusermount.h"
#include "daemon/mounts.h"

#define DEVICE "/dev/fuse"
#define READAHEAD_KB "4096"

int fuse_device(struct error *err)
{
	struct stat st;
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return fail(err, -ENODEV, "this system has no FUSE: " DEVICE " is missing. Load it as root with `modprobe fuse`");
	if ((errno == EACCES || errno == EPERM) && stat(DEVICE, &st) == 0)
		return fail(err, -EACCES, "you may not open " DEVICE " (its mode is %04o); as root: chmod 0666 " DEVICE,
			    st.st_mode & 07777);
	return fail_errno(err, "cannot open " DEVICE);
}

int fuse_mount_root(int device, const char *store, const char *dir, bool allow_other, struct error *err)
{
	char options[120];
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0%s", device,
		 allow_other ? ",allow_other" : "");
	if (mount(store, dir, MOUNT_TYPE, MS_NOSUID | MS_NODEV, options) == 0)
		return 0;
	if (errno == EPERM)
		return fail(err, -EPERM, "this process may not mount (it is root, but without the capability SYS_ADMIN)");
	if (errno == ENODEV)
		return fail(err, -ENODEV, "this kernel does not know FUSE; load it with `modprobe fuse`");
	return fail_errno(err, "cannot mount at %s", dir);
}

/* Commas separate options; the helper takes a backslash before one. */
static void add_escaped(struct buf *b, const char *text)
{
	for (; *text; text++) {
		if (*text == ',' || *text == '\\')
			buf_adds(b, "\\");
		buf_add(b, text, 1);
	}
}

int fuse_mount_user(const char *store, const char *dir, bool allow_other, struct error *err)
{
	AUTO_BUF struct buf options = BUF_INIT;
	int pair[2];

	buf_adds(&options, "fsname=");
	add_escaped(&options, store);
	buf_addf(&options, ",subtype=imagefs,nosuid,nodev%s", allow_other ? ",allow_other" : "");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return fail_errno(err, "cannot make a socket");
	AUTO_FD int ours = pair[0], theirs = pair[1];
	const char *args[] = { "fusermount3", "-o", options.data, "--", dir, NULL };
	int r = fusermount_run(args, theirs, err);
	if (r)
		return r;
	int fd = fusermount_receive(ours);
	return fd >= 0 ? fd : fail(err, fd, "fusermount3 mounted %s, but did not hand over its descriptor", dir);
}

static void raise_readahead(const struct stat *st)
{
	char path[80];
	snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", major(st->st_dev), minor(st->st_dev));
	AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, READAHEAD_KB, strlen(READAHEAD_KB)); /* slower without, but right */
}

int fuse_mount_answers(const char *dir, struct error *err)
{
	struct stat st;
	struct statfs fs;
	if (stat(dir, &st) || statfs(dir, &fs))
		return fail_errno(err, "%s is mounted, but does not answer", dir);
	if (st.st_ino != 1 || fs.f_type != FUSE_SUPER_MAGIC)
		return fail(err, -EIO, "%s is not what was mounted: something else was mounted over it", dir);
	if (geteuid() == 0)
		raise_readahead(&st);
	return 0;
}
