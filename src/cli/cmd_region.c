/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/cli.h"
#include "cli/manage.h"

static int run(int argc, char **argv)
{
	static const struct manage_uids no_uids;
	bool json = false;
	const struct option_spec options[] = {
		{ .name = "json", .kind = OPTION_FLAG, .value = &json, .help = "print JSON" },
		{ .name = NULL },
	};
	struct operands operands;

	int code = command_parse(&command_region, options, argc, argv, 2, 70, &operands);
	if (code >= 0)
		return code;
	if (operands.count == 2 && strcmp(operands.items[0], "show") == 0) {
		complain("usage: imagefs region show STORE NAME");
		return EXIT_USAGE;
	}
	return manage_places(&command_region, &operands, &no_uids, json);
}

const struct command command_region = {
	.name = "region",
	.operands = "list|show|add|set|remove STORE [NAME] [KEY VALUE]...",
	.summary = "show, make, change and remove regions",
	.text = "KEY is mainland (yes, no), zones, copy (yes, no), types, storage-price,\n"
		"free-storage, windows-fee or instance-price. Everybody may look, operators may\n"
		"change. The same as mkdir, rmdir and REGION/.region in a mount.",
	.run = run,
};
