/* SPDX-License-Identifier: Apache-2.0 */
/* The month under way and the first one are properties in the catalog; its end is what the meters have (catalog/meter_tab.h), so that they
 * cut there however late it is closed. */
#include "domain/ledger.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/month.h"
#include "base/num.h"
#include "catalog/ledger_clock.h"
#include "catalog/meter_tab.h"
#include "domain/bills.h"

#define MONTH_KEY "ledger-month"
#define FIRST_KEY "ledger-first-month"
#define SLACK INT64_C(10000000) /* two clocks are not read in the same instant: so far apart they have not been set */
#define DOUBT (INT64_C(3600) * 1000000000) /* a calendar that leapt over the end of a month by more than this is believed after that time */

static int get_month(struct cat_txn *txn, const char *key, uint32_t *ret)
{
	char text[MONTH_TEXT_SIZE];
	int r = cat_meta_get(txn, key, text, sizeof text);
	return r ? r : month_parse(text, ret) ? ERR_DAMAGED : 0;
}

static int set_month(struct cat_txn *txn, const char *key, uint32_t month)
{
	char text[MONTH_TEXT_SIZE];
	return cat_meta_set(txn, key, month_text(month, text));
}

int ledger_month(struct cat_txn *txn, uint32_t *ret) { return get_month(txn, MONTH_KEY, ret); }
int ledger_first_month(struct cat_txn *txn, uint32_t *ret) { return get_month(txn, FIRST_KEY, ret); }

/* The two clocks of this moment, and what they say of the month under way. */
struct hands {
	int64_t now, real, end;
	uint32_t month;
};

/* Where the calendar's end of a month lies on the ledger's axis. */
static int64_t end_of(const struct hands *h, uint32_t month) { return h->now + (month_begin(month + 1) - h->real); }

static int read_hands(struct cat_txn *txn, struct hands *ret)
{
	int r = ledger_now(txn, &ret->now);
	ret->real = ledger_real(txn);
	if (!r)
		r = meter_end(txn, &ret->end);
	return r ? r : ledger_month(txn, &ret->month);
}

/* Has the clock been set far ahead? By mistake, maybe: a month that was closed would not come back. */
static bool is_doubtful(const struct hands *h) { return end_of(h, h->month) + DOUBT <= h->now; }

/* Is the end still to come, and where it was put? */
static bool is_settled(const struct hands *h)
{
	if (is_doubtful(h))
		return h->end > h->now && h->end <= h->now + DOUBT;
	return h->end > h->now && llabs((long long)(end_of(h, h->month) - h->end)) < SLACK;
}

/* Where it belongs now. */
static int64_t end_to_be(const struct hands *h)
{
	return is_doubtful(h) ? h->now + DOUBT : MAX(end_of(h, h->month), h->now + 1);
}

static int begin(struct cat_txn *txn)
{
	struct hands h = { .real = ledger_real(txn) };
	h.month = month_of(h.real);
	int r = ledger_stamp(txn, &h.now);
	if (!r)
		r = set_month(txn, FIRST_KEY, h.month);
	if (!r)
		r = set_month(txn, MONTH_KEY, h.month);
	return r ? r : meter_set_end(txn, MAX(end_of(&h, h.month), h.now + 1));
}

static int close_month(struct cat_txn *txn, const struct hands *h)
{
	/* When the clock was set ahead by months, those in between had no time. */
	int r = bills_close(txn, h->month, h->end, MAX(end_of(h, h->month + 1), h->end + 1));
	return r ? r : set_month(txn, MONTH_KEY, h->month + 1);
}

static int roll(struct cat_txn *txn)
{
	struct hands h;
	int r = read_hands(txn, &h);
	if (r == -ENOENT)
		return begin(txn);
	/* An end that is put down now may have passed when one looks again; not so if clocks stand still, as in tests. */
	for (bool put = false; !r && !is_settled(&h) && !(put && h.end > h.now);) {
		put = h.end > h.now || !h.end;
		r = put ? meter_set_end(txn, end_to_be(&h)) : close_month(txn, &h);
		if (!r)
			r = read_hands(txn, &h);
	}
	return r;
}

int ledger_time(struct cat_txn *txn, int64_t *ret)
{
	int r = roll(txn);
	return r ? r : ledger_stamp(txn, ret);
}

static int do_roll(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)arg;
	int r = roll(txn);
	return r ? fail(err, r, "the month could not be closed (%s)", err_name(r)) : 0;
}

int ledger_roll(struct service *s, struct error *err)
{
	struct cat_txn *txn;
	struct hands h;
	int r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = read_hands(txn, &h);
	cat_end(&txn);
	return r == 0 && is_settled(&h) ? 0 : cat_write(s->catalog, do_roll, NULL, err);
}
