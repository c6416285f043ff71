/* SPDX-License-Identifier: Apache-2.0 */
/* notify: a queue of what kernels must forget, and the thread that tells them.
 *
 * The kernel takes the locks of the inodes concerned while it is told, and may hold them for a request that waits
 * for us: only a thread that carries out no request may wait for that. When it gets stuck and the queue is
 * full, new notes are dropped: then caches end by their timeouts.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "front/session_int.h"

#define NOTES_MAX 20000

struct note {
	struct note *next;
	bool has_but;
	uint32_t but;   /* the connection that is not told */
	uint64_t node;  /* the parent, when there is a name */
	int64_t offset, len;
	size_t name_len; /* 0: of the inode */
	char name[];
};

static void send_note(const struct note *n, struct fuse_session *fuse)
{
	/* ENOENT, ENOTCONN: it does not know it anyway. */
	if (n->name_len)
		(void)fuse_lowlevel_notify_inval_entry(fuse, n->node, n->name, n->name_len);
	else
		(void)fuse_lowlevel_notify_inval_inode(fuse, n->node, n->offset, n->len);
}

static void send_to_all(struct sessions *all, const struct note *n)
{
	unsigned count;
	AUTO_FREE struct link **links = links_snapshot(all, &count);

	for (unsigned i = 0; i < count; i++) {
		if (!(n->has_but && links[i]->conn.no == n->but) && links[i]->answer_len)
			send_note(n, links[i]->conn.fuse);
		link_release(links[i]);
	}
}

/* The next one; waits for it. NULL at the end. */
static struct note *next_note(struct notes *q)
{
	WITH_LOCK(&q->lock);

	q->sending = false;
	pthread_cond_broadcast(&q->changed);
	while (!q->first && !q->ending)
		pthread_cond_wait(&q->changed, &q->lock);
	struct note *n = q->ending ? NULL : q->first;
	if (!n)
		return NULL;
	q->first = n->next;
	if (!q->first)
		q->last = &q->first;
	q->count--;
	q->sending = true;
	return n;
}

static void *notify_thread(void *arg)
{
	struct sessions *all = arg;
	struct note *n;

	pthread_setname_np(pthread_self(), "notify");
	while ((n = next_note(&all->notes))) {
		send_to_all(all, n);
		free(n);
	}
	return NULL;
}

int notes_begin(struct sessions *all, struct error *err)
{
	struct notes *q = &all->notes;

	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->changed, NULL);
	q->last = &q->first;
	int r = thread_start(&q->thread, notify_thread, all);
	return r < 0 ? fail(err, r, "There is no thread to be had: %s", strerror(-r)) : 0;
}

static void tell_end(struct notes *q)
{
	WITH_LOCK(&q->lock);
	q->ending = true;
	pthread_cond_broadcast(&q->changed);
}

void notes_end(struct sessions *all)
{
	struct notes *q = &all->notes;
	struct note *n;

	tell_end(q);
	pthread_join(q->thread, NULL);
	while ((n = q->first)) {
		q->first = n->next;
		free(n);
	}
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->changed);
}

static void add(struct notes *q, struct note *n)
{
	WITH_LOCK(&q->lock);

	if (q->count >= NOTES_MAX || q->ending) {
		free(n);
		return;
	}
	*q->last = n;
	q->last = &n->next;
	q->count++;
	pthread_cond_broadcast(&q->changed);
}

static void queue(struct sessions *all, const struct conn *but, const struct note *what, const char *name)
{
	struct note *n = malloc(sizeof *n + what->name_len + 1);

	if (!n)
		return; /* like a full queue */
	*n = *what;
	n->next = NULL;
	n->has_but = but != NULL;
	n->but = but ? but->no : 0;
	memcpy(n->name, name, n->name_len + 1);
	add(&all->notes, n);
}

void notify_entry(struct sessions *all, const struct conn *but, uint64_t parent, const char *name)
{
	queue(all, but, &(struct note){ .node = parent, .name_len = strlen(name) }, name);
}

void notify_inode(struct sessions *all, const struct conn *but, uint64_t node, int64_t offset, int64_t len)
{
	queue(all, but, &(struct note){ .node = node, .offset = offset, .len = len }, "");
}

void notify_flush(struct sessions *all)
{
	struct notes *q = &all->notes;
	WITH_LOCK(&q->lock);

	while ((q->first || q->sending) && !q->ending)
		pthread_cond_wait(&q->changed, &q->lock);
}
