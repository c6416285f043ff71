/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/start.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "catalog/object_tab.h"
#include "catalog/region.h"
#include "domain/decide.h"
#include "domain/names.h"
#include "domain/trash.h"
#include "domain/tree_int.h"

/* ---- which image a link means ---------------------------------------------------------------------------- */

/* The path that a link's text means, from the root of the mount: at most MAX_PARTS names. */
#define MAX_PARTS 3

struct path {
	char parts[MAX_PARTS][TRASH_NAME_MAX + 1];
	unsigned n;
	bool above; /* it left the mount */
};

static void path_add(struct path *p, const char *name, size_t len)
{
	if (len == 0 || (len == 1 && name[0] == '.'))
		return;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		p->above |= p->n == 0;
		p->n -= p->n > 0;
		return;
	}
	/* Of an absolute path only the end counts: where the mount is, and through which bind mount, is not known here. */
	if (p->n == MAX_PARTS) {
		memmove(p->parts[0], p->parts[1], sizeof p->parts[0] * (MAX_PARTS - 1));
		p->n--;
	}
	snprintf(p->parts[p->n++], sizeof p->parts[0], "%.*s", (int)len, name);
}

static int path_resolve(struct cat_txn *txn, const struct image *instance, const char *text, struct path *ret)
{
	struct region region;
	*ret = (struct path){ .n = 0 };
	int r = region_get(txn, instance->shelf.region, &region);
	if (r)
		return r;
	if (text[0] != '/') {
		path_add(ret, region.name, strlen(region.name));
		path_add(ret, type_name(TYPE_INSTANCE), strlen(type_name(TYPE_INSTANCE)));
		path_add(ret, instance->name, strlen(instance->name));
	}
	for (size_t n; *text; text += n + (text[n] == '/')) {
		n = strcspn(text, "/");
		path_add(ret, text, n);
	}
	return 0;
}

static int find_shelf(struct cat_txn *txn, const struct who *w, const struct path *p, struct shelf *ret)
{
	struct region region;
	int type = p->n == MAX_PARTS && !p->above ? type_by_name(p->parts[1]) : -1;
	if (type < 0 || region_find(txn, p->parts[0], &region))
		return -ENOENT;
	bool common = type == TYPE_PUBLIC || type == TYPE_MARKETPLACE;
	*ret = (struct shelf){ .account = common ? 0 : w->account, .region = region.no, .type = (uint8_t)type };
	return 0;
}

static int resolve(struct cat_txn *txn, struct act *a, const struct image *instance, const char *text, struct image *ret,
		   struct error *err)
{
	struct path p;
	struct shelf shelf;
	int r = path_resolve(txn, instance, text, &p);
	if (!r)
		r = find_shelf(txn, a->who, &p, &shelf);
	if (!r)
		r = image_find(txn, &shelf, p.parts[2], ret);
	if (!r && ret->kind == KIND_ALIAS)
		r = image_find(txn, &shelf, ret->target, ret);
	if (r)
		return fail(err, r == -ENOENT ? -ENOENT : r, "%s names no image; an instance is started by ln -s "
			    "../../TYPE/NAME image (or ln -sr)", text);
	r = decide(a->who, MAY_START, NULL, ret, err);
	if (!r && shelf.type == TYPE_INSTANCE)
		r = fail(err, -EINVAL, "%s is an instance: make an image of it first (cp -r), then start that", ret->name);
	if (!r && shelf.region != instance->shelf.region)
		r = fail(err, -EXDEV, "%s is in another region: copy it into this one first", ret->name);
	if (!r && ret->state != STATE_AVAILABLE && ret->state != STATE_DEPRECATED)
		r = fail(err, -EBUSY, "%s is not available yet (%s)", ret->name, state_name((enum image_state)ret->state));
	return r;
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
	AUTO_BUF struct buf path = BUF_INIT;
	int r = disk_row_get(txn, origin->disk, &row);
	if (!r && !hash_is_none(&row.root.hash))
		r = object_ref(txn, row.domain, &row.root.hash);
	if (r)
		return fail(err, r, "the disk of %s cannot be taken (%s)", origin->name, err_name(r));
	row.no = cat_next(txn, COUNTER_DISK);
	row.image = instance->node;
	row.mtime = clock_real();
	image_path(txn, origin, &path);
	instance->disk = row.no;
	instance->state = STATE_AVAILABLE;
	instance->reason[0] = 0;
	instance->trashed = 0;
	instance->from = origin->id;
	snprintf(instance->from_text, sizeof instance->from_text, "%s", path.data);
	snprintf(a->detail, sizeof a->detail, "from %s", path.data);
	origin->used = true;
	origin->last_used = instance->changed = clock_real();
	r = disk_row_put(txn, &row);
	if (!r)
		r = image_put(txn, origin);
	return r ? r : image_put(txn, instance);
}

/* The disk that an installation replaces, as an instance in the trash: it can be restored under another name. */
static int discard_disk(struct cat_txn *txn, struct act *a, const struct image *instance)
{
	struct image gone = *instance;
	struct disk_row row;
	gone.shelf.account = instance->owner;
	gone.shelf.trash = true;
	gone.node = cat_next(txn, COUNTER_NODE);
	gone.id = cat_next(txn, COUNTER_NODE);
	gone.state_before_trash = instance->state;
	gone.state = STATE_TRASHED;
	gone.trashed = gone.changed = clock_real();
	int r = trash_name(txn, &gone.shelf, instance->name, gone.name);
	if (!r)
		r = image_put(txn, &gone);
	if (!r)
		r = setting_copy_all(txn, instance->node, gone.node);
	if (!r)
		r = disk_row_get(txn, gone.disk, &row);
	row.image = gone.node;
	act_shelf_changed(a, &gone.shelf, gone.name);
	return r ? r : disk_row_put(txn, &row);
}

static int install(struct cat_txn *txn, struct act *a, struct image *instance, const char *text, struct error *err)
{
	struct image origin;
	bool again = instance->disk != 0;
	int r = resolve(txn, a, instance, text, &origin, err);
	if (!r && again)
		r = start_check_idle(a->service, instance, err);
	if (!r && again)
		r = discard_disk(txn, a, instance);
	if (r)
		return r;
	act_path_image(a, txn, instance);
	a->operation = again ? "reinstall" : "start";
	a->not_logged = false;
	r = take_disk(txn, a, instance, &origin, err);
	act_node_changed(a, node_image(instance->node, SLOT_DIR), true);
	return r;
}

/* ---- links ---------------------------------------------------------------------------------------------------- */

struct link_search {
	const char *name;
	uint8_t key;
	char *text;
};

static int match_link(void *ctx, uint8_t key, const char *value, unsigned len)
{
	struct link_search *s = ctx;
	size_t n = strnlen(value, len);
	if (key < SET_LINK || key > SET_LINK_MAX || n == len || strcmp(value, s->name))
		return 0;
	s->key = key;
	snprintf(s->text, 1024, "%.*s", (int)(len - n - 1), value + n + 1);
	return 1;
}

uint8_t start_find_link(struct cat_txn *txn, uint64_t node, const char *name, char ret_text[1024])
{
	struct link_search s = { .name = name, .text = ret_text };
	return setting_each(txn, node, match_link, &s) == 1 ? s.key : 0;
}

int start_link_text(struct cat_txn *txn, uint64_t node, uint8_t key, char ret_text[1024])
{
	char value[SETTING_MAX + 1];
	unsigned len;
	int r = setting_get(txn, node, key, value, sizeof value, &len);
	if (r)
		return r;
	size_t n = strnlen(value, len);
	snprintf(ret_text, 1024, "%.*s", (int)(len > n ? len - n - 1 : 0), value + n + 1);
	return 0;
}

static int keep_link(struct cat_txn *txn, struct act *a, const struct image *instance, struct error *err)
{
	char value[SETTING_MAX + 1];
	unsigned len;
	size_t n = strlen(a->name), m = strlen(a->text);
	if (n > 255 || m > 1000)
		return -ENAMETOOLONG;
	memcpy(value, a->name, n + 1);
	memcpy(value + n + 1, a->text, m);
	for (unsigned k = SET_LINK; k <= SET_LINK_MAX; k++) {
		char other[SETTING_MAX + 1];
		int r = setting_get(txn, instance->node, (uint8_t)k, other, sizeof other, &len);
		if (r != -ENOENT && r)
			return r;
		if (r == -ENOENT) {
			a->result = node_image(instance->node, SLOT_KEPT_LINK + k - SET_LINK);
			return setting_put(txn, instance->node, (uint8_t)k, value, (unsigned)(n + 1 + m));
		}
	}
	return fail(err, -ENOSPC, "there are too many links in %s: remove some", instance->name);
}

int start_link(struct cat_txn *txn, struct act *a, struct image *instance, struct error *err)
{
	a->result = node_image(instance->node, SLOT_LINK);
	a->not_logged = true;
	if (strcmp(a->name, "image") == 0 && !instance->disk)
		return install(txn, a, instance, a->text, err);
	if (!setting_is_computed(a->name))
		return keep_link(txn, a, instance, err);
	tree_mark_link(instance, a->who->pid); /* whoever brings it along sets its owner and times next */
	return image_put(txn, instance);
}

int start_rename(struct cat_txn *txn, struct act *a, struct image *instance, uint8_t key, struct error *err)
{
	char text[1024];
	int r = start_link_text(txn, instance->node, key, text);
	if (!r && strcmp(a->new_name, "image"))
		return fail(err, -EINVAL, "a link in an instance is called image");
	if (!r)
		r = setting_remove(txn, instance->node, key);
	return r ? r : install(txn, a, instance, text, err);
}
