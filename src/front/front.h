/* SPDX-License-Identifier: Apache-2.0 */
/* front: the tree as the kernel sees it: FUSE requests in, calls to the domain, answers out. */
#ifndef IMAGEFS_FRONT_FRONT_H
#define IMAGEFS_FRONT_FRONT_H

#include "domain/service.h"
#include "front/session.h"

struct front;

/* Makes the worker threads' handlers for a service (sessions included; they are not started). `inited` and `gone` tell the keeper's
 * side: a mount's INIT is known; a mount is gone. Handles of a daemon that died are taken up again from the hold. */
struct front_hooks {
	void (*inited)(void *ctx, struct conn *, const void *init, unsigned len);
	void (*gone)(void *ctx, struct conn *);
	void *ctx;
};
int front_new(struct front **ret, struct service *, struct hold *, const struct front_hooks *, struct error *err) MUST_USE;
struct sessions *front_sessions(struct front *);
/* Accounts have changed, or may have while nobody was there to notice (all mounts of a predecessor were added): kernels of mounts that
 * lost a right forget all names, and the bytes of all files that are open there. */
void front_rights_changed(struct front *);
/* Ends sessions (see sessions_free), lets go of everything that is open. */
void front_free(struct front *);

#endif
