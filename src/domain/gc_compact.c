/* SPDX-License-Identifier: Apache-2.0 */
/* gc_compact: packs of which little is left, and many small ones, are written anew.
 *
 * Taken are packs of one pool and domain whose live frames fit into one new pack:
 *
 *      live frames ──read, verified──► new pack, sealed ──► rows moved, in small transactions
 *                                      ──► old rows go, then old bytes
 *
 * A reader that looked up the old place and finds the pack gone looks again (store.c). A pack with a
 * damaged live frame stays as it is: nothing of it is moved, so that nothing gets worse. Frames of it
 * that were already copied are dead bytes of the new pack.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "catalog/object_tab.h"
#include "domain/gc_int.h"
#include "store/codec.h"
#include "store/pack_format.h"

#define LIVE_PERCENT 60u
#define SMALL (UINT64_C(8) << 20)
#define SMALL_MANY 16u
#define BATCH_BYTES (UINT64_C(56) << 20) /* of frames and index: surely fits into a pack */
#define CANDIDATES_MAX 4096u
#define MOVES_STEP 300u

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

/* ---- writing them anew */

struct move {
	struct hash hash;
	struct place from, to;
};

struct compaction {
	struct gc_work *work;
	const struct pack_row *rows;
	unsigned count;
	struct pack_writer *writer;
	struct move *moves;
	size_t n_moves, room;
	size_t first, end; /* of moves: those that the transaction is about */
	bool full;
	uint8_t frame[FRAME_MAX], data[CHUNK_SIZE];
};

static void note_move(struct compaction *c, const struct pack_item *item)
{
	if (c->n_moves == c->room) {
		c->room = c->room ? 2 * c->room : 1024;
		c->moves = reallocarray(c->moves, c->room, sizeof *c->moves);
		if (!c->moves)
			abort();
	}
	c->moves[c->n_moves++] = (struct move){ .hash = item->hash, .from = item->place };
}

/* Only what the pack's own index and the catalog agree about is moved. */
static int is_live(struct cat_txn *txn, uint32_t domain, const struct pack_item *item)
{
	struct object_row row;
	int r = object_get(txn, domain, &item->hash, &row);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return row.place.pack == item->place.pack && row.place.offset == item->place.offset &&
	       row.place.length == item->place.length && row.place.kind == item->place.kind;
}

/* The items of a pack that are live, moved to the front. */
static int keep_live(struct gc_work *w, uint32_t domain, struct pack_item *items, size_t *count, struct error *err)
{
	struct cat_txn *txn;
	size_t kept = 0;
	int r = cat_begin(w->service->catalog, &txn, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < *count && r >= 0; i++) {
		r = is_live(txn, domain, &items[i]);
		if (r == 1)
			items[kept++] = items[i];
	}
	cat_end(&txn);
	*count = kept;
	return r < 0 ? fail(err, r, "The index of objects cannot be read (%s).", err_name(r)) : 0;
}

static int check_frame(struct compaction *c, const struct pack_item *item, struct error *err)
{
	struct hash hash;
	size_t size = object_size(item->place.kind);
	int r = codec_unpack(c->frame, item->place.length, c->data, size);
	if (r < 0)
		return fail(err, r, "a frame does not match its checksum");
	hash_of(c->data, size, &hash);
	return hash_equal(&hash, &item->hash)
		       ? 0
		       : fail(err, ERR_DAMAGED, "a frame holds something else than its name says");
}

static int copy_frame(struct compaction *c, const struct pack_item *item, struct error *err)
{
	struct backend *b = c->work->service->store->backend;
	int r = pack_read_frame(b, &item->place, c->frame, err);
	if (r == 0)
		r = check_frame(c, item, err);
	if (r == 0)
		r = pack_add(c->writer, &item->hash, item->place.kind, c->frame, item->place.length, err);
	return r;
}

static bool is_damage(int r)
{
	return r == ERR_DAMAGED || r == ERR_NEWER || r == -ENOENT;
}

static int copy_items(struct compaction *c, const struct pack_item *items, size_t count, struct error *err)
{
	size_t before = c->n_moves;
	for (size_t i = 0; i < count; i++) {
		int r = copy_frame(c, &items[i], err);
		if (r == ERR_FULL) {
			c->full = true;
			return 0;
		}
		if (r < 0) {
			c->n_moves = is_damage(r) ? before : c->n_moves;
			return r;
		}
		note_move(c, &items[i]);
	}
	return 0;
}

static int copy_pack(struct compaction *c, const struct pack_row *row, struct error *err)
{
	AUTO_FREE struct pack_item *items = NULL;
	struct error why;
	size_t count;
	int r = pack_read_index(c->work->service->store->backend, row->no, &items, &count, &why);
	if (r == 0)
		r = keep_live(c->work, row->domain, items, &count, &why);
	if (r == 0)
		r = copy_items(c, items, count, &why);
	if (r < 0 && !is_damage(r)) {
		if (err)
			*err = why;
		return r;
	}
	if (r < 0)
		gc_bad(c->work->gc, row->no,
		       "pack-%08x is damaged and stays as it is, although much of it is dead: %s", row->no,
		       why.text);
	return 0;
}

static int compare_item(const void *key, const void *item)
{
	return hash_compare(key, &((const struct pack_item *)item)->hash);
}

static void find_new_places(struct compaction *c)
{
	size_t count;
	const struct pack_item *items = pack_items(c->writer, &count);
	for (size_t i = 0; i < c->n_moves; i++) {
		const struct pack_item *item =
			bsearch(&c->moves[i].hash, items, count, sizeof *items, compare_item);
		if (!item)
			abort(); /* it was added to this very pack */
		c->moves[i].to = item->place;
	}
}

static int move_rows(struct cat_txn *txn, void *arg, struct error *err)
{
	struct compaction *c = arg;
	int r = 0;
	(void)err;
	if (c->first == 0) {
		struct pack_row row = { .no = pack_number(c->writer), .pool = c->rows[0].pool,
					.domain = c->rows[0].domain, .bytes = pack_bytes(c->writer) };
		r = pack_row_put(txn, &row);
	}
	for (size_t i = c->first; i < c->end && r == 0; i++) {
		r = object_move(txn, c->rows[0].domain, &c->moves[i].hash, &c->moves[i].from, &c->moves[i].to);
		r = r == -ENOENT || r == -ESTALE ? 0 : r; /* it was removed, or inserted anew elsewhere, meanwhile */
	}
	return r;
}

/* The new pack is durable. When this fails half way both packs have live objects, and all is well. */
static int commit_moves(struct compaction *c, struct error *err)
{
	for (c->first = 0; c->first < c->n_moves; c->first = c->end) {
		c->end = MIN(c->n_moves, c->first + MOVES_STEP);
		int r = cat_write(c->work->service->catalog, move_rows, c, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_pack(struct compaction *c, struct error *err)
{
	int r = 0;
	for (unsigned i = 0; i < c->count && r == 0 && !c->full; i++)
		r = copy_pack(c, &c->rows[i], err);
	if (r < 0 || c->n_moves == 0)
		return r;
	r = pack_seal(c->writer, err);
	if (r < 0)
		return r;
	find_new_places(c);
	return commit_moves(c, err);
}

static bool has_row(struct service *s, uint32_t pack)
{
	struct cat_txn *txn;
	struct pack_row row;
	if (cat_begin(s->catalog, &txn, NULL) < 0)
		return false;
	int r = pack_row_get(txn, pack, &row);
	cat_end(&txn);
	return r == 0;
}

/* A pack that has live objects even now has some that its own index does not know, or is damaged: it is
 * not tried again. */
static int drop_sources(struct compaction *c, struct error *err)
{
	uint32_t packs[GC_PACKS_MAX];
	unsigned dropped;
	for (unsigned i = 0; i < c->count; i++)
		packs[i] = c->rows[i].no;
	int r = gc_drop_packs(c->work, packs, c->count, &dropped, err);
	if (r < 0)
		return r;
	c->work->report->packs_compacted += dropped;
	for (unsigned i = 0; i < c->count && dropped < c->count && !c->full; i++)
		if (has_row(c->work->service, packs[i]))
			gc_bad(c->work->gc, packs[i],
			       "pack-%08x could not be compacted: its index does not have all that "
			       "should be in it. 'imagefs check' tells more.",
			       packs[i]);
	return 0;
}

static int compact_batch(struct gc_work *w, const struct pack_row *rows, unsigned count, struct error *err)
{
	AUTO_FREE struct compaction *c = calloc(1, sizeof *c);
	if (!c)
		return fail(err, -ENOMEM, "There is no memory to compact packs.");
	c->work = w;
	c->rows = rows;
	c->count = count;
	int r = pack_begin(&c->writer, w->service->store->backend, &w->service->store->next_pack, err);
	if (r < 0)
		return r;
	r = write_pack(c, err);
	pack_free(c->writer);
	if (r == 0)
		r = drop_sources(c, err);
	free(c->moves);
	return r;
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
		int r = compact_batch(w, c->rows + i, n, err);
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
