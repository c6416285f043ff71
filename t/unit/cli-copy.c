/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/copy.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "tap.h"

#define SIZE (5u << 20)
#define GRAIN 65536u

static volatile sig_atomic_t stop;

static int temporary(void)
{
	char path[400];
	static unsigned count;
	snprintf(path, sizeof path, "%s/f%u", test_folder(), count++);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		bail("no temporary file");
	return fd;
}

static struct copy copy_between(int in, int out, struct progress *progress)
{
	progress_begin(progress, "x", PROGRESS_BYTES);
	return (struct copy){ .in = in, .out = out, .in_name = "in", .out_name = "out", .progress = progress, .stop = &stop };
}

/* A disk of data, zeros and holes, of an odd size; its bytes in ret. */
static int make_disk(uint64_t *seed, char *ret)
{
	int fd = temporary();
	memset(ret, 0, SIZE);
	for (unsigned at = 0; at < SIZE; at += GRAIN) {
		unsigned kind = (unsigned)(test_random(seed) % 3);
		unsigned n = SIZE - at < GRAIN ? SIZE - at : GRAIN;
		if (kind == 0)
			continue; /* a hole */
		for (unsigned i = 0; kind == 1 && i < n; i++)
			ret[at + i] = (char)test_random(seed);
		if (io_pwrite(fd, ret + at, n, at))
			bail("cannot write");
	}
	if (ftruncate(fd, SIZE - 7))
		bail("cannot truncate");
	return fd;
}

static bool same(int fd, const char *want, size_t size)
{
	struct stat st;
	char *got = malloc(size);
	bool r = got && fstat(fd, &st) == 0 && (size_t)st.st_size == size && io_pread(fd, got, size, 0) == 0 &&
		 memcmp(got, want, size) == 0;
	free(got);
	return r;
}

static void test_file(void)
{
	uint64_t seed = test_seed();
	char *bytes = malloc(SIZE);
	for (int round = 0; round < 4; round++) {
		struct progress progress;
		struct hash want, got;
		struct stat st;
		int in = make_disk(&seed, bytes), out = temporary();
		struct copy c = copy_between(in, out, &progress);
		c.hasher = hasher_new();
		is_int(copy_sparse(&c, NULL), 0, "a sparse file is copied");
		ok(same(out, bytes, SIZE - 7), "byte for byte");
		is_int(c.size, SIZE - 7, "its size is told");
		hash_of(bytes, SIZE - 7, &want);
		hasher_end(c.hasher, &got);
		ok(hash_equal(&want, &got), "holes are hashed as zeros");
		ok(fstat(out, &st) == 0 && (uint64_t)st.st_blocks * 512 < SIZE * 3 / 4, "holes stay holes");
		ok(c.written < SIZE * 3 / 4, "and zeros are not written");
		hasher_free(c.hasher);
		close(in);
		close(out);
	}
	free(bytes);
}

struct feeder {
	int fd;
	const char *bytes;
};

/* In odd pieces, as a pipe delivers them. */
static void *feed(void *arg)
{
	struct feeder *f = arg;
	for (size_t at = 0; at < SIZE;) {
		size_t n = SIZE - at < 12345 ? SIZE - at : 12345;
		ssize_t m = write(f->fd, f->bytes + at, n);
		if (m <= 0)
			break;
		at += (size_t)m;
	}
	close(f->fd);
	return NULL;
}

static void test_pipe(void)
{
	uint64_t seed = test_seed();
	struct progress progress;
	char *bytes = malloc(SIZE);
	int pipes[2], out = temporary();
	pthread_t thread;
	close(make_disk(&seed, bytes));
	memset(bytes + SIZE - GRAIN, 0, GRAIN);
	if (pipe(pipes))
		bail("no pipe");
	struct feeder feeder = { pipes[1], bytes };
	pthread_create(&thread, NULL, feed, &feeder);
	struct copy c = copy_between(pipes[0], out, &progress);
	is_int(copy_sparse(&c, NULL), 0, "a pipe is copied");
	pthread_join(thread, NULL);
	ok(same(out, bytes, SIZE), "byte for byte, zeros at its end too");
	ok(c.written < SIZE, "its zeros become holes");
	close(pipes[0]);
	close(out);
	free(bytes);
}

static void test_errors(void)
{
	struct progress progress;
	struct error err = { 0 };
	uint64_t seed = test_seed();
	char *bytes = malloc(SIZE);
	int in = make_disk(&seed, bytes), full = open("/dev/full", O_WRONLY), only = open("/dev/null", O_WRONLY);
	struct copy c = copy_between(in, full, &progress);
	is_int(copy_sparse(&c, &err), -ENOSPC, "a full disk is an error");
	ok(c.out_failed, "of what was written to");
	c = copy_between(only, temporary(), &progress);
	ok(copy_sparse(&c, &err) < 0 && !c.out_failed, "what cannot be read is not: %s", err.text);
	stop = 1;
	c = copy_between(in, temporary(), &progress);
	is_int(copy_sparse(&c, &err), -EINTR, "an interruption ends it");
	stop = 0;
	free(bytes);
}

int main(void)
{
	test_file();
	test_pipe();
	test_errors();
	return done_testing();
}
