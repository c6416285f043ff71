/* SPDX-License-Identifier: Apache-2.0 */
/* Regions, accounts, disks, holds, limits and day counts: rows come back as they were put, what must be unique is, walks
 * are in order, and rows that make no sense are damage. */
#include <stdio.h>
#include <string.h>

#include "catalog/account.h"
#include "catalog/db.h"
#include "catalog/disk_tab.h"
#include "catalog/policy_tab.h"
#include "catalog/region.h"
#include "tap.h"

#define FILL(array) (memset((array), 'x', sizeof(array) - 1), (array)[sizeof(array) - 1] = 0)

static struct catalog *cat;

/* Numbers a walk gave, in text: "1 2 3 ". */
struct trace {
	char text[400];
	int stop_at;
};

static int trace_add(struct trace *t, uint64_t no)
{
	size_t len = strlen(t->text);
	snprintf(t->text + len, sizeof t->text - len, "%d ", (int)no);
	return t->stop_at && (int)no == t->stop_at ? 77 : 0;
}

static int trace_region(void *ctx, const struct region *g) { return trace_add(ctx, g->no); }
static int trace_account(void *ctx, const struct account *a) { return trace_add(ctx, a->no); }
static int trace_disk(void *ctx, const struct disk_row *d) { return trace_add(ctx, d->no); }

/* Every proper beginning of the row at `key`, and the row and a byte more, must be damage to `get`. */
static bool beginnings_are_damage(struct cat_txn *txn, enum db_table table, const struct key *key,
				  int (*get)(struct cat_txn *))
{
	struct bytes value;
	struct record whole = { .len = 0 }, other;
	if (db_get(txn, table, key, &value))
		return false;
	record_bytes(&whole, value.data, value.len);
	for (size_t len = 1; len < whole.len; len++) {
		other = whole;
		other.len = len;
		if (db_put(txn, table, key, &other) || get(txn) != ERR_DAMAGED)
			return false;
	}
	other = whole;
	record_u8(&other, 0);
	if (db_put(txn, table, key, &other) || get(txn) != ERR_DAMAGED)
		return false;
	return db_put(txn, table, key, &whole) == 0 && get(txn) == 0;
}

/* ---- regions ---- */

static struct region full_region(void)
{
	struct region g;
	memset(&g, 0, sizeof g);
	g.no = 3;
	FILL(g.name), FILL(g.zones), FILL(g.storage_price), FILL(g.windows_fee), FILL(g.instance_price);
	g.mainland = true;
	g.types = 0x1f;
	g.pool = UINT32_MAX;
	g.free_storage = UINT64_MAX;
	g.created = -1;
	return g;
}

static int get_region(struct cat_txn *txn)
{
	struct region g;
	return region_get(txn, 3, &g);
}

static int regions(struct cat_txn *txn, void *arg, struct error *err)
{
	struct region full = full_region(), a = { .no = 1, .name = "a" }, b = { .no = 256, .name = "b" }, got;
	struct trace t = { .text = "" }, from = { .text = "" }, stopped = { .stop_at = 3 };
	struct key k;
	(void)arg, (void)err;
	memset(&got, 0xaa, sizeof got);
	is_int(region_get(txn, 3, &got), -ENOENT, "a region that is not there");
	is_int(region_put(txn, &b), 0, "one is put");
	is_int(region_put(txn, &full), 0, "another, with everything in it");
	is_int(region_put(txn, &a), 0, "and another");
	ok(region_get(txn, 3, &got) == 0 && !memcmp(&got, &full, sizeof got), "it is read as it was put");
	ok(region_find(txn, full.name, &got) == 0 && got.no == 3, "and found by name");
	is_int(region_find(txn, "", &got), -ENOENT, "no name is nobody's");
	is_int(region_each(txn, 0, trace_region, &t), 0, "walk");
	is_str(t.text, "1 3 256 ", "in order of number");
	is_int(region_each(txn, 1, trace_region, &from), 0, "walk from the middle");
	is_str(from.text, "3 256 ", "those after it");
	is_int(region_each(txn, 0, trace_region, &stopped), 77, "a walk that is ended says so");
	is_str(stopped.text, "1 3 ", "and goes no further");
	struct region other = { .no = 4, .name = "a" };
	is_int(region_put(txn, &other), -EEXIST, "a name is given once");
	snprintf(a.name, sizeof(a.name), "%s", "c");
	is_int(region_put(txn, &a), -EINVAL, "and never changes");
	snprintf(a.name, sizeof(a.name), "%s", "a");
	snprintf(a.zones, sizeof(a.zones), "%s", "z1 z2");
	ok(region_put(txn, &a) == 0 && region_get(txn, 1, &got) == 0 && !strcmp(got.zones, "z1 z2"), "the rest may");
	ok(beginnings_are_damage(txn, DB_REGION, key_of_u32(&k, 3), get_region), "a cut row is damage");
	is_int(region_remove(txn, 1), 0, "one is removed");
	is_int(region_remove(txn, 1), -ENOENT, "once");
	ok(region_get(txn, 1, &got) == -ENOENT && region_find(txn, "a", &got) == -ENOENT, "it is gone, with its name");
	is_int(region_put(txn, &other), 0, "which is free again");
	return 0;
}

/* ---- accounts ---- */

static int get_account(struct cat_txn *txn)
{
	struct account a;
	return account_get(txn, 9, &a);
}

static int full_account(struct cat_txn *txn, void *arg, struct error *err)
{
	static struct account full, got;
	struct key k;
	bool good = true;
	(void)arg, (void)err;
	full.no = 9;
	FILL(full.name), FILL(full.accept);
	for (full.n_uids = 0; full.n_uids < ACCOUNT_UIDS; full.n_uids++)
		full.uids[full.n_uids] = UINT32_MAX - full.n_uids;
	full.is_vendor = true;
	full.created = INT64_MIN;
	memset(&got, 0xaa, sizeof got);
	is_int(account_put(txn, &full), 0, "an account with everything in it is put");
	ok(account_get(txn, 9, &got) == 0 && !memcmp(&got, &full, sizeof got), "and read as it was");
	for (unsigned i = 0; i < ACCOUNT_UIDS; i++)
		good = good && account_by_uid(txn, UINT32_MAX - i, &got) == 0 && got.no == 9;
	ok(good, "and found by each of its uids");
	ok(beginnings_are_damage(txn, DB_ACCOUNT, key_of_u32(&k, 9), get_account), "a cut row is damage");
	is_int(account_remove(txn, 9), 0, "it is removed");
	ok(account_by_uid(txn, UINT32_MAX, &got) == -ENOENT && account_find(txn, full.name, &got) == -ENOENT,
	   "with its uids and its name");
	uint64_t left;
	ok(db_count(txn, DB_ACCOUNT_UID, &left) == 0 && left == 0, "all of them");
	return 0;
}

static int accounts(struct cat_txn *txn, void *arg, struct error *err)
{
	struct account a = { .no = 1, .name = "alice", .uids = { 1000, 1001 }, .n_uids = 2 };
	struct account b = { .no = 2, .name = "bob", .uids = { 1002 }, .n_uids = 1 };
	struct account got;
	struct trace t = { .text = "" };
	(void)arg, (void)err;
	ok(account_put(txn, &a) == 0 && account_put(txn, &b) == 0, "two accounts");
	b.uids[1] = 1001;
	b.n_uids = 2;
	snprintf(b.name, sizeof(b.name), "%s", "robert");
	is_int(account_put(txn, &b), -EEXIST, "a uid belongs to one account");
	ok(account_find(txn, "bob", &got) == 0 && account_find(txn, "robert", &got) == -ENOENT,
	   "and what was refused changed nothing");
	b.n_uids = 1;
	snprintf(b.name, sizeof(b.name), "%s", "alice");
	is_int(account_put(txn, &b), -EEXIST, "so does a name");
	snprintf(b.name, sizeof(b.name), "%s", "robert");
	b.uids[0] = 1003;
	is_int(account_put(txn, &b), 0, "both may change");
	ok(account_find(txn, "robert", &got) == 0 && got.no == 2 && account_find(txn, "bob", &got) == -ENOENT, "the name");
	ok(account_by_uid(txn, 1003, &got) == 0 && account_by_uid(txn, 1002, &got) == -ENOENT, "and the uid");
	b.n_uids = ACCOUNT_UIDS + 1;
	is_int(account_put(txn, &b), -EINVAL, "too many uids are refused");
	is_int(account_each(txn, 0, trace_account, &t), 0, "walk");
	is_str(t.text, "1 2 ", "in order");
	return 0;
}

/* ---- disks and holds ---- */

static int get_disk(struct cat_txn *txn)
{
	struct disk_row d;
	return disk_row_get(txn, 7, &d);
}

static int disks(struct cat_txn *txn, void *arg, struct error *err)
{
	struct disk_row full, got, small = { .no = DISK_NO_MAX };
	struct trace t = { .text = "" }, from = { .text = "" };
	struct key k;
	(void)arg, (void)err;
	memset(&full, 0, sizeof full);
	memset(&got, 0xaa, sizeof got);
	memset(&full.root.hash, 0x11, HASH_SIZE);
	memset(&full.sha256, 0x22, HASH_SIZE);
	full.no = 7;
	full.image = 8;
	full.domain = UINT32_MAX;
	full.pool = 9;
	full.size = UINT64_MAX;
	full.root.levels = 4;
	full.mtime = INT64_MIN;
	full.stored = 10;
	full.has_sha = true;
	ok(disk_row_put(txn, &full) == 0 && disk_row_put(txn, &small) == 0, "disks are put");
	ok(disk_row_get(txn, 7, &got) == 0 && got.image == 8 && got.domain == UINT32_MAX && got.pool == 9 &&
	   got.size == UINT64_MAX && got.root.levels == 4 && hash_equal(&got.root.hash, &full.root.hash) &&
	   got.mtime == INT64_MIN && got.stored == 10 && got.has_sha &&
	   hash_equal(&got.sha256, &full.sha256), "and read as they were");
	is_int(disk_row_each(txn, 0, trace_disk, &t), 0, "walk");
	is_str(t.text, "7 -1 ", "in order");
	is_int(disk_row_each(txn, 7, trace_disk, &from), 0, "walk from the middle");
	is_str(from.text, "-1 ", "those after it");
	ok(beginnings_are_damage(txn, DB_DISK, key_of_u64(&k, 7), get_disk), "a cut row is damage");
	is_int(disk_row_remove(txn, 7), 0, "one is removed");
	is_int(disk_row_remove(txn, 7), -ENOENT, "once");
	is_int(disk_row_get(txn, 7, &got), -ENOENT, "it is gone");
	return 0;
}

static int trace_hold(void *ctx, uint64_t no, uint32_t domain, const struct map_root *root)
{
	return trace_add(ctx, no * 100 + domain * 10 + root->levels);
}

static int holds(struct cat_txn *txn, void *arg, struct error *err)
{
	struct map_root a = { .levels = 1 }, b = { .levels = 2 }, got;
	struct trace t = { .text = "" };
	uint32_t domain;
	(void)arg, (void)err;
	memset(&a.hash, 0xaa, HASH_SIZE);
	memset(&b.hash, 0xbb, HASH_SIZE);
	is_int(hold_put(txn, 5, 3, &b), 0, "a map is held");
	is_int(hold_put(txn, 5, 3, &b), -EEXIST, "once");
	ok(hold_put(txn, 5, 3, &a) == 0 && hold_put(txn, 6, 3, &b) == 0 && hold_put(txn, 5, 4, &b) == 0,
	   "others are too");
	is_int(hold_each(txn, trace_hold, &t), 0, "walk");
	is_str(t.text, "531 532 542 632 ", "all of them");
	is_int(hold_take(txn, 4, &domain, &got), -ENOENT, "nothing is held for this disk");
	ok(hold_take(txn, 5, &domain, &got) == 0 && domain == 3 && got.levels == 1 && hash_equal(&got.hash, &a.hash),
	   "one is taken");
	ok(hold_take(txn, 5, &domain, &got) == 0 && hold_take(txn, 5, &domain, &got) == 0 && domain == 4, "all are");
	is_int(hold_take(txn, 5, &domain, &got), -ENOENT, "then there is none");
	is_int(hold_take(txn, 6, &domain, &got), 0, "another disk has its own");
	return 0;
}

/* ---- limits and days ---- */

static int trace_policy(void *ctx, uint32_t account, uint32_t region, const char *name, const char *value)
{
	struct trace *t = ctx;
	size_t len = strlen(t->text);
	snprintf(t->text + len, sizeof t->text - len, "%u/%u/%s=%s ", account, region, name, value);
	return 0;
}

static int policies(struct cat_txn *txn, void *arg, struct error *err)
{
	char got[POLICY_VALUE_MAX + 1], longest[POLICY_VALUE_MAX + 1], too_long[POLICY_VALUE_MAX + 2];
	struct trace t = { .text = "" };
	(void)arg, (void)err;
	FILL(longest), FILL(too_long);
	is_int(policy_row_get(txn, 1, 2, "images", got), -ENOENT, "a limit that is not there");
	ok(policy_row_put(txn, 1, 2, "images", "10") == 0 && policy_row_put(txn, 256, 0, "disks", "5") == 0 &&
	   policy_row_put(txn, 0, 0, "images", "all") == 0, "limits are put");
	ok(policy_row_get(txn, 1, 2, "images", got) == 0 && !strcmp(got, "10"), "one is read");
	is_int(policy_row_get(txn, 1, 0, "images", got), -ENOENT, "another scope is another one");
	is_int(policy_row_get(txn, 1, 2, "image", got), -ENOENT, "and so is another name");
	is_int(policy_row_put(txn, 1, 2, "images", "11"), 0, "it is changed");
	is_int(policy_row_each(txn, trace_policy, &t), 0, "walk");
	is_str(t.text, "0/0/images=all 1/2/images=11 256/0/disks=5 ", "in order");
	ok(policy_row_put(txn, 1, 2, "long", longest) == 0 && policy_row_get(txn, 1, 2, "long", got) == 0 &&
	   !strcmp(got, longest), "the longest value");
	is_int(policy_row_put(txn, 1, 2, "long", too_long), -EINVAL, "a longer one is refused");
	is_int(policy_row_put(txn, 1, 2, "", "1"), -EINVAL, "so is no name");
	is_int(policy_row_remove(txn, 1, 2, "images"), 0, "one is removed");
	is_int(policy_row_remove(txn, 1, 2, "images"), -ENOENT, "once");
	return 0;
}

static int days(struct cat_txn *txn, void *arg, struct error *err)
{
	uint64_t count = 9, left;
	bool good = true;
	(void)arg, (void)err;
	ok(day_count_get(txn, 1, 1, 100, &count) == 0 && count == 0, "nothing was done yet");
	for (unsigned i = 0; i < 3; i++)
		good = good && day_count_add(txn, 1, 1, 100) == 0;
	ok(good && day_count_get(txn, 1, 1, 100, &count) == 0 && count == 3, "three things were");
	ok(day_count_get(txn, 1, 2, 100, &count) == 0 && count == 0, "not elsewhere");
	for (uint32_t account = 2; account <= 60; account++)
		good = good && day_count_add(txn, account, 1, 100) == 0;
	ok(good && db_count(txn, DB_DAY, &left) == 0 && left == 60, "by many accounts");
	for (unsigned i = 0; i < 10; i++)
		good = good && day_count_add(txn, 1, 1, 101) == 0;
	ok(good && day_count_get(txn, 1, 1, 101, &count) == 0 && count == 10, "a new day counts anew");
	ok(db_count(txn, DB_DAY, &left) == 0 && left == 1, "and the old one's rows are gone after a while");
	return 0;
}

int main(void)
{
	struct error err;
	if (catalog_open(&cat, test_folder(), CAT_CREATE, &err))
		bail("%s", err.text);
	is_int(cat_write(cat, regions, NULL, NULL), 0, "regions");
	is_int(cat_write(cat, full_account, NULL, NULL), 0, "a full account");
	is_int(cat_write(cat, accounts, NULL, NULL), 0, "accounts");
	is_int(cat_write(cat, disks, NULL, NULL), 0, "disks");
	is_int(cat_write(cat, holds, NULL, NULL), 0, "holds");
	is_int(cat_write(cat, policies, NULL, NULL), 0, "limits");
	is_int(cat_write(cat, days, NULL, NULL), 0, "days");
	catalog_close(cat);
	return done_testing();
}
