/* SPDX-License-Identifier: Apache-2.0 */
#include "front/allowance.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "front/front_int.h"

#define FILES_OF_USERS (HANDLES_MAX - 8192u) /* the rest is for those who run the service */
#define FILES_OF_ONE 8192u
#define FILES_OF_ONE_LATE 1024u

#define MIB ((size_t)1 << 20)
#define TEXTS_OF_ALL (128 * MIB)
#define TEXTS_OF_USERS (96 * MIB)
#define TEXTS_OF_ONE (32 * MIB)
#define TEXTS_OF_ONE_LATE (1 * MIB)

struct holder {
	uint32_t uid;
	size_t bytes;
};

struct allowances {
	pthread_mutex_t lock; /* guards what follows */
	struct holder *holders; /* those that have any */
	unsigned n, room;
	size_t bytes;
};

struct allowances *allowances_new(void)
{
	struct allowances *a = calloc(1, sizeof *a);
	if (!a)
		abort();
	pthread_mutex_init(&a->lock, NULL);
	return a;
}

void allowances_free(struct allowances *a)
{
	if (!a)
		return;
	free(a->holders);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static bool runs_the_service(struct view *v)
{
	uint32_t uid = v->conn->peer_uid;
	return uid == 0 || uid == geteuid() || view_is_operator(v);
}

/* ---- open files --------------------------------------------------------------------------------------------- */

static unsigned files_of(struct front *front, uint32_t uid)
{
	unsigned n = 0;
	WITH_LOCK(&front->views_lock);
	for (const struct view *v = front->views; v; v = v->next)
		if (v->conn->peer_uid == uid)
			n += hold_handle_count(front->hold, v->conn->no);
	return n;
}

int allowance_for_file(struct front *front, struct error *err)
{
	struct view *v = session_request()->conn->owner;
	unsigned all = hold_handle_count(front->hold, 0);
	if (runs_the_service(v))
		return 0; /* HANDLES_MAX is the hold's to refuse */
	unsigned mine = files_of(front, v->conn->peer_uid);
	if (mine >= (all < FILES_OF_USERS / 2 ? FILES_OF_ONE : FILES_OF_ONE_LATE))
		return fail(err, -EDQUOT, "uid %u has %u files of this store open, and no more are given to one user%s: close some",
			    v->conn->peer_uid, mine, mine < FILES_OF_ONE ? " while so many are open" : "");
	if (all >= FILES_OF_USERS)
		return fail(err, -EDQUOT, "%u files of this store are open, and no more are given to users: try again when some are closed", all);
	return 0;
}

/* ---- texts ---------------------------------------------------------------------------------------------------- */

/* The lock is held. */
static struct holder *holder_of(struct allowances *a, uint32_t uid)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->holders[i].uid == uid)
			return &a->holders[i];
	if (a->n == a->room) {
		a->room = a->room * 2 + 16;
		a->holders = realloc(a->holders, a->room * sizeof *a->holders);
		if (!a->holders)
			abort();
	}
	a->holders[a->n] = (struct holder){ .uid = uid };
	return &a->holders[a->n++];
}

/* The lock is held. */
static void count(struct allowances *a, struct file *f, uint32_t uid, size_t bytes)
{
	struct holder *h = holder_of(a, uid);
	h->bytes += bytes - f->counted;
	a->bytes += bytes - f->counted;
	f->counted = bytes;
	f->counted_for = uid;
	if (!h->bytes)
		*h = a->holders[--a->n];
}

/* Whoever has none may have one, however large it is. */
static bool has_room(struct allowances *a, uint32_t uid, bool privileged, size_t more)
{
	WITH_LOCK(&a->lock);
	size_t mine = 0;
	for (unsigned i = 0; i < a->n; i++)
		mine += a->holders[i].uid == uid ? a->holders[i].bytes : 0;
	if (mine == 0)
		return true;
	if (privileged)
		return a->bytes + more <= TEXTS_OF_ALL;
	return mine + more <= (a->bytes < TEXTS_OF_USERS / 2 ? TEXTS_OF_ONE : TEXTS_OF_ONE_LATE) && a->bytes + more <= TEXTS_OF_USERS;
}

int allowance_for_text(struct front *front, struct file *f, struct error *err)
{
	struct view *v = session_request()->conn->owner;
	struct allowances *a = front->allowances;
	uint32_t uid = v->conn->peer_uid;
	if (f->text.len > f->counted && !has_room(a, uid, runs_the_service(v), f->text.len - f->counted))
		return fail(err, -EDQUOT, "uid %u has files such as .log and .list open that take more memory than is given to one user: "
			    "close some", uid);
	WITH_LOCK(&a->lock);
	count(a, f, uid, f->text.len);
	return 0;
}

void allowance_end(struct front *front, struct file *f)
{
	if (!f->counted)
		return;
	WITH_LOCK(&front->allowances->lock);
	count(front->allowances, f, f->counted_for, 0);
}
