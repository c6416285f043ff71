/* SPDX-License-Identifier: Apache-2.0 */
/* err: the one language for failure.
 *
 * A function that can fail returns 0 (or something useful and positive) or a negative code.
 * Causes that POSIX names are -errno; causes of our own lie below -1000. Functions that meet the
 * outside world also take a `struct error *` last: on failure it holds the code and a full
 * sentence; on success it is left alone. NULL is allowed everywhere.
 */
#ifndef IMAGEFS_BASE_ERR_H
#define IMAGEFS_BASE_ERR_H

#include <errno.h>

enum {
	ERR_DAMAGED = -1001, /* bytes that do not match their checksum or their format */
	ERR_STALE = -1002,   /* something that was counted on is gone: start again */
	ERR_NEWER = -1003,   /* written by a newer version of this program */
	ERR_FULL = -1004,    /* no more room in this object: begin the next one */
};

struct error {
	int code;
	char text[500];
};

#define MUST_USE __attribute__((warn_unused_result))

/* Fill in err (if any) and return code. `code` is never 0. */
int fail(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with -errno, and ": <text of errno>" appended to the sentence. */
int fail_errno(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a program outside gets to see: a positive errno. Ours become EIO, ESTALE, … */
int err_to_errno(int code);

/* "ENOENT", "damaged", … for logs; never NULL. */
const char *err_name(int code);

#endif
