/* SPDX-License-Identifier: Apache-2.0 */
/* manage: accounts, regions and policy by their names, for the command line: what mkdir accounts/NAME, .account, .region and .policy are
 * in a mount, with the same acts, the same rights, the same lines in the log.
 *
 * A request is a line of fields with tabs between:
 *
 *     account list | account show [NAME] | account add NAME [KEY VALUE]... | account set NAME KEY VALUE... | account remove NAME
 *     region …                             the same; show needs NAME
 *     policy show ACCOUNT REGION           either may be empty: of the whole store
 *     policy set ACCOUNT REGION NAME VALUE...    "-" as a VALUE: reset
 *
 * KEY and VALUE are one field, as a line of the file would be. What comes of it are facts, `key: value` lines; each thing begins with
 * its `name`.
 */
#ifndef IMAGEFS_DOMAIN_MANAGE_H
#define IMAGEFS_DOMAIN_MANAGE_H

#include "domain/service.h"
#include "domain/who.h"

/* On whose behalf a user of the command line acts: the account of this uid. -EACCES with a sentence when it has none. */
int manage_who(struct service *, uint32_t uid, struct who *ret, struct error *err) MUST_USE;

/* -EBADMSG: not a request. */
int manage(struct service *, const struct who *, const char *request, struct buf *ret_facts, struct error *err) MUST_USE;

#endif
