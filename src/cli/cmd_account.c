/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/cli.h"
#include "cli/manage.h"

static int run(int argc, char **argv)
{
	bool json = false, disconnect = false;
	struct manage_uids uids = { .uids.count = 0 };
	const struct option_spec options[] = {
		{ .name = "json", .kind = OPTION_FLAG, .value = &json, .help = "print JSON" },
		{ .name = "uid", .kind = OPTION_LIST, .value = &uids.uids, .arg = "USER",
		  .help = "a user of this machine (name or number), given once for each; set: these and no others" },
		{ .name = "add-uid", .kind = OPTION_LIST, .value = &uids.add, .arg = "USER", .help = "set: one more" },
		{ .name = "remove-uid", .kind = OPTION_LIST, .value = &uids.remove, .arg = "USER", .help = "set: one less" },
		{ .name = "disconnect", .kind = OPTION_FLAG, .value = &disconnect,
		  .help = "set: end all mounts of the account, once it is changed" },
		{ .name = NULL },
	};
	struct operands operands;

	int code = command_parse(&command_account, options, argc, argv, 2, 70, &operands);
	if (code >= 0)
		return code;
	if (disconnect && (strcmp(operands.items[0], "set") || operands.count < 3)) {
		complain("usage: imagefs account set --disconnect STORE NAME [KEY VALUE]...");
		return EXIT_USAGE;
	}
	if (!disconnect || operands.count > 3 || uids.uids.count || uids.add.count || uids.remove.count)
		code = manage_places(&command_account, &operands, &uids, json);
	return disconnect && code <= 0 ? manage_disconnect(operands.items[1], operands.items[2], json) : code;
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
