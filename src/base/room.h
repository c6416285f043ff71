/* SPDX-License-Identifier: Apache-2.0 */
/* room: so much of something, memory say, that may be in use at once by all together. First come, first served. */
#ifndef IMAGEFS_BASE_ROOM_H
#define IMAGEFS_BASE_ROOM_H

struct room;

struct room *room_new(unsigned total);
void room_free(struct room *); /* nobody has any */

/* Waits until there is that much (at most all of it). What it returns is to be given back. */
unsigned room_take(struct room *, unsigned amount);
void room_give(struct room *, unsigned taken);

#endif
