/* SPDX-License-Identifier: Apache-2.0 */
/* gc_keep: packs whose rows are gone keep their bytes while somebody reads by an older state of the catalog. A process that dies
 * before they are removed leaves orphans, which the next start removes. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "domain/gc_int.h"

struct keep {
	pthread_mutex_t lock; /* guards everything below */
	unsigned keepers;
	uint32_t *packs; /* to be removed */
	size_t count, room;
};

struct keep *keep_new(void)
{
	struct keep *k = calloc(1, sizeof *k);
	if (!k)
		abort();
	pthread_mutex_init(&k->lock, NULL);
	return k;
}

void keep_free(struct keep *k)
{
	pthread_mutex_destroy(&k->lock);
	free(k->packs);
	free(k);
}

void gc_keep_packs(struct gc *gc)
{
	struct keep *k = gc_keep(gc);
	WITH_LOCK(&k->lock);
	k->keepers++;
}

static void remove_now(struct gc *gc, uint32_t pack)
{
	struct backend *b = gc_service(gc)->store->backend;
	struct error why;
	char name[20];
	int r = b->ops->remove(b, pack_name(pack, name), &why);
	if (r < 0 && r != -ENOENT)
		gc_bad(gc, pack, "A dead pack could not be removed, the next start tries again: %s", why.text);
}

void gc_remove_pack(struct gc *gc, uint32_t pack)
{
	struct keep *k = gc_keep(gc);
	WITH_LOCK(&k->lock);
	if (k->keepers == 0) {
		remove_now(gc, pack);
		return;
	}
	if (k->count == k->room) {
		k->room = k->room ? 2 * k->room : 64;
		k->packs = reallocarray(k->packs, k->room, sizeof *k->packs);
		if (!k->packs)
			abort();
	}
	k->packs[k->count++] = pack;
}

void gc_unmake_pack(struct gc *gc, uint32_t pack)
{
	struct cat_txn *txn;
	struct pack_row row;
	if (cat_begin(gc_service(gc)->catalog, &txn, NULL))
		return;
	int r = pack_row_get(txn, pack, &row);
	cat_end(&txn);
	if (r == -ENOENT)
		remove_now(gc, pack);
}

void gc_let_packs_go(struct gc *gc)
{
	struct keep *k = gc_keep(gc);
	WITH_LOCK(&k->lock);
	if (--k->keepers > 0)
		return;
	for (size_t i = 0; i < k->count; i++)
		remove_now(gc, k->packs[i]);
	free(k->packs);
	k->packs = NULL;
	k->count = k->room = 0;
}
