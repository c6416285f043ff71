/* SPDX-License-Identifier: Apache-2.0 */
/* usage: a month's bill for people: columns, and what they come to. */
#ifndef IMAGEFS_DOMAIN_USAGE_H
#define IMAGEFS_DOMAIN_USAGE_H

#include "domain/bills.h"
#include "domain/service.h"
#include "domain/who.h"

struct buf;

/* -ENOENT: the month is not closed, and not the one under way. */
int usage_text(struct cat_txn *, uint32_t month, const struct bill_scope *, struct buf *ret) MUST_USE;

/* May they look at this account's bills (0: at everybody's)? 0, or a refusal. */
int usage_may_see(const struct who *, uint32_t account, struct error *err) MUST_USE;

/* For the command line: FORM MONTH ACCOUNT, with blanks between. FORM is "csv" or "text"; MONTH "-": the one under way; ACCOUNT "-": all for operators,
 * one's own for others. -EBADMSG: not a request. */
int usage_request(struct service *, const struct who *, const char *request, struct buf *ret, struct error *err) MUST_USE;

#endif
