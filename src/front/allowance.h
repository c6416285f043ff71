/* SPDX-License-Identifier: Apache-2.0 */
/* allowance: what one user may hold of what all mounts share: open files (the keeper has room for HANDLES_MAX), and the memory of the texts
 * that open files keep. A user is a uid that was proved at the socket, with all its mounts.
 *
 * While there is plenty, one user may have much; when half of it is taken, only a little each, so that there is something for everybody.
 * Operators, root and the owner of the store are not counted so, and have a reserve besides. Beyond, an open is -EDQUOT with a sentence. */
#ifndef IMAGEFS_FRONT_ALLOWANCE_H
#define IMAGEFS_FRONT_ALLOWANCE_H

#include "base/err.h"

struct front;
struct file;
struct allowances;
struct allowances *allowances_new(void);
void allowances_free(struct allowances *);

/* May the mount whose request this is open one more file? */
int allowance_for_file(struct front *, struct error *err) MUST_USE;

/* The text that a file keeps has grown or shrunk, by a request: it is counted anew. -EDQUOT: it counts as before. */
int allowance_for_text(struct front *, struct file *, struct error *err) MUST_USE;
void allowance_end(struct front *, struct file *); /* the file is closed */

#endif
