/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

int io_pread(int fd, void *buf, size_t len, uint64_t offset)
{
	char *p = buf;
	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int io_pwrite(int fd, const void *buf, size_t len, uint64_t offset)
{
	const char *p = buf;
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENOSPC;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int io_sync_dir_fd(int dirfd, struct error *err)
{
	return fsync(dirfd) ? fail_errno(err, "cannot sync a directory") : 0;
}

int io_sync_dir(const char *path, struct error *err)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "cannot open directory %s", path);
	return fsync(fd) ? fail_errno(err, "cannot sync directory %s", path) : 0;
}

int io_make_dir(const char *path, mode_t mode, struct error *err)
{
	if (mkdir(path, mode) == 0 || errno == EEXIST)
		return 0;
	return fail_errno(err, "cannot make directory %s", path);
}

static int write_and_sync(const char *path, const void *data, size_t len, mode_t mode, struct error *err)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return fail_errno(err, "cannot create %s", path);
	int r = io_pwrite(fd, data, len, 0);
	if (r)
		return fail(err, r, "cannot write %s: %s", path, strerror(-r));
	return fsync(fd) ? fail_errno(err, "cannot sync %s", path) : 0;
}

int io_write_file(const char *path, const void *data, size_t len, mode_t mode, struct error *err)
{
	char temp[PATH_MAX], folder[PATH_MAX];
	if (snprintf(temp, sizeof temp, "%s.new", path) >= (int)sizeof temp)
		return fail(err, -ENAMETOOLONG, "the path %s is too long", path);
	int r = write_and_sync(temp, data, len, mode, err);
	if (r)
		return r;
	if (rename(temp, path))
		return fail_errno(err, "cannot rename %s to %s", temp, path);
	memcpy(folder, temp, sizeof folder);
	return io_sync_dir(dirname(folder), err);
}

int io_read_file(const char *path, size_t limit, char **ret, size_t *ret_len, struct error *err)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "cannot open %s", path);
	AUTO_FREE char *text = malloc(limit + 2);
	if (!text)
		return fail(err, -ENOMEM, "no memory to read %s", path);
	size_t n = 0;
	for (;;) {
		ssize_t m = read(fd, text + n, limit + 1 - n);
		if (m < 0 && errno == EINTR)
			continue;
		if (m < 0)
			return fail_errno(err, "cannot read %s", path);
		n += (size_t)m;
		if (m == 0 || n > limit)
			break;
	}
	if (n > limit)
		return fail(err, -EFBIG, "%s is larger than %zu bytes", path, limit);
	text[n] = 0;
	*ret = steal(&text);
	if (ret_len)
		*ret_len = n;
	return 0;
}
