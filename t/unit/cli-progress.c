/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tap.h"

#define MIB (1ull << 20)

static void test_text(void)
{
	char text[PROGRESS_TEXT_SIZE];
	struct progress p = { .what = "importing", .unit = PROGRESS_BYTES };

	is_str(progress_text(&p, 512 * MIB, 1024 * MIB, 2, 200, text),
	       "importing 50% 512 MiB of 1.0 GiB, 256 MiB/s, 2 s left", "a plain line");
	is_str(progress_text(&p, 512 * MIB, 0, 2, 200, text), "importing 512 MiB, 256 MiB/s", "of unknown size");
	is_str(progress_text(&p, 1024 * MIB, 1024 * MIB, 2, 200, text), "importing 100% 1.0 GiB of 1.0 GiB, 512 MiB/s",
	       "done: nothing is left");
	p.terminal = true;
	progress_text(&p, 512 * MIB, 1024 * MIB, 2, 100, text);
	ok(strstr(text, "[###############...............]  50%") != NULL, "half a bar: %s", text);
	progress_text(&p, 2048 * MIB, 1024 * MIB, 2, 100, text);
	ok(strstr(text, "[##############################] 100%") != NULL, "never more than a whole one: %s", text);
	progress_text(&p, 512 * MIB, 1024 * MIB, 0, 100, text);
	ok(strstr(text, "0 B/s") && !strstr(text, "left"), "no time has passed: %s", text);
	p.unit = PROGRESS_ITEMS;
	snprintf(p.what, sizeof p.what, "packs");
	p.terminal = false;
	is_str(progress_text(&p, 10, 40, 5, 200, text), "packs 25% 10 of 40, 2/s, 15 s left", "items");
}

/* Whatever the numbers, and however narrow. */
static void test_fits(void)
{
	uint64_t state = test_seed();
	bool fits = true;
	for (int i = 0; i < 20000; i++) {
		char text[PROGRESS_TEXT_SIZE];
		struct progress p = { .unit = i & 1 ? PROGRESS_BYTES : PROGRESS_ITEMS, .terminal = i & 2 };
		memset(p.what, 'w', test_random(&state) % (sizeof p.what - 1));
		unsigned width = 10 + (unsigned)(test_random(&state) % 200);
		uint64_t done = test_random(&state) >> test_random(&state) % 64;
		uint64_t total = test_random(&state) >> test_random(&state) % 64;
		progress_text(&p, done, total, (double)(test_random(&state) % 100000) / 10, width, text);
		fits = fits && strlen(text) < sizeof text && strlen(text) < width;
	}
	ok(fits, "never wider than it may be");
}

static size_t shown(int64_t began_ago, int times)
{
	char template[] = "/tmp/progress-XXXXXX", text[4000];
	struct progress p = { .what = "x", .began = clock_mono() - began_ago };
	p.fd = mkstemp(template);
	if (p.fd < 0)
		bail("no temporary file");
	unlink(template);
	for (int i = 0; i < times; i++)
		progress_at(&p, (uint64_t)i, 1000);
	progress_end(&p);
	ssize_t n = pread(p.fd, text, sizeof text, 0);
	close(p.fd);
	size_t lines = 0;
	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	return lines;
}

int main(void)
{
	test_text();
	test_fits();
	is_int(shown(0, 1000), 0, "nothing for what takes less than a second");
	is_int(shown(2000000000, 1000), 2, "one line every few seconds, and one at the end");
	return done_testing();
}
