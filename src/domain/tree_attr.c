/* SPDX-License-Identifier: Apache-2.0 */
/* tree_attr: attributes, all made by tree_entry().
 *
 * Sizes are true: that of a link is its text's length for this viewer, that of a setting its value's. Only the size of a generated file is not known
 * here: making its text to measure it is left to whoever asks for that one file (front/texts.h). */
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "catalog/account.h"
#include "domain/disks.h"
#include "catalog/share_tab.h"
#include "catalog/shelf_tab.h"
#include "domain/rights.h"
#include "domain/tree_int.h"
#include "domain/upload.h"

/* ---- what entries are made of ------------------------------------------------------------------------ */

static int fill_dir(struct entry *e, uint64_t node, int64_t time)
{
	*e = (struct entry){ .node = node, .mode = S_IFDIR | 0755, .mtime = time, .ctime = time };
	return 0;
}

static int fill_file(struct entry *e, uint64_t node, int64_t time, bool writable)
{
	*e = (struct entry){ .node = node, .mode = S_IFREG | (writable ? 0644 : 0444), .mtime = time, .ctime = time, .fleeting = true };
	return 0;
}

/* One that a copying program has just brought along, and only it sees, has no text. */
static int fill_link(const struct tree_ask *a, struct entry *e, uint64_t node, int64_t time, const struct tree_rows *rows)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct tree_ask quiet = *a;
	quiet.err = NULL;
	*e = (struct entry){ .node = node, .mode = S_IFLNK | 0777, .mtime = time, .ctime = time };
	int r = tree_link_text(&quiet, node, rows, &text);
	e->size = r ? 0 : text.len;
	return r == -ENOENT ? 0 : r;
}

/* ---- places ------------------------------------------------------------------------------------------- */

uint64_t tree_account_node(const struct who *w, const struct account *account)
{
	return node_make(NODE_ACCOUNT, account->no, account->no == w->account ? SLOT_SELF : SLOT_DIR);
}

static int fill_generated(const struct tree_ask *a, struct entry *e, uint64_t node)
{
	return fill_file(e, node, a->service->started, tree_may_write(a->who, node));
}

static int entry_fixed(const struct tree_ask *a, uint64_t node, struct entry *ret)
{
	return node_slot(node) >= SLOT_FILE ? fill_generated(a, ret, node) : fill_dir(ret, node, a->service->started);
}

/* When a name that this viewer sees last came to a shelf or went from it. */
static int time_of_shelf(const struct tree_ask *a, uint64_t node, int64_t *time)
{
	struct shelf shelf;
	bool box = node_kind(node) == NODE_PLACE;
	if (!tree_shelf(a->who, node, &shelf))
		return 0;
	box &= shelf.type == TYPE_SHARED;
	int r = box ? 0 : shelf_time(a->txn, &shelf, AUDIENCE_ALL, time);
	if (!r)
		r = shelf_time(a->txn, &shelf, a->who->account, time);
	return r || !a->who->is_operator ? r : shelf_time(a->txn, &shelf, AUDIENCE_OPERATORS, time);
}

/* A region, or an account's part of it, and what is directly in it. */
static int entry_place(const struct tree_ask *a, uint64_t node, const struct tree_rows *rows, struct entry *ret)
{
	struct region read;
	const struct region *region = rows->region;
	uint32_t no = node_kind(node) == NODE_PLACE ? node_number(node) & 0xffff : (uint32_t)node_number(node);
	int r = region ? 0 : region_get(a->txn, no, &read);
	if (r)
		return fail(a->err, r == -ENOENT ? -ESTALE : r, "this region is gone");
	if (node_slot(node) >= SLOT_FILE)
		return fill_generated(a, ret, node);
	int64_t time = (region ? region : &read)->created;
	r = time_of_shelf(a, node, &time);
	return r ? r : fill_dir(ret, node, time);
}

static int entry_account(const struct tree_ask *a, uint64_t node, const struct tree_rows *rows, struct entry *ret)
{
	struct account read;
	const struct account *account = rows->account;
	int r = account ? 0 : account_get(a->txn, (uint32_t)node_number(node), &read);
	if (r)
		return fail(a->err, r == -ENOENT ? -ESTALE : r, "this account is gone");
	int64_t created = (account ? account : &read)->created;
	if (node_slot(node) == SLOT_SELF)
		return fill_link(a, ret, node, created, rows);
	return node_slot(node) >= SLOT_FILE ? fill_generated(a, ret, node) : fill_dir(ret, node, created);
}

static int entry_bills(const struct tree_ask *a, uint64_t node, struct entry *ret)
{
	int64_t closed = tree_bill_time(node);
	if (node_slot(node) == SLOT_DIR)
		return fill_dir(ret, node, a->service->started);
	return fill_file(ret, node, closed ? closed : a->service->started, false);
}

static int entry_share(const struct tree_ask *a, uint64_t node, const struct tree_rows *rows, struct entry *ret)
{
	struct share read;
	const struct share *share = rows->share;
	int r = share ? 0 : share_get(a->txn, node_number(node), &read);
	if (r)
		return fail(a->err, r == -ENOENT ? -ESTALE : r, "this link is gone");
	share = share ? share : &read;
	r = fill_link(a, ret, node, share->created, &(struct tree_rows){ .share = share });
	ret->fleeting = true; /* its text follows the image, which may be renamed */
	return r;
}

/* ---- images ------------------------------------------------------------------------------------------- */

/* The directory of a received image is another one each time that the image is shared. */
static int entry_dir(const struct tree_ask *a, uint64_t node, const struct image *i, const struct share *share, struct entry *ret)
{
	struct share read;
	if (i->kind == KIND_ALIAS)
		return fill_link(a, ret, node, i->changed, &(struct tree_rows){ .image = i });
	(void)fill_dir(ret, node, i->created);
	ret->ctime = i->changed;
	ret->mode = S_IFDIR | (i->is_protected ? 0555 : 0755);
	if (i->shelf.type == TYPE_MARKETPLACE && !i->published)
		ret->mode &= ~(mode_t)077;
	if (node_kind(node) != NODE_SHARED)
		return 0;
	int r = share ? 0 : share_of(a->txn, i->node, a->who->account, &read);
	ret->generation = r ? 0 : tree_link_generation(share ? share : &read);
	return r == -ENOENT ? 0 : r;
}

/* Also one that has no value yet: somebody has just made it, and is going to write that. */
static int entry_setting(const struct tree_ask *a, uint64_t node, const struct image *i, struct entry *ret)
{
	char value[SETTING_MAX + 1];
	unsigned len = 0;
	int64_t time = 0;
	enum setting_key key = (enum setting_key)node_slot(node);
	int r = setting_get(a->txn, i->node, (uint8_t)key, value, sizeof value, &len);
	if (!r)
		r = setting_time(a->txn, i->node, (uint8_t)key, &time);
	if (r && r != -ENOENT)
		return r;
	(void)fill_file(ret, node, i->changed, may(a->txn, a->who, verb_of_setting(key), NULL, i, NULL) == 0);
	ret->size = len;
	ret->mtime = time ? time : i->changed;
	return 0;
}

static int entry_computed(const struct tree_ask *a, uint64_t node, const struct image *i, struct entry *ret)
{
	AUTO_BUF struct buf text = BUF_INIT;
	int r = tree_computed_text(a, i, node_slot(node), &text);
	(void)fill_file(ret, node, i->created, false);
	ret->size = text.len;
	return r;
}

static int entry_in_image(const struct tree_ask *a, uint64_t node, const struct image *i, struct entry *ret)
{
	unsigned slot = node_slot(node);
	if (slot < SET_MAX_)
		return entry_setting(a, node, i, ret);
	if (slot == SLOT_OWNER || slot == SLOT_REVIEWED)
		return entry_computed(a, node, i, ret);
	if (slot >= SLOT_IMAGE_FILE)
		return fill_file(ret, node, i->changed, false);
	int r = fill_link(a, ret, node, slot == SLOT_LINK ? i->created : i->changed, &(struct tree_rows){ .image = i });
	ret->fleeting = true;
	return r;
}

static int entry_image(const struct tree_ask *a, uint64_t node, const struct tree_rows *rows, struct entry *ret)
{
	struct image read;
	const struct image *i = rows->image;
	int r = i ? 0 : image_get(a->txn, node_number(node), &read);
	if (r)
		return fail(a->err, r == -ENOENT ? -ESTALE : r, "this image is gone");
	i = i ? i : &read;
	return node_slot(node) == SLOT_DIR ? entry_dir(a, node, i, rows->share, ret) : entry_in_image(a, node, i, ret);
}

/* What a disk that is written says is in its row only when it is folded. */
static int ask_disk(const struct tree_ask *a, const struct image *i, const struct disk_row *row, struct entry *e)
{
	struct disk *disk;
	if (row->no == i->disk && image_is_settled(i) && i->shelf.type != TYPE_INSTANCE)
		return 0;
	int r = disks_get(a->service->disks, row->no, &disk, a->err);
	if (r)
		return r;
	e->size = disk_size(disk);
	e->stored = row->stored + disk_overlay_stored(disk);
	if (image_is_running(i) && disk_mtime(disk))
		e->mtime = disk_mtime(disk);
	if (image_is_running(i))
		e->ctime = MAX(e->ctime, e->mtime);
	if (!image_is_settled(i))
		e->mtime = 0;
	disks_put(a->service->disks, &disk);
	return 0;
}

static int entry_disk(const struct tree_ask *a, uint64_t node, const struct tree_rows *rows, struct entry *ret)
{
	struct disk_row row;
	struct image read;
	const struct image *i = rows->image;
	int r = disk_row_get(a->txn, node_number(node), &row);
	if (!r && !i)
		r = image_get(a->txn, row.image, &read);
	if (r)
		return fail(a->err, r == -ENOENT ? -ESTALE : r, "this disk is gone");
	i = i ? i : &read;
	*ret = (struct entry){ .node = node, .mode = S_IFREG | 0644, .size = row.size, .stored = row.stored, .mtime = row.mtime,
			       .ctime = i->changed, .fleeting = true };
	return ask_disk(a, i, &row, ret);
}

int tree_entry(const struct tree_ask *a, uint64_t node, const struct tree_rows *rows, struct entry *ret)
{
	static const struct tree_rows none = { .image = NULL };
	rows = rows ? rows : &none;
	switch (node_kind(node)) {
	case NODE_FIXED: return entry_fixed(a, node, ret);
	case NODE_REGION:
	case NODE_PLACE: return entry_place(a, node, rows, ret);
	case NODE_ACCOUNT: return entry_account(a, node, rows, ret);
	case NODE_IMAGE:
	case NODE_SHARED: return entry_image(a, node, rows, ret);
	case NODE_LINK: return entry_share(a, node, rows, ret);
	case NODE_BILLS: return entry_bills(a, node, ret);
	case NODE_DISK: return entry_disk(a, node, rows, ret);
	default: return fail(a->err, -ENOENT, "there is no such file");
	}
}

/* ---- by number ----------------------------------------------------------------------------------------- */

/* What others may not see is as gone as what was deleted. */
static int may_see_image(const struct tree_ask *a, struct image *ret)
{
	struct disk_row row = { .image = node_number(a->node) };
	bool disk = node_kind(a->node) == NODE_DISK;
	int r = disk ? disk_row_get(a->txn, node_number(a->node), &row) : 0;
	if (!r)
		r = image_get(a->txn, row.image, ret);
	if (!r)
		r = may(a->txn, a->who, MAY_SEE, NULL, ret, a->err);
	return r ? fail(a->err, -ESTALE, "this %s is gone", disk ? "disk" : "image") : 0;
}

static int attr(const struct tree_ask *a, struct entry *ret)
{
	struct image image;
	struct share share;
	struct tree_rows rows = { .image = NULL };
	int r = 0;
	switch (node_kind(a->node)) {
	case NODE_IMAGE:
	case NODE_SHARED:
	case NODE_DISK:
		r = may_see_image(a, &image);
		rows.image = &image;
		break;
	case NODE_LINK:
		r = tree_may_see_link(a, &share);
		rows.share = &share;
		break;
	case NODE_BILLS: r = tree_may_see_bills(a); break;
	default: break;
	}
	return r ? r : tree_entry(a, a->node, &rows, ret);
}

int tree_attr(struct service *s, const struct who *w, uint64_t node, struct entry *ret, struct error *err)
{
	struct tree_ask a = { s, w, NULL, node, err };
	int r = cat_begin(s->catalog, &a.txn, err);
	if (r)
		return r;
	r = attr(&a, ret);
	cat_end(&a.txn);
	return r;
}
