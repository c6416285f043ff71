/* SPDX-License-Identifier: Apache-2.0 */
/* cat_write: writers share commits, and one that fails does not disturb the others. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "catalog/db.h"
#include "catalog/image.h"
#include "tap.h"

#define THREADS 8
#define LARGE 4000 /* settings: 8 MB */

static struct catalog *cat;

static char *folder(const char *name, char ret[300])
{
	snprintf(ret, 300, "%s/%s", test_folder(), name);
	return ret;
}

/* ---- everybody in one commit: the first writer waits until the others are queued ---- */

struct member {
	struct catalog *cat;
	uint64_t node;   /* settings of which it writes */
	unsigned settings;
	int fails;       /* after it wrote them */
	int result;
	unsigned runs;
	struct error err;
};

static uint64_t requests(struct catalog *c)
{
	struct cat_stat s;
	cat_stat(c, &s);
	return s.commit_requests;
}

static uint64_t commits(struct catalog *c)
{
	struct cat_stat s;
	cat_stat(c, &s);
	return s.commits;
}

struct gate {
	struct catalog *cat;
	uint64_t until; /* so many requests */
};

static int wait_at_gate(struct cat_txn *txn, void *arg, struct error *err)
{
	struct gate *gate = arg;
	(void)txn, (void)err;
	while (requests(gate->cat) < gate->until)
		usleep(200);
	return 0;
}

static void *gate_thread(void *arg)
{
	struct gate *gate = arg;
	return cat_write(gate->cat, wait_at_gate, gate, NULL) ? arg : NULL;
}

static int write_member(struct cat_txn *txn, void *arg, struct error *err)
{
	struct member *m = arg;
	char text[1800];
	memset(text, 'a' + (int)(m->node % 26), sizeof text);
	m->runs++;
	cat_next(txn, COUNTER_NODE);
	for (unsigned i = 0; i < m->settings; i++) {
		int r = setting_put(txn, m->node + (i / 255) * 1000, (uint8_t)(1 + i % 255), text, sizeof text);
		if (r)
			return r;
	}
	return m->fails ? fail(err, m->fails, "Member %d fails.", (int)m->node) : 0;
}

static void *member_thread(void *arg)
{
	struct member *m = arg;
	m->result = cat_write(m->cat, write_member, m, &m->err);
	return NULL;
}

/* Runs the members so that they share one commit. */
static void together(struct catalog *c, struct member *members, unsigned n)
{
	pthread_t gate, threads[THREADS];
	struct gate g = { c, requests(c) + n + 1 };
	uint64_t before = requests(c);
	pthread_create(&gate, NULL, gate_thread, &g);
	while (requests(c) == before) /* when it is counted it leads */
		usleep(100);
	for (unsigned i = 0; i < n; i++) {
		members[i].cat = c;
		pthread_create(&threads[i], NULL, member_thread, &members[i]);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	pthread_join(gate, NULL);
}

static unsigned settings_of(struct catalog *c, uint64_t node, unsigned n)
{
	struct cat_txn *txn = NULL;
	unsigned found = 0, len;
	char text[1800];
	if (cat_begin(c, &txn, NULL))
		return 0;
	for (unsigned i = 0; i < n; i++)
		found += setting_get(txn, node + (i / 255) * 1000, (uint8_t)(1 + i % 255), text, sizeof text, &len) == 0 &&
			 len == sizeof text && text[0] == 'a' + (int)(node % 26) && text[1799] == text[0];
	cat_end(&txn);
	return found;
}

static uint64_t counted(struct catalog *c)
{
	struct cat_txn *txn = NULL;
	if (cat_begin(c, &txn, NULL))
		return 0;
	uint64_t n = cat_counter_get(txn, COUNTER_NODE);
	cat_end(&txn);
	return n;
}

static void test_shared(void)
{
	struct member m[THREADS];
	uint64_t before = commits(cat), number = counted(cat);
	memset(m, 0, sizeof m);
	for (unsigned i = 0; i < THREADS; i++)
		m[i] = (struct member){ .node = i + 1, .settings = 20 + i, .fails = i % 3 == 1 ? -EPERM - (int)i : 0 };
	together(cat, m, THREADS);
	is_int(commits(cat) - before, 2, "%d writers shared one commit (and one had its own)", THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		char want[40];
		snprintf(want, sizeof want, "Member %u fails.", i + 1);
		is_int(m[i].result, m[i].fails, "writer %u has its own result", i);
		is_str(m[i].err.text, m[i].fails ? want : "", "and its own sentence");
		is_int(settings_of(cat, i + 1, 20 + i), m[i].fails ? 0 : 20 + i, "and all of its changes or none");
		is_int(m[i].runs, 1, "and ran once");
	}
	is_int(counted(cat) - number, 5, "a number was given to each that succeeded");
}

/* ---- no room ---- */

static void test_map_full(void)
{
	char dir[300];
	struct catalog *small = NULL;
	struct error err;
	if (db_open(&small, folder("small", dir), CAT_CREATE, 2 << 20, &err))
		bail("%s", err.text);
	struct member alone = { .cat = small, .node = 1, .settings = LARGE };
	member_thread(&alone);
	is_int(alone.result, -ENOSPC, "what does not fit into the map fails");
	ok(alone.err.code == -ENOSPC && alone.err.text[0], "with a sentence: %s", alone.err.text);
	struct member m[3] = { { .node = 2, .settings = 3 }, { .node = 3, .settings = LARGE }, { .node = 4, .settings = 3 } };
	together(small, m, 3);
	is_int(m[1].result, -ENOSPC, "in company too");
	is_int(m[1].runs, 2, "after it had a second try on its own");
	ok(m[0].result == 0 && m[2].result == 0, "which does not disturb the others");
	is_int(settings_of(small, 2, 3) + settings_of(small, 4, 3), 6, "their changes are there");
	is_int(settings_of(small, 3, LARGE), 0, "and none of its");
	catalog_close(small);
}

/* The disk takes no more than there is: nobody's changes are kept, and everybody is told. */
static void test_disk_full(void)
{
	char dir[300], path[320];
	struct stat st;
	struct rlimit limit, low;
	struct error err;
	struct catalog *c = NULL;
	if (catalog_open(&c, folder("full", dir), CAT_CREATE, &err))
		bail("%s", err.text);
	struct member m[3] = { { .node = 2, .settings = 200 }, { .node = 3, .settings = 200 },
			       { .node = 4, .settings = 1, .fails = -EPERM } };
	struct member before = { .cat = c, .node = 1, .settings = 10 };
	member_thread(&before);
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	if (stat(path, &st) || getrlimit(RLIMIT_FSIZE, &limit))
		bail("stat");
	low = limit;
	low.rlim_cur = (rlim_t)st.st_size;
	setrlimit(RLIMIT_FSIZE, &low);
	together(c, m, 3);
	setrlimit(RLIMIT_FSIZE, &limit);
	ok(m[0].result < 0 && m[0].result == m[1].result, "a commit that fails fails everybody in it: %s", m[0].err.text);
	ok(m[0].err.code == m[0].result && m[1].err.code == m[1].result, "with a sentence each");
	is_int(m[2].result, -EPERM, "but those that had failed already");
	is_int(settings_of(c, 2, 200) + settings_of(c, 3, 200), 0, "nothing of it is there");
	is_int(settings_of(c, 1, 10), 10, "and what was there before is");
	member_thread(&m[0]);
	is_int(m[0].result, 0, "with room again it works");
	is_int(settings_of(c, 2, 200), 200, "and is there");
	catalog_close(c);
}

/* ---- all at random ---- */

#define ROUNDS 40
#define SETTINGS 200

struct thread {
	uint64_t node, random;
	int model[SETTINGS + 1], before[SETTINGS + 1];
	bool give_up, good;
};

static int change_some(struct cat_txn *txn, void *arg, struct error *err)
{
	struct thread *t = arg;
	(void)err;
	char text[900];
	memcpy(t->model, t->before, sizeof t->model); /* it may be run again */
	for (unsigned n = 1 + (unsigned)(test_random(&t->random) % 60); n; n--) {
		unsigned key = 1 + (unsigned)(test_random(&t->random) % SETTINGS);
		int value = (int)(test_random(&t->random) % 3) * (int)(1 + test_random(&t->random) % 800);
		int r = value ? setting_put(txn, t->node, (uint8_t)key, memset(text, 'x', sizeof text), (unsigned)value / 2)
			      : setting_remove(txn, t->node, (uint8_t)key);
		if (r && (value || r != -ENOENT))
			return r;
		if (value == 0 && (r == 0) != (t->model[key] != 0))
			t->good = false;
		t->model[key] = value;
	}
	return t->give_up ? -ECANCELED : 0;
}

static void *change_at_random(void *arg)
{
	struct thread *t = arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		memcpy(t->before, t->model, sizeof t->model);
		t->give_up = test_random(&t->random) % 4 == 0;
		int r = cat_write(cat, change_some, t, NULL);
		if (r != (t->give_up ? -ECANCELED : 0))
			t->good = false;
		if (r)
			memcpy(t->model, t->before, sizeof t->model);
	}
	return NULL;
}

static bool thread_agrees(const struct thread *t)
{
	struct cat_txn *txn = NULL;
	char text[900];
	bool good = cat_begin(cat, &txn, NULL) == 0;
	for (unsigned key = 1; good && key <= SETTINGS; key++) {
		unsigned len = 0;
		int r = setting_get(txn, t->node, (uint8_t)key, text, sizeof text, &len);
		good = t->model[key] ? r == 0 && len == (unsigned)t->model[key] / 2 : r == -ENOENT;
	}
	cat_end(&txn);
	return good;
}

static void test_random_writers(void)
{
	static struct thread threads[THREADS];
	pthread_t ids[THREADS];
	uint64_t seed = test_seed(), asked = requests(cat), made = commits(cat);
	for (unsigned i = 0; i < THREADS; i++) {
		threads[i].node = 100 + i;
		threads[i].random = seed + i;
		threads[i].good = true;
		pthread_create(&ids[i], NULL, change_at_random, &threads[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	for (unsigned i = 0; i < THREADS; i++)
		ok(threads[i].good && thread_agrees(&threads[i]), "what writer %u wrote agrees with its model", i);
	asked = requests(cat) - asked;
	made = commits(cat) - made;
	is_int(asked, THREADS * ROUNDS, "each write was a request");
	ok(made < asked, "%d requests took %d commits", (int)asked, (int)made);
}

/* ---- the disk refuses the meta page, which is all that lies below 8 KiB */

static _Atomic int refusals; /* so many more of such writes fail */

static bool is_refused(size_t len, off_t offset)
{
	if (offset >= 8192 || len >= 4096 || refusals == 0)
		return false;
	refusals--;
	errno = EIO;
	return true;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	return is_refused(len, offset) ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, data, len, offset);
}

/* With 64 bits of offset, the other one is called pwrite64: LMDB may have been built for either. */
ssize_t narrow_pwrite(int fd, const void *data, size_t len, off_t offset) __asm__("pwrite");
ssize_t narrow_pwrite(int fd, const void *data, size_t len, off_t offset) { return pwrite(fd, data, len, offset); }

static void count_broken(void *ctx) { ++*(unsigned *)ctx; }

static int set_marker(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	return cat_meta_set(txn, "marker", arg);
}

static void test_meta_refused(void)
{
	char dir[300], before[] = "before", during[] = "during", after[] = "after", found[20] = "";
	struct catalog *c;
	struct cat_txn *txn;
	struct error err;
	unsigned told = 0;
	if (catalog_open(&c, folder("refused", dir), CAT_CREATE, &err))
		bail("%s", err.text);
	catalog_on_broken(c, count_broken, &told);
	is_int(cat_write(c, set_marker, before, &err), 0, "a write");
	refusals = 1;
	is_int(cat_write(c, set_marker, during, &err), -EIO, "one whose meta page is refused");
	is_int(refusals, 0, "as it was");
	ok(cat_write(c, set_marker, after, &err) < 0 && cat_write(c, set_marker, after, &err) < 0, "none is taken after that");
	ok(cat_begin(c, &txn, &err) < 0, "nor can it be read");
	is_int(told, 3, "which is told each time");
	catalog_close(c);
	if (catalog_open(&c, dir, 0, &err))
		bail("%s", err.text);
	is_int(cat_begin(c, &txn, NULL) || cat_meta_get(txn, "marker", found, sizeof found), 0, "opened anew");
	cat_end(&txn);
	is_str(found, "before", "it is what it was before");
	is_int(cat_write(c, set_marker, after, &err), 0, "and is written again");
	catalog_close(c);
}

/* A compact copy counts every page: it fails when one was lost by a transaction that was undone. */
static void test_no_page_lost(void)
{
	struct error err = { .text = "" };
	AUTO_FD int fd = open("/dev/null", O_WRONLY);
	ok(catalog_copy(cat, fd, &err) == 0, "no page was lost %s", err.text);
}

int main(void)
{
	char dir[300];
	struct error err;
	signal(SIGXFSZ, SIG_IGN);
	if (catalog_open(&cat, folder("main", dir), CAT_CREATE, &err))
		bail("%s", err.text);
	test_shared();
	test_random_writers();
	test_no_page_lost();
	test_map_full();
	test_disk_full();
	test_meta_refused();
	catalog_close(cat);
	return done_testing();
}
