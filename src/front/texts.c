/* SPDX-License-Identifier: Apache-2.0 */
#include "front/texts.h"

#include <stdlib.h>

#include "base/clock.h"
#include "front/front_int.h"

#define KEPT 16
#define KEPT_BYTES ((size_t)8 << 20) /* of all that are kept */
#define KEEP_FOR ((int64_t)1000000000)

struct kept {
	struct who who;
	uint64_t node; /* 0: free */
	int64_t at;
	struct buf text;
};

struct texts {
	pthread_mutex_t lock; /* guards what follows */
	struct kept kept[KEPT];
	size_t bytes;
};

struct texts *texts_new(void)
{
	struct texts *t = calloc(1, sizeof *t);
	if (!t)
		abort();
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

/* Called with the lock. */
static void drop(struct texts *t, struct kept *k)
{
	t->bytes -= k->text.len;
	buf_free(&k->text);
	*k = (struct kept){ .node = 0 };
}

void texts_free(struct texts *t)
{
	if (!t)
		return;
	for (struct kept *k = t->kept; k < t->kept + KEPT; k++)
		drop(t, k);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static bool is_of(const struct kept *k, const struct who *w, uint64_t node)
{
	return k->node == node && k->who.conn == w->conn && k->who.account == w->account && k->who.uid == w->uid &&
	       k->who.is_operator == w->is_operator && k->who.is_vendor == w->is_vendor;
}

/* Called with the lock. Drops what is too old; NULL: it is not kept. */
static struct kept *find(struct texts *t, const struct who *w, uint64_t node)
{
	struct kept *found = NULL;
	int64_t now = clock_mono();
	for (struct kept *k = t->kept; k < t->kept + KEPT; k++) {
		if (k->node && now - k->at >= KEEP_FOR)
			drop(t, k);
		if (k->node && is_of(k, w, node))
			found = k;
	}
	return found;
}

static struct kept *oldest(struct texts *t)
{
	struct kept *o = t->kept;
	for (struct kept *k = t->kept; k < t->kept + KEPT; k++)
		if (!k->node || (o->node && k->at < o->at))
			o = k;
	return o;
}

/* Keeps it, and takes it away from the caller; one that is too large is forgotten. */
static void keep(struct texts *t, const struct who *w, uint64_t node, struct buf *text)
{
	WITH_LOCK(&t->lock);
	struct kept *k = find(t, w, node);
	k = k ? k : oldest(t);
	drop(t, k);
	while (t->bytes && t->bytes + text->len > KEPT_BYTES) {
		struct kept *least = NULL;
		for (struct kept *o = t->kept; o < t->kept + KEPT; o++)
			if (o->node && (!least || o->at < least->at))
				least = o;
		drop(t, least);
	}
	if (text->len > KEPT_BYTES)
		return;
	*k = (struct kept){ .who = *w, .node = node, .at = clock_mono(), .text = *text };
	*text = (struct buf)BUF_INIT;
	t->bytes += k->text.len;
}

static int make(struct front *front, const struct who *w, uint64_t node, struct buf *ret, struct error *err)
{
	front->service->texts_made++;
	if (node_kind(node) == NODE_FIXED && node_slot(node) == SLOT_FILE + FILE_WHY) {
		why_text(front, session_request()->conn->peer_uid, ret);
		return 0;
	}
	return tree_file_text(front->service, w, node, ret, err);
}

static bool take_kept(struct texts *t, const struct who *w, uint64_t node, struct buf *ret)
{
	WITH_LOCK(&t->lock);
	struct kept *k = find(t, w, node);
	if (k)
		buf_add(ret, k->text.data, k->text.len);
	return k != NULL;
}

int texts_take(struct front *front, const struct who *w, uint64_t node, struct buf *ret, struct error *err)
{
	return take_kept(front->texts, w, node, ret) ? 0 : make(front, w, node, ret, err);
}

/* Of the texts of this file that the process has open, the one that it opened last. */
static bool size_open(struct front *front, const struct who *w, uint64_t node, uint64_t *ret)
{
	struct file *f;
	if (!file_find_text(front, w->conn, node, w->pid, &f))
		return false;
	*ret = f->text.len; /* of a file that is not writable it never changes */
	file_put(front, &f);
	return true;
}

static bool size_kept(struct texts *t, const struct who *w, uint64_t node, uint64_t *ret)
{
	WITH_LOCK(&t->lock);
	struct kept *k = find(t, w, node);
	if (k)
		*ret = k->text.len;
	return k != NULL;
}

uint64_t texts_size(struct front *front, const struct who *w, uint64_t node, bool looked_up)
{
	AUTO_BUF struct buf text = BUF_INIT;
	uint64_t size = 0;
	if (!looked_up && (size_open(front, w, node, &size) || size_kept(front->texts, w, node, &size)))
		return size;
	if (make(front, w, node, &text, NULL))
		return 0;
	size = text.len;
	keep(front->texts, w, node, &text);
	return size;
}
