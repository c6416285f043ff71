/* SPDX-License-Identifier: Apache-2.0 */
/* check_data: every frame of every pack is read, decoded and hashed. The
 * damaged ones are remembered, so that check_maps.c can tell which images they are missed in, and written down, so that nothing
 * counts on them any more (damage.h). Bytes that nothing counts on may be as they like. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "domain/check_int.h"
#include "domain/gc_int.h"
#include "store/codec.h"

struct numbers {
	uint32_t *items;
	size_t count, room;
};

static int note_number(void *ctx, const struct pack_row *row)
{
	struct numbers *n = ctx;
	if (n->count == n->room) {
		n->room = n->room ? 2 * n->room : 256;
		n->items = reallocarray(n->items, n->room, sizeof *n->items);
		if (!n->items)
			abort();
	}
	n->items[n->count++] = row->no;
	return 0;
}

static int list_packs(struct check *c, struct numbers *ret, struct error *err)
{
	struct cat_txn *txn;
	int r = cat_begin(c->service->catalog, &txn, err);
	if (r < 0)
		return r;
	r = pack_row_each(txn, 0, note_number, ret);
	cat_end(&txn);
	return check_walked(c, r, "packs", err);
}

/* Does anything count on these bytes? Those that were healed lie elsewhere by now. */
static bool is_live(struct check *c, uint32_t domain, const struct pack_item *item)
{
	struct cat_txn *txn;
	struct object_row row;
	if (cat_begin(c->service->catalog, &txn, NULL))
		return true;
	int r = object_get(txn, domain, &item->hash, &row);
	cat_end(&txn);
	return r == 0 ? row.place.pack == item->place.pack && row.place.offset == item->place.offset : r != -ENOENT;
}

static void note_damage(struct check *c, uint32_t domain, const struct pack_item *item)
{
	if (!is_live(c, domain, item))
		return;
	bad_note(c->service->store->bad, domain, &item->hash, &item->place);
	c->damage = reallocarray(c->damage, c->n_damage + 1, sizeof *c->damage);
	if (!c->damage)
		abort();
	c->damage[c->n_damage++] = (struct check_damage){ domain, item->hash, item->place };
	check_problem(c, PROBLEM_PACK, "pack %u: the %u bytes at offset %u are damaged", item->place.pack,
		      item->place.length, item->place.offset);
}

static int check_frame(struct check *c, uint32_t domain, const struct pack_item *item, struct error *err)
{
	uint8_t frame[FRAME_MAX], data[CHUNK_SIZE];
	struct hash hash;
	size_t size = object_size(item->place.kind);
	int r = store_read_frame(c->service->store, &item->place, frame, data, err);
	if (r == -ENOMEM)
		return r;
	if (r == 0)
		hash_of(data, size, &hash);
	if (r < 0 || !hash_equal(&hash, &item->hash))
		note_damage(c, domain, item);
	return 0;
}

/* What is wrong with the index is said by check_packs.c. */
static int check_frames(struct check *c, const struct pack_row *row, struct error *err)
{
	AUTO_FREE struct pack_item *items = NULL;
	size_t count;
	int r = pack_read_index(c->service->store->backend, row->no, &items, &count, NULL);
	if (r < 0)
		return 0;
	for (size_t i = 0; i < count && r == 0; i++)
		r = check_frame(c, row->domain, &items[i], err);
	return r;
}

/* The pack may be gone since the list was made. */
static int check_pack_data(struct check *c, uint32_t no, struct error *err)
{
	struct cat_txn *txn;
	struct pack_row row;
	int r = cat_begin(c->service->catalog, &txn, err);
	if (r < 0)
		return r;
	r = pack_row_get(txn, no, &row);
	cat_end(&txn);
	return r < 0 ? 0 : check_frames(c, &row, err);
}

int check_data(struct check *c, struct error *err)
{
	struct numbers n = { .items = NULL };
	int r = list_packs(c, &n, err);
	for (size_t i = 0; i < n.count && r == 0; i++) {
		check_progress(c, i, n.count, "data");
		gc_hold(c->service->gc);
		r = check_pack_data(c, n.items[i], err);
		gc_release(c->service->gc);
	}
	free(n.items);
	return r;
}
