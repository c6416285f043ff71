/* SPDX-License-Identifier: Apache-2.0 */
/* gc_pack: packs of which nothing is left are removed: the rows in a transaction, and after its commit
 * the bytes. What a crash leaves between the two is an orphan, which the next start removes. */
#include "catalog/object_tab.h"
#include "domain/gc_int.h"

struct drop {
	const uint32_t *packs;
	unsigned count;
	struct pack_row dropped[GC_PACKS_MAX];
	unsigned n_dropped;
};

static int drop_rows(struct cat_txn *txn, void *arg, struct error *err)
{
	struct drop *d = arg;
	(void)err;
	d->n_dropped = 0;
	for (unsigned i = 0; i < d->count; i++) {
		struct pack_row row;
		int r = pack_row_get(txn, d->packs[i], &row);
		if (r == -ENOENT || (r == 0 && row.live_count > 0))
			continue;
		if (r == 0)
			r = pack_row_remove(txn, row.no);
		if (r < 0)
			return r;
		d->dropped[d->n_dropped++] = row;
	}
	return 0;
}

int gc_drop_packs(struct gc_work *w, const uint32_t *packs, unsigned count, unsigned *ret, struct error *err)
{
	struct drop d = { .packs = packs, .count = count };
	int r = cat_write(w->service->catalog, drop_rows, &d, err);
	*ret = 0;
	if (r < 0)
		return r;
	for (unsigned i = 0; i < d.n_dropped; i++) {
		gc_remove_pack(w->gc, d.dropped[i].no);
		w->report->packs_removed++;
	}
	*ret = d.n_dropped;
	return 0;
}

struct dead {
	uint32_t packs[GC_PACKS_MAX];
	unsigned count;
};

static int note_dead(void *ctx, const struct pack_row *row)
{
	struct dead *d = ctx;
	if (row->live_count == 0)
		d->packs[d->count++] = row->no;
	return d->count == GC_PACKS_MAX;
}

static int find_dead(struct gc_work *w, uint32_t after, struct dead *ret, struct error *err)
{
	struct cat_txn *txn;
	int r = cat_begin(w->service->catalog, &txn, err);
	if (r < 0)
		return r;
	ret->count = 0;
	r = pack_row_each(txn, after, note_dead, ret);
	cat_end(&txn);
	return r < 0 ? fail(err, r, "The list of packs cannot be read (%s).", err_name(r)) : 0;
}

int gc_dead_packs(struct gc_work *w, struct error *err)
{
	struct dead d = { .count = 0 };
	unsigned dropped, all = 0;
	uint32_t after = 0;
	int r;
	while ((r = find_dead(w, after, &d, err)) == 0 && d.count > 0) {
		if (!gc_step_begin(w->gc))
			return -ECANCELED;
		r = gc_drop_packs(w, d.packs, d.count, &dropped, err);
		gc_step_end(w->gc);
		if (r < 0)
			return r;
		all += dropped;
		after = d.packs[d.count - 1];
	}
	if (all)
		gc_say(w, "%u packs with nothing left in them were removed", all);
	return r;
}
