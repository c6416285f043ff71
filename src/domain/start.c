/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/start.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "catalog/object_tab.h"
#include "catalog/region.h"
#include "domain/dedup.h"
#include "domain/links.h"
#include "domain/names.h"
#include "domain/replace.h"
#include "domain/rights.h"
#include "domain/target.h"
#include "domain/policy.h"
#include "domain/price.h"
#include "domain/runs.h"
#include "domain/trash.h"
#include "domain/tree_int.h"
#include "domain/upload.h"

/* ---- which image a link means ---------------------------------------------------------------------------- */

static int resolve(struct cat_txn *txn, struct act *a, const struct image *instance, const char *text, struct image *ret,
		   struct error *err)
{
	struct region region;
	int r = region_get(txn, instance->shelf.region, &region);
	if (r)
		return fail(err, r, "this region is gone");
	r = target_image(txn, a->who, &(struct target_base){ { region.name, type_name(TYPE_INSTANCE), instance->name }, 3 }, text,
			 ret, err);
	if (r)
		return fail(err, r, "%s names no image; an instance is started by ln -s ../../TYPE/NAME image (or ln -sr)", text);
	if (ret->shelf.type == TYPE_INSTANCE)
		return fail(err, -EINVAL, "%s is an instance: make an image of it first (cp -r), then start that", ret->name);
	if (ret->shelf.region != instance->shelf.region)
		return fail(err, -EXDEV, "%s is in another region: copy it into this one first", ret->name);
	return may(txn, a->who, MAY_START, NULL, ret, err);
}

/* ---- the disk ----------------------------------------------------------------------------------------------- */

int start_check_idle(struct service *s, const struct image *instance, struct error *err)
{
	if (!instance->disk || !s->events.is_written || !s->events.is_written(s->events.ctx, instance->disk))
		return 0;
	return fail(err, -EBUSY, "the disk of %s is open for writing (is the server running?)", instance->name);
}

static int take_disk(struct cat_txn *txn, struct act *a, struct image *instance, struct image *origin, struct error *err)
{
	struct disk_row row;
	uint32_t domain = 0;
	AUTO_BUF struct buf path = BUF_INIT;
	int r = disk_row_get(txn, origin->disk, &row);
	if (!r)
		r = dedup_domain(txn, instance, &domain);
	if (!r)
		r = dedup_domain_for(txn, instance, row.domain, &domain);
	if (!r && !hash_is_none(&row.root.hash))
		r = object_take(txn, domain, &row.root.hash, row.domain);
	if (r)
		return fail(err, r, "the disk of %s cannot be taken (%s)", origin->name, err_name(r));
	row.domain = domain;
	row.no = cat_next(txn, COUNTER_DISK);
	row.image = instance->node;
	row.mtime = clock_real();
	image_path_for(txn, a->who, origin, &path);
	instance->disk = row.no;
	instance->state = STATE_AVAILABLE;
	instance->reason[0] = 0;
	instance->trashed = 0;
	instance->maker_pid = 0; /* who starts it by a link copies nothing along, no mode either */
	instance->from = origin->id;
	instance->from_shared = image_is_from_others(origin, instance);
	snprintf(instance->from_text, sizeof instance->from_text, "%s", path.data);
	snprintf(a->detail, sizeof a->detail, "from %s", path.data);
	replace_note(txn, a->who, origin, a->detail, sizeof a->detail);
	origin->used = true;
	note_use(origin, a->who);
	instance->changed = clock_real();
	r = disk_row_put(txn, &row);
	if (!r)
		r = image_put(txn, origin);
	if (!r)
		r = terms_replace(txn, instance, origin);
	if (!r)
		r = image_put(txn, instance);
	return r ? r : runs_begin(txn, instance);
}

/* The link that was kept under the name `image`. */
static int forget_kept(struct cat_txn *txn, const struct image *instance)
{
	char text[1024];
	uint8_t key = link_find(txn, instance->node, "image", text);
	return key ? setting_remove(txn, instance->node, key) : 0;
}

/* Notes what a disk that is there was made from. */
static int note_origin(struct cat_txn *txn, struct act *a, struct image *instance, const char *text, struct error *err)
{
	struct image origin;
	AUTO_BUF struct buf path = BUF_INIT;
	int r = resolve(txn, a, instance, text, &origin, err);
	if (!r)
		r = terms_inherit(txn, instance, &origin, err);
	if (r)
		return r;
	image_path_for(txn, a->who, &origin, &path);
	instance->from = origin.id;
	instance->from_shared = image_is_from_others(&origin, instance);
	snprintf(instance->from_text, sizeof instance->from_text, "%s", path.data);
	return forget_kept(txn, instance);
}

/* A link that names nothing that can be started here. */
static bool names_nothing(int code)
{
	return code == -ENOENT || code == -EXDEV || code == -EINVAL || code == -EPERM || code == -EACCES || code == -EBUSY;
}

int start_recall(struct cat_txn *txn, struct act *a, struct image *instance)
{
	char text[1024];
	struct error ignored = { .code = 0 };
	if (instance->from || !link_find(txn, instance->node, "image", text))
		return 0;
	int r = note_origin(txn, a, instance, text, &ignored);
	if (r)
		return names_nothing(r) ? 0 : r;
	r = image_put(txn, instance);
	return r || !image_is_running(instance) ? r : runs_review(txn, instance);
}

static int install(struct cat_txn *txn, struct act *a, struct image *instance, const char *text, struct error *err)
{
	struct image origin;
	char gone[TRASH_NAME_MAX + 1];
	bool again = instance->disk != 0;
	int r = resolve(txn, a, instance, text, &origin, err);
	if (!r && again)
		r = start_check_idle(a->service, instance, err);
	if (!r && again)
		r = policy_spend_operation(txn, a->who->account, instance->shelf.region, err);
	if (!r && again)
		r = trash_disk(txn, a, instance, gone, err);
	if (r)
		return r;
	act_path_image(a, txn, instance);
	a->operation = again ? "reinstall" : "start";
	a->not_logged = false;
	r = take_disk(txn, a, instance, &origin, err);
	act_node_changed(a, seers_of(instance), node_image(instance->node, SLOT_DIR), true);
	return r ? r : forget_kept(txn, instance);
}

/* ---- links ---------------------------------------------------------------------------------------------------- */

/* The first link beside a disk that has been brought. */
static int record(struct cat_txn *txn, struct act *a, struct image *instance, struct error *err)
{
	int r = note_origin(txn, a, instance, a->text, err);
	if (!r)
		r = image_put(txn, instance);
	return r || !image_is_running(instance) ? r : runs_review(txn, instance);
}

/* A link that a program restores has the text that it read; who starts a server says ../../TYPE/NAME, or an absolute path. */
static bool is_brought_back(const struct act *a)
{
	return a->who->restores && strncmp(a->text, "../../../", 9) == 0;
}

static int keep_for_later(struct cat_txn *txn, struct act *a, struct image *instance, struct error *err)
{
	if (!instance->disk)
		snprintf(instance->reason, sizeof instance->reason, "its link was restored, and its disk is to follow; to start it from "
			 "the image instead: ln -sfn ../../TYPE/NAME image");
	int r = image_put(txn, instance);
	return r ? r : link_keep(txn, a, instance, err);
}

int start_link(struct cat_txn *txn, struct act *a, struct image *instance, struct error *err)
{
	a->result = node_image(instance->node, SLOT_LINK);
	a->not_logged = true;
	if (strcmp(a->name, "image") == 0 && !instance->from && !a->who->brings_link) {
		if (!instance->disk && is_brought_back(a))
			return keep_for_later(txn, a, instance, err);
		if (!instance->disk)
			return install(txn, a, instance, a->text, err);
		int r = record(txn, a, instance, err);
		if (!names_nothing(r))
			return r;
		if (a->who->restores)
			return keep_for_later(txn, a, instance, err);
	}
	if (!setting_is_computed(a->name))
		return link_keep(txn, a, instance, err);
	if (a->who->brings_link && !instance->disk)
		snprintf(instance->reason, sizeof instance->reason, "its link was copied from another instance, and its disk is to follow "
			 "(cp -r); to start it from an image instead: ln -sfn ../../TYPE/NAME image");
	tree_mark_link(instance, a->who->pid, a->name); /* whoever brings it along sets its owner and times next */
	return image_put(txn, instance);
}

int start_rename(struct cat_txn *txn, struct act *a, struct image *instance, uint8_t key, struct error *err)
{
	char text[1024];
	int r = link_text(txn, instance->node, key, text);
	if (!r && strcmp(a->new_name, "image"))
		return fail(err, -EINVAL, "a link in an instance is called image");
	if (!r)
		r = setting_remove(txn, instance->node, key);
	return r ? r : install(txn, a, instance, text, err);
}
