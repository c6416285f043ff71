/* SPDX-License-Identifier: Apache-2.0 */
/* check_overlays: what lies beside the pool. Of a disk that is in the catalog the files are opened as for reading it, which finds most of
 * what can be wrong, and then looked at; those of other disks are leftovers.
 *
 * A disk's row is there before its overlay, and files of a deleted disk stay while somebody has it open. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "catalog/disk_tab.h"
#include "domain/check_int.h"
#include "domain/disks.h"
#include "domain/gc_int.h"
#include "domain/tree.h"
#include "store/disk.h"

/* "instance ap-beijing/instances/web". -ENOENT: nobody has this disk. */
static int name_of(struct check *c, uint64_t disk, struct buf *ret)
{
	struct cat_txn *txn;
	struct disk_row row;
	struct image image;
	int r = cat_begin(c->service->catalog, &txn, NULL);
	if (r)
		return r;
	r = disk_row_get(txn, disk, &row);
	if (!r && image_get(txn, row.image, &image) == 0) {
		buf_adds(ret, image.shelf.type == TYPE_INSTANCE ? "instance " : "image ");
		image_path(txn, &image, ret);
	} else {
		buf_addf(ret, "disk %llu", (unsigned long long)disk);
	}
	cat_end(&txn);
	return r;
}

static void look_at(struct check *c, uint64_t number, const char *name)
{
	struct error err;
	struct disk *disk;
	int r = disks_get(c->service->disks, number, &disk, &err);
	if (r == -ESTALE) /* deleted meanwhile */
		return;
	if (r == 0) {
		r = disk_verify(disk, c->options->read_data, &err);
		disks_put(c->service->disks, &disk);
	}
	if (r)
		check_problem(c, PROBLEM_MAP, "%s: %s", name, err.text);
}

static bool is_file(const char *folder, uint64_t number, const char *kind)
{
	char path[PATH_MAX];
	return snprintf(path, sizeof path, "%s/%llu.%s", folder, (unsigned long long)number, kind) < (int)sizeof path &&
	       access(path, F_OK) == 0;
}

static void check_file(struct check *c, const char *folder, const char *file)
{
	uint64_t number = overlay_number_of(file);
	const char *kind = strrchr(file, '.') + 1;
	AUTO_BUF struct buf name = BUF_INIT;
	int r = number ? name_of(c, number, &name) : -EINVAL;
	if (r == -ENOENT && !disks_in_use(c->service->disks, number) && is_file(folder, number, kind))
		check_problem(c, PROBLEM_ORPHAN, "overlay/%s belongs to a disk that is gone (the next start of the daemon removes it)", file);
	/* Once for each disk. */
	bool first = strcmp(kind, "bits") == 0 || (!is_file(folder, number, "bits") && (strcmp(kind, "live") == 0 || strcmp(kind, "splice") == 0));
	if (r == 0 && first)
		look_at(c, number, name.data);
}

int check_overlays(struct check *c, struct error *err)
{
	char folder[PATH_MAX];
	snprintf(folder, sizeof folder, "%s/overlay", c->service->dir);
	DIR *dir = opendir(folder);
	if (!dir)
		return fail_errno(err, "cannot look into %s", folder);
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (strchr(e->d_name, '.') != e->d_name && strchr(e->d_name, '.'))
			check_file(c, folder, e->d_name);
	closedir(dir);
	return 0;
}
