/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/manage.h"

static int run(int argc, char **argv)
{
	bool json = false;
	struct manage_uids uids = { .uids.count = 0 };
	const struct option_spec options[] = {
		{ .name = "json", .kind = OPTION_FLAG, .value = &json, .help = "print JSON" },
		{ .name = "uid", .kind = OPTION_LIST, .value = &uids.uids, .arg = "USER",
		  .help = "a user of this machine (name or number), given once for each; set: these and no others" },
		{ .name = "add-uid", .kind = OPTION_LIST, .value = &uids.add, .arg = "USER", .help = "set: one more" },
		{ .name = "remove-uid", .kind = OPTION_LIST, .value = &uids.remove, .arg = "USER", .help = "set: one less" },
		{ .name = NULL },
	};
	struct operands operands;

	int code = command_parse(&command_account, options, argc, argv, 2, 70, &operands);
	return code >= 0 ? code : manage_places(&command_account, &operands, &uids, json);
}

const struct command command_account = {
	.name = "account",
	.operands = "list|show|add|set|remove STORE [NAME] [KEY VALUE]...",
	.summary = "show, make, change and remove accounts",
	.text = "KEY is uids, operator (yes, no), vendor (yes, no) or accept (all, or names of\n"
		"accounts). Operators may all of it; everybody may see their own account and set\n"
		"its accept. The same as accounts/NAME/.account in a mount.",
	.run = run,
};
