/* SPDX-License-Identifier: Apache-2.0 */
/* launch: start a keeper, which starts the daemon (keeper/keeper.h). */
#ifndef IMAGEFS_CLI_LAUNCH_H
#define IMAGEFS_CLI_LAUNCH_H

#include <stdint.h>

#include "base/err.h"

struct launch_options {
	uint64_t cache; /* 0: default */
	int level;      /* 0: default */
};

/* The keeper in this process; returns when it ends: an exit code. On failure before that: negative. */
int launch_foreground(const char *store, const struct launch_options *, struct error *err) MUST_USE;

/* The keeper in the background, which leaves with the last mount; returns when its daemon serves. -EBUSY: somebody else has
 * the store. */
int launch_background(const char *store, const struct launch_options *, struct error *err) MUST_USE;

#endif
