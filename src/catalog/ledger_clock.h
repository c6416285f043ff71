/* SPDX-License-Identifier: Apache-2.0 */
/* ledger_clock: the clock that bills are made by: nanoseconds that never go back and count how long things were really stored.
 *
 * Within one boot it goes by CLOCK_BOOTTIME (which counts sleep, and which nobody can set), also across restarts of the
 * daemon. Across reboots it goes by how far the real clock went since the row was refreshed, or stands still when that
 * went back. So setting the clock, leap seconds and daylight saving change nothing within a boot.
 *
 * It began as the real time when the store was made, and drifts from it by every step of that clock since: for "when" in the calendar there is
 * ledger_real().
 *
 * For tests the clocks that it is made of can be replaced (catalog_set_clock), and in a store that was made for it
 * (domain/test_clock.h) moved while it is mounted.
 */
#ifndef IMAGEFS_CATALOG_LEDGER_CLOCK_H
#define IMAGEFS_CATALOG_LEDGER_CLOCK_H

#include "catalog/catalog.h"

#define BOOT_ID_SIZE 40

struct clock_reading {
	int64_t real, boot;         /* ns: CLOCK_REALTIME, CLOCK_BOOTTIME */
	char boot_id[BOOT_ID_SIZE]; /* one of the opening when the machine has none; "": none at all, which counts as a boot each time */
};

struct clock_source {
	void (*read)(void *ctx, struct clock_reading *ret); /* from any thread */
	void *ctx;
};

/* The machine's own clocks; ctx is a text, the boot id. */
void clock_read_machine(void *ctx, struct clock_reading *ret);
void clock_read_boot_id(char ret[BOOT_ID_SIZE]);

/* Before anything else uses the catalog. What ctx points to must outlive it. */
void catalog_set_clock(struct catalog *, const struct clock_source *);

/* The time now. In a write transaction whose changes are kept use ledger_stamp(), so that no time that was written down
 * is ever ahead of the clock, whatever a reboot does to it. */
int ledger_now(struct cat_txn *, int64_t *ret) MUST_USE;
int ledger_stamp(struct cat_txn *, int64_t *ret) MUST_USE;

/* Time that the machine was seen to run, since the store knows this clock: within a boot CLOCK_BOOTTIME, and nothing across reboots. For
 * what is deleted when it is old enough: no clock that is wrong, be it for seconds or over a reboot, makes anything old. After a crash it
 * may be a few minutes behind. */
int lived_now(struct cat_txn *, int64_t *ret) MUST_USE;

int64_t ledger_real(struct cat_txn *); /* real time, ns since 1970, by the same clocks */

/* Refresh the row: now and then, and when a store is opened or closed. */
int ledger_tick(struct catalog *, struct error *err) MUST_USE;

#endif
