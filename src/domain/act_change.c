/* SPDX-License-Identifier: Apache-2.0 */
/* act_change: rename, settings, times. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "catalog/account.h"
#include "catalog/region.h"
#include "domain/act.h"
#include "domain/acts.h"
#include "domain/rights.h"
#include "domain/disks.h"
#include "domain/links.h"
#include "domain/market.h"
#include "domain/names.h"
#include "domain/policy.h"
#include "domain/replace.h"
#include "domain/share.h"
#include "domain/price.h"
#include "domain/runs.h"
#include "domain/scratch.h"
#include "domain/start.h"
#include "domain/trash.h"
#include "domain/tree_int.h"
#include "domain/upload.h"

/* ---- settings ------------------------------------------------------------------------------------- */

static int apply_expectation(struct image *i, enum setting_key key, const char *value, unsigned len)
{
	struct hash h;
	char hex[HASH_HEX_SIZE];
	if (key == SET_SIZE)
		i->expect_size = len ? strtoull(value, NULL, 10) : 0;
	if (key != SET_SHA256)
		return 0;
	i->expect_sha = len > 0;
	if (!len)
		return 0;
	memcpy(hex, value, HASH_HEX_SIZE - 1);
	hex[HASH_HEX_SIZE - 1] = 0;
	int r = hash_parse(hex, &h);
	memcpy(i->expect_sha256, h.b, sizeof i->expect_sha256);
	return r;
}

/* size and sha256 are promises about a disk that is still to come. Afterwards they can be set only to what is true. */
static int check_expectation(struct cat_txn *txn, const struct image *i, enum setting_key key, const char *value, unsigned len,
			     struct error *err)
{
	struct disk_row row;
	if ((key != SET_SIZE && key != SET_SHA256) || !len || !i->disk || i->state == STATE_PENDING || i->state == STATE_FAILED)
		return 0;
	int r = disk_row_get(txn, i->disk, &row);
	if (r)
		return r;
	if (key == SET_SIZE && strtoull(value, NULL, 10) != row.size)
		return fail(err, -EINVAL, "the disk of %s has %" PRIu64 " bytes, not %.*s", i->name, row.size, (int)len - 1, value);
	char hex[HASH_HEX_SIZE];
	if (key == SET_SHA256 && !row.has_sha) /* act_set() and act_rename() saw to that, but it was written since */
		return fail(err, -EBUSY, "the disk of %s is being written", i->name);
	if (key == SET_SHA256 && strncasecmp(hash_hex(&row.sha256, hex), value, HASH_HEX_SIZE - 1))
		return fail(err, -EINVAL, "the disk of %s has another SHA-256", i->name);
	return 0;
}

/* A zone is one of its region's: its settings may come after the instance, when both are restored. */
static int check_zone(struct cat_txn *txn, const struct image *i, enum setting_key key, const char *value, unsigned len,
		      bool restores, struct error *err)
{
	struct region region;
	if (key != SET_ZONE || !len)
		return 0;
	int r = region_get(txn, i->shelf.region, &region);
	if (r)
		return r;
	len--; /* its newline */
	for (const char *z = region.zones; *z; z += strcspn(z, " "), z += *z == ' ')
		if (strcspn(z, " ") == len && memcmp(z, value, len) == 0)
			return 0;
	if (!region.zones[0] && restores)
		return 0;
	return region.zones[0] ? fail(err, -EINVAL, "the zones of %s are: %s", region.name, region.zones)
			       : fail(err, -EINVAL, "%s has no zones", region.name);
}

static int write_setting(struct cat_txn *txn, struct image *i, enum setting_key key, const char *value, unsigned len, bool restores,
			 struct error *err)
{
	char kept[SETTING_MAX + 1];
	if (len >= SETTING_MAX)
		return setting_too_long(key, err);
	memcpy(kept, value, len);
	kept[len] = 0;
	if (strlen(kept) != len)
		return fail(err, -EINVAL, "%s is text", setting_name(key));
	int r = setting_check(key, kept, &len, err);
	if (!r)
		r = terms_may_set(txn, i, key, kept, len, err);
	if (r > 0)
		return 0;
	if (!r)
		r = check_expectation(txn, i, key, kept, len, err);
	if (!r)
		r = check_zone(txn, i, key, kept, len, restores, err);
	if (!r)
		r = apply_expectation(i, key, kept, len);
	if (!r)
		r = len ? setting_put(txn, i->node, (uint8_t)key, kept, len) : setting_remove(txn, i->node, (uint8_t)key);
	if (r && r != -ENOENT)
		return r;
	i->changed = clock_real();
	return image_put(txn, i);
}

int setting_write(struct cat_txn *txn, struct image *i, enum setting_key key, const char *value, unsigned len, struct error *err)
{
	return write_setting(txn, i, key, value, len, false, err);
}

static int do_set(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct image i;
	enum setting_key key = (enum setting_key)node_slot(a->node);
	int r = image_get(txn, node_number(a->node), &i);
	if (!r)
		r = may(txn, a->who, verb_of_setting(key), NULL, &i, err);
	if (r)
		return r == -ENOENT ? fail(err, r, "this image is gone") : r;
	act_path_image(a, txn, &i);
	snprintf(a->detail, sizeof a->detail, "%s", setting_name(key));
	if (key == SET_REVIEW)
		r = market_reject(a, &i, a->text, a->len, err);
	return r ? r : write_setting(txn, &i, key, a->text, a->len, a->who->restores, err);
}

int act_set(struct service *s, const struct who *w, uint64_t node, const char *value, unsigned len, struct error *err)
{
	struct act a = { .service = s, .who = w, .operation = "set", .fn = do_set, .node = node, .text = value, .len = len };
	int r = node_slot(node) == SET_SHA256 && len ? upload_sum(s, w, node, err) : 0;
	return r ? r : act_run(&a, err);
}

/* ---- rename: on shelves ----------------------------------------------------------------------------- */

/* What stands in the way of the new name. An alias gives way to an alias: that is how "latest" moves in one step. */
static int clear_target(struct cat_txn *txn, struct act *a, const struct shelf *shelf, const struct image *moving, struct error *err)
{
	struct image other;
	int r = image_find(txn, shelf, a->new_name, &other);
	if (r || other.node == moving->node)
		return r == -ENOENT || other.node == moving->node ? 0 : r;
	if (!a->flag)
		return fail(err, -EEXIST, "there is something called %s already", a->new_name);
	if (other.kind == KIND_ALIAS && moving->kind == KIND_ALIAS) {
		r = may(txn, a->who, MAY_DELETE, shelf, &other, err);
		return r ? r : image_remove(txn, other.node);
	}
	if (other.kind == KIND_ALIAS)
		return fail(err, -ENOTDIR, "%s is an alias: remove it first", a->new_name);
	return fail(err, moving->kind == KIND_ALIAS ? -EISDIR : -ENOTEMPTY, "there is an image called %s already", a->new_name);
}

static int restore_from_trash(struct cat_txn *txn, struct act *a, struct image *i, const struct shelf *to, struct error *err)
{
	struct shelf home = *to;
	home.account = i->owner;
	home.trash = true;
	if (!shelf_equal(&home, &i->shelf))
		return fail(err, -EXDEV, "what is in the trash goes back to the region and type that it came from");
	int r = may(txn, a->who, MAY_CREATE, to, NULL, err);
	if (!r)
		r = policy_room_for_image(txn, to, err);
	if (r)
		return r;
	a->operation = "restore";
	i->shelf = *to;
	i->state = i->state_before_trash;
	i->trashed = 0;
	market_restore(i);
	return i->shelf.type == TYPE_INSTANCE ? runs_resume(txn, i) : 0;
}

static int rename_row(struct cat_txn *txn, struct act *a, const struct shelf *from, const struct shelf *to, struct error *err)
{
	struct image i;
	int r = image_find(txn, from, a->name, &i);
	if (!r)
		r = may(txn, a->who, from->trash ? MAY_DELETE : MAY_CHANGE, from, &i, err);
	if (r)
		return r == -ENOENT ? fail(err, r, "there is nothing called %s here", a->name) : r;
	if (!shelf_equal(from, to) && !from->trash)
		return fail(err, to->trash ? -EPERM : -EXDEV, to->trash ? "the trash fills when something is deleted (rm -r)"
							    : "an image is copied to another place and then deleted here");
	act_path_image(a, txn, &i);
	r = from->trash && to->trash ? fail(err, -EPERM, "what is in the trash keeps its name") : name_check_image(a->new_name, err);
	if (!r && from->trash)
		r = restore_from_trash(txn, a, &i, to, err);
	if (!r)
		r = clear_target(txn, a, to, &i, err);
	if (r)
		return r;
	snprintf(i.name, sizeof i.name, "%s", a->new_name);
	snprintf(a->detail, sizeof a->detail, "-> %s", a->new_name);
	if (i.kind == KIND_IMAGE && !from->trash && (r = act_tell_aliases(a, txn, from, a->name)))
		return r;
	i.changed = clock_real();
	act_shelf_changed(a, seers_on(from, &i), from, a->name);
	act_shelf_changed(a, seers_on(to, &i), to, a->new_name);
	return image_put(txn, &i);
}

/* ---- rename: files of one image ----------------------------------------------------------------------- */

static int drop_scratch_row(struct cat_txn *txn, struct act *a, const struct image *i, uint8_t key, uint64_t disk)
{
	int r = setting_remove(txn, i->node, key);
	if (!r && disk != i->disk) {
		act_drop_disk(a, disk);
		r = disk_row_release(txn, disk);
	}
	return r;
}

/* A small file under another name becomes a setting: its text was read before the transaction (a->text). */
static int scratch_to_setting(struct cat_txn *txn, struct act *a, struct image *i, uint8_t scratch, uint64_t disk, struct error *err)
{
	enum setting_key key = setting_by_name(a->new_name, (enum image_type)i->shelf.type);
	if (!a->text)
		return setting_too_long(key, err);
	struct disk_row row;
	int r = write_setting(txn, i, key, a->text, a->len, a->who->restores, err);
	if (!r)
		r = disk_row_get(txn, disk, &row);
	if (!r && row.mtime && (r = setting_set_time(txn, i->node, (uint8_t)key, row.mtime)) == -ENOENT)
		r = 0; /* nothing was in it */
	return r ? r : drop_scratch_row(txn, a, i, scratch, disk);
}

/* An instance's disk is replaced when the file is settled, or not at all: until then both keep their names. */
static int rename_beside(struct act *a, const struct image *i, uint64_t disk, struct error *err)
{
	int r = scratch_check_beside(i, a->new_name, err);
	if (r || strcmp(a->new_name, "disk"))
		return r;
	if (a->size == 0)
		return fail(err, -EINVAL, "%s is empty: a disk has bytes", a->name);
	r = start_check_idle(a->service, i, err);
	a->result = node_disk(disk);
	return r;
}

static int rename_scratch(struct cat_txn *txn, struct act *a, struct image *i, uint8_t key, uint64_t disk, struct error *err)
{
	char value[SETTING_MAX + 1];
	size_t n = strlen(a->new_name);
	uint8_t old_key;
	enum setting_key setting = setting_by_name(a->new_name, (enum image_type)i->shelf.type);
	if (setting && setting != SET_REVIEW) /* which is written; one that comes with a copy is that of another */
		return scratch_to_setting(txn, a, i, key, disk, err);
	if (setting_is_computed(a->new_name))
		return drop_scratch_row(txn, a, i, key, disk);
	bool replaces = i->disk != disk && upload_replaces(i, a->new_name, a->size);
	int r = i->shelf.type == TYPE_INSTANCE ? rename_beside(a, i, disk, err) : 0;
	if (!r && i->shelf.type != TYPE_INSTANCE && i->used && replaces)
		r = fail(err, -EPERM, "%s has its disk, and it has been used: make another image", i->name);
	if (!r && replaces)
		r = start_check_idle(a->service, i, err);
	if (r || a->result)
		return r;
	uint64_t other = scratch_find(txn, i->node, a->new_name, &old_key);
	r = other && other != disk ? drop_scratch_row(txn, a, i, old_key, other) : 0;
	if (r || n > 255)
		return r ? r : -ENAMETOOLONG;
	put_le64(value, disk);
	memcpy(value + 8, a->new_name, n);
	r = setting_put(txn, i->node, key, value, (unsigned)(8 + n));
	a->result = node_disk(disk);
	return r;
}

static int rename_setting(struct cat_txn *txn, struct act *a, struct image *i, enum setting_key key, struct error *err)
{
	char value[SETTING_MAX + 1];
	unsigned len;
	enum setting_key to = setting_by_name(a->new_name, (enum image_type)i->shelf.type);
	int r = setting_get(txn, i->node, (uint8_t)key, value, sizeof value, &len);
	if (r)
		return fail(err, r, "%s has no %s", i->name, a->name);
	if (!to || to == SET_REVIEW || key == SET_REVIEW)
		return fail(err, -EINVAL, "%s cannot become %s, which is no setting%s", a->name, a->new_name,
			    to ? " that can be moved" : "");
	r = setting_write(txn, i, to, value, len, err);
	return r || to == key ? r : setting_write(txn, i, key, "", 0, err);
}

static int rename_in_image(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct image i;
	uint8_t scratch_key, link = 0;
	char text[1024];
	int r = image_get(txn, node_number(a->parent), &i);
	if (!r)
		link = link_find(txn, i.node, a->name, text);
	if (link && i.shelf.type != TYPE_INSTANCE)
		return replace_rename(txn, a, &i, link, err);
	if (!r)
		r = may(txn, a->who, MAY_CHANGE, NULL, &i, err);
	if (r)
		return r == -ENOENT ? fail(err, r, "this image is gone") : r;
	act_path_image(a, txn, &i);
	a->not_logged = true;
	uint64_t scratch = scratch_find(txn, i.node, a->name, &scratch_key);
	if (scratch)
		return rename_scratch(txn, a, &i, scratch_key, scratch, err);
	if (link)
		return start_rename(txn, a, &i, link, err);
	enum setting_key key = setting_by_name(a->name, (enum image_type)i.shelf.type);
	if (key)
		return rename_setting(txn, a, &i, key, err);
	if (!i.disk || (strcmp(a->name, image_disk_name(&i)) && strcmp(a->name, i.upload)))
		return fail(err, -ENOENT, "there is nothing called %s in %s", a->name, i.name);
	if (setting_by_name(a->new_name, (enum image_type)i.shelf.type) || a->new_name[0] == '.' || strlen(a->new_name) > 255)
		return fail(err, -EINVAL, "a disk cannot become %s", a->new_name);
	if (strcmp(a->name, a->new_name) && strcmp(a->name, "disk") == 0 && (image_is_settled(&i) || i.shelf.type == TYPE_INSTANCE))
		return fail(err, -EINVAL, "the disk of %s is called disk", i.name);
	snprintf(i.upload, sizeof i.upload, "%s", a->new_name);
	return image_put(txn, &i);
}

static int rename_shared(struct cat_txn *txn, struct act *a, struct error *err)
{
	if (a->parent != a->to)
		return fail(err, -EXDEV, "a share is not moved: it is made anew, and cancelled here");
	if (node_kind(a->parent) != NODE_PLACE)
		return fail(err, -EPERM, "%s belongs to another account and keeps its name", a->name);
	return share_rename(txn, a, err);
}

static int do_rename(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct shelf from, to;
	bool from_shelf = tree_shelf(a->who, a->parent, &from), to_shelf = tree_shelf(a->who, a->to, &to);
	if (from_shelf && to_shelf && (from.type == TYPE_SHARED || to.type == TYPE_SHARED))
		return rename_shared(txn, a, err);
	if (from_shelf && to_shelf)
		return rename_row(txn, a, &from, &to, err);
	if (node_is_in_image(a->parent) && a->parent == a->to)
		return rename_in_image(txn, a, err);
	if (node_is_in_image(a->parent) && node_is_in_image(a->to))
		return fail(err, -EXDEV, "files are not moved from one image to another: they are copied");
	if (from_shelf && node_is_in_image(a->to))
		return fail(err, -EXDEV, "an image has no directories in it: %s cannot be moved into it", a->name);
	return fail(err, -EPERM, "%s belongs to the tree and keeps its name", a->name);
}

/* The text of a small upload that is about to become a setting. NULL: it is not one, or too large. Its size in any case. */
static char *text_of_scratch(struct service *s, uint64_t parent, const char *name, unsigned *ret_len, uint64_t *ret_size)
{
	struct cat_txn *txn;
	struct disk *disk;
	uint64_t number = 0;
	if (!node_is_in_image(parent) || cat_begin(s->catalog, &txn, NULL))
		return NULL;
	number = scratch_find(txn, node_number(parent), name, NULL);
	cat_end(&txn);
	if (!number || disks_get(s->disks, number, &disk, NULL))
		return NULL;
	*ret_size = disk_size(disk);
	char *text = *ret_size < SETTING_MAX ? calloc(1, SETTING_MAX + 1) : NULL;
	ssize_t n = text ? disk_read(disk, text, SETTING_MAX, 0, NULL, NULL) : -1;
	disks_put(s->disks, &disk);
	if (n < 0) {
		free(text);
		return NULL;
	}
	*ret_len = (unsigned)n;
	return text;
}

int act_rename(struct service *s, const struct who *w, uint64_t from, const char *name, uint64_t to, const char *new_name,
	       bool may_replace, struct error *err)
{
	struct act a = { .service = s, .who = w, .operation = "rename", .fn = do_rename, .parent = from, .name = name, .to = to,
			 .new_name = new_name, .flag = may_replace };
	char *text = text_of_scratch(s, from, name, &a.len, &a.size);
	a.text = text;
	int r = node_is_in_image(to) && strcmp(new_name, setting_name(SET_SHA256)) == 0 ? upload_sum(s, w, to, err) : 0;
	if (!r)
		r = act_run(&a, err);
	free(text);
	/* An upload that had a scratch name and now has a real one is judged like one that was just closed. */
	if (!r && a.result && new_name[0] != '.' && node_kind(a.result) == NODE_DISK)
		r = upload_settle(s, w, a.result, UPLOAD_RENAMED, err);
	if (!r && node_is_in_image(to))
		r = market_complete(s, w, to, err);
	return r;
}

/* ---- times ----------------------------------------------------------------------------------------------- */

/* What may not be changed keeps its time, and whoever copies times along goes on. */
static int set_time_of_setting(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct image i;
	unsigned key = node_slot(a->node);
	int r = image_get(txn, node_number(a->node), &i);
	if (!r)
		r = may(txn, a->who, MAY_SEE, NULL, &i, err);
	if (r)
		return r == -ENOENT ? fail(err, r, "this image is gone") : r;
	if (may(txn, a->who, verb_of_setting(key), NULL, &i, NULL))
		return 0;
	r = setting_set_time(txn, i.node, (uint8_t)key, a->time);
	return r == -ENOENT ? 0 : r;
}

static int do_mtime(struct cat_txn *txn, struct act *a, struct error *err)
{
	if (node_kind(a->node) != NODE_DISK)
		return set_time_of_setting(txn, a, err);
	struct disk_row row;
	struct image i;
	int r = disk_row_get(txn, node_number(a->node), &row);
	if (!r)
		r = image_get(txn, row.image, &i);
	if (!r)
		r = may(txn, a->who, MAY_PROTECT, NULL, &i, err);
	if (r)
		return r == -ENOENT ? fail(err, r, "this disk is gone") : r;
	if (i.shelf.type == TYPE_MARKETPLACE && i.published) /* what everybody sees does not change */
		return 0;
	row.mtime = a->time;
	r = disk_row_put(txn, &row);
	if (r || !image_is_running(&i))
		return r;
	i.changed = clock_real(); /* the ctime of a server's disk moves with every change of it */
	act_node_changed(a, seers_of(&i), node_image(i.node, SLOT_DIR), false);
	return image_put(txn, &i);
}

/* What was written to it before has the time that is set now, too. */
static int tell_disk(struct service *s, uint64_t number, int64_t mtime, struct error *err)
{
	struct disk *disk;
	int r = disks_get(s->disks, number, &disk, err);
	if (r)
		return r;
	if (disk_mtime(disk))
		disk_set_mtime(disk, mtime);
	disks_put(s->disks, &disk);
	return 0;
}

int act_set_mtime(struct service *s, const struct who *w, uint64_t node, int64_t mtime, struct error *err)
{
	struct act a = { .service = s, .who = w, .fn = do_mtime, .node = node, .time = mtime };
	int r = act_run(&a, err);
	return r || node_kind(node) != NODE_DISK ? r : tell_disk(s, node_number(node), mtime, err);
}
