/* SPDX-License-Identifier: Apache-2.0 */
/* upload_sum: a disk's SHA-256. The sum of a hole has to be made like any other, so a sparse disk takes as long as a full one: beyond
 * UPLOAD_HASH_MOST none is made, and a large one keeps only processors busy that would be idle. */
#include "domain/upload_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "domain/act.h"
#include "domain/disks.h"
#include "domain/rights.h"

#define ASK_EACH 64u                   /* MiB: does somebody still wait? */
#define IDLE_FROM ((uint64_t)16 << 30) /* bytes: larger ones wait for idle processors */

/* ---- reading all of it ---------------------------------------------------------------------------------- */

struct piece {
	struct hasher *hasher;
	const uint8_t *data;
	size_t len;
};

static void hash_piece(void *arg)
{
	const struct piece *p = arg;
	hasher_add(p->hasher, p->data, p->len);
}

/* How many zeros follow, at most `len`; nothing is read for those. */
static uint64_t hole_at(struct disk *disk, uint64_t offset, uint64_t len)
{
	uint64_t data;
	int r = disk_seek(disk, offset, true, &data, NULL);
	uint64_t end = r == -ENXIO ? disk_size(disk) : r ? offset : data;
	return end > offset ? MIN(len, end - offset) : 0;
}

static ssize_t next_piece(struct disk *disk, uint8_t *buf, size_t len, uint64_t offset, struct disk_ahead *ahead, struct error *err)
{
	uint64_t hole = hole_at(disk, offset, len);
	if (hole == 0)
		return disk_read(disk, buf, len, offset, ahead, err);
	memset(buf, 0, hole);
	return (ssize_t)hole;
}

int upload_hash(struct disk *disk, struct store *idle, bool (*stop)(void *ctx), void *ctx, struct hash *ret, struct error *err)
{
	enum { STEP = 1 << 20 };
	uint8_t *buf = malloc(STEP);
	struct hasher *h = hasher_new();
	struct disk_ahead ahead = { 0, 0 };
	uint64_t offset = 0;
	ssize_t n = buf ? 1 : -ENOMEM;
	if (disk_size(disk) > UPLOAD_HASH_MOST)
		n = fail(err, -EFBIG, "no SHA-256 is made of a disk of more than %llu GiB, its zeros included: it would take hours; "
			 "compare the bytes (cmp), or the digests of two images in .status", (unsigned long long)(UPLOAD_HASH_MOST >> 30));
	while (n > 0 && !(stop && stop(ctx)) && (n = next_piece(disk, buf, STEP, offset, &ahead, err)) > 0) {
		struct piece piece = { h, buf, (size_t)n };
		if (idle)
			store_idle(idle, hash_piece, &piece);
		else
			hash_piece(&piece);
		offset += (uint64_t)n;
	}
	if (n == 0)
		hasher_end(h, ret);
	hasher_free(h);
	free(buf);
	return n > 0 ? -ECANCELED : (int)n;
}

/* ---- for somebody who waits ------------------------------------------------------------------------------ */

struct waiting {
	struct service *service;
	uint64_t node;
	uint32_t pid;
	unsigned asked;
};

/* Is the image still one that somebody wants? */
static bool is_wanted(const struct waiting *w)
{
	struct cat_txn *txn;
	struct tree_disk d;
	if (cat_begin(w->service->catalog, &txn, NULL))
		return false;
	int r = upload_rows(txn, w->node, &d, NULL);
	cat_end(&txn);
	return r == 0 && !d.image.shelf.trash;
}

static bool nobody_waits(void *ctx)
{
	struct waiting *w = ctx;
	const struct service_events *e = &w->service->events;
	if (w->asked++ % ASK_EACH)
		return false;
	return (e->is_waited_for && !e->is_waited_for(e->ctx, w->pid)) || !is_wanted(w);
}

int upload_hash_now(struct service *s, const struct who *who, uint64_t disk_node, struct disk *disk, struct hash *ret, struct error *err)
{
	struct waiting w = { s, disk_node, who->pid, 0 };
	int r = upload_hash(disk, disk_size(disk) > IDLE_FROM ? s->store : NULL, nobody_waits, &w, ret, err);
	return r != -ECANCELED ? r : fail(err, -EINTR, "its SHA-256 was not compared to the end, because nobody waited for it any more: open it "
					  "for writing and close it, or do the upload again");
}

/* ---- the sum of what is there ------------------------------------------------------------------------- */

struct summing {
	struct act act;
	struct hash sum;
	struct map_root root; /* of what was summed */
};

static int do_sum(struct cat_txn *txn, struct act *a, struct error *err)
{
	const struct summing *s = (const struct summing *)a; /* act is its first member */
	struct disk_row row;
	int r = disk_row_get(txn, node_number(a->node), &row);
	if (r)
		return fail(err, r, "the disk is gone");
	if (!hash_equal(&row.root.hash, &s->root.hash))
		return fail(err, -EBUSY, "the disk is being written");
	row.has_sha = true;
	row.sha256 = s->sum;
	return disk_row_put(txn, &row);
}

static int sum_disk(struct summing *s, const struct tree_disk *d, struct error *err)
{
	struct disk *disk;
	int r = disks_get(s->act.service->disks, d->row.no, &disk, err);
	if (r)
		return r;
	s->root = d->row.root;
	r = upload_hash_now(s->act.service, s->act.who, s->act.node, disk, &s->sum, err);
	disks_put(s->act.service->disks, &disk);
	return r ? r : act_run(&s->act, err);
}

int upload_sum(struct service *s, const struct who *w, uint64_t image_node, struct error *err)
{
	struct tree_disk d;
	struct image i;
	struct who nobody = *w;
	nobody.conn = 0; /* nothing that has to be answered again */
	nobody.resent = false;
	int r = tree_image(s, w, image_node, &i, err);
	if (!r)
		r = may_now(s, w, MAY_CHANGE, &i, err);
	if (r || !i.disk || i.state == STATE_PENDING || i.state == STATE_FAILED)
		return r;
	struct summing sum = { .act = { .service = s, .who = &nobody, .fn = do_sum, .node = node_disk(i.disk) } };
	r = tree_disk(s, w, node_disk(i.disk), &d, err);
	return r || d.row.has_sha ? r : sum_disk(&sum, &d, err);
}
