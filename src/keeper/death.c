/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/death.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"

uint64_t death_starved_count(const char *vmstat)
{
	char line[200];
	uint64_t count = 0;
	AUTO_FILE FILE *f = fopen(vmstat, "re");

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "oom_kill %" SCNu64, &count) == 1)
			break;
	return count;
}

static bool is_sent_by_people(int s)
{
	return s == SIGKILL || s == SIGTERM || s == SIGINT || s == SIGHUP || s == SIGQUIT;
}

enum hold_death death_kind(int status, bool starved)
{
	if (WIFEXITED(status) || !is_sent_by_people(WTERMSIG(status)))
		return DEATH_CRASHED;
	return WTERMSIG(status) == SIGKILL && starved ? DEATH_STARVED : DEATH_KILLED;
}

void death_describe(int status, enum hold_death kind, char ret[100])
{
	if (WIFEXITED(status))
		snprintf(ret, 100, "exited with code %d", WEXITSTATUS(status));
	else
		snprintf(ret, 100, "died of signal %d (%s%s)", WTERMSIG(status), strsignal(WTERMSIG(status)),
			 kind == DEATH_STARVED ? ", for want of memory" : "");
}
