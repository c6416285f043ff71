/* SPDX-License-Identifier: Apache-2.0 */
/* gc_squeeze: when there is nothing else to do, packs are compressed harder.
 *
 * Importing compresses fast, because somebody waits for it. Later nobody does: pack after pack is read, compressed at SQUEEZE_LEVEL,
 * and written anew (gc_rewrite.c). Reading it is as fast as before. The compressing is done only on processors that would be
 * idle, and begins when nothing was changed in the store for QUIET.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "catalog/object_tab.h"
#include "domain/gc_int.h"

#define SQUEEZE_LEVEL 15

/* The first pack that was never squeezed, small enough to be written anew into one. */
static int find_soft(void *ctx, const struct pack_row *row)
{
	struct pack_row *ret = ctx;
	if (row->level >= SQUEEZE_LEVEL || row->live_count == 0)
		return 0;
	*ret = *row;
	return 1;
}

/* 1: `ret` is one. */
static int next_soft(struct gc_work *w, uint32_t after, struct pack_row *ret, struct error *err)
{
	struct cat_txn *txn;
	int r = cat_begin(w->service->catalog, &txn, err);
	if (r < 0)
		return r;
	r = pack_row_each(txn, after, find_soft, ret);
	cat_end(&txn);
	return r < 0 ? fail(err, r, "The list of packs cannot be read (%s).", err_name(r)) : r;
}

int gc_squeeze_one(struct gc_work *w, uint32_t *after, struct error *err)
{
	struct pack_row row = { .no = 0 };
	int r = next_soft(w, *after, &row, err);
	if (r != 1)
		return r;
	*after = row.no;
	if (gc_is_bad(w->gc, row.no))
		return 1;
	r = gc_rewrite(w, &row, 1, SQUEEZE_LEVEL, err);
	return r ? r : 1;
}

int gc_squeeze(struct gc *gc, void (*say)(void *ctx, const char *line), void *ctx, struct gc_report *ret, struct error *err)
{
	struct gc_report report = { 0 };
	struct gc_work w = { gc, gc_service(gc), &report, say, ctx, false };
	uint32_t after = 0;
	unsigned n = 0;
	int r;
	while ((r = gc_squeeze_one(&w, &after, err)) == 1)
		gc_say(&w, "%u packs were compressed harder", ++n);
	if (ret)
		*ret = report;
	return r == -ECANCELED ? 0 : r;
}

void *gc_squeeze_thread(void *arg)
{
	struct gc *gc = arg;
	struct gc_report report = { 0 };
	struct gc_work w = { gc, gc_service(gc), &report, NULL, NULL, true };
	struct error err;
	uint32_t after = 0;
	uint64_t summed = 0;
	while (gc_wait_quiet(gc)) { /* sums first: they are waited for */
		int r = gc_sum_one(&w, &summed, &err);
		if (r == 0)
			r = gc_squeeze_one(&w, &after, &err);
		if (r == 1)
			continue;
		if (r < 0 && r != -ECANCELED)
			gc_bad(gc, (uint64_t)-r << 40, "Compressing packs harder was interrupted: %s", err.text);
		after = 0;
		summed = 0;
		gc_rest(gc);
	}
	return NULL;
}
