/* SPDX-License-Identifier: Apache-2.0 */
/* The lines are gathered, those of one image put together, sorted, and only then given a quantity and an amount: rounding is
 * done once for each line. What is free is a line of its own, which never takes away more than there is. */
#include "domain/bills.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/month.h"
#include "base/num.h"
#include "catalog/ledger_clock.h"
#include "catalog/meter_tab.h"
#include "catalog/run_tab.h"
#include "domain/gone.h"
#include "domain/ledger.h"
#include "domain/names.h"
#include "domain/price.h"

#define GIB ((unsigned __int128)1 << 30)
#define HOUR (INT64_C(3600) * 1000000000)

struct item {
	struct bill_line line;
	unsigned __int128 used; /* byte-ns, or ns */
};

struct gathering {
	struct cat_txn *txn;
	uint32_t month;
	int64_t at; /* ledger time up to which things are counted */
	const struct bill_scope *scope; /* NULL: everything */
	struct item *items;
	size_t count, room;
	char currency[CURRENCY_SIZE];
};

/* ---- gathering --------------------------------------------------------------------------------------- */

static bool is_wanted(const struct gathering *g, uint32_t account, uint32_t region)
{
	return !g->scope || ((g->scope->all || g->scope->account == account) && (!g->scope->region || g->scope->region == region));
}

static struct item *add_item(struct gathering *g)
{
	if (g->count == g->room) {
		g->room = g->room ? 2 * g->room : 64;
		g->items = realloc(g->items, g->room * sizeof *g->items);
		if (!g->items)
			abort();
	}
	struct item *item = &g->items[g->count++];
	*item = (struct item){ .line = { .month = g->month } };
	return item;
}

static int add_meter(struct gathering *g, const struct meter *m, byte_time spent)
{
	if (!spent || !is_wanted(g, m->account, m->region))
		return 0;
	struct item *item = add_item(g);
	item->used = spent;
	item->line.account = m->account;
	item->line.region = m->region;
	item->line.kind = BILL_STORAGE;
	item->line.unit = BILL_GIB_MONTH;
	item->line.type = m->type;
	item->line.id = m->image;
	memcpy(item->line.name, m->name, sizeof item->line.name);
	return 0;
}

static int meter_so_far(void *ctx, const struct meter *m)
{
	struct gathering *g = ctx;
	return add_meter(g, m, meter_spent(m, g->at));
}

static int meter_closed(void *ctx, const struct meter *m, byte_time spent) { return add_meter(ctx, m, spent); }

static struct item *add_run_item(struct gathering *g, const struct run *run, enum bill_kind kind, enum bill_unit unit, money rate)
{
	struct item *item = add_item(g);
	item->used = (unsigned __int128)run_time(run, g->at);
	item->line.account = run->account;
	item->line.region = run->region;
	item->line.kind = (uint8_t)kind;
	item->line.unit = (uint8_t)unit;
	item->line.type = TYPE_INSTANCE;
	item->line.id = run->instance;
	item->line.rate = rate;
	memcpy(item->line.name, run->name, sizeof item->line.name);
	return item;
}

static void refresh_name(struct cat_txn *txn, struct run *run)
{
	struct image i;
	if (run->gone || image_by_id(txn, run->instance, &i))
		return;
	snprintf(run->name, sizeof run->name, "%.*s", (int)strcspn(i.name, "@"), i.name);
}

static int add_run(void *ctx, const struct run *row)
{
	struct gathering *g = ctx;
	struct run run = *row;
	int64_t time = run_time(&run, g->at);
	if (!is_wanted(g, run.account, run.region) || (time == 0 && !run.owes_once))
		return 0;
	refresh_name(g->txn, &run);
	if (time)
		add_run_item(g, &run, BILL_INSTANCE, BILL_HOUR, run.instance_rate);
	if (time && run.windows && run.windows_rate)
		add_run_item(g, &run, BILL_WINDOWS, BILL_HOUR, run.windows_rate);
	if (run.unit == PRICE_NONE || (run.unit == PRICE_ONCE ? !run.owes_once : time == 0))
		return 0;
	static const enum bill_unit units[] = { [PRICE_ONCE] = BILL_ONCE, [PRICE_HOUR] = BILL_HOUR, [PRICE_MONTH] = BILL_MONTH };
	struct item *item = add_run_item(g, &run, BILL_MARKETPLACE, units[run.unit], run.price);
	return gone_account_name(g->txn, run.vendor, item->line.vendor);
}

/* ---- order and sums ---------------------------------------------------------------------------------------- */

#define ORDER(x, y) do { if ((x) != (y)) return (x) < (y) ? -1 : 1; } while (0)

static int compare(const void *left, const void *right)
{
	const struct bill_line *a = &((const struct item *)left)->line, *b = &((const struct item *)right)->line;
	ORDER(a->account, b->account);
	ORDER(a->region, b->region);
	ORDER(a->kind, b->kind);
	ORDER(a->type, b->type);
	ORDER(a->id, b->id);
	ORDER(a->unit, b->unit);
	ORDER(a->rate, b->rate);
	return strcmp(a->vendor, b->vendor);
}

static void sort_and_merge(struct gathering *g)
{
	size_t kept = 0;
	if (g->count)
		qsort(g->items, g->count, sizeof *g->items, compare);
	for (size_t i = 0; i < g->count; i++)
		if (kept && g->items[i].line.unit != BILL_ONCE && compare(&g->items[kept - 1], &g->items[i]) == 0)
			g->items[kept - 1].used += g->items[i].used;
		else
			g->items[kept++] = g->items[i];
	g->count = kept;
}

/* What the lines of one account in one region have in common. */
struct bill_place {
	struct region region;
	money storage_rate;
	char account_name[PLACE_NAME_MAX + 1];
};

static int open_place(struct gathering *g, const struct bill_line *line, struct bill_place *ret)
{
	*ret = (struct bill_place){ .storage_rate = 0 };
	int r = gone_region(g->txn, line->region, &ret->region);
	if (!r && money_parse(ret->region.storage_price, &ret->storage_rate))
		r = ERR_DAMAGED;
	return r ? r : gone_account_name(g->txn, line->account, ret->account_name);
}

static unsigned __int128 whole_of(const struct gathering *g, const struct bill_line *line)
{
	switch ((enum bill_unit)line->unit) {
	case BILL_GIB_MONTH: return GIB * (unsigned __int128)month_length(g->month);
	case BILL_MONTH: return (unsigned __int128)month_length(g->month);
	default: return (unsigned __int128)HOUR;
	}
}

static int price_line(const struct gathering *g, const struct bill_place *p, struct item *item)
{
	struct bill_line *line = &item->line;
	int r = 0;
	if (line->unit == BILL_ONCE)
		line->quantity = QUANTITY_ONE;
	else
		r = quantity_of(item->used, whole_of(g, line), &line->quantity);
	if (line->kind == BILL_STORAGE)
		line->rate = p->storage_rate;
	memcpy(line->currency, g->currency, sizeof line->currency);
	memcpy(line->account_name, p->account_name, sizeof line->account_name);
	memcpy(line->region_name, p->region.name, sizeof line->region_name);
	return r ? r : money_times(line->rate, line->quantity, &line->amount);
}

/* `like` is one of the lines that are partly free; `sum` what they all are. Lines that were rounded down may come to less than what would
 * be free of them. */
static int give_free(const struct bill_place *p, const struct bill_line *like, const struct bill_line *sum, bill_fn fn, void *ctx)
{
	struct bill_line line = *like;
	quantity allowed = 0;
	int r = quantity_of(p->region.free_storage, GIB, &allowed);
	line.kind = BILL_FREE_STORAGE;
	line.type = 0;
	line.id = 0;
	line.name[0] = 0;
	line.quantity = -MIN(allowed, sum->quantity);
	if (!r)
		r = money_times(line.rate, line.quantity, &line.amount);
	line.amount = allowed >= sum->quantity ? -sum->amount : MAX(line.amount, -sum->amount);
	return r || !line.quantity ? r : fn(ctx, &line);
}

static bool is_of(const struct gathering *g, size_t i, const struct bill_line *first)
{
	return i < g->count && g->items[i].line.account == first->account && g->items[i].line.region == first->region;
}

/* Storage comes first among the kinds, and what is free of it next. */
static int give_storage(struct gathering *g, const struct bill_place *p, size_t *at, bill_fn fn, void *ctx)
{
	const struct bill_line *first = &g->items[*at].line;
	struct bill_line sum = { .quantity = 0 };
	int r = 0;
	for (; !r && is_of(g, *at, first) && g->items[*at].line.kind == BILL_STORAGE; ++*at) {
		const struct bill_line *line = &g->items[*at].line;
		r = price_line(g, p, &g->items[*at]);
		if (!r)
			r = quantity_add(&sum.quantity, line->quantity);
		if (!r)
			r = money_add(&sum.amount, line->amount);
		if (!r)
			r = fn(ctx, line);
	}
	return r || !sum.quantity ? r : give_free(p, first, &sum, fn, ctx);
}

/* The lines of one account in one region, from *at on. */
static int give_place(struct gathering *g, size_t *at, bill_fn fn, void *ctx)
{
	const struct bill_line *first = &g->items[*at].line;
	struct bill_place place;
	int r = open_place(g, first, &place);
	if (!r)
		r = give_storage(g, &place, at, fn, ctx);
	for (; !r && is_of(g, *at, first); ++*at) {
		r = price_line(g, &place, &g->items[*at]);
		if (!r)
			r = fn(ctx, &g->items[*at].line);
	}
	return r;
}

static int give_all(struct gathering *g, bill_fn fn, void *ctx)
{
	int r = currency_get(g->txn, g->currency);
	sort_and_merge(g);
	for (size_t at = 0; at < g->count && !r;)
		r = give_place(g, &at, fn, ctx);
	return r;
}

/* ---- the month under way, closed months ------------------------------------------------------------------------- */

static int so_far(struct cat_txn *txn, uint32_t month, const struct bill_scope *scope, bill_fn fn, void *ctx)
{
	struct gathering g = { .txn = txn, .month = month, .scope = scope };
	int r = ledger_now(txn, &g.at);
	if (!r)
		r = meter_each(txn, 0, meter_so_far, &g);
	if (!r)
		r = run_each(txn, add_run, &g);
	if (!r)
		r = give_all(&g, fn, ctx);
	free(g.items);
	return r;
}

struct closed {
	const struct bill_scope *scope;
	bill_fn fn;
	void *ctx;
};

static int give_closed(void *ctx, const struct bill_line *line)
{
	struct closed *c = ctx;
	return c->scope->region && c->scope->region != line->region ? 0 : c->fn(c->ctx, line);
}

int bills_of(struct cat_txn *txn, uint32_t month, const struct bill_scope *scope, bill_fn fn, void *ctx)
{
	struct closed closed = { scope, fn, ctx };
	uint32_t current, first;
	int r = ledger_month(txn, &current);
	if (!r)
		r = ledger_first_month(txn, &first);
	if (r)
		return r;
	if (month == current)
		return so_far(txn, month, scope, fn, ctx);
	if (month < first || month > current)
		return -ENOENT;
	return bill_each(txn, month, scope->account, scope->all, give_closed, &closed);
}

/* ---- closing ---------------------------------------------------------------------------------------------------- */

struct writing {
	struct cat_txn *txn;
	uint32_t account, number;
};

static int write_line(void *ctx, const struct bill_line *line)
{
	struct writing *w = ctx;
	w->number = w->account == line->account ? w->number + 1 : 1;
	w->account = line->account;
	return bill_put(w->txn, w->number, line);
}

/* In the next month it begins at nothing. */
static int turn_run(void *ctx, const struct run *row)
{
	const struct gathering *g = ctx;
	struct run run = *row;
	if (run.gone)
		return run_remove(g->txn, run.instance, run.number);
	run.accrued = 0;
	run.since = MAX(run.since, g->at);
	run.owes_once = false;
	refresh_name(g->txn, &run);
	return run_put(g->txn, &run);
}

int bills_close(struct cat_txn *txn, uint32_t month, int64_t end, int64_t next_end)
{
	struct gathering g = { .txn = txn, .month = month, .at = end };
	struct writing w = { .txn = txn };
	int r = meter_close(txn, next_end, meter_closed, &g);
	if (!r)
		r = run_each(txn, add_run, &g);
	if (!r)
		r = give_all(&g, write_line, &w);
	if (!r)
		r = run_each(txn, turn_run, &g);
	free(g.items);
	return r;
}

/* ---- CSV ----------------------------------------------------------------------------------------------------------- */

static void add_quoted(struct buf *b, const char *text)
{
	if (!text[strcspn(text, ",\"\n")]) {
		buf_adds(b, text);
		return;
	}
	buf_adds(b, "\"");
	for (; *text; text++)
		buf_addf(b, *text == '"' ? "\"%c" : "%c", *text);
	buf_adds(b, "\"");
}

void bill_csv(const struct bill_line *line, struct buf *ret)
{
	AUTO_BUF struct buf name = BUF_INIT;
	struct image image = { .id = line->id, .shelf.type = line->type };
	char month[MONTH_TEXT_SIZE], id[ID_TEXT_SIZE] = "", how_much[MONEY_TEXT_SIZE], rate[MONEY_TEXT_SIZE], amount[MONEY_TEXT_SIZE];
	if (line->id) {
		buf_addf(&name, "%s/%s", type_name((enum image_type)line->type), line->name);
		id_text(&image, id);
	}
	buf_addf(ret, "%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,", month_text(line->month, month), line->account_name, line->region_name,
		 bill_kind_name((enum bill_kind)line->kind), id, quantity_text(line->quantity, how_much),
		 bill_unit_name((enum bill_unit)line->unit), money_text(line->rate, rate), money_text(line->amount, amount), line->currency,
		 line->vendor);
	add_quoted(ret, name.data ? name.data : "");
	buf_adds(ret, "\n");
}

static int add_csv(void *ctx, const struct bill_line *line)
{
	bill_csv(line, ctx);
	return 0;
}

int bills_csv(struct cat_txn *txn, uint32_t month, const struct bill_scope *scope, struct buf *ret)
{
	buf_adds(ret, BILL_CSV_HEADER);
	return bills_of(txn, month, scope, add_csv, ret);
}
