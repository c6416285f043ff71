/* SPDX-License-Identifier: Apache-2.0 */
/* refusals: a count for each account that was refused anything since the daemon started. They are few: a list is long enough.
 *
 * A line is written in a transaction of its own, after the one that was undone. If it cannot be, the refusal is answered nevertheless. */
#include "domain/refusals.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/shown.h"
#include "catalog/journal.h"
#include "domain/act.h"

#define MINUTE ((int64_t)60 * 1000000000)

struct counted {
	struct counted *next;
	uint32_t account;
	int64_t since;     /* when its minute began */
	uint64_t last;     /* what was refused last */
	unsigned written, left_out;
};

struct refusals {
	pthread_mutex_t lock;
	struct counted *first;
};

struct refusals *refusals_new(void)
{
	struct refusals *r = calloc(1, sizeof *r);
	if (!r)
		abort();
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void refusals_free(struct refusals *r)
{
	if (!r)
		return;
	for (struct counted *c; (c = r->first); free(c))
		r->first = c->next;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static struct counted *find(struct refusals *r, uint32_t account, int64_t now)
{
	for (struct counted *c = r->first; c; c = c->next)
		if (c->account == account)
			return c;
	struct counted *c = calloc(1, sizeof *c);
	if (!c)
		abort();
	*c = (struct counted){ .next = r->first, .account = account, .since = now };
	return r->first = c;
}

bool refusals_admit(struct refusals *r, uint32_t account, uint64_t what, int64_t now, unsigned *ret_left_out)
{
	WITH_LOCK(&r->lock);
	struct counted *c = find(r, account, now);
	*ret_left_out = 0;
	if (now - c->since >= MINUTE) {
		*ret_left_out = c->left_out;
		*c = (struct counted){ .next = c->next, .account = account, .since = now };
	}
	if (c->written == REFUSALS_A_MINUTE || (c->written && c->last == what)) {
		c->left_out++;
		return false;
	}
	c->last = what;
	c->written++;
	return true;
}

/* ---- lines ------------------------------------------------------------------------------------------------ */

struct line {
	struct log_entry entry;
	unsigned left_out;
};

static int add_left_out(struct cat_txn *txn, struct log_entry e, unsigned count)
{
	snprintf(e.operation, sizeof e.operation, "refused");
	e.path[0] = 0;
	snprintf(e.detail, sizeof e.detail, "%u more refusals are not listed", count);
	return log_add(txn, &e);
}

static int write_line(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct line *l = arg;
	(void)err;
	int r = l->left_out ? add_left_out(txn, l->entry, l->left_out) : 0;
	return r ? r : log_add(txn, &l->entry);
}

/* EXDEV of a rename is how mv learns that it has to copy. */
static bool says_something(const struct act *a, int code)
{
	if (!a->operation || !a->who->account)
		return false;
	return code == -EPERM || code == -EACCES || code == -EDQUOT || code == -EBUSY || code == -EROFS ||
	       (code == -EXDEV && strcmp(a->operation, "rename"));
}

/* Like that of an act that was carried out: the image, in whose directory it was tried. */
static void find_path(const struct act *a, char *ret, size_t room)
{
	AUTO_BUF struct buf path = BUF_INIT;
	uint64_t node = a->parent ? a->parent : a->node;
	tree_path(a->service, a->who, node, &path);
	if (a->name && !node_is_in_image(node))
		buf_addf(&path, "%s%s", path.len ? "/" : "", a->name);
	snprintf(ret, room, "%s", path.data ? path.data : "");
}

static uint64_t fingerprint(const struct log_entry *e)
{
	uint64_t h = 0xcbf29ce484222325u ^ (uint32_t)e->result;
	const char *const texts[] = { e->operation, e->path };
	for (unsigned i = 0; i < 2; i++)
		for (const char *p = texts[i]; *p; p++)
			h = (h ^ (unsigned char)*p) * 0x100000001b3u;
	return h;
}

void refusals_note(struct act *a, int code, const struct error *why)
{
	if (!says_something(a, code))
		return;
	struct line l = { .entry = { .time = clock_real(), .account = a->who->account, .owner = a->who->account, .uid = a->who->uid,
				     .result = code } };
	snprintf(l.entry.operation, sizeof l.entry.operation, "%s", a->operation);
	find_path(a, l.entry.path, sizeof l.entry.path);
	snprintf(l.entry.detail, sizeof l.entry.detail, "%.*s", (int)sizeof l.entry.detail - 1, why->text);
	shown_safe(l.entry.path);
	shown_safe(l.entry.detail);
	if (refusals_admit(a->service->refusals, l.entry.account, fingerprint(&l.entry), clock_mono(), &l.left_out)) {
		struct error ignored;
		int r = cat_write(a->service->catalog, write_line, &l, &ignored);
		(void)r; /* the answer is the refusal, with or without a line on it */
	}
}

void refusals_note_stranger(struct service *s, const struct who *w, const char *operation, uint64_t node, const char *name,
			    const struct error *why)
{
	struct act a = { .service = s, .who = w, .operation = operation, .parent = node, .name = name };
	refusals_note(&a, -EACCES, why);
}

static int write_untold(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct refusals *all = arg;
	(void)err;
	for (const struct counted *c = all->first; c; c = c->next) {
		struct log_entry e = { .time = clock_real(), .account = c->account, .owner = c->account };
		int r = c->left_out ? add_left_out(txn, e, c->left_out) : 0;
		if (r)
			return r;
	}
	return 0;
}

void refusals_tell(struct service *s)
{
	struct error ignored;
	bool any = false;
	for (const struct counted *c = s->refusals->first; c; c = c->next)
		any |= c->left_out > 0;
	int r = any ? cat_write(s->catalog, write_untold, s->refusals, &ignored) : 0;
	(void)r; /* the store closes, with or without that line */
}
