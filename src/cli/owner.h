/* SPDX-License-Identifier: Apache-2.0 */
/* owner: root works on somebody else's store as that somebody: files that root makes in it would be out of the
 * owner's reach afterwards. */
#ifndef IMAGEFS_CLI_OWNER_H
#define IMAGEFS_CLI_OWNER_H

#include <stdbool.h>

#include "base/err.h"

/* Would owner_become() change who this is? */
bool owner_is_another(const char *store);

/* For good: nothing gives the rights back. Does nothing when this is not root, or when the store is root's. That
 * somebody can neither look into this process nor trace it: it may have things of root's open. */
int owner_become(const char *store, struct error *err) MUST_USE;

/* Nobody serves the store, and a file of it could not be opened: -EACCES with a sentence. Its owner is told which. */
int owner_denied(const char *store, struct error *err) MUST_USE;

#endif
