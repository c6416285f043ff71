/* SPDX-License-Identifier: Apache-2.0 */
/* service: a store is made whole or not at all, locked, refused when it is newer; two of them work side by side in one process. */
#include "domain/service.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/rig.h"
#include "../lib/tap.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "catalog/object_tab.h"
#include "domain/disks.h"

#define RIG_UID 1000u /* rig.c gives its stores to this one */

static char *in_folder(const char *name, char ret[4096])
{
	snprintf(ret, 4096, "%s/%s", test_folder(), name);
	return ret;
}

static void test_init(void)
{
	char dir[4096], path[4200];
	struct error err;
	static const char *const bad[] = { "One", NULL }, *const twice[] = { "a", "a", NULL }, *const odd[] = { "a:copy=maybe", NULL };
	in_folder("init", dir);
	is_int(service_init(dir, "Not A Name", 0, NULL, &err), -EINVAL, "an account has a name of its own kind");
	is_int(service_init(dir, "ops", 0, bad, &err), -EINVAL, "a region, too");
	ok(access(dir, F_OK), "nothing is left of it");
	is_int(service_init(dir, "ops", 0, twice, &err), -EEXIST, "no region twice");
	is_int(service_init(dir, "ops", 0, odd, &err), -EINVAL, "copy is yes or no");
	ok(access(dir, F_OK), "nothing is left of these");
	is_int(service_init(dir, "ops", 0, NULL, &err), 0, "a store");
	is_int(service_init(dir, "ops", 0, NULL, &err), -EEXIST, "not over another one");
	ok(strstr(err.text, "is a store already"), "and says so");
	snprintf(path, sizeof path, "%s/imagefs.store", dir);
	is_int(io_write_file(path, "imagefs store 99\nx\n", 19, 0644, &err), 0, "a newer one");
	is_int(service_probe(dir, &err), ERR_NEWER, "is refused");
	is_int(io_write_file(path, "rubbish", 7, 0644, &err), 0, "a damaged one");
	is_int(service_probe(dir, &err), -EINVAL, "too");
	is_int(service_probe(test_folder(), &err), -ENOENT, "a folder is no store");
}

static void test_lock(void)
{
	char dir[4096];
	struct error err;
	int fd, other;
	in_folder("lock", dir);
	if (service_init(dir, "ops", 0, NULL, &err))
		bail("%s", err.text);
	is_int(service_lock(dir, &fd, &err), 0, "the lock");
	is_int(service_lock(dir, &other, &err), -EBUSY, "is one man's");
	close(fd);
	is_int(service_lock(dir, &other, &err), 0, "then another's");
	close(other);
}

static void test_accounts(struct rig *rig)
{
	struct error err;
	uint32_t no;
	char name[33];
	bool is_operator, is_vendor;
	is_int(service_account_of(rig->service, RIG_UID, &no, name, &err), 0, "who made it has an account");
	ok(service_rights(rig->service, no, &is_operator, &is_vendor) && is_operator && !is_vendor, "and is its operator");
	ok(service_uid_belongs(rig->service, RIG_UID, no) && !service_uid_belongs(rig->service, 54321, no), "nobody else is");
	is_int(service_account_of(rig->service, 54321, &no, name, &err), -EACCES, "a stranger has none");
	ok(!service_rights(rig->service, 999, &is_operator, &is_vendor), "nor rights");
}

/* ---- side by side ---- */

enum { IMAGES = 6, CHUNKS = 40 };

struct worker {
	struct rig *rig;
	uint64_t seed;
	bool good;
};

static void *fill(void *arg)
{
	struct worker *w = arg;
	char name[32];
	uint64_t seeds[CHUNKS], nodes[IMAGES];
	w->good = true;
	for (unsigned i = 0; i < IMAGES; i++) {
		for (unsigned c = 0; c < CHUNKS; c++)
			seeds[c] = w->seed + i * CHUNKS + c;
		snprintf(name, sizeof name, "image-%u", i);
		nodes[i] = rig_image(w->rig, name, STATE_AVAILABLE);
		rig_write(w->rig, nodes[i], 0, seeds, CHUNKS);
	}
	for (unsigned i = 0; i < IMAGES; i++) {
		for (unsigned c = 0; c < CHUNKS; c++)
			seeds[c] = w->seed + i * CHUNKS + c;
		w->good &= rig_holds(w->rig, nodes[i], 0, seeds, CHUNKS);
	}
	return NULL;
}

static void test_two(void)
{
	struct rig a, b;
	pthread_t threads[2];
	struct buf facts = BUF_INIT;
	struct error err;
	rig_make(&a, "left");
	rig_make(&b, "right");
	struct worker workers[2] = { { &a, 1000, false }, { &b, 50000, false } };
	for (unsigned i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, fill, &workers[i]))
			bail("no thread");
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ok(workers[0].good && workers[1].good, "two stores are filled at the same time, each with its own");
	ok(strcmp(a.service->uuid, b.service->uuid), "they are two");
	is_int(service_facts(a.service, true, &facts, &err), 0, "what there is to know of one");
	ok(strstr(facts.data, "custom: 6\n"), "is of that one");
	buf_free(&facts);
	rig_close(&a);
	ok(rig_totals(&b).objects > 0, "one is closed, the other goes on");
	test_accounts(&b);
	rig_close(&b);
	rig_open(&a);
	ok(rig_totals(&a).objects >= IMAGES * CHUNKS, "and is there when it is opened again");
	rig_close(&a);
}

static int use_up(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)arg, (void)err;
	int r = cat_counter_raise(txn, COUNTER_PACK, PACK_NO_MAX - 1);
	return r ? r : cat_counter_raise(txn, COUNTER_DISK, DISK_NO_MAX);
}

static int one_more_disk(struct cat_txn *txn, void *arg, struct error *err)
{
	struct disk_row row = { .no = cat_next(txn, COUNTER_DISK), .image = 1, .root = { .levels = 1 } };
	(void)arg, (void)err;
	return disk_row_put(txn, &row);
}

/* Fold of another chunk of an image; 0 or its error. */
static int one_more_pack(struct rig *rig, uint64_t node, uint64_t chunk, struct error *err)
{
	struct disk *disk;
	if (disks_get(rig->service->disks, rig_disk_of(rig, node), &disk, err))
		bail("disks_get");
	int r = disk_write(disk, &chunk, sizeof chunk, chunk * CHUNK_SIZE, err);
	if (r == 0)
		r = disks_fold(rig->service->disks, disk, NULL, err);
	disks_put(rig->service->disks, &disk);
	return r;
}

/* The counter of packs began again at 1 with the next start. */
static void test_numbers(void)
{
	struct rig rig;
	struct error err = { .code = 0 };
	uint64_t seed = 7;
	rig_make(&rig, "numbers");
	uint64_t node = rig_image(&rig, "web", STATE_AVAILABLE);
	rig_write(&rig, node, 0, &seed, 1);
	if (cat_write(rig.service->catalog, use_up, NULL, NULL))
		bail("use_up");
	log_set_level(LOG_LEVEL_ERROR);
	rig_close(&rig);
	rig_open(&rig);
	is_int(one_more_pack(&rig, node, 1, &err), 0, "there is one number of packs left");
	for (unsigned start = 0; start < 2; start++) {
		is_int(one_more_pack(&rig, node, 2 + start, &err), -EOVERFLOW, "and then none: %s", err.text);
		is_int(cat_write(rig.service->catalog, one_more_disk, NULL, &err), -EOVERFLOW, "nor of disks: %s", err.text);
		rig_close(&rig);
		rig_open(&rig);
	}
	ok(rig_holds(&rig, node, 0, &seed, 1), "what is there is there");
	rig_close(&rig);
}

int main(void)
{
	test_init();
	test_lock();
	test_two();
	test_numbers();
	return done_testing();
}
