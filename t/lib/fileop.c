/* SPDX-License-Identifier: Apache-2.0 */
/* fileop: file operations that no common tool does, for test scripts.
 *
 *	fileop mmap-write FROM TO           TO gets FROM's bytes through a shared mapping; munmap, then close
 *	fileop mmap-write-late FROM TO      the same; closed before the mapping is written and undone
 *	fileop mmap-read FILE               FILE on stdout, through a mapping
 *	fileop direct-read FILE BLOCK       FILE on stdout, by O_DIRECT in blocks of BLOCK bytes
 *	fileop map FILE                     "BEGIN END" of its data (SEEK_DATA, SEEK_HOLE), rounded to 64 KiB and merged
 *	fileop copy FROM OFFSET TO OFFSET LENGTH
 *	                                    copy_file_range until LENGTH bytes are copied or FROM ends; says how many
 *	fileop copy-extents FROM TO         as cp from 9.2 on does: what SEEK_DATA finds, then the size; TO is new
 *	fileop copy-fuzz FROM TO MODEL SEED COUNT
 *	                                    COUNT random copies, writes and truncations, in TO by copy_file_range and
 *	                                    in MODEL by bytes; both are compared at random places all the time
 *	fileop hold TO OFFSET TEXT          writes TEXT, says "written" and closes when its stdin ends
 *	fileop write-threads TO BYTES       two threads write BYTES of noise, then it waits to be killed; says "written" first
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRAIN (UINT64_C(64) << 10)

static void die(const char *what)
{
	fprintf(stderr, "fileop: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_file(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0666);
	if (fd < 0)
		die(name);
	return fd;
}

static uint64_t size_of(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		die("fstat");
	return (uint64_t)st.st_size;
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 0);
}

static void write_out(const void *bytes, size_t length)
{
	if (fwrite(bytes, 1, length, stdout) != length)
		die("stdout");
}

static void *map_file(int fd, int protection)
{
	void *p = mmap(NULL, size_of(fd), protection, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static int mmap_write(char **args, int late)
{
	int from = open_file(args[0], O_RDONLY), to = open_file(args[1], O_RDWR | O_CREAT);
	uint64_t size = size_of(from);
	if (ftruncate(to, (off_t)size) < 0)
		die("ftruncate");
	void *source = map_file(from, PROT_READ), *target = map_file(to, PROT_READ | PROT_WRITE);
	if (late && close(to) < 0)
		die("close");
	memcpy(target, source, size);
	if (munmap(target, size) < 0)
		die("munmap");
	if (!late && close(to) < 0)
		die("close");
	return 0;
}

static int mmap_read(char **args)
{
	int fd = open_file(args[0], O_RDONLY);
	write_out(map_file(fd, PROT_READ), size_of(fd));
	return 0;
}

static int direct_read(char **args)
{
	int fd = open_file(args[0], O_RDONLY | O_DIRECT);
	size_t block = number(args[1]);
	char *buffer = aligned_alloc(4096, block);
	ssize_t n;
	while ((n = read(fd, buffer, block)) > 0)
		write_out(buffer, (size_t)n);
	if (n < 0)
		die("read");
	free(buffer);
	return 0;
}

static int print_map(char **args)
{
	int fd = open_file(args[0], O_RDONLY);
	uint64_t begin = 0, end = 0;
	off_t data, hole = 0;
	while ((data = lseek(fd, hole, SEEK_DATA)) >= 0) {
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			die("SEEK_HOLE");
		if (end && (uint64_t)data / GRAIN * GRAIN > end)
			printf("%" PRIu64 " %" PRIu64 "\n", begin, end);
		if (!end || (uint64_t)data / GRAIN * GRAIN > end)
			begin = (uint64_t)data / GRAIN * GRAIN;
		end = ((uint64_t)hole + GRAIN - 1) / GRAIN * GRAIN;
	}
	if (errno != ENXIO)
		die("SEEK_DATA");
	if (end)
		printf("%" PRIu64 " %" PRIu64 "\n", begin, end);
	return 0;
}

static uint64_t copy_range(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length)
{
	off_t in = (off_t)from_offset, out = (off_t)to_offset;
	uint64_t done = 0;
	ssize_t n;
	while (done < length && (n = copy_file_range(from, &in, to, &out, length - done, 0)) != 0) {
		if (n < 0)
			die("copy_file_range");
		done += (uint64_t)n;
	}
	return done;
}

static int copy(char **args)
{
	int from = open_file(args[0], O_RDONLY), to = open_file(args[2], O_RDWR | O_CREAT);
	printf("%" PRIu64 "\n", copy_range(from, number(args[1]), to, number(args[3]), number(args[4])));
	if (close(to) < 0)
		die("close");
	return 0;
}

/* ---- random operations against a model */

struct fuzz {
	int from, to, model;
	uint64_t from_size, limit, random;
};

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Often on the grain, or just beside it; at times 0. */
static uint64_t random_offset(struct fuzz *f, uint64_t below)
{
	uint64_t at = next_random(&f->random) % (below + 1);
	switch (next_random(&f->random) % 4) {
	case 0: return at / GRAIN * GRAIN;
	case 1: return at / GRAIN * GRAIN + (at > GRAIN ? next_random(&f->random) % 3 : 0);
	case 2: return at / 512 * 512;
	default: return at;
	}
}

static void write_fully(int fd, const char *bytes, uint64_t length, uint64_t offset)
{
	for (ssize_t n; length > 0; bytes += n, offset += (uint64_t)n, length -= (uint64_t)n)
		if ((n = pwrite(fd, bytes, length, (off_t)offset)) <= 0)
			die("pwrite");
}

static uint64_t read_fully(int fd, char *bytes, uint64_t length, uint64_t offset)
{
	uint64_t done = 0;
	for (ssize_t n; done < length && (n = pread(fd, bytes + done, length - done, (off_t)(offset + done))) != 0;
	     done += (uint64_t)n)
		if (n < 0)
			die("pread");
	return done;
}

static void fuzz_copy(struct fuzz *f)
{
	uint64_t from = random_offset(f, f->from_size), to = random_offset(f, f->limit - f->from_size);
	uint64_t length = random_offset(f, next_random(&f->random) % 4 ? GRAIN * 12 : f->from_size);
	if (next_random(&f->random) % 2) /* aligned to each other: shared, not read */
		to = to / GRAIN * GRAIN + from % GRAIN;
	char *bytes = malloc(length + 1);
	uint64_t want = read_fully(f->from, bytes, length, from);
	uint64_t done = copy_range(f->from, from, f->to, to, length);
	if (done != want) {
		fprintf(stderr, "fileop: copied %" PRIu64 " of %" PRIu64 " bytes\n", done, want);
		exit(1);
	}
	write_fully(f->model, bytes, done, to);
	free(bytes);
}

static void fuzz_write(struct fuzz *f)
{
	static char bytes[3 * GRAIN];
	uint64_t length = random_offset(f, sizeof bytes), to = random_offset(f, f->limit - length);
	memset(bytes, (int)(next_random(&f->random) % 4), length); /* zeros at times */
	write_fully(f->to, bytes, length, to);
	write_fully(f->model, bytes, length, to);
}

static void fuzz_truncate(struct fuzz *f)
{
	uint64_t size = random_offset(f, f->limit);
	if (ftruncate(f->to, (off_t)size) < 0 || ftruncate(f->model, (off_t)size) < 0)
		die("ftruncate");
}

static void compare(struct fuzz *f, uint64_t step)
{
	static char a[2 * GRAIN], b[2 * GRAIN];
	uint64_t size = size_of(f->model), at = random_offset(f, size), n = read_fully(f->model, b, sizeof b, at);
	if (size_of(f->to) != size || read_fully(f->to, a, sizeof a, at) != n || memcmp(a, b, n)) {
		fprintf(stderr, "fileop: after step %" PRIu64 " it differs from the model at %" PRIu64 " of %" PRIu64 "\n", step, at,
			size);
		exit(1);
	}
}

static int copy_fuzz(char **args)
{
	struct fuzz f = { open_file(args[0], O_RDONLY), open_file(args[1], O_RDWR | O_CREAT),
			  open_file(args[2], O_RDWR | O_CREAT | O_TRUNC), 0, 0, number(args[3]) };
	f.from_size = size_of(f.from);
	f.limit = 3 * f.from_size;
	for (uint64_t step = 0; step < number(args[4]); step++) {
		uint64_t choice = next_random(&f.random) % 16;
		choice == 0 ? fuzz_truncate(&f) : choice < 5 ? fuzz_write(&f) : fuzz_copy(&f);
		compare(&f, step);
	}
	uint64_t size = (size_of(f.model) + 511) / 512 * 512; /* others are no disks */
	if (ftruncate(f.to, (off_t)size) < 0 || ftruncate(f.model, (off_t)size) < 0 || close(f.to) < 0)
		die("the end");
	return 0;
}

/* ---- a writer with threads */

struct writing {
	int fd;
	uint64_t begin, end;
};

static void *write_part(void *arg)
{
	struct writing *w = arg;
	uint64_t random = w->begin + 1, block[512];
	for (uint64_t at = w->begin; at < w->end; at += sizeof block) {
		for (unsigned i = 0; i < 512; i++)
			block[i] = next_random(&random);
		write_fully(w->fd, (char *)block, sizeof block, at);
	}
	return NULL;
}

static void __attribute__((noreturn)) write_threads(char **args)
{
	int fd = open_file(args[0], O_RDWR | O_CREAT);
	uint64_t half = number(args[1]) / 2;
	struct writing parts[2] = { { fd, 0, half }, { fd, half, 2 * half } };
	pthread_t thread;
	if (pthread_create(&thread, NULL, write_part, &parts[1]))
		die("pthread_create");
	write_part(&parts[0]);
	puts("written");
	fflush(stdout);
	pthread_join(thread, NULL);
	for (;;)
		pause();
}

static int hold(char **args)
{
	int fd = open_file(args[0], O_RDWR | O_CREAT);
	char c;
	write_fully(fd, args[2], strlen(args[2]), number(args[1]));
	puts("written");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	if (close(fd) < 0)
		die("close");
	return 0;
}

static int copy_extents(char **args)
{
	int from = open_file(args[0], O_RDONLY), to = open_file(args[1], O_WRONLY | O_CREAT | O_EXCL);
	off_t size = (off_t)size_of(from), at = 0, end;
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		if ((end = lseek(from, at, SEEK_HOLE)) < 0)
			die("SEEK_HOLE");
		for (off_t in = at, out = at; at < end;) {
			ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(end - at), 0);
			if (n <= 0)
				die("copy_file_range");
			at += n;
		}
	}
	if (errno != ENXIO)
		die("SEEK_DATA");
	if (ftruncate(to, size) < 0 || close(to) < 0)
		die(args[1]);
	return 0;
}

static int wrong_usage(void)
{
	fprintf(stderr, "fileop: see the top of fileop.c for what it can do\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char **args = argv + 2;
	if (argc == 4 && strcmp(what, "mmap-write") == 0)
		return mmap_write(args, 0);
	if (argc == 4 && strcmp(what, "mmap-write-late") == 0)
		return mmap_write(args, 1);
	if (argc == 3 && strcmp(what, "mmap-read") == 0)
		return mmap_read(args);
	if (argc == 4 && strcmp(what, "direct-read") == 0)
		return direct_read(args);
	if (argc == 3 && strcmp(what, "map") == 0)
		return print_map(args);
	if (argc == 7 && strcmp(what, "copy") == 0)
		return copy(args);
	if (argc == 4 && strcmp(what, "copy-extents") == 0)
		return copy_extents(args);
	if (argc == 7 && strcmp(what, "copy-fuzz") == 0)
		return copy_fuzz(args);
	if (argc == 5 && strcmp(what, "hold") == 0)
		return hold(args);
	if (argc == 4 && strcmp(what, "write-threads") == 0)
		write_threads(args);
	return wrong_usage();
}
