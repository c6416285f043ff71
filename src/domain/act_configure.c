/* SPDX-License-Identifier: Apache-2.0 */
/* act_configure: what is written to .policy, .region and .account. A file is taken line by line; one bad line and nothing of
 * it is taken. All of it is for operators, but whose shares an account takes, which is its own business. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/money.h"
#include "catalog/account.h"
#include "domain/act.h"
#include "domain/acts.h"
#include "domain/rights.h"
#include "domain/names.h"
#include "domain/policy.h"
#include "domain/quota.h"
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
	money amount;
	if (money_parse(value, &amount))
		return fail(err, -EINVAL, "%s is an amount such as 0.12, below a billion and with at most six places", key);
	return take_text(key, value, ret, room, err);
}

static int take_bytes(const char *key, const char *value, uint64_t *ret, struct error *err)
{
	errno = 0;
	uint64_t n = strtoull(value, NULL, 10);
	if (!*value || value[strspn(value, "0123456789")] || errno)
		return fail(err, -EINVAL, "%s is a number of bytes", key);
	*ret = n;
	return 0;
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
	return take_bytes(key, value, &g->free_storage, err);
}

/* ---- accounts */

/* Of a list with spaces or commas between. One that is cut is longer than anything that is looked for. */
static bool next_word(const char **list, char *ret, size_t room)
{
	*list += strspn(*list, " ,");
	size_t n = strcspn(*list, " ,");
	snprintf(ret, room, "%.*s", (int)n, *list);
	*list += n;
	return n > 0;
}

struct account_change {
	struct cat_txn *txn;
	const struct who *who;
	struct account *account;
};

static int take_uid(const struct account_change *c, const char *word, struct account *ret, struct error *err)
{
	struct account other;
	unsigned long long uid = strtoull(word, NULL, 10);
	if (word[strspn(word, "0123456789")] || strlen(word) > 10 || uid >= UINT32_MAX || ret->n_uids == ACCOUNT_UIDS)
		return fail(err, -EINVAL, "uids are up to %d numbers with spaces between", ACCOUNT_UIDS);
	for (unsigned i = 0; i < ret->n_uids; i++)
		if (ret->uids[i] == uid)
			return 0;
	int r = account_by_uid(c->txn, (uint32_t)uid, &other);
	if (r && r != -ENOENT)
		return r;
	if (r == 0 && other.no != ret->no)
		return fail(err, -EEXIST, "uid %llu belongs to another account, %s", uid, other.name);
	ret->uids[ret->n_uids++] = (uint32_t)uid;
	return 0;
}

static bool has_uid(const struct account *a, uint32_t uid)
{
	for (unsigned i = 0; i < a->n_uids; i++)
		if (a->uids[i] == uid)
			return true;
	return false;
}

static int drop_uid(const struct account_change *c, const char *word, struct account *ret, struct error *err)
{
	unsigned n = 0;
	(void)c;
	while (n < ret->n_uids && (word[strspn(word, "0123456789")] || ret->uids[n] != strtoull(word, NULL, 10)))
		n++;
	if (n == ret->n_uids)
		return fail(err, -EINVAL, "uid %.20s does not belong to the account %s", word, ret->name);
	ret->n_uids--;
	memmove(&ret->uids[n], &ret->uids[n + 1], (ret->n_uids - n) * sizeof ret->uids[0]);
	return 0;
}

/* uids: these and no others; add-uids, remove-uids: what it says. */
static int take_uids(const struct account_change *c, const char *key, const char *value, struct error *err)
{
	char word[32];
	int r = 0;
	bool had = has_uid(c->account, c->who->uid), drop = key[0] == 'r';
	if (key[0] == 'u')
		c->account->n_uids = 0;
	while (!r && next_word(&value, word, sizeof word))
		r = (drop ? drop_uid : take_uid)(c, word, c->account, err);
	if (!r && had && c->account->no == c->who->account && !has_uid(c->account, c->who->uid))
		return fail(err, -EPERM, "nobody takes their own uid (%u) from their account: another operator can", c->who->uid);
	return r;
}

/* "all", or names of accounts that there are; nothing: nobody's. */
static int take_accept(const struct account_change *c, const char *value, struct error *err)
{
	char accept[sizeof c->account->accept] = "", word[PLACE_NAME_MAX + 2];
	struct account other;
	size_t len = 0;
	if (strcmp(value, "all") == 0)
		return take_text("accept", value, c->account->accept, sizeof c->account->accept, err);
	while (next_word(&value, word, sizeof word)) {
		int r = account_find(c->txn, word, &other);
		if (r)
			return r == -ENOENT ? fail(err, -EINVAL, "accept is \"all\", or names of accounts that there are; there is no "
							     "account %s (yet)", word) : r;
		if (len + strlen(word) + 2 > sizeof accept)
			return fail(err, -EINVAL, "these are more accounts than can be named: accept all takes from everybody");
		len += (size_t)snprintf(accept + len, sizeof accept - len, "%s%s", len ? " " : "", word);
	}
	memcpy(c->account->accept, accept, sizeof accept);
	return 0;
}

static int take_account(const struct account_change *c, const char *key, const char *value, struct error *err)
{
	bool own = c->account->no == c->who->account;
	bool accepts = strcmp(key, "accept") == 0;
	int r = decide(c->who, accepts && own ? MAY_ACCEPT : MAY_MANAGE, NULL, err);
	if (r)
		return r;
	if (accepts)
		return take_accept(c, value, err);
	if (strcmp(key, "uids") == 0 || strcmp(key, "add-uids") == 0 || strcmp(key, "remove-uids") == 0)
		return take_uids(c, key, value, err);
	if (strcmp(key, "operator") == 0)
		return yes_or_no(key, value, &c->account->is_operator, err);
	if (strcmp(key, "vendor") == 0)
		return yes_or_no(key, value, &c->account->is_vendor, err);
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

/* Storage is free in the mainland only. */
int region_take(struct region *g, const char *text, struct error *err)
{
	const struct region before = *g;
	int r = each_line(text, region_line, g, err);
	if (r || g->mainland)
		return r;
	if (g->free_storage && g->free_storage != before.free_storage)
		return fail(err, -EINVAL, "free storage is for regions of the mainland: %s is not one (mainland no)", g->name[0] ? g->name : "this");
	if (before.mainland)
		g->free_storage = 0;
	return 0;
}

/* All that a region's file shows, and nothing else: a copy of what was read here or somewhere else. */
static bool region_is_copy(const char *text)
{
	static const char *const keys[] = { "mainland", "copy", "zones", "types", "storage-price", "free-storage", "windows-fee",
					    "instance-price" };
	struct region g = { .no = 0 };
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		size_t n = strlen(keys[i]);
		const char *at = text;
		while ((at = strstr(at, keys[i])) && ((at != text && at[-1] != '\n') || (at[n] != ' ' && at[n] != '\n')))
			at += n;
		if (!at)
			return false;
	}
	return region_take(&g, text, NULL) == 0;
}

int act_bring(uint64_t node, const char *text, struct error *err)
{
	bool policy = node_slot(node) == SLOT_FILE + FILE_POLICY;
	if (policy ? policy_is_copy(text) : region_is_copy(text))
		return 0;
	return fail(err, -EPERM, "only operators set %s: ask one. (A restore may write back the whole text as it was read; it is "
		    "ignored.)", policy ? "a policy" : "what a region is");
}

int account_take(struct cat_txn *txn, const struct who *w, struct account *c, const char *text, struct error *err)
{
	struct account_change change = { txn, w, c };
	return each_line(text, account_line, &change, err);
}

struct policy_change {
	struct cat_txn *txn;
	struct policy_place at;
};

static int policy_line(void *ctx, const char *key, const char *value, struct error *err)
{
	struct policy_change *s = ctx;
	char line[1100];
	snprintf(line, sizeof line, "%s %s", key, value);
	return policy_write_line(s->txn, &s->at, line, err);
}

static int configure_region(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct region g;
	int r = decide(a->who, MAY_MANAGE, NULL, err);
	if (r)
		return r;
	r = region_get(txn, (uint32_t)node_number(a->node), &g);
	if (r)
		return fail(err, r, "this region is gone");
	r = region_take(&g, a->text, err);
	snprintf(a->path, sizeof a->path, "%s/.region", g.name);
	return r ? r : region_put(txn, &g);
}

static int configure_account(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct account c;
	int r = account_get(txn, tree_account_of(a->who, a->node), &c);
	if (r)
		return fail(err, r, "this account is gone");
	bool was_operator = c.is_operator;
	r = decide(a->who, c.no == a->who->account ? MAY_ACCEPT : MAY_MANAGE, NULL, err); /* also to write nothing */
	if (!r)
		r = account_take(txn, a->who, &c, a->text, err);
	if (!r && c.no == a->who->account && was_operator && !c.is_operator)
		return fail(err, -EPERM, "nobody takes the rights of an operator from themselves: another operator can");
	snprintf(a->path, sizeof a->path, "accounts/%s/.account", c.name);
	a->owner = c.no;
	a->account_changed = true;
	return r ? r : account_put(txn, &c);
}

static void policy_path(struct cat_txn *txn, const struct policy_place *s, char *ret, size_t size)
{
	struct account account;
	struct region region;
	bool of_account = s->account && account_get(txn, s->account, &account) == 0;
	bool of_region = s->region && region_get(txn, s->region, &region) == 0;
	snprintf(ret, size, "%s%s%s%s%s.policy", of_account ? "accounts/" : "", of_account ? account.name : "", of_account ? "/" : "",
		 of_region ? region.name : "", of_region ? "/" : "");
}

static int configure_policy(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct policy_change c = { .txn = txn, .at.whole = policy_is_whole(a->text) };
	int r = decide(a->who, MAY_MANAGE, NULL, err);
	if (r)
		return r;
	tree_policy_scope(a->who, a->node, true, &c.at.account, &c.at.region);
	policy_path(txn, &c.at, a->path, sizeof a->path);
	a->owner = c.at.account;
	return each_line(a->text, policy_line, &c, err);
}

void act_tell_text(struct act *a)
{
	size_t n = strlen(a->text);
	while (n && a->text[n - 1] == '\n')
		n--;
	snprintf(a->detail, sizeof a->detail, "%.*s", (int)n, a->text);
	for (char *p = a->detail; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = *p == '\n' ? ';' : ' ';
}

static int do_configure(struct cat_txn *txn, struct act *a, struct error *err)
{
	act_tell_text(a);
	switch ((int)node_slot(a->node) - SLOT_FILE) {
	case FILE_REGION: return configure_region(txn, a, err);
	case FILE_ACCOUNT: return configure_account(txn, a, err);
	case FILE_POLICY: return configure_policy(txn, a, err);
	default: return fail(err, -EPERM, "this file is made when it is read");
	}
}

int act_configure(struct service *s, const struct who *w, uint64_t node, const char *text, struct error *err)
{
	struct act a = { .service = s, .who = w, .operation = "configure", .fn = do_configure, .node = node, .text = text };
	int r = act_run(&a, err);
	quotas_changed(s->quotas);
	return r;
}
