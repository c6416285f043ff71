/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#include "tap.h"

struct values {
	bool flag;
	const char *text;
	int number;
	uint64_t size;
	struct option_list list;
};

#define ARGS_MAX 80

/* Parses the words, NULL at the end, as the arguments of a command. */
static int parse(struct values *v, const char *const *words, struct operands *ret, struct error *err)
{
	static char command[] = "command", copies[ARGS_MAX][64];
	static char *argv[ARGS_MAX + 2];
	int argc = 1;
	const struct option_spec table[] = {
		{ .name = "flag", .kind = OPTION_FLAG, .value = &v->flag },
		{ .name = "text", .kind = OPTION_TEXT, .value = &v->text, .arg = "TEXT" },
		{ .name = "number", .kind = OPTION_NUMBER, .value = &v->number, .arg = "N", .min = 1, .max = 19 },
		{ .name = "size", .kind = OPTION_SIZE, .value = &v->size, .arg = "SIZE" },
		{ .name = "list", .kind = OPTION_LIST, .value = &v->list, .arg = "X" },
		{ .name = NULL },
	};
	argv[0] = command;
	for (; words[argc - 1]; argc++) {
		snprintf(copies[argc - 1], sizeof copies[0], "%s", words[argc - 1]);
		argv[argc] = copies[argc - 1];
	}
	argv[argc] = NULL;
	*v = (struct values){ .number = -1 };
	return options_parse(table, argc, argv, ret, err);
}

#define PARSE(...) parse(&v, (const char *const[]){ __VA_ARGS__, NULL }, &o, &err)

static void test_good(void)
{
	struct values v;
	struct operands o;
	struct error err;

	is_int(PARSE("one", "--flag", "two", "--text", "a b", "--number=7", "--size", "64M", "--list=x", "--list", "y"), 0,
	       "options and operands in any order");
	ok(v.flag, "a flag is set");
	is_str(v.text, "a b", "a value of its own");
	is_int(v.number, 7, "a value after =");
	is_int(v.size, 64 << 20, "a size");
	is_int(v.list.count, 2, "a list grows");
	is_str(v.list.items[1], "y", "in order");
	ok(v.list.items[2] == NULL, "and ends with NULL");
	is_int(o.count, 2, "operands are counted");
	is_str(o.items[1], "two", "and kept in order");

	is_int(PARSE("-", "--", "--flag"), 0, "- is an operand, -- ends the options");
	is_int(o.count, 2, "both are operands");
	is_str(o.items[1], "--flag", "what follows -- is not looked at");
	ok(!v.flag, "nor carried out");

	is_int(PARSE("--text=", "--text", "--flag"), 0, "a value may be empty, or look like an option");
	is_str(v.text, "--flag", "the last one counts");
	is_int(PARSE("--help", "--nonsense"), 0, "--help ends the reading");
	ok(o.help, "and is seen");
	is_int(PARSE("-h"), 0, "-h as well");
	ok(o.help, "is help");
}

static void test_bad(void)
{
	struct values v;
	struct operands o;
	struct error err;

	is_int(PARSE("--nonsense"), -EINVAL, "an unknown option");
	ok(strstr(err.text, "--nonsense") != NULL, "is named: %s", err.text);
	is_int(PARSE("--fla"), -EINVAL, "options are not abbreviated");
	is_int(PARSE("-x"), -EINVAL, "there are no short ones");
	is_int(PARSE("--flag=yes"), -EINVAL, "a flag has no value");
	is_int(PARSE("--text"), -EINVAL, "a value that is missing");
	is_int(PARSE("--number", "0"), -EINVAL, "a number too small");
	is_int(PARSE("--number", "20"), -EINVAL, "too large");
	is_int(PARSE("--number", "7x"), -EINVAL, "no number");
	is_int(PARSE("--number="), -EINVAL, "no number at all");
	is_int(PARSE("--size", "7Q"), -EINVAL, "no size");

	const char *many[ARGS_MAX];
	for (int i = 0; i < 70; i++)
		many[i] = "--list=x";
	many[70] = NULL;
	is_int(parse(&v, many, &o, &err), -EINVAL, "a list has an end");
	is_int(v.list.count, 64, "which is not overrun");
}

int main(void)
{
	test_good();
	test_bad();
	return done_testing();
}
