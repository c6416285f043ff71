/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <stdlib.h>
#include <string.h>

#include "cli/format.h"

static const struct option_spec *find_option(const struct option_spec *o, const char *name, size_t len)
{
	for (; o->name; o++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

static int set_number(const struct option_spec *o, const char *text, struct error *err)
{
	char *end;
	errno = 0;
	long v = strtol(text, &end, 10);
	if (errno || !*text || *end || v < o->min || v > o->max)
		return fail(err, -EINVAL, "--%s takes a number from %d to %d, not \"%s\"", o->name, o->min, o->max, text);
	*(int *)o->value = (int)v;
	return 0;
}

static int add_to_list(const struct option_spec *o, const char *text, struct error *err)
{
	struct option_list *list = o->value;
	if (list->count + 1 >= sizeof list->items / sizeof list->items[0])
		return fail(err, -EINVAL, "--%s is given too often", o->name);
	list->items[list->count++] = text;
	list->items[list->count] = NULL;
	return 0;
}

static int set_value(const struct option_spec *o, const char *text, struct error *err)
{
	switch (o->kind) {
	case OPTION_FLAG:
		*(bool *)o->value = true;
		return 0;
	case OPTION_TEXT:
		*(const char **)o->value = text;
		return 0;
	case OPTION_NUMBER:
		return set_number(o, text, err);
	case OPTION_SIZE:
		if (size_parse(text, o->value) == 0)
			return 0;
		return fail(err, -EINVAL, "--%s takes a size such as 64M or 2GiB, not \"%s\"", o->name, text);
	case OPTION_LIST:
		return add_to_list(o, text, err);
	}
	return -EINVAL;
}

/* One "--…" at argv[*at]; moves *at on when it takes the next one as its value. */
static int take_option(const struct option_spec *table, int argc, char **argv, int *at, struct error *err)
{
	const char *name = argv[*at] + 2, *value = strchr(name, '=');
	size_t len = value ? (size_t)(value - name) : strlen(name);
	const struct option_spec *o = find_option(table, name, len);
	if (!o)
		return fail(err, -EINVAL, "there is no option --%.*s", (int)len, name);
	if (o->kind == OPTION_FLAG && value)
		return fail(err, -EINVAL, "--%s takes no value", o->name);
	if (value)
		value++;
	else if (o->kind != OPTION_FLAG && ++*at < argc)
		value = argv[*at];
	if (o->kind != OPTION_FLAG && !value)
		return fail(err, -EINVAL, "--%s needs a value: --%s %s", o->name, o->name, o->arg);
	return set_value(o, value, err);
}

int options_parse(const struct option_spec *table, int argc, char **argv, struct operands *ret, struct error *err)
{
	bool options = true;
	*ret = (struct operands){ .items = argv + 1 };
	for (int i = 1; i < argc; i++) {
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (options && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
			ret->help = true;
			return 0;
		} else if (options && strncmp(argv[i], "--", 2) == 0) {
			int r = take_option(table, argc, argv, &i, err);
			if (r)
				return r;
		} else if (options && argv[i][0] == '-' && argv[i][1]) {
			return fail(err, -EINVAL, "there is no option %s", argv[i]);
		} else {
			ret->items[ret->count++] = argv[i];
		}
	}
	return 0;
}
