/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/inside.h"

static void add_json_line(struct buf *b, const char *line)
{
	static const char *const names[] = { "time", "pid", "operation", "path", "errno", "why" };
	for (unsigned i = 0; i < WHY_FIELDS; i++) {
		unsigned len;
		const char *text = why_field(line, i, &len);
		AUTO_BUF struct buf copy = BUF_INIT;
		buf_add(&copy, text, len);
		buf_addf(b, "%s\"%s\": ", i ? ", " : "{", names[i]);
		if (i == WHY_PID && len && strspn(copy.data, "0123456789") == len)
			buf_adds(b, copy.data);
		else
			buf_json(b, copy.data);
	}
	buf_adds(b, "}");
}

/* A first line that names the columns begins with no digit. */
static void to_json(const char *text, struct buf *ret)
{
	const char *comma = "\n  ";
	buf_adds(ret, "[");
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		if (!isdigit((unsigned char)*text))
			continue;
		buf_adds(ret, comma);
		add_json_line(ret, text);
		comma = ",\n  ";
	}
	buf_adds(ret, "\n]\n");
}

struct wanted {
	const char *path; /* in the mount; "": all */
	const char *pid;  /* NULL: all */
};

static bool is_wanted(const char *line, const struct wanted *w)
{
	unsigned len, n = (unsigned)strlen(w->path);
	const char *pid = why_field(line, WHY_PID, &len);
	if (w->pid && (len != strlen(w->pid) || memcmp(pid, w->pid, len)))
		return false;
	const char *path = why_field(line, WHY_PATH, &len);
	return !n || (len >= n && memcmp(path, w->path, n) == 0 && (len == n || path[n] == '/'));
}

static void pick(const char *text, const struct wanted *w, struct buf *ret)
{
	buf_adds(ret, "");
	for (size_t n; *text; text += n) {
		n = strcspn(text, "\n");
		n += text[n] == '\n';
		if (!isdigit((unsigned char)*text) || is_wanted(text, w))
			buf_add(ret, text, (unsigned)n);
	}
}

static int run(int argc, char **argv)
{
	bool json = false;
	struct wanted wanted = { "", NULL };
	const struct option_spec options[] = {
		{ .name = "pid", .kind = OPTION_TEXT, .value = &wanted.pid, .arg = "PID", .help = "only what this process was refused" },
		{ .name = "json", .kind = OPTION_FLAG, .value = &json, .help = "print JSON" },
		{ .name = NULL },
	};
	struct operands operands;
	struct error err;
	AUTO_FREE struct mount_entry *mount = malloc(sizeof *mount);
	AUTO_BUF struct buf all = BUF_INIT, text = BUF_INIT, out = BUF_INIT;

	int code = command_parse(&command_why, options, argc, argv, 0, 1, &operands);
	if (code >= 0)
		return code;
	if (wanted.pid && (!*wanted.pid || wanted.pid[strspn(wanted.pid, "0123456789")])) {
		complain("--pid takes the number of a process");
		return EXIT_USAGE;
	}
	AUTO_FREE char *inside = NULL;
	if (!mount || inside_where(operands.count ? operands.items[0] : ".", mount, &inside, &err))
		return complain_of(&err);
	wanted.path = operands.count ? inside : "";
	AUTO_FREE char *why = path_join(mount->dir, ".why");
	if (read_text(why, &all, &err))
		return complain_of(&err);
	pick(all.data, &wanted, &text);
	if (json)
		to_json(text.data, &out);
	return print_text(json ? out.data : text.data);
}

const struct command command_why = {
	.name = "why",
	.operands = "[PATH]",
	.summary = "show what was refused to you lately, and why",
	.text = "Prints the file .why of the mount that PATH (or the current folder) lies in;\n"
		"with PATH only what is about it and what lies in it, be it there or not.",
	.run = run,
};
