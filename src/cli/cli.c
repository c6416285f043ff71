/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

const struct command *const commands[] = {
	&command_init, &command_mount, &command_umount, &command_serve, &command_import, &command_export, &command_status,
	&command_why, &command_check, &command_gc, &command_account, &command_region, &command_policy, &command_usage,
	&command_version, &command_help, NULL,
};

const struct command *command_find(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

void complain(const char *format, ...)
{
	char text[1200];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "imagefs: %s\n", text);
}

int exit_code_of(int code)
{
	switch (code) {
	case -ENOENT:
	case -ENOTDIR:
		return EXIT_ABSENT;
	case -EBUSY:
	case -EALREADY:
	case -EAGAIN:
		return EXIT_BUSY;
	case -EACCES:
	case -EPERM:
		return EXIT_DENIED;
	default:
		return EXIT_REFUSED;
	}
}

int complain_of_usage(const struct error *err)
{
	int code = complain_of(err);
	return err->code == -EINVAL ? EXIT_USAGE : code;
}

int complain_of(const struct error *err)
{
	complain("%s", err->text);
	return exit_code_of(err->code);
}

static void add_option(struct buf *b, const struct option_spec *o)
{
	char left[40];
	snprintf(left, sizeof left, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	buf_addf(b, "  %-24s %s\n", left, o->help);
}

void command_help_text(const struct command *c, const struct option_spec *options, struct buf *ret)
{
	static const struct option_spec help = { .name = "help", .help = "show this" };
	buf_addf(ret, "Usage: imagefs %s [OPTION...]%s%s\n\n%c%s.\n", c->name, *c->operands ? " " : "", c->operands,
		 c->summary[0] - 'a' + 'A', c->summary + 1);
	if (c->text)
		buf_addf(ret, "\n%s\n", c->text);
	buf_adds(ret, "\nOptions:\n");
	for (; options->name; options++)
		add_option(ret, options);
	add_option(ret, &help);
	buf_addf(ret, "\nSee imagefs-%s(1).\n", c->name);
}

int print_text(const char *text)
{
	size_t left = strlen(text);
	while (left > 0) {
		ssize_t n = write(STDOUT_FILENO, text, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			complain("cannot write to standard output: %s", strerror(errno));
			return EXIT_REFUSED;
		}
		text += n;
		left -= (size_t)n;
	}
	return EXIT_DONE;
}

int command_parse(const struct command *c, const struct option_spec *options, int argc, char **argv, int min, int max,
		  struct operands *ret)
{
	AUTO_BUF struct buf help = BUF_INIT;
	struct error err;
	if (options_parse(options, argc, argv, ret, &err)) {
		complain("%s; see `imagefs %s --help`", err.text, c->name);
		return EXIT_USAGE;
	}
	if (ret->help) {
		command_help_text(c, options, &help);
		return print_text(help.data);
	}
	if (ret->count >= min && ret->count <= max)
		return -1;
	complain("usage: imagefs %s [OPTION...]%s%s", c->name, *c->operands ? " " : "", c->operands);
	return EXIT_USAGE;
}
