/* SPDX-License-Identifier: Apache-2.0 */
/* check_orphans: packs that belong to nobody.
 *
 * A pack is sealed a moment before its row is written, and its row goes a moment before its bytes: one
 * that has no row and was made by this process is looked at again for a while before it is called an
 * orphan.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "domain/check_int.h"
#include "domain/gc_int.h"

#define LOOKS 20u
#define LOOK_PAUSE 100000u /* µs */

struct orphans {
	struct check *check;
	uint32_t *packs;
	size_t count, room;
};

static int note_object(void *ctx, const char *name, uint64_t size)
{
	struct orphans *o = ctx;
	uint32_t no = pack_number_of(name);
	if (!no) {
		check_problem(o->check, PROBLEM_ORPHAN, "%s in the pool (%llu bytes) is no pack", name,
			      (unsigned long long)size);
		return 0;
	}
	if (o->count == o->room) {
		o->room = o->room ? 2 * o->room : 64;
		o->packs = reallocarray(o->packs, o->room, sizeof *o->packs);
		if (!o->packs)
			abort();
	}
	o->packs[o->count++] = no;
	return 0;
}

/* Those that have a row now, or are gone now, are taken out. */
static int look_again(struct orphans *o, struct error *err)
{
	struct service *s = o->check->service;
	struct backend *b = s->store->backend;
	struct cat_txn *txn;
	size_t kept = 0;
	int r = cat_begin(s->catalog, &txn, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < o->count; i++) {
		struct pack_row row;
		char name[20];
		uint64_t size;
		if (pack_row_get(txn, o->packs[i], &row) == -ENOENT &&
		    b->ops->size(b, pack_name(o->packs[i], name), &size, NULL) != -ENOENT)
			o->packs[kept++] = o->packs[i];
	}
	cat_end(&txn);
	o->count = kept;
	return 0;
}

static bool may_be_new(const struct orphans *o)
{
	uint32_t first_new = gc_first_new_pack(o->check->service->gc);
	for (size_t i = 0; i < o->count; i++)
		if (o->packs[i] >= first_new)
			return true;
	return false;
}

int check_orphans(struct check *c, struct error *err)
{
	struct orphans o = { .check = c };
	struct backend *b = c->service->store->backend;
	int r = b->ops->list(b, note_object, &o, err);
	if (r == 0)
		r = look_again(&o, err);
	for (unsigned i = 0; i < LOOKS && r == 0 && may_be_new(&o); i++) {
		usleep(LOOK_PAUSE);
		r = look_again(&o, err);
	}
	for (size_t i = 0; i < o.count && r == 0; i++)
		check_problem(c, PROBLEM_ORPHAN,
			      "pack %u is in the pool, but the catalog does not know it (the next start of the "
			      "daemon removes it)",
			      o.packs[i]);
	free(o.packs);
	return r;
}
