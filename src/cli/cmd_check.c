/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/facts.h"
#include "cli/report.h"

static int check_here(void *arg, struct service *service, const struct sink *sink, struct error *err)
{
	return work_check(service, *(const bool *)arg, sink, err);
}

static int look_closed(void *arg, const char *store, const struct sink *sink, bool *ret_open, struct error *err)
{
	(void)arg;
	return work_check_closed(store, sink, ret_open, err);
}

static bool found_problems(const struct report *report)
{
	char count[32];
	return report->facts.data && facts_get(report->facts.data, "problems", count, sizeof count) &&
	       strtoull(count, NULL, 10) > 0;
}

static int run(int argc, char **argv)
{
	bool read_data = false, json = false;
	const struct option_spec options[] = {
		{ .name = "read-data", .kind = OPTION_FLAG, .value = &read_data, .help = "read and verify every byte, too" },
		{ .name = "json", .kind = OPTION_FLAG, .value = &json, .help = "print the result as JSON" },
		{ .name = NULL },
	};
	struct operands operands;
	struct error err;
	struct report report;
	AUTO_FREE char *store = NULL;

	int code = command_parse(&command_check, options, argc, argv, 1, 1, &operands);
	if (code >= 0)
		return code;
	if (store_find(operands.items[0], &store, &err))
		return complain_of(&err);
	report_begin(&report, json, "problem");
	struct sink sink = report_sink(&report);
	struct store_job job = {
		.request = read_data ? "check read-data" : "check", .offline = check_here, .closed = look_closed, .arg = &read_data,
	};
	int r = store_do(store, &job, &sink, &err);
	report_end(&report);
	if (r)
		code = complain_of(&err);
	else
		code = report_print(&report);
	if (code == EXIT_DONE && found_problems(&report)) {
		complain("imagefs-check(1) tells what can be done about it; images whose chunks are damaged heal when they are uploaded "
			 "once more, under any name");
		code = EXIT_DAMAGED;
	}
	report_free(&report);
	return r == -EINVAL ? EXIT_ABSENT : code;
}

const struct command command_check = {
	.name = "check",
	.operands = "STORE",
	.summary = "verify that everything in a store is as it must be",
	.text = "Says in words what is wrong. Works while the store is in use.",
	.run = run,
};
