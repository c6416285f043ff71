/* SPDX-License-Identifier: Apache-2.0 */
/* Attaching a mount, from the daemon's side.
 *
 *     nobody ──hello──► entered ──attach (descriptor)──► held ──mounted──► served
 *                          ▲            client gone, not mounted: closed │
 *                          └────────────────────────────────────────────┘
 *
 * The descriptor is handed over before mount(2), so that whatever the client dies of, no mount is left
 * without its server: if it died after mount(2), the mount is served as if it had said so. Rights are
 * those of the uid that SO_PEERCRED shows, never anything that the client says. Nor is anything done with the client's
 * descriptor but to join its connection (front/device.h); only root and the owner of the daemon are trusted with sharing theirs, where
 * /dev/fuse is closed to the daemon. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/daemon_int.h"
#include "front/device.h"
#include "keeper/keeper.h"

#define FUSE_MAJOR 10
#define FUSE_MINOR 229
#define INIT_SECONDS 10
#define MOUNTS_OF_UID 32         /* of one uid at a time */
#define MOUNTS_OF_PRIVILEGED 256 /* root, the owner of the store, operators */

int attach_hello(struct client *c, const char *arguments, struct error *err)
{
	char name[33];
	if (strcmp(arguments, "1"))
		return fail(err, -EPROTO, "the daemon that serves %s is of another version than this program: "
					  "unmount everything (or restart the service) and mount again",
			    c->daemon->store);
	/* Counted first, refused or not: a daemon that was started for nobody else then leaves with this client. */
	if (!c->entered && !life_enter(c->daemon->life))
		return fail(err, -ESHUTDOWN, "the daemon is ending");
	c->entered = true;
	int r = service_account_of(c->daemon->service, c->peer.uid, &c->account, name, err);
	if (r)
		return r;
	r = wire_sendf(c->fd, "ok %s", name);
	return r ? r : 1;
}

static bool is_fuse_device(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(FUSE_MAJOR, FUSE_MINOR);
}

static int next_number(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)err;
	*(uint32_t *)arg = (uint32_t)cat_next(txn, COUNTER_CONN);
	return 0;
}

struct counting {
	uint32_t uid;
	unsigned count;
};

static int count_mount(void *ctx, const struct conn *conn)
{
	struct counting *c = ctx;
	c->count += conn->peer_uid == c->uid;
	return 0;
}

/* Those that are held are counted before those that are served, and a mount is served before it is no longer held: none is missed. */
static int may_have_one_more(struct client *c, struct error *err)
{
	unsigned most = client_classify(c) == CLIENT_PRIVILEGED ? MOUNTS_OF_PRIVILEGED : MOUNTS_OF_UID;
	struct counting mounts = { c->peer.uid, control_hold(c->daemon->control, c) };
	int r = sessions_each(front_sessions(c->daemon->front), count_mount, &mounts);
	if (r == 0 && mounts.count > most)
		r = fail(err, -EDQUOT, "uid %u has %u mounts of this store, and no more are given to one user; unmount one "
			 "(`imagefs status %s` lists them)", c->peer.uid, most, c->daemon->store);
	if (r)
		control_let_go(c->daemon->control, c);
	return r;
}

int attach_take(struct client *c, const char *arguments, int fuse_fd, struct error *err)
{
	AUTO_FD int fd = fuse_fd;
	char dir[sizeof c->dir];
	if (!c->account)
		return fail(err, -EBADMSG, "say hello first");
	if ((arguments[0] != '0' && arguments[0] != '1') || arguments[1] != ' ' || arguments[2] != '/' ||
	    snprintf(dir, sizeof dir, "%s", arguments + 2) >= (int)sizeof dir)
		return fail(err, -EBADMSG, "attach needs 0 or 1 and an absolute path");
	if (fd < 0 || !is_fuse_device(fd))
		return fail(err, -EBADMSG, "what was handed over is not /dev/fuse");
	if (c->fuse_fd >= 0)
		return fail(err, -EBADMSG, "one descriptor at a time");
	int r = may_have_one_more(c, err);
	if (r)
		return r;
	c->fuse_fd = steal_fd(&fd);
	c->allow_other = arguments[0] == '1';
	memcpy(c->dir, dir, sizeof c->dir);
	/* Answered before the number is committed: meanwhile the client mounts. */
	r = wire_send(c->fd, "ok", -1);
	if (r)
		return r;
	c->conn = 0;
	r = cat_write(c->daemon->service->catalog, next_number, &c->conn, err);
	if (r)
		log_error("cannot number a mount: %s", err->text);
	return 1; /* without a number, `mounted` is refused */
}

static void describe(const struct client *c, struct conn *ret)
{
	*ret = (struct conn){ .no = c->conn, .peer_uid = c->peer.uid, .account = c->account,
			      .allow_other = c->allow_other, .fd = c->fuse_fd };
	memcpy(ret->dir, c->dir, sizeof ret->dir);
}

static int tell_keeper(const struct client *c, uint32_t kind, int fd)
{
	struct keep_message m = { .kind = kind, .conn = c->conn, .peer_uid = c->peer.uid, .account = c->account,
				  .allow_other = c->allow_other };
	memcpy(m.dir, c->dir, sizeof m.dir);
	return keep_send(c->daemon->channel, &m, fd);
}

static int refuse_init(const struct client *c, struct error *err)
{
	return fail(err, -EPROTO, "the mount at %s is refused: its INIT, with which the kernel begins to use a mount, was read by somebody "
		    "else who has its descriptor; unmount it and mount again", c->dir);
}

static int make_own(struct client *c, struct error *err)
{
	int own = -1, r = device_own(c->fuse_fd, &own, err);
	if ((r == -EACCES || r == -EPERM || r == -ENOENT || r == -ENXIO) && (c->peer.uid == 0 || c->peer.uid == geteuid()))
		return 0;
	if (r)
		return r == -ENOTCONN ? fail(err, r, "nothing is mounted at %s any more", c->dir) : r;
	close(c->fuse_fd);
	c->fuse_fd = own;
	return device_has_request(own) ? 0 : refuse_init(c, err);
}

/* The keeper has it before the first request is read, so that no moment is without somebody who holds it. Once the sessions have taken it,
 * mount_gone() undoes what is done here. */
static int serve(struct client *c, struct error *err)
{
	struct conn conn;
	int r = make_own(c, err);
	AUTO_FD int fd = steal_fd(&c->fuse_fd);
	if (r)
		return r;
	if (!c->conn)
		return fail(err, -EIO, "the catalog of %s cannot be written; its log says why", c->daemon->store);
	if (!life_enter(c->daemon->life))
		return fail(err, -ESHUTDOWN, "the daemon is ending");
	r = tell_keeper(c, KEEP_ADD, fd);
	if (r) {
		life_leave(c->daemon->life);
		return fail(err, r, "the keeper does not take the mount: %s", strerror(err_to_errno(r)));
	}
	describe(c, &conn);
	conn.fd = fd;
	r = sessions_add(front_sessions(c->daemon->front), steal_fd(&fd), &conn, NULL, 0, err);
	if (r == 0) {
		log_info("mount %u of uid %u at %s", c->conn, c->peer.uid, c->dir);
		return 0;
	}
	(void)!tell_keeper(c, KEEP_DROP, -1); /* fails only when the keeper is gone, and then all ends */
	life_leave(c->daemon->life);
	return r;
}

/* ---- waiting for INIT: whoever looks at a mount before it cannot be interrupted, so the client is told when to look */
static void begin_awaiting(struct client *c)
{
	WITH_LOCK(&c->daemon->init_lock);
	c->init = INIT_AWAITED;
	c->next_awaiting = c->daemon->awaiting;
	c->daemon->awaiting = c;
}

static enum init end_awaiting(struct client *c, int seconds)
{
	struct client **at = &c->daemon->awaiting;
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	WITH_LOCK(&c->daemon->init_lock);
	while (c->init == INIT_AWAITED && seconds)
		if (pthread_cond_timedwait(&c->daemon->init_seen, &c->daemon->init_lock, &until) == ETIMEDOUT)
			break;
	while (*at != c)
		at = &(*at)->next_awaiting;
	*at = c->next_awaiting;
	return c->init;
}

void attach_inited(struct daemon *d, uint32_t conn, bool answered)
{
	WITH_LOCK(&d->init_lock);
	for (struct client *c = d->awaiting; c; c = c->next_awaiting)
		if (c->conn == conn && c->init == INIT_AWAITED)
			c->init = answered ? INIT_SEEN : INIT_REFUSED;
	pthread_cond_broadcast(&d->init_seen);
}

int attach_mounted(struct client *c, struct error *err)
{
	if (c->fuse_fd < 0)
		return fail(err, -EBADMSG, "attach first");
	begin_awaiting(c);
	int r = serve(c, err);
	control_let_go(c->daemon->control, c);
	enum init init = end_awaiting(c, r ? 0 : INIT_SECONDS);
	if (r || init == INIT_SEEN)
		return r;
	if (init == INIT_REFUSED)
		return refuse_init(c, err);
	sessions_end(front_sessions(c->daemon->front), c->conn);
	return fail(err, -ETIMEDOUT, "the kernel did not begin to use the mount at %s", c->dir);
}

/* A client that died between mount(2) and `mounted` leaves a mount that is served; else there is nothing to serve. */
void attach_over(struct client *c)
{
	struct error err = { 0 };
	int r = c->fuse_fd >= 0 ? serve(c, &err) : 0;
	if (r && r != -ENOTCONN)
		log_warn("the mount at %s was left by its client and cannot be served: %s", c->dir, err.text);
	if (c->entered)
		life_leave(c->daemon->life);
}
