/* SPDX-License-Identifier: Apache-2.0 */
/* ops_dir: listings. A cookie goes on where it left off, so an open directory needs nothing remembered. */
#include <stdlib.h>

#include "domain/acts.h"
#include "front/front_int.h"

/* The listing of an image changes as its upload goes on, and that of the trash by what is removed elsewhere in the same mount; all others
 * are kept by the kernel until it is told otherwise. */
static bool listing_lasts(const struct ask *a, uint64_t node)
{
	struct shelf shelf;
	return !node_is_in_image(node) && node_kind(node) != NODE_BILLS && !(tree_shelf(&a->who, node, &shelf) && shelf.trash);
}

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
	fi->cache_readdir = fi->keep_cache = listing_lasts(&a, node);
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

static size_t put(struct filling *f, const char *name, const struct fuse_entry_param *p, uint64_t cookie)
{
	char *at = f->buf + f->used;
	size_t room = f->room - f->used;
	size_t n = f->plus ? fuse_add_direntry_plus(f->ask->req, at, room, name, p, (off_t)cookie)
			   : fuse_add_direntry(f->ask->req, at, room, name, &p->attr, (off_t)cookie);
	return n > room ? 0 : n;
}

/* "." and ".." have cookies 1 and 2; the domain's come after them. They are not for show only: of a listing without any
 * entry the kernel keeps no page, and so never notices that it has become invalid. */
#define DOTS 2u
#define NUMBER_UNKNOWN 0xffffffffu

static void add_dots(struct filling *f, uint64_t node, uint64_t cookie)
{
	static const char *const names[DOTS] = { ".", ".." };
	for (; cookie < DOTS; cookie++) {
		struct fuse_entry_param p = { .attr = { .st_ino = cookie ? NUMBER_UNKNOWN : node, .st_mode = S_IFDIR } };
		f->used += put(f, names[cookie], &p, cookie + 1);
	}
}

static int add(void *ctx, const char *name, const struct entry *e, uint64_t cookie)
{
	struct filling *f = ctx;
	struct fuse_entry_param p;
	fill_entry(f->ask, e, &p);
	if (is_generated(e))
		p.ino = 0; /* no attributes: the kernel looks it up when somebody wants to know */
	size_t n = put(f, name, &p, cookie + DOTS);
	f->used += n;
	return n == 0;
}

static void list(fuse_req_t req, fuse_ino_t node, size_t size, off_t cookie, bool plus)
{
	struct ask a;
	struct filling f = { .ask = &a, .room = size, .plus = plus };
	if (!ask_begin(&a, req, "readdir", node, NULL))
		return;
	f.buf = malloc(size);
	if (f.buf)
		add_dots(&f, node, (uint64_t)cookie);
	uint64_t from = (uint64_t)cookie > DOTS ? (uint64_t)cookie - DOTS : 0;
	int r = f.buf ? tree_list(a.front->service, &a.who, node, from, add, &f, &a.err) : -ENOMEM;
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
