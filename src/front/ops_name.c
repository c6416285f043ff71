/* SPDX-License-Identifier: Apache-2.0 */
/* ops_name: requests about names and attributes. Decode, one call of the domain, one reply. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/num.h"
#include "domain/acts.h"
#include "domain/market.h"
#include "domain/upload.h"
#include "front/front_int.h"

/* A file of a name that is computed, which this program has made: it sets its times; tar makes a link in its place. */
static bool is_brought(struct ask *a, uint64_t parent, const char *name)
{
	return node_kind(parent) == NODE_IMAGE && setting_is_computed(name) &&
	       habit_has_name(&a->view->habits, a->who.pid, brought_key(parent, name), name);
}

/* What a program that restores a region sees of its generated files: habits.h. 1: what everybody sees. */
static int lookup_restored(struct ask *a, uint64_t parent, const char *name, struct entry *ret)
{
	uint64_t node;
	if (is_brought(a, parent, name))
		return tree_attr(a->front->service, &a->who, brought_node(parent, name), ret, &a->err);
	if (!restored_file(a, parent, name, &node))
		return 1;
	if (tree_file_by_name(name) < 0)
		return habit_has_name(&a->view->habits, a->who.pid, node, name)
			       ? tree_attr(a->front->service, &a->who, node, ret, &a->err) : 1;
	return habit_is_gone(&a->view->habits, a->who.pid, node) ? fail(&a->err, -ENOENT, "%s was removed", name) : 1;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ask a;
	struct entry e;
	if (!ask_begin(&a, req, "lookup", parent, name))
		return;
	int r = lookup_restored(&a, parent, name, &e);
	if (r > 0)
		r = tree_lookup(a.front->service, &a.who, parent, name, &e, &a.err);
	if (r == -ENOENT && node_is_in_image(parent))
		habit_fills(&a.view->habits, a.who.pid, node_number(parent));
	reply_entry(&a, r, &e);
}

/* Numbers that mean something need no counting. */
void op_forget(fuse_req_t req, fuse_ino_t node, uint64_t count)
{
	(void)node, (void)count;
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *all)
{
	(void)count, (void)all;
	fuse_reply_none(req);
}

static void reply_attr(struct ask *a, int code, struct entry *e)
{
	struct stat st;
	if (code) {
		reply_error(a, code);
		return;
	}
	true_size(a, e, false);
	fill_stat(a, e, &st);
	fuse_reply_attr(a->req, &st, entry_timeout(e));
}

/* A disk that was deleted for good while it was open: whoever has it open reads on, and may ask how large it is. */
static bool attr_of_deleted(struct ask *a, uint64_t node, struct entry *ret)
{
	struct file *f = NULL;
	if (node_kind(node) != NODE_DISK || !file_find(a->front, a->who.conn, node, &f))
		return false;
	*ret = (struct entry){ .node = node, .mode = S_IFREG | 0644, .size = f->disk ? disk_size(f->disk) : f->moment.size, .fleeting = true };
	file_put(a->front, &f);
	return true;
}

void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct ask a;
	struct entry e;
	(void)fi;
	if (!ask_begin(&a, req, "stat", node, NULL))
		return;
	int r = tree_attr(a.front->service, &a.who, node, &e, &a.err);
	if (r == -ESTALE && attr_of_deleted(&a, node, &e))
		r = 0;
	reply_attr(&a, r, &e);
}

/* ---- setattr ---------------------------------------------------------------------------------------- */

/* A server's disk does not shrink: its file system would be cut off. */
static int may_shrink(struct ask *a, uint64_t node, uint64_t size)
{
	struct tree_disk d;
	struct entry e;
	int r = tree_disk(a->front->service, &a->who, node, &d, &a->err);
	if (r || !d.is_main || !image_is_running(&d.image))
		return r;
	r = tree_attr(a->front->service, &a->who, node, &e, &a->err);
	return r || size >= e.size ? r : fail(&a->err, -EINVAL, "the disk of an instance can grow, but not shrink");
}

static int resize_disk(struct ask *a, uint64_t node, struct disk *disk, uint64_t size, struct fuse_file_info *fi)
{
	struct file *f = NULL;
	WITH_GATE(disks_gate(a->front->service->disks, disk));
	int r = may_shrink(a, node, size);
	if (!r)
		r = (size ? upload_reopen : upload_begin_anew)(a->front->service, &a->who, node, &a->err);
	if (!r)
		r = upload_size_allowed(a->front->service, &a->who, node, size, &a->err);
	if (!r && fi && file_get(a->front, a->who.conn, fi->fh, node, &f, NULL) == 0)
		file_mark(a->front, f, MARK_WROTE, size ? 0 : MARK_LINEAGE);
	if (!r)
		r = disk_truncate(disk, size, &a->err);
	if (!r && f && size)
		copy_of_nothing(a, f, size);
	file_put(a->front, &f);
	return r || size ? r : upload_emptied(a->front->service, &a->who, node, &a->err);
}

static int set_size(struct ask *a, uint64_t node, uint64_t size, struct fuse_file_info *fi)
{
	struct disk *disk;
	struct service *s = a->front->service;
	if (node_kind(node) != NODE_DISK) /* settings: truncation alone changes nothing */
		return 0;
	int r = disks_get(s->disks, node_number(node), &disk, &a->err);
	if (r)
		return r;
	r = resize_disk(a, node, disk, size, fi);
	disks_put(s->disks, &disk);
	/* By name nobody closes it: it is looked at now. */
	return r || fi ? r : upload_settle(s, &a->who, node, UPLOAD_PAUSED, &a->err);
}

static int set_times(struct ask *a, uint64_t node, const struct stat *st, int what)
{
	struct timespec t;
	bool setting = file_kind_of(node) == FILE_IS_SETTING && node_slot(node) != SLOT_DIR;
	if ((node_kind(node) != NODE_DISK && !setting) || !(what & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)))
		return 0;
	if (what & FUSE_SET_ATTR_MTIME_NOW)
		clock_gettime(CLOCK_REALTIME, &t);
	else
		t = st->st_mtim;
	int r = act_set_mtime(a->front->service, &a->who, node, (int64_t)t.tv_sec * 1000000000 + t.tv_nsec, &a->err);
	if (!setting)
		disks_ask_again(a->front->service->disks, node_number(node)); /* a write that comes later makes the time void: */
	return r;
}

static bool has_it_open(struct ask *a, uint64_t node)
{
	uint64_t nodes[SOURCES_MAX];
	unsigned n = files_of_process(a->front, &a->who, 0, true, nodes, SOURCES_MAX);
	while (n && nodes[n - 1] != node)
		n--;
	return n > 0;
}

/* Who copies a disk along brings its mode, too, by the file that it has open or afterwards by name. */
static bool brings_mode(struct ask *a, const struct tree_disk *d, uint64_t node)
{
	return !a->who.pid || has_it_open(a, node) || market_is_copying(&a->who, &d->image) ||
	       disks_last_writer(a->front->service->disks, d->row.no) == a->who.pid;
}

static int set_disk_mode(struct ask *a, uint64_t node, mode_t mode)
{
	struct tree_disk d;
	int r = tree_disk(a->front->service, &a->who, node, &d, &a->err);
	if (r || mode & 0200 || !d.is_main || !image_is_running(&d.image) || brings_mode(a, &d, node))
		return r;
	return fail(&a->err, -EPERM, "the disk of a server is there to be written to: chmod a-w of %s protects the server from destruction "
		    "and re-installation", d.image.name);
}

/* Only the directory of an image has a mode that means something. Owners, and modes of files, are set by tools that copy them along:
 * that has to succeed. What a copy of a protected image brings along protects no server. */
static int set_mode(struct ask *a, uint64_t node, mode_t mode)
{
	struct image i;
	if (node_kind(node) == NODE_DISK)
		return set_disk_mode(a, node, mode);
	if (!node_is_in_image(node) || node_slot(node) != SLOT_DIR)
		return 0;
	int r = tree_image(a->front->service, &a->who, node, &i, &a->err);
	if (r || i.kind != KIND_IMAGE || (i.shelf.type == TYPE_INSTANCE && market_is_copying(&a->who, &i)))
		return r;
	if (!(mode & 0200))
		habit_protects(&a->view->habits, a->who.pid, node_number(node));
	return act_chmod(a->front->service, &a->who, node, mode, &a->err);
}

void op_setattr(fuse_req_t req, fuse_ino_t node, struct stat *st, int what, struct fuse_file_info *fi)
{
	struct ask a;
	struct entry e;
	int r = 0;
	if (!ask_begin(&a, req, "setattr", node, NULL))
		return;
	note_restoring(&a, node);
	if (what & FUSE_SET_ATTR_SIZE) {
		session_blocking_begin();
		r = set_size(&a, node, (uint64_t)st->st_size, fi);
		session_blocking_end();
	}
	if (!r && (what & FUSE_SET_ATTR_MODE))
		r = set_mode(&a, node, st->st_mode);
	if (!r)
		r = set_times(&a, node, st, what);
	if (!r)
		r = tree_attr(a.front->service, &a.who, node, &e, &a.err);
	reply_attr(&a, r, &e);
}

/* ---- making and removing ------------------------------------------------------------------------------ */

void op_readlink(fuse_req_t req, fuse_ino_t node)
{
	struct ask a;
	char text[1024];
	if (!ask_begin(&a, req, "readlink", node, NULL))
		return;
	int r = tree_readlink(a.front->service, &a.who, node, text, &a.err);
	if (r) {
		reply_error(&a, r);
		return;
	}
	if (node_is_in_image(node) && node_slot(node) == SLOT_LINK)
		habit_read_link(&a.view->habits, a.front->hold, &a.who, node_number(node), text);
	fuse_reply_readlink(req, text);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct ask a;
	struct entry e;
	(void)mode; /* what is copied from a protected image is not protected */
	if (!ask_begin(&a, req, "mkdir", parent, name))
		return;
	int r = act_mkdir(a.front->service, &a.who, parent, name, &e, &a.err);
	/* Into a directory that it has just made, cp copies without looking there first. */
	if (!r && node_is_in_image(e.node))
		habit_made(&a.view->habits, a.who.pid, node_number(e.node));
	reply_entry(&a, r, &e);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ask a;
	uint64_t node;
	if (!ask_begin(&a, req, "unlink", parent, name))
		return;
	note_restoring(&a, parent);
	bool generated = restored_file(&a, parent, name, &node);
	if (is_brought(&a, parent, name)) {
		node = brought_key(parent, name);
		generated = true;
	}
	if (generated) /* whoever restores a region takes it away, and makes it anew */
		habit_took_away(&a.view->habits, a.who.pid, node);
	reply_done(&a, generated ? 0 : act_unlink(a.front->service, &a.who, parent, name, &a.err));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ask a;
	if (ask_begin(&a, req, "rmdir", parent, name))
		reply_done(&a, act_rmdir(a.front->service, &a.who, parent, name, &a.err));
}

static bool made_directory(struct ask *a, uint64_t node)
{
	struct image i;
	return node_is_in_image(node) && tree_image(a->front->service, &a->who, node, &i, NULL) == 0 && market_is_copying(&a->who, &i);
}

void op_symlink(fuse_req_t req, const char *text, fuse_ino_t parent, const char *name)
{
	struct ask a;
	struct entry e;
	if (!ask_begin(&a, req, "symlink", parent, name))
		return;
	note_restoring(&a, parent);
	if (!node_is_in_image(parent))
		a.who.restores = !habit_is_ln(a.who.pid);
	a.who.brings_link = made_directory(&a, parent) && habit_brings_link(&a.view->habits, a.front->hold, &a.who, node_number(parent), text);
	reply_entry(&a, act_symlink(a.front->service, &a.who, parent, name, text, &e, &a.err), &e);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to, const char *new_name, unsigned flags)
{
	struct ask a;
	if (!ask_begin(&a, req, "rename", parent, name))
		return;
	if (flags & ~(unsigned)RENAME_NOREPLACE) {
		reply_error(&a, fail(&a.err, -EINVAL, "names are not exchanged"));
		return;
	}
	note_restoring(&a, parent);
	session_blocking_begin(); /* an upload may be done with this */
	int r = act_rename(a.front->service, &a.who, parent, name, to, new_name, !(flags & RENAME_NOREPLACE), &a.err);
	session_blocking_end();
	reply_done(&a, r);
}

void op_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t parent, const char *name)
{
	struct ask a;
	(void)node;
	if (ask_begin(&a, req, "link", parent, name))
		reply_error(&a, fail(&a.err, -EPERM, "there are no hard links here: cp copies an image at no cost"));
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	struct ask a;
	struct entry e;
	(void)dev;
	if (!ask_begin(&a, req, "mknod", parent, name))
		return;
	if (!S_ISREG(mode))
		reply_error(&a, fail(&a.err, -EPERM, "only ordinary files are made here"));
	else
		reply_entry(&a, act_create(a.front->service, &a.who, parent, name, &e, &a.err), &e);
}

/* ---- the file system itself ------------------------------------------------------------------------------ */

void op_statfs(fuse_req_t req, fuse_ino_t node)
{
	struct ask a;
	uint64_t total, space;
	if (!ask_begin(&a, req, "statfs", node, NULL))
		return;
	int r = service_space(a.front->service, &total, &space, &a.err);
	if (r) {
		reply_error(&a, r);
		return;
	}
	struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_blocks = total / 4096, .f_bfree = space / 4096,
			      .f_bavail = space / 4096, .f_namemax = 255 };
	fuse_reply_statfs(req, &st);
}

/* ---- extended attributes: user.imagefs.KEY is a line of .status -------------------------------------------- */

#define XATTR_PREFIX "user.imagefs."

static void reply_xattr(struct ask *a, const struct buf *value, size_t room)
{
	if (room == 0)
		fuse_reply_xattr(a->req, value->len);
	else if (value->len > room)
		reply_error(a, -ERANGE);
	else
		fuse_reply_buf(a->req, value->data, value->len);
}

void op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t room)
{
	struct ask a;
	struct image i;
	AUTO_BUF struct buf value = BUF_INIT;
	if (strncmp(name, XATTR_PREFIX, strlen(XATTR_PREFIX))) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	if (!ask_begin(&a, req, "getxattr", node, NULL))
		return;
	int r = tree_image(a.front->service, &a.who, node, &i, &a.err);
	if (!r)
		r = status_key(a.front->service, &a.who, &i, name + strlen(XATTR_PREFIX), &value, &a.err);
	if (r)
		reply_error(&a, r == -ENOENT ? -ENODATA : r);
	else
		reply_xattr(&a, &value, room);
}

void op_setxattr(fuse_req_t req, fuse_ino_t node, const char *name, const char *value, size_t len, int flags)
{
	struct ask a;
	(void)value, (void)len, (void)flags;
	if (strncmp(name, XATTR_PREFIX, strlen(XATTR_PREFIX)))
		fuse_reply_err(req, EOPNOTSUPP);
	else if (ask_begin(&a, req, "setxattr", node, NULL))
		reply_error(&a, fail(&a.err, -EPERM, "%s is computed; settings are files in the image's directory", name));
}

void op_removexattr(fuse_req_t req, fuse_ino_t node, const char *name) { op_setxattr(req, node, name, NULL, 0, 0); }

void op_listxattr(fuse_req_t req, fuse_ino_t node, size_t room)
{
	(void)node;
	if (room == 0)
		fuse_reply_xattr(req, 0);
	else
		fuse_reply_buf(req, NULL, 0);
}
