/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/runs.h"

#include <stdio.h>
#include <string.h>

#include "catalog/ledger_clock.h"
#include "catalog/run_tab.h"
#include "domain/ledger.h"
#include "domain/price.h"

static void set_name(struct run *run, const struct image *i)
{
	int n = (int)strcspn(i->name, "@"); /* the trash puts a time behind it */
	snprintf(run->name, sizeof run->name, "%.*s", n, i->name);
}

static void stop(struct run *run, int64_t now)
{
	run->accrued = run_time(run, now);
	run->since = now;
	run->running = false;
}

static int parse_rate(const char *text, money *ret) { return money_parse(text, ret) ? ERR_DAMAGED : 0; }

static int take_rates(struct cat_txn *txn, struct run *run)
{
	struct region g;
	int r = region_get(txn, run->region, &g);
	if (!r)
		r = parse_rate(g.instance_price, &run->instance_rate);
	return r || !run->windows ? r : parse_rate(g.windows_fee, &run->windows_rate);
}

static int take_terms(struct cat_txn *txn, struct run *run, const struct image *instance)
{
	struct terms t;
	int r = terms_get(txn, instance, &t);
	if (r)
		return r;
	memcpy(run->license, t.license, sizeof run->license);
	run->windows = terms_have_windows(&t);
	run->price = t.price;
	run->unit = (uint8_t)t.unit;
	run->vendor = t.vendor;
	return take_rates(txn, run);
}

static bool same_purchase(const struct run *a, const struct run *b)
{
	return a->unit == b->unit && a->price == b->price && a->vendor == b->vendor;
}

int runs_begin(struct cat_txn *txn, const struct image *i)
{
	struct run old = { .number = 0 }, run = { .instance = i->id, .account = i->owner, .region = i->shelf.region, .image = i->from };
	int64_t now;
	int r = ledger_time(txn, &now);
	if (!r)
		r = run_get(txn, i->id, &old);
	if (r && r != -ENOENT)
		return r;
	bool had = !r && !old.gone;
	r = take_terms(txn, &run, i);
	if (!r && had) {
		stop(&old, now);
		old.gone = true;
		r = run_put(txn, &old);
	}
	if (r)
		return r;
	run.number = old.number + 1;
	run.started = run.since = now;
	run.started_real = ledger_real(txn);
	run.running = true;
	run.owes_once = run.unit == PRICE_ONCE && !(had && same_purchase(&old, &run));
	snprintf(run.image_text, sizeof run.image_text, "%s", i->from ? i->from_text : "");
	set_name(&run, i);
	return run_put(txn, &run);
}

int runs_review(struct cat_txn *txn, const struct image *i)
{
	struct run run;
	struct terms t;
	int r = run_get(txn, i->id, &run);
	if (!r)
		r = terms_get(txn, i, &t);
	if (r)
		return r == -ENOENT ? 0 : r;
	bool same = strcmp(run.license, t.license) == 0 && run.price == t.price && run.unit == (uint8_t)t.unit && run.vendor == t.vendor;
	return same ? 0 : runs_begin(txn, i);
}

static int change(struct cat_txn *txn, const struct image *i, void (*fn)(struct run *, int64_t now))
{
	struct run run;
	int64_t now;
	int r = run_get(txn, i->id, &run);
	if (r)
		return r == -ENOENT ? 0 : r;
	if (run.gone)
		return 0;
	r = ledger_time(txn, &now);
	if (!r)
		r = run_get(txn, i->id, &run); /* a month may have been closed */
	if (r)
		return r == -ENOENT ? 0 : r;
	fn(&run, now);
	set_name(&run, i);
	return run_put(txn, &run);
}

static void resume(struct run *run, int64_t now)
{
	if (run->running)
		return;
	run->owes_once |= !run->started && run->unit == PRICE_ONCE;
	run->started = run->started ? run->started : now;
	run->since = now;
	run->running = true;
}

static void end(struct run *run, int64_t now)
{
	stop(run, now);
	run->gone = true;
}

int runs_pause(struct cat_txn *txn, const struct image *i) { return change(txn, i, stop); }
int runs_resume(struct cat_txn *txn, const struct image *i) { return change(txn, i, resume); }
int runs_end(struct cat_txn *txn, const struct image *i) { return change(txn, i, end); }

int runs_split(struct cat_txn *txn, const struct image *i, const struct image *old)
{
	struct run run;
	int r = run_get(txn, i->id, &run);
	if (r)
		return r == -ENOENT ? 0 : r;
	run.instance = old->id;
	run.number = 1;
	run.running = run.gone = run.owes_once = false;
	run.started = run.accrued = 0;
	set_name(&run, old);
	return run_put(txn, &run);
}
