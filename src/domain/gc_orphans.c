/* SPDX-License-Identifier: Apache-2.0 */
/* gc_orphans: what a crash left behind: packs that were sealed and never told to the catalog, packs
 * whose rows went and whose bytes didn't, overlay files of disks that are gone. Looked for once, at the
 * begin; only what is older than this process counts. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/object_tab.h"
#include "domain/gc_int.h"
#include "domain/names.h"
#include "store/disk.h"

struct numbers {
	uint64_t *items;
	size_t count, room;
};

static void add_number(struct numbers *n, uint64_t number)
{
	if (n->count == n->room) {
		n->room = n->room ? 2 * n->room : 64;
		n->items = reallocarray(n->items, n->room, sizeof *n->items);
		if (!n->items)
			abort();
	}
	n->items[n->count++] = number;
}

/* Those of the numbers that have a row are taken out. */
static int keep_orphans(struct gc_work *w, struct numbers *n, int (*has_row)(struct cat_txn *, uint64_t number),
			struct error *err)
{
	struct cat_txn *txn;
	size_t kept = 0;
	int r = cat_begin(w->service->catalog, &txn, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n->count; i++) {
		r = has_row(txn, n->items[i]);
		if (r < 0 && r != -ENOENT)
			break;
		if (r == -ENOENT)
			n->items[kept++] = n->items[i];
	}
	cat_end(&txn);
	n->count = kept;
	return r < 0 && r != -ENOENT ? fail(err, r, "The catalog cannot be read (%s).", err_name(r)) : 0;
}

/* ---- packs */

struct listing {
	uint32_t below;
	struct numbers found;
};

static int note_pack(void *ctx, const char *name, uint64_t size)
{
	struct listing *l = ctx;
	uint32_t no = pack_number_of(name);
	(void)size;
	if (no && no < l->below)
		add_number(&l->found, no);
	return 0;
}

static int pack_has_row(struct cat_txn *txn, uint64_t no)
{
	struct pack_row row;
	return pack_row_get(txn, (uint32_t)no, &row);
}

static int remove_packs(struct gc_work *w, const struct numbers *n, struct error *err)
{
	struct backend *b = w->service->store->backend;
	for (size_t i = 0; i < n->count; i++) {
		char name[20];
		if (!gc_step_begin(w->gc))
			return -ECANCELED;
		int r = b->ops->remove(b, pack_name((uint32_t)n->items[i], name), err);
		gc_step_end(w->gc);
		if (r < 0 && r != -ENOENT)
			return r;
		w->report->packs_removed++;
	}
	if (n->count)
		gc_say(w, "%zu packs that an earlier crash left behind were removed", n->count);
	return 0;
}

static int orphaned_packs(struct gc_work *w, struct error *err)
{
	struct listing l = { .below = gc_first_new_pack(w->gc) };
	struct backend *b = w->service->store->backend;
	int r = b->ops->list(b, note_pack, &l, err);
	if (r == 0)
		r = keep_orphans(w, &l.found, pack_has_row, err);
	if (r == 0)
		r = remove_packs(w, &l.found, err);
	free(l.found.items);
	return r;
}

/* ---- overlays */

static int disk_has_row(struct cat_txn *txn, uint64_t no)
{
	struct disk_row row;
	return disk_row_get(txn, no, &row);
}

static int list_overlays(const char *dir, uint64_t last, struct numbers *ret, struct error *err)
{
	DIR *d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : fail_errno(err, "cannot look into %s", dir);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		uint64_t no = overlay_number_of(e->d_name);
		if (no && no <= last)
			add_number(ret, no);
	}
	closedir(d);
	return 0;
}

uint64_t overlay_number_of(const char *name)
{
	static const char *const kinds[] = { ".data", ".bits", ".live", ".log", ".splice" };
	char *end;
	if (name[0] < '1' || name[0] > '9')
		return 0;
	errno = 0;
	uint64_t no = strtoull(name, &end, 10);
	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (errno == 0 && strcmp(end, kinds[i]) == 0)
			return no;
	return 0;
}

static int remove_overlays(struct gc_work *w, const char *dir, const struct numbers *n, struct error *err)
{
	int r = 0;
	for (size_t i = 0; i < n->count && r == 0; i++) {
		if (!gc_step_begin(w->gc))
			return -ECANCELED;
		r = disk_forget(dir, n->items[i], err);
		gc_step_end(w->gc);
	}
	if (n->count && r == 0)
		gc_say(w, "%zu files of disks that are gone were removed", n->count);
	return r;
}

static int orphaned_overlays(struct gc_work *w, struct error *err)
{
	struct numbers found = { .items = NULL };
	AUTO_FREE char *dir = NULL;
	if (asprintf(&dir, "%s/overlay", w->service->dir) < 0)
		abort();
	int r = list_overlays(dir, gc_last_old_disk(w->gc), &found, err);
	if (r == 0)
		r = keep_orphans(w, &found, disk_has_row, err);
	if (r == 0)
		r = remove_overlays(w, dir, &found, err);
	free(found.items);
	return r;
}

int gc_orphans(struct gc_work *w, struct error *err)
{
	int r = orphaned_packs(w, err);
	return r ? r : orphaned_overlays(w, err);
}
