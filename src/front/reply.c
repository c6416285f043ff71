/* SPDX-License-Identifier: Apache-2.0 */
/* reply: who asks, and how they are answered. The only place where a code becomes an errno. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/num.h"
#include "base/shown.h"
#include "domain/refusals.h"
#include "domain/rights.h"
#include "front/front_int.h"

/* Names and attributes of what lasts are cached this long; kernels are told when they change. */
#define CACHE_SECONDS 3600.0

/* ---- who asks ------------------------------------------------------------------------------------ */

/* May a process of this uid use this mount? The mount's rights are its account's; a uid can only narrow them. */
static int judge_uid(struct view *v, uint32_t uid, struct error *err)
{
	if (uid == v->conn->peer_uid || (uid != 0 && service_uid_belongs(v->front->service, uid, v->conn->account)))
		return 0;
	return fail(err, -EACCES, "uid %u does not belong to the account that this mount shows", uid);
}

static void begin(struct ask *a, fuse_req_t req, const char *operation, uint64_t node, const char *name)
{
	const struct request *r = session_request();
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	*a = (struct ask){ .req = req, .operation = operation, .node = node, .name = name };
	a->view = r->conn->owner;
	a->front = a->view->front;
	a->who = (struct who){ .account = r->conn->account, .uid = ctx->uid, .pid = (uint32_t)ctx->pid, .conn = r->conn->no,
			       .unique = r->unique, .resent = r->resent };
}

bool ask_begin_file(struct ask *a, fuse_req_t req, const char *operation, uint64_t node)
{
	begin(a, req, operation, node, NULL);
	int r = view_rights(a->view, &a->who, &a->err);
	if (r)
		reply_error(a, r);
	return r == 0;
}

bool ask_begin_release(struct ask *a, fuse_req_t req, uint64_t node)
{
	begin(a, req, "close", node, NULL);
	return view_rights(a->view, &a->who, NULL) == 0;
}

bool ask_begin(struct ask *a, fuse_req_t req, const char *operation, uint64_t node, const char *name)
{
	begin(a, req, operation, node, name);
	int r = view_rights(a->view, &a->who, &a->err);
	if (!r && (r = judge_uid(a->view, a->who.uid, &a->err))) {
		a->stranger = true;
		refusals_note_stranger(a->front->service, &a->who, operation, node, name, &a->err);
	}
	if (r)
		reply_error(a, r);
	return r == 0;
}

/* ---- refusals -------------------------------------------------------------------------------------- */

/* Tools look for things that are not there, and for attributes that nobody has, all the time. */
static bool is_refusal(const struct ask *a, int code)
{
	if (code == -ENODATA || code == -EOPNOTSUPP || code == -ENXIO || code == -ESTALE)
		return false;
	return code != -ENOENT || strcmp(a->operation, "lookup");
}

/* Filed under the uid that was proved at the socket: that of a request is whatever a user namespace makes of it. */
static void keep_why(struct ask *a, int code)
{
	AUTO_BUF struct buf path = BUF_INIT;
	struct hold_why w = { .time = clock_real(), .uid = a->view->conn->peer_uid, .pid = a->who.pid,
			      .code = -err_to_errno(code) };
	tree_path(a->front->service, &a->who, a->node, &path);
	if (a->name)
		buf_addf(&path, "%s%s", path.len ? "/" : "", a->name);
	size_t skip = path.len >= sizeof w.path ? path.len - sizeof w.path + 1 : 0;
	snprintf(w.path, sizeof w.path, "%s", path.data ? path.data + skip : "");
	snprintf(w.operation, sizeof w.operation, "%s", a->operation);
	snprintf(w.text, sizeof w.text, "%s", a->err.text[0] ? a->err.text : strerror(err_to_errno(code)));
	shown_safe(w.path);
	shown_safe(w.text);
	hold_why_add(a->front->hold, &w);
	if (code == ERR_DAMAGED || code == -EIO)
		log_error("%s %s: %s", w.operation, w.path, w.text);
}

void note_refusal(struct ask *a, int code)
{
	if (is_refusal(a, code))
		keep_why(a, code);
}

void reply_error(struct ask *a, int code)
{
	if (is_refusal(a, code) && !a->stranger)
		keep_why(a, code);
	fuse_reply_err(a->req, err_to_errno(code));
}

void reply_done(struct ask *a, int code)
{
	if (code)
		reply_error(a, code);
	else
		fuse_reply_err(a->req, 0);
}

static void add_why(void *ctx, const struct hold_why *w)
{
	char t[TIME_TEXT_SIZE];
	buf_addf(ctx, "%s\t%u\t%s\t%s\t%s\t%s\n", time_text(w->time, t), w->pid, w->operation, w->path, err_name(w->code), w->text);
}

void why_text(struct front *f, uint32_t uid, struct buf *ret) { hold_why_each(f->hold, uid, add_why, ret); }

bool restored_file(struct ask *a, uint64_t dir, const char *name, uint64_t *ret)
{
	return name[0] == '.' && tree_restored_file(&a->who, dir, name, ret) && (tree_file_by_name(name) >= 0 || habit_is_rsync(a->who.pid));
}

void note_restoring(struct ask *a, uint64_t node)
{
	struct tree_disk d;
	uint64_t image = node_is_in_image(node) ? node_number(node) : 0;
	if (node_kind(node) == NODE_DISK && tree_disk(a->front->service, &a->who, node, &d, NULL) == 0)
		image = d.image.node;
	a->who.restores = image && habit_restores_image(&a->view->habits, a->who.pid, image);
}

/* ---- entries ---------------------------------------------------------------------------------------- */

double entry_timeout(const struct entry *e) { return e->fleeting ? 0 : CACHE_SECONDS; }

/* What a disk takes; to a cp that has it open and fills another image, all that it has: see habits.h. */
static uint64_t attr_stored(struct ask *a, const struct entry *e)
{
	struct tree_disk d;
	if (node_kind(e->node) != NODE_DISK || !a->who.pid || e->stored >= e->size ||
	    !file_is_open_by_cp(a->front, a->who.conn, e->node, a->who.pid) ||
	    tree_disk(a->front->service, &a->who, e->node, &d, NULL))
		return e->stored;
	bool copies = habit_fills_another(&a->view->habits, a->who.pid, d.image.node) ||
		      may_now(a->front->service, &a->who, MAY_READ, &d.image, NULL);
	return copies ? e->size : e->stored;
}

static struct timespec to_time(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

void fill_stat(struct ask *a, const struct entry *e, struct stat *ret)
{
	*ret = (struct stat){ .st_ino = e->node, .st_mode = e->mode, .st_size = (off_t)e->size, .st_blksize = 131072 };
	ret->st_nlink = S_ISDIR(e->mode) ? 2 : 1;
	ret->st_uid = a->view->conn->peer_uid;
	ret->st_gid = a->view->conn->peer_uid == fuse_req_ctx(a->req)->uid ? fuse_req_ctx(a->req)->gid : a->view->conn->peer_uid;
	ret->st_blocks = (blkcnt_t)((attr_stored(a, e) + 511) / 512);
	if (S_ISREG(e->mode) && node_kind(e->node) != NODE_DISK)
		ret->st_blocks = (blkcnt_t)((e->size + 511) / 512);
	ret->st_mtim = to_time(e->mtime);
	ret->st_ctim = to_time(e->ctime);
	ret->st_atim = ret->st_mtim;
}

void fill_entry(struct ask *a, const struct entry *e, struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){ .ino = e->node, .generation = 1 + (uint64_t)e->generation };
	fill_stat(a, e, &ret->attr);
	ret->attr_timeout = ret->entry_timeout = entry_timeout(e);
}

bool is_generated(const struct entry *e)
{
	enum file_kind kind = file_kind_of(e->node);
	return S_ISREG(e->mode) && (kind == FILE_IS_TEXT || kind == FILE_IS_CONFIG);
}

void true_size(struct ask *a, struct entry *e, bool looked_up)
{
	bool ignored = S_ISREG(e->mode) && file_kind_of(e->node) == FILE_IS_IGNORED;
	if ((ignored || node_kind(e->node) == NODE_REGION) && habit_size(&a->view->habits, a->who.pid, e->node, &e->size))
		return;
	if (is_generated(e))
		e->size = texts_size(a->front, &a->who, e->node, looked_up);
}

void reply_entry(struct ask *a, int code, const struct entry *e)
{
	struct fuse_entry_param p;
	struct entry measured;
	if (code) {
		reply_error(a, code);
		return;
	}
	measured = *e;
	true_size(a, &measured, true);
	fill_entry(a, &measured, &p);
	fuse_reply_entry(a->req, &p);
}
