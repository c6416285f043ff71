/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "catalog/image.h"
#include "domain/names.h"

enum form { FORM_NUMBER, FORM_SIZE, FORM_CHOICE, FORM_CURRENCY };

static const struct rule {
	const char *name, *fallback;
	enum form form;
	const char *choices; /* space-separated, FORM_CHOICE; or also allowed beside numbers */
} rules[] = {
	{ "images-per-region", "10", FORM_NUMBER, "none" },
	{ "instances-per-region", "1000", FORM_NUMBER, "none" },
	{ "aliases-per-region", "1000", FORM_NUMBER, "none" },
	{ "trash-per-region", "10000", FORM_NUMBER, "none" },
	{ "shares-per-image", "50", FORM_NUMBER, "none" },
	{ "operations-per-day", "none", FORM_NUMBER, "none" },
	{ "bytes-per-region", "none", FORM_SIZE, "none" },
	{ "max-disk", "16T", FORM_SIZE, "" },
	{ "trash-days", "7", FORM_NUMBER, "" },
	{ "pending-hours", "24", FORM_NUMBER, "none" },
	{ "shared-copy", "no", FORM_CHOICE, "no same-region" },
	{ "shared-instance-image", "yes", FORM_CHOICE, "yes no" },
	{ "download", "uncharged", FORM_CHOICE, "all uncharged none" },
	{ "dedup", "store", FORM_CHOICE, "store account" },
	{ "currency", "USD", FORM_CURRENCY, "" }, /* of the whole store */
};
#define N_RULES (sizeof rules / sizeof rules[0])

static const struct rule *find_rule(const char *name)
{
	for (size_t i = 0; i < N_RULES; i++)
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	return NULL;
}

static bool is_choice(const char *choices, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = choices; n && (p = strstr(p, word)); p += n)
		if ((p == choices || p[-1] == ' ') && (p[n] == 0 || p[n] == ' '))
			return true;
	return false;
}

/* Digits and, for sizes, one of K M G T P after them (powers of 1024). */
static int parse_number(const char *text, enum form form, uint64_t *ret)
{
	char *end;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	uint64_t n = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	if (form == FORM_SIZE && *end) {
		const char *unit = strchr("KMGTP", *end);
		unsigned shift = unit ? 10 * (unsigned)(unit - "KMGTP" + 1) : 64;
		if (shift >= 64 || end[1] || n > UINT64_MAX >> shift)
			return -EINVAL;
		n <<= shift;
		end++;
	}
	if (*end)
		return -EINVAL;
	*ret = n;
	return 0;
}

/* The narrowest first; a scope that is none (no account, no region) is that of the next wider one. */
static int value_in_force(struct cat_txn *txn, uint32_t account, uint32_t region, const struct rule *rule, char ret[64],
			  enum policy_scope *ret_scope)
{
	const struct {
		uint32_t account, region;
		enum policy_scope scope;
		bool is;
	} scopes[] = {
		{ account, region, SCOPE_ACCOUNT_REGION, account && region }, { account, 0, SCOPE_ACCOUNT, account },
		{ 0, region, SCOPE_REGION, region }, { 0, 0, SCOPE_STORE, true },
	};
	for (unsigned i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
		int r = scopes[i].is ? policy_row_get(txn, scopes[i].account, scopes[i].region, rule->name, ret) : -ENOENT;
		*ret_scope = scopes[i].scope;
		if (r != -ENOENT)
			return r;
	}
	*ret_scope = SCOPE_DEFAULT;
	snprintf(ret, 64, "%s", rule->fallback);
	return 0;
}

int policy_value(struct cat_txn *txn, uint32_t account, uint32_t region, const char *name, char ret[64])
{
	const struct rule *rule = find_rule(name);
	enum policy_scope ignored;
	return rule ? value_in_force(txn, account, region, rule, ret, &ignored) : -EINVAL;
}

int policy_number(struct cat_txn *txn, uint32_t account, uint32_t region, const char *name, uint64_t *ret)
{
	char value[64];
	int r = policy_value(txn, account, region, name, value);
	if (r)
		return r;
	if (strcmp(value, "none") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	return parse_number(value, find_rule(name)->form, ret);
}

static int check_currency(const char *value, struct error *err)
{
	if (strlen(value) == 3 && strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3)
		return 0;
	return fail(err, -EINVAL, "currency is three capital letters, such as USD or CNY");
}

static int check_value(const struct rule *rule, const char *value, struct error *err)
{
	uint64_t n;
	if (rule->form == FORM_CURRENCY)
		return check_currency(value, err);
	if (is_choice(rule->choices, value))
		return 0;
	if (rule->form == FORM_CHOICE)
		return fail(err, -EINVAL, "%s is one of: %s", rule->name, rule->choices);
	if (parse_number(value, rule->form, &n))
		return fail(err, -EINVAL, "%s is a number%s%s%s", rule->name,
			    rule->form == FORM_SIZE ? " of bytes, or one with K, M, G, T or P behind it" : "",
			    rule->choices[0] ? ", or " : "", rule->choices);
	return 0;
}

/* What is in force here and was not written for this scope. */
static bool is_inherited(struct cat_txn *txn, uint32_t account, uint32_t region, const struct rule *rule, const char *value)
{
	char there[64];
	enum policy_scope ignored;
	return value_in_force(txn, account, region, rule, there, &ignored) == 0 && strcmp(there, value) == 0;
}

/* Of a whole file, as it was read, only what is different here is set: what was in force there because of a wider scope goes on
 * to follow that. */
static int write_value(struct cat_txn *txn, const struct policy_place *at, const struct rule *rule, const char *value)
{
	int r = at->whole ? policy_row_remove(txn, at->account, at->region, rule->name) : -ENOENT;
	if (r && r != -ENOENT)
		return r;
	if (at->whole && is_inherited(txn, at->account, at->region, rule, value))
		return 0;
	return policy_row_put(txn, at->account, at->region, rule->name, value);
}

bool policy_is_whole(const char *text)
{
	for (size_t i = 0; i < N_RULES; i++) {
		size_t n = strlen(rules[i].name);
		const char *at = text;
		while ((at = strstr(at, rules[i].name)) && ((at != text && at[-1] != '\n') || at[n] != ' '))
			at += n;
		if (!at)
			return false;
	}
	return true;
}

/* A policy, and a value that it may have. */
static bool is_value_line(const char *line)
{
	char name[64], value[64], more[2];
	const struct rule *rule = sscanf(line, " %63s %63s %1s", name, value, more) == 2 ? find_rule(name) : NULL;
	return rule && check_value(rule, value, NULL) == 0;
}

bool policy_is_copy(const char *text)
{
	char line[160];
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		snprintf(line, sizeof line, "%.*s", (int)strcspn(p, "\n"), p);
		if (line[0] != '#' && line[0] && !is_value_line(line))
			return false;
	}
	return policy_is_whole(text);
}

int policy_write_line(struct cat_txn *txn, const struct policy_place *at, const char *line, struct error *err)
{
	uint32_t account = at->account, region = at->region;
	char name[64], value[64], more[2];
	int n = sscanf(line, " %63s %63s %1s", name, value, more);
	if (n <= 0 || name[0] == '#')
		return 0;
	const struct rule *rule = find_rule(name);
	if (n != 2 || !rule)
		return fail(err, -EINVAL, "a policy is set by a line NAME VALUE and reset by NAME -; "
			    "cat .policy shows the names (got \"%.80s\")", line);
	if (rule->form == FORM_CURRENCY && (account || region) && is_inherited(txn, 0, 0, rule, value))
		return 0;
	if (rule->form == FORM_CURRENCY && (account || region))
		return fail(err, -EINVAL, "a store has one currency: it is set for the store, in the .policy of the root");
	if (strcmp(value, "-") == 0) {
		int r = policy_row_remove(txn, account, region, name);
		return r == -ENOENT ? 0 : r;
	}
	int r = check_value(rule, value, err);
	return r ? r : write_value(txn, at, rule, value);
}

int policy_each(struct cat_txn *txn, uint32_t account, uint32_t region, policy_fn each, void *ctx)
{
	for (size_t i = 0; i < N_RULES; i++) {
		char value[64];
		enum policy_scope scope;
		int r = value_in_force(txn, account, region, &rules[i], value, &scope);
		if (!r)
			r = each(ctx, rules[i].name, value, scope);
		if (r)
			return r;
	}
	return 0;
}

static int add_line(void *ctx, const char *name, const char *value, enum policy_scope scope)
{
	(void)scope;
	buf_addf(ctx, "%s %s\n", name, value);
	return 0;
}

int policy_text(struct cat_txn *txn, uint32_t account, uint32_t region, struct buf *ret)
{
	return policy_each(txn, account, region, add_line, ret);
}

int policy_room_for_image(struct cat_txn *txn, const struct shelf *shelf, struct error *err)
{
	uint64_t limit, count;
	bool instance = shelf->type == TYPE_INSTANCE;
	if (shelf->account == 0)
		return 0;
	int r = policy_number(txn, shelf->account, shelf->region,
			      instance ? "instances-per-region" : "images-per-region", &limit);
	if (!r)
		r = image_count(txn, shelf, &count);
	if (r || count < limit)
		return r;
	return fail(err, -EDQUOT, "there are %llu %s here and policy %s allows %llu: delete some, or ask an operator to "
		    "raise it in .policy", (unsigned long long)count, instance ? "instances" : "custom images",
		    instance ? "instances-per-region" : "images-per-region", (unsigned long long)limit);
}

int policy_room_for_alias(struct cat_txn *txn, const struct shelf *shelf, bool on_its_way, struct error *err)
{
	uint64_t limit, count;
	if (shelf->account == 0)
		return 0;
	int r = policy_number(txn, shelf->account, shelf->region, "aliases-per-region", &limit);
	if (!r)
		r = image_count_aliases(txn, shelf, &count);
	if (r || count < limit || (on_its_way && count == limit))
		return r;
	return fail(err, -EDQUOT, "there are %llu aliases here and policy aliases-per-region allows %llu: remove some, or ask an operator "
		    "to raise it in .policy", (unsigned long long)count, (unsigned long long)limit);
}

int policy_room_in_trash(struct cat_txn *txn, uint32_t account, uint32_t region, struct error *err)
{
	struct shelf trash = { .account = account, .region = region, .trash = true };
	uint64_t limit, count, all = 0;
	int r = policy_number(txn, account, region, "trash-per-region", &limit);
	for (; !r && trash.type < TYPE_MAX_; trash.type++, all += count)
		r = image_count(txn, &trash, &count);
	if (r || all < limit)
		return r;
	return fail(err, -EDQUOT, "there are %llu in the trash of this region, and policy trash-per-region allows %llu: delete some for good "
		    "(rm -r REGION/.trash/TYPE/NAME@TIME), then delete this again", (unsigned long long)all, (unsigned long long)limit);
}

int policy_spend_operation(struct cat_txn *txn, uint32_t account, uint32_t region, struct error *err)
{
	uint64_t limit, count;
	uint32_t day = (uint32_t)(clock_real() / 1000000000 / 86400);
	int r = policy_number(txn, account, region, "operations-per-day", &limit);
	if (r || limit == UINT64_MAX)
		return r;
	r = day_count_get(txn, account, region, day, &count);
	if (r)
		return r;
	if (count >= limit)
		return fail(err, -EDQUOT, "policy operations-per-day allows %llu operations a UTC day in this region, and "
			    "they are used up: go on tomorrow, or ask an operator", (unsigned long long)limit);
	return day_count_add(txn, account, region, day);
}

int policy_disk_size(struct cat_txn *txn, uint32_t account, uint32_t region, uint64_t size, struct error *err)
{
	uint64_t limit;
	int r = policy_number(txn, account, region, "max-disk", &limit);
	if (r || size <= limit)
		return r;
	return fail(err, -EFBIG, "a disk of %llu bytes is larger than policy max-disk allows (%llu)",
		    (unsigned long long)size, (unsigned long long)limit);
}
