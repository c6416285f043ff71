/* SPDX-License-Identifier: Apache-2.0 */
/* check: in what order, and what is said.
 *
 * Everything but the bytes of chunks is compared within a copy of the catalog, which is made page by page and is gone with the check. A
 * snapshot that is read for an hour would keep every page that is replaced meanwhile, and the catalog never gets smaller again; the
 * copy keeps them as long as it takes to write it. What it names stays in the pool (gc_keep_packs), whatever is written, moved or
 * deleted meanwhile, so nothing has to be retried. First every row of the copy is read by a process that may die of it
 * (check_tables.c). All bytes are read before that (check_data.c), holding the collector for one pack at a time.
 */
#include "domain/check.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "domain/check_int.h"
#include "domain/gc_int.h"

void check_problem(struct check *c, enum problem_kind kind, const char *format, ...)
{
	char sentence[1000];
	va_list ap;
	c->report->problems++;
	if (++c->problems_of[kind] > KIND_MAX || !c->options->problem)
		return;
	va_start(ap, format);
	vsnprintf(sentence, sizeof sentence, format, ap);
	va_end(ap);
	c->options->problem(c->options->ctx, sentence);
}

static void say_how_many_more(struct check *c)
{
	static const char *const names[PROBLEM_KINDS_] = {
		"packs", "objects", "reference counts", "images", "names", "totals", "meters",
		"leftovers", "the catalog's rows",
	};
	for (unsigned i = 0; i < PROBLEM_KINDS_; i++) {
		char sentence[200];
		if (c->problems_of[i] <= KIND_MAX || !c->options->problem)
			continue;
		snprintf(sentence, sizeof sentence, "%llu more problems with %s are not listed",
			 (unsigned long long)(c->problems_of[i] - KIND_MAX), names[i]);
		c->options->problem(c->options->ctx, sentence);
	}
}

void check_progress(struct check *c, uint64_t done, uint64_t total, const char *what)
{
	if (c->options->progress)
		c->options->progress(c->options->ctx, done, total, what);
}

int check_walked(struct check *c, int r, const char *table, struct error *err)
{
	if (r >= 0)
		return 0;
	if (r != ERR_DAMAGED)
		return fail(err, r, "The catalog's table of %s cannot be read (%s).", table, err_name(r));
	check_problem(c, PROBLEM_NAME, "the catalog's table of %s holds a row that makes no sense", table);
	return 0;
}

static int compare(struct check *c, struct error *err)
{
	int r = check_objects_load(c, err);
	if (r == 0)
		r = check_packs(c, err);
	if (r == 0)
		r = check_refs(c, err);
	if (r == 0)
		r = check_maps(c, err);
	if (r == 0)
		r = check_names(c, err);
	if (r == 0)
		r = check_shares(c, err);
	if (r == 0)
		r = check_meters(c, err);
	check_objects_free(c);
	free(c->packs);
	return r;
}

static int compare_in(struct check *c, int fd, struct error *err)
{
	struct catalog *copy;
	int r = catalog_open_copy(&copy, fd, err);
	if (r)
		return r;
	r = cat_begin(copy, &c->txn, err);
	if (r == 0) {
		r = compare(c, err);
		cat_end(&c->txn);
	}
	catalog_close(copy);
	return r;
}

static void say_what_is_left_out(const struct check *c)
{
	if (c->options->problem)
		c->options->problem(c->options->ctx, "nothing else was compared, because that cannot be done without reading these tables");
}

static int check_catalog(struct check *c, struct error *err)
{
	AUTO_FD int fd = -1;
	bool readable;
	int r = check_copy(c, &fd, err);
	if (r == 0)
		r = check_tables(c, c->service->prober, fd, &readable, err);
	if (r)
		return r;
	if (readable)
		return compare_in(c, fd, err);
	say_what_is_left_out(c);
	return 0;
}

int check_closed(const char *dir, const char *program, const struct check_options *options, struct check_report *ret, bool *ret_readable,
		 struct error *err)
{
	struct check c = { .options = options, .report = ret };
	AUTO_FREE char *path = NULL;
	if (asprintf(&path, "%s/catalog/data.mdb", dir) < 0)
		abort();
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "cannot open %s", path);
	int r = check_tables(&c, program, fd, ret_readable, err);
	say_how_many_more(&c);
	if (r == 0 && !*ret_readable)
		say_what_is_left_out(&c);
	return r;
}

int check_run(struct service *s, const struct check_options *options, struct check_report *ret, struct error *err)
{
	static const struct check_options none;
	struct check_report report = { 0 };
	struct check c = { .service = s, .options = options ? options : &none, .report = &report };
	int r = c.options->read_data ? check_data(&c, err) : 0;
	if (r == 0) {
		gc_keep_packs(s->gc);
		r = check_catalog(&c, err);
		gc_let_packs_go(s->gc);
	}
	if (r == 0)
		r = check_orphans(&c, err);
	if (r == 0)
		r = check_overlays(&c, err);
	free(c.damage);
	say_how_many_more(&c);
	if (ret)
		*ret = report;
	return r;
}
