/* SPDX-License-Identifier: Apache-2.0 */
/* session_int: what session.c, fuse_io.c, worker.c and notify.c share.
 *
 * A link is a connection with its private side. The table owns one reference to it, everybody who works with it
 * another; the last to let go of a link that is gone closes it. Locks: sessions.lock for the table and the
 * worker threads, a link's notes.lock for its notifications; neither is held while calling out, and sessions.lock may be
 * taken inside of the other.
 */
#ifndef IMAGEFS_FRONT_SESSION_INT_H
#define IMAGEFS_FRONT_SESSION_INT_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>

#include "front/session.h"

#define WRITE_MAX (1u << 20)

/* The daemon's side of notes.h. */
struct notes_ring;
struct notes {
	pthread_mutex_t lock; /* guards all of it, and the ring's head */
	struct notes_ring *ring;
	int memory, wake;     /* the ring's; to the notifier */
	pid_t pid;
};

struct link {
	struct conn conn; /* first: handlers are given this one */
	struct sessions *all;
	unsigned slot;    /* in the table */
	_Atomic unsigned refs;
	_Atomic bool gone;
	bool opened;      /* conf.opened was told, and has not refused it */
	bool served;      /* it was in the table: conf.gone will be told */
	bool held;        /* out of epoll until a request of its user ends; guarded by all->lock */
	struct {          /* the answer to its INIT; written while no other request of it is carried out */
		struct fuse_out_header header;
		struct fuse_init_out body;
	} answer;
	_Atomic unsigned answer_len; /* 0: no INIT yet */
	struct notes notes;
};

enum worker_state { WORKER_NONE, WORKER_RUNS, WORKER_ENDED /* to be joined */ };

struct worker {
	struct sessions *all;
	unsigned slot; /* in the hold's flights */
	enum worker_state state; /* guarded by all->lock */
	pthread_t thread;
	char *buffer; /* for requests */
	struct link *link; /* whose request it carries out */
	bool serves;       /* a connection of `uid`; both guarded by all->lock */
	uint32_t uid;
	bool blocked;
	bool spins;        /* and has spin.taken; `link` is out of epoll */
};

struct spin {
	_Atomic bool taken;     /* somebody spins; the rest is his */
	unsigned failures;      /* in a row */
	_Atomic unsigned skip;  /* so many requests to come are not worth a try */
	bool allowed;           /* there is more than one CPU */
};

struct sessions {
	struct sessions_conf conf;
	struct fuse_lowlevel_ops ops; /* conf.ops, with our init before theirs */
	int epoll;
	int bell; /* an eventfd: rung once, at the end */

	pthread_mutex_t lock;   /* guards what follows */
	struct link **slots;
	unsigned slots_room, links;
	struct worker workers[FLIGHTS_MAX];
	unsigned running, blocked;
	bool any_held;          /* a link may be */
	bool started;
	pid_t *leaving;         /* notifiers that were told to */
	unsigned n_leaving;

	_Atomic bool ending;
	_Atomic unsigned idle; /* workers that would take a request */
	struct spin spin;
	pthread_mutex_t quarantine; /* held while a request is carried out that may have crashed a daemon */
};

/* ---- session.c */
struct link *link_by_key(struct sessions *, uint64_t key); /* from epoll; with a reference, or NULL */
void link_release(struct link *);
void link_end(struct link *); /* serve it no more */
void link_arm(struct link *, bool on);
/* All that are there, each with a reference; the caller releases and frees. */
struct link **links_snapshot(struct sessions *, unsigned *ret_count);

/* ---- fuse_io.c: what libfuse does for a link */
int link_make_fuse(struct link *, struct error *err) MUST_USE;
int link_replay_init(struct link *, const void *init, unsigned len, struct error *err) MUST_USE;
void link_ask_resend(struct link *);
bool link_carry_out(struct link *, void *request, size_t len); /* false: it cannot be served */
void link_refuse(struct link *, const struct fuse_in_header *, int error);
void note_ops(struct sessions *);

/* ---- worker.c */
int thread_start(pthread_t *ret, void *(*run)(void *), void *arg) MUST_USE; /* with all signals blocked */
void workers_begin(struct sessions *); /* all->lock is held */
void workers_end(struct sessions *);
void worker_answers(size_t len); /* the calling thread is about to answer its request */

/* ---- notify.c */
void notes_init(struct notes *);
int notes_begin(struct link *, struct error *err) MUST_USE;
void notes_end(struct link *); /* also of one that did not begin */

#endif
