/* SPDX-License-Identifier: Apache-2.0 */
/* fsx: random operations on a file, against a model in memory.
 *
 *	fsx [-s SEED] [-n OPERATIONS] [-m LIMIT] [-c SOURCE] FILE
 *
 * What FILE holds is the model's beginning. The file only grows, to at most LIMIT bytes, as the disk of a server
 * does. With -c ranges of SOURCE are copied into it by copy_file_range, otherwise ranges of itself. Every
 * operation is printed when something differs, and the seed always: the same seed does the same again.
 *
 * Reading, writing and both through mappings (shared; private ones must not reach the file), O_DIRECT, growing,
 * punching, zeroing, allocating, copying, seeking, fsync, and closing and opening again. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LENGTH_MAX (UINT64_C(300) << 10)
#define BLOCK UINT64_C(4096)
#define PAGE UINT64_C(4096)
#define LOG 40

struct fsx {
	const char *name, *source_name;
	int fd, direct, source;
	char *model, *source_bytes, *buffer;
	uint64_t size, limit, source_size, random, step;
	char log[LOG][96];
};

static void die(const char *what)
{
	fprintf(stderr, "fsx: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void say(struct fsx *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct fsx *f, const char *format, ...)
{
	va_list args;
	char *line = f->log[f->step % LOG];
	int n = snprintf(line, sizeof f->log[0], "%6" PRIu64 " ", f->step);
	va_start(args, format);
	vsnprintf(line + n, sizeof f->log[0] - (size_t)n, format, args);
	va_end(args);
}

static void __attribute__((noreturn)) differs(struct fsx *f, const char *what, uint64_t at)
{
	for (uint64_t step = f->step < LOG ? 0 : f->step - LOG + 1; step <= f->step; step++)
		fprintf(stderr, "%s\n", f->log[step % LOG]);
	fprintf(stderr, "fsx: %s differs from the model at %" PRIu64 " (0x%" PRIx64 ") of %" PRIu64 "\n", what, at, at, f->size);
	exit(1);
}

static void check(struct fsx *f, const char *what, const char *got, uint64_t offset, uint64_t length)
{
	for (uint64_t n = 0; n < length; n++)
		if (got[n] != f->model[offset + n])
			differs(f, what, offset + n);
}

static void must(struct fsx *f, const char *what, int failed)
{
	if (!failed)
		return;
	fprintf(stderr, "fsx: %s: %s\n", what, strerror(errno));
	differs(f, what, 0);
}

/* splitmix64 */
static uint64_t next_random(struct fsx *f)
{
	uint64_t z = (f->random += 0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t below(struct fsx *f, uint64_t n)
{
	return n ? next_random(f) % n : 0;
}

/* A range that ends by `end`: half of them on blocks, some near the edges of 64 KiB. */
static void pick(struct fsx *f, uint64_t end, uint64_t *ret_offset, uint64_t *ret_length)
{
	uint64_t grain = (uint64_t[]){ 1, BLOCK, 512, 65536 }[below(f, 4)];
	uint64_t offset = below(f, end) / grain * grain;
	uint64_t length = 1 + below(f, below(f, 3) ? 3 * BLOCK : LENGTH_MAX);
	if (grain == BLOCK || grain == 65536)
		length = (length + BLOCK - 1) / BLOCK * BLOCK;
	*ret_offset = offset;
	*ret_length = offset + length > end ? end - offset : length;
}

static void fill(struct fsx *f, char *bytes, uint64_t length)
{
	uint64_t kind = below(f, 8), word = next_random(f);
	for (uint64_t n = 0; n < length; n++)
		bytes[n] = kind == 0 ? 0 : kind == 1 ? (char)word : (char)((word = word * 6364136223846793005u + 1) >> 56);
}

static void grown_to(struct fsx *f, uint64_t end)
{
	if (end > f->size)
		f->size = end; /* the model is zero there */
}

/* ---- operations -------------------------------------------------------------------------------------------- */

static void do_read(struct fsx *f)
{
	uint64_t at, n;
	pick(f, f->size, &at, &n);
	say(f, "read %" PRIu64 "+%" PRIu64, at, n);
	for (uint64_t done = 0; done < n;) {
		ssize_t r = pread(f->fd, f->buffer + done, n - done, (off_t)(at + done));
		must(f, "read", r <= 0);
		done += (uint64_t)r;
	}
	check(f, "what was read", f->buffer, at, n);
}

static void write_at(struct fsx *f, int fd, uint64_t at, uint64_t n)
{
	for (uint64_t done = 0; done < n;) {
		ssize_t r = pwrite(fd, f->model + at + done, n - done, (off_t)(at + done));
		must(f, "write", r <= 0);
		done += (uint64_t)r;
	}
	grown_to(f, at + n);
}

static void do_write(struct fsx *f)
{
	uint64_t at, n;
	pick(f, below(f, 8) ? f->size : f->limit, &at, &n);
	say(f, "write %" PRIu64 "+%" PRIu64, at, n);
	fill(f, f->model + at, n);
	write_at(f, f->fd, at, n);
}

static void do_direct(struct fsx *f)
{
	uint64_t at = below(f, f->size / BLOCK) * BLOCK, n = (1 + below(f, 32)) * BLOCK;
	bool writing = below(f, 2);
	if (at + n > f->size)
		return;
	say(f, "direct %s %" PRIu64 "+%" PRIu64, writing ? "write" : "read", at, n);
	must(f, "fdatasync", fdatasync(f->fd) < 0); /* what lies in mapped pages is not seen by it */
	if (writing) {
		fill(f, f->buffer, n);
		memcpy(f->model + at, f->buffer, n);
	}
	ssize_t r = writing ? pwrite(f->direct, f->buffer, n, (off_t)at) : pread(f->direct, f->buffer, n, (off_t)at);
	must(f, "O_DIRECT", r != (ssize_t)n);
	check(f, "what O_DIRECT gave", f->buffer, at, n);
}

static void do_map(struct fsx *f)
{
	uint64_t at, n, kind = below(f, 3);
	pick(f, f->size, &at, &n);
	uint64_t begin = at / PAGE * PAGE, whole = at - begin + n;
	say(f, "map %s %" PRIu64 "+%" PRIu64, (const char *[]){ "read", "write", "private" }[kind], at, n);
	char *p = mmap(NULL, whole, kind ? PROT_READ | PROT_WRITE : PROT_READ, kind == 2 ? MAP_PRIVATE : MAP_SHARED, f->fd,
		       (off_t)begin);
	must(f, "mmap", p == MAP_FAILED);
	check(f, "what is mapped", p + (at - begin), at, n);
	if (kind == 1) {
		fill(f, f->model + at, n);
		memcpy(p + (at - begin), f->model + at, n);
		if (below(f, 2))
			must(f, "msync", msync(p, whole, MS_SYNC) < 0);
	} else if (kind == 2) {
		memset(p + (at - begin), 0x5a, n);
	}
	munmap(p, whole);
}

static void do_grow(struct fsx *f)
{
	uint64_t size = f->size + below(f, (f->limit - f->size) / 8 + 1);
	say(f, "truncate %" PRIu64, size);
	must(f, "ftruncate", ftruncate(f->fd, (off_t)size) < 0);
	grown_to(f, size);
}

static void do_allocate(struct fsx *f)
{
	static const struct {
		const char *name;
		int mode;
	} kinds[] = { { "punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE }, { "zero", FALLOC_FL_ZERO_RANGE },
		      { "zero, keep", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE }, { "allocate", 0 },
		      { "allocate, keep", FALLOC_FL_KEEP_SIZE } };
	uint64_t kind = below(f, 5), at, n;
	bool keep = kinds[kind].mode & FALLOC_FL_KEEP_SIZE;
	pick(f, below(f, 6) ? f->size : f->limit, &at, &n);
	say(f, "%s %" PRIu64 "+%" PRIu64, kinds[kind].name, at, n);
	must(f, "fallocate", fallocate(f->fd, kinds[kind].mode, (off_t)at, (off_t)n) < 0);
	if (!keep)
		grown_to(f, at + n);
	if (kind < 3 && at < f->size)
		memset(f->model + at, 0, at + n > f->size ? f->size - at : n);
}

static void copy_range(struct fsx *f, int from, uint64_t from_at, uint64_t at, uint64_t n)
{
	off_t in = (off_t)from_at, out = (off_t)at;
	while (n > 0) {
		ssize_t r = copy_file_range(from, &in, f->fd, &out, n, 0);
		must(f, "copy_file_range", r <= 0);
		n -= (uint64_t)r;
	}
}

static void do_copy(struct fsx *f)
{
	bool outside = f->source_bytes && below(f, 4);
	uint64_t from, n, at;
	pick(f, outside ? f->source_size : f->size, &from, &n);
	at = below(f, 2) ? below(f, f->size) / 65536 * 65536 + from % 65536 : below(f, f->size);
	if (n == 0 || at + n > f->limit || (!outside && at < from + n && from < at + n))
		return;
	say(f, "copy %s %" PRIu64 "+%" PRIu64 " to %" PRIu64, outside ? "from the source" : "inside", from, n, at);
	copy_range(f, outside ? f->source : f->fd, from, at, n);
	memcpy(f->model + at, (outside ? f->source_bytes : f->model) + from, n);
	grown_to(f, at + n);
}

/* A hole has to be zeros; there is one at the end. */
static void do_seek(struct fsx *f)
{
	uint64_t at = below(f, f->size);
	say(f, "seek %" PRIu64, at);
	must(f, "fdatasync", fdatasync(f->fd) < 0);
	off_t data = lseek(f->fd, (off_t)at, SEEK_DATA), hole = lseek(f->fd, (off_t)at, SEEK_HOLE);
	must(f, "SEEK_DATA", data < 0 && errno != ENXIO);
	must(f, "SEEK_HOLE", hole < (off_t)at || hole > (off_t)f->size);
	for (uint64_t n = at; n < (data < 0 ? f->size : (uint64_t)data); n++)
		if (f->model[n])
			differs(f, "a hole", n);
}

static void do_sync(struct fsx *f)
{
	say(f, "fsync");
	must(f, "fsync", fsync(f->fd) < 0);
}

static void open_all(struct fsx *f)
{
	f->fd = open(f->name, O_RDWR | O_CLOEXEC | (below(f, 4) ? 0 : O_SYNC));
	f->direct = open(f->name, O_RDWR | O_CLOEXEC | O_DIRECT);
	if (f->fd < 0 || f->direct < 0)
		die(f->name);
}

static void do_reopen(struct fsx *f)
{
	struct stat st;
	say(f, "close and open");
	must(f, "close", close(f->fd) < 0 || close(f->direct) < 0);
	open_all(f);
	must(f, "fstat", fstat(f->fd, &st) < 0);
	if ((uint64_t)st.st_size != f->size)
		differs(f, "the size", (uint64_t)st.st_size);
}

static void check_all(struct fsx *f)
{
	say(f, "all of it");
	for (uint64_t at = 0; at < f->size; at += LENGTH_MAX) {
		uint64_t n = f->size - at < LENGTH_MAX ? f->size - at : LENGTH_MAX;
		must(f, "read", pread(f->fd, f->buffer, n, (off_t)at) != (ssize_t)n);
		check(f, "all of it", f->buffer, at, n);
	}
}

static void one_step(struct fsx *f)
{
	static void (*const steps[])(struct fsx *) = { do_read,  do_read,  do_read, do_write, do_write,  do_write, do_write, do_map,
						       do_map,   do_map,   do_allocate, do_allocate, do_direct, do_direct, do_copy,
						       do_copy,  do_seek };
	uint64_t choice = below(f, 200);
	if (choice == 0)
		do_reopen(f);
	else if (choice < 3)
		do_grow(f);
	else if (choice < 6)
		do_sync(f);
	else
		steps[below(f, sizeof steps / sizeof steps[0])](f);
}

/* ---- the beginning ------------------------------------------------------------------------------------------- */

static char *load(int fd, uint64_t room, uint64_t *ret_size)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		die("fstat");
	uint64_t size = (uint64_t)st.st_size;
	char *bytes = calloc(1, room > size ? room : size + 1);
	for (uint64_t at = 0; bytes && at < size;) {
		ssize_t n = pread(fd, bytes + at, size - at, (off_t)at);
		if (n <= 0)
			die("the first read");
		at += (uint64_t)n;
	}
	if (!bytes)
		die("memory");
	*ret_size = size;
	return bytes;
}

static int parse(struct fsx *f, int argc, char **argv, uint64_t *ret_count)
{
	for (int c; (c = getopt(argc, argv, "s:n:m:c:")) != -1;)
		switch (c) {
		case 's': f->random = strtoull(optarg, NULL, 0); break;
		case 'n': *ret_count = strtoull(optarg, NULL, 0); break;
		case 'm': f->limit = strtoull(optarg, NULL, 0); break;
		case 'c': f->source_name = optarg; break;
		default: return -1;
		}
	f->name = argv[optind];
	return optind + 1 == argc ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct fsx f = { .limit = UINT64_C(16) << 20, .random = (uint64_t)time(NULL) };
	uint64_t count = 1000;
	if (parse(&f, argc, argv, &count)) {
		fprintf(stderr, "usage: fsx [-s SEED] [-n OPERATIONS] [-m LIMIT] [-c SOURCE] FILE\n");
		return 2;
	}
	printf("fsx: seed %" PRIu64 "\n", f.random);
	fflush(stdout);
	open_all(&f);
	f.model = load(f.fd, f.limit + LENGTH_MAX, &f.size);
	f.buffer = aligned_alloc(BLOCK, LENGTH_MAX + BLOCK);
	if (f.source_name && (f.source = open(f.source_name, O_RDONLY | O_CLOEXEC)) < 0)
		die(f.source_name);
	if (f.source_name)
		f.source_bytes = load(f.source, 0, &f.source_size);
	if (f.size == 0 || f.size > f.limit || !f.buffer) {
		fprintf(stderr, "fsx: %s is empty, or larger than the limit\n", f.name);
		return 2;
	}
	for (f.step = 0; f.step < count; f.step++)
		one_step(&f);
	check_all(&f);
	do_reopen(&f);
	check_all(&f);
	free(f.model);
	free(f.buffer);
	free(f.source_bytes);
	return 0;
}
