/* SPDX-License-Identifier: Apache-2.0 */
/* ops_data: bytes. Judged by the file's opener: the uid of a write-back is nobody's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "domain/damage.h"
#include "domain/inherit.h"
#include "domain/acts.h"
#include "domain/rights.h"
#include "domain/gc.h"
#include "domain/quota.h"
#include "domain/upload.h"
#include "front/allowance.h"
#include "front/front_int.h"

#define COPY_MAX (((uint64_t)4 << 30) - CHUNK_SIZE) /* an answer of 32 bits; the rest is asked for again */

/* ---- read ------------------------------------------------------------------------------------------------- */

/* Does who reads it write it, too? That is no use that anybody else made of it: whoever preallocates, or goes on with an upload, looks at
 * what is there. */
static bool is_writers(struct ask *a, struct file *f)
{
	uint64_t nodes[SOURCES_MAX];
	if (f->writable)
		return true;
	unsigned n = files_of_process(a->front, &a->who, f->who.pid, true, nodes, SOURCES_MAX);
	for (unsigned i = 0; i < n; i++)
		if (nodes[i] == f->node)
			return true;
	return false;
}

/* The first read of an available disk seals it. Of one that is still being written its owner may read what is there. What belongs to
 * somebody else is asked for at each read: a share is cancelled, an image withdrawn, a policy changed while files are open. */
static int note_read(struct ask *a, struct file *f)
{
	struct tree_disk d;
	struct who reader = judged(a, f);
	if (f->read_noted)
		return 0;
	int r = tree_disk(a->front->service, &reader, f->node, &d, &a->err);
	if (!r)
		r = may_now(a->front->service, &reader, MAY_READ, &d.image, &a->err);
	if (r || !d.is_main || !image_is_settled(&d.image) || is_writers(a, f))
		return r;
	r = upload_use(a->front->service, &reader, &d.image, &a->err);
	if (!r)
		f->read_noted = d.image.owner == f->who.account;
	if (!r && f->read_noted && !f->writable && d.image.shelf.type != TYPE_INSTANCE)
		file_note_whole(a->front, f);
	return r;
}

/* Damage is nobody's mistake, and yet there is something to do, and the owner is to know. */
static int say_cure(struct ask *a, const struct file *f, off_t offset, size_t len, int r)
{
	size_t said = strlen(a->err.text);
	if (r != ERR_DAMAGED)
		return r;
	snprintf(a->err.text + said, sizeof a->err.text - said, ". Upload the same image once more, under any name: "
		 "that heals it here too");
	session_blocking_begin();
	damage_seen(a->front->service, disk_number(f->disk), (uint64_t)offset, len);
	session_blocking_end();
	return r;
}

static void read_disk(struct ask *a, struct file *f, size_t size, off_t offset)
{
	gc_note_use(a->front->service->gc);
	char *buf = session_room();
	size_t len = MIN(size, SESSION_ROOM);
	int r = note_read(a, f);
	ssize_t n = r		? r
		    : file_reads_moment(f) ? moment_read(a->front->service->store, &f->moment, buf, len, (uint64_t)offset, &a->err)
					   : disk_read(f->disk, buf, len, (uint64_t)offset, &f->ahead, &a->err);
	if (n < 0)
		reply_error(a, say_cure(a, f, offset, len, (int)n));
	else
		fuse_reply_buf(a->req, buf, (size_t)n);
}

static void read_text(struct ask *a, struct file *f, size_t size, off_t offset)
{
	WITH_LOCK(&f->lock);
	size_t at = MIN((size_t)offset, f->text.len);
	fuse_reply_buf(a->req, f->text.data ? f->text.data + at : NULL, MIN(size, f->text.len - at));
}

void op_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct ask a;
	struct file *f = NULL;
	if (!ask_begin_file(&a, req, "read", node))
		return;
	int r = file_get(a.front, a.who.conn, fi->fh, node, &f, &a.err);
	if (r)
		reply_error(&a, r);
	else if (f->kind == FILE_IS_DISK)
		read_disk(&a, f, size, offset);
	else
		read_text(&a, f, size, offset);
	file_put(a.front, &f);
}

/* ---- write ------------------------------------------------------------------------------------------------ */

/* Has the image to be made pending first? Asked again after its upload was settled. Called behind the disk's gate. */
static int may_write(struct ask *a, struct file *f, uint64_t end)
{
	uint64_t now = f->gate->rounds + 1;
	struct who writer = judged(a, f);
	if (f->may_write_at != now || writer.is_operator != f->who.is_operator) {
		int r = upload_reopen(a->front->service, &writer, f->node, &a->err);
		if (r)
			return r;
		f->may_write_at = now;
	}
	return end > disk_size(f->disk) ? upload_size_allowed(a->front->service, &writer, f->node, end, &a->err) : 0;
}

/* Disks that this program reads while it writes this one. */
static int note_sources(struct ask *a, struct file *f)
{
	uint64_t nodes[SOURCES_MAX];
	unsigned n = files_of_process(a->front, &a->who, f->who.pid, false, nodes, SOURCES_MAX);
	int r = 0;
	for (unsigned i = 0; i < n && !r; i++)
		r = inherit_by_reading(a->front->service, &f->who, f->node, nodes[i], &a->err);
	return r;
}

static int disk_may_change(struct ask *a, struct file *f, uint64_t end)
{
	if (!f->writable)
		return fail(&a->err, -EBADF, "this file is not open for writing");
	int r = may_write(a, f, end);
	if (!r && !f->marked_wrote)
		r = note_sources(a, f);
	if (!r && !f->marked_wrote) {
		file_mark(a->front, f, MARK_WROTE, 0);
		f->marked_wrote = f->wrote = true;
	}
	return r;
}

/* What could not be written where is the operator's business. */
int say_full(struct ask *a, int r)
{
	if (r == -ENOSPC)
		fail(&a->err, r, "the store is full: delete something for good (rm -r REGION/.trash/TYPE/NAME@TIME after rm -r), or ask an "
		     "operator for room");
	return r;
}

/* After a write that failed the image must not become available: the tool may not notice, or not care. A refusal, in which nothing was
 * tried, is no such failure. */
int note_failure(struct ask *a, struct file *f, int r)
{
	if (r == -ENOSPC || r == -EDQUOT)
		file_mark(a->front, f, r == -ENOSPC ? MARK_NO_ROOM : MARK_OVER, 0);
	if (r == -EIO || r == -ENOSPC || r == -EDQUOT || r == -EFBIG || r == -ENOMEM || r == ERR_DAMAGED)
		file_mark(a->front, f, MARK_BROKEN, 0);
	if (r)
		f->told_why = true;
	return say_full(a, r);
}

/* Policy bytes-per-region: what is taken is given back by quota_done(). */
static int ask_for_bytes(struct ask *a, struct file *f, uint64_t bytes)
{
	session_blocking_begin(); /* the disk may be folded to make room */
	int r = quota_ask(f->quota, bytes, &a->err);
	session_blocking_end();
	return r;
}

/* What takes nothing goes on even over the limit. */
static int take_bytes(struct ask *a, struct file *f, uint64_t bytes)
{
	return bytes == 0 || quota_take(f->quota, bytes) ? 0 : ask_for_bytes(a, f, bytes);
}

/* What is written is stored in whole blocks. */
static uint64_t blocks_of(uint64_t offset, uint64_t len)
{
	return len ? round_up(offset + len, BLOCK_SIZE) - round_down(offset, BLOCK_SIZE) : 0;
}

/* *ret_taken is all that is written, or only what that adds to the overlay when there is no room for more. (Zeros in the overlay take nothing until
 * they are written: then it is asked, which measures what is there, and does not go by what was taken.) */
static int take_for_write(struct ask *a, struct file *f, uint64_t offset, uint64_t len, uint64_t *ret_taken)
{
	*ret_taken = blocks_of(offset, len);
	if (quota_take(f->quota, *ret_taken))
		return 0;
	*ret_taken = disk_new_bytes(f->disk, offset, len);
	return ask_for_bytes(a, f, *ret_taken);
}

/* What was deleted for good may not have been collected yet. */
static bool collect_now(struct ask *a)
{
	session_blocking_begin();
	int r = gc_collect(a->front->service->gc, NULL);
	session_blocking_end();
	return r == 0;
}

static int write_disk(struct ask *a, struct file *f, const char *buf, size_t size, uint64_t offset)
{
	WITH_GATE(f->gate);
	uint64_t bytes = 0;
	int r = disk_may_change(a, f, offset + size);
	if (!r)
		r = take_for_write(a, f, offset, size, &bytes);
	if (r)
		return note_failure(a, f, r);
	r = disk_write(f->disk, buf, size, offset, &a->err);
	if (r == -ENOSPC && collect_now(a))
		r = disk_write(f->disk, buf, size, offset, &a->err);
	quota_done(f->quota, bytes);
	return note_failure(a, f, r);
}

static void put_text(struct buf *text, const char *data, size_t size, size_t offset)
{
	size_t len = MAX(text->len, offset + size);
	while (text->len < len)
		buf_add(text, "", 1);
	memcpy(text->data + offset, data, size);
}

/* The next daemon goes on with the text that this handle has. Where there is no room for it, what is not taken is lost with this daemon. */
static void hold_text(struct ask *a, struct file *f)
{
	bool kept = f->text.len && hold_text_put(a->front->hold, f->conn, f->fh, f->text.data, (unsigned)f->text.len);
	if (!kept)
		hold_text_remove(a->front->hold, f->conn, f->fh);
	bool lost = f->text.len && !kept;
	file_mark(a->front, f, (f->unsaved ? MARK_PARTIAL : 0) | (lost ? MARK_LOST : 0),
		  MARK_EMPTY | (f->unsaved ? 0 : MARK_PARTIAL) | (lost ? 0 : MARK_LOST));
}

/* A shell does not see an error of close(), so a value is refused by the write that makes it, when it can be told that this is the whole of
 * it: it ends with a newline. A value that is good is taken at once. */
static int write_setting(struct ask *a, struct file *f, const char *data, size_t size, size_t offset)
{
	WITH_LOCK(&f->lock);
	if (f->lost)
		return fail(&a->err, -EIO, "the daemon was restarted in the middle of this text: write it again");
	if (offset > f->text.len || offset + size > SETTING_MAX)
		return setting_too_long((enum setting_key)node_slot(f->node), &a->err);
	struct who writer = judged(a, f);
	AUTO_BUF struct buf old = BUF_INIT;
	buf_add(&old, f->text.data, f->text.len);
	put_text(&f->text, data, size, offset);
	session_blocking_begin(); /* the first sha256 means reading the whole disk */
	int r = act_set(a->front->service, &writer, f->node, f->text.data, (unsigned)f->text.len, &a->err);
	session_blocking_end();
	bool was_unsaved = f->unsaved;
	f->unsaved = r == -EINVAL && f->text.data[f->text.len - 1] != '\n';
	if (!r || f->unsaved)
		hold_text(a, f);
	if (f->unsaved)
		return 0;
	if (r) {
		f->unsaved = was_unsaved;
		buf_clear(&f->text);
		buf_add(&f->text, old.data, old.len);
	} else if (!f->marked_wrote) {
		file_mark(a->front, f, MARK_WROTE, 0);
		f->marked_wrote = true;
	}
	return r;
}

/* By who is no operator: no more than a restore brings along. Refused by the write, as a shell sees no error of close(). */
static int write_brought(struct ask *a, struct file *f, const char *data, size_t size, uint64_t offset)
{
	AUTO_BUF struct buf text = BUF_INIT;
	buf_add(&text, data, size);
	int r = act_bring(f->node, strlen(text.data) == size ? text.data : "", &a->err);
	if (!r)
		habit_restored(&a->view->habits, a->who.pid, f->node, offset + size);
	return r;
}

static int write_config(struct ask *a, struct file *f, const char *data, size_t size)
{
	WITH_LOCK(&f->lock);
	if (f->lost)
		return fail(&a->err, -EIO, "the daemon was restarted in the middle of this line: write it again");
	if (f->text.len + size > 65536)
		return fail(&a->err, -EFBIG, "too long");
	buf_add(&f->text, data, size);
	f->unsaved = f->text.data[f->text.len - 1] != '\n';
	if (f->unsaved && allowance_for_text(a->front, f, &a->err)) {
		f->text.len -= size;
		f->text.data[f->text.len] = 0; /* it is carried out as a string */
		f->unsaved = f->text.len > 0;
		return -EDQUOT;
	}
	if (f->unsaved) {
		hold_text(a, f);
		return 0;
	}
	struct who writer = judged(a, f);
	int r = strlen(f->text.data) == f->text.len ? act_configure(a->front->service, &writer, f->node, f->text.data, &a->err)
						    : fail(&a->err, -EINVAL, "that is no text");
	buf_clear(&f->text);
	hold_text(a, f);
	buf_free(&f->text);
	allowance_end(a->front, f);
	return r;
}

static int write_file(struct ask *a, struct file *f, const char *buf, size_t size, off_t offset)
{
	switch (f->kind) {
	case FILE_IS_DISK: return write_disk(a, f, buf, size, (uint64_t)offset);
	case FILE_IS_SETTING: return size ? write_setting(a, f, buf, size, (size_t)offset) : 0;
	case FILE_IS_CONFIG:
		if (size && !f->who.is_operator && tree_is_brought(f->node))
			return write_brought(a, f, buf, size, (uint64_t)offset);
		return size ? write_config(a, f, buf, size) : 0;
	case FILE_IS_IGNORED:
		habit_restored(&a->view->habits, a->who.pid, f->node, (uint64_t)offset + size);
		return 0;
	default: return fail(&a->err, -EPERM, "this file is made when it is read");
	}
}

void op_write(fuse_req_t req, fuse_ino_t node, const char *buf, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct ask a;
	struct file *f = NULL;
	if (!ask_begin_file(&a, req, "write", node))
		return;
	int r = file_get(a.front, a.who.conn, fi->fh, node, &f, &a.err);
	if (!r)
		r = write_file(&a, f, buf, size, offset);
	file_put(a.front, &f);
	if (r)
		reply_error(&a, r);
	else
		fuse_reply_write(req, size);
}

/* ---- holes ------------------------------------------------------------------------------------------------- */

/* Of zeros, and of what is copied, only what shares a unit with something else is stored. */
static uint64_t edges(uint64_t offset, uint64_t len, uint64_t unit)
{
	uint64_t end = offset + len, whole = round_up(offset, unit), rest = round_down(end, unit);
	return whole > rest ? blocks_of(offset, len) : blocks_of(offset, whole - offset) + blocks_of(rest, end - rest);
}

static int zero_range(struct ask *a, struct file *f, uint64_t offset, uint64_t len)
{
	uint64_t bytes = edges(offset, len, BLOCK_SIZE);
	int r = take_bytes(a, f, bytes);
	if (r)
		return r;
	r = disk_zero(f->disk, offset, len, &a->err);
	quota_done(f->quota, bytes);
	return r;
}

static int allocate(struct ask *a, struct file *f, int mode, uint64_t offset, uint64_t len)
{
	uint64_t end = offset + len;
	bool keep = mode & FALLOC_FL_KEEP_SIZE, zero = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	WITH_GATE(f->gate);
	int r = disk_may_change(a, f, keep ? 0 : end);
	if (!r && !keep && end > disk_size(f->disk))
		r = disk_truncate(f->disk, end, &a->err);
	uint64_t size = disk_size(f->disk);
	if (!r && zero && offset < size)
		r = zero_range(a, f, offset, MIN(len, size - offset));
	return note_failure(a, f, r);
}

void op_fallocate(fuse_req_t req, fuse_ino_t node, int mode, off_t offset, off_t len, struct fuse_file_info *fi)
{
	struct ask a;
	struct file *f = NULL;
	if (!ask_begin_file(&a, req, "fallocate", node))
		return;
	int r = file_get(a.front, a.who.conn, fi->fh, node, &f, &a.err);
	if (!r)
		r = f->kind == FILE_IS_DISK ? allocate(&a, f, mode, (uint64_t)offset, (uint64_t)len) : -EOPNOTSUPP;
	file_put(a.front, &f);
	reply_done(&a, r);
}

static int seek(struct ask *a, struct file *f, uint64_t offset, bool data, uint64_t *ret)
{
	struct tree_disk d;
	struct who reader = judged(a, f);
	if (f->kind != FILE_IS_DISK)
		return -EINVAL;
	if (!f->sought)
		file_mark(a->front, f, MARK_SOUGHT, 0);
	f->sought = true;
	/* Where its data are is to be seen by whoever sees it, for as long as they do. */
	int r = f->read_noted ? 0 : tree_disk(a->front->service, &reader, f->node, &d, &a->err);
	if (!r)
		r = file_pin(a, f);
	if (r)
		return r;
	return file_reads_moment(f) ? moment_seek(a->front->service->store, &f->moment, offset, data, ret, &a->err)
				    : disk_seek(f->disk, offset, data, ret, &a->err);
}

void op_lseek(fuse_req_t req, fuse_ino_t node, off_t offset, int whence, struct fuse_file_info *fi)
{
	struct ask a;
	struct file *f = NULL;
	uint64_t at = 0;
	if (!ask_begin_file(&a, req, "lseek", node))
		return;
	int r = file_get(a.front, a.who.conn, fi->fh, node, &f, &a.err);
	if (!r)
		r = seek(&a, f, (uint64_t)offset, whence == SEEK_DATA, &at);
	file_put(a.front, &f);
	if (r)
		reply_error(&a, r);
	else
		fuse_reply_lseek(req, (off_t)at);
}

/* ---- copying without moving bytes ----------------------------------------------------------------------------- */

/* A second image that is copied into a file: it counts with what comes with it, a licence, a price, another owner. */
static bool brings_terms(const struct image *from, const struct image *into, const struct file *to)
{
	return to->origin != from->id && (from->owner != into->owner || from->from_shared || from->inherits);
}

static int may_copy(struct ask *a, struct file *from, struct file *to, uint64_t end, const struct map_root *map)
{
	struct tree_disk d;
	struct image into;
	struct who reader = judged(a, from), writer = judged(a, to);
	int r = tree_disk(a->front->service, &reader, from->node, &d, &a->err);
	if (!r)
		r = tree_image(a->front->service, &writer, to->node, &into, &a->err);
	if (!r)
		r = may_copy_into_now(a->front->service, &reader, &d.image, &into, &a->err);
	if (r)
		return r;
	if (!d.is_main || !image_is_settled(&d.image))
		return fail(&a->err, -EBUSY, "%s is still being written: wait until it is available (imagefs status --wait)",
			    d.image.name);
	r = disk_may_change(a, to, end);
	bool known = (file_marks(a->front, to) & MARK_LINEAGE) && !brings_terms(&d.image, &into, to);
	if (!r && !d.image.used && known) /* from a second image into the same file */
		r = upload_use(a->front->service, &reader, &d.image, &a->err);
	if (!r && !known) {
		r = upload_lineage(a->front->service, &writer, to->node, &d.image, map, &a->err);
		if (!r)
			file_mark(a->front, to, MARK_LINEAGE, 0);
		to->origin = r ? 0 : d.image.id;
	}
	return r;
}

/* A copy that has all data of its origin is whole; that it leaves out a hole at the end (and truncates later) is no lack. */
static int note_end(struct ask *a, const struct moment *from, uint64_t end, struct file *to)
{
	uint64_t data;
	int r = moment_seek(a->front->service->store, from, end, true, &data, &a->err);
	if (r == -ENXIO && !(file_marks(a->front, to) & MARK_COPIED))
		file_mark(a->front, to, MARK_COPIED, 0);
	return r == -ENXIO ? 0 : r;
}

/* Whole chunks that lie alike in both are shared; all else is copied as bytes. */
static int copy_range(struct ask *a, const struct moment *from, uint64_t from_off, struct file *to, uint64_t to_off, uint64_t len)
{
	uint64_t bytes = from_off % CHUNK_SIZE == to_off % CHUNK_SIZE ? edges(to_off, len, CHUNK_SIZE) : len;
	int r = take_bytes(a, to, bytes);
	if (r)
		return r;
	r = disk_copy(to->disk, to_off, from->domain, &from->root, from->size, from_off, len, &a->err);
	quota_done(to->quota, bytes);
	return r;
}

/* What is copied from: the file's moment, or what the disk's map has now. false: there is more to the disk. */
static bool copied_moment(const struct file *from, struct moment *ret)
{
	if (!from->pinned)
		return disk_moment(from->disk, ret);
	*ret = from->moment;
	return true;
}

/* Newer cp asks for the data of its origin first, and when there is none, makes the copy as long and is done. What may not be copied is
 * an upload like any other, in which there is nothing yet. */
void copy_of_nothing(struct ask *a, struct file *to, uint64_t size)
{
	struct file *from = NULL;
	struct moment m;
	uint64_t data;
	if (to->kind != FILE_IS_DISK || !file_find_reader(a->front, a->who.conn, a->who.pid, &from))
		return;
	bool whole = copied_moment(from, &m);
	if (from->disk != to->disk && m.size == size && whole &&
	    moment_seek(a->front->service->store, &m, 0, true, &data, &a->err) == -ENXIO && may_copy(a, from, to, size, &m.root) == 0)
		file_mark(a->front, to, MARK_COPIED, 0);
	file_put(a->front, &from);
}

static int copy(struct ask *a, struct file *from, uint64_t from_off, struct file *to, uint64_t to_off, uint64_t len, uint64_t *ret)
{
	if (from->kind != FILE_IS_DISK || to->kind != FILE_IS_DISK || from->disk == to->disk)
		return -EOPNOTSUPP;
	struct moment m;
	int r = file_pin(a, from);
	if (r)
		return r;
	(void)copied_moment(from, &m); /* whether it may be copied as it is, is found out below */
	len = session_is_wide() ? len : MIN(len, COPY_MAX);
	len = from_off < m.size ? MIN(len, m.size - from_off) : 0;
	*ret = len;
	if (len == 0)
		return 0;
	WITH_RDLOCK(&to->gate->lock);
	(void)copied_moment(from, &m); /* now that nobody else changes what it is copied to */
	r = may_copy(a, from, to, to_off + len, &m.root);
	if (!r)
		r = copy_range(a, &m, from_off, to, to_off, len);
	if (!r && from_off == to_off)
		r = note_end(a, &m, from_off + len, to);
	return note_failure(a, to, r);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t node_in, off_t off_in, struct fuse_file_info *fi_in, fuse_ino_t node_out,
			off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags)
{
	struct ask a;
	struct file *from = NULL, *to = NULL;
	uint64_t done = 0;
	(void)flags;
	if (!ask_begin_file(&a, req, "copy", node_out))
		return;
	int r = file_get(a.front, a.who.conn, fi_in->fh, node_in, &from, &a.err);
	if (!r)
		r = file_get(a.front, a.who.conn, fi_out->fh, node_out, &to, &a.err);
	session_blocking_begin();
	if (!r)
		r = copy(&a, from, (uint64_t)off_in, to, (uint64_t)off_out, len, &done);
	session_blocking_end();
	if (r && to)
		to->told_why = true;
	file_put(a.front, &from);
	file_put(a.front, &to);
	if (r)
		reply_error(&a, r);
	else
		session_reply_copied(req, done);
}
