/* SPDX-License-Identifier: Apache-2.0 */
/* ops_file: opening and closing.
 *
 * FLUSH, not RELEASE, is where an upload is judged: only its answer reaches the program that closes. It comes once for every close of
 * a copy of the descriptor, so it must be harmless when it comes too early (domain/upload.h). */
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "domain/inherit.h"
#include "domain/acts.h"
#include "domain/give_back.h"
#include "domain/market.h"
#include "domain/rights.h"
#include "domain/upload.h"
#include "front/front_int.h"

/* ---- open ------------------------------------------------------------------------------------------------ */

/* No server truncates its disk: who does that brings another one. */
static int may_begin_anew(struct ask *a, const struct tree_disk *d)
{
	if (!d->is_main || !d->image.is_protected)
		return 0;
	return fail(&a->err, -EPERM, "%s is protected from destruction and re-installation: its disk is written to, but does not begin "
		    "anew; chmod u+w takes the protection away", d->image.name);
}

static int may_open_disk(struct ask *a, uint64_t node, int flags, bool *ret_fixed, bool *ret_own)
{
	struct tree_disk d;
	bool writing = (flags & O_ACCMODE) != O_RDONLY;
	int r = tree_disk(a->front->service, &a->who, node, &d, &a->err);
	if (!r)
		r = may_now(a->front->service, &a->who, writing ? verb_of_writing(&d) : MAY_SEE, &d.image, &a->err);
	if (!r && writing && (flags & O_TRUNC))
		r = may_begin_anew(a, &d);
	if (r)
		return r;
	if (writing && d.is_main && d.image.used)
		return fail(&a->err, -EPERM, "the disk of %s has been used (read, copied or started from) and never changes again; "
			    "make another image", d.image.name);
	/* The locks that QEMU takes hold in one mount only, and each has its own cache. */
	if (writing && d.is_main && image_is_running(&d.image) &&
	    front_is_written_elsewhere(a->front, a->who.conn, d.row.no))
		return fail(&a->err, -EBUSY, "the disk of %s is open for writing in another mount (is the server running there?)",
			    d.image.name);
	/* Pages that are kept are read without asking: only what has been used already may be, else its first use went unnoticed; and
	 * only by who may read at all (they were, and what they had read is still there). */
	*ret_fixed = d.is_main && d.image.used && image_is_settled(&d.image) &&
		     may_now(a->front->service, &a->who, MAY_READ, &d.image, NULL) == 0;
	*ret_own = d.image.owner == a->who.account && d.image.shelf.type != TYPE_INSTANCE;
	return 0;
}

/* Refused here and not at the first write: a shell tells the reason only of an open. */
static int may_open_text(struct ask *a, uint64_t node, int flags)
{
	struct image i;
	if ((flags & O_ACCMODE) == O_RDONLY)
		return 0;
	switch (file_kind_of(node)) {
	case FILE_IS_TEXT: /* of a region: who restores one writes it, and it is ignored */
		return tree_is_brought(node) ? 0 : fail(&a->err, -EPERM, "this file is made when it is read");
	case FILE_IS_CONFIG: /* … or judged by the write */
		return tree_is_brought(node) ? 0 : tree_may_configure(&a->who, node, &a->err);
	default: break;
	}
	int r = tree_image(a->front->service, &a->who, node, &i, &a->err);
	return r ? r : may_now(a->front->service, &a->who, verb_of_setting(node_slot(node)), &i, &a->err);
}

static int truncate_opened(struct ask *a, uint64_t node, struct file *f)
{
	WITH_GATE(f->gate);
	struct tree_disk d;
	int r = tree_disk(a->front->service, &a->who, node, &d, &a->err);
	if (r)
		return r;
	/* A server's disk keeps its size, like a block device. But cp leaves out what is a hole, as it has truncated the
	 * file: the old bytes must not show there. */
	if (d.is_main && image_is_running(&d.image))
		return disk_zero(f->disk, 0, disk_size(f->disk), &a->err);
	r = upload_begin_anew(a->front->service, &a->who, node, &a->err);
	if (!r)
		r = disk_truncate(f->disk, 0, &a->err);
	if (!r)
		r = upload_emptied(a->front->service, &a->who, node, &a->err);
	if (!r)
		file_mark(a->front, f, MARK_WROTE, MARKS_BROKEN);
	return r;
}

/* A disk that this program begins to read while it writes others. */
static int note_targets(struct ask *a, uint64_t node)
{
	uint64_t nodes[SOURCES_MAX];
	unsigned n = files_of_process(a->front, &a->who, 0, true, nodes, SOURCES_MAX);
	int r = 0;
	for (unsigned i = 0; i < n && !r; i++)
		r = inherit_by_reading(a->front->service, &a->who, nodes[i], node, &a->err);
	return r;
}

static int open_node(struct ask *a, uint64_t node, struct fuse_file_info *fi)
{
	struct file *f = NULL;
	bool fixed = false, own = false;
	int r = node_kind(node) == NODE_DISK ? may_open_disk(a, node, fi->flags, &fixed, &own) : may_open_text(a, node, fi->flags);
	if (!r && node_kind(node) == NODE_DISK && (fi->flags & O_ACCMODE) == O_RDONLY)
		r = note_targets(a, node);
	if (!r)
		r = file_open(a->front, &a->who, a->who.unique, node, fi->flags, &f, &a->err);
	if (r)
		return r;
	fi->fh = a->who.unique;
	fi->direct_io = f->kind != FILE_IS_DISK;
	fi->keep_cache = fixed;
	if (fixed && own && !f->writable)
		file_note_whole(a->front, f);
	if (f->kind == FILE_IS_DISK && (fi->flags & O_TRUNC) && f->writable) {
		session_blocking_begin();
		r = truncate_opened(a, node, f);
		session_blocking_end();
	}
	file_put(a->front, &f);
	if (r)
		file_close(a->front, a->who.conn, a->who.unique);
	return r;
}

/* owner or reviewed, which is there already. */
static void note_brought(struct ask *a, uint64_t node)
{
	const char *name = node_slot(node) == SLOT_OWNER ? "owner" : "reviewed";
	habit_restores(&a->view->habits, a->who.pid, brought_key(node_beside(node, SLOT_DIR), name), name);
}

void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct ask a;
	if (!ask_begin(&a, req, "open", node, NULL))
		return;
	bool writing = (fi->flags & O_ACCMODE) != O_RDONLY;
	if (writing)
		note_restoring(&a, node);
	int r = open_node(&a, node, fi);
	if (!r && writing && file_kind_of(node) == FILE_IS_IGNORED)
		note_brought(&a, node);
	if (r)
		reply_error(&a, r);
	else if (fuse_reply_open(req, fi) == -ENOENT)
		file_close(a.front, a.who.conn, fi->fh); /* interrupted: nobody will release it */
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct ask a;
	struct entry e;
	struct fuse_entry_param p;
	uint64_t node;
	(void)mode;
	if (!ask_begin(&a, req, "create", parent, name))
		return;
	if (node_is_in_image(parent))
		habit_fills(&a.view->habits, a.who.pid, node_number(parent));
	note_restoring(&a, parent);
	int r = restored_file(&a, parent, name, &node)
			? tree_attr(a.front->service, &a.who, node, &e, &a.err)
			: act_create(a.front->service, &a.who, parent, name, &e, &a.err);
	bool brought = !r && node_kind(e.node) == NODE_IMAGE && file_kind_of(e.node) == FILE_IS_IGNORED;
	if (!r && (brought || node_kind(e.node) == NODE_REGION))
		habit_restores(&a.view->habits, a.who.pid, brought ? brought_key(parent, name) : e.node, name);
	if (!r)
		r = open_node(&a, e.node, fi);
	if (r) {
		reply_error(&a, r);
		return;
	}
	fill_entry(&a, &e, &p);
	if (fuse_reply_create(req, &p, fi) == -ENOENT)
		file_close(a.front, a.who.conn, fi->fh);
}

/* ---- close ------------------------------------------------------------------------------------------------- */

static int flush_setting(struct ask *a, struct file *f)
{
	int r = 0;
	struct who writer = judged(a, f);
	WITH_LOCK(&f->lock);
	if (f->unsaved) {
		f->unsaved = false;
		file_mark(a->front, f, 0, MARK_PARTIAL);
		session_blocking_begin();
		r = f->kind == FILE_IS_CONFIG
			    ? act_configure(a->front->service, &writer, f->node, f->text.data, &a->err)
			    : act_set(a->front->service, &writer, f->node, f->text.data, (unsigned)f->text.len, &a->err);
		session_blocking_end();
	} else if (file_marks(a->front, f) & MARK_PARTIAL) {
		file_mark(a->front, f, 0, MARK_PARTIAL);
		r = fail(&a->err, -EIO, "the daemon was restarted in the middle of this text: write it again");
	}
	return r;
}

/* A setting that is written in pieces is whole when it is closed: only then may it complete a submission. */
static int note_setting(struct ask *a, struct file *f)
{
	if (f->kind != FILE_IS_SETTING || !(file_marks(a->front, f) & MARK_WROTE))
		return 0;
	int r = market_complete(a->front->service, &f->who, f->node, &a->err);
	f->marked_wrote = false;
	file_mark(a->front, f, 0, MARK_WROTE);
	return r;
}

static int flush_text(struct ask *a, struct file *f)
{
	int r = flush_setting(a, f);
	return r ? r : note_setting(a, f);
}

/* It was given a size, and no bytes; or another process closes the copy of a descriptor that it has inherited; or somebody else has the
 * disk open for writing: this is not the close that ends an upload. (RELEASE is of nobody, and the last.) */
static bool may_go_on(struct ask *a, const struct file *f)
{
	return !f->wrote || (a->who.pid && a->who.pid != f->who.pid) || front_is_written_besides(a->front, f);
}

static enum upload_end end_of(struct ask *a, const struct file *f, uint32_t marks, bool belongs)
{
	if (marks & MARK_NO_ROOM)
		return UPLOAD_NO_ROOM;
	if (marks & MARK_OVER)
		return UPLOAD_OVER;
	if (marks & MARK_BROKEN || !belongs)
		return UPLOAD_BROKEN;
	if (process_was_killed(a->who.pid))
		return UPLOAD_KILLED;
	if (marks & MARK_COPIED)
		return UPLOAD_COPIED;
	return may_go_on(a, f) ? UPLOAD_PAUSED : UPLOAD_CLOSED;
}

/* A shell opens a file for its child, and closes its own descriptor at once: by whom nothing was written is only sure of a file that was made
 * with O_EXCL, as copying programs do, and when it is released. */
static int flush_nothing(struct ask *a, struct file *f, bool is_last)
{
	struct who writer = judged(a, f);
	if (f->told_why || disk_size(f->disk) || !(is_last || (f->made_alone && a->who.pid == f->who.pid)) || front_is_written_besides(a->front, f))
		return 0;
	int r = upload_check_empty(a->front->service, &writer, f->node, &a->err);
	f->told_why |= r != 0;
	return r;
}

static int flush_disk(struct ask *a, struct file *f, bool belongs)
{
	uint32_t marks = file_marks(a->front, f);
	struct who writer = judged(a, f);
	if (!(marks & (MARK_WROTE | MARK_BROKEN | MARK_JUDGED)))
		return flush_nothing(a, f, false);
	enum upload_end end = end_of(a, f, marks, belongs);
	f->marked_wrote = false;
	f->gate->writer = a->who.pid;
	file_mark(a->front, f, MARK_JUDGED, MARK_WROTE);
	session_blocking_begin();
	int r = upload_settle(a->front->service, &writer, f->node, end, &a->err);
	session_blocking_end();
	/* Not folded: the next close tries again. */
	bool again = r == -EIO || r == -ENOSPC || r == -EDQUOT;
	file_mark(a->front, f, again ? MARK_WROTE : 0, MARK_JUDGED);
	return say_full(a, r);
}

void op_flush(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct ask a;
	struct file *f = NULL;
	if (!ask_begin_file(&a, req, "close", node))
		return;
	int r = file_get(a.front, a.who.conn, fi->fh, node, &f, &a.err);
	if (!r && f->writable)
		r = f->kind == FILE_IS_DISK ? flush_disk(&a, f, true) : f->kind <= FILE_IS_CONFIG ? flush_text(&a, f) : 0;
	file_put(a.front, &f);
	reply_done(&a, r);
}

/* Nobody gets an answer any more, but .why has a line. Returns whether the store was too full for it. */
static bool flush_last(struct ask *a, struct file *f, bool belongs)
{
	int r = file_marks(a->front, f) & MARK_WROTE ? flush_disk(a, f, belongs) : flush_nothing(a, f, true);
	if (r == -ENOSPC && !(file_marks(a->front, f) & MARK_NO_ROOM)) {
		(void)note_failure(a, f, r);
		r = flush_disk(a, f, belongs); /* which it fails for */
	}
	a->who.uid = f->who.uid;
	a->who.pid = f->who.pid;
	if (r && belongs)
		note_refusal(a, r);
	return file_marks(a->front, f) & MARK_NO_ROOM;
}

/* Pages of a mapping may be written after the last FLUSH: what they changed is judged here, where no error reaches anybody but .status
 * and .why. */
void op_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct ask a;
	struct file *f = NULL;
	bool belongs = ask_begin_release(&a, req, node);
	bool full = false;
	if (file_get(a.front, a.who.conn, fi->fh, node, &f, NULL) == 0 && f->kind == FILE_IS_DISK && f->writable && f->disk)
		full = flush_last(&a, f, belongs);
	file_put(a.front, &f);
	file_close(a.front, a.who.conn, fi->fh);
	if (full) {
		session_blocking_begin();
		give_back(a.front->service, node_number(node));
		session_blocking_end();
	}
	fuse_reply_err(req, 0);
}

void op_fsync(fuse_req_t req, fuse_ino_t node, int data, struct fuse_file_info *fi)
{
	struct ask a;
	struct file *f = NULL;
	(void)data;
	if (!ask_begin_file(&a, req, "fsync", node))
		return;
	int r = file_get(a.front, a.who.conn, fi->fh, node, &f, &a.err);
	if (!r && f->kind == FILE_IS_DISK && f->disk) {
		session_blocking_begin();
		r = disk_sync(f->disk, &a.err);
		session_blocking_end();
		/* What was written may be lost: as after a write that failed, it must not become available. */
		if (r && (file_marks(a.front, f) & MARK_WROTE))
			(void)note_failure(&a, f, r);
		r = say_full(&a, r);
	}
	file_put(a.front, &f);
	reply_done(&a, r);
}
