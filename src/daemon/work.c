/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/work.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/shown.h"
#include "domain/check.h"
#include "domain/gc.h"
#include "domain/manage.h"
#include "domain/usage.h"

void sink_fact(const struct sink *s, const char *format, ...)
{
	char text[5000];
	va_list ap;
	if (!s->fact)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	shown_safe(text);
	s->fact(s->ctx, text);
}

void sink_facts(const struct sink *s, const char *lines)
{
	while (*lines) {
		size_t n = strcspn(lines, "\n");
		if (n)
			sink_fact(s, "%.*s", (int)n, lines);
		lines += n + (lines[n] == '\n');
	}
}

int work_facts(struct service *service, bool all, const struct sink *s, struct error *err)
{
	AUTO_BUF struct buf facts = BUF_INIT;
	int r = service_facts(service, all, &facts, err);
	if (r == 0 && facts.len)
		sink_facts(s, facts.data);
	return r;
}

static void problem_found(void *ctx, const char *sentence)
{
	const struct sink *s = ctx;
	if (s->line)
		s->line(s->ctx, sentence);
}

static void progressed(void *ctx, uint64_t done, uint64_t total, const char *what)
{
	const struct sink *s = ctx;
	if (s->progress)
		s->progress(s->ctx, done, total, what);
}

static void check_facts(const struct sink *s, const struct check_report *report)
{
	sink_fact(s, "images: %" PRIu64, report->images);
	sink_fact(s, "disks: %" PRIu64, report->disks);
	sink_fact(s, "nodes: %" PRIu64, report->nodes);
	sink_fact(s, "chunks: %" PRIu64, report->chunks);
	sink_fact(s, "packs: %" PRIu64, report->packs);
	sink_fact(s, "bytes: %" PRIu64, report->bytes);
	sink_fact(s, "problems: %" PRIu64, report->problems);
}

/* What it finds in rows is said when the catalog is open; until then it is kept for the case that it cannot be. */
int work_check_closed(const char *store, const struct sink *s, bool *ret_open, struct error *err)
{
	struct sink sink = *s;
	struct check_options silent = { .problem = NULL }, loud = { .problem = problem_found, .ctx = &sink };
	struct check_report report = { 0 };
	int r = check_closed(store, "/proc/self/exe", &silent, &report, ret_open, err);
	if (r || *ret_open)
		return r;
	report.problems = 0;
	r = check_closed(store, "/proc/self/exe", &loud, &report, ret_open, err);
	if (r == 0)
		check_facts(s, &report);
	return r;
}

int work_check(struct service *service, bool read_data, const struct sink *s, struct error *err)
{
	struct sink sink = *s;
	struct check_options options = {
		.read_data = read_data, .problem = problem_found, .progress = progressed, .ctx = &sink,
	};
	struct check_report report = { 0 };
	int r = check_run(service, &options, &report, err);
	if (r)
		return r;
	check_facts(s, &report);
	return 0;
}

static void gc_said(void *ctx, const char *line) { problem_found(ctx, line); }

int work_gc(struct service *service, bool squeeze, const struct sink *s, struct error *err)
{
	struct sink sink = *s;
	struct gc_report report = { 0 };
	struct gc_report squeezed = { 0 };
	int r = gc_run(service->gc, gc_said, &sink, &report, err);
	if (r == 0 && squeeze)
		r = gc_squeeze(service->gc, gc_said, &sink, &squeezed, err);
	if (r)
		return r;
	sink_fact(s, "objects: %" PRIu64, report.objects);
	sink_fact(s, "bytes: %" PRIu64, report.bytes);
	sink_fact(s, "packs-removed: %" PRIu64, report.packs_removed);
	sink_fact(s, "packs-compacted: %" PRIu64, report.packs_compacted);
	if (squeeze)
		sink_fact(s, "packs-squeezed: %" PRIu64, squeezed.packs_compacted);
	sink_fact(s, "images-purged: %" PRIu64, report.images_purged);
	return 0;
}

int work_manage(struct service *service, uint32_t uid, const char *request, const struct sink *s, struct error *err)
{
	AUTO_BUF struct buf facts = BUF_INIT;
	struct who who;
	int r = manage_who(service, uid, &who, err);
	if (r == 0)
		r = manage(service, &who, request, &facts, err);
	if (r == 0 && facts.len)
		sink_facts(s, facts.data);
	return r;
}

/* As the account of this uid, line by line. */
int work_usage(struct service *service, uint32_t uid, const char *request, const struct sink *s, struct error *err)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct who who;
	int r = manage_who(service, uid, &who, err);
	if (r == 0)
		r = usage_request(service, &who, request, &text, err);
	for (char *line = text.data, *end; r == 0 && line && s->line && (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		s->line(s->ctx, line);
	}
	return r;
}
