/* SPDX-License-Identifier: Apache-2.0 */
/* act_remove: unlink and rmdir.
 *
 * rm -r takes the files of a directory away one by one, the disk first. The unlink of the disk is where an image is
 * deleted: the whole of it, id and settings, goes to the trash in that transaction. What stays under its name is a *shell*: a new
 * pending image (new id) without a disk, with a copy of the settings for rm to remove. Nobody can put other bytes under the old id,
 * and an rm that is interrupted anywhere has either deleted nothing or everything. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "catalog/account.h"
#include "domain/act.h"
#include "domain/acts.h"
#include "domain/disks.h"
#include "domain/rights.h"
#include "domain/gone.h"
#include "domain/links.h"
#include "domain/market.h"
#include "domain/names.h"
#include "domain/policy.h"
#include "domain/replace.h"
#include "domain/share.h"
#include "domain/price.h"
#include "domain/runs.h"
#include "domain/start.h"
#include "domain/tree_int.h"
#include "domain/trash.h"

/* ---- unlink -------------------------------------------------------------------------------------- */

static int move_scratch_owner(struct cat_txn *txn, uint64_t disk, uint64_t node)
{
	struct disk_row row;
	int r = disk_row_get(txn, disk, &row);
	if (r)
		return r;
	row.image = node;
	return disk_row_put(txn, &row);
}

/* Without a disk an image was made from nothing; but whoever deletes it goes on to the link that was there. */
static void hide_lineage(const struct act *a, struct image *i)
{
	if (!i->from)
		return;
	i->from = 0;
	tree_mark_link(i, a->who->pid, NULL);
}

static int delete_image(struct cat_txn *txn, struct act *a, struct image *i, struct error *err)
{
	struct image gone = *i;
	struct seers before = seers_of(i);
	struct shelf trash = i->shelf;
	trash.account = i->owner;
	trash.trash = true;
	int r = i->shelf.type == TYPE_INSTANCE ? start_check_idle(a->service, i, err)
					       : policy_spend_operation(txn, a->who->account, i->shelf.region, err);
	if (!r)
		r = policy_room_in_trash(txn, i->owner, i->shelf.region, err);
	if (r)
		return r;
	if (i->shelf.type == TYPE_INSTANCE && (r = runs_pause(txn, i)))
		return r;
	act_path_image(a, txn, i);
	if ((r = act_tell_aliases(a, txn, &i->shelf, i->name)))
		return r;
	gone.node = cat_next(txn, COUNTER_NODE);
	r = trash_name(txn, &trash, i->name, gone.name);
	if (r)
		return fail(err, r, "the trash has no free name for %s", i->name);
	gone.shelf = trash;
	gone.state_before_trash = i->state;
	gone.state = STATE_TRASHED;
	gone.trashed = gone.changed = clock_real();
	/* The shell first: the id must be free before the row in the trash takes it. */
	i->id = cat_next(txn, COUNTER_NODE);
	i->disk = 0;
	i->state = STATE_PENDING;
	i->used = i->is_protected = false;
	i->inherits = 0;
	i->vendor = 0;
	i->upload[0] = 0;
	i->trashed = gone.trashed;
	market_forget(i);
	hide_lineage(a, i);
	snprintf(i->reason, sizeof i->reason, "its disk was deleted: it is in .trash/%s/%s", type_name((enum image_type)i->shelf.type), gone.name);
	r = image_put(txn, i);
	if (!r)
		r = image_put(txn, &gone);
	if (!r)
		r = setting_copy_all(txn, i->node, gone.node);
	if (!r)
		r = trash_forget_scratch(txn, gone.node); /* uploads that are open stay with the shell */
	if (!r)
		r = move_scratch_owner(txn, gone.disk, gone.node);
	act_shelf_changed(a, SEEN_BY(trash.account), &trash, gone.name);
	act_node_changed(a, before, node_image(i->node, SLOT_DIR), true);
	if (before.all) /* the shell is its owner's */
		act_shelf_changed(a, before, &i->shelf, i->name);
	return r;
}

/* In the trash there is no second chance: the disk goes for good. */
static int purge_disk(struct cat_txn *txn, struct act *a, struct image *i)
{
	act_path_image(a, txn, i);
	act_drop_disk(a, i->disk);
	int r = disk_row_release(txn, i->disk);
	i->disk = 0;
	i->inherits = 0; /* its settings go next */
	hide_lineage(a, i);
	act_node_changed(a, seers_of(i), node_image(i->node, SLOT_DIR), true);
	return r ? r : image_put(txn, i);
}

static int has_any(void *ctx, uint8_t key, const char *value, unsigned len)
{
	(void)ctx, (void)key, (void)value, (void)len;
	return 1;
}

/* Nobody wants back what never had a byte, nor a setting: it is as if the file had not been made. */
static int take_back(struct cat_txn *txn, struct act *a, struct image *i)
{
	a->not_logged = true;
	act_drop_disk(a, i->disk);
	int r = disk_row_release(txn, i->disk);
	i->disk = 0;
	i->upload[0] = 0;
	i->changed = clock_real();
	act_node_changed(a, seers_of(i), node_image(i->node, SLOT_DIR), true);
	return r ? r : image_put(txn, i);
}

/* a->flag: its disk is empty. 1 when there is nothing else either. */
static int is_nothing(struct cat_txn *txn, const struct act *a, const struct image *i)
{
	struct disk_row row;
	if (!a->flag || i->shelf.trash || i->state != STATE_PENDING || i->from || i->expect_size || i->expect_sha)
		return 0;
	int r = disk_row_get(txn, i->disk, &row);
	if (r || !hash_is_none(&row.root.hash) || (r = hold_any(txn, i->disk)) != -ENOENT)
		return r;
	r = setting_each(txn, i->node, has_any, NULL);
	return r < 0 ? r : r == 0;
}

static int unlink_disk(struct cat_txn *txn, struct act *a, struct image *i, struct error *err)
{
	int nothing = is_nothing(txn, a, i);
	if (nothing)
		return nothing < 0 ? nothing : take_back(txn, a, i);
	a->operation = i->shelf.trash ? "purge" : "delete";
	return i->shelf.trash ? purge_disk(txn, a, i) : delete_image(txn, a, i, err);
}

static int unlink_scratch(struct cat_txn *txn, struct act *a, const struct image *i, uint8_t key, uint64_t disk)
{
	a->not_logged = true;
	int r = setting_remove(txn, i->node, key);
	if (r || disk == i->disk)
		return r;
	act_drop_disk(a, disk);
	return disk_row_release(txn, disk);
}

/* What is expected of a disk that is to come goes with the setting that says so. */
static int clear_setting(struct cat_txn *txn, struct image *i, enum setting_key key)
{
	int r = setting_remove(txn, i->node, (uint8_t)key);
	if (r || (key != SET_SIZE && key != SET_SHA256))
		return r;
	if (key == SET_SIZE)
		i->expect_size = 0;
	else
		i->expect_sha = false;
	return image_put(txn, i);
}

static int unlink_in_image(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct image i;
	uint64_t ignored;
	uint8_t key;
	int r = image_get(txn, node_number(a->parent), &i);
	if (!r && i.replaced_by && !i.shelf.trash && strcmp(a->name, "replaced-by") == 0)
		return replace_unlink(txn, a, &i, err);
	if (!r)
		r = may(txn, a->who, MAY_DELETE, NULL, &i, err);
	if (r)
		return r == -ENOENT ? fail(err, r, "this image is gone") : r;
	char text[1024];
	uint8_t link = link_find(txn, i.node, a->name, text);
	if (link) {
		a->not_logged = true;
		return setting_remove(txn, i.node, link);
	}
	uint64_t scratch = scratch_find(txn, i.node, a->name, &key);
	if (scratch)
		return unlink_scratch(txn, a, &i, key, scratch);
	/* rm -r goes on after a refusal, so every unlink is refused while that of the disk is. */
	if (i.shelf.type == TYPE_INSTANCE && i.disk && (r = start_check_idle(a->service, &i, err)))
		return r;
	enum setting_key setting = setting_by_name(a->name, (enum image_type)i.shelf.type);
	if (setting && i.disk && !i.shelf.trash && (r = policy_room_in_trash(txn, i.owner, i.shelf.region, err)))
		return r;
	if (setting && (r = terms_may_set(txn, &i, setting, "", 0, err)))
		return r < 0 ? r : 0;
	/* What removes the whole has removed the disk before; this is about the setting alone. */
	if (setting && i.disk && (r = may(txn, a->who, MAY_CHANGE, NULL, &i, err)))
		return r;
	if (setting && (r = clear_setting(txn, &i, setting)) != -ENOENT) {
		a->operation = "clear";
		act_path_image(a, txn, &i);
		snprintf(a->detail, sizeof a->detail, "%s", a->name);
		a->not_logged = i.disk == 0;
		return r;
	}
	if (i.disk && (strcmp(a->name, image_disk_name(&i)) == 0 || strcmp(a->name, i.upload) == 0))
		return unlink_disk(txn, a, &i, err);
	a->not_logged = true;
	tree_show_replacement(&(struct tree_ask){ a->service, a->who, txn, a->parent, err }, &i);
	if (tree_computed(&i, a->parent, a->name, &ignored) == 0 || i.trashed)
		return 0;
	return fail(err, -ENOENT, "there is nothing called %s in %s", a->name, i.name);
}

static int unlink_on_shelf(struct cat_txn *txn, struct act *a, const struct shelf *shelf, struct error *err)
{
	struct image i;
	int r = image_find(txn, shelf, a->name, &i);
	if (!r)
		r = may(txn, a->who, MAY_DELETE, shelf, &i, err);
	if (r)
		return r == -ENOENT ? fail(err, r, "there is nothing called %s here", a->name) : r;
	if (i.kind != KIND_ALIAS)
		return fail(err, -EISDIR, "%s is an image, which is a directory: rm -r deletes it", a->name);
	a->operation = "delete";
	act_path_image(a, txn, &i);
	act_shelf_changed(a, seers_on(shelf, &i), shelf, a->name);
	return image_remove(txn, i.node);
}

static int unlink_shared(struct cat_txn *txn, struct act *a, struct error *err)
{
	if (node_kind(a->parent) == NODE_PLACE)
		return share_unlink(txn, a, err);
	return fail(err, -EISDIR, "%s is an image that is shared with you: rmdir declines it", a->name);
}

static int do_unlink(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct shelf shelf;
	if (tree_shelf(a->who, a->parent, &shelf) && shelf.type == TYPE_SHARED)
		return unlink_shared(txn, a, err);
	if (tree_shelf(a->who, a->parent, &shelf))
		return unlink_on_shelf(txn, a, &shelf, err);
	if (node_is_in_image(a->parent))
		return unlink_in_image(txn, a, err);
	return fail(err, -EPERM, "%s belongs to the tree and cannot be removed", a->name);
}

/* Is the disk of an image that is only on its way empty? Asked before the transaction, which cannot wait for a disk. */
static bool disk_is_empty(struct service *s, uint64_t parent)
{
	struct cat_txn *txn;
	struct image i;
	struct disk *disk;
	if (!node_is_in_image(parent) || cat_begin(s->catalog, &txn, NULL))
		return false;
	int r = image_get(txn, node_number(parent), &i);
	cat_end(&txn);
	if (r || i.state != STATE_PENDING || !i.disk || disks_get(s->disks, i.disk, &disk, NULL))
		return false;
	bool empty = disk_size(disk) == 0;
	disks_put(s->disks, &disk);
	return empty;
}

int act_unlink(struct service *s, const struct who *w, uint64_t parent, const char *name, struct error *err)
{
	struct act a = { .service = s, .who = w, .operation = "delete", .fn = do_unlink, .parent = parent, .name = name,
			 .flag = disk_is_empty(s, parent) };
	return act_run(&a, err);
}

/* ---- rmdir --------------------------------------------------------------------------------------- */

/* Of those that show. */
static int find_setting(void *ctx, uint8_t key, const char *value, unsigned len)
{
	const struct image *i = ctx;
	if (key < SET_MAX_)
		return setting_by_name(setting_name((enum setting_key)key), (enum image_type)i->shelf.type) != SET_NONE;
	return len > 8 && value[8] != '.';
}

static int remove_image(struct cat_txn *txn, struct act *a, const struct shelf *shelf, struct error *err)
{
	struct image i;
	struct purged purged;
	int r = image_find(txn, shelf, a->name, &i);
	if (!r)
		r = may(txn, a->who, MAY_DELETE, shelf, &i, err);
	if (r)
		return r == -ENOENT ? fail(err, r, "there is nothing called %s here", a->name) : r;
	if (i.kind != KIND_IMAGE)
		return fail(err, -ENOTDIR, "%s is an alias: rm removes it", a->name);
	if (i.disk)
		return fail(err, -ENOTEMPTY, "%s has a disk: rm -r deletes it, to the trash", a->name);
	r = setting_each(txn, i.node, find_setting, &i);
	if (r)
		return r < 0 ? r : fail(err, -ENOTEMPTY, "%s has settings: rm -r deletes it", a->name);
	act_path_image(a, txn, &i);
	act_shelf_changed(a, seers_on(shelf, &i), shelf, a->name);
	a->not_logged = i.trashed != 0; /* the deletion was logged when its disk went */
	r = trash_purge_row(txn, &i, &purged);
	for (unsigned n = 0; n < purged.n && !r; n++)
		act_drop_disk(a, purged.disks[n]);
	return r;
}

static int find_row(void *ctx, const struct image *i)
{
	const uint32_t *want = ctx; /* region, account */
	return (want[0] && i->shelf.region == want[0]) || (want[1] && i->owner == want[1]);
}

static int remove_region(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct region g;
	uint32_t want[2] = { 0, 0 };
	int r = may(txn, a->who, MAY_MANAGE, NULL, NULL, err);
	if (!r && (r = region_find(txn, a->name, &g)))
		return fail(err, r, "there is no region %s", a->name);
	if (r)
		return r;
	want[0] = g.no;
	r = image_each_all(txn, 0, find_row, want);
	if (r)
		return r < 0 ? r : fail(err, -ENOTEMPTY, "the region %s still holds images, instances or trash", a->name);
	snprintf(a->path, sizeof a->path, "%s", a->name);
	act_entry_changed(a, SEEN_BY_ALL, ROOT_NODE, a->name);
	act_node_changed(a, SEEN_BY_ALL, ROOT_NODE, true);
	r = gone_note_region(txn, &g);
	return r ? r : region_remove(txn, g.no);
}

static int remove_account(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct account c;
	uint32_t want[2] = { 0, 0 };
	uint64_t accounts = node_make(NODE_FIXED, 0, SLOT_ACCOUNTS);
	int r = may(txn, a->who, MAY_MANAGE, NULL, NULL, err);
	if (!r && (r = account_find(txn, a->name, &c)))
		return fail(err, r, "there is no account %s", a->name);
	if (r)
		return r;
	if (c.no == a->who->account)
		return fail(err, -EBUSY, "that is the account you are working as");
	want[1] = c.no;
	r = image_each_all(txn, 0, find_row, want);
	if (r)
		return r < 0 ? r : fail(err, -ENOTEMPTY, "the account %s still has images, instances or trash", a->name);
	snprintf(a->path, sizeof a->path, "accounts/%s", a->name);
	act_entry_changed(a, SEEN_BY_ALL, accounts, a->name);
	act_node_changed(a, SEEN_BY_ALL, accounts, true);
	r = share_forget_receiver(txn, a, c.no);
	if (!r)
		r = gone_note_account(txn, &c);
	a->account_changed = true;
	if (!r)
		r = share_forget_maker(txn, c.name);
	return r ? r : account_remove(txn, c.no);
}

static int do_rmdir(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct shelf shelf;
	if (tree_shelf(a->who, a->parent, &shelf) && shelf.type == TYPE_SHARED)
		return node_kind(a->parent) == NODE_PLACE ? fail(err, -ENOTDIR, "%s is a link: rm cancels the share", a->name)
							  : share_decline(txn, a, err);
	if (tree_shelf(a->who, a->parent, &shelf))
		return remove_image(txn, a, &shelf, err);
	if (a->parent == ROOT_NODE && strcmp(a->name, "accounts"))
		return remove_region(txn, a, err);
	if (a->parent == node_make(NODE_FIXED, 0, SLOT_ACCOUNTS))
		return remove_account(txn, a, err);
	return fail(err, -EPERM, "%s belongs to the tree and cannot be removed", a->name);
}

int act_rmdir(struct service *s, const struct who *w, uint64_t parent, const char *name, struct error *err)
{
	struct act a = { .service = s, .who = w, .operation = "remove", .fn = do_rmdir, .parent = parent, .name = name };
	return act_run(&a, err);
}
