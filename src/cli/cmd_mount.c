/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "cli/attach.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/inside.h"
#include "daemon/mounts.h"

/* Is there anything that speaks against a mount here? */
static int check_dir(const char *dir, struct error *err)
{
	AUTO_FREE struct mount_entry *entry = malloc(sizeof *entry);
	struct stat st;
	if (!entry)
		return fail(err, -ENOMEM, "no memory");
	if (mount_at(dir, entry) == 0 && strcmp(entry->type, MOUNT_TYPE) == 0)
		return fail(err, -EBUSY, "%s is mounted already (the store %.200s); `imagefs umount %s` undoes that", dir,
			    entry->source, dir);
	if (stat(dir, &st))
		return fail_errno(err, "cannot mount at %s", dir);
	return S_ISDIR(st.st_mode) ? 0 : fail(err, -ENOTDIR, "cannot mount at %s: it is not a folder", dir);
}

static int resolve_dir(const char *text, char **ret, struct error *err)
{
	int r = path_resolve(text, ret, err);
	return r == -ENOENT ? fail(err, r, "there is no folder %s to mount at; make it first: mkdir %s", text, text) : r;
}

static int run(int argc, char **argv)
{
	struct attach_options attach = { .allow_other = false };
	const struct option_spec options[] = {
		{ .name = "allow-other", .kind = OPTION_FLAG, .value = &attach.allow_other,
		  .help = "let other users of this machine in (with your account's rights at most)" },
		{ .name = "cache", .kind = OPTION_SIZE, .value = &attach.launch.cache, .arg = "SIZE",
		  .help = "memory for chunks, when this starts the daemon" },
		{ .name = "level", .kind = OPTION_NUMBER, .value = &attach.launch.level, .arg = "N", .min = 1, .max = 19,
		  .help = "zstd level, when this starts the daemon" },
		{ .name = NULL },
	};
	struct operands operands;
	struct error err;
	AUTO_FREE char *store = NULL, *dir = NULL;

	int code = command_parse(&command_mount, options, argc, argv, 2, 2, &operands);
	if (code >= 0)
		return code;
	if (store_path(operands.items[0], &store, &err) || resolve_dir(operands.items[1], &dir, &err) ||
	    check_dir(dir, &err))
		return complain_of(&err);
	int r = attach_mount(store, dir, &attach, &err);
	if (r == -EINVAL)
		return complain_of(&err), EXIT_ABSENT; /* not a store */
	return r ? complain_of(&err) : EXIT_DONE;
}

const struct command command_mount = {
	.name = "mount",
	.operands = "STORE DIR",
	.summary = "show a store, as your account sees it, at a folder",
	.text = "Starts the store's daemon in the background when none runs; it leaves with the\n"
		"last mount. Returns when the mount answers.",
	.run = run,
};
