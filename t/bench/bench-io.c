/* SPDX-License-Identifier: Apache-2.0 */
/* bench-io: what the benchmark measures inside one process, so that no start of a process is part of it.
 *
 *   bench-io window FILE SPAN           offset (multiple of 1 MiB) of the SPAN bytes with most data in them
 *   bench-io seq FILE OFFSET LENGTH     MB/s of reading it in 1 MiB steps
 *   bench-io rand FILE OFFSET LENGTH N  4 KiB reads a second, N of them at random
 *   bench-io write FILE OFFSET LENGTH N [sync]   4 KiB writes a second, N of them at random, with an fsync at the end (sync: with
 *                                       fdatasync after each)
 *   bench-io stat DIR SECONDS           stat(2) calls a second over the entries of DIR
 *   bench-io limit FILE OFFSET LENGTH   MB/s at which one processor can hash (SHA-256) and compress (zstd -3) these bytes
 *                                       in pieces of 64 KiB, and decompress them: two numbers
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <zstd.h>

#define MIB (1u << 20)

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
	fprintf(stderr, "bench-io: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

static int window(const char *path, uint64_t span)
{
	int fd = open_file(path);
	struct stat st;
	if (fstat(fd, &st))
		die(path);
	size_t n = (size_t)st.st_size / MIB, w = span / MIB, best = 0;
	uint64_t *have = calloc(n + 1, sizeof *have), most = 0, sum = 0;
	for (off_t at = 0, data; have && at < st.st_size && (data = lseek(fd, at, SEEK_DATA)) >= 0;) {
		at = lseek(fd, data, SEEK_HOLE);
		for (off_t p = data; p < at; p += 4096)
			have[(size_t)p / MIB] += 4096;
	}
	for (size_t i = 0; have && i < n; i++) {
		sum += have[i] - (i >= w ? have[i - w] : 0);
		if (i + 1 >= w && (i + 1 - w) % 8 == 0 && sum > most) {
			most = sum;
			best = i + 1 - w;
		}
	}
	printf("%zu\n", best * MIB);
	free(have);
	close(fd);
	return 0;
}

static int seq(const char *path, uint64_t offset, uint64_t length)
{
	int fd = open_file(path);
	char *buf = malloc(MIB);
	uint64_t done = 0;
	double start = now();
	while (buf && done < length) {
		ssize_t n = pread(fd, buf, MIB, (off_t)(offset + done));
		if (n < 0)
			die(path);
		if (n == 0)
			break;
		done += (uint64_t)n;
	}
	printf("%.0f\n", (double)done / 1e6 / (now() - start));
	free(buf);
	close(fd);
	return 0;
}

#define PIECE 65536u

static int limit(const char *path, uint64_t offset, uint64_t length)
{
	int fd = open_file(path);
	char *data = malloc(length), *frames = malloc(length + length / PIECE * 1024), back[PIECE];
	unsigned char sum[32];
	unsigned sum_len;
	if (!data || !frames || pread(fd, data, length, (off_t)offset) != (ssize_t)length)
		die(path);
	size_t n = length / PIECE, *ends = calloc(n + 1, sizeof *ends);
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_DCtx *d = ZSTD_createDCtx();
	if (!ends || !c || !d)
		die("memory");
	double start = now();
	for (size_t i = 0; i < n; i++) {
		EVP_Digest(data + i * PIECE, PIECE, sum, &sum_len, EVP_sha256(), NULL);
		ends[i + 1] = ends[i] + ZSTD_compressCCtx(c, frames + ends[i], PIECE + 1024, data + i * PIECE, PIECE, 3);
	}
	double packed = now();
	for (size_t i = 0; i < n; i++)
		if (ZSTD_decompressDCtx(d, back, PIECE, frames + ends[i], ends[i + 1] - ends[i]) != PIECE)
			die("zstd");
	printf("%.0f %.0f\n", (double)length / 1e6 / (packed - start), (double)length / 1e6 / (now() - packed));
	ZSTD_freeCCtx(c);
	ZSTD_freeDCtx(d);
	free(ends);
	free(frames);
	free(data);
	close(fd);
	return 0;
}

static uint64_t next_random(uint64_t *s)
{
	uint64_t z = (*s += 0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static int random_reads(const char *path, uint64_t offset, uint64_t length, uint64_t count)
{
	int fd = open_file(path);
	char buf[4096];
	uint64_t seed = (uint64_t)getpid() << 32 ^ (uint64_t)time(NULL);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	double start = now();
	for (uint64_t i = 0; i < count; i++)
		if (pread(fd, buf, sizeof buf, (off_t)(offset + next_random(&seed) % (length / 4096) * 4096)) < 0)
			die(path);
	printf("%.0f\n", (double)count / (now() - start));
	close(fd);
	return 0;
}

static int random_writes(const char *path, uint64_t offset, uint64_t length, uint64_t count, int sync_each)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char buf[4096];
	uint64_t seed = (uint64_t)getpid() << 32 ^ (uint64_t)time(NULL);
	if (fd < 0)
		die(path);
	double start = now();
	for (uint64_t i = 0; i < count; i++) {
		for (size_t b = 0; b < sizeof buf; b += 8)
			memcpy(buf + b, &(uint64_t){ next_random(&seed) }, 8);
		if (pwrite(fd, buf, sizeof buf, (off_t)(offset + next_random(&seed) % (length / 4096) * 4096)) != sizeof buf ||
		    (sync_each && fdatasync(fd)))
			die(path);
	}
	if (fsync(fd))
		die(path);
	printf("%.0f\n", (double)count / (now() - start));
	close(fd);
	return 0;
}

static int stats(const char *path, double seconds)
{
	struct stat st;
	uint64_t n = 0;
	if (chdir(path))
		die(path);
	DIR *d = opendir(".");
	if (!d)
		die(path);
	double start = now();
	while (now() - start < seconds) {
		struct dirent *e = readdir(d);
		if (!e)
			rewinddir(d);
		else if (stat(e->d_name, &st) == 0)
			n++;
	}
	printf("%.0f\n", (double)n / (now() - start));
	closedir(d);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "window") == 0)
		return window(argv[2], strtoull(argv[3], NULL, 0));
	if (argc == 5 && strcmp(argv[1], "seq") == 0)
		return seq(argv[2], strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
	if (argc == 6 && strcmp(argv[1], "rand") == 0)
		return random_reads(argv[2], strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0), strtoull(argv[5], NULL, 0));
	if ((argc == 6 || argc == 7) && strcmp(argv[1], "write") == 0)
		return random_writes(argv[2], strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0), strtoull(argv[5], NULL, 0),
				     argc == 7);
	if (argc == 4 && strcmp(argv[1], "stat") == 0)
		return stats(argv[2], strtod(argv[3], NULL));
	if (argc == 5 && strcmp(argv[1], "limit") == 0)
		return limit(argv[2], strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
	fprintf(stderr, "usage: bench-io window|seq|rand|write|stat|limit …\n");
	return 2;
}
