/* SPDX-License-Identifier: Apache-2.0 */
/* ops_dir: listings. A cookie goes on where it left off, so an open directory needs nothing remembered. */
#include <stdlib.h>

#include "domain/acts.h"
#include "front/front_int.h"

/* The listing of an image changes as its upload goes on; all others are kept by the kernel until it is told otherwise. */
void op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct ask a;
	struct entry e;
	if (!ask_begin(&a, req, "opendir", node, NULL))
		return;
	int r = tree_attr(a.front->service, &a.who, node, &e, &a.err);
	if (r) {
		reply_error(&a, r);
		return;
	}
	fi->fh = a.who.unique;
	fi->cache_readdir = fi->keep_cache = node_kind(node) != NODE_IMAGE;
	fuse_reply_open(req, fi);
}

void op_releasedir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	(void)node, (void)fi;
	fuse_reply_err(req, 0);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t node, int data, struct fuse_file_info *fi)
{
	(void)node, (void)data, (void)fi;
	fuse_reply_err(req, 0); /* every change was durable when it was answered */
}

struct filling {
	struct ask *ask;
	char *buf;
	size_t used, room;
	bool plus;
};

static int add(void *ctx, const char *name, const struct entry *e, uint64_t cookie)
{
	struct filling *f = ctx;
	struct fuse_entry_param p;
	size_t n;
	fill_entry(f->ask, e, &p);
	if (f->plus)
		n = fuse_add_direntry_plus(f->ask->req, f->buf + f->used, f->room - f->used, name, &p, (off_t)cookie);
	else
		n = fuse_add_direntry(f->ask->req, f->buf + f->used, f->room - f->used, name, &p.attr, (off_t)cookie);
	if (n > f->room - f->used)
		return 1;
	f->used += n;
	return 0;
}

static void list(fuse_req_t req, fuse_ino_t node, size_t size, off_t cookie, bool plus)
{
	struct ask a;
	struct filling f = { .ask = &a, .room = size, .plus = plus };
	if (!ask_begin(&a, req, "readdir", node, NULL))
		return;
	f.buf = malloc(size);
	int r = f.buf ? tree_list(a.front->service, &a.who, node, (uint64_t)cookie, add, &f, &a.err) : -ENOMEM;
	if (r)
		reply_error(&a, r);
	else
		fuse_reply_buf(req, f.buf, f.used);
	free(f.buf);
}

void op_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t cookie, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, node, size, cookie, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t cookie, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, node, size, cookie, true);
}
