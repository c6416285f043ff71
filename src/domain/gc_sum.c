/* SPDX-License-Identifier: Apache-2.0 */
/* gc_sum: when there is nothing else to do, the SHA-256 of every disk that has none yet is found, for .status.
 *
 * It cannot be made of the chunks' hashes, and hashing a disk takes as long as reading it: too long for the close of an upload, which
 * has the digest of its map at once. */
#include "domain/disks.h"
#include "domain/gc_int.h"
#include "domain/upload.h"

struct wanted {
	struct cat_txn *txn;
	uint64_t node;
	struct disk_row row;
};

static int find_unsummed(void *ctx, const struct image *i)
{
	struct wanted *w = ctx;
	bool fixed = i->kind == KIND_IMAGE && i->disk && i->shelf.type != TYPE_INSTANCE && i->used && image_is_settled(i);
	if (!fixed || disk_row_get(w->txn, i->disk, &w->row) || w->row.has_sha || w->row.size > UPLOAD_HASH_MOST)
		return 0;
	w->node = i->node;
	return 1;
}

static bool is_stopping(void *gc) { return gc_stopping(gc); }

struct summed {
	const struct wanted *wanted;
	struct hash sum;
};

static int write_sum(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct summed *s = arg;
	struct disk_row row;
	(void)err;
	int r = disk_row_get(txn, s->wanted->row.no, &row);
	if (r || !hash_equal(&row.root.hash, &s->wanted->row.root.hash) || row.size != s->wanted->row.size)
		return r == -ENOENT ? 0 : r; /* deleted, or another disk by now */
	row.has_sha = true;
	row.sha256 = s->sum;
	return disk_row_put(txn, &row);
}

static int sum_wanted(struct gc_work *w, const struct wanted *wanted, struct error *err)
{
	struct summed s = { .wanted = wanted };
	struct disk *disk;
	int r = disks_get(w->service->disks, wanted->row.no, &disk, err);
	if (r)
		return r == -ESTALE ? 0 : r;
	r = upload_hash(disk, w->idle ? w->service->store : NULL, is_stopping, w->gc, &s.sum, err);
	disks_put(w->service->disks, &disk);
	return r ? r : cat_write(w->service->catalog, write_sum, &s, err);
}

int gc_sum_one(struct gc_work *w, uint64_t *after, struct error *err)
{
	struct wanted wanted = { .node = 0 };
	int r = cat_begin(w->service->catalog, &wanted.txn, err);
	if (r)
		return r;
	r = image_each_all(wanted.txn, *after, find_unsummed, &wanted);
	cat_end(&wanted.txn);
	if (r != 1)
		return r;
	*after = wanted.node;
	if (gc_is_bad(w->gc, wanted.row.no | UINT64_C(1) << 62))
		return 1;
	r = sum_wanted(w, &wanted, err);
	if (r == ERR_DAMAGED)
		gc_bad(w->gc, wanted.row.no | UINT64_C(1) << 62, "A disk cannot be summed: %s", err->text);
	return r && r != ERR_DAMAGED ? r : 1;
}
