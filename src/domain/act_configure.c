/* SPDX-License-Identifier: Apache-2.0 */
/* act_configure: what operators write to .policy, .region and .account. A file is taken line by line; one bad line and nothing of
 * it is taken. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/account.h"
#include "domain/act.h"
#include "domain/acts.h"
#include "domain/decide.h"
#include "domain/names.h"
#include "domain/policy.h"
#include "domain/tree_int.h"

static int yes_or_no(const char *key, const char *value, bool *ret, struct error *err)
{
	if (strcmp(value, "yes") && strcmp(value, "no"))
		return fail(err, -EINVAL, "%s is yes or no", key);
	*ret = value[0] == 'y';
	return 0;
}

static int take_text(const char *key, const char *value, char *ret, size_t room, struct error *err)
{
	if (strlen(value) >= room || !text_is_clean(value, (unsigned)strlen(value), ""))
		return fail(err, -EINVAL, "the value of %s is too long or not text", key);
	snprintf(ret, room, "%s", value);
	return 0;
}

static int take_amount(const char *key, const char *value, char *ret, size_t room, struct error *err)
{
	size_t digits = strspn(value, "0123456789");
	size_t n = digits + (value[digits] == '.' ? 1 + strspn(value + digits + 1, "0123456789") : 0);
	if (digits == 0 || value[n] || n >= 16)
		return fail(err, -EINVAL, "%s is an amount such as 0.12", key);
	return take_text(key, value, ret, room, err);
}

static int take_types(const char *value, uint8_t *ret, struct error *err)
{
	char word[24];
	int used;
	uint8_t types = 0;
	for (; sscanf(value, " %23s%n", word, &used) == 1; value += used) {
		int t = type_by_name(word);
		if (t < 0)
			return fail(err, -EINVAL, "types are some of: public marketplace custom shared instances");
		types |= (uint8_t)(1 << t);
	}
	*ret = types;
	return 0;
}

static int take_region(struct region *g, const char *key, const char *value, struct error *err)
{
	char *end;
	if (strcmp(key, "mainland") == 0)
		return yes_or_no(key, value, &g->mainland, err);
	if (strcmp(key, "copy") == 0)
		return yes_or_no(key, value, &g->copy, err);
	if (strcmp(key, "zones") == 0)
		return take_text(key, value, g->zones, sizeof g->zones, err);
	if (strcmp(key, "types") == 0)
		return take_types(value, &g->types, err);
	if (strcmp(key, "storage-price") == 0)
		return take_amount(key, value, g->storage_price, sizeof g->storage_price, err);
	if (strcmp(key, "windows-fee") == 0)
		return take_amount(key, value, g->windows_fee, sizeof g->windows_fee, err);
	if (strcmp(key, "instance-price") == 0)
		return take_amount(key, value, g->instance_price, sizeof g->instance_price, err);
	if (strcmp(key, "free-storage"))
		return fail(err, -EINVAL, "a region has no setting %s", key);
	g->free_storage = strtoull(value, &end, 10);
	return end == value || *end ? fail(err, -EINVAL, "free-storage is a number of bytes") : 0;
}

static int take_uids(struct account *c, const char *value, struct error *err)
{
	unsigned n = 0;
	for (char *end; *value; value = end) {
		value += strspn(value, " ,");
		if (!*value)
			break;
		unsigned long uid = strtoul(value, &end, 10);
		if (end == value || (*end && !strchr(" ,", *end)) || uid >= UINT32_MAX || n == ACCOUNT_UIDS)
			return fail(err, -EINVAL, "uids are up to %d numbers with spaces between", ACCOUNT_UIDS);
		c->uids[n++] = (uint32_t)uid;
	}
	c->n_uids = n;
	return 0;
}

static int take_account(struct account *c, const char *key, const char *value, struct error *err)
{
	if (strcmp(key, "uids") == 0)
		return take_uids(c, value, err);
	if (strcmp(key, "operator") == 0)
		return yes_or_no(key, value, &c->is_operator, err);
	if (strcmp(key, "vendor") == 0)
		return yes_or_no(key, value, &c->is_vendor, err);
	if (strcmp(key, "accept") == 0)
		return take_text(key, value, c->accept, sizeof c->accept, err);
	return fail(err, -EINVAL, "an account has no setting %s", key);
}

/* Calls take(ctx, key, value) for each line. */
static int each_line(const char *text, int (*take)(void *ctx, const char *key, const char *value, struct error *), void *ctx,
		     struct error *err)
{
	char line[1024];
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		size_t n = strcspn(p, "\n");
		if (n >= sizeof line)
			return fail(err, -EINVAL, "a line is too long");
		memcpy(line, p, n);
		line[n] = 0;
		char *key = line + strspn(line, " \t");
		char *value = key + strcspn(key, " \t");
		if (!*key || *key == '#')
			continue;
		if (*value)
			*value++ = 0;
		value += strspn(value, " \t");
		int r = take(ctx, key, value, err);
		if (r)
			return r;
	}
	return 0;
}

static int region_line(void *ctx, const char *key, const char *value, struct error *err) { return take_region(ctx, key, value, err); }
static int account_line(void *ctx, const char *key, const char *value, struct error *err) { return take_account(ctx, key, value, err); }

struct policy_scope {
	struct cat_txn *txn;
	uint32_t account, region;
};

static int policy_line(void *ctx, const char *key, const char *value, struct error *err)
{
	struct policy_scope *s = ctx;
	char line[1100];
	snprintf(line, sizeof line, "%s %s", key, value);
	return policy_write_line(s->txn, s->account, s->region, line, err);
}

static int configure_region(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct region g;
	int r = region_get(txn, (uint32_t)node_number(a->node), &g);
	if (r)
		return fail(err, r, "this region is gone");
	r = each_line(a->text, region_line, &g, err);
	snprintf(a->path, sizeof a->path, "%s/.region", g.name);
	return r ? r : region_put(txn, &g);
}

static int configure_account(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct account c;
	int r = account_get(txn, tree_account_of(a->who, a->node), &c);
	if (r)
		return fail(err, r, "this account is gone");
	r = each_line(a->text, account_line, &c, err);
	if (!r && c.no == a->who->account && !c.is_operator)
		return fail(err, -EPERM, "nobody takes the rights of an operator from themselves: another operator can");
	if (!r)
		r = account_put(txn, &c);
	snprintf(a->path, sizeof a->path, "accounts/%s/.account", c.name);
	return r == -EEXIST ? fail(err, r, "one of these uids belongs to another account") : r;
}

static int do_configure(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct policy_scope scope = { .txn = txn };
	int r = decide(a->who, MAY_MANAGE, NULL, NULL, err);
	if (r)
		return r;
	switch ((int)node_slot(a->node) - SLOT_FILE) {
	case FILE_REGION: return configure_region(txn, a, err);
	case FILE_ACCOUNT: return configure_account(txn, a, err);
	case FILE_POLICY: break;
	default: return fail(err, -EPERM, "this file is made when it is read");
	}
	tree_policy_scope(a->who, a->node, true, &scope.account, &scope.region);
	snprintf(a->path, sizeof a->path, ".policy");
	snprintf(a->detail, sizeof a->detail, "%.*s", (int)strcspn(a->text, "\n"), a->text);
	return each_line(a->text, policy_line, &scope, err);
}

int act_configure(struct service *s, const struct who *w, uint64_t node, const char *text, struct error *err)
{
	struct act a = { .service = s, .who = w, .operation = "configure", .fn = do_configure, .node = node, .text = text };
	return act_run(&a, err);
}
