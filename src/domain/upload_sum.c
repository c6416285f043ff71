/* SPDX-License-Identifier: Apache-2.0 */
/* upload_sum: what is counted of a disk: its SHA-256, and what it takes in the store. */
#include "domain/upload_int.h"

#include <stdlib.h>

#include "catalog/meter_tab.h"
#include "catalog/object_tab.h"
#include "domain/act.h"
#include "domain/disks.h"
#include "domain/rights.h"

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

int upload_hash(struct disk *disk, struct store *idle, bool (*stop)(void *ctx), void *ctx, struct hash *ret, struct error *err)
{
	enum { STEP = 1 << 20 };
	uint8_t *buf = malloc(STEP);
	struct hasher *h = hasher_new();
	struct disk_ahead ahead = { 0, 0 };
	uint64_t offset = 0;
	ssize_t n = buf ? 1 : -ENOMEM;
	while (n > 0 && !(stop && stop(ctx)) && (n = disk_read(disk, buf, STEP, offset, &ahead, err)) > 0) {
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
	r = upload_hash(disk, NULL, NULL, NULL, &s->sum, err);
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

/* ---- what it takes -------------------------------------------------------------------------------------- */

/* What the whole of it takes in the store, for du: every object once. */
struct measure {
	struct service *service;
	struct cat_txn *txn; /* a new one now and then: pages of the catalog that an old one sees cannot be used again */
	uint64_t stored, objects;
};

#define MEASURE_STEP 4096u /* objects */

static int measure_object(void *ctx, enum object_kind kind, const struct object *o, uint64_t chunk)
{
	struct measure *m = ctx;
	struct object_row row;
	(void)kind, (void)chunk;
	if (++m->objects % MEASURE_STEP == 0) {
		cat_end(&m->txn);
		int r = cat_begin(m->service->catalog, &m->txn, NULL);
		if (r)
			return r;
	}
	if (object_find(m->txn, o->domain, &o->hash, &row, NULL))
		return 0;
	m->stored += row.place.length;
	return 0;
}

static int do_measured(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct measure *m = (struct measure *)(void *)a->text;
	struct disk_row row;
	int r = disk_row_get(txn, node_number(a->node), &row);
	if (r)
		return fail(err, r, "the disk is gone");
	row.stored = m->stored;
	return disk_row_put(txn, &row);
}

void upload_measure(struct service *s, struct disk *disk)
{
	struct measure m = { .service = s };
	struct map_root root = disk_root(disk);
	struct who nobody = { .account = 0 }; /* nothing that has to be answered again, or logged */
	struct error ignored;
	struct act a = { .service = s, .who = &nobody, .fn = do_measured, .node = node_disk(disk_number(disk)),
			 .text = (const char *)(void *)&m };
	if (cat_begin(s->catalog, &m.txn, NULL))
		return;
	int r = map_walk(s->store, disk_domain(disk), &root, measure_object, &m, &ignored);
	cat_end(&m.txn);
	if (!r && act_run(&a, &ignored))
		return; /* the number stays what it was; the disk itself is safe */
}
