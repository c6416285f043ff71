/* SPDX-License-Identifier: Apache-2.0 */
/* A mount is asked through the store that it is of: what one may see is the same either way. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/inside.h"
#include "cli/owner.h"

struct question {
	const char *month, *account;
	bool csv, json;
};

static int usage_here(void *arg, struct service *service, const struct sink *sink, struct error *err)
{
	return work_usage(service, geteuid(), arg, sink, err);
}

static void take_line(void *ctx, const char *text)
{
	buf_addf(ctx, "%s\n", text);
}

static int ask(const char *path, const struct question *q, struct buf *ret, struct error *err)
{
	AUTO_FREE char *store = NULL;
	AUTO_BUF struct buf arguments = BUF_INIT, request = BUF_INIT;
	struct sink sink = { .line = take_line, .ctx = ret };
	int r = store_find(path, &store, err);
	if (!r)
		r = owner_become(store, err);
	if (r)
		return r;
	buf_addf(&arguments, "%s %s %s", q->csv || q->json ? "csv" : "text", q->month ? q->month : "-", q->account ? q->account : "-");
	buf_addf(&request, "usage %s", arguments.data);
	struct store_job job = { .request = request.data, .offline = usage_here, .arg = arguments.data };
	return store_do(store, &job, &sink, err);
}

/* ---- CSV to JSON: a field in quotes may have commas and doubled quotes in it */
static const char *take_field(const char *p, struct buf *ret)
{
	bool quoted = *p == '"';
	buf_clear(ret);
	buf_adds(ret, "");
	for (p += quoted; *p && (quoted || (*p != ',' && *p != '\n')); p++) {
		if (quoted && *p == '"' && *++p != '"')
			break;
		buf_add(ret, p, 1);
	}
	return *p == ',' ? p + 1 : p;
}

static bool is_number(const char *key)
{
	return strcmp(key, "quantity") == 0 || strcmp(key, "rate") == 0 || strcmp(key, "amount") == 0;
}

static const char *add_object(const char *header, const char *line, struct buf *out)
{
	AUTO_BUF struct buf key = BUF_INIT, value = BUF_INIT;
	for (const char *comma = "{"; *header && *header != '\n'; comma = ", ") {
		header = take_field(header, &key);
		line = take_field(line, &value);
		buf_addf(out, "%s\"%s\": ", comma, key.data);
		if (is_number(key.data))
			buf_adds(out, value.data);
		else
			buf_json(out, value.data);
	}
	buf_adds(out, "}");
	return line + (*line == '\n');
}

static void to_json(const char *csv, struct buf *out)
{
	const char *comma = "\n  ", *line = csv + strcspn(csv, "\n");
	buf_adds(out, "[");
	for (line += *line == '\n'; *line; comma = ",\n  ") {
		buf_adds(out, comma);
		line = add_object(csv, line, out);
	}
	buf_adds(out, "\n]\n");
}

/* They are words of a request: none of them has a blank in it. */
static bool is_word(const char *text, size_t max)
{
	return !text || (*text && strlen(text) <= max && !text[strcspn(text, " \t\n")]);
}

static int run(int argc, char **argv)
{
	struct question q = { NULL, NULL, false, false };
	const struct option_spec options[] = {
		{ .name = "account", .kind = OPTION_TEXT, .value = &q.account, .arg = "NAME", .help = "of this account" },
		{ .name = "csv", .kind = OPTION_FLAG, .value = &q.csv, .help = "print each line of the bill as CSV" },
		{ .name = "json", .kind = OPTION_FLAG, .value = &q.json, .help = "print each line of the bill as JSON" },
		{ .name = "month", .kind = OPTION_TEXT, .value = &q.month, .arg = "YYYY-MM",
		  .help = "a month that is over; without it, this month so far" },
		{ .name = NULL },
	};
	struct operands operands;
	struct error err;
	AUTO_BUF struct buf text = BUF_INIT, json = BUF_INIT;

	int code = command_parse(&command_usage, options, argc, argv, 1, 1, &operands);
	if (code >= 0)
		return code;
	if ((q.csv && q.json) || !is_word(q.month, 7) || !is_word(q.account, 32)) {
		complain(q.csv && q.json ? "--csv or --json, not both" : "a month is given as 2026-11, an account by its name");
		return EXIT_USAGE;
	}
	buf_adds(&text, "");
	if (ask(operands.items[0], &q, &text, &err))
		return complain_of_usage(&err);
	if (q.json)
		to_json(text.data, &json);
	return print_text(q.json ? json.data : text.data);
}

const struct command command_usage = {
	.name = "usage",
	.operands = "PATH",
	.summary = "show what is stored and run, and what it costs",
	.text = "PATH is a store, or something in a mount. Everybody sees their own account;\n"
		"operators see all of them together, or with --account one.",
	.run = run,
};
