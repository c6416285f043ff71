/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/launch.h"

static int run(int argc, char **argv)
{
	struct launch_options launch = { 0 };
	const struct option_spec options[] = {
		{ .name = "cache", .kind = OPTION_SIZE, .value = &launch.cache, .arg = "SIZE", .help = "memory for chunks" },
		{ .name = "level", .kind = OPTION_NUMBER, .value = &launch.level, .arg = "N", .min = 1, .max = 19,
		  .help = "zstd level" },
		{ .name = NULL },
	};
	struct operands operands;
	struct error err;
	AUTO_FREE char *store = NULL;

	int code = command_parse(&command_serve, options, argc, argv, 1, 1, &operands);
	if (code >= 0)
		return code;
	if (store_path(operands.items[0], &store, &err))
		return complain_of(&err);
	int r = launch_foreground(store, &launch, &err);
	if (r >= 0)
		return r;
	complain_of(&err);
	return r == -EINVAL ? EXIT_ABSENT : exit_code_of(r);
}

const struct command command_serve = {
	.name = "serve",
	.operands = "STORE",
	.summary = "serve a store in the foreground, as a system service does",
	.text = "Stays when the last mount goes. Ends on SIGTERM, SIGINT and SIGHUP: everything\n"
		"is unmounted then. Messages go to standard error.",
	.run = run,
};
