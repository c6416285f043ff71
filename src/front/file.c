/* SPDX-License-Identifier: Apache-2.0 */
/* file: the table of open files, in memory and in the hold. */
#include "front/file_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "domain/gc.h"
#include "domain/upload.h"
#include "front/allowance.h"
#include "front/front_int.h"

struct files *files_new(void)
{
	struct files *all = calloc(1, sizeof *all);
	if (!all)
		abort();
	for (unsigned i = 0; i < SHARDS; i++)
		pthread_mutex_init(&all->shards[i].lock, NULL);
	return all;
}

static void free_file(struct front *front, struct file *f)
{
	if (f->pinned)
		gc_unpin(front->service->gc, f->moment.domain, &f->moment.root);
	disks_put(front->service->disks, &f->disk);
	pthread_mutex_destroy(&f->lock);
	allowance_end(front, f);
	buf_free(&f->text);
	free(f);
}

void files_free(struct front *front)
{
	struct files *all = front->files;
	for (unsigned i = 0; i < SHARDS; i++) {
		for (struct file *f; (f = all->shards[i].first);) {
			all->shards[i].first = f->next;
			free_file(front, f);
		}
		for (struct kept_pin *p; (p = all->shards[i].pins);) {
			all->shards[i].pins = p->next;
			free(p);
		}
		pthread_mutex_destroy(&all->shards[i].lock);
	}
	for (struct kept_open *o; (o = all->opens);) {
		all->opens = o->next;
		free(o);
	}
	free(all);
	front->files = NULL;
}

struct file *file_in(struct files *all, uint32_t conn, uint64_t fh)
{
	struct file *f = all->shards[shard_of(conn, fh)].first;
	while (f && (f->conn != conn || f->fh != fh))
		f = f->next;
	return f;
}

/* ---- opening ------------------------------------------------------------------------------------------------ */

enum file_kind file_kind_of(uint64_t node)
{
	unsigned slot = node_slot(node);
	switch (node_kind(node)) {
	case NODE_DISK: return FILE_IS_DISK;
	case NODE_IMAGE:
		if (slot < SET_MAX_)
			return FILE_IS_SETTING;
		return slot == SLOT_REVIEWED || slot == SLOT_OWNER ? FILE_IS_IGNORED : FILE_IS_TEXT;
	default:
		return slot == SLOT_FILE + FILE_POLICY || slot == SLOT_FILE + FILE_REGION || slot == SLOT_FILE + FILE_ACCOUNT
			       ? FILE_IS_CONFIG
			       : FILE_IS_TEXT;
	}
}

static int load_text(struct front *front, struct file *f, struct error *err)
{
	return texts_take(front, &f->who, f->node, &f->text, err);
}

static int fill_disk(struct front *front, struct file *f, struct error *err)
{
	int r = disks_get(front->service->disks, node_number(f->node), &f->disk, err);
	if (r)
		return r == -ESTALE && f->pinned ? 0 : r;
	f->gate = disks_gate(front->service->disks, f->disk);
	f->quota = disks_quota(front->service->disks, f->disk);
	return 0;
}

/* Bring into memory what the kind needs. */
static int fill(struct front *front, struct file *f, int flags, struct error *err)
{
	switch (f->kind) {
	case FILE_IS_DISK: return fill_disk(front, f, err);
	case FILE_IS_SETTING: return flags & O_TRUNC || f->text.len ? 0 : tree_setting_text(front->service, &f->who, f->node, &f->text, err);
	case FILE_IS_CONFIG: return f->writable ? 0 : load_text(front, f, err);
	case FILE_IS_TEXT: return load_text(front, f, err);
	default:
		return node_slot(f->node) == SLOT_OWNER || node_slot(f->node) == SLOT_REVIEWED ? (f->writable ? 0 : load_text(front, f, err)) : 0;
	}
}

static struct file *new_file(const struct who *w, uint64_t fh, uint64_t node, int flags)
{
	struct file *f = calloc(1, sizeof *f);
	if (!f)
		abort();
	pthread_mutex_init(&f->lock, NULL);
	f->conn = w->conn;
	f->fh = fh;
	f->node = node;
	f->kind = file_kind_of(node);
	if (f->kind == FILE_IS_TEXT && (flags & O_ACCMODE) != O_RDONLY)
		f->kind = FILE_IS_IGNORED;
	f->who = *w;
	f->writable = (flags & O_ACCMODE) != O_RDONLY;
	f->made_alone = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
	f->like_cp = habit_opens_like_cp(flags);
	f->refs = 1;
	return f;
}

/* Two threads may bring the same file back from the hold: the second finds the first's, which has the pin. */
static struct file *insert(struct front *front, struct file *f)
{
	unsigned s = shard_of(f->conn, f->fh);
	WITH_LOCK(&front->files->shards[s].lock);
	struct file *other = file_in(front->files, f->conn, f->fh);
	if (other) {
		other->refs++;
		return other;
	}
	free(kept_take(front->files, s, f->conn, f->fh, false));
	f->refs = 2; /* the table's and the caller's */
	f->next = front->files->shards[s].first;
	front->files->shards[s].first = f;
	return f;
}

static int add(struct front *front, struct file *f, int flags, struct file **ret, struct error *err)
{
	int r = fill(front, f, flags, err);
	if (!r)
		r = allowance_for_text(front, f, err);
	if (r) {
		f->pinned = false;
		free_file(front, f);
		return r;
	}
	struct file *kept = insert(front, f);
	if (kept != f) {
		f->pinned = false; /* the pin is the other's */
		free_file(front, f);
	}
	*ret = kept;
	return 0;
}

int file_open(struct front *front, const struct who *w, uint64_t fh, uint64_t node, int flags, struct file **ret,
	      struct error *err)
{
	struct hold_handle h = { .conn = w->conn, .flags = (uint32_t)flags, .fh = fh, .node = node, .object = node_number(node),
				 .uid = w->uid, .pid = w->pid };
	if (file_kind_of(node) == FILE_IS_SETTING && (flags & O_TRUNC))
		h.marks = MARK_EMPTY;
	int r = allowance_for_file(front, err);
	if (!r)
		r = add(front, new_file(w, fh, node, flags), flags, ret, err);
	if (r)
		return r;
	r = hold_handle_add(front->hold, &h);
	if (r) {
		file_put(front, ret);
		file_close(front, w->conn, fh);
		return fail(err, r, "too many files are open");
	}
	return 0;
}

/* A handle that had its moment in another daemon's life; that was pinned again when this one began (file_take_up()). */
static void take_moment(struct file *f, const struct hold_handle *h)
{
	f->read_noted = f->whole = h->marks & MARK_WHOLE;
	f->pinned = h->pin;
	f->moment = moment_of_handle(h);
}

/* What was written to a setting that was open in another daemon's life. */
static void take_text(struct front *front, struct file *f, const struct hold_handle *h)
{
	char text[HOLD_TEXT_MAX];
	unsigned len;
	f->lost = h->marks & MARK_LOST;
	if (f->kind > FILE_IS_CONFIG || !f->writable || !hold_text_get(front->hold, f->conn, f->fh, text, &len))
		return;
	buf_add(&f->text, text, len);
	f->unsaved = h->marks & MARK_PARTIAL;
}

static int bring_back(struct front *front, uint32_t conn, uint64_t fh, uint64_t node, struct file **ret, struct error *err)
{
	struct hold_handle h;
	if (!hold_handle_get(front->hold, conn, fh, &h) || (node && node != h.node))
		return fail(err, -EBADF, "this file is not open");
	/* Of its opener's account: the connection knows it. */
	struct who w = { .account = session_request()->conn->account, .uid = h.uid, .pid = h.pid, .conn = conn };
	struct view *view = session_request()->conn->owner;
	w.is_operator = view->is_operator;
	w.is_vendor = view->is_vendor;
	struct file *f = new_file(&w, fh, h.node, (int)h.flags);
	take_moment(f, &h);
	f->wrote = h.marks & MARK_WROTE;
	take_text(front, f, &h);
	int flags = (int)h.flags & ~O_TRUNC;
	return add(front, f, h.marks & MARK_EMPTY ? flags | O_TRUNC : flags, ret, err);
}

int file_get(struct front *front, uint32_t conn, uint64_t fh, uint64_t node, struct file **ret, struct error *err)
{
	{
		WITH_LOCK(&front->files->shards[shard_of(conn, fh)].lock);
		struct file *f = file_in(front->files, conn, fh);
		if (f) {
			f->refs++;
			*ret = f;
			return 0;
		}
	}
	return bring_back(front, conn, fh, node, ret, err);
}

static void drop(struct front *front, struct file *f)
{
	bool last;
	{
		WITH_LOCK(&front->files->shards[shard_of(f->conn, f->fh)].lock);
		last = --f->refs == 0;
	}
	if (last)
		free_file(front, f);
}

void file_put(struct front *front, struct file **f)
{
	if (*f)
		drop(front, *f);
	*f = NULL;
}

static struct file *take_out(struct files *all, unsigned shard, uint32_t conn, uint64_t fh, bool any)
{
	WITH_LOCK(&all->shards[shard].lock);
	for (struct file **p = &all->shards[shard].first; *p; p = &(*p)->next)
		if ((*p)->conn == conn && (any || (*p)->fh == fh)) {
			struct file *f = *p;
			*p = f->next;
			return f;
		}
	return NULL;
}

void file_close(struct front *front, uint32_t conn, uint64_t fh)
{
	(void)hold_handle_remove(front->hold, conn, fh); /* a RELEASE that comes twice finds nothing */
	struct file *f = take_out(front->files, shard_of(conn, fh), conn, fh, false);
	if (f)
		drop(front, f);
	(void)kept_drop(front, shard_of(conn, fh), conn, fh, false);
}

void files_close_conn(struct front *front, uint32_t conn)
{
	for (unsigned s = 0; s < SHARDS; s++) {
		for (struct file *f; (f = take_out(front->files, s, conn, 0, true));)
			drop(front, f);
		while (kept_drop(front, s, conn, 0, true))
			;
	}
}

uint32_t file_marks(struct front *front, const struct file *f)
{
	struct hold_handle h;
	return hold_handle_get(front->hold, f->conn, f->fh, &h) ? h.marks : 0;
}

void file_mark(struct front *front, struct file *f, uint32_t set, uint32_t clear)
{
	(void)hold_handle_mark(front->hold, f->conn, f->fh, set, clear, NULL); /* gone: it was closed meanwhile */
}
