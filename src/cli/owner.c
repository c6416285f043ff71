/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/owner.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

int owner_become(const char *store, struct error *err)
{
	struct stat st;
	if (stat(store, &st))
		return fail_errno(err, "cannot look at %s", store);
	if (geteuid() != 0 || st.st_uid == 0)
		return 0;
	if (setgroups(0, NULL) || setgid(st.st_gid) || setuid(st.st_uid))
		return fail_errno(err, "cannot become uid %u, the owner of %s", (unsigned)st.st_uid, store);
	prctl(PR_SET_DUMPABLE, 1); /* or /proc/self, which the keeper executes, would be root's */
	return 0;
}
