/* SPDX-License-Identifier: Apache-2.0 */
/* attach: mount a store at a folder: find its daemon, or start one, and hand a mount over to it. */
#ifndef IMAGEFS_CLI_ATTACH_H
#define IMAGEFS_CLI_ATTACH_H

#include <stdbool.h>

#include "cli/launch.h"

struct attach_options {
	bool allow_other;
	struct launch_options launch;
};

/* `store` and `dir` absolute. When it returns 0 the mount answers; otherwise nothing is mounted. */
int attach_mount(const char *store, const char *dir, const struct attach_options *, struct error *err) MUST_USE;

#endif
