/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/inherit.h"

#include <string.h>

#include "catalog/region.h"
#include "domain/act.h"
#include "domain/price.h"
#include "domain/runs.h"
#include "domain/tree_int.h"
#include "domain/upload.h"

struct inheriting {
	struct act act;
	uint64_t from;
};

static int read_image(struct cat_txn *txn, uint64_t disk_node, struct image *ret)
{
	struct disk_row row;
	int r = disk_row_get(txn, node_number(disk_node), &row);
	return r ? r : image_get(txn, row.image, ret);
}

/* 1: there is something to be inherited. */
static int look(struct cat_txn *txn, const struct image *to, const struct image *from)
{
	struct terms ours, theirs;
	if (to->node == from->node || (from->shelf.type == TYPE_INSTANCE && image_is_running(to)))
		return 0;
	int r = terms_get(txn, from, &theirs);
	if (r || !terms_charge(&theirs))
		return r;
	r = terms_get(txn, to, &ours);
	if (r)
		return r;
	bool has_license = !theirs.license[0] || ((to->inherits & INHERITS_LICENSE) && strcmp(ours.license, theirs.license) == 0);
	bool has_price = theirs.unit == PRICE_NONE || ((to->inherits & INHERITS_PRICE) && terms_same_price(&ours, &theirs));
	return !has_license || !has_price;
}

static int do_inherit(struct cat_txn *txn, struct act *a, struct error *err)
{
	const struct inheriting *in = (const struct inheriting *)a; /* act is its first member */
	struct image to, from;
	int r = read_image(txn, a->node, &to);
	if (!r)
		r = read_image(txn, in->from, &from);
	if (!r)
		r = look(txn, &to, &from);
	if (r <= 0)
		return r == -ENOENT ? 0 : r;
	r = terms_inherit(txn, &to, &from, err);
	if (!r)
		r = image_put(txn, &to);
	return r || !image_is_running(&to) ? r : runs_review(txn, &to);
}

static int look_now(struct service *s, uint64_t to_node, uint64_t from_node, struct error *err)
{
	struct cat_txn *txn;
	struct image to, from;
	int r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = read_image(txn, to_node, &to);
	if (!r)
		r = read_image(txn, from_node, &from);
	if (!r)
		r = look(txn, &to, &from);
	cat_end(&txn);
	return r == -ENOENT ? 0 : r; /* deleted while it is open */
}

int inherit_by_reading(struct service *s, const struct who *w, uint64_t to_node, uint64_t from_node, struct error *err)
{
	struct who writer = *w;
	struct inheriting in = { .act = { .service = s, .who = &writer, .fn = do_inherit, .node = to_node }, .from = from_node };
	writer.conn = 0; /* done twice it does no harm */
	writer.resent = false;
	int r = look_now(s, to_node, from_node, err);
	return r <= 0 ? r : act_run(&in.act, err);
}

/* ---- what an import is ------------------------------------------------------------------------------- */

struct twin {
	struct cat_txn *txn;
	const struct image *image;
	const struct disk_row *row;
	struct image found;
};

#define FOUND 1

static int is_twin(void *ctx, const struct image *other)
{
	struct twin *t = ctx;
	struct disk_row row;
	if (!other->inherits || !other->disk || other->node == t->image->node)
		return 0;
	int r = disk_row_get(t->txn, other->disk, &row);
	if (r || row.size != t->row->size || !hash_equal(&row.root.hash, &t->row->root.hash))
		return r == -ENOENT ? 0 : r;
	t->found = *other;
	return FOUND;
}

static int look_in_region(void *ctx, const struct region *region)
{
	static const enum image_type types[] = { TYPE_CUSTOM, TYPE_INSTANCE };
	struct twin *t = ctx;
	int r = 0;
	for (unsigned n = 0; n < 4 && !r; n++) {
		struct shelf shelf = { t->image->owner, region->no, (uint8_t)types[n / 2], n % 2 };
		r = image_each(t->txn, &shelf, 0, is_twin, t);
	}
	return r;
}

int inherit_by_content(struct cat_txn *txn, struct image *i, uint32_t pid, const struct disk_row *row, struct error *err)
{
	struct twin t = { .txn = txn, .image = i, .row = row };
	if (i->from || i->inherits || hash_is_none(&row->root.hash))
		return 0;
	int r = region_each(txn, 0, look_in_region, &t);
	if (r != FOUND)
		return r;
	tree_mark_terms(i, pid);
	return terms_inherit(txn, i, &t.found, err);
}
