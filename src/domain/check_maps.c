/* SPDX-License-Identifier: Apache-2.0 */
/* check_maps: every disk's map is walked down to its chunks, and what is missing is told by image and
 * offset.
 *
 * Images share most of their maps: a part that was found whole once is not walked again (OBJECT_WHOLE);
 * one that isn't is, for every image that has it, because each is to be named.
 */
#include <stdio.h>

#include "base/buf.h"
#include "catalog/disk_tab.h"
#include "domain/check_int.h"
#include "domain/damage.h"
#include "domain/tree.h"
#include "store/map.h"

#define LEVELS_MAX 8u
#define SENTENCES_MAX 20u /* about one disk */

struct walk {
	struct check *check;
	const struct disk_row *row;
	const char *name;
	uint64_t problems;
	uint64_t first; /* chunk that the first of them was about */
};

static bool loud(struct walk *w, uint64_t chunk)
{
	if (w->problems == 0)
		w->first = chunk;
	if (++w->problems <= SENTENCES_MAX)
		return true;
	w->check->report->problems++;
	return false;
}

/* "is damaged in pack 3", "is lost with pack 3", … */
static void what_is_wrong(struct walk *w, const struct object *o, char ret[80])
{
	struct object_row row;
	struct check_pack *p;
	if (object_find(w->check->txn, o->domain, &o->hash, &row, NULL) < 0) {
		snprintf(ret, 80, "is not in the index");
		return;
	}
	p = check_pack_find(w->check, row.place.pack);
	snprintf(ret, 80, !p || p->state == PACK_LOST ? "is lost with pack %u" : "is damaged in pack %u",
		 row.place.pack);
}

static int bad_chunk(struct walk *w, const struct object *o, uint64_t chunk)
{
	char what[80];
	what_is_wrong(w, o, what);
	if (loud(w, chunk))
		check_problem(w->check, PROBLEM_MAP, "%s: chunk %llu (offset %llu) %s", w->name,
			      (unsigned long long)chunk, (unsigned long long)chunk * CHUNK_SIZE, what);
	return 0;
}

static int bad_node(struct walk *w, const struct object *o, unsigned level, uint64_t chunk)
{
	char what[80];
	uint64_t span = map_span((uint8_t)level);
	what_is_wrong(w, o, what);
	if (loud(w, chunk))
		check_problem(w->check, PROBLEM_MAP,
			      "%s: the map of chunks %llu to %llu (from offset %llu on) %s", w->name,
			      (unsigned long long)chunk, (unsigned long long)(chunk + span - 1),
			      (unsigned long long)chunk * CHUNK_SIZE, what);
	return 0;
}

static int walk_node(struct walk *, struct check_object *, const struct object *, unsigned level, uint64_t chunk,
		     struct error *err);

/* 1: it is whole; 0: it isn't, and that was said. Level 0 is a chunk. */
static int walk_down(struct walk *w, const struct object *o, unsigned level, uint64_t chunk, struct error *err)
{
	struct object found = *o;
	if (hash_is_none(&o->hash))
		return 1;
	struct check_object *at = check_object_follow(w->check, &found.domain, &o->hash);
	enum object_kind kind = level ? OBJECT_NODE : OBJECT_CHUNK;
	if (!at || at->flags & OBJECT_BAD || at->kind != kind)
		return level ? bad_node(w, &found, level, chunk) : bad_chunk(w, &found, chunk);
	if (level == 0 || at->flags & OBJECT_WHOLE)
		return 1;
	return walk_node(w, at, &found, level, chunk, err);
}

/* `o` says where it lies. */
static int walk_node(struct walk *w, struct check_object *at, const struct object *o, unsigned level,
		     uint64_t chunk, struct error *err)
{
	struct hash kids[NODE_FANOUT];
	uint64_t span = map_span((uint8_t)(level - 1));
	bool whole = true;
	int r = check_read_node(w->check, o->domain, &o->hash, kids, err);
	if (r == ERR_DAMAGED)
		return bad_node(w, o, level, chunk);
	for (unsigned i = 0; i < NODE_FANOUT && r >= 0; i++) {
		r = walk_down(w, &(struct object){ kids[i], o->domain }, level - 1, chunk + i * span, err);
		whole = whole && r == 1;
	}
	if (whole)
		at->flags |= OBJECT_WHOLE;
	return r < 0 ? r : whole;
}

static int walk_disk(struct walk *w, struct error *err)
{
	const struct disk_row *row = w->row;
	if (row->root.levels < 1 || row->root.levels > LEVELS_MAX) {
		check_problem(w->check, PROBLEM_MAP, "%s: its map has %u levels, which cannot be", w->name,
			      row->root.levels);
		return 0;
	}
	int r = walk_down(w, &(struct object){ row->root.hash, row->domain }, row->root.levels, 0, err);
	if (w->problems > SENTENCES_MAX)
		check_problem(w->check, PROBLEM_MAP, "%s: %llu more parts of its disk are damaged", w->name,
			      (unsigned long long)(w->problems - SENTENCES_MAX));
	return r < 0 ? r : 0;
}

/* "image ap-beijing/custom/web"; a disk that no image has is named by its number. */
static void name_disk(struct check *c, const struct disk_row *row, struct buf *ret)
{
	struct image image;
	if (image_get(c->txn, row->image, &image) < 0) {
		check_problem(c, PROBLEM_NAME, "disk %llu belongs to no image", (unsigned long long)row->no);
		buf_addf(ret, "disk %llu", (unsigned long long)row->no);
		return;
	}
	buf_adds(ret, image.shelf.type == TYPE_INSTANCE ? "instance " : "image ");
	image_path(c->txn, &image, ret);
}

struct all {
	struct check *check;
	struct error *err;
	bool failed; /* err is filled */
};

static int check_disk(void *ctx, const struct disk_row *row)
{
	struct all *all = ctx;
	struct check *c = all->check;
	AUTO_BUF struct buf name = BUF_INIT;
	name_disk(c, row, &name);
	struct walk w = { .check = c, .row = row, .name = name.data };
	c->report->disks++;
	check_progress(c, c->report->disks, 0, "disks");
	int r = walk_disk(&w, all->err);
	if (w.problems)
		damage_found(c->service, row->no, w.first * CHUNK_SIZE); /* so that its owner is told */
	all->failed = r < 0;
	return r;
}

int check_maps(struct check *c, struct error *err)
{
	struct all all = { c, err, false };
	int r = disk_row_each(c->txn, 0, check_disk, &all);
	return all.failed ? r : check_walked(c, r, "disks", err);
}
