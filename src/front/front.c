/* SPDX-License-Identifier: Apache-2.0 */
#include "front/front.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "domain/gc.h"
#include "front/allowance.h"
#include "front/front_int.h"

const struct fuse_lowlevel_ops front_ops = {
	.lookup = op_lookup, .forget = op_forget, .forget_multi = op_forget_multi, .getattr = op_getattr, .setattr = op_setattr,
	.readlink = op_readlink, .mkdir = op_mkdir, .unlink = op_unlink, .rmdir = op_rmdir, .symlink = op_symlink,
	.rename = op_rename, .link = op_link, .mknod = op_mknod, .statfs = op_statfs, .getxattr = op_getxattr,
	.setxattr = op_setxattr, .removexattr = op_removexattr, .listxattr = op_listxattr, .opendir = op_opendir,
	.readdir = op_readdir, .readdirplus = op_readdirplus, .releasedir = op_releasedir, .fsyncdir = op_fsyncdir,
	.open = op_open, .create = op_create, .flush = op_flush, .release = op_release, .fsync = op_fsync, .read = op_read,
	.write = op_write, .fallocate = op_fallocate, .lseek = op_lseek, .copy_file_range = op_copy_file_range,
};

static int on_opened(void *ctx, struct conn *c)
{
	struct front *f = ctx;
	struct view *v = calloc(1, sizeof *v);
	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->lock, NULL);
	habits_begin(&v->habits);
	v->front = f;
	v->conn = c;
	c->owner = v;
	WITH_LOCK(&f->views_lock);
	v->next = f->views;
	f->views = v;
	return 0;
}

static void free_view(struct view *v)
{
	habits_end(&v->habits);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static void forget_view(struct front *f, struct view *v)
{
	WITH_LOCK(&f->views_lock);
	struct view **p = &f->views;
	while (*p != v)
		p = &(*p)->next;
	*p = v->next;
}

static void on_gone(void *ctx, struct conn *c)
{
	struct front *f = ctx;
	files_close_conn(f, c->no);
	f->hooks.gone(f->hooks.ctx, c);
}

static void on_closed(void *ctx, struct conn *c)
{
	struct front *f = ctx;
	forget_view(f, c->owner);
	free_view(c->owner);
	c->owner = NULL;
}

static void on_inited(void *ctx, struct conn *c, const void *init, unsigned len)
{
	struct front *f = ctx;
	f->hooks.inited(f->hooks.ctx, c, init, len);
}

struct seer_search {
	struct seers seers;
	const struct conn *but; /* not this one; NULL */
};

static bool is_seer(void *ctx, const struct conn *c)
{
	const struct seer_search *s = ctx;
	if (s->but && s->but->no == c->no)
		return false;
	return s->seers.all || s->seers.account == c->account || view_is_operator(c->owner);
}

/* Whoever made the change knows it already: only the names of other mounts are forgotten. (A name that is forgotten under a
 * process takes away the directory it works in.) */
static void on_entry(void *ctx, struct seers seers, uint64_t parent, const char *name)
{
	struct front *f = ctx;
	const struct request *r = session_request();
	struct seer_search search = { seers, r ? r->conn : NULL };
	notify_entry(f->sessions, &(struct audience){ is_seer, &search }, parent, name);
}

struct writer_search {
	uint64_t disk;
	uint32_t but;         /* not of this connection; 0: of any */
	const struct file *f; /* not this one; NULL: any */
};

static int find_writer(void *ctx, const struct hold_handle *h)
{
	const struct writer_search *s = ctx;
	return node_kind(h->node) == NODE_DISK && h->object == s->disk && (h->flags & O_ACCMODE) != O_RDONLY &&
	       (!s->but || h->conn != s->but) && !(s->f && h->conn == s->f->conn && h->fh == s->f->fh);
}

/* The hold knows all open files, also those of a daemon that died. */
static bool is_written(void *ctx, uint64_t disk)
{
	struct front *f = ctx;
	struct writer_search s = { .disk = disk };
	return hold_handle_each(f->hold, find_writer, &s) != 0;
}

static bool is_waited_for(void *ctx, uint32_t pid)
{
	(void)ctx;
	return !session_is_over() && !process_is_dying(pid);
}

bool front_is_written_elsewhere(struct front *f, uint32_t conn, uint64_t disk)
{
	struct writer_search s = { .disk = disk, .but = conn };
	return hold_handle_each(f->hold, find_writer, &s) != 0;
}

bool front_is_written_besides(struct front *f, const struct file *file)
{
	struct writer_search s = { .disk = node_number(file->node), .f = file };
	return hold_handle_each(f->hold, find_writer, &s) != 0;
}

static void on_inode(void *ctx, struct seers seers, uint64_t node, bool content)
{
	struct front *f = ctx;
	struct seer_search search = { seers, NULL };
	notify_inode(f->sessions, &(struct audience){ is_seer, &search }, node, content ? 0 : -1, 0);
}

static void on_rights(void *ctx) { front_rights_changed(ctx); }

/* Every file that was open is opened again before anything is collected: what they read must stay. */
static int take_up(void *ctx, const struct hold_handle *h)
{
	struct front *f = ctx;
	struct disk *disk;
	file_take_up(f, h);
	if (node_kind(h->node) == NODE_DISK && disks_get(f->service->disks, node_number(h->node), &disk, NULL) == 0)
		disks_put(f->service->disks, &disk); /* idle disks stay open, and pinned, for a while */
	return 0;
}

int front_new(struct front **ret, struct service *s, struct hold *hold, const struct front_hooks *hooks, struct error *err)
{
	struct front *f = calloc(1, sizeof *f);
	if (!f)
		abort();
	f->service = s;
	f->hold = hold;
	f->hooks = *hooks;
	pthread_mutex_init(&f->views_lock, NULL);
	f->files = files_new();
	f->texts = texts_new();
	f->allowances = allowances_new();
	struct sessions_conf conf = { .ops = &front_ops, .hold = hold, .ctx = f, .opened = on_opened, .closed = on_closed,
				      .gone = on_gone, .inited = on_inited };
	int r = sessions_new(&f->sessions, &conf, err);
	if (r) {
		front_free(f);
		return r;
	}
	s->events = (struct service_events){ .entry = on_entry, .inode = on_inode, .rights = on_rights, .is_written = is_written,
					      .is_waited_for = is_waited_for, .ctx = f };
	(void)hold_handle_each(hold, take_up, f); /* a disk that is gone is found out when it is read */
	*ret = f;
	return 0;
}

struct sessions *front_sessions(struct front *f) { return f->sessions; }

void front_free(struct front *f)
{
	if (!f)
		return;
	f->service->events = (struct service_events){ .ctx = NULL };
	if (f->sessions)
		sessions_free(f->sessions);
	files_free(f);
	texts_free(f->texts);
	allowances_free(f->allowances);
	pthread_mutex_destroy(&f->views_lock);
	free(f);
}
