/* SPDX-License-Identifier: Apache-2.0 */
/* bad: objects that could not be read twice in a row, until the catalog has a note of it.
 *
 * What is damaged must be no target for deduplication: whoever brings the same bytes brings them anew, and that heals the object for
 * everybody. The mark that lasts is in the object's row; whoever meets the damage cannot write there (it may hold any lock), so it is
 * kept here first. The list is short: what does not fit is met again by the next reader.
 */
#ifndef IMAGEFS_STORE_BAD_H
#define IMAGEFS_STORE_BAD_H

#include "store/index.h"

#define BAD_MOST 1024u

struct bad;

struct bad *bad_new(void);
void bad_free(struct bad *);

/* All from any thread; no other lock is taken. */
void bad_note(struct bad *, uint32_t domain, const struct hash *, const struct place *);
bool bad_has(struct bad *, const struct place *); /* next to no cost while there are none */
bool bad_any(struct bad *);

/* Copies of all there are (room for BAD_MOST); returns how many. And: these are in the catalog now. */
unsigned bad_list(struct bad *, struct bad_object *ret);
void bad_done(struct bad *, const struct bad_object *, unsigned count);

#endif
