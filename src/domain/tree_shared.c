/* SPDX-License-Identifier: Apache-2.0 */
/* tree_shared: what is shared, from both sides.
 *
 * REGION/shared is the receiver's: directories NAME@OWNER. accounts/RECEIVER/REGION/shared is the makers' box: each sees links of
 * their own there, called NAME; operators see everybody's, as NAME@OWNER. A cookie is the number of a share. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "domain/rights.h"
#include "domain/share.h"
#include "domain/tree_int.h"

struct listing {
	const struct tree_ask *ask;
	tree_each each;
	void *ctx;
};

/* What was declined may be shared again: the same image, in another directory than the one that was removed. */
uint32_t tree_link_generation(const struct share *s) { return (uint32_t)s->no & 0x7fffffff; }

static int fill_received(const struct tree_ask *a, struct entry *ret, const struct image *i, const struct share *s)
{
	return tree_entry(a, node_shared(i->node), &(struct tree_rows){ .image = i, .share = s }, ret);
}

static int fill_link(const struct tree_ask *a, struct entry *ret, const struct share *s)
{
	return tree_entry(a, node_make(NODE_LINK, s->no, SLOT_DIR), &(struct tree_rows){ .share = s }, ret);
}

/* ---- the receiver's shelf ----------------------------------------------------------------------------- */

static int list_received(void *ctx, const struct share *s)
{
	struct listing *l = ctx;
	struct cat_txn *txn = l->ask->txn;
	struct image i;
	struct entry e;
	char name[RECEIVED_NAME_MAX + 1];
	if (image_get(txn, s->image, &i) || may(txn, l->ask->who, MAY_SEE, NULL, &i, NULL) || share_received_name(txn, s, name))
		return 0;
	int r = fill_received(l->ask, &e, &i, s);
	return r ? r : l->each(l->ctx, name, &e, s->no);
}

static int lookup_received(const struct tree_ask *a, const struct shelf *shelf, const char *name, struct entry *ret)
{
	struct share s;
	struct image i;
	int r = share_find_received(a->txn, shelf->account, shelf->region, name, &s);
	if (!r)
		r = image_get(a->txn, s.image, &i);
	if (!r)
		r = may(a->txn, a->who, MAY_SEE, NULL, &i, a->err);
	if (r)
		return fail(a->err, r, "there is nothing called %s here", name);
	return fill_received(a, ret, &i, &s);
}

/* ---- the makers' box ------------------------------------------------------------------------------------ */

static int list_link(void *ctx, const struct share *s)
{
	struct listing *l = ctx;
	const struct who *w = l->ask->who;
	struct entry e;
	char name[RECEIVED_NAME_MAX + 1];
	bool own = s->owner == w->account;
	if (!own && (!w->is_operator || share_received_name(l->ask->txn, s, name)))
		return 0;
	int r = fill_link(l->ask, &e, s);
	return r ? r : l->each(l->ctx, own ? s->name : name, &e, s->no);
}

static int lookup_link(const struct tree_ask *a, const struct shelf *shelf, const char *name, struct entry *ret)
{
	struct share s;
	int r = share_find(a->txn, shelf->account, shelf->region, a->who->account, name, &s);
	if (r == -ENOENT && a->who->is_operator)
		r = share_find_received(a->txn, shelf->account, shelf->region, name, &s);
	if (r)
		return fail(a->err, r, "there is no link %s of yours here", name);
	return fill_link(a, ret, &s);
}

/* ---- both ------------------------------------------------------------------------------------------------- */

static bool is_box(const struct tree_ask *a)
{
	return node_kind(a->node) == NODE_PLACE;
}

int tree_list_shared(const struct tree_ask *a, const struct shelf *shelf, uint64_t cookie, tree_each each, void *ctx)
{
	struct listing l = { a, each, ctx };
	return share_each_to(a->txn, shelf->account, shelf->region, cookie, is_box(a) ? list_link : list_received, &l);
}

int tree_lookup_shared(const struct tree_ask *a, const struct shelf *shelf, const char *name, struct entry *ret)
{
	return is_box(a) ? lookup_link(a, shelf, name, ret) : lookup_received(a, shelf, name, ret);
}

/* Its maker and operators. */
int tree_may_see_link(const struct tree_ask *a, struct share *ret)
{
	int r = share_get(a->txn, node_number(a->node), ret);
	if (!r && ret->owner != a->who->account && !a->who->is_operator)
		r = -ENOENT;
	return r ? fail(a->err, r == -ENOENT ? -ESTALE : r, "this link is gone") : 0;
}
