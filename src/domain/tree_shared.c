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
static void fill_received(struct entry *ret, const struct image *i, const struct share *s)
{
	tree_fill_image(ret, i);
	ret->node = node_shared(i->node);
	ret->generation = (uint32_t)s->no & 0x7fffffff;
}

static void fill_link(struct entry *ret, const struct share *s)
{
	tree_fill_link(ret, node_make(NODE_LINK, s->no, SLOT_DIR), s->created);
	ret->fleeting = true; /* its text follows the image, which may be renamed */
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
	fill_received(&e, &i, s);
	return l->each(l->ctx, name, &e, s->no);
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
	fill_received(ret, &i, &s);
	return 0;
}

/* ---- the makers' box ------------------------------------------------------------------------------------ */

static int list_link(void *ctx, const struct share *s)
{
	struct listing *l = ctx;
	const struct who *w = l->ask->who;
	struct entry e;
	char name[RECEIVED_NAME_MAX + 1];
	fill_link(&e, s);
	if (s->owner == w->account)
		return l->each(l->ctx, s->name, &e, s->no);
	if (!w->is_operator || share_received_name(l->ask->txn, s, name))
		return 0;
	return l->each(l->ctx, name, &e, s->no);
}

static int lookup_link(const struct tree_ask *a, const struct shelf *shelf, const char *name, struct entry *ret)
{
	struct share s;
	int r = share_find(a->txn, shelf->account, shelf->region, a->who->account, name, &s);
	if (r == -ENOENT && a->who->is_operator)
		r = share_find_received(a->txn, shelf->account, shelf->region, name, &s);
	if (r)
		return fail(a->err, r, "there is no link %s of yours here", name);
	fill_link(ret, &s);
	return 0;
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

/* A share whose maker or operator asks. */
static int link_of(const struct tree_ask *a, struct share *ret)
{
	int r = share_get(a->txn, node_number(a->node), ret);
	if (!r && ret->owner != a->who->account && !a->who->is_operator)
		r = -ENOENT;
	return r ? fail(a->err, r == -ENOENT ? -ESTALE : r, "this link is gone") : 0;
}

int tree_attr_link(const struct tree_ask *a, struct entry *ret)
{
	struct share s;
	int r = link_of(a, &s);
	if (!r)
		fill_link(ret, &s);
	return r;
}

/* From accounts/RECEIVER/REGION/shared the root is four levels up. */
int tree_read_link(const struct tree_ask *a, struct buf *ret)
{
	struct share s;
	struct image i;
	int r = link_of(a, &s);
	if (!r)
		r = image_get(a->txn, s.image, &i);
	if (r)
		return r;
	buf_adds(ret, "../../../../");
	image_path_for(a->txn, a->who, &i, ret);
	return 0;
}
