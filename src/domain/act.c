/* SPDX-License-Identifier: Apache-2.0 */
/* act: transaction, answer for the second time, log, events.
 *
 * The answer is written in the same transaction as the change: when the daemon dies between the commit and its
 * answer to the kernel, the request comes again and finds it. A refused act changes nothing, so it is simply tried again;
 * that it was refused is written to the log afterwards (refusals.h). */
#include "domain/act.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/shown.h"
#include "catalog/journal.h"
#include "domain/disks.h"
#include "domain/gc.h"
#include "domain/refusals.h"

void act_entry_changed(struct act *a, struct seers seers, uint64_t parent, const char *name)
{
	if (a->n_events == ACT_EVENTS)
		return;
	a->events[a->n_events].seers = seers;
	a->events[a->n_events].node = parent;
	snprintf(a->events[a->n_events].name, sizeof a->events[0].name, "%s", name);
	a->n_events++;
}

void act_node_changed(struct act *a, struct seers seers, uint64_t node, bool content)
{
	if (a->n_events == ACT_EVENTS)
		return;
	a->events[a->n_events].seers = seers;
	a->events[a->n_events].node = node;
	a->events[a->n_events].name[0] = 0;
	a->events[a->n_events++].content = content;
}

/* A shelf is seen in its owner's own view and, cut down, under accounts/. */
void act_shelf_changed(struct act *a, struct seers seers, const struct shelf *s, const char *name)
{
	uint64_t own = tree_shelf_node(s);
	uint64_t seen = node_make(NODE_PLACE, (uint64_t)s->account << 16 | s->region, node_slot(own));
	act_entry_changed(a, seers, own, name);
	act_node_changed(a, seers, own, true);
	if (s->account) {
		act_entry_changed(a, seers, seen, name);
		act_node_changed(a, seers, seen, true);
	}
}

void act_drop_disk(struct act *a, uint64_t disk)
{
	for (unsigned i = 0; i < ACT_DROPS; i++)
		if (!a->dropped[i]) {
			a->dropped[i] = disk;
			return;
		}
}

void act_path_image(struct act *a, struct cat_txn *txn, const struct image *i)
{
	AUTO_BUF struct buf path = BUF_INIT;
	image_path(txn, i, &path);
	snprintf(a->path, sizeof a->path, "%s", path.data);
	a->owner = i->owner;
}

/* ---- aliases */

#define SHELF_LOOKED_AT 10000u /* images: a shelf with more is not walked for this */

struct aliases {
	const char *target;
	char *detail;
	size_t room;
};

static int note_alias(void *ctx, const struct image *i)
{
	struct aliases *s = ctx;
	size_t len = strlen(s->detail);
	if (i->kind == KIND_ALIAS && strcmp(i->target, s->target) == 0 && len < s->room)
		snprintf(s->detail + len, s->room - len, "%sthe alias %s leads nowhere now", len ? "; " : "", i->name);
	return 0;
}

int act_tell_aliases(struct act *a, struct cat_txn *txn, const struct shelf *shelf, const char *name)
{
	struct aliases s = { name, a->detail, sizeof a->detail };
	uint64_t n;
	int r = image_count(txn, shelf, &n);
	return r || n > SHELF_LOOKED_AT ? r : image_each(txn, shelf, 0, note_alias, &s);
}

int act_log(struct cat_txn *txn, const struct act *a)
{
	if (!a->operation || a->not_logged)
		return 0;
	struct log_entry e = { .time = clock_real(), .account = a->who->account, .owner = a->owner ? a->owner : a->who->account,
			       .uid = a->who->uid, .result = a->outcome };
	snprintf(e.operation, sizeof e.operation, "%s", a->operation);
	snprintf(e.path, sizeof e.path, "%s", a->path);
	snprintf(e.detail, sizeof e.detail, "%s", a->detail);
	shown_safe(e.path);
	shown_safe(e.detail);
	return log_add(txn, &e);
}

static int write_answer(struct cat_txn *txn, const struct act *a)
{
	uint8_t answer[8];
	if (!a->who->conn)
		return 0;
	put_le64(answer, a->result);
	return answer_put(txn, a->who->conn, a->who->unique, answer, sizeof answer);
}

static int run_in_txn(struct cat_txn *txn, void *arg, struct error *err)
{
	struct act *a = arg;
	a->result = 0;
	a->n_events = 0;
	a->not_logged = a->account_changed = false;
	a->outcome = 0;
	a->owner = 0;
	a->path[0] = a->detail[0] = 0;
	memset(a->dropped, 0, sizeof a->dropped);
	int r = a->fn(txn, a, err);
	if (!r)
		r = act_log(txn, a);
	return r ? r : write_answer(txn, a);
}

/* 1: it was carried out before. */
static int find_answer(struct act *a, struct error *err)
{
	struct cat_txn *txn;
	uint8_t answer[ANSWER_MAX];
	unsigned len;
	if (!a->who->resent)
		return 0;
	int r = cat_begin(a->service->catalog, &txn, err);
	if (r)
		return r;
	r = answer_find(txn, a->who->conn, a->who->unique, answer, sizeof answer, &len);
	cat_end(&txn);
	if (r)
		return r == -ENOENT ? 0 : r;
	a->result = get_le64(answer);
	return 1;
}

void act_tell(const struct act *a)
{
	const struct service_events *e = &a->service->events;
	if (a->account_changed && e->rights)
		e->rights(e->ctx);
	for (unsigned i = 0; i < a->n_events; i++)
		if (a->events[i].name[0] && e->entry)
			e->entry(e->ctx, a->events[i].seers, a->events[i].node, a->events[i].name);
		else if (!a->events[i].name[0] && e->inode)
			e->inode(e->ctx, a->events[i].seers, a->events[i].node, a->events[i].content);
}

int act_run(struct act *a, struct error *err)
{
	struct error local = { .code = 0 };
	if (!err)
		err = &local;
	int r = find_answer(a, err);
	if (r)
		return r < 0 ? r : 0;
	err->text[0] = 0;
	r = cat_write(a->service->catalog, run_in_txn, a, err);
	if (r) {
		if (!err->text[0])
			(void)fail(err, r, "the catalog refused (%s)", err_name(r));
		refusals_note(a, r, err);
		return r;
	}
	if (a->account_changed)
		a->service->account_changes++;
	for (unsigned i = 0; i < ACT_DROPS && a->dropped[i]; i++)
		disks_drop(a->service->disks, a->dropped[i]);
	if (a->dropped[0])
		gc_wake(a->service->gc);
	act_tell(a);
	return 0;
}
