/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/owner.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

bool owner_is_another(const char *store)
{
	struct stat st;
	return geteuid() == 0 && stat(store, &st) == 0 && st.st_uid != 0;
}

int owner_become(const char *store, struct error *err)
{
	struct stat st;
	if (stat(store, &st))
		return fail_errno(err, "cannot look at %s", store);
	if (geteuid() != 0 || st.st_uid == 0)
		return 0;
	if (setgroups(0, NULL) || setgid(st.st_gid) || setuid(st.st_uid))
		return fail_errno(err, "cannot become uid %u, the owner of %s", (unsigned)st.st_uid, store);
	prctl(PR_SET_DUMPABLE, 0); /* as the kernel leaves it, unless it was set up for debugging */
	return 0;
}

/* The first of the store's files that may not be opened, "" if there is none. */
static void find_closed(const char *store, char ret[PATH_MAX])
{
	static const char *const names[] = { "",     "/imagefs.store",    "/lock",	      "/catalog", "/catalog/data.mdb",
					     "/catalog/lock.mdb", "/pool", "/overlay" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(ret, PATH_MAX, "%s%s", store, names[i]);
		if (faccessat(AT_FDCWD, ret, R_OK | W_OK, AT_EACCESS) && errno == EACCES)
			return;
	}
	ret[0] = 0;
}

int owner_denied(const char *store, struct error *err)
{
	struct stat st, file;
	char path[PATH_MAX];
	if (stat(store, &st) || st.st_uid != geteuid())
		return fail(err, -EACCES, "nobody serves %s, and its files are open to its owner only, who can start `imagefs serve`", store);
	find_closed(store, path);
	if (!path[0] || stat(path, &file))
		return fail(err, -EACCES, "%s is yours, but a file in it may not be opened by you", store);
	return fail(err, -EACCES, "%s is yours, but %s may not be read and written by you: it belongs to uid %u and has mode %o (chown "
		    "and chmod give it back)", store, path, (unsigned)file.st_uid, (unsigned)file.st_mode & 07777);
}
