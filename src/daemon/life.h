/* SPDX-License-Identifier: Apache-2.0 */
/* life: when the daemon ends.
 *
 *     running ──(life_end; or not lingering and life_leave/life_give_up find nobody)──► ending
 *
 * Everybody who needs the daemon is counted: each mount, and each client that said hello in order to
 * mount. Not lingering, it ends when the last of them leaves. Entering and ending exclude each other by one
 * lock: who was let in is served, who was not let in knows it and starts a new daemon. */
#ifndef IMAGEFS_DAEMON_LIFE_H
#define IMAGEFS_DAEMON_LIFE_H

#include <stdbool.h>

struct life;

struct life *life_new(bool linger);
void life_free(struct life *);

bool life_enter(struct life *); /* false: it is ending */
void life_leave(struct life *);

void life_end(struct life *);     /* asked to end, whoever is there */
void life_give_up(struct life *); /* nobody came for a while: ends when nobody is there and it does not linger */

bool life_lingers(const struct life *);
int life_wake_fd(const struct life *); /* readable once it is ending */

#endif
