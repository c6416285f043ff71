/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "base/buf.h"
#include "cli/cli.h"

static void list_commands(struct buf *b)
{
	buf_adds(b, "Usage: imagefs COMMAND [OPTION...] [OPERAND...]\n\n"
		    "An image service that is a file system. Images are directories: cp, mv, rm, ln\n"
		    "and chmod import, copy, rename, delete and protect them. These commands do\n"
		    "the rest:\n\n");
	for (const struct command *const *c = commands; *c; c++)
		buf_addf(b, "  %-9s %s\n", (*c)->name, (*c)->summary);
	buf_adds(b, "\n`imagefs COMMAND --help` tells more, and so do imagefs(1) and imagefs-COMMAND(1).\n"
		    "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not found or not\n"
		    "mounted, 4 busy, 5 damage found, 6 not permitted.\n");
}

static int run(int argc, char **argv)
{
	static const struct option_spec none[] = { { .name = NULL } };
	struct operands operands = { .count = 0 };
	AUTO_BUF struct buf text = BUF_INIT;

	int code = argc ? command_parse(&command_help, none, argc, argv, 0, 1, &operands) : -1;
	if (code >= 0)
		return code;
	if (operands.count == 0) {
		list_commands(&text);
		return print_text(text.data);
	}
	const struct command *command = command_find(operands.items[0]);
	if (!command) {
		complain("there is no command %s; `imagefs help` lists them", operands.items[0]);
		return EXIT_USAGE;
	}
	char help[] = "--help", *args[] = { operands.items[0], help, NULL };
	return command->run(2, args);
}

const struct command command_help = {
	.name = "help",
	.operands = "[COMMAND]",
	.summary = "list the commands, or explain one",
	.run = run,
};
