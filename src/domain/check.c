/* SPDX-License-Identifier: Apache-2.0 */
/* check: in what order, and what is said.
 *
 * Everything but the bytes of chunks is compared within one snapshot of the catalog, while the garbage
 * collector is held: what the snapshot names is then still in the pool, whatever is written meanwhile,
 * so nothing has to be retried. All bytes are read before that (check_data.c), holding the collector
 * for one pack at a time, because it takes long.
 */
#include "domain/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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
		"leftovers",
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

static int check_snapshot(struct check *c, struct error *err)
{
	int r = cat_begin(c->service->catalog, &c->txn, err);
	if (r < 0)
		return r;
	r = check_objects_load(c, err);
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
	cat_end(&c->txn);
	check_objects_free(c);
	free(c->packs);
	return r;
}

int check_run(struct service *s, const struct check_options *options, struct check_report *ret, struct error *err)
{
	static const struct check_options none;
	struct check_report report = { 0 };
	struct check c = { .service = s, .options = options ? options : &none, .report = &report };
	int r = c.options->read_data ? check_data(&c, err) : 0;
	if (r == 0) {
		gc_hold(s->gc);
		r = check_snapshot(&c, err);
		gc_release(s->gc);
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
