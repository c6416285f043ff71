/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/fusermount.h"

/* Copies a field, with \ooo undone. false: it does not fit. */
static bool copy_field(const char *from, size_t len, char *ret, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < len; n++) {
		if (n + 1 >= size)
			return false;
		if (from[i] == '\\' && i + 3 < len && from[i + 1] >= '0' && from[i + 1] <= '3') {
			ret[n] = (char)((from[i + 1] - '0') * 64 + (from[i + 2] - '0') * 8 + (from[i + 3] - '0'));
			i += 4;
		} else {
			ret[n] = from[i++];
		}
	}
	ret[n] = 0;
	return true;
}

/* Where field number `index` (from 0) begins, and its length; NULL when there is none. */
static const char *field(const char *line, unsigned index, size_t *ret_len)
{
	for (; index > 0; index--) {
		line = strchr(line, ' ');
		if (!line)
			return NULL;
		line++;
	}
	*ret_len = strcspn(line, " \n");
	return line;
}

static uint32_t user_id_of(const char *options)
{
	const char *at = strstr(options, "user_id=");
	return at ? (uint32_t)strtoul(at + 8, NULL, 10) : 0;
}

int mount_parse(const char *line, struct mount_entry *ret)
{
	size_t dir_len, type_len, source_len;
	const char *dir = field(line, 4, &dir_len);
	const char *after = dir ? strstr(dir, " - ") : NULL;
	if (!after || sscanf(line, "%*d %*d %u:%u", &ret->major_no, &ret->minor_no) != 2)
		return -EINVAL;
	const char *type = field(after + 3, 0, &type_len), *source = field(after + 3, 1, &source_len);
	if (!source || !copy_field(dir, dir_len, ret->dir, sizeof ret->dir) ||
	    !copy_field(type, type_len, ret->type, sizeof ret->type) ||
	    !copy_field(source, source_len, ret->source, sizeof ret->source))
		return -EINVAL;
	ret->user_id = user_id_of(source + source_len);
	return 0;
}

/* The last (topmost) of those that fit best. `exact`: mounted at path itself. */
static int find_mount(const char *path, bool exact, struct mount_entry *ret)
{
	AUTO_FILE FILE *f = fopen("/proc/self/mountinfo", "re");
	AUTO_FREE char *line = NULL;
	AUTO_FREE struct mount_entry *entry = malloc(sizeof *entry);
	size_t room = 0, best = 0, path_len = strlen(path);

	if (!f || !entry)
		return -errno;
	while (getline(&line, &room, f) > 0) {
		if (mount_parse(line, entry))
			continue;
		size_t len = strlen(entry->dir);
		size_t root = strcmp(entry->dir, "/") ? 0 : 1; /* "/" is a prefix of everything */
		if (exact ? len != path_len : len > path_len || len < best)
			continue;
		if (memcmp(entry->dir, path, len) || (!exact && !root && path[len] && path[len] != '/'))
			continue;
		best = len;
		*ret = *entry;
	}
	return best ? 0 : -ENOENT;
}

int mount_at(const char *dir, struct mount_entry *ret) { return find_mount(dir, true, ret); }
int mount_holding(const char *path, struct mount_entry *ret) { return find_mount(path, false, ret); }

int mount_remove(const char *dir, bool lazy, struct error *err)
{
	const char *args[] = { "fusermount3", "-u", lazy ? "-z" : "--", lazy ? "--" : dir, lazy ? dir : NULL, NULL };
	if (geteuid() != 0)
		return fusermount_run(args, -1, err);
	if (umount2(dir, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	return fail_errno(err, "cannot unmount %s", dir);
}
