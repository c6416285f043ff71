/* SPDX-License-Identifier: Apache-2.0 */
/* keeper: the parent of the daemon. It has no threads, no LMDB, no FUSE library; it keeps what must outlive the daemon
 * (every /dev/fuse descriptor with its INIT, the hold, the listening socket, the store's lock) and starts the daemon, again and
 * again when it dies.
 *
 *     start ──► daemon running ──(dies)──► hold_flights_died ──► start
 *                  │  exits 0: asked to end        │ 5 bad deaths, or kernel < 6.9 with mounts
 *                  ▼                               ▼
 *               keeper ends                 descriptors closed, mounts undone, keeper ends with an error
 *
 * Bad deaths, each within 10 s of that daemon's start: 5 without one having become ready in between; or 5 that were their own
 * doing (SIGSEGV, SIGABRT, …, or an exit code). Being killed by the kernel for want of memory counts a tenth before it was ready,
 * being killed by people does so before any was ever ready; neither counts then. A death that comes later begins anew, and so does, for crashes, one by which a request is condemned (hold.h): that
 * request will not do it again. A daemon that says KEEP_FAILED before any was ever ready is not tried again.
 *
 * Mounts that are left at the end are undone in any case: without a descriptor they are only ENOTCONN.
 *
 * SIGTERM, SIGINT, SIGHUP: passed on to the daemon as SIGTERM, which ends cleanly; kept back for at most 30 s, then SIGKILL.
 * The keeper dying ends the daemon: it sees the end of their channel.
 */
#ifndef IMAGEFS_KEEPER_KEEPER_H
#define IMAGEFS_KEEPER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What the daemon is told of a mount that it takes over, and what it tells of a new one: a message on their SOCK_SEQPACKET channel, the
 * descriptor passed beside it (KEEP_ADD only). */
enum keep_kind {
	KEEP_ADD = 1,  /* daemon -> keeper: a new mount. keeper -> daemon at start: one a mount */
	KEEP_INIT,     /* daemon -> keeper: this is its INIT */
	KEEP_DROP,     /* daemon -> keeper: it is gone */
	KEEP_READY,    /* daemon -> keeper: serving; the keeper tells whoever started it. keeper -> daemon at start: that was all */
	KEEP_FAILED,   /* daemon -> keeper, before it exits with an error: it cannot serve, `dir` is the sentence that says why */
};

struct keep_message {
	uint32_t kind;
	uint32_t conn, peer_uid, account;
	uint32_t allow_other;
	uint32_t init_len;
	uint8_t init[128];
	char dir[4096];
};

/* Send and receive one, with a descriptor or -1. 0; -EPIPE: the other side is gone; -EAGAIN on a non-blocking channel;
 * -EBADMSG: not a message of ours. */
int keep_send(int channel, const struct keep_message *, int fd) MUST_USE;
int keep_receive(int channel, struct keep_message *ret, int *ret_fd) MUST_USE;

struct keeper_conf {
	const char *store;       /* path */
	int listen_fd;           /* unix socket, listening */
	int lock_fd;             /* the store's lock, held */
	int ready_fd;            /* one line is written here when the daemon serves ("ready\n") or cannot ("<sentence>\n"), then it is closed; -1 */
	bool linger;             /* false: the daemon ends with the last mount (it was started by a mount) */
	const char *vmstat;      /* where the kernel counts whom it killed for want of memory (death.h); NULL: /proc/vmstat */
	const char *program;     /* what to execute: PROGRAM daemon STORE, descriptors by IMAGEFS_CHANNEL_FD, _HOLD_FD, _LISTEN_FD, _LOCK_FD in the environment; IMAGEFS_LINGER=0|1 */
};
/* Runs until the end; returns an exit code. */
int keeper_run(const struct keeper_conf *);

#endif
