/* SPDX-License-Identifier: Apache-2.0 */
/* file_moment: what an open file reads, when that is not simply its disk as it is: one moment of a server's disk, or a disk that may
 * be gone. The hold remembers it; a daemon that takes over pins all that it finds there before it collects anything. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "domain/gc.h"
#include "domain/upload.h"
#include "front/file_int.h"
#include "front/front_int.h"

/* ---- pins from earlier daemons ------------------------------------------------------------------------------ */

struct moment moment_of_handle(const struct hold_handle *h)
{
	struct moment m = { .domain = h->domain, .root.levels = (uint8_t)h->pin, .size = h->size };
	memcpy(m.root.hash.b, h->root, sizeof h->root);
	return m;
}

void file_take_up(struct front *front, const struct hold_handle *h)
{
	unsigned s = shard_of(h->conn, h->fh);
	struct kept_pin *p = h->pin ? calloc(1, sizeof *p) : NULL;
	if (node_kind(h->node) == NODE_DISK)
		kept_open_add(front->files, h);
	if (!h->pin)
		return;
	if (!p)
		abort();
	*p = (struct kept_pin){ h->conn, h->fh, moment_of_handle(h), NULL };
	gc_pin(front->service->gc, p->moment.domain, &p->moment.root);
	WITH_LOCK(&front->files->shards[s].lock);
	p->next = front->files->shards[s].pins;
	front->files->shards[s].pins = p;
}

struct kept_pin *kept_take(struct files *all, unsigned shard, uint32_t conn, uint64_t fh, bool any)
{
	for (struct kept_pin **p = &all->shards[shard].pins; *p; p = &(*p)->next)
		if ((*p)->conn == conn && (any || (*p)->fh == fh)) {
			struct kept_pin *found = *p;
			*p = found->next;
			return found;
		}
	return NULL;
}

bool kept_drop(struct front *front, unsigned shard, uint32_t conn, uint64_t fh, bool any)
{
	struct kept_pin *p;
	{
		WITH_LOCK(&front->files->shards[shard].lock);
		p = kept_take(front->files, shard, conn, fh, any);
	}
	if (p)
		gc_unpin(front->service->gc, p->moment.domain, &p->moment.root);
	free(p);
	return p;
}

/* ---- moments of this daemon --------------------------------------------------------------------------------- */

struct pinning {
	struct gc *gc;
};

static void pin(void *ctx, const struct moment *m)
{
	const struct pinning *p = ctx;
	gc_pin(p->gc, m->domain, &m->root);
}

/* The hold remembers the moment too: all of a copy comes from it, also when the daemon dies half way. */
static void note_moment(struct front *front, const struct file *f, const struct moment *m, uint32_t marks)
{
	struct hold_handle h;
	if (!hold_handle_get(front->hold, f->conn, f->fh, &h))
		return;
	memcpy(h.root, m->root.hash.b, sizeof h.root);
	h.domain = m->domain;
	h.size = m->size;
	h.pin = m->root.levels;
	h.marks |= marks;
	(void)hold_handle_set(front->hold, &h); /* it was there a moment ago */
}

void file_note_whole(struct front *front, struct file *f)
{
	struct moment m;
	WITH_LOCK(&f->lock);
	if (f->pinned || !f->disk || !disk_moment(f->disk, &m))
		return;
	note_moment(front, f, &m, MARK_WHOLE);
	f->read_noted = true;
}

int file_pin(struct ask *a, struct file *f)
{
	struct tree_disk d;
	struct pinning p = { a->front->service->gc };
	if (f->writable || f->kind != FILE_IS_DISK)
		return 0;
	WITH_LOCK(&f->lock);
	if (f->pinned)
		return 0;
	int r = tree_disk(a->front->service, &f->who, f->node, &d, &a->err);
	if (r || !d.is_main || !image_is_running(&d.image))
		return r;
	session_blocking_begin();
	r = disk_snapshot(f->disk, pin, &p, &f->moment, &a->err);
	session_blocking_end();
	if (r)
		return r;
	note_moment(a->front, f, &f->moment, 0);
	f->pinned = true;
	return 0;
}
