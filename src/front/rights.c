/* SPDX-License-Identifier: Apache-2.0 */
/* rights: what a mount may do, looked up again whenever an account has changed.
 *
 * A request that asks first may find that a right is lost before front_rights_changed() comes to it: the view keeps the mark until
 * its kernel was told. */
#include <stdlib.h>

#include "front/front_int.h"

/* The number is read first: a change that comes in between is seen the next time. view.lock is held. */
static void read_rights(struct view *v)
{
	struct service *s = v->front->service;
	bool first = !v->rights_of, was = first || v->belongs, was_operator = v->is_operator, was_vendor = v->is_vendor;
	if (v->rights_of == s->account_changes + 1)
		return;
	v->rights_of = s->account_changes + 1;
	v->belongs = service_rights(s, v->conn->account, &v->is_operator, &v->is_vendor) &&
		     service_uid_belongs(s, v->conn->peer_uid, v->conn->account);
	v->lost |= (was && !v->belongs) || (was_operator && !v->is_operator) || (was_vendor && !v->is_vendor);
}

int view_rights(struct view *v, struct who *ret, struct error *err)
{
	WITH_LOCK(&v->lock);
	read_rights(v);
	ret->is_operator = v->is_operator && v->belongs;
	ret->is_vendor = v->is_vendor && v->belongs;
	if (v->belongs)
		return 0;
	return fail(err, -EACCES, "uid %u, which mounted this, does not belong to the account any more that this mount shows; an "
		    "operator can add it (imagefs account set STORE NAME uids …)", v->conn->peer_uid);
}

bool view_is_operator(struct view *v)
{
	struct who rights = { 0 };
	return view_rights(v, &rights, NULL) == 0 && rights.is_operator;
}

/* ---- what a kernel has to forget -------------------------------------------------------------------------- */

struct forgetting {
	struct sessions *sessions;
	uint32_t conn;
	struct audience audience; /* that connection */
};

static bool is_it(void *ctx, const struct conn *conn)
{
	const struct forgetting *f = ctx;
	return conn->no == f->conn;
}

static int forget_name(void *ctx, const char *name, const struct entry *e, uint64_t cookie)
{
	const struct forgetting *f = ctx;
	(void)e, (void)cookie;
	notify_entry(f->sessions, &f->audience, ROOT_NODE, name);
	return 0;
}

struct opened {
	uint32_t conn;
	uint64_t *nodes;
	unsigned count, room;
};

static int note_file(void *ctx, const struct hold_handle *h)
{
	struct opened *o = ctx;
	if (h->conn != o->conn)
		return 0;
	if (o->count == o->room) {
		o->room = o->room * 2 + 64;
		o->nodes = realloc(o->nodes, o->room * sizeof *o->nodes);
		if (!o->nodes)
			abort();
	}
	o->nodes[o->count++] = h->node;
	return 0;
}

/* Noted first and told then: whoever tells may be the last to let go of a connection that has just ended, and its handles go with it. */
static void forget_files(struct front *front, const struct forgetting *f)
{
	struct opened o = { .conn = f->conn };
	(void)hold_handle_each(front->hold, note_file, &o);
	for (unsigned i = 0; i < o.count; i++)
		notify_inode(f->sessions, &f->audience, o.nodes[i], 0, 0);
	free(o.nodes);
}

/* With a directory in the root the kernel forgets all that is below it. */
static void forget_all(struct front *front, uint32_t conn)
{
	struct forgetting f = { front->sessions, conn, { is_it, &f } };
	struct who anybody = { .account = 0 };
	(void)!tree_list(front->service, &anybody, ROOT_NODE, 0, forget_name, &f, NULL); /* what cannot be read is not shown either */
	forget_files(front, &f);
}

/* The connections that lost a right since they were asked last: the caller frees them. */
static uint32_t *take_lost(struct front *front, unsigned *ret_count)
{
	uint32_t *conns = NULL;
	*ret_count = 0;
	WITH_LOCK(&front->views_lock);
	for (struct view *v = front->views; v; v = v->next) {
		WITH_LOCK(&v->lock);
		read_rights(v);
		if (!v->lost)
			continue;
		v->lost = false;
		conns = realloc(conns, (*ret_count + 1) * sizeof *conns);
		if (!conns)
			abort();
		conns[(*ret_count)++] = v->conn->no;
	}
	return conns;
}

void front_rights_changed(struct front *front)
{
	unsigned count;
	AUTO_FREE uint32_t *conns = take_lost(front, &count);
	for (unsigned i = 0; i < count; i++)
		forget_all(front, conns[i]);
}
