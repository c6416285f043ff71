/* SPDX-License-Identifier: Apache-2.0 */
/* tree_bills: .bills with a file for each closed month, and .usage of accounts: one's own in the root, an account's in accounts/NAME, and
 * everybody's together in accounts/ (these for operators). They are listed by ls -a only. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/month.h"
#include "catalog/account.h"
#include "domain/ledger.h"
#include "domain/tree_int.h"
#include "domain/usage.h"

#define FIRST_YEAR (1970u * 12) /* months in node numbers count from here */

static uint64_t bills_node(uint32_t account, uint32_t month, unsigned slot)
{
	return node_make(NODE_BILLS, (uint64_t)account << 16 | (month ? month - FIRST_YEAR : 0), slot);
}

static uint32_t account_of(uint64_t node) { return (uint32_t)(node_number(node) >> 16); }
static uint32_t month_of_node(uint64_t node) { return FIRST_YEAR + (uint32_t)(node_number(node) & 0xffff); }

/* Whose bills are in this directory (0: everybody's)? */
static bool has_bills(const struct who *w, uint64_t dir, uint32_t *ret_account)
{
	if (dir == ROOT_NODE)
		*ret_account = w->account;
	else if (dir == node_make(NODE_FIXED, 0, SLOT_ACCOUNTS))
		*ret_account = 0;
	else if (node_kind(dir) == NODE_ACCOUNT && node_slot(dir) == SLOT_DIR)
		*ret_account = (uint32_t)node_number(dir);
	else
		return false;
	return usage_may_see(w, *ret_account, NULL) == 0;
}

static bool has_usage(const struct who *w, uint64_t dir)
{
	uint32_t account;
	return dir != ROOT_NODE && has_bills(w, dir, &account); /* the root has one among its files */
}

/* Closed months of an account: from the one in which it was made on. */
static int months_of(struct cat_txn *txn, uint32_t no, uint32_t *ret_first, uint32_t *ret_end)
{
	struct account account;
	int r = ledger_first_month(txn, ret_first);
	if (!r)
		r = ledger_month(txn, ret_end);
	if (r)
		return r;
	if (no && account_get(txn, no, &account) == 0 && month_of(account.created) > *ret_first)
		*ret_first = month_of(account.created);
	return 0;
}

int64_t tree_bill_time(uint64_t node) { return node_slot(node) == SLOT_BILL ? month_begin(month_of_node(node) + 1) : 0; }

bool tree_find_bills(const struct tree_ask *a, const char *name, uint64_t *ret)
{
	uint32_t account;
	bool usage = strcmp(name, ".usage") == 0 && has_usage(a->who, a->node);
	if ((strcmp(name, ".bills") && !usage) || !has_bills(a->who, a->node, &account))
		return false;
	*ret = bills_node(account, 0, usage ? SLOT_BILLS_USAGE : SLOT_DIR);
	return true;
}

int tree_may_see_bills(const struct tree_ask *a)
{
	return usage_may_see(a->who, account_of(a->node), NULL) ? fail(a->err, -ENOENT, "there is no such file") : 0;
}

int tree_lookup_bill(const struct tree_ask *a, const char *name, struct entry *ret)
{
	char text[MONTH_TEXT_SIZE] = "";
	uint32_t month, first = 0, end = 0;
	int r = tree_may_see_bills(a);
	if (!r)
		r = months_of(a->txn, account_of(a->node), &first, &end);
	if (r)
		return r;
	if (strlen(name) == 11 && strcmp(name + 7, ".csv") == 0)
		snprintf(text, sizeof text, "%.7s", name);
	if (month_parse(text, &month) || month < first || month >= end)
		return fail(a->err, -ENOENT, "there is no bill %s here: bills are called 2026-11.csv, and there is one for each month "
			    "that is over", name);
	return tree_entry(a, bills_node(account_of(a->node), month, SLOT_BILL), NULL, ret);
}

int tree_list_bills(const struct tree_ask *a, uint64_t cookie, tree_each each, void *ctx)
{
	uint32_t first = 0, end = 0;
	int r = tree_may_see_bills(a);
	if (!r)
		r = months_of(a->txn, account_of(a->node), &first, &end);
	for (uint32_t m = first; !r && m < end; m++) {
		struct entry e;
		char month[MONTH_TEXT_SIZE], name[MONTH_TEXT_SIZE + 4];
		if (m - FIRST_YEAR + 1 <= cookie)
			continue;
		snprintf(name, sizeof name, "%s.csv", month_text(m, month));
		r = tree_entry(a, bills_node(account_of(a->node), m, SLOT_BILL), NULL, &e);
		if (!r)
			r = each(ctx, name, &e, m - FIRST_YEAR + 1);
	}
	return r;
}

int tree_list_bills_dir(const struct tree_ask *a, uint64_t cookie, uint64_t base, tree_each each, void *ctx)
{
	static const unsigned slots[] = { SLOT_DIR, SLOT_BILLS_USAGE };
	uint32_t account;
	for (unsigned i = 0; i < 2; i++) {
		struct entry e;
		bool here = i ? has_usage(a->who, a->node) : has_bills(a->who, a->node, &account);
		if (base + i <= cookie || !here || !has_bills(a->who, a->node, &account))
			continue;
		int r = tree_entry(a, bills_node(account, 0, slots[i]), NULL, &e);
		if (!r)
			r = each(ctx, i ? ".usage" : ".bills", &e, base + i);
		if (r)
			return r;
	}
	return 0;
}

int tree_bills_text(const struct tree_ask *a, struct buf *ret)
{
	uint32_t month = month_of_node(a->node);
	struct bill_scope scope = { .account = account_of(a->node), .all = account_of(a->node) == 0 };
	int r = tree_may_see_bills(a);
	if (!r && node_slot(a->node) == SLOT_BILL)
		return bills_csv(a->txn, month, &scope, ret);
	if (!r)
		r = ledger_month(a->txn, &month);
	return r ? r : usage_text(a->txn, month, &scope, ret);
}

int tree_usage_text(const struct tree_ask *a, struct buf *ret)
{
	struct bill_scope scope = { .account = a->who->account };
	uint32_t month;
	if (node_kind(a->node) == NODE_REGION)
		scope.region = (uint32_t)node_number(a->node);
	int r = ledger_month(a->txn, &month);
	return r ? r : usage_text(a->txn, month, &scope, ret);
}

void tree_bills_path(struct cat_txn *txn, uint64_t node, struct buf *ret)
{
	struct account account;
	char month[MONTH_TEXT_SIZE];
	uint32_t no = account_of(node);
	buf_adds(ret, "accounts/");
	if (no)
		buf_addf(ret, "%s/", account_get(txn, no, &account) ? "?" : account.name);
	buf_adds(ret, node_slot(node) == SLOT_BILLS_USAGE ? ".usage" : ".bills");
	if (node_slot(node) == SLOT_BILL)
		buf_addf(ret, "/%s.csv", month_text(month_of_node(node), month));
}
