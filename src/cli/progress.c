/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/format.h"

#define FIRST_NS 1000000000LL      /* nothing before that */
#define BAR_EVERY_NS 100000000LL
#define LINE_EVERY_NS 3000000000LL
#define BAR_MAX 30

void progress_begin(struct progress *p, const char *what, enum progress_unit unit)
{
	*p = (struct progress){ .unit = unit, .began = clock_mono(), .fd = STDERR_FILENO };
	snprintf(p->what, sizeof p->what, "%s", what);
	p->terminal = isatty(p->fd);
}

static void amount_text(const struct progress *p, uint64_t amount, char ret[24])
{
	if (p->unit == PROGRESS_BYTES)
		size_text(amount, ret);
	else
		snprintf(ret, 24, "%llu", (unsigned long long)amount);
}

/* "1.2 GiB of 4.0 GiB, 350 MiB/s, 8 s left" */
static void numbers_text(const struct progress *p, uint64_t done, uint64_t total, double seconds, char *ret, size_t size)
{
	char so_far[24], all[24], rate[24], left[DURATION_TEXT_SIZE];
	double per_second = seconds > 0 && done > p->before ? (double)(done - p->before) / seconds : 0;

	amount_text(p, done, so_far);
	amount_text(p, total, all);
	amount_text(p, (uint64_t)per_second, rate);
	size_t n = (size_t)snprintf(ret, size, total ? "%s of %s, %s/s" : "%s, %s/s", so_far, total ? all : rate, rate);
	if (total > done && per_second > 0 && n < size) {
		duration_text((uint64_t)((double)(total - done) / per_second + 0.5), left);
		snprintf(ret + n, size - n, ", %s left", left);
	}
}

static unsigned bar_cells(uint64_t done, uint64_t total, unsigned cells)
{
	return done >= total ? cells : (unsigned)((double)done / (double)total * cells);
}

char *progress_text(const struct progress *p, uint64_t done, uint64_t total, double seconds, unsigned width,
		    char ret[PROGRESS_TEXT_SIZE])
{
	char numbers[120], bar[BAR_MAX + 1];
	int percent = total ? (int)(done >= total ? 100 : (double)done / (double)total * 100) : 0;

	numbers_text(p, done, total, seconds, numbers, sizeof numbers);
	size_t used = strlen(p->what) + strlen(numbers) + 12; /* "WHAT [] 100% NUMBERS" and the last column */
	unsigned cells = width > used ? (unsigned)(width - used) : 0;
	cells = cells > BAR_MAX ? BAR_MAX : cells;
	if (!total) {
		snprintf(ret, PROGRESS_TEXT_SIZE, "%s %s", p->what, numbers);
	} else if (!p->terminal || cells < 5) {
		snprintf(ret, PROGRESS_TEXT_SIZE, "%s %d%% %s", p->what, percent, numbers);
	} else {
		unsigned full = bar_cells(done, total, cells);
		memset(bar, '#', full);
		memset(bar + full, '.', cells - full);
		bar[cells] = 0;
		snprintf(ret, PROGRESS_TEXT_SIZE, "%s [%s] %3d%% %s", p->what, bar, percent, numbers);
	}
	if (width > 1 && strlen(ret) >= width)
		ret[width - 1] = 0;
	return ret;
}

static unsigned terminal_width(int fd)
{
	struct winsize w;
	return ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 10 ? w.ws_col : 80;
}

static void show(struct progress *p, uint64_t done, uint64_t total, int64_t now)
{
	char text[PROGRESS_TEXT_SIZE];
	unsigned width = p->terminal ? terminal_width(p->fd) : PROGRESS_TEXT_SIZE;
	p->shown = now;
	progress_text(p, done, total, (double)(now - p->began) / 1e9, width, text);
	dprintf(p->fd, p->terminal ? "\r%s\033[K" : "%s\n", text);
}

void progress_at(struct progress *p, uint64_t done, uint64_t total)
{
	int64_t now = clock_mono();
	p->done = done;
	p->total = total;
	if (now - p->began < FIRST_NS)
		return;
	if (!p->shown || now - p->shown >= (p->terminal ? BAR_EVERY_NS : LINE_EVERY_NS))
		show(p, done, total, now);
}

void progress_end(struct progress *p)
{
	if (!p->shown)
		return;
	if (p->terminal)
		dprintf(p->fd, "\r\033[K");
	else
		show(p, p->done, p->total, clock_mono());
	p->shown = 0;
}
