/* SPDX-License-Identifier: Apache-2.0 */
/* owner: root works on somebody else's store as that somebody: files that root makes in it would be out of the
 * owner's reach afterwards. */
#ifndef IMAGEFS_CLI_OWNER_H
#define IMAGEFS_CLI_OWNER_H

#include "base/err.h"

/* For good: nothing gives the rights back. Does nothing when this is not root, or when the store is root's. */
int owner_become(const char *store, struct error *err) MUST_USE;

/* Nobody serves the store, and a file of it could not be opened: -EACCES with a sentence. Its owner is told which. */
int owner_denied(const char *store, struct error *err) MUST_USE;

#endif
