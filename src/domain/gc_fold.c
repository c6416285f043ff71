/* SPDX-License-Identifier: Apache-2.0 */
/* gc_fold: what was written to an instance that is quiet now becomes chunks, so that it is deduplicated and compressed too.
 *
 * Quiet is a disk whose overlay was not touched for QUIET_SECONDS; it is looked for in the overlay folder, so instances that nobody
 * has open are found as well. One that is written to again while it is folded is left for another time.
 *
 * One after another, by a thread of its own, so that nothing else waits for it; the hashing and compressing is done by the store's idle
 * thread (store/disk_idle.c), never by those that uploads need. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "domain/disks.h"
#include "domain/gc_int.h"
#include "domain/upload.h"

#define QUIET_SECONDS 60
#define FOLDS_MAX 256u /* a round */

/* Is this the disk of an instance that has it (and not an upload that is to be continued)? */
static bool is_instance_disk(struct service *s, uint64_t number)
{
	struct cat_txn *txn;
	struct disk_row row;
	struct image i;
	if (cat_begin(s->catalog, &txn, NULL))
		return false;
	int r = disk_row_get(txn, number, &row);
	if (!r)
		r = image_get(txn, row.image, &i);
	cat_end(&txn);
	return !r && i.disk == number && image_is_running(&i);
}

static bool is_quiet(const char *folder, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return stat(path, &st) == 0 && clock_real() / 1000000000 - st.st_mtim.tv_sec >= QUIET_SECONDS;
}

static unsigned find_quiet(struct service *s, uint64_t *ret)
{
	char folder[PATH_MAX];
	unsigned n = 0;
	snprintf(folder, sizeof folder, "%s/overlay", s->dir);
	DIR *d = opendir(folder);
	for (struct dirent *e; d && n < FOLDS_MAX && (e = readdir(d));) {
		const char *dot = strrchr(e->d_name, '.');
		uint64_t number = dot && strcmp(dot, ".data") == 0 ? overlay_number_of(e->d_name) : 0;
		if (number && is_quiet(folder, e->d_name) && is_instance_disk(s, number))
			ret[n++] = number;
	}
	if (d)
		closedir(d);
	return n;
}

static bool is_stopping(void *gc) { return gc_stopping(gc); }

static int fold_one(struct gc_work *w, uint64_t number, struct error *err)
{
	struct disk *disk;
	int r = disks_get(w->service->disks, number, &disk, err);
	if (r)
		return r == -ESTALE ? 0 : r;
	if (disk_dirty(disk)) {
		r = disk_absorb_idle(disk, is_stopping, w->gc, err);
		if (!r)
			r = disks_fold(w->service->disks, disk, NULL, err);
		w->report->disks_folded += r == 0;
		if (!r)
			upload_measure(w->service, disk);
	}
	disks_put(w->service->disks, &disk);
	return r == -EBUSY ? 0 : r;
}

void gc_fold(struct gc_work *w)
{
	struct error err;
	uint64_t quiet[FOLDS_MAX];
	unsigned n = find_quiet(w->service, quiet);
	for (unsigned i = 0; i < n && !gc_stopping(w->gc); i++) {
		int r = fold_one(w, quiet[i], &err);
		if (r && r != -ECANCELED) /* the others need not wait for it */
			gc_bad(w->gc, quiet[i] | UINT64_C(1) << 61, "The disk of a quiet instance cannot be folded: %s", err.text);
	}
	if (w->report->disks_folded)
		gc_say(w, "%llu quiet instances were folded", (unsigned long long)w->report->disks_folded);
}

void *gc_fold_thread(void *arg)
{
	struct gc *gc = arg;
	do {
		struct gc_report report = { 0 };
		gc_fold_now(&(struct gc_work){ gc, gc_service(gc), &report, NULL, NULL, false });
		upload_measure_rest(gc_service(gc), is_stopping, gc);
	} while (gc_pause(gc, QUIET_SECONDS));
	return NULL;
}
