/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/report.h"

static int collect_here(void *arg, struct service *service, const struct sink *sink, struct error *err)
{
	return work_gc(service, *(const bool *)arg, sink, err);
}

static int run(int argc, char **argv)
{
	bool json = false, squeeze = false;
	const struct option_spec options[] = {
		{ .name = "json", .kind = OPTION_FLAG, .value = &json, .help = "print the result as JSON" },
		{ .name = "squeeze", .kind = OPTION_FLAG, .value = &squeeze,
		  .help = "compress all packs as hard as idle time would, which takes long" },
		{ .name = NULL },
	};
	struct operands operands;
	struct error err;
	struct report report;
	AUTO_FREE char *store = NULL;

	int code = command_parse(&command_gc, options, argc, argv, 1, 1, &operands);
	if (code >= 0)
		return code;
	if (store_find(operands.items[0], &store, &err))
		return complain_of(&err);
	report_begin(&report, json, "done");
	struct sink sink = report_sink(&report);
	struct store_job job = { .request = squeeze ? "gc squeeze" : "gc", .offline = collect_here, .arg = &squeeze };
	int r = store_do(store, &job, &sink, &err);
	report_end(&report);
	code = r ? complain_of(&err) : report_print(&report);
	report_free(&report);
	return r == -EINVAL ? EXIT_ABSENT : code;
}

const struct command command_gc = {
	.name = "gc",
	.operands = "STORE",
	.summary = "give back now what nothing refers to any more",
	.text = "The daemon does so by itself, in the background; this waits until it is done.",
	.run = run,
};
