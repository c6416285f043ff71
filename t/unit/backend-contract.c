/* SPDX-License-Identifier: Apache-2.0 */
/* What backend.h promises, for every implementation. */
#include "backend/backend.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"
#include "tap.h"

#define FEW_FDS 4u

/* Another implementation: another row. open() of the same folder twice gives the same objects. */
struct kind {
	const char *name;
	int (*open)(struct backend **ret, const char *folder, struct error *err);
};

static int open_dir(struct backend **ret, const char *folder, struct error *err)
{
	return backend_open_dir(ret, folder, FEW_FDS, err);
}

static const struct kind kinds[] = { { "dir", open_dir } };

static const char *fresh_folder(void)
{
	static char path[4200];
	static int n;
	snprintf(path, sizeof path, "%s/pool%d", test_folder(), ++n);
	return path;
}

static struct backend *must_open(const struct kind *k, const char *folder)
{
	struct backend *b;
	struct error err;
	if (k->open(&b, folder, &err))
		bail("cannot open %s: %s", folder, err.text);
	return b;
}

/* Object `name` of `size` bytes, all `fill`. */
static int put(struct backend *b, const char *name, size_t size, int fill)
{
	int fd, r = b->ops->spool(b, &fd, NULL);
	if (r)
		return r;
	char *bytes = malloc(size + 1);
	memset(bytes, fill, size);
	r = io_pwrite(fd, bytes, size, 0);
	free(bytes);
	if (!r)
		r = b->ops->put(b, name, fd, size, NULL);
	close(fd);
	return r;
}

static bool holds(struct backend *b, const char *name, size_t size, int fill)
{
	uint64_t got = 0;
	char *bytes = malloc(size + 1);
	bytes[0] = (char)fill;
	bool same = b->ops->size(b, name, &got, NULL) == 0 && got == size &&
		    b->ops->read(b, name, bytes, size, 0, NULL) == 0 && bytes[0] == (char)fill &&
		    (size < 2 || memcmp(bytes, bytes + 1, size - 1) == 0);
	free(bytes);
	return same;
}

struct seen {
	int count, stop_at;
	uint64_t bytes;
	bool odd;
};

static int see(void *ctx, const char *name, uint64_t size)
{
	struct seen *s = ctx;
	s->count++;
	s->bytes += size;
	s->odd |= name[0] != 'o';
	return s->count == s->stop_at ? 77 : 0;
}

static void test_one_object(const struct kind *k)
{
	const char *folder = fresh_folder();
	struct backend *b = must_open(k, folder);
	struct error err = { .code = 5 };
	uint64_t size;
	char buf[100];

	is_int(b->ops->size(b, "one", &size, &err), -ENOENT, "size of none");
	is_int(err.code, -ENOENT, "and a sentence that says it: %s", err.text);
	is_int(b->ops->read(b, "one", buf, 1, 0, NULL), -ENOENT, "read of none");
	is_int(b->ops->remove(b, "one", NULL), -ENOENT, "remove of none");

	is_int(put(b, "one", 10000, 'a'), 0, "put");
	ok(holds(b, "one", 10000, 'a'), "it has its bytes");
	is_int(put(b, "one", 500, 'b'), -EEXIST, "a second put is refused");
	ok(holds(b, "one", 10000, 'a'), "and changes nothing");
	is_int(b->ops->read(b, "one", buf, 100, 9900, NULL), 0, "read up to the end");
	is_int(b->ops->read(b, "one", buf, 100, 9901, NULL), -ENODATA, "read over the end");
	is_int(b->ops->read(b, "one", buf, 1, 10000, NULL), -ENODATA, "read behind the end");

	b->ops->close(b);
	b = must_open(k, folder);
	ok(holds(b, "one", 10000, 'a'), "it is there after opening again");
	is_int(b->ops->remove(b, "one", NULL), 0, "remove");
	is_int(b->ops->read(b, "one", buf, 1, 0, NULL), -ENOENT, "a removed object cannot be read");
	is_int(b->ops->size(b, "one", &size, NULL), -ENOENT, "nor asked for its size");
	is_int(b->ops->remove(b, "one", NULL), -ENOENT, "nor removed again");
	is_int(put(b, "one", 300, 'c'), 0, "the name is free again");
	ok(holds(b, "one", 300, 'c'), "with new bytes");
	b->ops->close(b);
}

static void test_spool(const struct kind *k)
{
	struct backend *b = must_open(k, fresh_folder());
	struct seen seen = { 0 };
	int fd;
	ok(b->ops->spool(b, &fd, NULL) == 0 && io_pwrite(fd, "abcdef", 6, 0) == 0, "a spool can be written");
	is_int(b->ops->put(b, "o7", fd, 7, NULL), -EINVAL, "more than was written cannot be put");
	is_int(b->ops->put(b, "o4", fd, 4, NULL), 0, "less can");
	close(fd);
	uint64_t size = 0;
	is_int(b->ops->size(b, "o4", &size, NULL), 0, "it is there");
	is_int(size, 4, "and as long as was said");
	is_int(put(b, "o0", 0, 0), 0, "an empty object");
	ok(holds(b, "o0", 0, 0), "is an object");

	ok(b->ops->spool(b, &fd, NULL) == 0, "another spool");
	ok(ftruncate(fd, (off_t)BACKEND_OBJECT_MAX + 1) == 0, "made too large");
	is_int(b->ops->put(b, "oo", fd, BACKEND_OBJECT_MAX + 1ull, NULL), -EFBIG, "is refused");
	is_int(put(b, "o4", 3, 'x'), -EEXIST, "a name that is taken");
	close(fd);
	is_int(b->ops->list(b, see, &seen, NULL), 0, "list");
	is_int(seen.count, 2, "spools that were closed left nothing");

	ok(b->ops->spool(b, &fd, NULL) == 0 && io_pwrite(fd, "again", 5, 0) == 0, "a spool");
	is_int(b->ops->put(b, "o4", fd, 5, NULL), -EEXIST, "put under a taken name");
	is_int(b->ops->put(b, "o5", fd, 5, NULL), 0, "can be put under another one then");
	close(fd);
	b->ops->close(b);
}

static void test_names(const struct kind *k)
{
	static const char *const bad[] = { "", ".", "..", "A", "a/b", "../a", "a_b", "a b", "\xc3\xa4",
		"12345678901234567890123456789012345678901234567890123456789012345" };
	static const char *const good[] = { "a", "-", "...", "x..", ".a", "0", "z.", "a.-",
		"1234567890123456789012345678901234567890123456789012345678901234" };
	struct backend *b = must_open(k, fresh_folder());
	char byte;
	uint64_t size;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ok(put(b, bad[i], 1, 'x') == -EINVAL && b->ops->read(b, bad[i], &byte, 1, 0, NULL) == -EINVAL &&
			   b->ops->size(b, bad[i], &size, NULL) == -EINVAL &&
			   b->ops->remove(b, bad[i], NULL) == -EINVAL,
		   "\"%s\" is no name", bad[i]);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		ok(put(b, good[i], 1 + i, 'x') == 0 && holds(b, good[i], 1 + i, 'x'), "\"%s\" is a name", good[i]);
	struct seen seen = { 0 };
	is_int(b->ops->list(b, see, &seen, NULL), 0, "list");
	is_int(seen.count, sizeof good / sizeof *good, "shows the good ones");
	b->ops->close(b);
}

static void test_list(const struct kind *k)
{
	struct backend *b = must_open(k, fresh_folder());
	struct seen seen = { 0 };
	is_int(b->ops->list(b, see, &seen, NULL), 0, "an empty backend");
	is_int(seen.count, 0, "lists nothing");
	for (int i = 0; i < 100; i++) {
		char name[20];
		snprintf(name, sizeof name, "o-%08x", i * 7);
		if (put(b, name, (size_t)i, 'x'))
			bail("cannot put %s", name);
	}
	is_int(b->ops->list(b, see, &seen, NULL), 0, "list");
	is_int(seen.count, 100, "shows each object once");
	is_int(seen.bytes, 99 * 100 / 2, "with its size");
	ok(!seen.odd, "by its name");
	seen = (struct seen){ .stop_at = 3 };
	is_int(b->ops->list(b, see, &seen, NULL), 77, "the walk ends with the caller's answer");
	is_int(seen.count, 3, "right then");
	uint64_t total = 0, free_bytes = 0;
	is_int(b->ops->space(b, &total, &free_bytes, NULL), 0, "space");
	ok(total > 0 && free_bytes <= total, "makes sense");
	b->ops->close(b);
}

/* --- several threads --- */

#define THREADS 8

struct race {
	struct backend *b;
	atomic_int won, wrong, gone, read, ready;
	atomic_bool stop;
};

static void start_all(pthread_t *threads, void *(*main)(void *), void *arg)
{
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, main, arg))
			bail("no threads");
}

static void join_all(pthread_t *threads)
{
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void *put_same(void *arg)
{
	struct race *r = arg;
	int answer = put(r->b, "same", 1000, 'x');
	if (answer == 0)
		r->won++;
	else if (answer != -EEXIST)
		r->wrong++;
	return NULL;
}

static void test_exclusive(const struct kind *k)
{
	struct race race = { .b = must_open(k, fresh_folder()) };
	pthread_t threads[THREADS];
	start_all(threads, put_same, &race);
	join_all(threads);
	is_int(race.won, 1, "of %d who put the same name one wins", THREADS);
	is_int(race.wrong, 0, "and the others are told so");
	race.b->ops->close(race.b);
}

#define OBJECTS 24

/* Object i is all bytes 'a' + i: also when it was removed and put again. */
static void *read_any(void *arg)
{
	struct race *r = arg;
	uint64_t state = (uint64_t)(uintptr_t)&state;
	char name[20], bytes[3000];
	r->ready++;
	while (!r->stop) {
		int i = (int)(test_random(&state) % OBJECTS);
		snprintf(name, sizeof name, "o%d", i);
		int answer = r->b->ops->read(r->b, name, bytes, sizeof bytes, test_random(&state) % 1000, NULL);
		if (answer == -ENOENT)
			r->gone++;
		else if (answer || bytes[0] != 'a' + i || memcmp(bytes, bytes + 1, sizeof bytes - 1))
			r->wrong++;
		else
			r->read++;
	}
	return NULL;
}

/* How many descriptors of regular files with a name below `folder` are open. */
static unsigned open_fds(const char *folder)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");
	for (struct dirent *e; d && (e = readdir(d));) {
		char target[4200];
		struct stat st;
		ssize_t len = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
		target[MAX(len, 0)] = 0;
		n += strncmp(target, folder, strlen(folder)) == 0 && fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
		     S_ISREG(st.st_mode);
	}
	closedir(d);
	return n;
}

static void test_readers(const struct kind *k)
{
	const char *folder = fresh_folder();
	struct race race = { .b = must_open(k, folder) };
	pthread_t threads[THREADS];
	char name[20];
	for (int i = 0; i < OBJECTS; i++) {
		snprintf(name, sizeof name, "o%d", i);
		if (put(race.b, name, 4000, 'a' + i))
			bail("cannot put %s", name);
	}
	start_all(threads, read_any, &race);
	while (race.ready < THREADS || race.read < 1000)
		usleep(1000);
	unsigned most = 0;
	int failed = 0;
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < OBJECTS; i++) {
			snprintf(name, sizeof name, "o%d", i);
			char byte;
			failed += race.b->ops->remove(race.b, name, NULL) != 0;
			failed += race.b->ops->read(race.b, name, &byte, 1, 0, NULL) != -ENOENT;
			failed += put(race.b, name, 4000, 'a' + i) != 0;
		}
		/* What the spool or a put has open for a moment is not in this thread now. */
		most = MAX(most, open_fds(folder));
	}
	race.stop = true;
	join_all(threads);
	is_int(failed, 0, "objects can be removed and put under %d readers", THREADS);
	is_int(race.wrong, 0, "who get all bytes of an object, or that there is none (%d, %d)", race.read, race.gone);
	ok(race.gone > 0 || race.read > 0, "and did read");
	ok(most <= FEW_FDS, "at most %u files are open, %u were seen", FEW_FDS, most);
	for (int i = 0; i < OBJECTS; i++) {
		snprintf(name, sizeof name, "o%d", i);
		failed += race.b->ops->remove(race.b, name, NULL) != 0;
	}
	is_int(failed, 0, "all removed");
	is_int(open_fds(folder), 0, "and none of them stays open: their space is free");
	race.b->ops->close(race.b);
}

static void test_dir_only(void)
{
	const char *folder = fresh_folder();
	struct backend *b;
	struct error err;
	struct stat st;
	char path[4300];
	is_int(backend_open_dir(&b, folder, 0, &err), 0, "a folder is made; no descriptors at all means one");
	ok(stat(folder, &st) == 0 && (st.st_mode & 07777) == 0700, "for nobody else to look into");
	is_int(put(b, "pack-000012ab", 5, 'x'), 0, "put");
	ok(holds(b, "pack-000012ab", 5, 'x'), "read");
	snprintf(path, sizeof path, "%s/ab/pack-000012ab", folder);
	ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600, "it is where it is said to be");
	snprintf(path, sizeof path, "%s/00/pack-000012ab", folder);
	ok(symlink("../ab/pack-000012ab", path) == 0, "something that is not ours");
	struct seen seen = { 0 };
	is_int(b->ops->list(b, see, &seen, NULL), 0, "list");
	is_int(seen.count, 1, "shows only what is ours");
	b->ops->close(b);
	snprintf(path, sizeof path, "%s/ab/pack-000012ab", folder);
	is_int(backend_open_dir(&b, path, 4, &err), -ENOTDIR, "a file is no folder: %s", err.text);
	snprintf(path, sizeof path, "%s/none/none", folder);
	is_int(backend_open_dir(&b, path, 4, &err), -ENOENT, "only the last folder is made: %s", err.text);
}

int main(void)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		diag("backend %s", kinds[i].name);
		test_one_object(&kinds[i]);
		test_spool(&kinds[i]);
		test_names(&kinds[i]);
		test_list(&kinds[i]);
		test_exclusive(&kinds[i]);
		test_readers(&kinds[i]);
	}
	test_dir_only();
	return done_testing();
}
