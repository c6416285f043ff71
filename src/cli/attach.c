/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon may be ending just now, or somebody may be starting one at the same moment: then what was
 * begun is undone and tried again, for as long as it takes a daemon to end. A store that is locked by something that
 * does not listen (an `imagefs check`) is given up earlier. */
#include "cli/attach.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/client.h"
#include "cli/fuse_mount.h"
#include "daemon/mounts.h"

#define SECOND 1000000000LL
#define PATIENCE (40 * SECOND)     /* longer than a keeper waits for its daemon */
#define LOCKED_PATIENCE (10 * SECOND)
#define ANSWER_MS 30000

struct attach {
	const char *store, *dir;
	const struct attach_options *options;
	int socket;
};

static int ask(struct attach *a, const char *request, int pass, struct error *err)
{
	return client_ask(a->socket, request, pass, ANSWER_MS, NULL, NULL, err);
}

static int hand_over(struct attach *a, int device, struct error *err)
{
	char request[WIRE_MAX + 1];
	if (snprintf(request, sizeof request, "attach %d %s", a->options->allow_other, a->dir) > WIRE_MAX)
		return fail(err, -ENAMETOOLONG, "the path %s is too long", a->dir);
	return ask(a, request, device, err);
}

/* A mount without its daemon would only be in the way. */
static int undo(struct attach *a, int code)
{
	struct error ignored;
	(void)!mount_remove(a->dir, true, &ignored); /* the first failure is what counts */
	return code;
}

static int finish(struct attach *a, int *device, struct error *err)
{
	int r = ask(a, "mounted", -1, err);
	close(steal_fd(device)); /* the daemon has its own; with ours open the mount would outlive it, answering nothing */
	if (r == 0)
		r = fuse_mount_answers(a->dir, err);
	return r ? undo(a, r) : 0;
}

static int mount_as_root(struct attach *a, struct error *err)
{
	AUTO_FD int device = fuse_device(err);
	if (device < 0)
		return device;
	int r = hand_over(a, device, err);
	if (r == 0)
		r = fuse_mount_root(device, a->store, a->dir, a->options->allow_other, err);
	return r ? r : finish(a, &device, err);
}

static int mount_as_user(struct attach *a, struct error *err)
{
	int r = fuse_device(err); /* the helper opens its own; but its words for a mode of 0600 help nobody */
	if (r < 0)
		return r;
	close(r);
	AUTO_FD int device = fuse_mount_user(a->store, a->dir, a->options->allow_other, err);
	if (device < 0)
		return device;
	r = hand_over(a, device, err);
	return r ? undo(a, r) : finish(a, &device, err);
}

/* The daemon knows numbers only. */
static int name_user(int code, struct error *err)
{
	const struct passwd *p = getpwuid(geteuid());
	struct error said = *err;
	return p ? fail(err, code, "you are %.40s, and %s", p->pw_name, said.text) : code;
}

/* One try. -ECONNREFUSED: nobody listens. -EPIPE, -ESHUTDOWN: the daemon is ending. */
static int try_once(struct attach *a, struct error *err)
{
	AUTO_FD int socket = client_connect(a->store, err);
	if (socket < 0)
		return socket;
	char hello[20];
	a->socket = socket;
	snprintf(hello, sizeof hello, "hello %d", WIRE_VERSION);
	int r = ask(a, hello, -1, err);
	if (r)
		return r == -EACCES ? name_user(r, err) : r;
	return geteuid() == 0 ? mount_as_root(a, err) : mount_as_user(a, err);
}

int attach_mount(const char *store, const char *dir, const struct attach_options *options, struct error *err)
{
	struct attach a = { .store = store, .dir = dir, .options = options };
	struct timespec pause = { .tv_nsec = 10000000 };
	int64_t began = clock_mono();

	for (;;) {
		int r = try_once(&a, err);
		int64_t waited = clock_mono() - began;
		bool again = (r == -EPIPE || r == -ESHUTDOWN) && waited < PATIENCE;
		if (r == -ECONNREFUSED) {
			r = launch_background(store, &options->launch, err);
			if (r == 0)
				continue;
			again = r == -EBUSY && waited < LOCKED_PATIENCE;
		}
		if (!again)
			return r;
		nanosleep(&pause, NULL);
	}
}
