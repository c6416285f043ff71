/* SPDX-License-Identifier: Apache-2.0 */
/* check_pack: pack rows against the files, objects' rows against the packs' own indexes, live numbers
 * and totals against both. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "domain/check_int.h"
#include "store/codec.h"
#include "store/pack_format.h"

struct check_pack *check_pack_find(struct check *c, uint32_t no)
{
	size_t low = 0, high = c->n_packs;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (c->packs[middle].row.no < no)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->n_packs && c->packs[low].row.no == no ? &c->packs[low] : NULL;
}

/* ---- rows */

static int add_pack(void *ctx, const struct pack_row *row)
{
	struct check *c = ctx;
	if ((c->n_packs & (c->n_packs - 1)) == 0) { /* full: room is the next power of two */
		c->packs = reallocarray(c->packs, c->n_packs ? 2 * c->n_packs : 1, sizeof *c->packs);
		if (!c->packs)
			abort();
	}
	c->packs[c->n_packs++] = (struct check_pack){ .row = *row };
	c->report->packs++;
	c->report->bytes += row->bytes;
	return 0;
}

/* Objects are told by as much of their hash as the catalog has. */
static char *object_name(const struct loose *o, char ret[HASH_HEX_SIZE])
{
	hash_hex(&o->hash, ret);
	ret[2 * (OBJECT_KEY_SIZE - 4)] = 0;
	return ret;
}

/* It is known to be damaged: is it still? */
static bool is_readable(struct check *c, const struct loose *o)
{
	uint8_t frame[FRAME_MAX], data[CHUNK_SIZE];
	struct hash hash;
	if (store_read_frame(c->service->store, &o->row.place, frame, data, NULL))
		return false;
	hash_of(data, object_size(o->row.place.kind), &hash);
	return memcmp(&hash, &o->hash, OBJECT_KEY_SIZE - 4) == 0;
}

static int check_row(struct check *c, struct check_object *at, const struct loose *o)
{
	char name[HASH_HEX_SIZE];
	const struct place *p = &o->row.place;
	struct check_pack *pack = check_pack_find(c, p->pack);
	if (o->row.lender) /* it has no bytes; check_refs.c looks for the lender's */
		return 0;
	if (!pack) {
		at->flags |= OBJECT_BAD;
		check_problem(c, PROBLEM_OBJECT, "object %s should be in pack %u, but there is no such pack",
			      object_name(o, name), p->pack);
		return 0;
	}
	pack->live_bytes += p->length;
	pack->live_count++;
	if (o->row.damaged && !c->options->read_data && !is_readable(c, o)) { /* that is read anyway, and said */
		at->flags |= OBJECT_BAD;
		check_problem(c, PROBLEM_OBJECT, "object %s, at offset %u of pack %u, is damaged", object_name(o, name), p->offset,
			      p->pack);
	}
	if (p->offset < PACK_HEADER_SIZE || (uint64_t)p->offset + p->length + PACK_FOOTER_SIZE > pack->row.bytes) {
		at->flags |= OBJECT_BAD;
		check_problem(c, PROBLEM_OBJECT,
			      "object %s should be at offset %u of pack %u, which is outside of it",
			      object_name(o, name), p->offset, p->pack);
	}
	if (pack->row.domain != o->domain)
		check_problem(c, PROBLEM_OBJECT,
			      "object %s belongs to domain %u, but pack %u that it is in to domain %u",
			      object_name(o, name), o->domain, p->pack, pack->row.domain);
	return 0;
}

static void check_live(struct check *c, const struct check_pack *p)
{
	if (p->live_bytes != p->row.live_bytes || p->live_count != p->row.live_count)
		check_problem(c, PROBLEM_TOTALS,
			      "pack %u is said to have %u live objects of %llu bytes, but it has %u of %llu",
			      p->row.no, p->row.live_count, (unsigned long long)p->row.live_bytes,
			      p->live_count, (unsigned long long)p->live_bytes);
}

/* ---- files */

static bool same_place(const struct place *a, const struct place *b)
{
	return a->offset == b->offset && a->length == b->length && a->kind == b->kind;
}

static int check_item(struct check *c, const struct check_pack *p, const struct pack_item *item)
{
	struct object_row row;
	char hex[HASH_HEX_SIZE];
	int r = object_get(c->txn, p->row.domain, &item->hash, &row);
	if (r < 0)
		return r == -ENOENT || r == ERR_DAMAGED ? 0 : r;
	if (row.place.pack != p->row.no)
		return 0; /* it lives elsewhere: these are dead bytes */
	struct check_object *at = check_object_find(c, p->row.domain, &item->hash);
	if (!at)
		return 0;
	at->flags |= OBJECT_PLACED;
	if (row.whole && memcmp(row.rest, item->hash.b + sizeof item->hash.b - sizeof row.rest, sizeof row.rest))
		check_problem(c, PROBLEM_OBJECT, "object %s in pack %u has another name in the catalog", hash_hex(&item->hash, hex), p->row.no);
	if (same_place(&row.place, &item->place))
		return 0;
	at->flags |= OBJECT_BAD;
	check_problem(c, PROBLEM_OBJECT,
		      "object %s should be at offset %u of pack %u, but the pack has it at offset %u",
		      hash_hex(&item->hash, hex), row.place.offset, p->row.no, item->place.offset);
	return 0;
}

static int check_index(struct check *c, struct check_pack *p, struct error *err)
{
	AUTO_FREE struct pack_item *items = NULL;
	struct error why = { 0, "" };
	size_t count;
	int r = pack_read_index(c->service->store->backend, p->row.no, &items, &count, &why);
	if (r < 0) {
		p->state = PACK_NO_INDEX;
		check_problem(c, PROBLEM_PACK, "pack %u: %s", p->row.no, why.text);
		return 0;
	}
	for (size_t i = 0; i < count && r == 0; i++)
		r = check_item(c, p, &items[i]);
	return r < 0 ? fail(err, r, "The catalog cannot be read (%s).", err_name(r)) : 0;
}

static int check_file(struct check *c, struct check_pack *p, struct error *err)
{
	struct backend *b = c->service->store->backend;
	struct error why = { 0, "" };
	char name[20];
	uint64_t size;
	int r = b->ops->size(b, pack_name(p->row.no, name), &size, &why);
	if (r == -ENOENT) {
		p->state = PACK_LOST;
		check_problem(c, PROBLEM_PACK,
			      "pack %u (%s) is gone from the pool, with %u objects that live in it", p->row.no,
			      name, p->live_count);
		return 0;
	}
	if (r < 0) {
		p->state = PACK_NO_INDEX;
		check_problem(c, PROBLEM_PACK, "pack %u: %s", p->row.no, why.text);
		return 0;
	}
	if (size != p->row.bytes)
		check_problem(c, PROBLEM_PACK, "pack %u has %llu bytes instead of %llu", p->row.no,
			      (unsigned long long)size, (unsigned long long)p->row.bytes);
	return check_index(c, p, err);
}

/* ---- what follows for objects */

static int check_placed(struct check *c, struct check_object *at, const struct loose *o)
{
	char name[HASH_HEX_SIZE];
	const struct check_pack *p = check_pack_find(c, o->row.place.pack);
	if (!p || at->flags & OBJECT_PLACED)
		return 0;
	if (p->state == PACK_LOST)
		at->flags |= OBJECT_BAD; /* that was said of the pack */
	else if (p->state == PACK_WHOLE && !(at->flags & OBJECT_BAD)) {
		at->flags |= OBJECT_BAD;
		check_problem(c, PROBLEM_OBJECT,
			      "object %s should be in pack %u, but the pack's index does not have it",
			      object_name(o, name), p->row.no);
	}
	return 0;
}

/* What was found by reading everything, if it still lies there. */
static void mark_damage(struct check *c, const struct check_damage *d)
{
	struct object_row row;
	struct check_object *at = check_object_find(c, d->domain, &d->hash);
	if (at && object_get(c->txn, d->domain, &d->hash, &row) == 0 && row.place.pack == d->place.pack &&
	    same_place(&row.place, &d->place))
		at->flags |= OBJECT_BAD;
}

static int check_totals(struct check *c, struct error *err)
{
	uint64_t bytes, live, packs, objects, sum = 0, sum_live = 0;
	int r = pack_totals(c->txn, &bytes, &live, &packs, &objects);
	if (r < 0)
		return check_walked(c, r, "totals", err);
	for (size_t i = 0; i < c->n_packs; i++) {
		check_live(c, &c->packs[i]);
		sum += c->packs[i].row.bytes;
		sum_live += c->packs[i].row.live_bytes;
	}
	if (bytes != sum || live != sum_live || packs != c->n_packs || objects != c->n_objects)
		check_problem(c, PROBLEM_TOTALS,
			      "the store is said to have %llu bytes in %llu packs, %llu of them live in %llu "
			      "objects, but it has %llu in %zu, %llu in %llu",
			      (unsigned long long)bytes, (unsigned long long)packs, (unsigned long long)live,
			      (unsigned long long)objects, (unsigned long long)sum, c->n_packs,
			      (unsigned long long)sum_live, (unsigned long long)c->n_objects);
	return 0;
}

int check_packs(struct check *c, struct error *err)
{
	int r = check_walked(c, pack_row_each(c->txn, 0, add_pack, c), "packs", err);
	if (r == 0)
		r = check_objects_each(c, check_row, err);
	for (size_t i = 0; i < c->n_packs && r == 0; i++) {
		check_progress(c, i, c->n_packs, "packs");
		r = check_file(c, &c->packs[i], err);
	}
	if (r == 0)
		r = check_objects_each(c, check_placed, err);
	for (size_t i = 0; i < c->n_damage && r == 0; i++)
		mark_damage(c, &c->damage[i]);
	return r ? r : check_totals(c, err);
}
