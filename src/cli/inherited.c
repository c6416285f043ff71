/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inherited.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST 3 /* also of a service manager's */

void inherited_complete(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < FIRST - 1);
	if (fd >= FIRST)
		close(fd);
}

static long number(const char *name)
{
	const char *text = getenv(name);
	return text ? strtol(text, NULL, 10) : 0;
}

static int passed_by_manager(void)
{
	long n = number("LISTEN_FDS");
	return number("LISTEN_PID") == getpid() && n > 0 && n < 1000 ? (int)n : 0;
}

static void close_all(unsigned first, unsigned last)
{
	if (first > last || close_range(first, last, 0) == 0)
		return;
	unsigned limit = (unsigned)sysconf(_SC_OPEN_MAX);
	for (unsigned fd = first; fd <= last && fd < limit; fd++)
		close((int)fd);
}

void inherited_close(int but)
{
	int first = FIRST + passed_by_manager();
	for (int fd = FIRST; fd < first; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (but < first) {
		close_all((unsigned)first, ~0u);
		return;
	}
	close_all((unsigned)first, (unsigned)but - 1);
	close_all((unsigned)but + 1, ~0u);
}

void inherited_signals(void)
{
	signal(SIGCHLD, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
}
