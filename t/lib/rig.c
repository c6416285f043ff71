/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "catalog/object_tab.h"
#include "domain/disks.h"
#include "domain/trash.h"
#include "tap.h"

static void must(int r, const struct error *err, const char *what)
{
	if (r < 0)
		bail("%s: %s", what, err ? err->text : err_name(r));
}

void rig_open(struct rig *rig)
{
	struct service_options options = { .cache = 4 << 20, .threads = 2 };
	struct error err = { 0, "" };
	must(service_open(&rig->service, rig->dir, &options, &err), &err, "service_open");
}

void rig_make(struct rig *rig, const char *name)
{
	struct error err = { 0, "" };
	snprintf(rig->dir, sizeof rig->dir, "%s/%s", test_folder(), name);
	must(service_init(rig->dir, "me", 1000, NULL, &err), &err, "service_init");
	rig_open(rig);
}

void rig_close(struct rig *rig)
{
	service_close(rig->service);
	rig->service = NULL;
}

/* ---- images */

struct making {
	const char *name;
	enum image_state state;
	uint64_t node;
};

static int make_image(struct cat_txn *txn, void *arg, struct error *err)
{
	struct making *m = arg;
	struct image i = { .shelf = { 1, 1, TYPE_CUSTOM, false }, .owner = 1, .state = (uint8_t)m->state };
	(void)err;
	i.node = m->node = cat_next(txn, COUNTER_NODE);
	i.id = cat_next(txn, COUNTER_NODE);
	i.created = i.changed = clock_real();
	i.disk = cat_next(txn, COUNTER_DISK);
	snprintf(i.name, sizeof i.name, "%s", m->name);
	struct disk_row row = { .no = i.disk, .image = i.node, .domain = 1, .root = { .levels = 1 } };
	int r = disk_row_put(txn, &row);
	return r ? r : image_put(txn, &i);
}

uint64_t rig_image(struct rig *rig, const char *name, enum image_state state)
{
	struct making m = { name, state, 0 };
	struct error err = { 0, "" };
	must(cat_write(rig->service->catalog, make_image, &m, &err), &err, "make_image");
	return m.node;
}

struct image rig_row(struct rig *rig, uint64_t node)
{
	struct cat_txn *txn;
	struct image image = { 0 };
	must(cat_begin(rig->service->catalog, &txn, NULL), NULL, "cat_begin");
	if (image_get(txn, node, &image) < 0)
		image = (struct image){ 0 };
	cat_end(&txn);
	return image;
}

static int put_row(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return image_put(txn, arg);
}

void rig_change(struct rig *rig, const struct image *image)
{
	struct image copy = *image;
	struct error err = { 0, "" };
	must(cat_write(rig->service->catalog, put_row, &copy, &err), &err, "image_put");
}

uint64_t rig_disk_of(struct rig *rig, uint64_t node)
{
	return rig_row(rig, node).disk;
}

void rig_purge(struct rig *rig, uint64_t node)
{
	struct error err = { 0, "" };
	must(trash_purge(rig->service, node, &err), &err, "trash_purge");
}

/* ---- bytes */

void rig_bytes(uint64_t seed, uint8_t ret[CHUNK_SIZE])
{
	uint64_t state = seed * 0x9e3779b97f4a7c15;
	memset(ret, 0, CHUNK_SIZE);
	for (unsigned i = 0; seed && i < CHUNK_SIZE; i += 8) {
		uint64_t v = test_random(&state);
		memcpy(ret + i, &v, 8);
	}
}

static struct disk *get_disk(struct rig *rig, uint64_t node)
{
	struct disk *disk;
	struct error err = { 0, "" };
	must(disks_get(rig->service->disks, rig_disk_of(rig, node), &disk, &err), &err, "disks_get");
	return disk;
}

void rig_write(struct rig *rig, uint64_t node, uint64_t chunk, const uint64_t *seeds, unsigned count)
{
	uint8_t buf[CHUNK_SIZE];
	struct error err = { 0, "" };
	struct disk *disk = get_disk(rig, node);
	for (unsigned i = 0; i < count; i++) {
		rig_bytes(seeds[i], buf);
		must(disk_write(disk, buf, sizeof buf, (chunk + i) * CHUNK_SIZE, &err), &err, "disk_write");
	}
	must(disks_fold(rig->service->disks, disk, NULL, &err), &err, "disks_fold");
	disks_put(rig->service->disks, &disk);
}

bool rig_holds(struct rig *rig, uint64_t node, uint64_t chunk, const uint64_t *seeds, unsigned count)
{
	uint8_t want[CHUNK_SIZE], got[CHUNK_SIZE];
	bool same = true;
	struct disk *disk = get_disk(rig, node);
	for (unsigned i = 0; i < count && same; i++) {
		struct error err = { 0, "" };
		rig_bytes(seeds[i], want);
		ssize_t n = disk_read(disk, got, sizeof got, (chunk + i) * CHUNK_SIZE, NULL, &err);
		same = n == CHUNK_SIZE && memcmp(got, want, sizeof got) == 0;
		if (!same)
			diag("chunk %llu: %s", (unsigned long long)(chunk + i), n < 0 ? err.text : "other bytes");
	}
	disks_put(rig->service->disks, &disk);
	return same;
}

/* ---- the pool */

static int count_file(void *ctx, const char *name, uint64_t size)
{
	(void)name, (void)size;
	++*(uint64_t *)ctx;
	return 0;
}

struct rig_totals rig_totals(struct rig *rig)
{
	struct rig_totals t = { 0 };
	struct cat_txn *txn;
	struct backend *b = rig->service->store->backend;
	must(cat_begin(rig->service->catalog, &txn, NULL), NULL, "cat_begin");
	must(pack_totals(txn, &t.bytes, &t.live, &t.packs, &t.objects), NULL, "pack_totals");
	cat_end(&txn);
	must(b->ops->list(b, count_file, &t.files, NULL), NULL, "list");
	return t;
}

char *rig_pack_path(struct rig *rig, uint32_t no, char ret[4200])
{
	char name[20];
	pack_name(no, name);
	snprintf(ret, 4200, "%s/pool/%s/%s", rig->dir, name + strlen(name) - 2, name);
	return ret;
}

void rig_flip(struct rig *rig, uint32_t no, int64_t offset)
{
	char path[4200];
	uint8_t byte;
	AUTO_FD int fd = open(rig_pack_path(rig, no, path), O_RDWR);
	if (fd < 0)
		bail("%s cannot be opened", path);
	uint64_t at = (uint64_t)(offset < 0 ? lseek(fd, 0, SEEK_END) + offset : offset);
	must(io_pread(fd, &byte, 1, at), NULL, "pread");
	byte ^= 0x40;
	must(io_pwrite(fd, &byte, 1, at), NULL, "pwrite");
}
