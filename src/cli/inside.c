/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inside.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define TEXT_MAX (16 << 20)

char *path_join(const char *dir, const char *name)
{
	struct buf b = BUF_INIT;
	buf_addf(&b, "%s/%s", dir, name);
	return buf_detach(&b);
}

/* The folder is resolved, the last name is taken as it is: for a mount that answers nothing any more. */
static char *resolve_parent(const char *path)
{
	AUTO_FREE char *one = strdup(path), *two = strdup(path);
	if (!one || !two)
		abort();
	AUTO_FREE char *parent = realpath(dirname(one), NULL);
	if (!parent)
		return NULL;
	return path_join(strcmp(parent, "/") ? parent : "", basename(two));
}

int path_resolve(const char *path, char **ret, struct error *err)
{
	*ret = realpath(path, NULL);
	if (!*ret && (errno == ENOTCONN || errno == EACCES)) {
		int code = errno;
		*ret = resolve_parent(path);
		errno = code;
	}
	return *ret ? 0 : fail_errno(err, "cannot find %s", path);
}

int inside_mount(const char *path, struct mount_entry *ret, struct error *err)
{
	char *resolved;
	int r = path_resolve(path, &resolved, err);
	if (r)
		return r;
	r = mount_holding(resolved, ret);
	if (r || strcmp(ret->type, MOUNT_TYPE))
		r = fail(err, -ENOENT, "%s does not lie in a mount of imagefs", path);
	free(resolved);
	return r;
}

int inside_where(const char *path, struct mount_entry *mount, char **ret, struct error *err)
{
	AUTO_FREE char *resolved = realpath(path, NULL);
	if (!resolved)
		resolved = resolve_parent(path);
	if (!resolved)
		return fail_errno(err, "cannot find %s", path);
	int r = mount_holding(resolved, mount);
	if (r || strcmp(mount->type, MOUNT_TYPE))
		return fail(err, -ENOENT, "%s does not lie in a mount of imagefs", path);
	size_t n = strlen(mount->dir);
	*ret = strdup(resolved + n + (resolved[n] == '/'));
	if (!*ret)
		abort();
	return 0;
}

int read_text(const char *path, struct buf *ret, struct error *err)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "cannot open %s", path);
	for (;;) {
		char piece[65536];
		ssize_t n = read(fd, piece, sizeof piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "cannot read %s", path);
		if (n == 0)
			break;
		buf_add(ret, piece, (size_t)n);
		if (ret->len > TEXT_MAX)
			return fail(err, -EFBIG, "%s is too long", path);
	}
	buf_adds(ret, "");
	return 0;
}

int inside_status(const char *path, struct buf *ret, struct error *err)
{
	AUTO_FREE char *own = path_join(path, ".status");
	if (access(own, F_OK) == 0)
		return read_text(own, ret, err);
	char *copy = strdup(path);
	if (!copy)
		abort();
	AUTO_FREE char *beside = path_join(dirname(copy), ".status");
	free(copy);
	if (access(beside, F_OK))
		return fail(err, -ENOENT, "%s is no image", path);
	return read_text(beside, ret, err);
}

const char *why_field(const char *line, unsigned number, unsigned *ret_len)
{
	for (; number > 0; number--) {
		line += strcspn(line, "\t\n");
		if (*line != '\t') {
			*ret_len = 0;
			return line;
		}
		line++;
	}
	*ret_len = (unsigned)strcspn(line, "\t\n");
	return line;
}

/* What was refused may never have come to be: then it is where it would have been. */
static int mount_of_refused(const char *path, struct mount_entry *ret)
{
	AUTO_FREE char *copy = strdup(path);
	if (!copy)
		abort();
	int r = inside_mount(path, ret, NULL);
	return r ? inside_mount(dirname(copy), ret, NULL) : 0;
}

bool inside_why(const char *path, char *ret, unsigned size)
{
	AUTO_FREE struct mount_entry *mount = malloc(sizeof *mount);
	AUTO_BUF struct buf text = BUF_INIT;
	bool found = false;
	if (!mount || mount_of_refused(path, mount))
		return false;
	AUTO_FREE char *why = path_join(mount->dir, ".why");
	if (read_text(why, &text, NULL))
		return false;
	for (const char *line = text.data; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		unsigned len;
		if (strtol(why_field(line, WHY_PID, &len), NULL, 10) != getpid() || len == 0)
			continue;
		const char *sentence = why_field(line, WHY_SENTENCE, &len);
		snprintf(ret, size, "%.*s", (int)len, sentence);
		found = len > 0;
	}
	return found;
}
