/* SPDX-License-Identifier: Apache-2.0 */
#include "front/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "domain/gc.h"
#include "domain/upload.h"
#include "front/front_int.h"

#define SHARDS 64

struct files {
	struct {
		pthread_mutex_t lock; /* guards the chain and the refs of files in it */
		struct file *first;
	} shards[SHARDS];
};

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
	if (f->pinned && f->disk)
		gc_unpin(front->service->gc, disk_domain(f->disk), &f->root);
	disks_put(front->service->disks, &f->disk);
	pthread_mutex_destroy(&f->lock);
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
		pthread_mutex_destroy(&all->shards[i].lock);
	}
	free(all);
	front->files = NULL;
}

static unsigned shard_of(uint32_t conn, uint64_t fh) { return (unsigned)(fh / 2 + conn) % SHARDS; }

static struct file *find(struct files *all, uint32_t conn, uint64_t fh)
{
	struct file *f = all->shards[shard_of(conn, fh)].first;
	while (f && (f->conn != conn || f->fh != fh))
		f = f->next;
	return f;
}

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
		return r;
	f->gate = disks_gate(front->service->disks, f->disk);
	f->quota = disks_quota(front->service->disks, f->disk);
	return 0;
}

/* Bring into memory what the kind needs. */
static int fill(struct front *front, struct file *f, int flags, struct error *err)
{
	switch (f->kind) {
	case FILE_IS_DISK: return fill_disk(front, f, err);
	case FILE_IS_SETTING: return flags & O_TRUNC ? 0 : tree_setting_text(front->service, &f->who, f->node, &f->text, err);
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
	f->who = *w;
	f->writable = (flags & O_ACCMODE) != O_RDONLY;
	f->refs = 1;
	return f;
}

/* Two threads may bring the same file back from the hold: the second finds the first's. */
static struct file *insert(struct front *front, struct file *f)
{
	unsigned s = shard_of(f->conn, f->fh);
	WITH_LOCK(&front->files->shards[s].lock);
	struct file *other = find(front->files, f->conn, f->fh);
	if (other) {
		other->refs++;
		return other;
	}
	f->refs = 2; /* the table's and the caller's */
	f->next = front->files->shards[s].first;
	front->files->shards[s].first = f;
	return f;
}

static int add(struct front *front, struct file *f, int flags, struct file **ret, struct error *err)
{
	int r = fill(front, f, flags, err);
	if (r) {
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
	int r = add(front, new_file(w, fh, node, flags), flags, ret, err);
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

struct pinning {
	struct gc *gc;
};

static void pin(void *ctx, uint32_t domain, const struct map_root *root)
{
	const struct pinning *p = ctx;
	gc_pin(p->gc, domain, root);
}

/* The hold remembers the moment too: all of a copy comes from it, also when the daemon dies half way. */
static void note_pin(struct front *front, const struct file *f)
{
	struct hold_handle h;
	if (!hold_handle_get(front->hold, f->conn, f->fh, &h))
		return;
	memcpy(h.root, f->root.hash.b, sizeof h.root);
	h.size = f->size;
	h.pin = f->root.levels;
	(void)hold_handle_set(front->hold, &h); /* it was there a moment ago */
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
	r = disk_snapshot(f->disk, pin, &p, &f->root, &f->size, &a->err);
	session_blocking_end();
	if (r)
		return r;
	note_pin(a->front, f);
	f->pinned = true;
	return 0;
}

/* A handle that was pinned in another daemon's life; its map was pinned again when this one began (front.c). */
static void take_pin(struct file *f, const struct hold_handle *h)
{
	if (!h->pin)
		return;
	memcpy(f->root.hash.b, h->root, sizeof h->root);
	f->root.levels = (uint8_t)h->pin;
	f->size = h->size;
	f->pinned = true;
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
	take_pin(f, &h);
	return add(front, f, (int)h.flags & ~O_TRUNC, ret, err);
}

int file_get(struct front *front, uint32_t conn, uint64_t fh, uint64_t node, struct file **ret, struct error *err)
{
	{
		WITH_LOCK(&front->files->shards[shard_of(conn, fh)].lock);
		struct file *f = find(front->files, conn, fh);
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
}

void files_close_conn(struct front *front, uint32_t conn)
{
	for (unsigned s = 0; s < SHARDS; s++)
		for (struct file *f; (f = take_out(front->files, s, conn, 0, true));)
			drop(front, f);
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

bool file_find(struct front *front, uint32_t conn, uint64_t node, struct file **ret)
{
	return find_such(front, is_of_node, conn, node, ret);
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
	*ret = fh ? find(front->files, conn, fh) : NULL;
	if (*ret)
		(*ret)->refs++;
	return *ret != NULL;
}

bool file_is_open_by(struct front *front, uint32_t conn, uint64_t node, uint32_t pid)
{
	for (unsigned s = 0; s < SHARDS; s++) {
		WITH_LOCK(&front->files->shards[s].lock);
		for (struct file *f = front->files->shards[s].first; f; f = f->next)
			if (f->conn == conn && f->node == node && f->who.pid == pid)
				return true;
	}
	return false;
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
	return n;
}
