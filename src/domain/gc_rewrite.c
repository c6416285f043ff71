/* SPDX-License-Identifier: Apache-2.0 */
/* gc_rewrite: the live frames of some packs go into one new pack.
 *
 *      live frames ──read, verified──► new pack, sealed ──► rows moved, in small transactions
 *                                      ──► old rows go, then old bytes
 *
 * As they are, or compressed harder. A reader that looked up the old place and finds the pack gone looks again (store.c). A pack
 * with a damaged live frame stays as it is: nothing of it is moved, so that nothing gets worse. Frames of it that were already
 * copied are dead bytes of the new pack.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "catalog/object_tab.h"
#include "domain/gc_int.h"
#include "store/codec.h"
#include "store/pack_format.h"

#define MOVES_STEP 300u

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
	int level;     /* 0: frames are copied as they are; else compressed anew */
	size_t n_data;
	int n_harder;
	uint8_t frame[FRAME_MAX], harder[FRAME_MAX], data[CHUNK_SIZE];
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

static int check_name(struct compaction *c, const struct pack_item *item, struct error *err)
{
	struct hash hash;
	hash_of(c->data, object_size(item->place.kind), &hash);
	return hash_equal(&hash, &item->hash)
		       ? 0
		       : fail(err, ERR_DAMAGED, "a frame holds something else than its name says");
}

static void compress(void *arg)
{
	struct compaction *c = arg;
	c->n_harder = codec_pack(c->level, c->data, c->n_data, c->harder);
}

/* c->data is what the frame holds. Length of c->harder, or < 0. */
static int compress_harder(struct compaction *c, size_t size)
{
	c->n_data = size;
	if (c->work->idle)
		store_idle(c->work->service->store, compress, c);
	else
		compress(c);
	return c->n_harder;
}

static int add_frame(struct compaction *c, const struct pack_item *item, struct error *err)
{
	int n = c->level ? compress_harder(c, object_size(item->place.kind)) : -1;
	bool smaller = n > 0 && (uint32_t)n < item->place.length;
	return pack_add(c->writer, &item->hash, item->place.kind, smaller ? c->harder : c->frame,
			smaller ? (size_t)n : item->place.length, err);
}

static int copy_frame(struct compaction *c, const struct pack_item *item, struct error *err)
{
	int r = store_read_frame(c->work->service->store, &item->place, c->frame, c->data, err);
	if (r == 0)
		r = check_name(c, item, err);
	return r ? r : add_frame(c, item, err);
}

static bool is_damage(int r)
{
	return r == ERR_DAMAGED || r == ERR_NEWER || r == -ENOENT || r == -EIO; /* read twice */
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

static int compare_offsets(const void *a, const void *b)
{
	uint32_t x = ((const struct pack_item *)a)->place.offset, y = ((const struct pack_item *)b)->place.offset;
	return x < y ? -1 : x > y;
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

static int copy_pack(struct compaction *c, const struct pack_row *row, struct error *err)
{
	AUTO_FREE struct pack_item *items = NULL;
	struct error why;
	size_t count;
	int r = pack_read_index(c->work->service->store->backend, row->no, &items, &count, &why);
	if (r == 0)
		r = keep_live(c->work, row->domain, items, &count, &why);
	/* The index is in the order of the hashes; frames stay in that of the disks, which is the one that they are read in. */
	if (r == 0)
		qsort(items, count, sizeof *items, compare_offsets);
	if (r == 0)
		r = copy_items(c, items, count, &why);
	if (r < 0 && !is_damage(r)) {
		if (err)
			*err = why;
		return r;
	}
	if (r < 0 && has_row(c->work->service, row->no)) /* else it went, as nothing of it was live any more */
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

/* A pack is as hard as the least of what went into it. */
static uint8_t new_level(const struct compaction *c)
{
	uint8_t least = UINT8_MAX;
	for (unsigned i = 0; i < c->count && !c->level; i++)
		least = MIN(least, c->rows[i].level);
	return c->level ? (uint8_t)c->level : least;
}

static int move_rows(struct cat_txn *txn, void *arg, struct error *err)
{
	struct compaction *c = arg;
	int r = 0;
	(void)err;
	if (c->first == 0) {
		struct pack_row row = { .no = pack_number(c->writer), .pool = c->rows[0].pool,
					.domain = c->rows[0].domain, .bytes = pack_bytes(c->writer),
					.level = new_level(c) };
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
	if (r == 0)
		find_new_places(c);
	return r;
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

static int begin(struct compaction **ret, struct gc_work *w, const struct pack_row *rows, unsigned count, int level,
		 struct error *err)
{
	struct compaction *c = calloc(1, sizeof *c);
	if (!c)
		return fail(err, -ENOMEM, "There is no memory to write packs anew.");
	*c = (struct compaction){ .work = w, .rows = rows, .count = count, .level = level };
	*ret = c;
	return pack_begin(&c->writer, w->service->store->backend, &w->service->store->next_pack, err);
}

static void end(struct compaction *c)
{
	if (!c)
		return;
	pack_free(c->writer);
	free(c->moves);
	free(c);
}

/* Compressing takes long and is done outside of any step: what is moved or removed meanwhile is found out by move_rows(). */
int gc_rewrite(struct gc_work *w, const struct pack_row *rows, unsigned count, int level, struct error *err)
{
	struct compaction *c = NULL;
	int r = begin(&c, w, rows, count, level, err);
	if (r == 0)
		r = write_pack(c, err);
	if (r == 0 && level && !gc_step_begin(w->gc))
		r = -ECANCELED;
	else if (r == 0) {
		if (c->n_moves && (r = commit_moves(c, err)) < 0)
			gc_unmake_pack(w->gc, pack_number(c->writer)); /* unless some were moved */
		if (r == 0)
			r = drop_sources(c, err);
		if (level)
			gc_step_end(w->gc);
	}
	end(c);
	return r;
}
