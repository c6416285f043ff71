/* SPDX-License-Identifier: Apache-2.0 */
/* service: making, locking, opening and closing a store. */
#include "domain/service.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/num.h"
#include "catalog/account.h"
#include "catalog/ledger_clock.h"
#include "catalog/object_tab.h"
#include "domain/damage.h"
#include "domain/disks.h"
#include "domain/gc.h"
#include "domain/ledger.h"
#include "domain/measure.h"
#include "domain/names.h"
#include "domain/quota.h"
#include "domain/refusals.h"
#include "domain/upload.h"
#include "domain/test_clock.h"

#define LOCK_WAIT (INT64_C(2) * 1000000000)

static const char *const default_regions[] = {
	"ap-guangzhou", "ap-beijing", "ap-shanghai", "ap-hongkong", "na-siliconvalley:copy=no", NULL,
};

static char *path_in(const char *dir, const char *name, char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s/%s", dir, name);
	return ret;
}

/* ---- making ------------------------------------------------------------------------------- */

static void make_uuid(char ret[37])
{
	uint8_t b[16];
	if (getrandom(b, sizeof b, 0) != sizeof b)
		abort();
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4],
		 b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

struct seed {
	const char *account, *uuid;
	uint32_t uid;
	const char *const *regions;
};

static int seed_region(struct cat_txn *txn, const char *text, struct error *err)
{
	struct region r = { .copy = true, .mainland = true, .types = (1 << TYPE_MAX_) - 1, .created = clock_real() };
	size_t n = strcspn(text, ":");
	if (n > PLACE_NAME_MAX)
		return fail(err, -EINVAL, "the name of a region has at most %d characters", PLACE_NAME_MAX);
	memcpy(r.name, text, n);
	r.name[n] = 0;
	int bad = name_check_place("a region", r.name, err);
	if (bad)
		return bad;
	if (text[n] && strcmp(text + n, ":copy=no") && strcmp(text + n, ":copy=yes"))
		return fail(err, -EINVAL, "a region is given as NAME or NAME:copy=no, not \"%s\"", text);
	if (strcmp(text + n, ":copy=no") == 0)
		r.copy = r.mainland = false;
	r.no = (uint32_t)cat_next(txn, COUNTER_REGION);
	r.free_storage = r.mainland ? (uint64_t)50 << 30 : 0;
	snprintf(r.storage_price, sizeof r.storage_price, "0");
	snprintf(r.windows_fee, sizeof r.windows_fee, "0");
	snprintf(r.instance_price, sizeof r.instance_price, "0");
	struct region other;
	if (region_find(txn, r.name, &other) == 0)
		return fail(err, -EEXIST, "the region %s is named twice", r.name);
	return region_put(txn, &r);
}

static int seed_account(struct cat_txn *txn, const struct seed *seed)
{
	struct account a = { .n_uids = 1, .uids = { seed->uid }, .is_operator = true, .accept = "all", .created = clock_real() };
	snprintf(a.name, sizeof a.name, "%s", seed->account);
	a.no = (uint32_t)cat_next(txn, COUNTER_ACCOUNT);
	return account_put(txn, &a);
}

static int seed_catalog(struct cat_txn *txn, void *arg, struct error *err)
{
	struct seed *seed = arg;
	for (const char *const *r = seed->regions; *r; r++) {
		int bad = seed_region(txn, *r, err);
		if (bad)
			return bad;
	}
	int bad = seed_account(txn, seed);
	if (!bad && cat_next(txn, COUNTER_DOMAIN) != 1)
		bad = -EINVAL;
	return bad ? bad : cat_meta_set(txn, "uuid", seed->uuid);
}

static int make_folders(const char *dir, struct error *err)
{
	static const char *const folders[] = { "catalog", "pool", "overlay" };
	char path[PATH_MAX];
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		int r = io_make_dir(path_in(dir, folders[i], path), 0700, err);
		if (r)
			return r;
	}
	return 0;
}

static int write_store_file(const char *dir, const char *uuid, struct error *err)
{
	char path[PATH_MAX], text[80];
	int n = snprintf(text, sizeof text, "imagefs store %d\n%s\n", STORE_FORMAT, uuid);
	return io_write_file(path_in(dir, "imagefs.store", path), text, (size_t)n, 0600, err);
}

static int fill_new_store(const char *dir, struct seed *seed, struct error *err)
{
	char path[PATH_MAX];
	struct catalog *catalog;
	int r = make_folders(dir, err);
	if (!r)
		r = catalog_open(&catalog, path_in(dir, "catalog", path), CAT_CREATE, err);
	if (r)
		return r;
	r = cat_write(catalog, seed_catalog, seed, err);
	catalog_close(catalog);
	if (r)
		return r;
	/* The file that says "this is a store" comes last: an init that was cut short is no store. */
	return write_store_file(dir, seed->uuid, err);
}

/* Looked into, not removed and made anew: it may be a mount point, or lie in a folder of somebody else. */
static bool folder_is_empty(const char *dir)
{
	DIR *d = opendir(dir);
	bool empty = d != NULL;
	for (const struct dirent *e; empty && (e = readdir(d));)
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	if (d)
		closedir(d);
	return empty;
}

static void remove_new_store(const char *dir)
{
	static const char *const names[] = { "imagefs.store", "imagefs.store.new", "catalog/data.mdb", "catalog/lock.mdb" };
	static const char *const folders[] = { "catalog", "overlay", "pool" };
	char path[PATH_MAX];
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		(void)unlink(path_in(dir, names[i], path)); /* best effort: it may not be there */
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
		(void)rmdir(path_in(dir, folders[i], path));
	(void)rmdir(dir);
}

int service_init(const char *dir, const char *account, uint32_t uid, const char *const *regions, struct error *err)
{
	char uuid[37];
	struct seed seed = { account, uuid, uid, regions ? regions : default_regions };
	int r = name_check_place("an account", account, err);
	if (r)
		return r;
	make_uuid(uuid);
	if (mkdir(dir, 0711) && (errno != EEXIST || !folder_is_empty(dir))) {
		if (errno == ENOENT)
			return fail_errno(err, "cannot make a store at %s", dir);
		return service_probe(dir, NULL) == 0
			       ? fail(err, -EEXIST, "%s is a store already", dir)
			       : fail(err, -EEXIST, "%s exists and is not an empty folder", dir);
	}
	r = fill_new_store(dir, &seed, err);
	if (r)
		remove_new_store(dir);
	return r;
}

/* ---- opening ------------------------------------------------------------------------------ */

static int read_store_file(const char *dir, int *ret_version, char ret_uuid[37], struct error *err)
{
	char path[PATH_MAX];
	AUTO_FREE char *text = NULL;
	struct error ignored;
	int r = io_read_file(path_in(dir, "imagefs.store", path), 200, &text, NULL, &ignored);
	if (r == -EACCES)
		return fail(err, r, "%s may not be read by you", path);
	if (r)
		return fail(err, -ENOENT, "%s is not a store (make one with: imagefs init %s)", dir, dir);
	if (sscanf(text, "imagefs store %d %36s", ret_version, ret_uuid) != 2 || *ret_version < 1)
		return fail(err, -EINVAL, "%s/imagefs.store is not what it should be: this is no store, or a damaged one", dir);
	if (*ret_version > STORE_FORMAT)
		return fail(err, ERR_NEWER, "%s was made by a newer version of imagefs (format %d, this one knows %d)", dir,
			    *ret_version, STORE_FORMAT);
	return 0;
}

int service_probe(const char *dir, struct error *err)
{
	char uuid[37];
	int version;
	return read_store_file(dir, &version, uuid, err);
}

/* Commands that look into a store without a daemon hold the lock for a moment: whoever starts a daemon just then waits for that. */
static int take_lock(int fd)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	int r;
	for (int64_t end = clock_mono() + LOCK_WAIT; (r = flock(fd, LOCK_EX | LOCK_NB)) && errno == EWOULDBLOCK && clock_mono() < end;)
		nanosleep(&pause, NULL);
	return r;
}

int service_lock(const char *dir, int *ret_fd, struct error *err)
{
	char path[PATH_MAX];
	int r = service_probe(dir, err);
	if (r)
		return r;
	AUTO_FD int fd = open(path_in(dir, "lock", path), O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return fail_errno(err, "cannot open %s", path);
	if (take_lock(fd))
		return errno == EWOULDBLOCK ? fail(err, -EBUSY, "the store %s is in use by another process", dir)
					    : fail_errno(err, "cannot lock %s", path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* They are never used twice, and rows have so many bits for them (docs/decisions/0017). */
static void warn_of_numbers(uint64_t packs, uint64_t disks)
{
	if (packs > PACK_NO_MAX / 16 * UINT64_C(15))
		log_warn("%llu of %u numbers of packs are used up: without one nothing can be stored.", (unsigned long long)packs, PACK_NO_MAX);
	if (disks > DISK_NO_MAX / 16 * 15)
		log_warn("%llu of %llu numbers of disks are used up: without one no image and no server can be made.",
			 (unsigned long long)disks, (unsigned long long)DISK_NO_MAX);
}

static int open_store(struct service *s, const struct service_options *o, struct error *err)
{
	char path[PATH_MAX];
	struct backend *backend;
	struct cat_txn *txn;
	struct store_options options = { .chunk_cache = o->cache, .level = o->level, .threads = o->threads };
	int r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	uint64_t packs = cat_counter_get(txn, COUNTER_PACK), disks = cat_counter_get(txn, COUNTER_DISK);
	cat_end(&txn);
	options.next_pack = (uint32_t)MIN(packs + 1, PACK_NO_MAX + UINT64_C(1)); /* none is ever used twice, the last one neither */
	warn_of_numbers(packs, disks);
	r = backend_open_dir(&backend, path_in(s->dir, "pool", path), 64, err);
	return r ? r : store_open(&s->store, backend, object_index(s->catalog), &options, err);
}

static int start_ledger(struct service *s, struct error *err)
{
	struct error roll;
	int r = test_clock_use(s->catalog, s->dir, &s->test_clock, err);
	if (!r)
		r = ledger_tick(s->catalog, err);
	/* It is tried again every minute; nobody is kept from their disks for a bill. */
	if (!r && ledger_roll(s, &roll))
		log_warn("%s", roll.text);
	return r;
}

/* Without it the time until the next opening is counted from an earlier moment, by the same clocks: nothing is lost within a boot. */
static void stop_ledger(struct service *s)
{
	struct error err;
	if (ledger_tick(s->catalog, &err))
		log_warn("The ledger's clock could not be written down: %s", err.text);
}

static void damage_last(struct service *s)
{
	struct error err;
	if (damage_write(s, &err))
		log_warn("What is damaged is written down when it is read again: %s", err.text);
}

static void measure_last(struct service *s)
{
	struct error err;
	if (measure_overlays(s, &err))
		log_warn("What was written is measured when the store is opened again: %s", err.text);
}

/* The catalog is upgraded before the store's file says so: one without the other is opened like this again. Without the file
 * older versions are refused by the catalog. */
static void upgraded(struct service *s, int from)
{
	struct error err;
	if (write_store_file(s->dir, s->uuid, &err))
		log_warn("The store's format is written down when it is opened again: %s", err.text);
	log_info("%s had format %d and has format %d now: older versions of imagefs refuse it.", s->dir, from, STORE_FORMAT);
}

int service_open(struct service **ret, const char *dir, const struct service_options *options, struct error *err)
{
	static const struct service_options defaults;
	char path[PATH_MAX];
	int version;
	struct service *s = calloc(1, sizeof *s);
	if (!s)
		abort();
	s->started = clock_real();
	s->prober = options ? options->prober : NULL;
	s->dir = realpath(dir, NULL);
	int r = s->dir ? read_store_file(s->dir, &version, s->uuid, err) : fail_errno(err, "cannot open the store %s", dir);
	if (!r)
		r = catalog_open(&s->catalog, path_in(s->dir, "catalog", path), 0, err);
	if (!r && (version < STORE_FORMAT || catalog_came_with(s->catalog) < CATALOG_FORMAT))
		upgraded(s, version);
	if (!r)
		r = start_ledger(s, err);
	if (!r)
		r = open_store(s, options ? options : &defaults, err);
	if (r) {
		service_close(s);
		return r;
	}
	s->quotas = quotas_new(s);
	s->refusals = refusals_new();
	s->to_measure = to_measure_new();
	s->disks = disks_new(s);
	s->gc = gc_new(s);
	*ret = s;
	return 0;
}

void service_close(struct service *s)
{
	if (!s)
		return;
	if (s->gc)
		gc_stop(s->gc);
	if (s->disks) {
		disks_free(s->disks);
		measure_last(s);
		damage_last(s);
	}
	quotas_free(s->quotas);
	gc_free(s->gc);
	if (s->store)
		store_close(s->store);
	if (s->refusals)
		refusals_tell(s);
	refusals_free(s->refusals);
	to_measure_free(s->to_measure);
	if (s->catalog) {
		stop_ledger(s);
		catalog_close(s->catalog);
	}
	test_clock_free(s->test_clock);
	free(s->dir);
	free(s);
}

/* ---- facts -------------------------------------------------------------------------------- */

static int add_operator(void *ctx, const struct account *a)
{
	struct buf *names = ctx;
	if (a->is_operator && names->len < 100)
		buf_addf(names, "%s%s", names->len ? ", " : "", a->name);
	return 0;
}

/* Who they are, what they lack, and who can help. */
static int no_account(struct service *s, struct cat_txn *txn, uint32_t uid, struct error *err)
{
	AUTO_BUF struct buf names = BUF_INIT;
	int r = account_each(txn, 0, add_operator, &names);
	return fail(err, -EACCES, "uid %u has no account in this store: ask an operator (%s) for one, who types `imagefs account add "
		    "--uid %u %.200s NAME`, or `account set --add-uid %u`, which adds it to one", uid, r || !names.len ? "?" : names.data, uid, s->dir, uid);
}

int service_account_of(struct service *s, uint32_t uid, uint32_t *ret_no, char ret_name[33], struct error *err)
{
	struct cat_txn *txn;
	struct account a;
	int r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = account_by_uid(txn, uid, &a);
	if (r)
		r = r == -ENOENT ? no_account(s, txn, uid, err) : fail(err, r, "cannot read the accounts of this store");
	cat_end(&txn);
	if (r)
		return r;
	*ret_no = a.no;
	snprintf(ret_name, 33, "%s", a.name);
	return 0;
}

bool service_rights(struct service *s, uint32_t account, bool *ret_operator, bool *ret_vendor)
{
	struct cat_txn *txn;
	struct account a;
	if (cat_begin(s->catalog, &txn, NULL))
		return false;
	int r = account_get(txn, account, &a);
	cat_end(&txn);
	*ret_operator = !r && a.is_operator;
	*ret_vendor = !r && a.is_vendor;
	return !r;
}

bool service_uid_belongs(struct service *s, uint32_t uid, uint32_t account)
{
	struct cat_txn *txn;
	struct account a;
	if (cat_begin(s->catalog, &txn, NULL))
		return false;
	bool belongs = account_by_uid(txn, uid, &a) == 0 && a.no == account;
	cat_end(&txn);
	return belongs;
}

int service_space(struct service *s, uint64_t *ret_total, uint64_t *ret_free, struct error *err)
{
	return s->store->backend->ops->space(s->store->backend, ret_total, ret_free, err);
}

static int count_image(void *ctx, const struct image *i)
{
	uint64_t *counts = ctx;
	if (i->kind == KIND_IMAGE)
		counts[i->shelf.trash ? TYPE_MAX_ : i->shelf.type]++;
	return 0;
}

static void add_what_it_is(struct service *s, struct buf *ret)
{
	buf_addf(ret, "store: %s\nuuid: %s\nformat: %d\n", s->dir, s->uuid, STORE_FORMAT);
	if (s->test_clock)
		buf_addf(ret, "clock: test\n");
}

static int add_counts(struct service *s, struct buf *ret, struct error *err)
{
	struct cat_txn *txn;
	struct cat_stat stat;
	uint64_t counts[TYPE_MAX_ + 1] = { 0 }, bytes, live, packs, objects, total, space;
	int r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = image_each_all(txn, 0, count_image, counts);
	if (!r)
		r = pack_totals(txn, &bytes, &live, &packs, &objects);
	cat_end(&txn);
	if (!r)
		r = service_space(s, &total, &space, err);
	if (r)
		return r;
	cat_stat(s->catalog, &stat);
	for (int t = 0; t < TYPE_MAX_; t++)
		if (t != TYPE_SHARED)
			buf_addf(ret, "%s: %llu\n", type_name((enum image_type)t), (unsigned long long)counts[t]);
	buf_addf(ret, "trash: %llu\n", (unsigned long long)counts[TYPE_MAX_]);
	buf_addf(ret, "packs: %llu\nobjects: %llu\nstored: %llu\npack-bytes: %llu\n", (unsigned long long)packs,
		 (unsigned long long)objects, (unsigned long long)live, (unsigned long long)bytes);
	buf_addf(ret, "catalog-bytes: %llu\ncommits: %llu\npool-total: %llu\npool-free: %llu\n",
		 (unsigned long long)stat.used_bytes, (unsigned long long)stat.commits, (unsigned long long)total,
		 (unsigned long long)space);
	return 0;
}

int service_facts(struct service *s, bool all, struct buf *ret, struct error *err)
{
	add_what_it_is(s, ret);
	return all ? add_counts(s, ret, err) : 0;
}
