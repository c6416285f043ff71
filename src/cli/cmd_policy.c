/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/manage.h"

struct scope {
	const char *account, *region;
};

static int begin_request(struct buf *ret, const char *verb, const struct scope *s, struct error *err)
{
	int r = manage_field(ret, "policy", err);
	if (!r)
		r = manage_field(ret, verb, err);
	if (!r)
		r = manage_field(ret, s->account ? s->account : "", err);
	return r ? r : manage_field(ret, s->region ? s->region : "", err);
}

/* NAME... becomes NAME -. */
static int add_resets(struct buf *ret, char *const *names, int count, struct error *err)
{
	static char dash[] = "-";
	int r = 0;
	for (int i = 0; i < count && !r; i++)
		r = manage_pairs(ret, (char *const[]){ names[i], dash }, 2, err);
	return r;
}

static int make_request(struct buf *ret, const struct operands *o, const struct scope *s, struct error *err)
{
	const char *verb = o->items[0];
	bool shows = strcmp(verb, "show") == 0, resets = strcmp(verb, "reset") == 0;
	int r = begin_request(ret, shows ? "show" : "set", s, err);
	if (r || shows)
		return r;
	return resets ? add_resets(ret, o->items + 2, o->count - 2, err) : manage_pairs(ret, o->items + 2, o->count - 2, err);
}

static int run(int argc, char **argv)
{
	static const struct manage_verb verbs[] = {
		{ "show", 0, 0, MANAGE_TABLE }, { "set", 2, 64, MANAGE_THING }, { "reset", 1, 64, MANAGE_THING }, { .name = NULL },
	};
	bool json = false;
	struct scope scope = { NULL, NULL };
	const struct option_spec options[] = {
		{ .name = "account", .kind = OPTION_TEXT, .value = &scope.account, .arg = "NAME", .help = "of this account" },
		{ .name = "json", .kind = OPTION_FLAG, .value = &json, .help = "print JSON" },
		{ .name = "region", .kind = OPTION_TEXT, .value = &scope.region, .arg = "NAME", .help = "in this region" },
		{ .name = NULL },
	};
	struct operands operands;
	struct error err;
	AUTO_BUF struct buf request = BUF_INIT;

	int code = command_parse(&command_policy, options, argc, argv, 2, 66, &operands);
	if (code >= 0)
		return code;
	const struct manage_verb *verb = manage_verb(&command_policy, verbs, &operands);
	if (!verb)
		return EXIT_USAGE;
	if (make_request(&request, &operands, &scope, &err)) {
		complain("%s", err.text);
		return EXIT_USAGE;
	}
	return manage_run(operands.items[1], &request, verb->form, json);
}

const struct command command_policy = {
	.name = "policy",
	.operands = "show|set|reset STORE [NAME [VALUE]]...",
	.summary = "show and change the limits in force",
	.text = "Of the whole store, of a region, of an account, or of an account in a region: the\n"
		"narrowest that has a value counts. show tells where each value is from. Operators\n"
		"may change; others are shown their own. The same as the files .policy in a mount.",
	.run = run,
};
