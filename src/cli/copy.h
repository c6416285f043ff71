/* SPDX-License-Identifier: Apache-2.0 */
/* copy: bytes of a disk from one file to another; holes stay holes. */
#ifndef IMAGEFS_CLI_COPY_H
#define IMAGEFS_CLI_COPY_H

#include <signal.h>

#include "base/hash.h"
#include "cli/progress.h"

struct copy {
	int in, out;
	const char *in_name, *out_name; /* for sentences */
	struct hasher *hasher;          /* is given all bytes in order, zeros of holes too; NULL: none */
	struct progress *progress;
	const volatile sig_atomic_t *stop; /* not 0: end with -EINTR */
	/* results */
	uint64_t size;    /* of what was read */
	uint64_t written; /* bytes that are no holes */
	bool out_failed;  /* the error is one of `out` */
};

/* Everything in `in` (a file, a device or a pipe) to `out`, which is empty. Its size is set at the end, so a
 * hole there counts too. Nothing is synced or closed. */
int copy_sparse(struct copy *, struct error *err) MUST_USE;

#endif
