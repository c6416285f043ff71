/* SPDX-License-Identifier: Apache-2.0 */
/* Domains: what one account stores is nothing to another; what its disks take from other domains is borrowed, read, changed,
 * and given back, whatever else is done: random operations on disks of three domains against a model. */
#include "domain/dedup.h"

#include <stdio.h>
#include <string.h>

#include "../lib/rig.h"
#include "../lib/tap.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "catalog/account.h"
#include "catalog/object_tab.h"
#include "catalog/policy_tab.h"
#include "domain/check.h"
#include "domain/disks.h"
#include "domain/gc.h"
#include "store/pack_format.h"

#define ACCOUNTS 3u /* the first shares, the others have policy `dedup account` */
#define DISKS 7u
#define CHUNKS 600u /* three leaves */
#define SEEDS 40u   /* few, so that all domains come to have the same bytes */
#define STEPS 400u

static struct rig rig;

/* ---- images of accounts -------------------------------------------------------------------------------- */

struct making {
	uint32_t account;
	uint64_t from; /* node of the image whose disk it takes; 0: an empty one */
	char name[40];
	uint64_t node;
};

static int take_disk(struct cat_txn *txn, const struct image *image, struct disk_row *row, uint64_t from)
{
	struct image origin;
	uint32_t domain = row->domain;
	int r = image_get(txn, from, &origin);
	if (!r)
		r = disk_row_get(txn, origin.disk, row);
	if (!r)
		r = dedup_domain_for(txn, image, row->domain, &domain);
	if (!r && !hash_is_none(&row->root.hash))
		r = object_take(txn, domain, &row->root.hash, row->domain);
	row->domain = domain;
	return r;
}

static int make_image(struct cat_txn *txn, void *arg, struct error *err)
{
	struct making *m = arg;
	struct image i = { .shelf = { m->account, 1, TYPE_CUSTOM, false }, .owner = m->account, .state = STATE_AVAILABLE };
	struct disk_row row = { .root = { .levels = 1 } };
	(void)err;
	i.node = m->node = cat_next(txn, COUNTER_NODE);
	i.id = cat_next(txn, COUNTER_NODE);
	i.created = i.changed = clock_real();
	i.disk = cat_next(txn, COUNTER_DISK);
	snprintf(i.name, sizeof i.name, "%s-%llu", m->name, (unsigned long long)i.node);
	int r = dedup_domain(txn, &i, &row.domain);
	if (!r && m->from)
		r = take_disk(txn, &i, &row, m->from);
	row.no = i.disk;
	row.image = i.node;
	if (!r)
		r = disk_row_put(txn, &row);
	return r ? r : image_put(txn, &i);
}

static uint64_t image_of(uint32_t account, uint64_t from)
{
	struct making m = { .account = account, .from = from, .name = "i" };
	struct error err = { 0, "" };
	if (cat_write(rig.service->catalog, make_image, &m, &err))
		bail("make_image: %s", err.text);
	return m.node;
}

static int make_accounts(struct cat_txn *txn, void *arg, struct error *err)
{
	int r = 0;
	(void)arg, (void)err;
	for (uint32_t no = 2; no <= ACCOUNTS && !r; no++) {
		struct account a = { .no = (uint32_t)cat_next(txn, COUNTER_ACCOUNT), .accept = "all" };
		snprintf(a.name, sizeof a.name, "team%u", no);
		r = a.no == no ? account_put(txn, &a) : -EINVAL;
		if (!r)
			r = policy_row_put(txn, no, 0, "dedup", "account");
	}
	return r;
}

static void make_rig(const char *name)
{
	rig_make(&rig, name);
	if (cat_write(rig.service->catalog, make_accounts, NULL, NULL))
		bail("make_accounts");
}

/* ---- what the store says ----------------------------------------------------------------------------------- */

static void say(void *ctx, const char *sentence)
{
	(void)ctx;
	diag("check: %s", sentence);
}

static uint64_t problems(bool read_data)
{
	struct check_options options = { .read_data = read_data, .problem = say };
	struct check_report report;
	struct error err = { 0, "" };
	if (check_run(rig.service, &options, &report, &err) < 0)
		bail("check_run: %s", err.text);
	return report.problems;
}

static bool clean(bool read_data) { return problems(read_data) == 0; }

static void collect(void)
{
	struct error err = { 0, "" };
	if (gc_run(rig.service->gc, NULL, NULL, NULL, &err) < 0)
		bail("gc_run: %s", err.text);
}

static struct disk *get(uint64_t node)
{
	struct disk *disk;
	struct error err = { 0, "" };
	if (disks_get(rig.service->disks, rig_disk_of(&rig, node), &disk, &err))
		bail("disks_get: %s", err.text);
	return disk;
}

static uint32_t domain_of(uint64_t node)
{
	struct disk *disk = get(node);
	uint32_t domain = disk_domain(disk);
	disks_put(rig.service->disks, &disk);
	return domain;
}

/* Rows of a domain: *ret_borrowed of them are borrowed. */
static unsigned rows_of(uint32_t domain, unsigned *ret_borrowed)
{
	uint8_t cursor[32] = { 0 };
	struct loose got[64];
	struct cat_txn *txn;
	unsigned rows = 0;
	*ret_borrowed = 0;
	if (cat_begin(rig.service->catalog, &txn, NULL))
		bail("cat_begin");
	for (int n; (n = object_each(txn, cursor, got, 64)) > 0;)
		for (int i = 0; i < n; i++)
			if (got[i].domain == domain) {
				rows++;
				*ret_borrowed += got[i].row.lender != 0;
			}
	cat_end(&txn);
	return rows;
}

/* ---- one by one --------------------------------------------------------------------------------------------- */

static int set_policy(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return policy_row_put(txn, 1, 1, "dedup", arg);
}

static void test_numbers(void)
{
	make_rig("numbers");
	uint64_t common = image_of(1, 0), own = image_of(2, 0), other = image_of(3, 0), again = image_of(2, 0);
	is_int(domain_of(common), 1, "disks are in the common domain");
	ok(domain_of(own) > 1 && domain_of(other) > 1 && domain_of(own) != domain_of(other),
	   "accounts that do not share have one each");
	is_int(domain_of(again), domain_of(own), "for all their disks");
	is_int(cat_write(rig.service->catalog, set_policy, (void *)(uintptr_t)"account", NULL), 0, "the policy changes");
	uint64_t later = image_of(1, 0);
	ok(domain_of(later) > 1 && domain_of(common) == 1, "disks that are made from then on follow it");
	rig_close(&rig);
	rig_open(&rig);
	is_int(domain_of(image_of(2, 0)), domain_of(own), "the numbers are kept");
	rig_close(&rig);
}

static void test_stored_anew(void)
{
	uint64_t seeds[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	unsigned borrowed;
	make_rig("anew");
	uint64_t common = image_of(1, 0), same = image_of(1, 0), own = image_of(2, 0), other = image_of(3, 0);
	rig_write(&rig, common, 0, seeds, 8);
	struct rig_totals first = rig_totals(&rig);
	rig_write(&rig, same, 0, seeds, 8);
	struct rig_totals second = rig_totals(&rig);
	is_int((int64_t)second.live, (int64_t)first.live, "in the common domain the same bytes take no room twice");
	rig_write(&rig, own, 0, seeds, 8);
	struct rig_totals third = rig_totals(&rig);
	ok(third.live == 2 * first.live && third.objects == 2 * first.objects, "in a domain of its own they are stored anew");
	rig_write(&rig, other, 0, seeds, 8);
	ok(rig_totals(&rig).live == 3 * first.live, "and in each");
	ok(rows_of(domain_of(own), &borrowed) == 9 && borrowed == 0, "nothing is borrowed for that");
	ok(rig_holds(&rig, own, 0, seeds, 8), "they read right");
	rig_purge(&rig, common);
	rig_purge(&rig, same);
	collect();
	ok(rig_holds(&rig, own, 0, seeds, 8) && rig_holds(&rig, other, 0, seeds, 8) && clean(true),
	   "and stay when the others go");
	rig_close(&rig);
}

static void test_borrowed(void)
{
	uint64_t seeds[16], change = 99;
	unsigned borrowed;
	make_rig("borrowed");
	for (unsigned i = 0; i < 16; i++)
		seeds[i] = 1 + i;
	uint64_t image = image_of(1, 0);
	rig_write(&rig, image, 0, seeds, 16);
	rig_write(&rig, image, 300, seeds, 16);
	struct rig_totals before = rig_totals(&rig);
	uint64_t server = image_of(2, image), third = image_of(3, server);
	struct rig_totals after = rig_totals(&rig);
	ok(after.live == before.live && after.objects == before.objects + 2, "an instance borrows the map: one row");
	ok(rig_holds(&rig, server, 300, seeds, 16) && rig_holds(&rig, third, 0, seeds, 16), "and reads through it");
	rig_write(&rig, server, 3, &change, 1);
	rows_of(domain_of(server), &borrowed);
	/* The old root is loose now; 15 chunks beside the changed one, and the other leaf. */
	is_int(borrowed, 1 + 15 + 1, "a change borrows what lies beside its path");
	rig_purge(&rig, image);
	collect();
	seeds[3] = 99;
	ok(rig_holds(&rig, server, 0, seeds, 16), "the image is gone, the instance reads what it took");
	seeds[3] = 4;
	ok(rig_holds(&rig, third, 0, seeds, 16) && clean(true), "and so does the one that took it from that one");
	rig_purge(&rig, third);
	collect();
	is_int(rows_of(domain_of(server), &borrowed), 2 + 1 + 16, "what was given back is gone: root, leaf and chunk, and 16 borrowed");
	uint64_t live = rig_totals(&rig).live;
	rig_purge(&rig, server);
	collect();
	ok(live > 0 && rig_totals(&rig).objects == 0 && rig_totals(&rig).files == 0, "with the last borrower all of it goes");
	rig_close(&rig);
}

/* Part of a tall map becomes a lower one: its root is borrowed as a node of its own. */
static void test_lowered(void)
{
	uint64_t seeds[4] = { 5, 6, 7, 8 };
	struct error err = { 0, "" };
	make_rig("lowered");
	uint64_t tall = image_of(1, 0), low = image_of(2, 0);
	rig_write(&rig, tall, 0, seeds, 4);
	rig_write(&rig, tall, 300, seeds, 4);
	struct disk *from = get(tall), *to = get(low);
	struct map_root root = disk_root(from);
	if (disk_truncate(to, NODE_FANOUT * CHUNK_SIZE, &err) ||
	    disk_copy(to, 0, disk_domain(from), &root, disk_size(from), 0, NODE_FANOUT * CHUNK_SIZE, &err) ||
	    disks_fold(rig.service->disks, to, NULL, &err))
		bail("lowered: %s", err.text);
	is_int(disk_root(to).levels, 1, "the first part of a tall map makes a low one");
	disks_put(rig.service->disks, &from);
	disks_put(rig.service->disks, &to);
	rig_purge(&rig, tall);
	collect();
	ok(rig_holds(&rig, low, 0, seeds, 4) && clean(true), "that is whole when the tall one is gone");
	rig_close(&rig);
}

static void test_common(void)
{
	uint64_t seeds[4] = { 5, 6, 7, 8 };
	struct error err = { 0, "" };
	unsigned borrowed;
	make_rig("common");
	uint64_t own = image_of(2, 0), common = image_of(1, 0);
	rig_write(&rig, own, 0, seeds, 4);
	struct rig_totals before = rig_totals(&rig);
	uint64_t server = image_of(1, own);
	ok(domain_of(server) > 1 && domain_of(server) != domain_of(own), "who shares and takes from who does not has a domain for it");
	ok(rig_totals(&rig).live == before.live && rig_holds(&rig, server, 0, seeds, 4), "and borrows there");
	struct disk *from = get(own), *to = get(common);
	struct map_root root = disk_root(from);
	if (disk_truncate(to, disk_size(from), &err) ||
	    disk_copy(to, 0, disk_domain(from), &root, disk_size(from), 0, disk_size(from), &err) ||
	    disks_fold(rig.service->disks, to, NULL, &err))
		bail("common: %s", err.text);
	disks_put(rig.service->disks, &from);
	disks_put(rig.service->disks, &to);
	ok(rows_of(1, &borrowed) == 5 && borrowed == 0, "a disk in the common domain gets bytes of its own");
	ok(rig_holds(&rig, common, 0, seeds, 4) && clean(true), "the same");
	rig_close(&rig);
}

static int break_lender(struct cat_txn *txn, void *arg, struct error *err)
{
	struct disk_row row;
	(void)err;
	int r = disk_row_get(txn, *(uint64_t *)arg, &row);
	return r ? r : object_unref(txn, 1, &row.root.hash);
}

static void test_check_sees(void)
{
	uint64_t seeds[4] = { 5, 6, 7, 8 };
	make_rig("seen");
	uint64_t image = image_of(1, 0);
	rig_write(&rig, image, 0, seeds, 4);
	uint64_t disk = rig_disk_of(&rig, image_of(2, image));
	ok(clean(true), "a borrowed map is no problem");
	rig_flip(&rig, 1, PACK_HEADER_SIZE + 100);
	is_int((int64_t)problems(true), 3, "a chunk that is damaged is missed in the pack, the image, and the borrower's disk");
	rig_flip(&rig, 1, PACK_HEADER_SIZE + 100);
	is_int(cat_write(rig.service->catalog, break_lender, &disk, NULL), 0, "the lender loses a reference");
	ok(!clean(false), "which check sees");
	rig_close(&rig);
}

/* ---- at random ------------------------------------------------------------------------------------------------ */

struct model {
	uint64_t nodes[DISKS];
	uint64_t seeds[DISKS][CHUNKS];
	uint64_t random;
};

static uint64_t below(struct model *m, uint64_t limit) { return test_random(&m->random) % limit; }
static uint32_t any_account(struct model *m) { return 1 + (uint32_t)below(m, ACCOUNTS); }

static void fold(struct disk *disk)
{
	struct error err = { 0, "" };
	if (disks_fold(rig.service->disks, disk, NULL, &err))
		bail("fold: %s", err.text);
}

static void renew(struct model *m, unsigned i, uint64_t from)
{
	struct error err = { 0, "" };
	uint64_t old = m->nodes[i];
	m->nodes[i] = image_of(any_account(m), from);
	struct disk *disk = get(m->nodes[i]);
	if (!from && disk_truncate(disk, CHUNKS * CHUNK_SIZE, &err))
		bail("truncate: %s", err.text);
	fold(disk);
	disks_put(rig.service->disks, &disk);
	if (old)
		rig_purge(&rig, old);
}

static void step_write(struct model *m, unsigned i)
{
	uint8_t buf[CHUNK_SIZE];
	struct error err = { 0, "" };
	struct disk *disk = get(m->nodes[i]);
	for (unsigned n = 1 + (unsigned)below(m, 8); n; n--) {
		unsigned chunk = (unsigned)below(m, below(m, 2) ? 20 : CHUNKS);
		m->seeds[i][chunk] = below(m, SEEDS);
		rig_bytes(m->seeds[i][chunk], buf);
		if (disk_write(disk, buf, sizeof buf, (uint64_t)chunk * CHUNK_SIZE, &err))
			bail("disk_write: %s", err.text);
	}
	if (below(m, 3))
		fold(disk);
	disks_put(rig.service->disks, &disk);
}

static void step_copy(struct model *m, unsigned to, unsigned from)
{
	struct error err = { 0, "" };
	uint64_t a = below(m, CHUNKS), b = below(m, 3) ? a : below(m, CHUNKS), n = 1 + below(m, CHUNKS - (a > b ? a : b));
	if (to == from)
		return;
	struct disk *source = get(m->nodes[from]), *target = get(m->nodes[to]);
	fold(source);
	struct map_root root = disk_root(source);
	if (disk_copy(target, b * CHUNK_SIZE, disk_domain(source), &root, disk_size(source), a * CHUNK_SIZE, n * CHUNK_SIZE, &err))
		bail("disk_copy: %s", err.text);
	if (below(m, 2))
		fold(target);
	disks_put(rig.service->disks, &source);
	disks_put(rig.service->disks, &target);
	memcpy(m->seeds[to] + b, m->seeds[from] + a, n * sizeof **m->seeds);
}

static void step_start(struct model *m, unsigned to, unsigned from)
{
	struct disk *source = get(m->nodes[from]);
	fold(source);
	disks_put(rig.service->disks, &source);
	if (to == from)
		return;
	renew(m, to, m->nodes[from]);
	memcpy(m->seeds[to], m->seeds[from], sizeof *m->seeds);
}

static void step_again(struct model *m, unsigned i)
{
	renew(m, i, 0);
	memset(m->seeds[i], 0, sizeof *m->seeds);
}

static void step(struct model *m)
{
	unsigned i = (unsigned)below(m, DISKS), j = (unsigned)below(m, DISKS);
	switch (below(m, 12)) {
	case 0: step_again(m, i); break;
	case 1:
	case 2: step_start(m, i, j); break;
	case 3:
	case 4: step_copy(m, i, j); break;
	case 5:
	case 6: collect(); break;
	default: step_write(m, i); break;
	}
}

static bool holds_all(struct model *m)
{
	for (unsigned i = 0; i < DISKS; i++)
		if (!rig_holds(&rig, m->nodes[i], 0, m->seeds[i], CHUNKS)) {
			diag("disk %u of domain %u", i, domain_of(m->nodes[i]));
			return false;
		}
	return true;
}

static void test_at_random(void)
{
	static struct model m;
	struct error err = { 0, "" };
	unsigned borrowed;
	bool good = true;
	m.random = test_seed();
	make_rig("random");
	for (unsigned i = 0; i < DISKS; i++)
		renew(&m, i, 0);
	for (unsigned n = 1; n <= STEPS && good; n++) {
		step(&m);
		if (n % 40 == 0)
			good = clean(false) && holds_all(&m) && (rows_of(1, &borrowed), borrowed == 0);
		if (n % 100 == 50) {
			rig_close(&rig);
			rig_open(&rig);
		}
	}
	ok(good, "disks of three domains are written, copied, started and deleted, and hold what they should");
	is_int(gc_squeeze(rig.service->gc, NULL, NULL, NULL, &err), 0, "all is compressed harder");
	ok(holds_all(&m) && clean(true), "and is still right");
	for (unsigned i = 0; i < DISKS; i++)
		rig_purge(&rig, m.nodes[i]);
	collect();
	ok(rig_totals(&rig).objects == 0 && rig_totals(&rig).files == 0, "in the end nothing is left over in any of them");
	rig_close(&rig);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	test_numbers();
	test_stored_anew();
	test_borrowed();
	test_lowered();
	test_common();
	test_check_sees();
	test_at_random();
	return done_testing();
}
