/* SPDX-License-Identifier: Apache-2.0 */
/* Bills: months end where the calendar says, however late it is noticed and whatever is done to the clock; every moment is billed once; what is closed
 * does not change; terms of instances; what is free; sums. The catalog alone, with a clock that is moved by hand. */
#include "domain/bills.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/tap.h"
#include "base/buf.h"
#include "base/month.h"
#include "catalog/account.h"
#include "catalog/disk_tab.h"
#include "catalog/ledger_clock.h"
#include "catalog/meter_tab.h"
#include "catalog/run_tab.h"
#include "domain/gone.h"
#include "domain/ledger.h"
#include "domain/policy.h"
#include "domain/price.h"
#include "domain/runs.h"
#include "domain/usage.h"

#define SECOND INT64_C(1000000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define GIB (UINT64_C(1) << 30)
#define NOV (2026 * 12 + 10)

static struct clock_reading hands;
static struct service service; /* nothing of it but the catalog is used */
static char dir[4200];

static void read_hands(void *ctx, struct clock_reading *ret) { *ret = *(struct clock_reading *)ctx; }

static void open_catalog(int flags)
{
	struct error err;
	if (catalog_open(&service.catalog, dir, flags, &err))
		bail("%s", err.text);
	catalog_set_clock(service.catalog, &(struct clock_source){ read_hands, &hands });
}

static void go(int64_t ns)
{
	hands.real += ns;
	hands.boot += ns;
}

static void roll(void)
{
	struct error err;
	if (ledger_roll(&service, &err))
		bail("%s", err.text);
}

static void write_now(cat_fn fn, void *arg)
{
	struct error err;
	int r = cat_write(service.catalog, fn, arg, &err);
	if (r)
		bail("a change was refused: %s", err_name(r));
}

/* ---- a store: region 1 (free storage of a GiB) and 2 (none), accounts 1 and 2 ---- */

static int make_places(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)arg, (void)err;
	int r = 0;
	for (uint32_t no = 1; no <= 2 && !r; no++) {
		struct region g = { .no = no, .free_storage = no == 1 ? GIB : 0, .storage_price = "0.12", .windows_fee = "0.5",
				    .instance_price = "0.25" };
		struct account a = { .no = no, .accept = "all" };
		snprintf(g.name, sizeof g.name, "region-%u", no);
		snprintf(a.name, sizeof a.name, "team-%u", no);
		r = region_put(txn, &g);
		if (!r)
			r = account_put(txn, &a);
	}
	return r;
}

/* At the begin of November 2026. */
static void new_store(const char *name)
{
	if (service.catalog)
		catalog_close(service.catalog);
	snprintf(dir, sizeof dir, "%s/%s", test_folder(), name);
	hands = (struct clock_reading){ .real = month_begin(NOV), .boot = 100 * SECOND, .boot_id = "one" };
	open_catalog(CAT_CREATE);
	write_now(make_places, NULL);
	roll();
}

struct thing {
	uint32_t account, region;
	enum image_type type;
	uint64_t bytes;
	uint64_t disk; /* set */
	struct image image;
};

static int make_thing(struct cat_txn *txn, void *arg, struct error *err)
{
	struct thing *t = arg;
	struct image *i = &t->image;
	(void)err;
	*i = (struct image){ .shelf = { t->account, t->region, (uint8_t)t->type, false }, .owner = t->account, .state = STATE_AVAILABLE };
	i->node = cat_next(txn, COUNTER_NODE);
	i->id = cat_next(txn, COUNTER_NODE);
	i->disk = t->disk = cat_next(txn, COUNTER_DISK);
	snprintf(i->name, sizeof i->name, "thing-%u", (unsigned)i->id);
	struct disk_row row = { .no = t->disk, .image = i->node, .domain = 1 };
	int r = image_put(txn, i);
	if (!r)
		r = disk_row_put(txn, &row);
	return r || !t->bytes ? r : meter_add(txn, t->disk, (int64_t)t->bytes);
}

static struct thing make(uint32_t account, uint32_t region, enum image_type type, uint64_t bytes)
{
	struct thing t = { .account = account, .region = region, .type = type, .bytes = bytes };
	write_now(make_thing, &t);
	return t;
}

static int drop_thing(struct cat_txn *txn, void *arg, struct error *err)
{
	struct thing *t = arg;
	(void)err;
	int r = disk_row_remove(txn, t->disk);
	if (!r)
		r = image_remove(txn, t->image.node);
	return r ? r : meter_add(txn, t->disk, -(int64_t)t->bytes);
}

static int set_region(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return region_put(txn, arg);
}

/* ---- what is on the bill ---- */

#define LINES_MAX 64
struct bill {
	struct bill_line lines[LINES_MAX];
	unsigned count;
	money sum;
};

static int take_line(void *ctx, const struct bill_line *line)
{
	struct bill *b = ctx;
	if (b->count == LINES_MAX)
		bail("more lines than that");
	b->lines[b->count++] = *line;
	return money_add(&b->sum, line->amount);
}

static int bill_code(uint32_t month, uint32_t account, struct bill *ret)
{
	struct cat_txn *txn;
	struct bill_scope scope = { .account = account, .all = account == 0 };
	*ret = (struct bill){ .count = 0 };
	if (cat_begin(service.catalog, &txn, NULL))
		bail("cat_begin");
	int r = bills_of(txn, month, &scope, take_line, ret);
	cat_end(&txn);
	return r;
}

static struct bill bill_of(uint32_t month, uint32_t account)
{
	static struct bill b;
	if (bill_code(month, account, &b))
		bail("no bill");
	return b;
}

static const struct bill_line *line_of(const struct bill *b, enum bill_kind kind, uint64_t id)
{
	static const struct bill_line none;
	for (unsigned i = 0; i < b->count; i++)
		if (b->lines[i].kind == kind && (!id || b->lines[i].id == id))
			return &b->lines[i];
	return &none;
}

static quantity stored(uint32_t month, uint32_t account)
{
	struct bill b = bill_of(month, account);
	quantity sum = 0;
	for (unsigned i = 0; i < b.count; i++)
		if (b.lines[i].kind == BILL_STORAGE)
			sum += b.lines[i].quantity;
	return sum;
}

static char *csv_of(uint32_t month)
{
	struct cat_txn *txn;
	struct buf text = BUF_INIT;
	struct bill_scope scope = { .all = true };
	if (cat_begin(service.catalog, &txn, NULL) || bills_csv(txn, month, &scope, &text))
		bail("bills_csv");
	cat_end(&txn);
	return buf_detach(&text);
}

static uint32_t month_now(void)
{
	struct cat_txn *txn;
	uint32_t month;
	if (cat_begin(service.catalog, &txn, NULL) || ledger_month(txn, &month))
		bail("ledger_month");
	cat_end(&txn);
	return month;
}

/* ---- months ---- */

static void test_boundary(void)
{
	struct bill b;
	new_store("boundary");
	go(20 * DAY);
	make(1, 2, TYPE_CUSTOM, 3 * GIB);
	is_int(stored(NOV, 1), 0, "nothing was stored for no time");
	go(3 * DAY);
	is_int(stored(NOV, 1), 3 * QUANTITY_ONE / 10, "three GiB for three days of thirty");
	go(9 * DAY);
	is_int(bill_code(NOV + 1, 1, &b), -ENOENT, "a month that is not known of has no bill");
	roll();
	is_int(month_now(), NOV + 1, "the month is over");
	is_int(stored(NOV, 1), QUANTITY_ONE, "ten days of it are on its bill");
	is_int(stored(NOV + 1, 1), 3 * QUANTITY_ONE * 2 / 31, "two of December on the next (rounded)");
	is_int(bill_code(NOV - 1, 1, &b), -ENOENT, "there is none from before the store was");
	is_int(bill_code(NOV + 2, 1, &b), -ENOENT, "nor one of the future");
	b = bill_of(NOV, 1);
	is_int(b.count, 1, "it has one line");
	is_int(b.lines[0].amount, 120000, "which says what that costs");
	is_str(b.lines[0].region_name, "region-2", "where");
	is_str(b.lines[0].account_name, "team-1", "who");
	is_str(b.lines[0].currency, "USD", "in which currency");
	is_int(bill_of(NOV, 2).count, 0, "nobody else pays");
}

/* A change after the end that nobody noticed yet. */
static void test_late_change(void)
{
	new_store("late");
	make(1, 2, TYPE_CUSTOM, GIB);
	go(31 * DAY); /* 1 December */
	struct thing t = make(1, 2, TYPE_CUSTOM, GIB);
	go(DAY);
	write_now(drop_thing, &t);
	roll();
	is_int(stored(NOV, 1), QUANTITY_ONE, "what came after the end is not on the bill");
	is_int(stored(NOV + 1, 1), QUANTITY_ONE * 2 / 31 + QUANTITY_ONE / 31 + 1, "but on the next");
	go(30 * DAY);
	roll();
	is_int(stored(NOV + 1, 1), QUANTITY_ONE + QUANTITY_ONE / 31 + 1, "also once that is closed");
	go(40 * DAY);
	roll();
	is_int(bill_of(NOV + 3, 1).count, 1, "what is gone is not on bills of later months");
}

static void test_sleep(void)
{
	struct cat_stat before, after;
	new_store("sleep");
	make(1, 2, TYPE_CUSTOM, GIB);
	catalog_close(service.catalog);
	go(31 * DAY + 31 * DAY + 28 * DAY + 29 * DAY); /* 28 February, and a day */
	hands.boot_id[0] = 'x';                       /* the machine was off, too */
	hands.boot = 5 * SECOND;
	open_catalog(0);
	cat_stat(service.catalog, &before);
	roll();
	cat_stat(service.catalog, &after);
	is_int(after.commits - before.commits, 1, "four months are closed in one commit");
	is_int(month_now(), NOV + 3, "it is February");
	for (uint32_t m = NOV; m < NOV + 3; m++)
		is_int(stored(m, 1), QUANTITY_ONE, "month %u is whole", m - NOV);
	is_int(stored(NOV + 3, 1), QUANTITY_ONE * 27 / 28, "and the part of the last");
}

static int64_t gib_ns(uint32_t from, uint32_t to)
{
	long double sum = 0;
	for (uint32_t m = from; m <= to; m++)
		sum += (long double)stored(m, 0) / QUANTITY_ONE * (long double)month_length(m);
	return (int64_t)sum;
}

static void near(int64_t got, int64_t want, const char *what)
{
	ok(llabs((long long)(got - want)) <= SECOND, "%s: %" PRId64 " s, want %" PRId64, what, got / SECOND, want / SECOND);
}

static void test_set_back(void)
{
	new_store("back");
	make(1, 2, TYPE_CUSTOM, GIB);
	go(35 * DAY);
	roll();
	char *closed = csv_of(NOV);
	hands.real -= 60 * DAY; /* 7 October */
	roll();
	is_int(month_now(), NOV + 1, "set back, it is still December");
	go(70 * DAY); /* 16 December, by that clock */
	roll();
	is_int(month_now(), NOV + 1, "which goes on until the calendar has caught up");
	char *again = csv_of(NOV);
	is_str(again, closed, "what was closed stays closed");
	go(20 * DAY);
	roll();
	is_int(month_now(), NOV + 2, "then comes January");
	near(gib_ns(NOV, NOV + 2), 125 * DAY, "every moment was billed once");
	free(closed);
	free(again);
}

static void test_set_ahead(void)
{
	new_store("ahead");
	make(1, 2, TYPE_CUSTOM, GIB);
	go(10 * DAY);
	roll();
	hands.real += 100 * DAY; /* 19 February */
	roll();
	go(HOUR - SECOND);
	roll();
	is_int(month_now(), NOV, "a clock that leapt is not believed at once");
	hands.real -= 100 * DAY;
	roll();
	go(2 * HOUR);
	roll();
	is_int(month_now(), NOV, "set right, it did no harm");
	hands.real += 100 * DAY;
	roll();
	go(HOUR + SECOND);
	roll();
	is_int(month_now(), NOV + 3, "set ahead by months, it is February");
	near(gib_ns(NOV, NOV + 3), 10 * DAY + 4 * HOUR, "the months in between had no time");
	near((int64_t)((long double)stored(NOV, 1) / QUANTITY_ONE * 30 * (long double)DAY), 10 * DAY + 4 * HOUR - SECOND, "November has what it had");
	hands.real -= 100 * DAY;
	roll();
	is_int(month_now(), NOV + 3, "set right again, nothing is opened again");
	go(5 * DAY);
	roll();
	near(gib_ns(NOV, NOV + 3), 15 * DAY + 4 * HOUR, "and nothing is lost");
}

/* An hour to and fro, many times over the end of a month: summer time by somebody who sets the clock. */
static void test_summer_time(void)
{
	uint64_t state = test_seed();
	int64_t real = 0;
	new_store("summer");
	make(1, 2, TYPE_CUSTOM, GIB);
	go(29 * DAY);
	for (unsigned i = 0; i < 200; i++) {
		int64_t step = (int64_t)(test_random(&state) % 3600) * SECOND;
		go(step);
		real += step;
		hands.real += test_random(&state) % 2 ? 3600 * SECOND : -3600 * SECOND;
		roll();
	}
	go(40 * DAY);
	roll();
	near(gib_ns(NOV, month_now()), 69 * DAY + real, "every moment was billed once");
}

static void test_never_changes(void)
{
	new_store("never");
	struct thing t = make(1, 1, TYPE_CUSTOM, 7 * GIB);
	make(2, 2, TYPE_INSTANCE, 12345);
	go(40 * DAY);
	roll();
	char *closed = csv_of(NOV);
	write_now(set_region, &(struct region){ .no = 1, .name = "region-1", .storage_price = "9", .windows_fee = "9", .instance_price = "9" });
	write_now(drop_thing, &t);
	for (unsigned i = 0; i < 12; i++) {
		go(31 * DAY);
		roll();
	}
	catalog_close(service.catalog);
	open_catalog(0);
	roll();
	char *again = csv_of(NOV);
	is_str(again, closed, "a bill is what it was, whatever happened since");
	free(closed);
	free(again);
}

/* ---- what is free; sums ---- */

static void test_free(void)
{
	struct bill b;
	new_store("free");
	make(1, 1, TYPE_CUSTOM, GIB / 2);
	make(1, 1, TYPE_CUSTOM, GIB / 4);
	make(2, 1, TYPE_CUSTOM, 3 * GIB);
	make(2, 2, TYPE_CUSTOM, GIB);
	go(31 * DAY);
	roll();
	b = bill_of(NOV, 1);
	is_int(b.count, 3, "two images and what is free");
	is_int(line_of(&b, BILL_FREE_STORAGE, 0)->quantity, -3 * QUANTITY_ONE / 4, "no more is free than there is");
	is_int(b.sum, 0, "within the allowance nothing is paid");
	b = bill_of(NOV, 2);
	is_int(line_of(&b, BILL_FREE_STORAGE, 0)->quantity, -QUANTITY_ONE, "all that is free is");
	is_int(b.sum, 2 * 120000 + 120000, "the rest is paid, in the region that has none all of it");
	b = bill_of(NOV, 0);
	is_int(b.count, 3 + 3, "all bills together");
}

/* Halves of a month with twice as much: the average counts. */
static void test_average(void)
{
	struct bill b;
	new_store("average");
	struct thing t = make(1, 1, TYPE_CUSTOM, 2 * GIB);
	go(15 * DAY);
	write_now(drop_thing, &t);
	go(16 * DAY);
	roll();
	b = bill_of(NOV, 1);
	is_int(b.sum, 0, "free is what is stored on the average");
}

static void test_sums(void)
{
	uint64_t state = test_seed();
	for (unsigned round = 0; round < 20; round++) {
		char name[32];
		struct bill b;
		unsigned __int128 total = 0;
		quantity sum = 0, exact;
		snprintf(name, sizeof name, "sums-%u", round);
		new_store(name);
		for (unsigned i = 0; i < 40; i++) {
			uint64_t bytes = test_random(&state) % (GIB / 20);
			int64_t wait = (int64_t)(test_random(&state) % (unsigned)DAY) / 2;
			make(1, 1, TYPE_CUSTOM, bytes);
			total += (unsigned __int128)bytes * (uint64_t)(month_begin(NOV + 1) - hands.real);
			go(wait);
		}
		go(month_begin(NOV + 1) - hands.real);
		roll();
		b = bill_of(NOV, 1);
		for (unsigned i = 0; i < b.count; i++)
			sum += b.lines[i].kind == BILL_STORAGE ? b.lines[i].quantity : 0;
		if (quantity_of(total, (unsigned __int128)GIB * (uint64_t)month_length(NOV), &exact))
			bail("quantity_of");
		if (llabs((long long)(sum - exact)) > 20 || b.sum < 0 || (exact <= QUANTITY_ONE && b.sum != 0)) {
			ok(false, "round %u: %" PRId64 " instead of %" PRId64 ", %" PRId64, round, sum, exact, b.sum);
			return;
		}
	}
	ok(true, "bills say what is stored, and never less than nothing");
}

/* ---- instances ---- */

static int begin_run(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return runs_begin(txn, &((struct thing *)arg)->image);
}
static int pause_run(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return runs_pause(txn, &((struct thing *)arg)->image);
}
static int resume_run(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return runs_resume(txn, &((struct thing *)arg)->image);
}
static int end_run(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return runs_end(txn, &((struct thing *)arg)->image);
}

struct terming {
	struct thing *thing;
	const char *price, *license;
};

static int set_terms(struct cat_txn *txn, void *arg, struct error *err)
{
	struct terming *t = arg;
	struct image *i = &t->thing->image;
	(void)err;
	i->inherits = INHERITS_LICENSE | INHERITS_PRICE;
	i->vendor = 2;
	int r = setting_put(txn, i->node, SET_PRICE, t->price, (unsigned)strlen(t->price));
	if (!r)
		r = setting_put(txn, i->node, SET_LICENSE, t->license, (unsigned)strlen(t->license));
	return r ? r : image_put(txn, i);
}

static struct thing start(const char *price, const char *license)
{
	struct thing t = make(1, 1, TYPE_INSTANCE, 0);
	write_now(set_terms, &(struct terming){ &t, price, license });
	write_now(begin_run, &t);
	return t;
}

static void test_hours(void)
{
	struct bill b;
	new_store("hours");
	struct thing t = start("0.5 hour", "windows");
	go(10 * DAY);
	write_now(set_region, &(struct region){ .no = 1, .name = "region-1", .storage_price = "1", .windows_fee = "7", .instance_price = "7" });
	write_now(pause_run, &t);
	go(5 * DAY);
	write_now(resume_run, &t);
	go(40 * DAY);
	roll();
	b = bill_of(NOV, 1);
	is_int(b.count, 3, "an instance, its licence, its price");
	is_int(line_of(&b, BILL_INSTANCE, t.image.id)->quantity, 25 * 24 * QUANTITY_ONE, "25 days of November, without those in the trash");
	is_int(line_of(&b, BILL_INSTANCE, t.image.id)->amount, 25 * 24 * 250000, "at the rate of its start");
	is_int(line_of(&b, BILL_WINDOWS, t.image.id)->amount, 25 * 24 * 500000, "so is the fee");
	is_int(line_of(&b, BILL_MARKETPLACE, t.image.id)->amount, 25 * 24 * 500000, "and the vendor's price");
	is_str(line_of(&b, BILL_MARKETPLACE, t.image.id)->vendor, "team-2", "which names the vendor");
	b = bill_of(NOV + 1, 1);
	is_int(line_of(&b, BILL_INSTANCE, t.image.id)->quantity, 25 * 24 * QUANTITY_ONE, "December so far");
	write_now(end_run, &t);
	go(40 * DAY);
	roll();
	b = bill_of(NOV + 1, 1);
	is_int(line_of(&b, BILL_INSTANCE, t.image.id)->quantity, 25 * 24 * QUANTITY_ONE, "it ended");
	is_int(bill_of(NOV + 2, 1).count, 0, "and is on no bill any more");
}

static void test_once_and_month(void)
{
	struct bill b;
	new_store("once");
	go(15 * DAY);
	struct thing once = start("5 once", "byol"), month = start("30 month", "byol");
	go(30 * DAY);
	roll();
	b = bill_of(NOV, 1);
	is_int(line_of(&b, BILL_MARKETPLACE, once.image.id)->amount, 5000000, "once is once");
	is_int(line_of(&b, BILL_MARKETPLACE, month.image.id)->quantity, QUANTITY_ONE / 2, "half of the month");
	is_int(line_of(&b, BILL_MARKETPLACE, month.image.id)->amount, 15000000, "is half of the price");
	is_int(line_of(&b, BILL_WINDOWS, 0)->amount, 0, "who brings a licence pays none");
	go(20 * DAY);
	roll();
	b = bill_of(NOV + 1, 1);
	is_int(line_of(&b, BILL_MARKETPLACE, once.image.id)->amount, 0, "and not again");
	is_int(line_of(&b, BILL_MARKETPLACE, month.image.id)->amount, 30000000, "the next month is whole");
	write_now(begin_run, &once);
	b = bill_of(NOV + 2, 1);
	is_int(line_of(&b, BILL_MARKETPLACE, once.image.id)->amount, 0, "nor when it is installed anew at the same price");
	write_now(set_terms, &(struct terming){ &once, "6 once", "byol" });
	write_now(begin_run, &once);
	b = bill_of(NOV + 2, 1);
	is_int(line_of(&b, BILL_MARKETPLACE, once.image.id)->amount, 6000000, "but at another");
	write_now(end_run, &once);
	b = bill_of(NOV + 2, 1);
	is_int(line_of(&b, BILL_MARKETPLACE, once.image.id)->amount, 6000000, "also when it was there for no time");
}

static int split_run(struct cat_txn *txn, void *arg, struct error *err)
{
	struct thing **two = arg;
	(void)err;
	return runs_split(txn, &two[0]->image, &two[1]->image);
}

static void test_installed_anew(void)
{
	struct bill b;
	new_store("anew");
	struct thing t = start("5 once", "windows"), old = make(1, 1, TYPE_INSTANCE, 0);
	struct thing *two[] = { &t, &old };
	go(DAY);
	write_now(split_run, two);
	write_now(set_terms, &(struct terming){ &t, "1 hour", "byol" });
	write_now(begin_run, &t);
	go(DAY);
	b = bill_of(NOV, 1);
	is_int(line_of(&b, BILL_WINDOWS, t.image.id)->quantity, 24 * QUANTITY_ONE, "a day with a licence");
	is_int(line_of(&b, BILL_INSTANCE, t.image.id)->quantity, 48 * QUANTITY_ONE, "two days in all");
	is_int(line_of(&b, BILL_INSTANCE, old.image.id)->quantity, 0, "the disk that was replaced does not run");
	write_now(resume_run, &old);
	go(DAY);
	b = bill_of(NOV, 1);
	is_int(line_of(&b, BILL_INSTANCE, old.image.id)->quantity, 24 * QUANTITY_ONE, "until it is restored");
	is_int(line_of(&b, BILL_WINDOWS, old.image.id)->quantity, 24 * QUANTITY_ONE, "on the terms it had");
	is_int(line_of(&b, BILL_MARKETPLACE, old.image.id)->amount, 5000000, "as one more server");
}

static int remove_places(struct cat_txn *txn, void *arg, struct error *err)
{
	struct account a;
	struct region g;
	(void)arg, (void)err;
	int r = account_get(txn, 1, &a);
	if (!r)
		r = gone_note_account(txn, &a);
	if (!r)
		r = account_remove(txn, 1);
	if (!r)
		r = region_get(txn, 2, &g);
	if (!r)
		r = gone_note_region(txn, &g);
	return r ? r : region_remove(txn, 2);
}

static void test_removed(void)
{
	struct bill b;
	new_store("removed");
	struct thing t = make(1, 2, TYPE_CUSTOM, GIB);
	go(15 * DAY);
	write_now(drop_thing, &t);
	write_now(remove_places, NULL);
	go(16 * DAY);
	roll();
	b = bill_of(NOV, 1);
	is_int(b.sum, 60000, "half a month of an account and a region that are gone is paid");
	is_str(b.lines[0].account_name, "team-1", "by whom");
	is_str(b.lines[0].region_name, "region-2", "for where");
}

/* ---- sums ---- */

static void test_huge_prices(void)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct bill_scope scope = { .all = true };
	struct cat_txn *txn;
	struct error err;
	new_store("huge");
	for (int i = 0; i < 20; i++)
		start("999999999.999999 hour", "");
	go(20 * DAY);
	if (cat_begin(service.catalog, &txn, &err))
		bail("%s", err.text);
	is_int(usage_text(txn, month_now(), &scope, &text), 0, "usage is told, although the sum of the prices has more than 63 bits");
	cat_end(&txn);
	/* 20 servers, 480 hours, and what each of them runs for in the region */
	ok(text.data && strstr(text.data, "total: 9600000002399.9904 "), "the total is right: %s",
	   text.data && strstr(text.data, "total") ? strstr(text.data, "total") : "none");
}

/* ---- CSV ---- */

static int rename_thing(struct cat_txn *txn, void *arg, struct error *err)
{
	struct thing *t = arg;
	(void)err;
	snprintf(t->image.name, sizeof t->image.name, "a \"b\", c");
	return image_put(txn, &t->image);
}

static void test_csv(void)
{
	new_store("csv");
	struct thing t = make(1, 2, TYPE_CUSTOM, GIB);
	write_now(rename_thing, &t);
	go(31 * DAY);
	roll();
	char *text = csv_of(NOV);
	is_str(text,
	       "month,account,region,kind,id,quantity,unit,rate,amount,currency,vendor,name\n"
	       "2026-11,team-1,region-2,storage,img-00000002,1,GiB-month,0.12,0.12,USD,,\"custom/a \"\"b\"\", c\"\n",
	       "a table for programs");
	free(text);
}

int main(void)
{
	test_boundary();
	test_late_change();
	test_sleep();
	test_set_back();
	test_set_ahead();
	test_summer_time();
	test_never_changes();
	test_free();
	test_average();
	test_sums();
	test_hours();
	test_once_and_month();
	test_installed_anew();
	test_removed();
	test_huge_prices();
	test_csv();
	catalog_close(service.catalog);
	return done_testing();
}
