/* SPDX-License-Identifier: Apache-2.0 */
/* status_terms: what .status tells about money: of an image, what an instance of it costs when it is started now; of an instance, on which terms
 * it runs. */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "catalog/account.h"
#include "catalog/run_tab.h"
#include "domain/price.h"
#include "domain/tree_int.h"

static int add_start_price(const struct tree_ask *a, const struct image *i, struct buf *text)
{
	struct terms t;
	struct region region;
	int r = terms_get(a->txn, i, &t);
	if (!r)
		r = region_get(a->txn, i->shelf.region, &region);
	if (r)
		return r;
	buf_adds(text, "start-price: ");
	r = terms_text(a->txn, &t, &region, text);
	buf_adds(text, "\n");
	if (t.license[0])
		buf_addf(text, "license: %s%s\n", t.license, i->inherits & INHERITS_LICENSE ? " (inherited)" : "");
	return r;
}

static void add_rate(struct buf *text, const char *key, money rate, const char *currency, const char *per)
{
	char amount[MONEY_TEXT_SIZE];
	if (rate)
		buf_addf(text, "%s: %s %s%s\n", key, money_text(rate, amount), currency, per);
}

static int add_run(const struct tree_ask *a, const struct image *i, struct buf *text)
{
	struct run run;
	struct account vendor;
	char currency[CURRENCY_SIZE], t[TIME_TEXT_SIZE];
	int r = run_get(a->txn, i->id, &run);
	if (r || run.gone)
		return r == -ENOENT ? 0 : r;
	r = currency_get(a->txn, currency);
	if (r)
		return r;
	if (run.started)
		buf_addf(text, "started: %s\n", time_text(run.started_real, t));
	add_rate(text, "instance-price", run.instance_rate, currency, "/hour");
	add_rate(text, "price", run.price, currency, price_per((enum price_unit)run.unit));
	if (run.unit != PRICE_NONE)
		buf_addf(text, "vendor: %s\n", account_get(a->txn, run.vendor, &vendor) ? "?" : vendor.name);
	if (run.license[0])
		buf_addf(text, "license: %s\n", run.license);
	add_rate(text, "windows-fee", run.windows_rate, currency, "/hour");
	return 0;
}

int status_terms(const struct tree_ask *a, const struct image *i, struct buf *text)
{
	if (i->kind != KIND_IMAGE)
		return 0;
	return i->shelf.type == TYPE_INSTANCE ? add_run(a, i, text) : add_start_price(a, i, text);
}
