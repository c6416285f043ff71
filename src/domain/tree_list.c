/* SPDX-License-Identifier: Apache-2.0 */
/* tree_list: directory listings.
 *
 * A cookie says where to go on and means the same after a restart: on shelves it is the row's number (rows that come
 * later have higher ones, so a listing that goes on never skips or repeats), elsewhere a fixed place. In an image the disk comes first:
 * what removes a directory removes in this order, and the unlink of the disk is what moves the image to the trash. */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "catalog/account.h"
#include "domain/rights.h"
#include "domain/ledger.h"
#include "domain/names.h"
#include "domain/tree_int.h"

struct walk {
	const struct tree_ask *ask;
	tree_each each;
	void *ctx;
	uint64_t dir;
};

/* Generated files of a directory: cookies 1 … FILE_MAX_. */
static int list_files(const struct walk *w, uint64_t cookie)
{
	for (uint64_t f = cookie; f < FILE_MAX_; f++) {
		struct entry e;
		if (!tree_has_file(w->ask->who, w->dir, (enum tree_file)f))
			continue;
		int r = tree_entry(w->ask, node_beside(w->dir, SLOT_FILE + (unsigned)f), NULL, &e);
		if (!r)
			r = w->each(w->ctx, tree_file_name((enum tree_file)f), &e, f + 1);
		if (r)
			return r;
	}
	return 0;
}

#define COOKIE_BILLS 18u /* and 19 */
#define COOKIE_ACCOUNTS 20u
#define COOKIE_NUMBERS 100u /* + number of a region, account … */

static int list_region(void *ctx, const struct region *region)
{
	struct walk *w = ctx;
	struct entry e;
	uint64_t node = node_kind(w->dir) == NODE_ACCOUNT
				? node_make(NODE_PLACE, node_number(w->dir) << 16 | region->no, SLOT_DIR)
				: node_make(NODE_REGION, region->no, SLOT_DIR);
	int r = tree_entry(w->ask, node, &(struct tree_rows){ .region = region }, &e);
	return r ? r : w->each(w->ctx, region->name, &e, COOKIE_NUMBERS + region->no);
}

static int list_account(void *ctx, const struct account *account)
{
	struct walk *w = ctx;
	struct entry e;
	int r = tree_entry(w->ask, tree_account_node(w->ask->who, account), &(struct tree_rows){ .account = account }, &e);
	return r ? r : w->each(w->ctx, account->name, &e, COOKIE_NUMBERS + account->no);
}

static uint32_t after_number(uint64_t cookie) { return cookie > COOKIE_NUMBERS ? (uint32_t)(cookie - COOKIE_NUMBERS) : 0; }

static int list_root(struct walk *w, uint64_t cookie)
{
	struct entry e;
	int r = list_files(w, cookie);
	if (!r)
		r = tree_list_bills_dir(w->ask, cookie, COOKIE_BILLS, w->each, w->ctx);
	if (!r && cookie < COOKIE_ACCOUNTS) {
		r = tree_entry(w->ask, node_make(NODE_FIXED, 0, SLOT_ACCOUNTS), NULL, &e);
		if (!r)
			r = w->each(w->ctx, "accounts", &e, COOKIE_ACCOUNTS);
	}
	return r ? r : region_each(w->ask->txn, after_number(cookie), list_region, w);
}

static int list_accounts(struct walk *w, uint64_t cookie)
{
	int r = tree_list_bills_dir(w->ask, cookie, COOKIE_BILLS, w->each, w->ctx);
	return r ? r : account_each(w->ask->txn, after_number(cookie), list_account, w);
}

static int list_types(struct walk *w, uint64_t cookie)
{
	bool top = node_slot(w->dir) == SLOT_DIR;
	int r = top ? list_files(w, cookie) : 0;
	for (unsigned t = 0; t < TYPE_MAX_ && !r; t++) {
		struct entry e;
		if (COOKIE_NUMBERS + t < cookie || (top && !tree_place_shows(w->ask->who, w->dir, (enum image_type)t)) ||
		    (!top && t == TYPE_SHARED))
			continue;
		r = tree_entry(w->ask, node_beside(w->dir, (top ? SLOT_TYPE : SLOT_TRASH_TYPE) + t), NULL, &e);
		if (!r)
			r = w->each(w->ctx, type_name((enum image_type)t), &e, COOKIE_NUMBERS + t + 1);
	}
	return r;
}

static int list_row(void *ctx, const struct image *image)
{
	struct walk *w = ctx;
	struct entry e;
	if (may(w->ask->txn, w->ask->who, MAY_SEE, NULL, image, NULL))
		return 0;
	int r = tree_entry(w->ask, node_image(image->node, SLOT_DIR), &(struct tree_rows){ .image = image }, &e);
	return r ? r : w->each(w->ctx, image->name, &e, image->node);
}

/* ---- inside an image: cookie 1 is the disk, then settings by key, computed ones, uploads ---------------- */

#define COOKIE_SETTING 2u
#define COOKIE_COMPUTED 150u

struct image_walk {
	struct walk *walk;
	const struct image *image, *shown; /* its row; and without what this viewer may not see of it */
	uint64_t cookie;
};

/* An entry of its directory. A row that is gone is not listed. */
static int list_node(struct image_walk *w, const char *name, uint64_t node, uint64_t cookie)
{
	struct entry e;
	int r = tree_entry(w->walk->ask, node, &(struct tree_rows){ .image = w->image }, &e);
	if (r)
		return r == -ENOENT || r == -ESTALE ? 0 : r;
	return w->walk->each(w->walk->ctx, name, &e, cookie);
}

static int list_setting(void *ctx, uint8_t key, const char *value, unsigned len)
{
	struct image_walk *w = ctx;
	uint64_t cookie = COOKIE_SETTING + key;
	(void)value, (void)len;
	/* The terms of an instance are no files of it. */
	if (key >= SET_MAX_ || cookie <= w->cookie ||
	    !setting_by_name(setting_name((enum setting_key)key), (enum image_type)w->image->shelf.type))
		return 0;
	return list_node(w, setting_name((enum setting_key)key), node_image(w->image->node, key), cookie);
}

/* The link of an instance that names what is not there (yet). */
static int list_kept_link(struct image_walk *w, uint8_t key, const char *value)
{
	uint64_t cookie = COOKIE_SETTING + key;
	bool listed = cookie > w->cookie && strcmp(value, "image") == 0 && !w->shown->from;
	return listed ? list_node(w, "image", node_image(w->image->node, SLOT_KEPT_LINK + key - SET_LINK), cookie) : 0;
}

/* Uploads that are under way show under their names unless those begin with a dot: what nobody finished must be seen. */
static int list_scratch(void *ctx, uint8_t key, const char *value, unsigned len)
{
	struct image_walk *w = ctx;
	char name[256];
	uint64_t cookie = COOKIE_SETTING + key;
	if (key >= SET_LINK && key <= SET_LINK_MAX)
		return list_kept_link(w, key, value);
	if (key < SET_SCRATCH || key > SET_SCRATCH_MAX || len <= 8 || len - 8 >= sizeof name || cookie <= w->cookie ||
	    value[8] == '.' || get_le64(value) == w->image->disk)
		return 0;
	memcpy(name, value + 8, len - 8);
	name[len - 8] = 0;
	return list_node(w, name, node_disk(get_le64(value)), cookie);
}

static int list_computed(struct image_walk *w)
{
	static const char *const names[] = { "from", "image", "owner", "reviewed", "replaced-by" };
	int r = 0;
	for (unsigned n = 0; n < sizeof names / sizeof names[0] && !r; n++) {
		uint64_t node, cookie = COOKIE_COMPUTED + n + 1;
		if (cookie > w->cookie && tree_computed(w->shown, w->walk->dir, names[n], &node) == 0)
			r = list_node(w, names[n], node, cookie);
	}
	return r;
}

static int list_image(struct walk *w, uint64_t cookie)
{
	struct image i;
	int r = image_get(w->ask->txn, node_number(w->dir), &i);
	if (!r)
		r = may(w->ask->txn, w->ask->who, MAY_SEE, NULL, &i, w->ask->err);
	if (r)
		return fail(w->ask->err, -ESTALE, "this image is gone");
	struct image shown = i;
	tree_hide_lineage(w->ask, &shown);
	tree_show_replacement(w->ask, &shown);
	struct image_walk in = { w, &i, &shown, cookie };
	if (cookie < 1 && i.disk && image_disk_name(&i)[0] != '.')
		r = list_node(&in, image_disk_name(&i), node_disk(i.disk), 1);
	if (!r)
		r = setting_each(w->ask->txn, i.node, list_setting, &in);
	if (!r)
		r = list_computed(&in);
	return r ? r : setting_each(w->ask->txn, i.node, list_scratch, &in);
}

static int list(struct walk *w, uint64_t cookie)
{
	struct shelf shelf;
	if (tree_shelf(w->ask->who, w->dir, &shelf)) {
		int r = may(w->ask->txn, w->ask->who, MAY_LIST, &shelf, NULL, w->ask->err);
		if (r || shelf.type == TYPE_SHARED)
			return r ? r : tree_list_shared(w->ask, &shelf, cookie, w->each, w->ctx);
		return image_each(w->ask->txn, &shelf, cookie, list_row, w);
	}
	switch (node_kind(w->dir)) {
	case NODE_FIXED:
		return w->dir == ROOT_NODE ? list_root(w, cookie) : list_accounts(w, cookie);
	case NODE_REGION:
	case NODE_PLACE: return list_types(w, cookie);
	case NODE_BILLS: return tree_list_bills(w->ask, cookie, w->each, w->ctx);
	case NODE_ACCOUNT: {
		int r = list_files(w, cookie);
		if (!r)
			r = tree_list_bills_dir(w->ask, cookie, COOKIE_BILLS, w->each, w->ctx);
		return r ? r : region_each(w->ask->txn, after_number(cookie), list_region, w);
	}
	case NODE_IMAGE:
	case NODE_SHARED: return list_image(w, cookie);
	default: return fail(w->ask->err, -ENOTDIR, "that is not a directory");
	}
}

int tree_list(struct service *s, const struct who *who, uint64_t dir, uint64_t cookie, tree_each each, void *ctx,
	      struct error *err)
{
	struct tree_ask a = { s, who, NULL, dir, err };
	struct walk w = { &a, each, ctx, dir };
	int r = node_kind(dir) == NODE_BILLS ? ledger_roll(s, err) : 0; /* a month that is over has a bill */
	if (!r)
		r = cat_begin(s->catalog, &a.txn, err);
	if (r)
		return r;
	r = list(&w, cookie);
	cat_end(&a.txn);
	return r > 0 ? 0 : r;
}
