/* SPDX-License-Identifier: Apache-2.0 */
/* check_meters: who pays for what: every meter against the objects whose payer it is, the sums of accounts in regions against their
 * meters, and all of it against what the packs hold. */
#include <stdlib.h>

#include "catalog/meter_tab.h"
#include "domain/check_int.h"

struct tally {
	uint64_t disk;
	uint32_t account, region;
	uint64_t bytes, written; /* as the meter says */
	uint64_t counted;        /* of the objects' rows */
	bool gone;
};

struct meters {
	struct check *check;
	struct tally *items; /* by disk */
	size_t count;
};

/* ---- meters and objects ---- */

static int add_meter(void *ctx, const struct meter *m)
{
	struct meters *all = ctx;
	if ((all->count & (all->count - 1)) == 0) { /* full: room is the next power of two */
		all->items = reallocarray(all->items, all->count ? 2 * all->count : 1, sizeof *all->items);
		if (!all->items)
			abort();
	}
	all->items[all->count++] = (struct tally){ m->disk, m->account, m->region, m->bytes, m->written, 0, m->gone };
	return 0;
}

static int compare_disk(const void *key, const void *item)
{
	uint64_t disk = *(const uint64_t *)key, other = ((const struct tally *)item)->disk;
	return disk < other ? -1 : disk > other;
}

static struct tally *find(const struct meters *all, uint64_t disk)
{
	return bsearch(&disk, all->items, all->count, sizeof *all->items, compare_disk);
}

static int count_object(struct check *c, struct check_object *at, const struct loose *o)
{
	struct tally *t = find(c->meters, o->row.payer);
	char hex[HASH_HEX_SIZE];
	(void)at;
	if (t)
		t->counted += o->row.place.length;
	else if (o->row.place.length)
		check_problem(c, PROBLEM_METER, "object %.32s is paid for by disk %llu, which has no meter: nobody pays for it",
			      hash_hex(&o->hash, hex), (unsigned long long)o->row.payer);
	return 0;
}

static void check_meter(struct check *c, const struct tally *t)
{
	struct disk_row row;
	if (t->counted != t->bytes)
		check_problem(c, PROBLEM_METER, "disk %llu is billed for %llu bytes, but the objects that it pays for have %llu",
			      (unsigned long long)t->disk, (unsigned long long)t->bytes, (unsigned long long)t->counted);
	if (t->disk == METER_NOBODY)
		return;
	bool there = disk_row_get(c->txn, t->disk, &row) == 0;
	if (there == t->gone)
		check_problem(c, PROBLEM_METER, "disk %llu %s, but its meter says that it %s", (unsigned long long)t->disk,
			      there ? "is there" : "is gone", there ? "is gone" : "is there");
}

/* ---- sums ---- */

static int check_sum(void *ctx, uint32_t account, uint32_t region, uint64_t bytes, uint64_t written)
{
	struct meters *all = ctx;
	for (size_t i = 0; i < all->count; i++)
		if (all->items[i].account == account && all->items[i].region == region) {
			bytes -= all->items[i].bytes;
			written -= all->items[i].written;
		}
	if (bytes || written)
		check_problem(all->check, PROBLEM_METER, "account %u is said to store %lld bytes more in region %u than its disks do",
			      account, (long long)(bytes + written), region);
	return 0;
}

/* What is stored was counted by check_packs(). */
static void check_all(struct check *c, const struct meters *all)
{
	uint64_t stored = 0, billed = 0;
	for (size_t i = 0; i < c->n_packs; i++)
		stored += c->packs[i].live_bytes;
	for (size_t i = 0; i < all->count; i++) {
		check_meter(c, &all->items[i]);
		billed += all->items[i].bytes;
	}
	if (billed != stored)
		check_problem(c, PROBLEM_METER, "%llu bytes are billed, but %llu are stored", (unsigned long long)billed,
			      (unsigned long long)stored);
}

int check_meters(struct check *c, struct error *err)
{
	struct meters all = { .check = c };
	c->meters = &all;
	int r = check_walked(c, meter_each(c->txn, 0, add_meter, &all), "meters", err);
	if (r == 0)
		r = check_objects_each(c, count_object, err);
	if (r == 0) {
		check_all(c, &all);
		r = check_walked(c, meter_sum_each(c->txn, check_sum, &all), "sums", err);
	}
	free(all.items);
	c->meters = NULL;
	return r;
}
