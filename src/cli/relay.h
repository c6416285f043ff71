/* SPDX-License-Identifier: Apache-2.0 */
/* relay: root goes on as somebody else, in a process that has nothing of root's: not the terminal, nor a log file that root has
 * opened, which whoever that process belongs to could use as root does. The first process stays root's; it passes on what the other
 * one says, and signals to it. */
#ifndef IMAGEFS_CLI_RELAY_H
#define IMAGEFS_CLI_RELAY_H

#include <sys/types.h>

#include "base/err.h"

struct relay {
	pid_t parent; /* 0: there is none */
	int code;
};

/* 0: this is the other process, in a session of its own; what it says arrives on the first one's standard error. 1: this is the first one, and the
 * other has ended with relay.code. Negative: there is no other. SIGTERM, SIGINT and SIGHUP are passed on. */
int relay_begin(struct relay *, struct error *err) MUST_USE;

/* In the other process, once it has become somebody else (which would undo it): it gets SIGTERM when the first one dies. */
int relay_end_with_parent(const struct relay *, struct error *err) MUST_USE;

#endif
