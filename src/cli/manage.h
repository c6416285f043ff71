/* SPDX-License-Identifier: Apache-2.0 */
/* manage: what `imagefs account`, `region` and `policy` share: a request of domain/manage.h that the daemon carries out, or this
 * process when none runs. */
#ifndef IMAGEFS_CLI_MANAGE_H
#define IMAGEFS_CLI_MANAGE_H

#include <stdbool.h>

#include "base/buf.h"
#include "cli/cli.h"

/* Adds a field to a request; -EINVAL with a sentence when it has a tab, newline or other control character. */
int manage_field(struct buf *request, const char *text, struct error *err) MUST_USE;

/* KEY VALUE operands as one field each. Of uids, names of users become numbers. */
int manage_pairs(struct buf *request, char *const *items, int count, struct error *err) MUST_USE;

/* Users: instead of those of the account, beside them, out of them. */
struct manage_uids {
	struct option_list uids, add, remove;
};

/* Ask, and print what is told. An exit code. */
enum manage_form { MANAGE_THING, MANAGE_TABLE };
int manage_run(const char *store, const struct buf *request, enum manage_form, bool json);

/* Let the daemon end all mounts of that account. An exit code. */
int manage_disconnect(const char *store, const char *account, bool json);

/* The verbs of a command: what its first operand may be. */
struct manage_verb {
	const char *name;
	int min, max; /* operands after STORE */
	enum manage_form form;
};
/* NULL: none; the usage was told. */
const struct manage_verb *manage_verb(const struct command *, const struct manage_verb *, const struct operands *);

/* The whole of `imagefs account` and `imagefs region`: VERB STORE [NAME] [KEY VALUE]... */
int manage_places(const struct command *, const struct operands *, const struct manage_uids *, bool json);

#endif
