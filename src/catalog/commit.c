/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit, by leader and followers.
 *
 * A writer puts its function in the queue. When nobody is leading, it becomes the leader: it takes all that is queued,
 * runs the functions one after the other in one write transaction, commits once and hands each its result.
 * Those that come meanwhile queue up for the next leader, so the longer a commit takes, the more share the next.
 * A function may thus run in another writer's thread, while its own thread waits: it must not depend on
 * thread-local state or on locks that only the calling thread may release.
 *
 * Alone, a function runs in the transaction itself. In company each has a nested one, and one that fails is
 * undone alone. One that ran out of LMDB's room, and everybody when LMDB cannot commit the whole for such a
 * reason, is run again on its own. If the disk refuses the commit, all get its error and nothing of them is kept.
 */
#include "catalog/commit.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "catalog/db.h"

struct request {
	cat_fn fn;
	void *arg;
	struct error err; /* these four belong to the leader until done */
	int result;
	bool full;
	struct request *next;
	bool done; /* by queue lock */
};

struct commit_queue {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t turn;  /* somebody is done, or nobody leads any more */
	struct request *first, **last;
	bool led;
	pthread_t leader; /* while led */
	uint64_t commits, requests;
};

struct commit_queue *commit_queue_new(void)
{
	struct commit_queue *queue = calloc(1, sizeof *queue);
	if (!queue)
		abort();
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->turn, NULL);
	queue->last = &queue->first;
	return queue;
}

void commit_queue_free(struct commit_queue *queue)
{
	if (!queue)
		return;
	pthread_cond_destroy(&queue->turn);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

void commit_queue_stat(struct commit_queue *queue, uint64_t *ret_commits, uint64_t *ret_requests)
{
	WITH_LOCK(&queue->lock);
	*ret_commits = queue->commits;
	*ret_requests = queue->requests;
}

/* The sentence for a function that gave none. */
static void explain(int code, struct error *err)
{
	if (code == -ENOSPC)
		fail(err, code, "The change is too large for the catalog, or the catalog is as large as it can be.");
	else if (code == -EOVERFLOW)
		fail(err, code, "The numbers that the store has for disks or packs are all used up; ask the operator of the store for a new one.");
	else if (code == ERR_DAMAGED)
		fail(err, code, "The catalog holds a row that makes no sense; 'imagefs check' says more.");
	else if (code < 0)
		fail(err, code, "The catalog could not be changed (%s).", err_name(code));
}

/* Carry a function out in its transaction, which is then ended either way. True: a commit was made. */
static bool carry_out(struct request *q, struct cat_txn *txn)
{
	q->err.code = 0;
	q->result = q->fn(txn, q->arg, &q->err);
	if (q->result == 0)
		q->result = txn->failed;
	if (q->result) {
		q->full = txn->full;
		db_write_abort(txn);
		if (q->err.code == 0)
			explain(q->result, &q->err);
		return false;
	}
	q->result = db_write_commit(txn, &q->err);
	q->full = txn->full;
	return q->result == 0;
}

static unsigned run_alone(struct catalog *cat, struct request *q)
{
	struct cat_txn txn;
	q->result = db_write_begin(cat, NULL, &txn, &q->err);
	return q->result == 0 && carry_out(q, &txn);
}

static void run_nested(struct catalog *cat, struct cat_txn *whole, struct request *first)
{
	for (struct request *q = first; q; q = q->next) {
		struct cat_txn part;
		q->full = false;
		q->result = db_write_begin(cat, whole, &part, &q->err);
		if (q->result == 0)
			carry_out(q, &part);
		else
			q->full = part.full;
	}
}

/* The whole could not be committed: so say all that were part of it. */
static void spoil(struct request *first, int code, bool full, const struct error *why)
{
	for (struct request *q = first; q; q = q->next)
		if (q->result == 0) {
			q->result = code;
			q->err = *why;
			q->full = full;
		}
}

static unsigned run_together(struct catalog *cat, struct request *first)
{
	struct cat_txn whole = { .full = false };
	struct error err;
	for (struct request *q = first; q; q = q->next)
		q->result = 0;
	int r = db_write_begin(cat, NULL, &whole, &err);
	if (r == 0) {
		run_nested(cat, &whole, first);
		r = db_write_commit(&whole, &err);
	}
	unsigned commits = r == 0;
	if (r)
		spoil(first, r, whole.full, &err);
	for (struct request *q = first; q; q = q->next)
		if (q->result && q->full)
			commits += run_alone(cat, q);
	return commits;
}

/* Everything that is queued, as its leader. Called and left with the lock held. */
static void lead(struct catalog *cat, struct commit_queue *queue)
{
	struct request *first = queue->first;
	queue->first = NULL;
	queue->last = &queue->first;
	queue->led = true;
	queue->leader = pthread_self();
	pthread_mutex_unlock(&queue->lock);

	unsigned commits = first->next ? run_together(cat, first) : run_alone(cat, first);

	pthread_mutex_lock(&queue->lock);
	queue->commits += commits;
	queue->led = false;
	for (struct request *q = first, *next; q; q = next) {
		next = q->next; /* read before it may be gone */
		q->done = true;
	}
	pthread_cond_broadcast(&queue->turn);
}

int cat_write(struct catalog *cat, cat_fn fn, void *arg, struct error *err)
{
	struct commit_queue *queue = db_commit_queue(cat);
	struct request me = { .fn = fn, .arg = arg };
	{
		WITH_LOCK(&queue->lock);
		if (queue->led && pthread_equal(queue->leader, pthread_self()))
			return fail(err, -EDEADLK, "The catalog was asked to write from within a write.");
		queue->requests++;
		*queue->last = &me;
		queue->last = &me.next;
		while (queue->led && !me.done)
			pthread_cond_wait(&queue->turn, &queue->lock);
		if (!me.done)
			lead(cat, queue);
	}
	if (me.result && err && me.err.code)
		*err = me.err;
	return me.result;
}
