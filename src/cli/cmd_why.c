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

static int run(int argc, char **argv)
{
	bool json = false;
	const struct option_spec options[] = {
		{ .name = "json", .kind = OPTION_FLAG, .value = &json, .help = "print JSON" },
		{ .name = NULL },
	};
	struct operands operands;
	struct error err;
	AUTO_FREE struct mount_entry *mount = malloc(sizeof *mount);
	AUTO_BUF struct buf text = BUF_INIT, out = BUF_INIT;

	int code = command_parse(&command_why, options, argc, argv, 0, 1, &operands);
	if (code >= 0)
		return code;
	if (!mount || inside_mount(operands.count ? operands.items[0] : ".", mount, &err))
		return complain_of(&err);
	AUTO_FREE char *why = path_join(mount->dir, ".why");
	if (read_text(why, &text, &err))
		return complain_of(&err);
	if (json)
		to_json(text.data, &out);
	return print_text(json ? out.data : text.data);
}

const struct command command_why = {
	.name = "why",
	.operands = "[PATH]",
	.summary = "show what was refused to you lately, and why",
	.text = "Prints the file .why of the mount that PATH (or the current folder) lies in.",
	.run = run,
};
