/* SPDX-License-Identifier: Apache-2.0 */
/* gc_compact: packs of which little is left, and many small ones, are written anew (gc_rewrite.c).
 *
 * Taken are packs of one pool and domain whose live frames fit into one new pack.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "domain/gc_int.h"
#include "store/pack_format.h"

#define LIVE_PERCENT 60u
#define SMALL (UINT64_C(8) << 20)
#define SMALL_MANY 16u
#define BATCH_BYTES (UINT64_C(56) << 20) /* of frames and index: surely fits into a pack */
#define CANDIDATES_MAX 4096u

/* ---- which packs to write anew */

struct candidates {
	struct gc *gc;
	struct pack_row *rows;
	unsigned count;
};

/* What it would be as a pack of its own. */
static uint64_t dense_bytes(const struct pack_row *row)
{
	return PACK_HEADER_SIZE + row->live_bytes + (uint64_t)row->live_count * PACK_ENTRY_SIZE + PACK_FOOTER_SIZE;
}

static bool is_half_dead(const struct pack_row *row)
{
	return dense_bytes(row) * 100 < row->bytes * LIVE_PERCENT;
}

static int note_candidate(void *ctx, const struct pack_row *row)
{
	struct candidates *c = ctx;
	if (row->live_count && (is_half_dead(row) || row->bytes < SMALL) && !gc_is_bad(c->gc, row->no))
		c->rows[c->count++] = *row;
	return c->count == CANDIDATES_MAX;
}

static bool same_group(const struct pack_row *a, const struct pack_row *b)
{
	return a->pool == b->pool && a->domain == b->domain;
}

static int compare_rows(const void *a, const void *b)
{
	const struct pack_row *x = a, *y = b;
	if (x->pool != y->pool)
		return x->pool < y->pool ? -1 : 1;
	if (x->domain != y->domain)
		return x->domain < y->domain ? -1 : 1;
	return x->no < y->no ? -1 : x->no > y->no;
}

/* Small packs that are not half dead are left in peace while there are few of them in their group. */
static void thin_out(struct candidates *c)
{
	unsigned kept = 0;
	for (unsigned i = 0, end; i < c->count; i = end) {
		unsigned small = 0;
		for (end = i; end < c->count && same_group(&c->rows[i], &c->rows[end]); end++)
			small += c->rows[end].bytes < SMALL;
		for (unsigned k = i; k < end; k++)
			if (small > SMALL_MANY || is_half_dead(&c->rows[k]))
				c->rows[kept++] = c->rows[k];
	}
	c->count = kept;
}

static int find_candidates(struct gc_work *w, struct candidates *c, struct error *err)
{
	struct cat_txn *txn;
	int r = cat_begin(w->service->catalog, &txn, err);
	if (r < 0)
		return r;
	r = pack_row_each(txn, 0, note_candidate, c);
	cat_end(&txn);
	if (r < 0)
		return fail(err, r, "The list of packs cannot be read (%s).", err_name(r));
	qsort(c->rows, c->count, sizeof *c->rows, compare_rows);
	thin_out(c);
	return 0;
}

/* How many of them, from the first on, become one pack. */
static unsigned take_batch(const struct pack_row *rows, unsigned count)
{
	uint64_t bytes = dense_bytes(&rows[0]);
	unsigned n = 1;
	while (n < count && n < GC_PACKS_MAX && same_group(&rows[0], &rows[n]) &&
	       bytes + dense_bytes(&rows[n]) <= BATCH_BYTES)
		bytes += dense_bytes(&rows[n++]);
	return n;
}

/* One pass over the candidates. A lonely small pack that is dense would be copied for nothing. */
static int compact_all(struct gc_work *w, const struct candidates *c, struct error *err)
{
	for (unsigned i = 0, n; i < c->count; i += n) {
		n = take_batch(c->rows + i, c->count - i);
		if (n == 1 && !is_half_dead(&c->rows[i]))
			continue;
		if (!gc_step_begin(w->gc))
			return -ECANCELED;
		int r = gc_rewrite(w, c->rows + i, n, 0, err);
		gc_step_end(w->gc);
		if (r < 0)
			return r;
	}
	return 0;
}

int gc_compact(struct gc_work *w, struct error *err)
{
	uint64_t before, start = w->report->packs_compacted;
	struct candidates c = { .gc = w->gc };
	AUTO_FREE struct pack_row *rows = reallocarray(NULL, CANDIDATES_MAX, sizeof *rows);
	if (!rows)
		return fail(err, -ENOMEM, "There is no memory to compact packs.");
	c.rows = rows;
	do {
		before = w->report->packs_compacted;
		c.count = 0;
		int r = find_candidates(w, &c, err);
		if (r == 0)
			r = compact_all(w, &c, err);
		if (r < 0)
			return r;
	} while (w->report->packs_compacted > before);
	if (w->report->packs_compacted > start)
		gc_say(w, "%llu packs were compacted", (unsigned long long)(w->report->packs_compacted - start));
	return 0;
}
