/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/give_back.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "domain/act.h"
#include "domain/disks.h"
#include "domain/rights.h"
#include "domain/upload_int.h"

/* ---- one ---------------------------------------------------------------------------------------------------- */

static bool is_written(struct service *s, uint64_t disk)
{
	return s->events.is_written && s->events.is_written(s->events.ctx, disk);
}

static bool is_over(const struct image *i) { return strncmp(i->reason, REASON_OVER, strlen(REASON_OVER)) == 0; }

/* Pending: it was only closed when there was no room for it. */
static bool has_failed(const struct image *i)
{
	return !i->used && (i->state == STATE_FAILED || (i->state == STATE_PENDING && is_over(i)));
}

/* Of an upload that failed; a file beside a disk that is there has no state of its own. */
static bool is_left_over(const struct tree_disk *d)
{
	return d->is_main ? has_failed(&d->image) : !d->image.used && d->image.shelf.type != TYPE_INSTANCE;
}

/* The rows of what may be emptied: false if it may not. */
static bool look(struct service *s, uint64_t disk, struct tree_disk *ret)
{
	struct cat_txn *txn;
	if (cat_begin(s->catalog, &txn, NULL))
		return false;
	int r = upload_rows(txn, node_disk(disk), ret, NULL);
	cat_end(&txn);
	return r == 0 && is_left_over(ret);
}

static void say_given(struct image *i)
{
	static const char given[] = "; what had come in was " GIVEN_BACK " as its room was needed";
	size_t len = strlen(i->reason);
	if (is_over(i))
		snprintf(i->reason, sizeof i->reason, "%s", REASON_OVER_GIVEN);
	else if (strcmp(i->reason, REASON_FULL) && len + sizeof given <= sizeof i->reason)
		memcpy(i->reason + len, given, sizeof given);
}

static int do_tell(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct tree_disk d;
	int r = upload_rows(txn, a->node, &d, err);
	if (r || !d.is_main || !has_failed(&d.image))
		return r;
	say_given(&d.image);
	d.image.from = 0;
	d.image.from_shared = false;
	d.image.from_text[0] = 0;
	act_node_changed(a, seers_of(&d.image), a->node, true);
	return image_put(txn, &d.image);
}

/* The gate is shut: nobody begins to write. */
static int empty_disk(struct service *s, struct disk *disk, struct error *err)
{
	struct who nobody = { .account = 0 };
	struct act a = { .service = s, .who = &nobody, .fn = do_tell, .node = node_disk(disk_number(disk)) };
	int r = disk_truncate(disk, 0, err);
	if (!r)
		r = disks_fold(s->disks, disk, NULL, err);
	return r ? r : act_run(&a, err);
}

/* 1: it is empty now. 0: somebody is at it, or there was nothing. */
static int empty(struct service *s, uint64_t number, int (*lock)(pthread_rwlock_t *), struct error *err)
{
	struct tree_disk d;
	struct disk *disk;
	if (is_written(s, number) || !look(s, number, &d))
		return 0;
	int r = disks_get(s->disks, number, &disk, err);
	if (r)
		return r;
	struct disk_gate *gate = disks_gate(s->disks, disk);
	if (disk_size(disk) && lock(&gate->lock) == 0) {
		if (!is_written(s, number) && look(s, number, &d))
			r = empty_disk(s, disk, err);
		gate->rounds++;
		pthread_rwlock_unlock(&gate->lock);
		r = r ? r : 1;
	}
	disks_put(s->disks, &disk);
	return r;
}

void give_back(struct service *s, uint64_t disk)
{
	struct error err;
	if (empty(s, disk, pthread_rwlock_wrlock, &err) < 0)
		log_warn("What came in of an upload that was refused cannot be given back (disk %" PRIu64 "): %s", disk, err.text);
}

/* ---- all of an account --------------------------------------------------------------------------------------- */

struct failed {
	uint64_t but;
	uint64_t *disks;
	size_t count, room;
};

static int note_failed(void *ctx, const struct image *i)
{
	struct failed *f = ctx;
	if (!has_failed(i) || !i->disk || i->disk == f->but || strstr(i->reason, GIVEN_BACK))
		return 0;
	if (f->count == f->room) {
		f->room = f->room ? 2 * f->room : 16;
		f->disks = reallocarray(f->disks, f->room, sizeof *f->disks);
		if (!f->disks)
			abort();
	}
	f->disks[f->count++] = i->disk;
	return 0;
}

static int find_failed(struct service *s, uint32_t account, uint32_t region, struct failed *ret)
{
	static const enum image_type types[] = { TYPE_CUSTOM, TYPE_MARKETPLACE };
	struct cat_txn *txn;
	int r = cat_begin(s->catalog, &txn, NULL);
	if (r)
		return r;
	for (size_t t = 0; t < sizeof types / sizeof types[0] && !r; t++) {
		struct shelf shelf = { account, region, (uint8_t)types[t], false };
		r = image_each(txn, &shelf, 0, note_failed, ret);
	}
	cat_end(&txn);
	return r;
}

/* Who asks has another disk's gate: one that somebody else has shut is passed over, as they may wait for that. */
unsigned give_back_all(struct service *s, uint32_t account, uint32_t region, uint64_t but)
{
	struct failed f = { .but = but };
	struct error err;
	unsigned n = 0;
	if (find_failed(s, account, region, &f))
		f.count = 0;
	for (size_t i = 0; i < f.count; i++)
		n += empty(s, f.disks[i], pthread_rwlock_trywrlock, &err) == 1;
	free(f.disks);
	return n;
}
