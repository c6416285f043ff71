/* SPDX-License-Identifier: Apache-2.0 */
/* diskop: what a server does with its disk, for test scripts.
 *
 *	diskop count DISK BLOCKS GAP        writes 1, 2, 3, … into BLOCKS blocks that are GAP bytes apart, in order, round and
 *	                                    round, until it is killed; says "round" after each of its first rounds
 *	diskop count-check DISK BLOCKS GAP  is that the work of one moment? Says the highest number
 *	diskop pieces FROM TO PIECE         copy_file_range in pieces of PIECE bytes; says "copied OFFSET" after each, and waits
 *	                                    for a line
 *	diskop moment DISK OUT              asks where the data of DISK begin, which makes its reader read one moment; says "pinned",
 *	                                    waits for a line, and reads all of DISK into OUT
 *	diskop locks DISK                   takes locks as QEMU does, from two open files
 *	diskop threads DISK THREADS         THREADS threads write all of it, block by block beside each other, by write, by
 *	                                    O_DIRECT and by mappings; then it is compared
 *	diskop scribble DISK MODEL SEED     random writes to DISK, and then to MODEL, until it is killed or DISK is gone; says
 *	                                    "written" after each thousand
 *	diskop servers SYNCS GAP DISK...    has all of them open, writes a block to each and syncs it, SYNCS times, GAP bytes apart; says
 *	                                    "running", waits until its stdin ends, and says of how many all blocks are as written
 *	diskop scribble-check DISK MODEL    has DISK every write that was acknowledged? Only the last may be there in part
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

#define BLOCK 4096
#define WORDS (BLOCK / sizeof(uint64_t))
#define GONE 3 /* exit code: the disk was unmounted by force */

static void __attribute__((noreturn)) die(const char *what)
{
	int gone = errno == ENOTCONN || errno == EIO || errno == ECONNABORTED;
	fprintf(stderr, "diskop: %s: %s\n", what, strerror(errno));
	exit(gone ? GONE : 1);
}

static void __attribute__((noreturn)) wrong(const char *what, uint64_t at)
{
	fprintf(stderr, "diskop: %s, at %" PRIu64 "\n", what, at);
	exit(1);
}

static void say(const char *what)
{
	puts(what);
	fflush(stdout);
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

/* The kernel may cut a write or a read in two. When the second half fails, only asking again tells why. */
static void put(int fd, const void *bytes, uint64_t length, uint64_t offset)
{
	for (ssize_t n; length > 0; length -= (uint64_t)n, offset += (uint64_t)n) {
		n = pwrite(fd, bytes, length, (off_t)offset);
		if (n <= 0)
			die("write");
		bytes = (const char *)bytes + n;
	}
}

static void get(int fd, void *bytes, uint64_t length, uint64_t offset)
{
	for (ssize_t n; length > 0; length -= (uint64_t)n, offset += (uint64_t)n) {
		errno = 0; /* the end is no error */
		n = pread(fd, bytes, length, (off_t)offset);
		if (n <= 0)
			die("read");
		bytes = (char *)bytes + n;
	}
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* ---- one moment -------------------------------------------------------------------------------------------- */

static void set_block(uint64_t block[WORDS], uint64_t value)
{
	for (size_t n = 0; n < WORDS; n++)
		block[n] = value;
}

static void __attribute__((noreturn)) count(char **args)
{
	int fd = open_file(args[0], O_RDWR);
	uint64_t blocks = number(args[1]), gap = number(args[2]), block[WORDS];
	for (uint64_t value = 1;; value++) {
		set_block(block, value);
		put(fd, block, sizeof block, value % blocks * gap);
		if (value % blocks == 0 && value / blocks <= 3)
			say("round");
	}
}

/* At a moment when `last` was the last number written, every block has the highest number that is its own. */
static int count_check(char **args)
{
	int fd = open_file(args[0], O_RDONLY);
	uint64_t blocks = number(args[1]), gap = number(args[2]), last = 0, block[WORDS];
	uint64_t *values = calloc(blocks, sizeof *values);
	for (uint64_t n = 0; n < blocks; n++) {
		get(fd, block, sizeof block, n * gap);
		for (size_t w = 1; w < WORDS; w++)
			if (block[w] != block[0])
				wrong("half of a block", n * gap);
		values[n] = block[0];
		last = block[0] > last ? block[0] : last;
	}
	for (uint64_t n = 0; n < blocks; n++)
		if (values[n] % blocks != n || values[n] + blocks <= last) {
			fprintf(stderr, "diskop: block %" PRIu64 " has %" PRIu64 " when the last is %" PRIu64 " of %" PRIu64 "\n", n,
				values[n], last, blocks);
			exit(1);
		}
	printf("%" PRIu64 "\n", last);
	free(values);
	return 0;
}

static int pieces(char **args)
{
	int from = open_file(args[0], O_RDONLY), to = open_file(args[1], O_RDWR | O_CREAT);
	uint64_t piece = number(args[2]);
	off_t in = 0, out = 0;
	char line[64];
	ssize_t n;
	while ((n = copy_file_range(from, &in, to, &out, piece, 0)) > 0) {
		printf("copied %jd\n", (intmax_t)out);
		fflush(stdout);
		if (!fgets(line, sizeof line, stdin))
			break;
	}
	if (n < 0)
		die("copy_file_range");
	if (close(to) < 0)
		die("close");
	return 0;
}

static int moment(char **args)
{
	int from = open_file(args[0], O_RDONLY), to = open_file(args[1], O_RDWR | O_CREAT | O_TRUNC);
	char line[64], buf[65536];
	ssize_t n;
	if (lseek(from, 0, SEEK_DATA) < 0 || lseek(from, 0, SEEK_SET) < 0)
		die("lseek");
	say("pinned");
	if (!fgets(line, sizeof line, stdin))
		return 0;
	while ((n = read(from, buf, sizeof buf)) > 0)
		if (write(to, buf, (size_t)n) != n)
			die("write");
	if (n < 0)
		die("read");
	return 0;
}

/* ---- locks --------------------------------------------------------------------------------------------------- */

static int lock(int fd, short type, off_t at)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
	return fcntl(fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

static short locked(int fd, off_t at)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
	if (fcntl(fd, F_OFD_GETLK, &l) < 0)
		die("F_OFD_GETLK");
	return l.l_type;
}

/* QEMU's locks are single bytes from 100 on: shared ones for what it does, looked at for what others must not do. */
static int locks(char **args)
{
	int a = open_file(args[0], O_RDWR), b = open_file(args[0], O_RDWR);
	if (lock(a, F_RDLCK, 100) || lock(a, F_RDLCK, 201) || lock(b, F_RDLCK, 100))
		die("a shared lock");
	if (locked(b, 201) != F_RDLCK || locked(b, 202) != F_UNLCK)
		wrong("a lock that another holds is not seen", 201);
	if (lock(b, F_WRLCK, 201) != -EAGAIN)
		wrong("a lock that another holds is given", 201);
	if (lock(a, F_WRLCK, 300) || lock(b, F_RDLCK, 300) != -EAGAIN)
		wrong("an exclusive lock does not exclude", 300);
	if (lock(a, F_UNLCK, 300) || lock(b, F_WRLCK, 300))
		wrong("a lock that was given up is still held", 300);
	close(a);
	if (lock(b, F_WRLCK, 201) || lock(b, F_WRLCK, 100))
		wrong("a lock outlives its file", 201);
	return 0;
}

/* ---- threads -------------------------------------------------------------------------------------------------- */

struct writer {
	const char *name;
	uint64_t no, of, blocks;
};

static void write_mapped(int fd, const uint64_t *block, uint64_t n)
{
	char *p = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(n * BLOCK));
	if (p == MAP_FAILED)
		die("mmap");
	memcpy(p, block, BLOCK);
	if (munmap(p, BLOCK) < 0)
		die("munmap");
}

static void *write_blocks(void *arg)
{
	const struct writer *w = arg;
	int fd = open_file(w->name, O_RDWR | (w->no % 3 == 1 ? O_DIRECT : 0));
	uint64_t *block = aligned_alloc(BLOCK, BLOCK);
	for (uint64_t n = w->no; n < w->blocks; n += w->of) {
		set_block(block, n + 1);
		if (w->no % 3 == 2)
			write_mapped(fd, block, n);
		else
			put(fd, block, BLOCK, n * BLOCK);
	}
	if (fsync(fd) < 0 || close(fd) < 0)
		die("fsync");
	free(block);
	return NULL;
}

static int threads(char **args)
{
	enum { MOST = 64 };
	pthread_t ids[MOST];
	struct writer writers[MOST];
	int fd = open_file(args[0], O_RDONLY);
	uint64_t of = number(args[1]), blocks = size_of(fd) / BLOCK, block[WORDS];
	for (uint64_t n = 0; n < of && n < MOST; n++) {
		writers[n] = (struct writer){ args[0], n, of, blocks };
		if (pthread_create(&ids[n], NULL, write_blocks, &writers[n]))
			die("pthread_create");
	}
	for (uint64_t n = 0; n < of && n < MOST; n++)
		pthread_join(ids[n], NULL);
	for (uint64_t n = 0; n < blocks; n++) {
		get(fd, block, sizeof block, n * BLOCK);
		for (size_t i = 0; i < WORDS; i++)
			if (block[i] != n + 1)
				wrong("another's bytes", n * BLOCK);
	}
	return 0;
}

/* ---- what was acknowledged ------------------------------------------------------------------------------------- */

#define SCRIBBLE_MAX 200000

/* The write that is under way, in MODEL.next: it may be there in part when its writer didn't live to hear of it. */
struct next {
	uint64_t offset, length, seed;
};

static void scribble_bytes(const struct next *n, char *bytes)
{
	uint64_t seed = n->seed, kind = next_random(&seed) % 8;
	for (uint64_t i = 0; i < n->length; i += 8) {
		uint64_t word = kind ? next_random(&seed) : 0;
		memcpy(bytes + i, &word, n->length - i < 8 ? n->length - i : 8);
	}
}

static int open_next(const char *model)
{
	char name[4096];
	snprintf(name, sizeof name, "%s.next", model);
	return open_file(name, O_RDWR | O_CREAT);
}

/* A byte that is written is the old one or the new one; what has become of it goes into the model. */
static void compare_next(int disk, int model, int next)
{
	static char is[SCRIBBLE_MAX + 8], was[SCRIBBLE_MAX + 8], becomes[SCRIBBLE_MAX + 8];
	struct next n;
	if (pread(next, &n, sizeof n, 0) != sizeof n)
		return;
	get(disk, is, n.length, n.offset);
	get(model, was, n.length, n.offset);
	scribble_bytes(&n, becomes);
	for (uint64_t i = 0; i < n.length; i++)
		if (is[i] != was[i] && is[i] != becomes[i])
			wrong("the last write left what nobody wrote", n.offset + i);
	put(model, is, n.length, n.offset);
}

static void compare_all(int disk, int model)
{
	static char is[1 << 20], want[1 << 20];
	uint64_t size = size_of(model);
	if (size_of(disk) != size)
		wrong("another size", size_of(disk));
	for (uint64_t at = 0, n; at < size; at += n) {
		n = size - at < sizeof is ? size - at : sizeof is;
		get(disk, is, n, at);
		get(model, want, n, at);
		for (uint64_t i = 0; i < n; i++)
			if (is[i] != want[i])
				wrong("a write that was acknowledged is lost", at + i);
	}
}

static int scribble_check(char **args)
{
	int disk = open_file(args[0], O_RDONLY), model = open_file(args[1], O_RDWR), next = open_next(args[1]);
	compare_next(disk, model, next);
	compare_all(disk, model);
	return 0;
}

static void __attribute__((noreturn)) scribble(char **args)
{
	static char bytes[SCRIBBLE_MAX + 8];
	int disk = open_file(args[0], O_RDWR), model = open_file(args[1], O_RDWR), next = open_next(args[1]);
	uint64_t random = number(args[2]), size = size_of(model);
	for (uint64_t step = 1;; step++) {
		struct next n = { .seed = next_random(&random), .length = 1 + next_random(&random) % 9000 };
		if (next_random(&random) % 20 == 0)
			n.length = 1 + next_random(&random) % SCRIBBLE_MAX;
		n.offset = next_random(&random) % (size - n.length);
		if (next_random(&random) % 2)
			n.offset = n.offset / BLOCK * BLOCK;
		scribble_bytes(&n, bytes);
		put(next, &n, sizeof n, 0);
		put(disk, bytes, n.length, n.offset);
		put(model, bytes, n.length, n.offset);
		if (step % 1000 == 0)
			say("written");
	}
}

/* Block `i` of server `n`. */
static void server_block(uint64_t *block, unsigned n, unsigned i)
{
	for (size_t w = 0; w < WORDS; w++)
		block[w] = (uint64_t)n << 32 | i;
}

static int server_right(int fd, unsigned n, unsigned syncs, uint64_t gap)
{
	uint64_t want[WORDS], got[WORDS];
	for (unsigned i = 0; i < syncs; i++) {
		server_block(want, n, i);
		if (pread(fd, got, BLOCK, (off_t)(i * gap)) != BLOCK || memcmp(got, want, BLOCK))
			return 0;
	}
	return 1;
}

static int servers(unsigned syncs, uint64_t gap, int count, char **disks)
{
	uint64_t block[WORDS];
	int *fds = calloc((size_t)count, sizeof *fds), right = 0;
	char end[16];
	for (int n = 0; fds && n < count; n++)
		if ((fds[n] = open(disks[n], O_RDWR | O_CLOEXEC)) < 0)
			die(disks[n]);
	for (unsigned i = 0; fds && i < syncs; i++)
		for (int n = 0; n < count; n++) {
			server_block(block, (unsigned)n, i);
			if (pwrite(fds[n], block, BLOCK, (off_t)(i * gap)) != BLOCK || fsync(fds[n]))
				die(disks[n]);
		}
	puts("running");
	fflush(stdout);
	while (read(0, end, sizeof end) > 0)
		;
	for (int n = 0; fds && n < count; n++) {
		(void)posix_fadvise(fds[n], 0, 0, POSIX_FADV_DONTNEED);
		right += server_right(fds[n], (unsigned)n, syncs, gap);
	}
	printf("%d\n", right);
	return right == count ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char **args = argv + 2;
	if (argc == 5 && strcmp(what, "count") == 0)
		count(args);
	if (argc == 5 && strcmp(what, "count-check") == 0)
		return count_check(args);
	if (argc == 5 && strcmp(what, "pieces") == 0)
		return pieces(args);
	if (argc == 4 && strcmp(what, "moment") == 0)
		return moment(args);
	if (argc == 3 && strcmp(what, "locks") == 0)
		return locks(args);
	if (argc == 4 && strcmp(what, "threads") == 0)
		return threads(args);
	if (argc == 5 && strcmp(what, "scribble") == 0)
		scribble(args);
	if (argc == 4 && strcmp(what, "scribble-check") == 0)
		return scribble_check(args);
	if (argc >= 5 && strcmp(what, "servers") == 0)
		return servers((unsigned)strtoul(args[0], NULL, 10), strtoull(args[1], NULL, 0), argc - 4, args + 2);
	fprintf(stderr, "diskop: see the top of diskop.c for what it can do\n");
	return 2;
}
