/* SPDX-License-Identifier: Apache-2.0 */
/* report: a sink (daemon/work.h) that shows progress and collects facts to be printed at the end. */
#ifndef IMAGEFS_CLI_REPORT_H
#define IMAGEFS_CLI_REPORT_H

#include "cli/progress.h"
#include "daemon/work.h"

struct report {
	struct buf facts;
	bool json;            /* lines become facts too, with this key */
	const char *line_key;
	bool is_table;        /* the facts are of several things: cli/table.h */
	struct progress progress;
	char stage[60];
	bool shows;           /* a progress bar is up */
};

void report_begin(struct report *, bool json, const char *line_key);
struct sink report_sink(struct report *);
void report_end(struct report *); /* takes the bar away */
int report_print(struct report *); /* the facts; an exit code */
void report_free(struct report *);

#endif
