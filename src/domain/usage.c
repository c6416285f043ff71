/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the bill, and for the month under way images and meters, become rows, which are sorted, and added up where they say the same. */
#include "domain/usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/month.h"
#include "catalog/account.h"
#include "catalog/ledger_clock.h"
#include "catalog/meter_tab.h"
#include "domain/decide.h"
#include "domain/gone.h"
#include "domain/ledger.h"
#include "domain/names.h"
#include "domain/price.h"

struct row {
	uint32_t account, region;
	uint8_t kind, unit;
	const char *what;                  /* a constant, or vendor */
	char vendor[PLACE_NAME_MAX + 1];
	char account_name[PLACE_NAME_MAX + 1], region_name[PLACE_NAME_MAX + 1];
	uint64_t count, stored;
	quantity quantity;
	money_total amount;
};

struct table {
	struct cat_txn *txn;
	const struct bill_scope *scope;
	bool now; /* the month under way: what there is counts, not only what stands on the bill */
	struct row *rows;
	size_t count, room;
};

static struct row *add_row(struct table *t)
{
	if (t->count == t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->rows = realloc(t->rows, t->room * sizeof *t->rows);
		if (!t->rows)
			abort();
	}
	struct row *row = &t->rows[t->count++];
	*row = (struct row){ .what = "" };
	return row;
}

/* ---- rows ------------------------------------------------------------------------------------------ */

static const char *what_it_is(enum image_type type) { return type == TYPE_INSTANCE ? "instances" : "images"; }

/* Where a thing is now says nothing about months that are over. */
static const char *what_is_stored(const struct table *t, uint64_t id, enum image_type type)
{
	struct image i;
	if (!t->now)
		return what_it_is(type);
	if (image_by_id(t->txn, id, &i))
		return "deleted";
	return i.shelf.trash ? "trash" : what_it_is(type);
}

static int row_of_line(void *ctx, const struct bill_line *line)
{
	struct table *t = ctx;
	struct row *row = add_row(t);
	row->account = line->account;
	row->region = line->region;
	row->kind = line->kind;
	row->unit = line->unit;
	row->count = !t->now || line->kind != BILL_STORAGE;
	row->quantity = line->quantity;
	row->amount = line->amount;
	memcpy(row->account_name, line->account_name, sizeof row->account_name);
	memcpy(row->region_name, line->region_name, sizeof row->region_name);
	memcpy(row->vendor, line->vendor, sizeof row->vendor);
	if (line->kind == BILL_STORAGE)
		row->what = what_is_stored(t, line->id, (enum image_type)line->type);
	return 0;
}

static bool is_wanted(const struct bill_scope *s, uint32_t account, uint32_t region)
{
	return (s->all || s->account == account) && (!s->region || s->region == region);
}

static int row_of_image(void *ctx, const struct image *i)
{
	struct table *t = ctx;
	if (i->kind != KIND_IMAGE || !is_wanted(t->scope, i->owner, i->shelf.region))
		return 0;
	struct row *row = add_row(t);
	row->account = i->owner;
	row->region = i->shelf.region;
	row->what = i->shelf.trash ? "trash" : what_it_is((enum image_type)i->shelf.type);
	row->count = 1;
	return 0;
}

static int row_of_meter(void *ctx, const struct meter *m)
{
	struct table *t = ctx;
	if (!is_wanted(t->scope, m->account, m->region) || (!m->bytes && !m->written))
		return 0;
	struct row *row = add_row(t);
	row->account = m->account;
	row->region = m->region;
	row->what = what_is_stored(t, m->image, (enum image_type)m->type);
	row->stored = m->bytes + m->written;
	return 0;
}

#define ORDER(x, y) do { if ((x) != (y)) return (x) < (y) ? -1 : 1; } while (0)

static int compare(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	ORDER(a->account, b->account);
	ORDER(a->region, b->region);
	ORDER(a->kind, b->kind);
	ORDER(a->unit, b->unit);
	int r = strcmp(a->what, b->what);
	return r ? r : strcmp(a->vendor, b->vendor);
}

static int merge_into(struct row *to, const struct row *from)
{
	if (!to->region_name[0]) {
		memcpy(to->account_name, from->account_name, sizeof to->account_name);
		memcpy(to->region_name, from->region_name, sizeof to->region_name);
	}
	to->count += from->count;
	to->stored += from->stored;
	to->amount += from->amount;
	return quantity_add(&to->quantity, from->quantity);
}

static int sort_and_merge(struct table *t)
{
	size_t kept = 0;
	int r = 0;
	if (t->count)
		qsort(t->rows, t->count, sizeof *t->rows, compare);
	for (size_t i = 0; i < t->count && !r; i++)
		if (kept && compare(&t->rows[kept - 1], &t->rows[i]) == 0)
			r = merge_into(&t->rows[kept - 1], &t->rows[i]);
		else
			t->rows[kept++] = t->rows[i];
	t->count = kept;
	return r;
}

/* ---- text -------------------------------------------------------------------------------------------- */

#define CELL_SIZE 40

static char *bytes_cell(uint64_t bytes, char ret[CELL_SIZE])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned u = 0;
	uint64_t tenths = bytes * 10;
	if (bytes > UINT64_MAX / 10)
		tenths = UINT64_MAX;
	for (; tenths >= 10240; u++)
		tenths /= 1024;
	if (u == 0)
		snprintf(ret, CELL_SIZE, "%" PRIu64 " B", bytes);
	else
		snprintf(ret, CELL_SIZE, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, units[u]);
	return ret;
}

/* With so many places, cut. */
static char *quantity_cell(quantity q, int places, char ret[CELL_SIZE])
{
	int64_t unit = QUANTITY_ONE;
	for (int i = 0; i < places; i++)
		unit /= 10;
	uint64_t n = (uint64_t)(q < 0 ? -q : q) / (uint64_t)unit, one = (uint64_t)(QUANTITY_ONE / unit);
	snprintf(ret, CELL_SIZE, "%s%" PRIu64 ".%0*" PRIu64, q < 0 ? "-" : "", n / one, places, n % one);
	return ret;
}

static const char *name_of(const struct row *row, char ret[CELL_SIZE])
{
	switch ((enum bill_kind)row->kind) {
	case BILL_STORAGE: return row->what;
	case BILL_FREE_STORAGE: return "free";
	case BILL_INSTANCE: return "running";
	case BILL_WINDOWS: return "windows";
	default: break;
	}
	snprintf(ret, CELL_SIZE, "%s", row->vendor);
	return ret;
}

#define COLUMNS "%-16s %-12s %-16s %7s %12s %14s %12s %14s\n"

static int name_row(struct cat_txn *txn, struct row *row)
{
	struct region region;
	if (row->region_name[0])
		return 0;
	int r = gone_region(txn, row->region, &region);
	if (r)
		return r;
	memcpy(row->region_name, region.name, sizeof row->region_name);
	return gone_account_name(txn, row->account, row->account_name);
}

static void add_line(struct buf *b, bool all, bool now, const struct row *row)
{
	char what[CELL_SIZE], count[24] = "-", stored[CELL_SIZE] = "-", months[CELL_SIZE] = "-", hours[CELL_SIZE] = "-";
	char amount[MONEY_TEXT_SIZE];
	if (row->kind != BILL_FREE_STORAGE)
		snprintf(count, sizeof count, "%" PRIu64, row->count);
	if (row->kind == BILL_STORAGE && now)
		bytes_cell(row->stored, stored);
	if (row->unit == BILL_GIB_MONTH)
		quantity_cell(row->quantity, 6, months);
	if (row->unit == BILL_HOUR)
		quantity_cell(row->quantity, 2, hours);
	if (all)
		buf_addf(b, "%-16s ", row->account_name);
	buf_addf(b, COLUMNS, row->region_name, bill_kind_name((enum bill_kind)row->kind), name_of(row, what), count, stored, months, hours,
		 money_total_text(row->amount, amount));
}

static int add_lines(struct buf *b, const struct table *t, const char *currency)
{
	char amount[MONEY_TEXT_SIZE];
	money_total sum = 0;
	int r = 0;
	if (t->scope->all)
		buf_addf(b, "%-16s ", "account");
	buf_addf(b, COLUMNS, "region", "kind", "what", "count", "stored", "GiB-months", "hours", "amount");
	for (size_t i = 0; i < t->count && !r; i++) {
		r = name_row(t->txn, &t->rows[i]);
		add_line(b, t->scope->all, t->now, &t->rows[i]);
		sum += t->rows[i].amount;
	}
	buf_addf(b, "total: %s %s\n", money_total_text(sum, amount), currency);
	return r;
}

static void add_heading(struct cat_txn *txn, struct buf *b, uint32_t month, bool now)
{
	char m[MONTH_TEXT_SIZE], t[TIME_TEXT_SIZE];
	buf_addf(b, "month: %s", month_text(month, m));
	if (now)
		buf_addf(b, " until %s", time_text(ledger_real(txn), t));
	buf_adds(b, "\n");
}

int usage_text(struct cat_txn *txn, uint32_t month, const struct bill_scope *scope, struct buf *ret)
{
	struct table t = { .txn = txn, .scope = scope };
	char currency[CURRENCY_SIZE];
	uint32_t current;
	int r = ledger_month(txn, &current);
	if (!r)
		r = currency_get(txn, currency);
	if (r)
		return r;
	t.now = month == current;
	add_heading(txn, ret, month, t.now);
	r = bills_of(txn, month, scope, row_of_line, &t);
	if (!r && t.now)
		r = meter_each(txn, 0, row_of_meter, &t);
	if (!r && t.now)
		r = image_each_all(txn, 0, row_of_image, &t);
	if (!r)
		r = sort_and_merge(&t);
	if (!r)
		r = add_lines(ret, &t, currency);
	free(t.rows);
	return r;
}

/* ---- who, and the command line --------------------------------------------------------------------------- */

int usage_may_see(const struct who *w, uint32_t account, struct error *err)
{
	return decide(w, account && account == w->account ? MAY_ACCEPT : MAY_MANAGE, NULL, err);
}

static int find_scope(struct cat_txn *txn, const struct who *w, const char *name, struct bill_scope *ret, struct error *err)
{
	struct account account;
	*ret = (struct bill_scope){ .account = w->account };
	if (strcmp(name, "-") == 0) {
		ret->all = decide(w, MAY_MANAGE, NULL, NULL) == 0;
		return 0;
	}
	int r = account_find(txn, name, &account);
	if (!r)
		ret->account = account.no;
	/* Whether there is such an account is nobody's business but an operator's. */
	int may = usage_may_see(w, r ? 0 : account.no, err);
	if (may)
		return may;
	return r ? fail(err, r, "there is no account %s", name) : 0;
}

static int find_month(struct cat_txn *txn, const char *text, uint32_t *ret, struct error *err)
{
	if (strcmp(text, "-") == 0)
		return ledger_month(txn, ret);
	return month_parse(text, ret) ? fail(err, -EINVAL, "a month is given as 2026-11, not \"%s\"", text) : 0;
}

static int answer(struct cat_txn *txn, const struct who *w, const char *request, struct buf *ret, struct error *err)
{
	char form[8], month[16], account[PLACE_NAME_MAX + 1], more[2];
	struct bill_scope scope;
	uint32_t m;
	if (sscanf(request, "%7s %15s %32s %1s", form, month, account, more) != 3)
		return fail(err, -EBADMSG, "this is no question about usage");
	int r = find_scope(txn, w, account, &scope, err);
	if (!r)
		r = find_month(txn, month, &m, err);
	if (r)
		return r;
	r = strcmp(form, "csv") == 0 ? bills_csv(txn, m, &scope, ret) : usage_text(txn, m, &scope, ret);
	return r == -ENOENT ? fail(err, r, "there is no bill for %s: it is not over, or was before this store", month) : r;
}

int usage_request(struct service *s, const struct who *w, const char *request, struct buf *ret, struct error *err)
{
	struct cat_txn *txn;
	int r = ledger_roll(s, err);
	if (!r)
		r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	err->text[0] = 0;
	r = answer(txn, w, request, ret, err);
	cat_end(&txn);
	return r && !err->text[0] ? fail(err, r, "usage cannot be told (%s)", err_name(r)) : r;
}
