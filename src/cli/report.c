/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/facts.h"
#include "cli/table.h"

void report_begin(struct report *r, bool json, const char *line_key)
{
	*r = (struct report){ .facts = BUF_INIT, .json = json, .line_key = line_key };
}

void report_end(struct report *r)
{
	if (r->shows)
		progress_end(&r->progress);
	r->shows = false;
}

void report_free(struct report *r) { buf_free(&r->facts); }

static void take_fact(void *ctx, const char *text)
{
	struct report *r = ctx;
	buf_addf(&r->facts, "%s\n", text);
}

/* A bar on the terminal would be torn by the line: it comes back with the next progress. */
static void take_line(void *ctx, const char *text)
{
	struct report *r = ctx;
	AUTO_BUF struct buf line = BUF_INIT;
	if (r->json) {
		facts_add(&r->facts, r->line_key, "%s", text);
		return;
	}
	if (r->shows && r->progress.terminal)
		progress_end(&r->progress);
	buf_addf(&line, "%s\n", text);
	(void)print_text(line.data); /* said so; the facts at the end fail as well */
}

static void take_progress(void *ctx, uint64_t done, uint64_t total, const char *what)
{
	struct report *r = ctx;
	if (r->shows && strcmp(r->stage, what))
		report_end(r);
	if (!r->shows) {
		snprintf(r->stage, sizeof r->stage, "%s", what);
		progress_begin(&r->progress, what, PROGRESS_ITEMS);
		r->shows = true;
	}
	progress_at(&r->progress, done, total);
}

struct sink report_sink(struct report *r)
{
	return (struct sink){ .fact = take_fact, .line = take_line, .progress = take_progress, .ctx = r };
}

int report_print(struct report *r)
{
	AUTO_BUF struct buf out = BUF_INIT;
	buf_adds(&r->facts, "");
	buf_adds(&out, "");
	if (r->is_table)
		(r->json ? table_json : table_text)(r->facts.data, &out);
	else if (r->json)
		facts_json(r->facts.data, &out);
	return print_text(r->is_table || r->json ? out.data : r->facts.data);
}
