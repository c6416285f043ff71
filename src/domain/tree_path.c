/* SPDX-License-Identifier: Apache-2.0 */
/* tree_path: from numbers back to paths, for people and for links. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "catalog/account.h"
#include "domain/rights.h"
#include "domain/links.h"
#include "domain/names.h"
#include "domain/replace.h"
#include "domain/share.h"
#include "domain/tree_int.h"

static void add_region(struct cat_txn *txn, uint32_t no, struct buf *ret)
{
	struct region region;
	buf_adds(ret, region_get(txn, no, &region) == 0 ? region.name : "?");
}

void image_path(struct cat_txn *txn, const struct image *i, struct buf *ret)
{
	add_region(txn, i->shelf.region, ret);
	buf_addf(ret, "/%s%s/%s", i->shelf.trash ? ".trash/" : "", type_name((enum image_type)i->shelf.type), i->name);
}

static bool is_common(const struct image *i) { return i->shelf.account == 0; }

static int received_path(struct cat_txn *txn, const struct who *w, const struct image *i, struct buf *ret)
{
	struct share s;
	char name[RECEIVED_NAME_MAX + 1];
	int r = share_of(txn, i->node, w->account, &s);
	if (!r)
		r = share_received_name(txn, &s, name);
	if (r)
		return r;
	add_region(txn, i->shelf.region, ret);
	buf_addf(ret, "/shared/%s", name);
	return 0;
}

void image_path_for(struct cat_txn *txn, const struct who *w, const struct image *i, struct buf *ret)
{
	struct account owner;
	if (i->owner != w->account && !is_common(i)) {
		if (received_path(txn, w, i, ret) == 0)
			return;
		buf_addf(ret, "accounts/%s/", account_get(txn, i->owner, &owner) ? "?" : owner.name);
	}
	image_path(txn, i, ret);
}

static void add_link(struct cat_txn *txn, const struct who *w, uint64_t node, struct buf *ret)
{
	struct account receiver;
	struct share s;
	if (share_get(txn, node_number(node), &s) || (s.owner != w->account && !w->is_operator) || account_get(txn, s.receiver, &receiver)) {
		buf_adds(ret, "(a share that is cancelled)");
		return;
	}
	buf_addf(ret, "accounts/%s/", receiver.name);
	add_region(txn, s.region, ret);
	buf_addf(ret, "/shared/%s", s.name);
}

static void add_place(struct cat_txn *txn, uint64_t node, struct buf *ret)
{
	unsigned slot = node_slot(node);
	struct account account;
	if (node_kind(node) == NODE_PLACE) {
		int r = account_get(txn, (uint32_t)(node_number(node) >> 16), &account);
		buf_addf(ret, "accounts/%s/", r ? "?" : account.name);
	}
	add_region(txn, node_kind(node) == NODE_PLACE ? node_number(node) & 0xffff : (uint32_t)node_number(node), ret);
	if (slot >= SLOT_FILE)
		buf_addf(ret, "/%s", tree_file_name((enum tree_file)(slot - SLOT_FILE)));
	else if (slot >= SLOT_TRASH_TYPE)
		buf_addf(ret, "/.trash/%s", type_name((enum image_type)(slot - SLOT_TRASH_TYPE)));
	else if (slot == SLOT_TRASH)
		buf_adds(ret, "/.trash");
	else if (slot >= SLOT_TYPE)
		buf_addf(ret, "/%s", type_name((enum image_type)(slot - SLOT_TYPE)));
}

static void add_image(struct cat_txn *txn, const struct who *w, uint64_t node, struct buf *ret)
{
	struct image i;
	unsigned slot = node_slot(node);
	if (image_get(txn, node_number(node), &i) || may(txn, w, MAY_SEE, NULL, &i, NULL)) {
		buf_adds(ret, "(an image that is gone)");
		return;
	}
	image_path_for(txn, w, &i, ret);
	if (slot == SLOT_DIR)
		return;
	buf_addf(ret, "/%s", slot >= SLOT_IMAGE_FILE ? tree_file_name((enum tree_file)(slot - SLOT_IMAGE_FILE))
			     : slot == SLOT_LINK     ? (i.shelf.type == TYPE_INSTANCE ? "image" : "from")
			     : slot == SLOT_OWNER    ? "owner"
			     : slot == SLOT_REVIEWED ? "reviewed"
			     : slot == SLOT_REPLACED ? "replaced-by"
						     : setting_name((enum setting_key)slot));
}

static void add_disk(struct cat_txn *txn, const struct who *w, uint64_t node, struct buf *ret)
{
	struct disk_row row;
	struct image i;
	if (disk_row_get(txn, node_number(node), &row) || image_get(txn, row.image, &i) || may(txn, w, MAY_SEE, NULL, &i, NULL)) {
		buf_adds(ret, "(a disk that is gone)");
		return;
	}
	image_path_for(txn, w, &i, ret);
	buf_addf(ret, "/%s", i.disk == row.no && image_disk_name(&i)[0] ? image_disk_name(&i) : "(an upload)");
}

static void add_fixed(uint64_t node, struct buf *ret)
{
	if (node_slot(node) >= SLOT_FILE)
		buf_adds(ret, tree_file_name((enum tree_file)(node_slot(node) - SLOT_FILE)));
	else
		buf_adds(ret, node == ROOT_NODE ? "" : "accounts");
}

static void add_account(struct cat_txn *txn, uint64_t node, struct buf *ret)
{
	struct account account;
	int r = account_get(txn, (uint32_t)node_number(node), &account);
	buf_addf(ret, "accounts/%s", r ? "?" : account.name);
	if (node_slot(node) >= SLOT_FILE)
		buf_addf(ret, "/%s", tree_file_name((enum tree_file)(node_slot(node) - SLOT_FILE)));
}

void tree_path(struct service *s, const struct who *w, uint64_t node, struct buf *ret)
{
	struct cat_txn *txn;
	if (cat_begin(s->catalog, &txn, NULL)) {
		buf_adds(ret, "?");
		return;
	}
	switch (node_kind(node)) {
	case NODE_FIXED: add_fixed(node, ret); break;
	case NODE_REGION:
	case NODE_PLACE: add_place(txn, node, ret); break;
	case NODE_ACCOUNT: add_account(txn, node, ret); break;
	case NODE_IMAGE:
	case NODE_SHARED: add_image(txn, w, node, ret); break;
	case NODE_LINK: add_link(txn, w, node, ret); break;
	case NODE_DISK: add_disk(txn, w, node, ret); break;
	case NODE_BILLS: tree_bills_path(txn, node, ret); break;
	default: buf_adds(ret, "?");
	}
	cat_end(&txn);
}

void tree_hide_lineage(const struct tree_ask *a, struct image *i)
{
	struct image origin;
	if (!i->from || i->owner == a->who->account || a->who->is_operator)
		return;
	if (image_by_id(a->txn, i->from, &origin) || may(a->txn, a->who, MAY_SEE, NULL, &origin, NULL))
		i->from = 0;
}

void tree_show_replacement(const struct tree_ask *a, struct image *i)
{
	struct image origin;
	if (i->shelf.type == TYPE_INSTANCE)
		i->replaced_by = replace_origin(a->txn, a->who, i, &origin) ? 0 : origin.replaced_by;
}

/* The root, as seen from inside an image's directory: three levels up, from the trash four. */
static void add_way_up(const struct tree_ask *a, const struct image *i, struct buf *ret)
{
	struct share s;
	bool elsewhere = i->owner != a->who->account && !is_common(i) && share_of(a->txn, i->node, a->who->account, &s);
	buf_adds(ret, i->shelf.trash ? "../../../../" : "../../../");
	buf_adds(ret, elsewhere ? "../../" : ""); /* in accounts/OWNER */
}

/* What an image was made from. Where the origin is gone, the link still says where it was. */
static int read_lineage(const struct tree_ask *a, const struct image *i, struct buf *ret)
{
	struct image origin;
	add_way_up(a, i, ret);
	if (image_by_id(a->txn, i->from, &origin) == 0 && !origin.shelf.trash &&
	    may(a->txn, a->who, MAY_SEE, NULL, &origin, NULL) == 0)
		image_path_for(a->txn, a->who, &origin, ret);
	else /* with its id: another image that has the name by now must not be taken for it */
		buf_addf(ret, "%s@img-%08llx", i->from_text, (unsigned long long)i->from);
	return 0;
}

/* Beside a deprecated image it is enough to go up one level. */
static int read_replacement(const struct tree_ask *a, const struct image *i, struct buf *ret)
{
	AUTO_BUF struct buf path = BUF_INIT;
	struct image origin;
	bool instance = i->shelf.type == TYPE_INSTANCE;
	if (!i->replaced_by || (instance && replace_origin(a->txn, a->who, i, &origin)))
		return fail(a->err, -ENOENT, "there is no such link");
	(void)replace_path(a->txn, a->who, instance ? &origin : i, &path);
	if (instance)
		add_way_up(a, i, ret);
	buf_addf(ret, "%s%s", instance ? "" : "..", instance ? path.data : strrchr(path.data, '/'));
	return 0;
}

static int read_kept_link(const struct tree_ask *a, const struct image *i, unsigned slot, struct buf *ret)
{
	char text[1024];
	int r = link_text(a->txn, i->node, (uint8_t)(SET_LINK + slot - SLOT_KEPT_LINK), text);
	if (!r)
		buf_adds(ret, text);
	return r;
}

static int read_link_of_image(const struct tree_ask *a, const struct image *i, unsigned slot, struct buf *ret)
{
	struct image shown = *i;
	if (slot == SLOT_DIR) {
		buf_adds(ret, i->target);
		return i->kind == KIND_ALIAS ? 0 : -EINVAL;
	}
	tree_hide_lineage(a, &shown);
	tree_show_replacement(a, &shown);
	if (slot == SLOT_REPLACED)
		return read_replacement(a, &shown, ret);
	if (slot == SLOT_LINK)
		return shown.from ? read_lineage(a, &shown, ret) : fail(a->err, -ENOENT, "there is no such link");
	return slot >= SLOT_KEPT_LINK && slot <= SLOT_KEPT_LINK + SET_LINK_MAX - SET_LINK ? read_kept_link(a, i, slot, ret) : -EINVAL;
}

/* From accounts/RECEIVER/REGION/shared the root is four levels up. */
static int read_share(const struct tree_ask *a, const struct share *s, struct buf *ret)
{
	struct image i;
	int r = image_get(a->txn, s->image, &i);
	if (r)
		return r;
	buf_adds(ret, "../../../../");
	image_path_for(a->txn, a->who, &i, ret);
	return 0;
}

int tree_link_text(const struct tree_ask *a, uint64_t node, const struct tree_rows *rows, struct buf *ret)
{
	if (node_kind(node) == NODE_ACCOUNT && node_slot(node) == SLOT_SELF) {
		buf_adds(ret, "..");
		return 0;
	}
	return rows->share ? read_share(a, rows->share, ret) : read_link_of_image(a, rows->image, node_slot(node), ret);
}

static int read_link(const struct tree_ask *a, struct buf *ret)
{
	struct image i;
	struct share s;
	struct tree_rows rows = { .image = &i };
	int r = 0;
	if (node_kind(a->node) == NODE_LINK) {
		r = tree_may_see_link(a, &s);
		rows = (struct tree_rows){ .share = &s };
	} else if (node_is_in_image(a->node)) {
		r = image_get(a->txn, node_number(a->node), &i);
		if (!r)
			r = may(a->txn, a->who, MAY_SEE, NULL, &i, a->err);
		r = r ? fail(a->err, -ESTALE, "this link is gone") : 0;
	} else if (node_kind(a->node) != NODE_ACCOUNT || node_slot(a->node) != SLOT_SELF) {
		r = -EINVAL;
	}
	return r ? r : tree_link_text(a, a->node, &rows, ret);
}

int tree_readlink(struct service *s, const struct who *w, uint64_t node, char ret[1024], struct error *err)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct tree_ask a = { s, w, NULL, node, err };
	int r = cat_begin(s->catalog, &a.txn, err);
	if (r)
		return r;
	r = read_link(&a, &text);
	cat_end(&a.txn);
	if (!r)
		snprintf(ret, 1024, "%s", text.data ? text.data : "");
	return r;
}
