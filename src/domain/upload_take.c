/* SPDX-License-Identifier: Apache-2.0 */
/* upload_take: a file that lies beside the disk takes its place.
 *
 * So does an upload that begins anew under the name of the disk. The old disk goes to the trash if anybody could still want it: it was whole, and it is not just what it was started from. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "domain/act.h"
#include "domain/disks.h"
#include "domain/names.h"
#include "domain/rights.h"
#include "domain/start.h"
#include "domain/trash.h"
#include "domain/upload_int.h"

/* A file of another name beside a disk that is there may be an editor's: only above this size is it taken for a new disk. */
#define SCRATCH_LIMIT 65536u

bool upload_replaces(const struct image *i, const char *name, uint64_t size)
{
	if (name[0] == '.' || !i->disk)
		return false;
	return size > SCRATCH_LIMIT || strcmp(name, "disk") == 0 || strcmp(name, image_disk_name(i)) == 0;
}

struct name_search {
	uint64_t disk;
	char *name;
};

static int match_disk(void *ctx, uint8_t key, const char *value, unsigned len)
{
	struct name_search *s = ctx;
	if (key < SET_SCRATCH || key > SET_SCRATCH_MAX || len <= 8 || len - 8 > 255 || get_le64(value) != s->disk)
		return 0;
	memcpy(s->name, value + 8, len - 8);
	s->name[len - 8] = 0;
	return key;
}

void take_name(struct service *s, const struct tree_disk *d, char ret[256])
{
	struct name_search search = { d->row.no, ret };
	struct cat_txn *txn;
	ret[0] = 0;
	if (cat_begin(s->catalog, &txn, NULL))
		return;
	if (setting_each(txn, d->image.node, match_disk, &search) < 0)
		ret[0] = 0;
	cat_end(&txn);
}

/* ---- the old disk ---------------------------------------------------------------------------------- */

int take_begin(struct taking *t, struct service *s, uint64_t old, struct error *err)
{
	*t = (struct taking){ .service = s, .old = old };
	int r = old ? disks_get(s->disks, old, &t->disk, err) : 0;
	if (!old || r == -ESTALE) /* it has just gone: the commit sees another one there, or none */
		return 0;
	if (r)
		return r;
	t->gate = disks_gate(s->disks, t->disk);
	pthread_rwlock_wrlock(&t->gate->lock);
	t->is_written = disk_dirty(t->disk);
	return 0;
}

void take_end(struct taking *t)
{
	if (!t->disk)
		return;
	t->gate->rounds++; /* who writes to it asks again, and finds it in the trash */
	pthread_rwlock_unlock(&t->gate->lock);
	disks_put(t->service->disks, &t->disk);
}

/* A server's disk that was never written: the image that it was started from has it, too. */
static bool is_as_started(struct cat_txn *txn, const struct taking *t, const struct who *w, const struct image *i)
{
	struct image origin;
	struct disk_row row, first;
	if (i->shelf.type != TYPE_INSTANCE || !i->from || t->old != i->disk || t->is_written)
		return false;
	return disk_row_get(txn, i->disk, &row) == 0 && image_by_id(txn, i->from, &origin) == 0 && !origin.shelf.trash &&
	       may(txn, w, MAY_START, NULL, &origin, NULL) == 0 && disk_row_get(txn, origin.disk, &first) == 0 &&
	       first.size == row.size && hash_equal(&first.root.hash, &row.root.hash);
}

static int give_up(struct cat_txn *txn, struct taking *t, struct act *a, const struct image *i, struct error *err)
{
	char gone[TRASH_NAME_MAX + 1];
	int r = start_check_idle(a->service, i, err);
	if (r)
		return r;
	if (!image_is_settled(i) || is_as_started(txn, t, a->who, i)) {
		act_drop_disk(a, i->disk);
		return disk_row_release(txn, i->disk);
	}
	r = trash_disk(txn, a, i, gone, err);
	snprintf(t->told, sizeof t->told, "its old disk is in .trash/%s/%s", type_name((enum image_type)i->shelf.type), gone);
	return r;
}

int upload_keep_old(struct cat_txn *txn, struct act *a, const struct tree_disk *d, struct error *err)
{
	char gone[TRASH_NAME_MAX + 1];
	if (!image_is_settled(&d->image) || d->image.shelf.trash || hash_is_none(&d->row.root.hash))
		return 0;
	int r = trash_copy(txn, a, &d->image, gone, err);
	a->not_logged = false;
	act_path_image(a, txn, &d->image);
	snprintf(a->detail, sizeof a->detail, "its old disk is in .trash/%s/%s", type_name((enum image_type)d->image.shelf.type), gone);
	return r;
}

/* ---- the new one ----------------------------------------------------------------------------------- */

/* It is called what it was called when it lay beside the disk. */
static int take_row(struct cat_txn *txn, struct image *i, uint64_t disk)
{
	char name[256];
	struct name_search search = { disk, name };
	int key = setting_each(txn, i->node, match_disk, &search);
	if (key <= 0)
		return key;
	snprintf(i->upload, sizeof i->upload, "%s", i->shelf.type == TYPE_INSTANCE ? "disk" : name);
	return setting_remove(txn, i->node, (uint8_t)key);
}

int take_over(struct cat_txn *txn, struct taking *t, struct act *a, struct image *i, uint64_t disk, struct error *err)
{
	t->told[0] = 0;
	if (i->disk == disk)
		return 0;
	int r = i->disk ? give_up(txn, t, a, i, err) : 0;
	if (!r)
		r = take_row(txn, i, disk);
	i->disk = disk;
	return r && r != -EBUSY ? fail(err, r, "the upload could not become the disk of %s", i->name) : r;
}
