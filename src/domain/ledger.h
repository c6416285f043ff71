/* SPDX-License-Identifier: Apache-2.0 */
/* ledger: which month it is for bills, and when it ends.
 *
 * A month begins where the one before ended and ends when the calendar (UTC) says so, put down on the ledger's own axis of time
 * (catalog/ledger_clock.h), which no clock that is set can stretch or fold. So a month's bill counts every moment once:
 * when the clock was set ahead over the end of a month, the month ends then and there, or an hour later if it was set far ahead, lest a
 * mistake ends months for good; when it was set back, the month goes on until the calendar has caught up. A month that was closed is never
 * opened again.
 */
#ifndef IMAGEFS_DOMAIN_LEDGER_H
#define IMAGEFS_DOMAIN_LEDGER_H

#include "domain/service.h"

/* The month under way; the first one of this store. -ENOENT: the ledger was never looked at. */
int ledger_month(struct cat_txn *, uint32_t *ret) MUST_USE;
int ledger_first_month(struct cat_txn *, uint32_t *ret) MUST_USE;

/* Write down the time now, having closed what months have ended before. For changes of what is billed. */
int ledger_time(struct cat_txn *, int64_t *ret) MUST_USE;

/* Close what months have ended, in one transaction. Cheap when there is none. */
int ledger_roll(struct service *, struct error *err) MUST_USE;

#endif
