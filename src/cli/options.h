/* SPDX-License-Identifier: Apache-2.0 */
/* options: long options in a table, which is also what --help is made from.
 *
 * `--name`, `--name VALUE`, `--name=VALUE`, in any order with the operands; `--` ends them; `-` alone is an
 * operand. `--help` (and -h) is known to every table. */
#ifndef IMAGEFS_CLI_OPTIONS_H
#define IMAGEFS_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_TEXT,   /* const char * */
	OPTION_NUMBER, /* int */
	OPTION_SIZE,   /* uint64_t: 64M, 1GiB, … */
	OPTION_LIST,   /* struct option_list */
};

struct option_list {
	const char *items[65]; /* NULL-terminated */
	unsigned count;
};

struct option_spec {
	const char *name;  /* NULL ends the table */
	enum option_kind kind;
	void *value;       /* what it sets, of the type above */
	const char *arg;   /* placeholder for the help: "SIZE" */
	const char *help;
	int min, max;      /* of a number */
};

struct operands {
	char **items; /* in argv, moved to its front */
	int count;
	bool help;
};

/* -EINVAL with a sentence. argv[0] is skipped. */
int options_parse(const struct option_spec *, int argc, char **argv, struct operands *ret, struct error *err) MUST_USE;

#endif
