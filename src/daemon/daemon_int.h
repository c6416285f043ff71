/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. */
#ifndef IMAGEFS_DAEMON_DAEMON_INT_H
#define IMAGEFS_DAEMON_DAEMON_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "daemon/control.h"
#include "daemon/life.h"
#include "daemon/wire.h"
#include "domain/service.h"
#include "front/front.h"

/* Everything is fixed once the daemon serves, but the last five. */
struct daemon {
	const char *store; /* absolute */
	int channel;       /* to the keeper */
	int listen_fd;
	struct hold *hold;
	struct service *service;
	struct front *front;
	struct life *life;
	struct control *control;
	int64_t started;   /* monotonic */
	bool orphaned;     /* the keeper is gone; the main thread's */
	atomic_bool broken; /* the catalog is, and that was told */
	atomic_bool busy;  /* a check or a collection runs for somebody */
	pthread_mutex_t init_lock; /* guards the next two and `init` of the clients */
	pthread_cond_t init_seen;
	struct client *awaiting;   /* clients whose mount's INIT has not come */
};

enum init { INIT_AWAITED, INIT_SEEN, INIT_REFUSED }; /* refused: it ended before one came */
enum client_class { CLIENT_STRANGER, CLIENT_USER, CLIENT_PRIVILEGED }; /* no account; an account; root, owner or operator */

/* Somebody at the control socket. Used by its own thread only. */
struct client {
	struct daemon *daemon;
	int fd;
	unsigned slot;      /* in the table of clients: control.c */
	struct ucred peer;  /* proved by the kernel */
	enum client_class class; /* when it came */
	bool said;          /* a request came */
	bool holds;         /* a descriptor that is no mount yet; guarded by control's lock */
	bool entered;       /* counted in life: said hello */
	uint32_t account;   /* whose mounts these will be: once hello was answered; 0 */
	int fuse_fd;        /* handed over, not yet mounted or served; -1 */
	bool allow_other;
	uint32_t conn;      /* number for it */
	char dir[4096];
	enum init init;     /* of the mount that it has just made */
	struct client *next_awaiting;
};

/* attach.c: the requests of `imagefs mount`. Negative: answered with the sentence in err. */
int attach_hello(struct client *, const char *arguments, struct error *err) MUST_USE;
int attach_take(struct client *, const char *arguments, int fuse_fd, struct error *err) MUST_USE; /* answers ok itself */
int attach_mounted(struct client *, struct error *err) MUST_USE;
void attach_inited(struct daemon *, uint32_t conn, bool seen); /* the INIT of a mount was seen, or will not be */
void attach_over(struct client *); /* the client is gone */

/* requests.c */
enum client_class client_classify(const struct client *);

/* requests.c: status, leaving, check, gc, usage, disconnect, manage. */
int request_status(struct client *, struct error *err) MUST_USE;
int request_leaving(struct client *, struct error *err) MUST_USE;
int request_check(struct client *, const char *arguments, struct error *err) MUST_USE;
int request_gc(struct client *, const char *arguments, struct error *err) MUST_USE;
int request_usage(struct client *, const char *arguments, struct error *err) MUST_USE;
int request_disconnect(struct client *, const char *account, struct error *err) MUST_USE;
int request_manage(struct client *, const char *arguments, struct error *err) MUST_USE;

#endif
