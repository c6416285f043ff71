/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon that a mount started leaves with the last one: that is waited for, so that afterwards nothing
 * runs, and the store can be mounted, checked or moved at once. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/inside.h"
#include "daemon/mounts.h"

#define PATIENCE_MS 30000
#define STEP_MS 200
#define ANSWER_MS 5000

struct keeper_state {
	int pidfd;       /* -1: unknown, or no longer there */
	unsigned mounts; /* that its daemon serves */
	bool lingers;
};

/* -1 when nobody serves. */
static int ask_leaving(const char *store, struct keeper_state *ret, int *ret_pid)
{
	AUTO_FREE struct wire_message *answer = malloc(sizeof *answer);
	int lingers;
	AUTO_FD int fd = client_connect(store, NULL);
	if (fd < 0 || !answer || client_ask(fd, "leaving", -1, ANSWER_MS, NULL, answer, NULL))
		return -1;
	if (sscanf(answer->text, "ok %d %u %d", ret_pid, &ret->mounts, &lingers) != 3)
		return -1;
	ret->lingers = lingers;
	return 0;
}

static struct keeper_state find_keeper(const char *store)
{
	struct keeper_state k = { .pidfd = -1 };
	int pid;
	if (ask_leaving(store, &k, &pid) == 0 && pid > 1)
		k.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return k;
}

/* Until the keeper is gone, or has a mount. */
static bool wait_for_end(const char *store, struct keeper_state *k)
{
	struct pollfd p = { .fd = k->pidfd, .events = POLLIN };
	struct keeper_state now;
	int pid;
	for (int waited = 0; waited < PATIENCE_MS; waited += STEP_MS) {
		if (ask_leaving(store, &now, &pid) == 0 && now.mounts > 0)
			return true;
		if (poll(&p, 1, STEP_MS) > 0)
			return true;
	}
	return false;
}

static int find_mounted(const char *text, char **ret_dir, struct mount_entry *ret, struct error *err)
{
	int r = path_resolve(text, ret_dir, err);
	if (r)
		return r;
	if (mount_at(*ret_dir, ret))
		return fail(err, -ENOENT, "%s is not mounted", text);
	return strcmp(ret->type, MOUNT_TYPE) ? fail(err, -ENOENT, "%s is a mount, but not one of imagefs", text) : 0;
}

static int remove_mount(const char *dir, bool lazy, struct error *err)
{
	struct error why = { 0 };
	int r = mount_remove(dir, lazy, &why);
	if (r == -EBUSY)
		return fail(err, r, "%s is in use; `fuser -vm %s` shows by whom, --lazy lets them finish", dir, dir);
	return r ? fail(err, r, "%s", why.text) : 0;
}

static int run(int argc, char **argv)
{
	bool lazy = false;
	const struct option_spec options[] = {
		{ .name = "lazy", .kind = OPTION_FLAG, .value = &lazy,
		  .help = "take it away now; whoever uses it may finish" },
		{ .name = NULL },
	};
	struct operands operands;
	struct error err;
	AUTO_FREE char *dir = NULL;
	AUTO_FREE struct mount_entry *entry = calloc(1, sizeof *entry);

	int code = command_parse(&command_umount, options, argc, argv, 1, 1, &operands);
	if (code >= 0)
		return code;
	if (find_mounted(operands.items[0], &dir, entry, &err))
		return complain_of(&err);
	struct keeper_state keeper = find_keeper(entry->source);
	AUTO_FD int pidfd = keeper.pidfd;
	if (remove_mount(dir, lazy, &err))
		return complain_of(&err);
	if (pidfd < 0 || lazy || keeper.lingers || wait_for_end(entry->source, &keeper))
		return EXIT_DONE;
	complain("%s is unmounted, but the daemon of %s has not ended within %d seconds", dir, entry->source,
		 PATIENCE_MS / 1000);
	return EXIT_REFUSED;
}

const struct command command_umount = {
	.name = "umount",
	.operands = "DIR",
	.summary = "undo a mount",
	.text = "Waits until the daemon has ended too, if this was its last mount and it was\n"
		"started by a mount.",
	.run = run,
};
