/* SPDX-License-Identifier: Apache-2.0 */
/* file_find: open files by what they are of, and by whom. */
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "front/file_int.h"
#include "front/front_int.h"

/* ---- what was open when this daemon began --------------------------------------------------------------- */

void kept_open_add(struct files *all, const struct hold_handle *h)
{
	struct kept_open *o = calloc(1, sizeof *o);
	if (!o)
		abort();
	*o = (struct kept_open){ h->conn, h->pid, (int)h->flags, h->fh, h->node, all->opens };
	all->opens = o;
}

static bool is_still_open(struct front *front, const struct kept_open *o, uint32_t but_marked)
{
	struct hold_handle h;
	return hold_handle_get(front->hold, o->conn, o->fh, &h) && !(h.marks & but_marked);
}

static bool was_opened_by_cp(struct front *front, uint32_t conn, uint64_t node, uint32_t pid)
{
	for (const struct kept_open *o = front->files->opens; o; o = o->next)
		if (o->node == node && o->pid == pid && o->conn == conn && habit_opens_like_cp(o->flags) &&
		    is_still_open(front, o, MARK_SOUGHT))
			return true;
	return false;
}

static unsigned add_opened(struct front *front, uint32_t pid, uint32_t also, bool writable, uint64_t *ret, unsigned n, unsigned max)
{
	for (const struct kept_open *o = front->files->opens; o && n < max; o = o->next)
		if (o->pid && (o->pid == pid || o->pid == also) && ((o->flags & O_ACCMODE) != O_RDONLY) == writable &&
		    is_still_open(front, o, 0))
			ret[n++] = o->node;
	return n;
}

/* ---- what is open ------------------------------------------------------------------------------------- */

/* The first file for which `is` holds, referenced. */
static bool find_such(struct front *front, bool (*is)(const struct file *, uint32_t conn, uint64_t arg), uint32_t conn, uint64_t arg,
		      struct file **ret)
{
	for (unsigned s = 0; s < SHARDS; s++) {
		WITH_LOCK(&front->files->shards[s].lock);
		for (struct file *f = front->files->shards[s].first; f; f = f->next)
			if (is(f, conn, arg)) {
				f->refs++;
				*ret = f;
				return true;
			}
	}
	return false;
}

static bool is_of_node(const struct file *f, uint32_t conn, uint64_t node) { return f->conn == conn && f->node == node; }

struct handle_search {
	uint32_t conn;
	uint64_t node, fh;
};

static int match_handle(void *ctx, const struct hold_handle *h)
{
	struct handle_search *s = ctx;
	s->fh = h->fh;
	return h->conn == s->conn && h->node == s->node;
}

/* Maybe it was opened in another daemon's life, and nobody has used it since. */
bool file_find(struct front *front, uint32_t conn, uint64_t node, struct file **ret)
{
	struct handle_search s = { conn, node, 0 };
	if (find_such(front, is_of_node, conn, node, ret))
		return true;
	return hold_handle_each(front->hold, match_handle, &s) && file_get(front, conn, s.fh, node, ret, NULL) == 0;
}

static bool is_read_by(const struct file *f, uint32_t conn, uint64_t pid)
{
	return f->conn == conn && f->who.pid == pid && f->kind == FILE_IS_DISK && !f->writable;
}

bool file_find_reader(struct front *front, uint32_t conn, uint32_t pid, struct file **ret)
{
	return find_such(front, is_read_by, conn, pid, ret);
}

static uint64_t last_text(struct front *front, uint32_t conn, uint64_t node, uint32_t pid)
{
	uint64_t last = 0;
	for (unsigned s = 0; pid && s < SHARDS; s++) {
		WITH_LOCK(&front->files->shards[s].lock);
		for (struct file *f = front->files->shards[s].first; f; f = f->next)
			if (f->conn == conn && f->node == node && f->who.pid == pid && !f->writable && f->fh > last)
				last = f->fh;
	}
	return last;
}

bool file_find_text(struct front *front, uint32_t conn, uint64_t node, uint32_t pid, struct file **ret)
{
	uint64_t fh = last_text(front, conn, node, pid);
	WITH_LOCK(&front->files->shards[shard_of(conn, fh)].lock);
	*ret = fh ? file_in(front->files, conn, fh) : NULL;
	if (*ret)
		(*ret)->refs++;
	return *ret != NULL;
}

bool file_is_open_by_cp(struct front *front, uint32_t conn, uint64_t node, uint32_t pid)
{
	for (unsigned s = 0; s < SHARDS; s++) {
		WITH_LOCK(&front->files->shards[s].lock);
		for (struct file *f = front->files->shards[s].first; f; f = f->next)
			if (f->conn == conn && f->node == node && f->who.pid == pid && f->like_cp && !f->sought)
				return true;
	}
	return was_opened_by_cp(front, conn, node, pid);
}

unsigned files_of_process(struct front *front, const struct who *w, uint32_t also, bool writable, uint64_t *ret, unsigned max)
{
	unsigned n = 0;
	for (unsigned s = 0; s < SHARDS; s++) {
		WITH_LOCK(&front->files->shards[s].lock);
		for (struct file *f = front->files->shards[s].first; f && n < max; f = f->next)
			if (f->kind == FILE_IS_DISK && f->writable == writable && f->who.account == w->account && f->who.pid &&
			    (f->who.pid == w->pid || f->who.pid == also))
				ret[n++] = f->node;
	}
	return add_opened(front, w->pid, also, writable, ret, n, max);
}
