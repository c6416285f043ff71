/* SPDX-License-Identifier: Apache-2.0 */
/* inside: what the commands that work on a mounted tree know about it. They use files only. */
#ifndef IMAGEFS_CLI_INSIDE_H
#define IMAGEFS_CLI_INSIDE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "daemon/mounts.h"

/* Absolute, with `.` and symlinks resolved; works for a folder where a dead mount lies. Caller frees; -ENOENT … with a sentence. */
int path_resolve(const char *path, char **ret, struct error *err) MUST_USE;

/* The mount of imagefs that a path lies in; -ENOENT with a sentence when it lies in none. */
int inside_mount(const char *path, struct mount_entry *ret, struct error *err) MUST_USE;

/* The same, of what may not be there; and where in the mount it is, "" for its root. Caller frees. */
int inside_where(const char *path, struct mount_entry *mount, char **ret, struct error *err) MUST_USE;

/* "DIR/NAME", caller frees. */
char *path_join(const char *dir, const char *name);

/* A whole small file. */
int read_text(const char *path, struct buf *ret, struct error *err) MUST_USE;

/* The .status of an image directory, or of the one that a file lies in. -ENOENT: it is none. */
int inside_status(const char *path, struct buf *ret, struct error *err) MUST_USE;

/* The refusal that this process met last, a sentence out of .why of the mount that path lies in. false: none. */
bool inside_why(const char *path, char *ret, unsigned size);

/* .why has lines of six fields between tabs: time, pid, operation, path, errno, sentence. The rest of a field number (from 0), to
 * its tab or the end of the line; *ret_len 0 when there is none. */
const char *why_field(const char *line, unsigned number, unsigned *ret_len);
enum { WHY_TIME, WHY_PID, WHY_OPERATION, WHY_PATH, WHY_ERRNO, WHY_SENTENCE, WHY_FIELDS };

#endif
