/* SPDX-License-Identifier: Apache-2.0 */
/* cli: the program `imagefs`: its commands, what they share, and their exit codes. */
#ifndef IMAGEFS_CLI_CLI_H
#define IMAGEFS_CLI_CLI_H

#include "base/err.h"
#include "cli/options.h"

/* Scripts rely on these; every manual page lists them. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* refused, or failed */
	EXIT_USAGE = 2,
	EXIT_ABSENT = 3,  /* not found, not a store, not mounted */
	EXIT_BUSY = 4,
	EXIT_DAMAGED = 5,
	EXIT_DENIED = 6,  /* not permitted */
};

struct command {
	const char *name;
	const char *operands; /* "STORE DIR" */
	const char *summary;  /* one line, lower case, no full stop */
	const char *text;     /* more for --help; may be NULL */
	int (*run)(int argc, char **argv); /* argv[0] is the command's name; an exit code */
};

extern const struct command command_init, command_mount, command_umount, command_serve, command_import, command_export,
	command_status, command_why, command_check, command_gc, command_account, command_region, command_policy, command_usage, command_version,
	command_help;

/* All of them, NULL at the end; and the one of this name, or NULL. */
extern const struct command *const commands[];
const struct command *command_find(const char *name);

/* Options and operands of a command. -1: go on with *ret; else exit with this code (help was shown, or
 * usage was wrong and said so). `min` to `max` operands. */
int command_parse(const struct command *, const struct option_spec *, int argc, char **argv, int min, int max,
		  struct operands *ret);

/* What --help prints. */
struct buf;
void command_help_text(const struct command *, const struct option_spec *, struct buf *ret);

/* "imagefs: SENTENCE" on standard error. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The sentence of err, and the exit code for it. */
int complain_of(const struct error *);
/* The same, of what was said on the command line and nothing else: a name or value that cannot be is wrong usage. */
int complain_of_usage(const struct error *);
int exit_code_of(int code);

/* Print a text to standard output; an exit code (a full disk, a closed pipe: EXIT_REFUSED). */
int print_text(const char *text);

#endif
