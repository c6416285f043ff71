/* SPDX-License-Identifier: Apache-2.0 */
/* death: of what did a daemon die? People send SIGKILL as the kernel does when memory is short; the one says nothing against the
 * requests that were under way, the other does. Nobody tells the parent who sent it. But the kernel counts those that it
 * killed for want of memory, on the whole machine: when that count has moved since the daemon was started, it is believed to be
 * one of them. */
#ifndef IMAGEFS_KEEPER_DEATH_H
#define IMAGEFS_KEEPER_DEATH_H

#include <stdint.h>

#include "keeper/hold.h"

uint64_t death_starved_count(const char *vmstat); /* "/proc/vmstat", or a file like it. 0 when it does not say */
enum hold_death death_kind(int status, bool starved); /* status: as wait() tells it */
void death_describe(int status, enum hold_death kind, char ret[100]);

#endif
