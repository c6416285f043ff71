/* SPDX-License-Identifier: Apache-2.0 */
/* manage: names become nodes, and then it is what the mount does. An account of one's own is the root's .account, as in a mount. */
#include "domain/manage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "catalog/account.h"
#include "domain/acts.h"
#include "domain/decide.h"
#include "domain/names.h"
#include "domain/policy.h"

#define FIELDS_MAX 80

struct managing {
	struct service *service;
	const struct who *who;
	const char *fields[FIELDS_MAX]; /* after thing and verb; NULL-terminated */
	struct buf *facts;
	struct cat_txn *txn; /* while something is read */
	struct error *err;
};

int manage_who(struct service *s, uint32_t uid, struct who *ret, struct error *err)
{
	char name[PLACE_NAME_MAX + 1];
	*ret = (struct who){ .uid = uid };
	int r = service_account_of(s, uid, &ret->account, name, err);
	if (!r && !service_rights(s, ret->account, &ret->is_operator, &ret->is_vendor))
		return fail(err, -EACCES, "the account %s has just been removed", name);
	return r;
}

/* ---- what there is */

static int find_account(const struct managing *m, const char *name, struct account *ret)
{
	int r = account_find(m->txn, name, ret);
	return r == -ENOENT ? fail(m->err, r, "there is no account %s", name) : r;
}

static int find_region(const struct managing *m, const char *name, struct region *ret)
{
	int r = region_find(m->txn, name, ret);
	return r == -ENOENT ? fail(m->err, r, "there is no region %s", name) : r;
}

/* One's own .account is in the root of one's mount; that of others is for who manages them. */
static int may_read(const struct managing *m, uint32_t account, struct error *err)
{
	return decide(m->who, account == m->who->account ? MAY_ACCEPT : MAY_MANAGE, NULL, err);
}

static int tell_account(void *ctx, const struct account *a)
{
	struct managing *m = ctx;
	char t[TIME_TEXT_SIZE];
	buf_addf(m->facts, "name: %s\n", a->name);
	if (may_read(m, a->no, NULL))
		return 0;
	for (unsigned i = 0; i < a->n_uids; i++)
		buf_addf(m->facts, "uid: %" PRIu32 "\n", a->uids[i]);
	buf_addf(m->facts, "operator: %s\nvendor: %s\naccept: %s\ncreated: %s\n", a->is_operator ? "yes" : "no",
		 a->is_vendor ? "yes" : "no", a->accept, time_text(a->created, t));
	return 0;
}

static int tell_region(void *ctx, const struct region *g)
{
	struct managing *m = ctx;
	const char *space = "";
	buf_addf(m->facts, "name: %s\nmainland: %s\ncopy: %s\nzones: %s\ntypes: ", g->name, g->mainland ? "yes" : "no",
		 g->copy ? "yes" : "no", g->zones);
	for (int t = 0; t < TYPE_MAX_; t++)
		if (g->types & 1 << t) {
			buf_addf(m->facts, "%s%s", space, type_name((enum image_type)t));
			space = " ";
		}
	buf_addf(m->facts, "\nstorage-price: %s\nfree-storage: %" PRIu64 "\nwindows-fee: %s\ninstance-price: %s\n", g->storage_price,
		 g->free_storage, g->windows_fee, g->instance_price);
	return 0;
}

static int account_list(struct managing *m) { return account_each(m->txn, 0, tell_account, m); }
static int region_list(struct managing *m) { return region_each(m->txn, 0, tell_region, m); }

static int account_show(struct managing *m)
{
	struct account a;
	int r = m->fields[0] ? find_account(m, m->fields[0], &a) : account_get(m->txn, m->who->account, &a);
	if (!r)
		r = may_read(m, a.no, m->err);
	return r ? r : tell_account(m, &a);
}

static int region_show(struct managing *m)
{
	struct region g;
	int r = m->fields[0] ? find_region(m, m->fields[0], &g) : fail(m->err, -EBADMSG, "which region?");
	return r ? r : tell_region(m, &g);
}

static const char *const scope_names[] = {
	[SCOPE_DEFAULT] = "default", [SCOPE_STORE] = "store", [SCOPE_REGION] = "region", [SCOPE_ACCOUNT] = "account",
	[SCOPE_ACCOUNT_REGION] = "account in region",
};

static int tell_policy(void *ctx, const char *name, const char *value, enum policy_scope scope)
{
	struct managing *m = ctx;
	buf_addf(m->facts, "name: %s\nvalue: %s\nscope: %s\n", name, value, scope_names[scope]);
	return 0;
}

/* Fields 0 and 1; an empty one is 0. */
static int find_scope(const struct managing *m, struct account *ret_account, struct region *ret_region)
{
	int r = 0;
	*ret_account = (struct account){ .no = 0 };
	*ret_region = (struct region){ .no = 0 };
	if (!m->fields[0] || !m->fields[1])
		return fail(m->err, -EBADMSG, "whose policy?");
	if (*m->fields[0])
		r = find_account(m, m->fields[0], ret_account);
	if (!r && *m->fields[1])
		r = find_region(m, m->fields[1], ret_region);
	return r;
}

/* Who does not manage is told what is in force for themselves, as in their mount. */
static int policy_show(struct managing *m)
{
	struct account a;
	struct region g;
	int r = find_scope(m, &a, &g);
	if (!r && !a.no && may_read(m, 0, NULL))
		a.no = m->who->account;
	if (!r)
		r = may_read(m, a.no, m->err);
	return r ? r : policy_each(m->txn, a.no, g.no, tell_policy, m);
}

/* ---- what is changed: nodes are looked up first, outside of the act's transaction, as the kernel does */

static int begin_reading(struct managing *m) { return cat_begin(m->service->catalog, &m->txn, m->err); }

static int read_with(struct managing *m, int (*fn)(struct managing *))
{
	int r = begin_reading(m);
	if (r)
		return r;
	r = fn(m);
	cat_end(&m->txn);
	return r;
}

static void join_lines(const char *const *fields, struct buf *ret)
{
	buf_adds(ret, "");
	for (; *fields; fields++)
		buf_addf(ret, "%s\n", *fields);
}

static int make_place(struct managing *m, uint64_t parent)
{
	AUTO_BUF struct buf text = BUF_INIT;
	if (!m->fields[0])
		return fail(m->err, -EBADMSG, "what is it called?");
	join_lines(m->fields + 1, &text);
	return act_make_place(m->service, m->who, parent, m->fields[0], text.data, m->err);
}

static int remove_place(struct managing *m, uint64_t parent)
{
	if (!m->fields[0])
		return fail(m->err, -EBADMSG, "which one?");
	return act_rmdir(m->service, m->who, parent, m->fields[0], m->err);
}

static int account_add(struct managing *m) { return make_place(m, node_make(NODE_FIXED, 0, SLOT_ACCOUNTS)); }
static int account_rm(struct managing *m) { return remove_place(m, node_make(NODE_FIXED, 0, SLOT_ACCOUNTS)); }
static int region_add(struct managing *m) { return make_place(m, ROOT_NODE); }
static int region_rm(struct managing *m) { return remove_place(m, ROOT_NODE); }

static int configure(struct managing *m, uint64_t node, const char *const *lines)
{
	AUTO_BUF struct buf text = BUF_INIT;
	join_lines(lines, &text);
	return act_configure(m->service, m->who, node, text.data, m->err);
}

static int account_set(struct managing *m)
{
	struct account a;
	int r = m->fields[0] ? begin_reading(m) : fail(m->err, -EBADMSG, "which account?");
	if (r)
		return r;
	r = find_account(m, m->fields[0], &a);
	cat_end(&m->txn);
	return r ? r : configure(m, node_make(NODE_ACCOUNT, a.no, SLOT_FILE + FILE_ACCOUNT), m->fields + 1);
}

static int region_set(struct managing *m)
{
	struct region g;
	int r = m->fields[0] ? begin_reading(m) : fail(m->err, -EBADMSG, "which region?");
	if (r)
		return r;
	r = find_region(m, m->fields[0], &g);
	cat_end(&m->txn);
	return r ? r : configure(m, node_make(NODE_REGION, g.no, SLOT_FILE + FILE_REGION), m->fields + 1);
}

static uint64_t policy_node(uint32_t account, uint32_t region)
{
	unsigned slot = SLOT_FILE + FILE_POLICY;
	if (account && region)
		return node_make(NODE_PLACE, (uint64_t)account << 16 | region, slot);
	if (account)
		return node_make(NODE_ACCOUNT, account, slot);
	return region ? node_make(NODE_REGION, region, slot) : node_make(NODE_FIXED, 0, slot);
}

static int policy_set(struct managing *m)
{
	struct account a;
	struct region g;
	int r = begin_reading(m);
	if (r)
		return r;
	r = find_scope(m, &a, &g);
	cat_end(&m->txn);
	return r ? r : configure(m, policy_node(a.no, g.no), m->fields + 2);
}

/* ---- requests */

static const struct {
	const char *thing, *verb;
	int (*reads)(struct managing *); /* in a transaction */
	int (*acts)(struct managing *);
} requests[] = {
	{ "account", "list", account_list, NULL },  { "account", "show", account_show, NULL },
	{ "account", "add", NULL, account_add },    { "account", "set", NULL, account_set },
	{ "account", "remove", NULL, account_rm },  { "region", "list", region_list, NULL },
	{ "region", "show", region_show, NULL },    { "region", "add", NULL, region_add },
	{ "region", "set", NULL, region_set },      { "region", "remove", NULL, region_rm },
	{ "policy", "show", policy_show, NULL },    { "policy", "set", NULL, policy_set },
};

/* Cuts `text` at its tabs. A text of a setting has none, nor has it newlines. */
static int split(char *text, const char *ret[FIELDS_MAX])
{
	unsigned n = 0;
	if (strchr(text, '\n'))
		return -EBADMSG;
	for (char *next; text && n + 1 < FIELDS_MAX; text = next) {
		next = strchr(text, '\t');
		if (next)
			*next++ = 0;
		ret[n++] = text;
	}
	ret[n] = NULL;
	return text || n < 2 ? -EBADMSG : 0;
}

int manage(struct service *s, const struct who *w, const char *request, struct buf *ret_facts, struct error *err)
{
	struct managing m = { .service = s, .who = w, .facts = ret_facts, .err = err };
	AUTO_BUF struct buf text = BUF_INIT;
	const char *all[FIELDS_MAX];
	buf_adds(&text, request);
	if (split(text.data, all))
		return fail(err, -EBADMSG, "this is not a request that the daemon knows");
	memcpy(m.fields, all + 2, sizeof all - 2 * sizeof all[0]);
	for (unsigned i = 0; i < sizeof requests / sizeof requests[0]; i++)
		if (strcmp(all[0], requests[i].thing) == 0 && strcmp(all[1], requests[i].verb) == 0)
			return requests[i].reads ? read_with(&m, requests[i].reads) : requests[i].acts(&m);
	return fail(err, -EBADMSG, "this is not a request that the daemon knows");
}
