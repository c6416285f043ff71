/* SPDX-License-Identifier: Apache-2.0 */
/* catalog: opening and refusing, counters and properties, transactions, copies, and what is left after a kill. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "catalog/db.h"
#include "catalog/image.h"
#include "catalog/object_tab.h"
#include "tap.h"

static char *folder(const char *name, char ret[300])
{
	snprintf(ret, 300, "%s/%s", test_folder(), name);
	return ret;
}

static struct catalog *open_or_bail(const char *dir, int flags)
{
	struct catalog *cat = NULL;
	struct error err;
	if (catalog_open(&cat, dir, flags, &err))
		bail("%s", err.text);
	return cat;
}

/* ---- a writer that is killed ---- */

#define WRITERS 3

struct writer {
	struct catalog *cat;
	unsigned no, step;
	int pipe;
};

struct report {
	unsigned writer, step;
};

/* All of a step in one transaction: a row, an object, a number. */
static int write_step(struct cat_txn *txn, void *arg, struct error *err)
{
	struct writer *w = arg;
	struct image image = { .node = cat_next(txn, COUNTER_NODE), .shelf = { 1, w->no, TYPE_CUSTOM, false } };
	struct place place = { 1, w->step, 10, OBJECT_CHUNK };
	struct hash hash;
	char name[16], value[16];
	(void)err;
	snprintf(image.name, sizeof image.name, "image %u", w->step);
	snprintf(name, sizeof name, "last-%u", w->no);
	snprintf(value, sizeof value, "%u", w->step);
	hash_of(&image.node, sizeof image.node, &hash);
	int r = image_put(txn, &image);
	if (r == 0)
		r = object_insert(txn, 1, &hash, &place, 0);
	return r < 0 ? r : cat_meta_set(txn, name, value);
}

static void *write_for_ever(void *arg)
{
	struct writer *w = arg;
	for (w->step = 1;; w->step++) {
		struct report report = { w->no, w->step };
		if (cat_write(w->cat, write_step, w, NULL) ||
		    write(w->pipe, &report, sizeof report) != sizeof report)
			_exit(1);
	}
	return NULL;
}

static int put_pack(struct cat_txn *txn, void *arg, struct error *err)
{
	struct pack_row row = { .no = 1, .bytes = 1000000 };
	(void)arg, (void)err;
	return pack_row_put(txn, &row);
}

static void run_child(const char *dir, int flags, int to)
{
	struct writer writers[WRITERS];
	pthread_t thread;
	struct cat_txn *txn;
	struct catalog *cat = open_or_bail(dir, flags);
	if (cat_write(cat, put_pack, NULL, NULL) || cat_begin(cat, &txn, NULL)) /* a reader dies with it too */
		_exit(1);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ cat, i, 0, to };
		if (pthread_create(&thread, NULL, write_for_ever, &writers[i]))
			_exit(1);
	}
	for (;;)
		pause();
}

/* Runs a child until it has reported `reports` steps, kills it, and fills in the last one of each writer. */
static void kill_in_mid_writes(const char *dir, unsigned reports, unsigned ret_last[WRITERS])
{
	int ends[2];
	struct report report;
	if (pipe(ends))
		bail("pipe");
	pid_t child = fork();
	if (child == 0)
		run_child(dir, CAT_CREATE, ends[1]);
	close(ends[1]);
	for (unsigned n = 0; read(ends[0], &report, sizeof report) == sizeof report; n++) {
		ret_last[report.writer] = report.step;
		if (n == reports)
			kill(child, SIGKILL);
	}
	close(ends[0]);
	waitpid(child, NULL, 0);
}

static unsigned last_of(struct cat_txn *txn, unsigned writer)
{
	char name[16], value[16];
	unsigned last = 0;
	snprintf(name, sizeof name, "last-%u", writer);
	if (cat_meta_get(txn, name, value, sizeof value) == 0)
		sscanf(value, "%u", &last);
	return last;
}

/* Steps 1 … last are there, each whole, and nothing else. */
static bool is_whole(struct cat_txn *txn, unsigned writer, unsigned last)
{
	struct shelf shelf = { 1, writer, TYPE_CUSTOM, false };
	struct image image;
	struct object_row row;
	struct hash hash;
	uint64_t count;
	char name[32];
	for (unsigned i = 1; i <= last; i++) {
		snprintf(name, sizeof name, "image %u", i);
		if (image_find(txn, &shelf, name, &image))
			return false;
		hash_of(&image.node, sizeof image.node, &hash);
		if (object_get(txn, 1, &hash, &row) || row.place.offset != i)
			return false;
	}
	return image_count(txn, &shelf, &count) == 0 && count == last;
}

static void test_kill(void)
{
	char dir[300];
	struct cat_txn *txn = NULL;
	unsigned acknowledged[WRITERS] = { 0 };
	uint64_t all = 0, bytes, live, packs, objects;
	kill_in_mid_writes(folder("killed", dir), 200, acknowledged);
	struct catalog *cat = open_or_bail(dir, 0);
	ok(cat_begin(cat, &txn, NULL) == 0, "opened again after a kill");
	for (unsigned i = 0; i < WRITERS; i++) {
		unsigned last = last_of(txn, i);
		ok(last >= acknowledged[i] && last <= acknowledged[i] + 1, "writer %u: %u acknowledged, %u there", i,
		   acknowledged[i], last);
		ok(is_whole(txn, i, last), "all of them whole");
		all += last;
	}
	is_int(cat_counter_get(txn, COUNTER_NODE), all, "the counter is where the rows are");
	ok(pack_totals(txn, &bytes, &live, &packs, &objects) == 0 && objects == all && live == 10 * all,
	   "and the totals too");
	cat_end(&txn);
	catalog_close(cat);
}

/* ---- opening ---- */

static int to_format(struct cat_txn *txn, void *arg, struct error *err)
{
	struct key k;
	struct record r;
	(void)err;
	record_start(&r, 1);
	record_u32(&r, *(const uint32_t *)arg);
	return db_put(txn, DB_META, key_of_text(&k, "f"), &r);
}

static void refuses(const char *dir, int flags, int code, const char *what)
{
	struct catalog *cat = NULL;
	struct error err = { .code = 0 };
	is_int(catalog_open(&cat, dir, flags, &err), code, "%s", what);
	ok(err.code == code && err.text[0], "with a sentence: %s", err.text);
	if (cat)
		catalog_close(cat);
}

static void test_open(void)
{
	char dir[300], path[320];
	struct error err = { .code = 7 };
	uint32_t first = 1, newer = CATALOG_FORMAT + 1;
	struct catalog *cat = NULL;
	struct stat st;
	refuses(folder("absent", dir), 0, -ENOENT, "a folder that is not there is refused");
	folder("open", dir);
	is_int(catalog_open(&cat, dir, CAT_CREATE, &err), 0, "a catalog is made");
	is_int(err.code, 7, "the error is left alone");
	refuses(dir, 0, -EBUSY, "it cannot be opened twice");
	refuses(dir, CAT_CREATE, -EBUSY, "nor made again while it is open");
	catalog_close(cat);
	refuses(dir, CAT_CREATE, -EEXIST, "nor made again at all");
	cat = open_or_bail(dir, 0);
	is_int(cat_write(cat, to_format, &first, NULL), 0, "it is made one of format 1");
	catalog_close(cat);
	refuses(dir, CAT_READONLY, -EROFS, "which is not brought up by reading");
	cat = open_or_bail(dir, 0);
	is_int(catalog_came_with(cat), 1, "opened, it was of format 1");
	catalog_close(cat);
	cat = open_or_bail(dir, CAT_READONLY);
	is_int(catalog_came_with(cat), CATALOG_FORMAT, "and is of this one");
	catalog_close(cat);
	cat = open_or_bail(dir, 0);
	is_int(cat_write(cat, to_format, &newer, NULL), 0, "a newer version writes");
	catalog_close(cat);
	refuses(dir, 0, ERR_NEWER, "what a newer version wrote is refused");
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "nobody else may read it");
	AUTO_FD int fd = open(path, O_WRONLY);
	ok(fd >= 0 && pwrite(fd, "garbage!", 8, 16) == 8 && pwrite(fd, "garbage!", 8, 4096 + 16) == 8, "both heads are overwritten");
	refuses(dir, 0, ERR_DAMAGED, "damage is told");
}

/* A map as large as there is address space for; sanitizers have used it up already, then there is nothing to try. */
static void test_little_address_space(void)
{
	char dir[300];
	struct rlimit limit, low;
	struct cat_stat stat;
	if (getrlimit(RLIMIT_AS, &limit))
		bail("getrlimit");
	low = limit;
	low.rlim_cur = 30ull << 30;
	setrlimit(RLIMIT_AS, &low);
	void *trial = mmap(NULL, 20ull << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (trial != MAP_FAILED) {
		munmap(trial, 20ull << 30);
		struct catalog *cat = open_or_bail(folder("little", dir), CAT_CREATE);
		cat_stat(cat, &stat);
		is_int(stat.map_size, 16ll << 30, "with little address space the map is smaller");
		catalog_close(cat);
	}
	setrlimit(RLIMIT_AS, &limit);
}

static int set_property(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return cat_meta_set(txn, "uuid", arg);
}

static void test_readonly(void)
{
	char dir[300], value[40];
	char text[] = "one";
	struct cat_txn *txn = NULL;
	struct error err = { .code = 0 };
	struct catalog *cat = open_or_bail(folder("readonly", dir), CAT_CREATE);
	is_int(cat_write(cat, set_property, text, NULL), 0, "a property is written");
	catalog_close(cat);
	cat = open_or_bail(dir, CAT_READONLY);
	ok(cat_begin(cat, &txn, NULL) == 0 && cat_meta_get(txn, "uuid", value, sizeof value) == 0, "it is read");
	is_str(value, "one", "as it was");
	cat_end(&txn);
	is_int(cat_write(cat, set_property, text, &err), -EROFS, "nothing can be written");
	ok(err.code == -EROFS && err.text[0], "with a sentence: %s", err.text);
	catalog_close(cat);
}

/* ---- counters, properties ---- */

static int count_and_fail(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)arg;
	cat_next(txn, COUNTER_DISK);
	return fail(err, -EPERM, "No.");
}

static int count_twice(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	uint64_t *first = arg;
	*first = cat_next(txn, COUNTER_DISK);
	is_int(cat_next(txn, COUNTER_DISK), *first + 1, "numbers follow each other");
	is_int(cat_next(txn, COUNTER_REGION), 1, "each counter counts alone");
	is_int(cat_counter_raise(txn, COUNTER_CONN, 10), 0, "one is raised");
	is_int(cat_counter_raise(txn, COUNTER_CONN, 5), 0, "to less than it is");
	is_int(cat_next(txn, COUNTER_CONN), 11, "which changes nothing");
	return 0;
}

static int properties(struct cat_txn *txn, void *arg, struct error *err)
{
	char value[8];
	(void)arg, (void)err;
	is_int(cat_meta_get(txn, "name", value, sizeof value), -ENOENT, "a property that was never set");
	is_int(cat_meta_set(txn, "name", "1234567"), 0, "one is set");
	is_int(cat_meta_get(txn, "name", value, 8), 0, "and read");
	is_str(value, "1234567", "as it was");
	is_int(cat_meta_get(txn, "name", value, 7), -ERANGE, "its NUL must fit too");
	is_int(cat_meta_set(txn, "name", ""), 0, "it may be empty");
	is_int(cat_meta_get(txn, "name", value, 1), 0, "and read");
	is_str(value, "", "empty");
	return 0;
}

static int positive(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)arg, (void)err;
	cat_next(txn, COUNTER_DOMAIN);
	return 5;
}

static int write_within(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)txn;
	return cat_write(arg, count_and_fail, NULL, err);
}

static int damaged_counter(struct cat_txn *txn, void *arg, struct error *err)
{
	struct key k;
	struct record r;
	(void)arg, (void)err;
	key_start(&k);
	key_u8(&k, 'c');
	key_u8(&k, COUNTER_PACK);
	record_start(&r, 1);
	if (db_put(txn, DB_META, &k, &r))
		return -EIO;
	cat_next(txn, COUNTER_PACK);
	return 0;
}

static void test_counters(void)
{
	char dir[300];
	struct error err = { .code = 0 };
	struct cat_txn *txn = NULL;
	uint64_t first = 0;
	struct catalog *cat = open_or_bail(folder("counters", dir), CAT_CREATE);
	is_int(cat_write(cat, count_and_fail, NULL, &err), -EPERM, "a function fails");
	is_str(err.text, "No.", "with its own sentence");
	is_int(cat_write(cat, count_twice, &first, NULL), 0, "another one does not");
	is_int(first, 1, "and counts from 1: the first one's was undone");
	is_int(cat_write(cat, properties, NULL, NULL), 0, "properties");
	is_int(cat_write(cat, positive, NULL, NULL), 5, "a positive result is handed on");
	is_int(cat_write(cat, write_within, cat, &err), -EDEADLK, "a write within a write is refused");
	is_int(cat_write(cat, damaged_counter, NULL, &err), ERR_DAMAGED, "numbers do not come from a damaged counter");
	ok(err.code == ERR_DAMAGED && err.text[0], "with a sentence: %s", err.text);
	catalog_close(cat);
	cat = open_or_bail(dir, 0);
	ok(cat_begin(cat, &txn, NULL) == 0, "opened again");
	is_int(cat_counter_get(txn, COUNTER_DISK), 2, "the counter stays");
	is_int(cat_counter_get(txn, COUNTER_DOMAIN), 0, "what a positive result undid too");
	is_int(cat_counter_get(txn, COUNTER_PACK), 0, "nothing is left of what failed silently");
	cat_end(&txn);
	cat_end(&txn); /* NULL inside is allowed */
	catalog_close(cat);
}

/* ---- read transactions, copies, two at a time ---- */

#define READERS 100

static void test_readers(void)
{
	char dir[300], value[8], one[] = "one", two[] = "two";
	struct cat_txn *old[READERS], *txn = NULL;
	struct catalog *cat = open_or_bail(folder("readers", dir), CAT_CREATE);
	bool good = cat_write(cat, set_property, one, NULL) == 0;
	for (unsigned i = 0; i < READERS; i++)
		good = good && cat_begin(cat, &old[i], NULL) == 0;
	good = good && cat_write(cat, set_property, two, NULL) == 0;
	ok(good, "%d readers and a writer", READERS);
	for (unsigned i = 0; i < READERS; i++) {
		good = good && cat_meta_get(old[i], "uuid", value, sizeof value) == 0 && !strcmp(value, "one");
		cat_end(&old[i]);
	}
	ok(good, "readers see what was there when they began");
	for (unsigned i = 0; i < READERS; i++) {
		good = good && cat_begin(cat, &txn, NULL) == 0 &&
		       cat_meta_get(txn, "uuid", value, sizeof value) == 0 && !strcmp(value, "two");
		cat_end(&txn);
	}
	ok(good, "those that begin later see what was written");
	catalog_close(cat);
}

static void expect_property(struct catalog *cat, const char *want)
{
	struct cat_txn *txn = NULL;
	char value[40] = "";
	ok(cat_begin(cat, &txn, NULL) == 0 && cat_meta_get(txn, "uuid", value, sizeof value) == 0, "read");
	is_str(value, want, "each catalog has its own");
	cat_end(&txn);
}

static int grow_some(struct cat_txn *txn, void *arg, struct error *err)
{
	unsigned step = *(unsigned *)arg;
	int r = 0;
	(void)err;
	for (unsigned i = 0; r == 0 && i < 500; i++) {
		struct image image = { .node = cat_next(txn, COUNTER_NODE), .shelf = { 1, step + 1, TYPE_CUSTOM, false } };
		snprintf(image.name, sizeof image.name, "image %u", i);
		r = image_put(txn, &image);
	}
	return r;
}

/* On a full disk one must be able to delete, and that takes pages before it gives any back. */
static void test_reserve(void)
{
	char dir[300], path[320];
	struct cat_stat numbers;
	struct stat st;
	struct catalog *cat = open_or_bail(folder("reserve", dir), CAT_CREATE);
	bool enough = true;
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	for (unsigned step = 0; step < 10; step++) {
		enough &= cat_write(cat, grow_some, &step, NULL) == 0 && stat(path, &st) == 0;
		cat_stat(cat, &numbers);
		enough &= (uint64_t)st.st_blocks * 512 >= numbers.used_bytes * 3 / 2;
	}
	ok(enough, "it has space for half as many pages again (%llu, %llu)", (unsigned long long)numbers.used_bytes,
	   (unsigned long long)st.st_blocks * 512);
	ok((uint64_t)st.st_size < numbers.used_bytes + 65536, "which are no part of the file yet");
	catalog_close(cat);
}

static void test_two_and_copy(void)
{
	char dir[300], path[320], one[] = "one", two[] = "two";
	struct cat_stat stat;
	struct error err = { .code = 0 };
	struct catalog *a = open_or_bail(folder("two-a", dir), CAT_CREATE);
	struct catalog *b = open_or_bail(folder("two-b", dir), CAT_CREATE);
	is_int(cat_write(a, set_property, one, NULL), 0, "one is written");
	is_int(cat_write(b, set_property, two, NULL), 0, "the other one too");
	expect_property(a, "one");
	expect_property(b, "two");
	cat_stat(a, &stat);
	ok(stat.commits == 1 && stat.commit_requests == 1 && stat.used_bytes > 8192 && stat.map_size >= 4ull << 30,
	   "its numbers: a map of %d GiB", (int)(stat.map_size >> 30));
	if (mkdir(folder("copy", dir), 0700))
		bail("mkdir");
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	AUTO_FD int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	is_int(catalog_copy(a, fd, &err), 0, "a copy is made");
	AUTO_FD int closed = open("/dev/full", O_WRONLY);
	is_int(catalog_copy(a, closed, &err), -ENOSPC, "where there is no room it fails");
	ok(err.code == -ENOSPC && err.text[0], "with a sentence: %s", err.text);
	struct catalog *copy = open_or_bail(dir, 0);
	expect_property(copy, "one");
	catalog_close(copy);
	catalog_close(a);
	expect_property(b, "two");
	catalog_close(b);
	catalog_close(NULL);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_kill(); /* first: it forks, and there must be no other threads */
	test_open();
	test_little_address_space();
	test_readonly();
	test_counters();
	test_readers();
	test_reserve();
	test_two_and_copy();
	return done_testing();
}
