/* SPDX-License-Identifier: Apache-2.0 */
/* test_clock: moves the clocks that the ledger goes by while a store is mounted, so that tests see months go by.
 *
 * Only in a store that was made for it (`IMAGEFS_TEST_CLOCK=1 imagefs init STORE`; `imagefs status STORE` says "clock: test").
 * Its file STORE/clock holds one line, read each time that the clocks are:
 *
 *     REAL BOOT [BOOT-ID]
 *
 * whole seconds, maybe negative, that are added to the real clock and to the one that counts since the boot; with a BOOT-ID (a word) the machine
 * seems to have been booted anew. Without the file the clocks are the machine's. It is replaced by rename(2), or a half of it may be read:
 *
 *     echo "$((31 * 86400)) $((31 * 86400))" > STORE/clock.new && mv STORE/clock.new STORE/clock
 */
#ifndef IMAGEFS_DOMAIN_TEST_CLOCK_H
#define IMAGEFS_DOMAIN_TEST_CLOCK_H

#include "catalog/ledger_clock.h"

#define TEST_CLOCK_VARIABLE "IMAGEFS_TEST_CLOCK"

/* Make a store, that nobody has open, one with a test clock. */
int test_clock_allow(const char *store, struct error *err) MUST_USE;

/* If the store whose catalog this is has one: use it. Freed after the catalog is closed; NULL: it has none. */
struct test_clock;
int test_clock_use(struct catalog *, const char *store, struct test_clock **ret, struct error *err) MUST_USE;
void test_clock_free(struct test_clock *);

#endif
