/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int count, failed;
static char folder[4096];

static bool report(bool good, const char *file, int line, const char *format, va_list ap)
{
	printf("%sok %d - ", good ? "" : "not ", ++count);
	vprintf(format, ap);
	printf("\n");
	if (!good) {
		failed++;
		printf("#   failed at %s:%d\n", file, line);
	}
	fflush(stdout);
	return good;
}

bool tap_ok(bool cond, const char *file, int line, const char *expr, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	report(cond, file, line, format, ap);
	va_end(ap);
	if (!cond)
		diag("  %s", expr);
	return cond;
}

bool tap_is_int(int64_t got, int64_t want, const char *file, int line, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	report(got == want, file, line, format, ap);
	va_end(ap);
	if (got != want)
		diag("  got %" PRId64 ", want %" PRId64, got, want);
	return got == want;
}

bool tap_is_str(const char *got, const char *want, const char *file, int line, const char *format, ...)
{
	bool same = got && want ? strcmp(got, want) == 0 : got == want;
	va_list ap;
	va_start(ap, format);
	report(same, file, line, format, ap);
	va_end(ap);
	if (!same)
		diag("  got \"%s\", want \"%s\"", got ? got : "(null)", want ? want : "(null)");
	return same;
}

void diag(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	printf("# ");
	vprintf(format, ap);
	printf("\n");
	va_end(ap);
	fflush(stdout);
}

void bail(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	printf("Bail out! ");
	vprintf(format, ap);
	printf("\n");
	va_end(ap);
	fflush(stdout);
	exit(255);
}

int done_testing(void)
{
	printf("1..%d\n", count);
	fflush(stdout);
	return failed ? 1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void remove_folder(void)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_folder(void)
{
	if (!folder[0]) {
		const char *tmp = getenv("TMPDIR");
		snprintf(folder, sizeof folder, "%s/imagefs-test.XXXXXX", tmp ? tmp : "/tmp");
		if (!mkdtemp(folder))
			bail("cannot make a test folder");
		atexit(remove_folder);
	}
	return folder;
}

uint64_t test_seed(void)
{
	const char *text = getenv("IMAGEFS_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
	diag("seed %" PRIu64 " (repeat with IMAGEFS_TEST_SEED)", seed);
	return seed;
}

uint64_t test_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}
