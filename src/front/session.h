/* SPDX-License-Identifier: Apache-2.0 */
/* session: the requests of all attached mounts, carried out by a few worker threads.
 *
 * Each connection is one /dev/fuse descriptor and one libfuse session (custom I/O, no mounting, no
 * splice). Workers read a request into their own pre-faulted, locked buffer, note it in the hold, give it
 * to libfuse, which calls the handlers of `ops`, and clear the note once it is answered. Idle workers spin
 * briefly before they sleep. The number of workers follows the load: a request that finds all others busy
 * makes one more, up to the limit.
 *
 * A connection may be new (its INIT comes from the kernel, is shown to the keeper and then answered), or taken
 * over from a daemon that died: then libfuse is fed the INIT of old, and the kernel is asked to send
 * again what was not answered (FUSE_NOTIFY_RESEND) before any worker reads from it.
 */
#ifndef IMAGEFS_FRONT_SESSION_H
#define IMAGEFS_FRONT_SESSION_H

#include "keeper/hold.h"

struct fuse_lowlevel_ops;
struct fuse_session;
struct sessions;

#define INIT_MAX 128 /* bytes of a FUSE_INIT request, header and body */

/* One attached mount. Fixed while it lives. */
struct conn {
	uint32_t no;       /* from the catalog's COUNTER_CONN */
	uint32_t peer_uid; /* proved at the socket */
	uint32_t account;  /* whose view this is */
	bool allow_other;
	int fd;
	char dir[4096];    /* where it is mounted, as the client said it: for messages and for unmounting */
	struct fuse_session *fuse;
	void *owner;       /* front's own data, set through sessions_conf.opened */
};

/* What is negotiated at INIT is settled here (fuse_io.c); ops->init, if any, is called after that and may change it. */

/* The request that the calling thread is carrying out; NULL when it is carrying out none. */
struct request {
	struct conn *conn;
	uint64_t unique; /* without bit 63 */
	bool resent;     /* the kernel sends it again: it may have been carried out already */
};
const struct request *session_request(void);

bool session_is_over(void); /* it belongs to a connection that is served no more, or to a daemon that ends */

/* The answer to a copy_file_range: the kernel takes 64 bits of it (session_is_wide) or 32. */
struct fuse_req;
bool session_is_wide(void);
int session_reply_copied(struct fuse_req *, uint64_t bytes);

struct sessions_conf {
	const struct fuse_lowlevel_ops *ops;
	struct hold *hold;
	void *ctx; /* handed to the callbacks */
	/* libfuse's userdata for a connection's handlers is its struct conn. */
	int (*opened)(void *ctx, struct conn *);  /* before its first request; non-zero: refused */
	void (*closed)(void *ctx, struct conn *); /* the last word on one that was opened, also if sessions_add() failed or sessions_free() lets go of it */
	void (*gone)(void *ctx, struct conn *);   /* before that, of one that sessions_add() took: it ended, after its last request; its handles are removed from the hold */
	/* A new connection's INIT, before it is answered: the keeper has to know it. */
	void (*inited)(void *ctx, struct conn *, const void *init, unsigned len);
	unsigned min_workers, max_workers; /* 2, 32 when 0 */
	unsigned max_background;           /* 64 when 0 */
};

int sessions_new(struct sessions **ret, const struct sessions_conf *, struct error *err) MUST_USE;

/* Serve a mount; the descriptor is the sessions' from here on, also on failure. It must belong to a mount, be it one that is over already. init
 * NULL: new; then the first request has to be its INIT, or somebody else has answered that, and it is ended. So is one from which
 * no request can be read, whatever the error. */
int sessions_add(struct sessions *, int fd, const struct conn *describe, const void *init, unsigned init_len,
		 struct error *err) MUST_USE;

/* Serve this one no more, as if it had been unmounted. Unknown: nothing. */
void sessions_end(struct sessions *, uint32_t no);

/* Workers begin only now; so that every taken-over connection asks for RESEND before anything is read. */
void sessions_start(struct sessions *);

unsigned sessions_count(struct sessions *);
unsigned sessions_live(struct sessions *); /* less those that were unmounted a moment ago, and are about to be seen to */
/* None of them is closed before all were told to each, which must not wait for anybody. */
int sessions_each(struct sessions *, int (*each)(void *ctx, const struct conn *), void *ctx);

/* Calls that wait (folding an import, say) do so between these, so that a worker is made to stand in. The answer is the last
 * thing that a handler does: while it goes on, its connection may have to wait. */
void session_blocking_begin(void);
void session_blocking_end(void);

/* In a handler of READ: this many bytes of the worker's memory, to answer out of. They are faulted in and locked (an answer out of a page
 * that the kernel must wait for is lost, with an error for the reader, when the daemon is killed meanwhile) and go with the worker. */
#define SESSION_ROOM ((size_t)1 << 20)
void *session_room(void);

/* End all: no more requests are read; those under way are answered; workers are joined. Descriptors are closed, so
 * anything still mounted gets ENOTCONN unless the keeper holds it too (unmount first for a clean end). For what is still
 * mounted `gone` is not called, and its handles stay in the hold. */
void sessions_free(struct sessions *);

/* ---- telling kernels that something changed: every connection of the audience (NULL: all), by a process for each (front/notes.h), so that
 * a connection which does not let itself be told is the only one that misses it. Never waits. */
struct audience {
	bool (*is_told)(void *ctx, const struct conn *); /* NULL: all are */
	void *ctx;
};
void notify_entry(struct sessions *, const struct audience *, uint64_t parent, const char *name);     /* forget this name */
void notify_inode(struct sessions *, const struct audience *, uint64_t node, int64_t offset, int64_t len); /* as fuse_lowlevel_notify_inval_inode; offset -1: attributes only */
/* Until everything so far was told, at most 5 s (for tests). */
void notify_flush(struct sessions *);

#endif
