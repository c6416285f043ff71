/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's clock over restarts, steps of the real clock and reboots; meters: who pays, for how long, and months that end. */
#include <stdio.h>
#include <string.h>

#include "catalog/catalog.h"
#include "catalog/disk_tab.h"
#include "catalog/ledger_clock.h"
#include "catalog/meter_tab.h"
#include "tap.h"

#define SECOND INT64_C(1000000000)

static struct clock_reading hands; /* what the clocks show */
static char dir[4200];
static struct catalog *cat;

static void read_hands(void *ctx, struct clock_reading *ret) { *ret = *(struct clock_reading *)ctx; }

static void reopen(void)
{
	struct error err;
	catalog_close(cat);
	if (catalog_open(&cat, dir, 0, &err))
		bail("%s", err.text);
	catalog_set_clock(cat, &(struct clock_source){ read_hands, &hands });
}

static void go(int64_t seconds)
{
	hands.real += seconds * SECOND;
	hands.boot += seconds * SECOND;
}

static void reboot(int64_t seconds_off)
{
	static char id = 'a';
	hands.boot = 7;
	hands.real += seconds_off * SECOND;
	hands.boot_id[0] = ++id;
}

static void tick(void)
{
	if (ledger_tick(cat, NULL))
		bail("ledger_tick");
}

static int64_t now(void)
{
	struct cat_txn *txn;
	int64_t ret;
	if (cat_begin(cat, &txn, NULL) || ledger_now(txn, &ret))
		bail("ledger_now");
	cat_end(&txn);
	return ret;
}

/* ---- the clock ---- */

static void test_one_boot(void)
{
	tick();
	int64_t begin = now();
	is_int(begin, hands.real, "it begins as the real time");
	go(10);
	is_int(now() - begin, 10 * SECOND, "it goes on without being refreshed");
	hands.real -= 3600 * SECOND;
	is_int(now() - begin, 10 * SECOND, "a real clock that is set back changes nothing");
	hands.real += 86400 * SECOND;
	is_int(now() - begin, 10 * SECOND, "nor one that is set forward");
	go(5);
	reopen();
	go(5);
	is_int(now() - begin, 20 * SECOND, "a restart in the same boot loses nothing, refreshed or not");
	tick();
	hands.boot -= 2 * SECOND;
	is_int(now() - begin, 20 * SECOND, "it never goes back");
	hands.boot += 2 * SECOND;
}

static void test_reboots(void)
{
	tick();
	int64_t begin = now();
	reboot(30);
	reopen();
	is_int(now() - begin, 30 * SECOND, "across a reboot the real clock counts");
	tick();
	go(10);
	is_int(now() - begin, 40 * SECOND, "and then the time since the boot");
	tick();
	reboot(-3600);
	reopen();
	is_int(now() - begin, 40 * SECOND, "a real clock that went back over a reboot lets it stand still");
	tick();
	go(1);
	is_int(now() - begin, 41 * SECOND, "and it goes on from there");
	tick();
	hands.boot_id[0] = 0;
	reopen();
	tick();
	hands.boot = 5 * SECOND;
	hands.real += 3 * SECOND;
	is_int(now() - begin, 44 * SECOND, "a machine without boot ids goes by the real clock");
	reboot(0);
	reopen();
	tick();
}

static int write_stamp(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return ledger_stamp(txn, arg);
}

static void test_stamps(void)
{
	int64_t stamped;
	go(500);
	is_int(cat_write(cat, write_stamp, &stamped, NULL), 0, "a time is written down");
	reboot(-7200);
	reopen();
	ok(now() >= stamped, "and is not ahead of the clock after a reboot with a clock that is behind");
	tick();
}

/* ---- meters ---- */

struct payment {
	uint64_t disk;
	int64_t bytes;
};

static int write_payment(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct payment *p = arg;
	(void)err;
	return meter_add(txn, p->disk, p->bytes);
}

static int pay(uint64_t disk, int64_t bytes) { return cat_write(cat, write_payment, &(struct payment){ disk, bytes }, NULL); }

static int write_written(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct payment *p = arg;
	(void)err;
	return meter_set_written(txn, p->disk, (uint64_t)p->bytes);
}

static int set_written(uint64_t disk, int64_t bytes) { return cat_write(cat, write_written, &(struct payment){ disk, bytes }, NULL); }

static int make_disks(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)arg, (void)err;
	for (uint64_t no = 1; no <= 3; no++) {
		struct image i = { .node = no + 100, .id = no + 200, .shelf = { no, 7, TYPE_CUSTOM, false }, .owner = (uint32_t)no, .disk = no };
		struct disk_row row = { .no = no, .image = i.node, .domain = 1 };
		snprintf(i.name, sizeof i.name, "image%d", (int)no);
		if (image_put(txn, &i) || disk_row_put(txn, &row))
			return -EIO;
	}
	return 0;
}

static int remove_disk(struct cat_txn *txn, void *arg, struct error *err)
{
	uint64_t no = *(uint64_t *)arg;
	(void)err;
	int r = disk_row_remove(txn, no);
	return r ? r : image_remove(txn, no + 100);
}

static bool metered(uint64_t disk, struct meter *ret)
{
	struct cat_txn *txn;
	if (cat_begin(cat, &txn, NULL))
		bail("cat_begin");
	int r = meter_get(txn, disk, ret);
	cat_end(&txn);
	return r == 0;
}

/* Byte-seconds up to now. */
static int64_t spent(uint64_t disk)
{
	struct meter m;
	return metered(disk, &m) ? (int64_t)(meter_spent(&m, now()) / SECOND) : -1;
}

static int64_t ended(uint64_t disk)
{
	struct meter m;
	return metered(disk, &m) ? (int64_t)(meter_ended(&m, now()) / SECOND) : -1;
}

static int64_t sum_of(uint32_t account)
{
	struct cat_txn *txn;
	uint64_t bytes, written;
	if (cat_begin(cat, &txn, NULL) || meter_sum(txn, account, 7, &bytes, &written))
		bail("meter_sum");
	cat_end(&txn);
	return (int64_t)(bytes * 1000 + written);
}

static void test_meters(void)
{
	struct meter m;
	is_int(cat_write(cat, make_disks, NULL, NULL), 0, "three disks of three accounts");
	is_int(spent(1), -1, "what pays nothing has no meter");
	is_int(pay(1, 100), 0, "one begins to pay");
	ok(metered(1, &m) && m.account == 1 && m.region == 7 && m.image == 201 && !strcmp(m.name, "image1") && m.bytes == 100 && !m.gone,
	   "its meter knows who");
	go(10);
	is_int(spent(1), 1000, "it spends while time goes by");
	is_int(pay(1, 50), 0, "it pays for more");
	go(10);
	is_int(spent(1), 2500, "from then on");
	is_int(set_written(1, 7), 0, "its overlay counts");
	hands.real -= 99999 * SECOND;
	go(10);
	is_int(spent(1), 2500 + 1570, "too, and no clock that is set changes that");
	is_int(sum_of(1), 150007, "the account's sum is kept");
	is_int(pay(1, -151), ERR_DAMAGED, "nobody pays for less than nothing");
	is_int(pay(1, -150), 0, "for nothing one may");
	is_int(set_written(1, 0), 0, "all is gone");
	go(10);
	is_int(spent(1), 2500 + 1570, "what was spent stays");
	is_int(sum_of(1), 0, "and the sum is nothing");
	is_int(pay(0, 5) | pay(77, 6), 0, "what nobody brought, and what a disk brought that is not there, are paid for by nobody");
	ok(metered(0, &m) && m.account == 0 && metered(77, &m) && m.account == 0 && m.gone, "who has meters");
	is_int(pay(0, -5) | pay(77, -6), 0, "until it is gone");
	ok(!metered(0, &m) && !metered(77, &m), "and so are they");
}

/* ---- months ---- */

static int write_end(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return meter_set_end(txn, *(int64_t *)arg);
}

static int set_end(int64_t end) { return cat_write(cat, write_end, &end, NULL); }

struct closing {
	int64_t next;
	char text[200];
};

static int note_bill(void *ctx, const struct meter *m, byte_time spent)
{
	struct closing *c = ctx;
	size_t len = strlen(c->text);
	if (spent)
		snprintf(c->text + len, sizeof c->text - len, "%s:%d ", m->name, (int)(spent / SECOND));
	return 0;
}

static int write_close(struct cat_txn *txn, void *arg, struct error *err)
{
	struct closing *c = arg;
	(void)err;
	c->text[0] = 0;
	return meter_close(txn, c->next, note_bill, c);
}

static void test_months(void)
{
	struct meter m;
	struct closing c = { .next = 0 };
	uint64_t two = 2;
	int64_t start = now();
	is_int(cat_write(cat, write_close, &c, NULL), -EAGAIN, "no month ends");
	is_int(set_end(start + 100 * SECOND), 0, "one that does");
	is_int(pay(2, 10) | pay(3, 1), 0, "two pay");
	go(90);
	is_int(set_end(start + 120 * SECOND), 0, "its end may be moved while it is not over");
	is_int(cat_write(cat, write_close, &c, NULL), -EAGAIN, "nor can it be closed then");
	go(40);
	is_int(set_end(start + 500 * SECOND), -EBUSY, "later it may not");
	ok(spent(2) == 100 && ended(2) == 1200, "what is spent after the end is the next month's, also where nothing was written");
	is_int(pay(2, 10), 0, "something changes after the end");
	is_int(cat_write(cat, remove_disk, &two, NULL), 0, "and the disk goes");
	go(10);
	ok(spent(2) == 100 + 200 && ended(2) == 1200, "and is still the next month's");
	c.next = start + 200 * SECOND;
	is_int(cat_write(cat, write_close, &c, NULL), 0, "the month is closed, late");
	is_str(c.text, "image1:4070 image2:1200 image3:120 ", "with what was spent until its end");
	ok(spent(2) == 300 && ended(2) == 0 && spent(3) == 20 && spent(1) == 0, "the next one goes on from there");
	is_int(cat_write(cat, write_close, &c, NULL), -EAGAIN, "and is not over");
	is_int(pay(2, -20), 0, "what the disk paid for is gone");
	ok(metered(2, &m) && m.gone && !strcmp(m.name, "image2"), "its meter waits for its last bill");
	reboot(1000);
	reopen();
	tick();
	c.next = start + 700 * SECOND;
	is_int(cat_write(cat, write_close, &c, NULL), 0, "nobody was there when it ended");
	is_str(c.text, "image2:300 image3:80 ", "the bill is the same");
	ok(!metered(2, &m), "who pays nothing any more is forgotten");
	c.next = 0;
	is_int(cat_write(cat, write_close, &c, NULL), 0, "several months may end while nobody is there");
	is_str(c.text, "image3:500 ", "each is billed");
	is_int(spent(3), now() / SECOND - (start / SECOND + 700), "and what follows is left");
}

int main(void)
{
	struct error err;
	snprintf(dir, sizeof dir, "%s/catalog", test_folder());
	hands = (struct clock_reading){ .real = 1700000000 * SECOND, .boot = 55 * SECOND, .boot_id = "a" };
	if (catalog_open(&cat, dir, CAT_CREATE, &err))
		bail("%s", err.text);
	reopen();
	test_one_boot();
	test_reboots();
	test_stamps();
	test_meters();
	test_months();
	catalog_close(cat);
	return done_testing();
}
