/* SPDX-License-Identifier: Apache-2.0 */
/* act_make: mkdir, symlink and create: regions, accounts, images, aliases, and files in images. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "catalog/account.h"
#include "domain/act.h"
#include "domain/acts.h"
#include "domain/dedup.h"
#include "domain/market.h"
#include "domain/names.h"
#include "domain/policy.h"
#include "domain/replace.h"
#include "domain/rights.h"
#include "domain/scratch.h"
#include "domain/share.h"
#include "domain/start.h"
#include "domain/tree_int.h"

/* ---- mkdir ------------------------------------------------------------------------------------- */

static int make_region(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct region g = { .copy = true, .mainland = true, .types = (1 << TYPE_MAX_) - 1, .free_storage = (uint64_t)50 << 30,
			    .storage_price = "0", .windows_fee = "0", .instance_price = "0", .created = clock_real() }, other;
	int r = may(txn, a->who, MAY_MANAGE, NULL, NULL, err);
	if (!r)
		r = name_check_place("a region", a->name, err);
	if (r)
		return r;
	if (region_find(txn, a->name, &other) == 0)
		return fail(err, -EEXIST, "there is a region %s already", a->name);
	if (a->text) {
		act_tell_text(a);
		r = region_take(&g, a->text, err);
	}
	if (r)
		return r;
	g.no = (uint32_t)cat_next(txn, COUNTER_REGION);
	if (g.no > 0xffff)
		return fail(err, -ENOSPC, "a store can have 65535 regions in its life");
	snprintf(g.name, sizeof g.name, "%s", a->name);
	snprintf(a->path, sizeof a->path, "%s", a->name);
	a->result = node_make(NODE_REGION, g.no, SLOT_DIR);
	act_entry_changed(a, SEEN_BY_ALL, ROOT_NODE, a->name);
	act_node_changed(a, SEEN_BY_ALL, ROOT_NODE, true);
	return region_put(txn, &g);
}

static int make_account(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct account c = { .accept = "all", .created = clock_real() }, other;
	uint64_t accounts = node_make(NODE_FIXED, 0, SLOT_ACCOUNTS);
	int r = may(txn, a->who, MAY_MANAGE, NULL, NULL, err);
	if (!r)
		r = name_check_place("an account", a->name, err);
	if (r)
		return r;
	if (account_find(txn, a->name, &other) == 0)
		return fail(err, -EEXIST, "there is an account %s already", a->name);
	if (strcmp(a->name, "all") == 0)
		return fail(err, -EINVAL, "no account is called all: `accept all` means everybody");
	if (a->text) {
		act_tell_text(a);
		r = account_take(txn, a->who, &c, a->text, err);
	}
	if (r)
		return r;
	c.no = (uint32_t)cat_next(txn, COUNTER_ACCOUNT);
	snprintf(c.name, sizeof c.name, "%s", a->name);
	snprintf(a->path, sizeof a->path, "accounts/%s", a->name);
	a->result = node_make(NODE_ACCOUNT, c.no, SLOT_DIR);
	act_entry_changed(a, SEEN_BY_ALL, accounts, a->name);
	act_node_changed(a, SEEN_BY_ALL, accounts, true);
	a->account_changed = true;
	return account_put(txn, &c);
}

static int may_make_on(struct cat_txn *txn, struct act *a, const struct shelf *shelf, struct error *err)
{
	struct region region;
	int r = may(txn, a->who, MAY_CREATE, shelf, NULL, err);
	if (!r)
		r = name_check_image(a->name, err);
	if (!r && (r = region_get(txn, shelf->region, &region)))
		return fail(err, r, "this region is gone");
	if (!r && !(region.types & 1 << shelf->type))
		return fail(err, -EPERM, "the region %s does not offer %s", region.name, type_name((enum image_type)shelf->type));
	return r;
}

static int check_free_name(struct cat_txn *txn, const struct shelf *shelf, const char *name, struct error *err)
{
	struct image other;
	int r = image_find(txn, shelf, name, &other);
	if (r == -ENOENT)
		return 0;
	return r ? r : fail(err, -EEXIST, "there is a %s called %s here already", type_name((enum image_type)shelf->type), name);
}

static int make_image(struct cat_txn *txn, struct act *a, const struct shelf *shelf, struct error *err)
{
	struct image i = { .kind = KIND_IMAGE, .state = STATE_PENDING, .shelf = *shelf, .owner = a->who->account };
	int r = may_make_on(txn, a, shelf, err);
	if (!r)
		r = check_free_name(txn, shelf, a->name, err);
	if (!r)
		r = policy_room_for_image(txn, shelf, err);
	if (!r)
		r = policy_spend_operation(txn, a->who->account, shelf->region, err);
	if (r)
		return r;
	i.published = shelf->type == TYPE_PUBLIC;
	if (shelf->account == 0 || shelf->type == TYPE_INSTANCE) {
		i.maker_pid = a->who->pid;
		i.maker_conn = a->who->conn;
	}
	i.created = i.changed = clock_real();
	i.node = cat_next(txn, COUNTER_NODE);
	i.id = cat_next(txn, COUNTER_NODE);
	snprintf(i.name, sizeof i.name, "%s", a->name);
	act_path_image(a, txn, &i);
	act_shelf_changed(a, seers_on(shelf, &i), shelf, a->name);
	a->result = node_image(i.node, SLOT_DIR);
	return image_put(txn, &i);
}

static int do_mkdir(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct shelf shelf;
	if (a->parent == ROOT_NODE)
		return make_region(txn, a, err);
	if (a->parent == node_make(NODE_FIXED, 0, SLOT_ACCOUNTS))
		return make_account(txn, a, err);
	if (tree_shelf(a->who, a->parent, &shelf))
		return make_image(txn, a, &shelf, err);
	if (node_is_in_image(a->parent))
		return fail(err, -EINVAL, "an image has no directories in it (is there an image of that name already, so that cp -r "
			    "copies into it? cp -rT copies onto it)");
	return fail(err, -EPERM, "directories are made in REGION/custom (an image), in the root (a region) or in accounts/");
}

static int finish_entry(struct act *a, struct entry *ret, struct error *err)
{
	return tree_attr(a->service, a->who, a->result, ret, err);
}

int act_mkdir(struct service *s, const struct who *w, uint64_t parent, const char *name, struct entry *ret, struct error *err)
{
	struct act a = { .service = s, .who = w, .operation = "create", .fn = do_mkdir, .parent = parent, .name = name };
	int r = act_run(&a, err);
	return r ? r : finish_entry(&a, ret, err);
}

int act_make_place(struct service *s, const struct who *w, uint64_t parent, const char *name, const char *settings, struct error *err)
{
	struct act a = { .service = s, .who = w, .operation = "create", .fn = do_mkdir, .parent = parent, .name = name, .text = settings };
	return act_run(&a, err);
}

/* ---- symlink ------------------------------------------------------------------------------------ */

static int make_alias(struct cat_txn *txn, struct act *a, const struct shelf *shelf, struct error *err)
{
	struct image i = { .kind = KIND_ALIAS, .state = STATE_AVAILABLE, .shelf = *shelf, .owner = a->who->account }, target;
	size_t n = strlen(a->text);
	while (n > 1 && a->text[n - 1] == '/')
		n--;
	int r = may_make_on(txn, a, shelf, err);
	if (!r && shelf->type == TYPE_MARKETPLACE)
		r = fail(err, -EPERM, "a name in the marketplace is that of an image that was reviewed: there are no aliases");
	if (!r)
		r = check_free_name(txn, shelf, a->name, err);
	if (!r)
		r = policy_room_for_alias(txn, shelf, scratch_is_link(a->name), err);
	if (r)
		return r;
	if (n == 0 || n > TRASH_NAME_MAX || memchr(a->text, '/', n))
		return fail(err, -EINVAL, "an alias names an image beside it: ln -s NAME ALIAS, without a path in front of NAME");
	memcpy(i.target, a->text, n);
	r = image_find(txn, shelf, i.target, &target);
	bool may_come = r == -ENOENT && a->who->restores && name_check_image(i.target, err) == 0;
	if (!may_come && (r || target.kind != KIND_IMAGE))
		return fail(err, -ENOENT, "there is no image %s here for an alias to name", i.target);
	i.published = shelf->type == TYPE_PUBLIC;
	i.created = i.changed = clock_real();
	i.node = cat_next(txn, COUNTER_NODE);
	i.id = cat_next(txn, COUNTER_NODE);
	snprintf(i.name, sizeof i.name, "%s", a->name);
	snprintf(a->detail, sizeof a->detail, "-> %s", i.target);
	act_path_image(a, txn, &i);
	act_shelf_changed(a, seers_on(shelf, &i), shelf, a->name);
	a->result = node_image(i.node, SLOT_DIR);
	return image_put(txn, &i);
}

/* replaced-by means something. Of the links that cp -r or tar bring along from another image nothing is kept: where an image came from is
 * told by where its bytes came from. */
static int link_in_image(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct image i;
	int r = image_get(txn, node_number(a->parent), &i);
	if (!r && replace_is_meant(a, &i))
		return replace_link(txn, a, &i, err);
	if (!r)
		r = may(txn, a->who, MAY_CHANGE, NULL, &i, err);
	if (r)
		return r;
	if (i.shelf.type == TYPE_INSTANCE)
		return start_link(txn, a, &i, err);
	if (!setting_is_computed(a->name) && a->name[0] != '.')
		return fail(err, -EINVAL, "an image holds its disk and its settings; a link called %s means nothing here", a->name);
	a->not_logged = true;
	a->result = node_image(i.node, SLOT_LINK);
	tree_mark_link(&i, a->who->pid, a->name);
	return image_put(txn, &i);
}

static int do_symlink(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct shelf shelf;
	if (node_is_in_image(a->parent))
		return link_in_image(txn, a, err);
	if (!tree_shelf(a->who, a->parent, &shelf))
		return fail(err, -EPERM, "links are made beside images (aliases)");
	if (shelf.type == TYPE_SHARED && node_kind(a->parent) == NODE_PLACE)
		return share_link(txn, a, err);
	if (shelf.type == TYPE_SHARED)
		return fail(err, -EINVAL, "an image is not shared with its own account: ln -sr it into "
			    "accounts/ACCOUNT/REGION/shared/ of another");
	if (shelf.type == TYPE_INSTANCE)
		return fail(err, -EINVAL, "a link directly in instances starts nothing; if you copied an alias, put a slash "
			    "after its name (cp -r R/public/ALIAS/ R/instances/V)");
	return make_alias(txn, a, &shelf, err);
}

int act_symlink(struct service *s, const struct who *w, uint64_t parent, const char *name, const char *text, struct entry *ret,
		struct error *err)
{
	struct act a = { .service = s, .who = w, .operation = "alias", .fn = do_symlink, .parent = parent, .name = name, .text = text };
	int r = act_run(&a, err);
	return r ? r : finish_entry(&a, ret, err);
}

/* ---- files in an image --------------------------------------------------------------------------- */

static int new_disk_row(struct cat_txn *txn, const struct image *i, uint64_t *ret)
{
	struct disk_row row = { .no = cat_next(txn, COUNTER_DISK), .image = i->node, .root = { .levels = 1 } };
	int r = dedup_domain(txn, i, &row.domain);
	*ret = row.no;
	return r ? r : disk_row_put(txn, &row);
}

static int find_scratch_key(struct cat_txn *txn, uint64_t node, uint8_t *ret, struct error *err)
{
	char value[SETTING_MAX + 1];
	unsigned len;
	for (unsigned k = SET_SCRATCH; k <= SET_SCRATCH_MAX; k++) {
		int r = setting_get(txn, node, (uint8_t)k, value, sizeof value, &len);
		if (r == -ENOENT) {
			*ret = (uint8_t)k;
			return 0;
		}
		if (r)
			return r;
	}
	return fail(err, -EDQUOT, "there are %d unfinished files in this image; remove some", SET_SCRATCH_MAX - SET_SCRATCH + 1);
}

static int make_scratch(struct cat_txn *txn, const struct image *i, const char *name, uint64_t *ret_disk, struct error *err)
{
	char value[SETTING_MAX + 1];
	size_t n = strlen(name);
	uint8_t key = 0;
	int r = find_scratch_key(txn, i->node, &key, err);
	if (!r)
		r = new_disk_row(txn, i, ret_disk);
	if (r)
		return r;
	put_le64(value, *ret_disk);
	memcpy(value + 8, name, n);
	return setting_put(txn, i->node, key, value, (unsigned)(8 + n));
}

static int make_upload(struct cat_txn *txn, struct act *a, struct image *i, struct error *err)
{
	uint64_t disk = 0;
	int r;
	if (strlen(a->name) > 255)
		return -ENAMETOOLONG;
	r = scratch_check_slip(i, a->name, err);
	if (!r && i->shelf.type == TYPE_INSTANCE)
		r = scratch_check_beside(i, a->name, err);
	if (r)
		return r;
	if (i->disk || a->name[0] == '.' || (i->shelf.type == TYPE_INSTANCE && strcmp(a->name, "disk"))) {
		if (strcmp(a->name, "disk") == 0 && (i->used || strcmp(image_disk_name(i), "disk") == 0))
			return fail(err, i->used ? -EPERM : -EEXIST, "%s has its disk%s", i->name,
				    i->used ? " and it has been used: a disk that is in use never changes" : "");
		r = make_scratch(txn, i, a->name, &disk, err);
		a->result = node_disk(disk);
		return r;
	}
	r = new_disk_row(txn, i, &i->disk);
	if (r)
		return r;
	snprintf(i->upload, sizeof i->upload, "%s", a->name);
	i->state = STATE_PENDING;
	i->reason[0] = 0;
	i->trashed = 0;
	i->incomplete = false;
	i->changed = clock_real();
	a->result = node_disk(i->disk);
	return image_put(txn, i);
}

/* What is only on its way brings along at most the review of another. */
static bool is_review(const struct who *w, const struct image *i, const char *name)
{
	if (setting_by_name(name, (enum image_type)i->shelf.type) != SET_REVIEW)
		return false;
	return image_is_settled(i) || (w->is_operator && !market_is_copying(w, i));
}

static int may_create(struct cat_txn *txn, const struct who *w, uint64_t parent, const char *name, struct image *ret, struct error *err)
{
	struct shelf shelf;
	if (tree_shelf(w, parent, &shelf))
		return fail(err, -EINVAL, "an image is a directory: first mkdir NAME here, then cp %s NAME/", name);
	if (!node_is_in_image(parent))
		return fail(err, -EPERM, "files are made in the directory of an image");
	int r = image_get(txn, node_number(parent), ret);
	if (!r)
		r = may(txn, w, is_review(w, ret, name) ? MAY_REJECT : MAY_CHANGE, NULL, ret, err);
	if (r)
		return r == -ENOENT ? fail(err, r, "this image is gone") : r;
	return strcmp(name, ".status") == 0 ? fail(err, -EPERM, ".status is made when it is read") : 0;
}

static int do_create(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct image i;
	int r = may_create(txn, a->who, a->parent, a->name, &i, err);
	if (r)
		return r;
	act_path_image(a, txn, &i);
	a->not_logged = true;
	return make_upload(txn, a, &i, err);
}

/* A setting begins to exist with its first value, and what is ignored never does: nothing is written for them.
 * 0: that is what it is; 1: it is an upload. */
static int look_before_create(struct service *s, const struct who *w, uint64_t parent, const char *name, uint64_t *ret, struct error *err)
{
	struct cat_txn *txn;
	struct image i;
	int r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = may_create(txn, w, parent, name, &i, err);
	cat_end(&txn);
	if (r)
		return r;
	enum setting_key key = setting_by_name(name, (enum image_type)i.shelf.type);
	if (key == SET_REVIEW && !is_review(w, &i, name))
		key = SET_NONE;
	/* cp -r of an image brings settings that an instance has not. */
	if (!key && !setting_is_computed(name) && !(i.shelf.type == TYPE_INSTANCE && setting_by_name(name, TYPE_CUSTOM)))
		return 1;
	*ret = node_image(i.node, key ? (unsigned)key : strcmp(name, "owner") == 0 ? SLOT_OWNER : SLOT_REVIEWED);
	return 0;
}

int act_create(struct service *s, const struct who *w, uint64_t parent, const char *name, struct entry *ret, struct error *err)
{
	struct act a = { .service = s, .who = w, .operation = "upload", .fn = do_create, .parent = parent, .name = name };
	int r = look_before_create(s, w, parent, name, &a.result, err);
	if (r == 1)
		r = act_run(&a, err);
	return r ? r : finish_entry(&a, ret, err);
}
