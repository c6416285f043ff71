/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/trash.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "catalog/object_tab.h"
#include "domain/act.h"
#include "domain/disks.h"
#include "domain/gc.h"
#include "domain/node.h"
#include "domain/policy.h"
#include "domain/runs.h"
#include "domain/settings.h"

int trash_name(struct cat_txn *txn, const struct shelf *shelf, const char *name, char ret[TRASH_NAME_MAX + 1])
{
	char stamp[32];
	struct tm tm;
	struct image other;
	time_t now = (time_t)(clock_real() / 1000000000);
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
	for (unsigned i = 1; i < 10000; i++) {
		int n = i == 1 ? snprintf(ret, TRASH_NAME_MAX + 1, "%s@%s", name, stamp)
			       : snprintf(ret, TRASH_NAME_MAX + 1, "%s@%s-%u", name, stamp, i);
		if (n > TRASH_NAME_MAX)
			return -ENAMETOOLONG;
		int r = image_find(txn, shelf, ret, &other);
		if (r == -ENOENT)
			return 0;
		if (r)
			return r;
	}
	return -EEXIST;
}

int trash_put(struct service *s, struct cat_txn *txn, struct image *image, struct error *err)
{
	char name[TRASH_NAME_MAX + 1];
	struct shelf shelf = image->shelf;
	(void)s;
	shelf.account = image->owner;
	shelf.trash = true;
	int r = trash_name(txn, &shelf, image->name, name);
	if (r)
		return fail(err, r, "the trash has no free name for %s", image->name);
	image->shelf = shelf;
	image->state_before_trash = image->state;
	image->state = STATE_TRASHED;
	image->trashed = image->changed = clock_real();
	memcpy(image->name, name, sizeof name);
	return image_put(txn, image);
}

struct scratch_keys {
	uint8_t keys[256 - SET_SCRATCH];
	unsigned n;
};

static int note_scratch_key(void *ctx, uint8_t key, const char *value, unsigned len)
{
	struct scratch_keys *k = ctx;
	(void)value, (void)len;
	if (key >= SET_SCRATCH)
		k->keys[k->n++] = key;
	return 0;
}

int trash_forget_scratch(struct cat_txn *txn, uint64_t node)
{
	struct scratch_keys k = { .n = 0 };
	int r = setting_each(txn, node, note_scratch_key, &k);
	for (unsigned n = 0; n < k.n && !r; n++)
		r = setting_remove(txn, node, k.keys[n]);
	return r;
}

static int take_disk(struct cat_txn *txn, const struct image *to)
{
	struct disk_row row;
	int r = disk_row_get(txn, to->disk, &row);
	row.image = to->node;
	return r ? r : disk_row_put(txn, &row);
}

/* The same bytes once more: they are paid for already. */
static int copy_disk(struct cat_txn *txn, struct image *to)
{
	struct disk_row row;
	int r = disk_row_get(txn, to->disk, &row);
	if (!r && !hash_is_none(&row.root.hash))
		r = object_ref(txn, row.domain, &row.root.hash);
	if (r)
		return r;
	row.no = to->disk = cat_next(txn, COUNTER_DISK);
	row.image = to->node;
	row.overlay = 0;
	return disk_row_put(txn, &row);
}

static int put_disk(struct cat_txn *txn, struct act *a, const struct image *i, bool copy, char ret_name[TRASH_NAME_MAX + 1],
		    struct error *err)
{
	struct image gone = *i;
	int r = policy_room_in_trash(txn, i->owner, i->shelf.region, err);
	if (r)
		return r;
	gone.shelf.account = i->owner;
	gone.shelf.trash = true;
	gone.node = cat_next(txn, COUNTER_NODE);
	gone.id = cat_next(txn, COUNTER_NODE);
	gone.state_before_trash = i->state;
	gone.state = STATE_TRASHED;
	gone.trashed = gone.changed = clock_real();
	r = trash_name(txn, &gone.shelf, i->name, gone.name);
	if (!r && copy)
		r = copy_disk(txn, &gone);
	if (!r)
		r = image_put(txn, &gone);
	if (!r)
		r = setting_copy_all(txn, i->node, gone.node);
	if (!r)
		r = trash_forget_scratch(txn, gone.node);
	if (!r && i->shelf.type == TYPE_INSTANCE)
		r = runs_split(txn, i, &gone);
	if (!r && !copy)
		r = take_disk(txn, &gone);
	memcpy(ret_name, gone.name, sizeof gone.name);
	act_shelf_changed(a, SEEN_BY(gone.shelf.account), &gone.shelf, gone.name);
	return r;
}

int trash_disk(struct cat_txn *txn, struct act *a, const struct image *i, char ret_name[TRASH_NAME_MAX + 1], struct error *err)
{
	return put_disk(txn, a, i, false, ret_name, err);
}

int trash_copy(struct cat_txn *txn, struct act *a, const struct image *i, char ret_name[TRASH_NAME_MAX + 1], struct error *err)
{
	return put_disk(txn, a, i, true, ret_name, err);
}

int disk_row_release(struct cat_txn *txn, uint64_t disk)
{
	struct disk_row row;
	struct map_root held;
	uint32_t domain;
	int r = disk_row_get(txn, disk, &row);
	if (r)
		return r == -ENOENT ? 0 : r;
	if (!hash_is_none(&row.root.hash))
		r = object_unref(txn, row.domain, &row.root.hash);
	while (!r && (r = hold_take(txn, disk, &domain, &held)) == 0)
		if (!hash_is_none(&held.hash))
			r = object_unref(txn, domain, &held.hash);
	if (r && r != -ENOENT)
		return r;
	return disk_row_remove(txn, disk);
}

_Static_assert(PURGED_MAX > SET_SCRATCH_MAX - SET_SCRATCH + 1, "room for all disks of an image");

static int note_scratch(void *ctx, uint8_t key, const char *value, unsigned len)
{
	struct purged *all = ctx;
	if (key >= SET_SCRATCH && key <= SET_SCRATCH_MAX && len >= 8 && get_le64(value) != all->disks[0])
		all->disks[all->n++] = get_le64(value);
	return 0;
}

int trash_purge_row(struct cat_txn *txn, const struct image *image, struct purged *ret)
{
	*ret = (struct purged){ .disks = { image->disk }, .n = image->disk != 0 };
	int r = setting_each(txn, image->node, note_scratch, ret);
	for (unsigned i = 0; i < ret->n && !r; i++)
		r = disk_row_release(txn, ret->disks[i]);
	if (!r && image->shelf.type == TYPE_INSTANCE)
		r = runs_end(txn, image);
	return r ? r : image_remove(txn, image->node);
}

struct purge {
	uint64_t node;
	struct purged purged;
};

static int purge(struct cat_txn *txn, void *arg, struct error *err)
{
	struct purge *p = arg;
	struct image image;
	int r = image_get(txn, p->node, &image);
	if (r)
		return fail(err, r, "there is no such image any more");
	return trash_purge_row(txn, &image, &p->purged);
}

int trash_purge(struct service *s, uint64_t node, struct error *err)
{
	struct purge p = { .node = node };
	int r = cat_write(s->catalog, purge, &p, err);
	if (r)
		return r;
	for (unsigned i = 0; i < p.purged.n; i++)
		disks_drop(s->disks, p.purged.disks[i]);
	gc_wake(s->gc);
	return 0;
}
