/* SPDX-License-Identifier: Apache-2.0 */
/* imagefs COMMAND [OPTION...] [OPERAND...] */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/inherited.h"
#include "daemon/daemon.h"
#include "domain/check_reader.h"
#include "domain/probe_cage.h"
#include "front/notes.h"

int main(int argc, char **argv)
{
	inherited_complete();
	inherited_signals();
	if (argc < 2)
		return command_help.run(0, NULL), EXIT_USAGE;
	if (strcmp(argv[1], "daemon") == 0 && argc == 3)
		return daemon_main(argv[2]); /* hidden: the keeper executes it */
	if (strcmp(argv[1], "notifier") == 0 && argc == 2)
		return notifier_main(); /* hidden: the daemon executes it */
	if (strcmp(argv[1], "prober") == 0 && argc == 2)
		return prober_main(); /* hidden, too */
	if (strcmp(argv[1], "reader") == 0 && argc == 3)
		return reader_main(argv[2]); /* hidden, too */
	signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error to report, not a death */
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return command_help.run(0, NULL);
	if (strcmp(argv[1], "--version") == 0)
		return command_version.run(1, argv + 1);
	const struct command *command = command_find(argv[1]);
	if (command)
		return command->run(argc - 1, argv + 1);
	complain("there is no command %s; `imagefs help` lists them", argv[1]);
	return EXIT_USAGE;
}
