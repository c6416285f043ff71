/* SPDX-License-Identifier: Apache-2.0 */
/* upload_use: the first use of a disk, which seals it; and where the bytes of a copy come from. */
#include "domain/upload_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "catalog/meter_tab.h"
#include "catalog/object_tab.h"
#include "catalog/region.h"
#include "domain/act.h"
#include "domain/dedup.h"
#include "domain/disks.h"
#include "domain/policy.h"
#include "domain/price.h"
#include "domain/rights.h"
#include "domain/runs.h"

/* ---- first use -------------------------------------------------------------------------------------------- */

void note_use(struct image *i, const struct who *w)
{
	bool common = i->shelf.type == TYPE_PUBLIC || i->shelf.type == TYPE_MARKETPLACE;
	if (common || i->owner == w->account)
		i->last_used = clock_real();
}

static int do_use(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct image i;
	int r = image_get(txn, a->node, &i);
	if (r)
		return fail(err, r, "this image is gone");
	if (!image_is_settled(&i))
		return fail(err, -EBUSY, "%s is being written again", i.name);
	i.used = true;
	note_use(&i, a->who);
	return image_put(txn, &i);
}

int upload_use(struct service *s, const struct who *w, const struct image *image, struct error *err)
{
	struct who user = *w;
	struct act a = { .service = s, .who = &user, .fn = do_use, .node = image->node };
	user.conn = 0;
	user.resent = false;
	if (image->shelf.type == TYPE_INSTANCE)
		return 0;
	/* When it was last used is kept to the hour: reading must not mean writing. */
	if (image->used && image->owner != w->account && image->shelf.type == TYPE_CUSTOM)
		return 0;
	if (image->used && clock_real() - image->last_used < (int64_t)3600 * 1000000000)
		return 0;
	return act_run(&a, err);
}

struct lineage {
	struct act act;
	const struct image *from;
	const struct map_root *map;
	uint32_t moved_to; /* domain that the disk is in from now on; 0: it stays where it is */
};

/* A disk that has nothing yet goes where it can borrow its origin's map. */
static int move_empty(struct cat_txn *txn, struct lineage *l, struct tree_disk *to, uint32_t lender)
{
	uint32_t domain = to->row.domain;
	int r = dedup_domain_for(txn, &to->image, lender, &domain);
	if (r || domain == to->row.domain || !hash_is_none(&to->row.root.hash))
		return r;
	r = hold_any(txn, to->row.no);
	if (r != -ENOENT)
		return r;
	l->moved_to = to->row.domain = domain;
	return disk_row_put(txn, &to->row);
}

/* The copy holds its origin's map from here on: the disk would ask for it with its first range, in a commit of its own. One that
 * may not borrow it, and has something already, copies bytes. */
static int hold_origin(struct cat_txn *txn, struct lineage *l, struct tree_disk *to, const struct image *from)
{
	struct disk_row origin;
	l->moved_to = 0;
	if (hash_is_none(&l->map->hash))
		return 0;
	int r = disk_row_get(txn, from->disk, &origin);
	if (!r)
		r = move_empty(txn, l, to, origin.domain);
	if (r || !dedup_may_borrow(to->row.domain, origin.domain))
		return r == -ENOENT ? ERR_STALE : r;
	r = hold_put(txn, to->row.no, to->row.domain, l->map);
	if (r == -EEXIST)
		return 0;
	return r ? r : object_take(txn, to->row.domain, &l->map->hash, origin.domain);
}

/* A program that reads and writes makes an import, which is allowed everywhere; this is about copies. */
static int region_takes_copy(struct cat_txn *txn, const struct image *to, const struct image *from, struct error *err)
{
	struct region region;
	int r = region_get(txn, to->shelf.region, &region);
	if (r)
		return fail(err, r, "this region is gone");
	if (region.copy || to->shelf.region == from->shelf.region)
		return 0;
	return fail(err, -EROFS, "the region %s takes no copies from other regions: import the image there from its file (imagefs "
		    "export, imagefs import)", region.name);
}

/* Between looking at the map and this its writer may have come back, or only then have ended. */
static int still_whole(struct cat_txn *txn, const struct image *from, const struct map_root *map, struct error *err)
{
	struct disk_row row;
	if (from->shelf.type == TYPE_INSTANCE) /* its map is of one moment, whatever is written since */
		return 0;
	int r = disk_row_get(txn, from->disk, &row);
	if (!r && (!image_is_settled(from) || !hash_equal(&row.root.hash, &map->hash)))
		r = fail(err, -EBUSY, "%s is being written again: wait until it is available (imagefs status --wait)", from->name);
	return r;
}

bool image_is_from_others(const struct image *from, const struct image *to)
{
	return from->from_shared || (from->owner != to->owner && from->shelf.type == TYPE_CUSTOM);
}

/* A server that is copied from another one is of the same image as that. */
static void note_origin(struct cat_txn *txn, struct act *a, const struct image *from, struct image *to)
{
	AUTO_BUF struct buf path = BUF_INIT;
	image_path_for(txn, a->who, from, &path);
	to->from = from->id;
	to->from_shared |= image_is_from_others(from, to); /* what was copied in before is still there */
	snprintf(to->from_text, sizeof to->from_text, "%s", path.data);
	if (from->shelf.type == TYPE_INSTANCE && to->shelf.type == TYPE_INSTANCE) {
		to->from = from->from;
		memcpy(to->from_text, from->from_text, sizeof to->from_text);
	}
}

static int do_lineage(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct lineage *l = (struct lineage *)a; /* act is its first member */
	struct tree_disk d;
	struct image from;
	int r = upload_rows(txn, a->node, &d, err);
	if (!r)
		r = image_get(txn, l->from->node, &from);
	if (!r)
		r = may_copy_into(txn, a->who, &from, &d.image, err);
	if (!r)
		r = still_whole(txn, &from, l->map, err);
	if (!r)
		r = region_takes_copy(txn, &d.image, &from, err);
	if (!r)
		r = hold_origin(txn, l, &d, &from);
	if (r)
		return r == ERR_STALE ? fail(err, -ESTALE, "the image that is being copied is gone") : r;
	from.used = from.shelf.type != TYPE_INSTANCE;
	note_use(&from, a->who);
	r = terms_inherit(txn, &d.image, &from, err);
	if (r)
		return r;
	if (d.is_main || d.image.shelf.type != TYPE_INSTANCE || !d.image.disk) /* what lies beside a server's disk is not what it was made from */
		note_origin(txn, a, &from, &d.image);
	r = image_put(txn, &from);
	if (!r)
		r = image_put(txn, &d.image);
	return r || !image_is_running(&d.image) ? r : runs_review(txn, &d.image);
}

int upload_lineage(struct service *s, const struct who *w, uint64_t to_disk_node, const struct image *from,
		   const struct map_root *map, struct error *err)
{
	struct who copier = *w;
	struct lineage l = { .act = { .service = s, .who = &copier, .fn = do_lineage, .node = to_disk_node }, .from = from, .map = map };
	struct disk *disk;
	copier.conn = 0;
	copier.resent = false;
	int r = act_run(&l.act, err);
	if (r || !l.moved_to)
		return r;
	r = disks_get(s->disks, node_number(to_disk_node), &disk, err);
	if (r)
		return r;
	disk_set_domain(disk, l.moved_to);
	disks_put(s->disks, &disk);
	return 0;
}

static int do_forget_lineage(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct tree_disk d;
	int r = upload_rows(txn, a->node, &d, err);
	if (r || !d.is_main || d.image.used)
		return r;
	a->not_logged = true;
	d.image.from = 0;
	d.image.from_shared = false;
	d.image.from_text[0] = 0;
	if (d.image.inherits)
		d.image.inherits |= INHERITS_STALE; /* not none: what is read from the same image and written here would be free */
	return image_put(txn, &d.image);
}

int upload_emptied(struct service *s, const struct who *w, uint64_t disk_node, struct error *err)
{
	struct tree_disk d;
	struct who writer = *w;
	struct act a = { .service = s, .who = &writer, .fn = do_forget_lineage, .node = disk_node };
	writer.conn = 0; /* done twice it does no harm */
	writer.resent = false;
	int r = tree_disk(s, w, disk_node, &d, err);
	bool has_terms = !r && d.image.inherits && !(d.image.inherits & INHERITS_STALE);
	return r || (!d.image.from && !has_terms) ? r : act_run(&a, err);
}

int upload_size_allowed(struct service *s, const struct who *w, uint64_t disk_node, uint64_t size, struct error *err)
{
	struct tree_disk d;
	struct cat_txn *txn;
	int r = tree_disk(s, w, disk_node, &d, err);
	if (!r)
		r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = policy_disk_size(txn, d.image.owner, d.image.shelf.region, size, err);
	cat_end(&txn);
	return r;
}
