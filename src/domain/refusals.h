/* SPDX-License-Identifier: Apache-2.0 */
/* refusals: which refused acts become a line in the log.
 *
 * Who was refused what belongs in the log; but refusals cost nothing, so whoever collects them must not push out of the log what others
 * did: an account gets REFUSALS_A_MINUTE lines, and of a row of equal ones (rm -r is refused for each file) the first. How many were
 * left out is a line, too, with the first refusal after that minute, and when the store is closed. */
#ifndef IMAGEFS_DOMAIN_REFUSALS_H
#define IMAGEFS_DOMAIN_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

#define REFUSALS_A_MINUTE 30u

struct refusals;
struct service;
struct act;
struct error;
struct who;

struct refusals *refusals_new(void);
void refusals_free(struct refusals *);

/* Is this one to be written? `what` is a number for its content. *ret_left_out: how many of an earlier minute were not, to be told with it.
 * now: monotonic. */
bool refusals_admit(struct refusals *, uint32_t account, uint64_t what, int64_t now, unsigned *ret_left_out);

/* An act was refused: write it down, if it is one that says something (not a probe of a tool) and there is room. */
void refusals_note(struct act *, int code, const struct error *);

/* A uid that is not the account's came to its mount: who runs the service is to know. An act like those above, that is not carried out. */
void refusals_note_stranger(struct service *, const struct who *, const char *operation, uint64_t node, const char *name, const struct error *);

/* The store is being closed: what was left out and not told yet. */
void refusals_tell(struct service *);

#endif
