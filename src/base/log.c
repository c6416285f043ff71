/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "base/shown.h"

static _Atomic int most = LOG_LEVEL_INFO;

void log_set_level(enum log_level level) { most = (int)level; }

void log_line(enum log_level level, const char *format, ...)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	char line[1200];
	struct timespec now;
	struct tm tm;

	if ((int)level > most)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s ", now.tv_nsec / 1000000, names[level]);
	va_list ap;
	va_start(ap, format);
	int m = vsnprintf(line + n, sizeof line - n - 1, format, ap);
	va_end(ap);
	line[m < 0 ? n : MIN(n + (size_t)m, sizeof line - 2)] = 0;
	n = shown_safe(line);
	line[n++] = '\n';
	/* One write a line: lines of several processes do not mix. Nowhere to report a failure. */
	(void)!write(STDERR_FILENO, line, n);
}
