/* SPDX-License-Identifier: Apache-2.0 */
/* client: the other end of the control socket: docs/control-protocol.md. */
#ifndef IMAGEFS_CLI_CLIENT_H
#define IMAGEFS_CLI_CLIENT_H

#include "daemon/wire.h"
#include "daemon/work.h"

/* Send a request (with a descriptor, or -1) and wait for its end; what comes before goes to the sink (may
 * be NULL). 0: "ok", its text in ret (may be NULL). The daemon's refusal comes as its code and sentence. -EPIPE: hung up.
 * timeout_ms: of silence; -1 for ever. */
int client_ask(int fd, const char *request, int pass, int timeout_ms, const struct sink *, struct wire_message *ret,
	       struct error *err) MUST_USE;

/* The real path of a store. -ENOENT with a sentence. ret: caller frees. */
int store_path(const char *text, char **ret, struct error *err) MUST_USE;
/* The same of a store, or of anything in a mount of one. */
int store_find(const char *text, char **ret, struct error *err) MUST_USE;

/* A connection to the daemon of a store. -ECONNREFUSED (no sentence): nobody serves it. */
int client_connect(const char *store, struct error *err) MUST_USE;

/* Whether the daemon does it, or, when none runs, this process itself with the store locked: the same results. */
struct store_job {
	const char *request;
	int (*offline)(void *arg, struct service *, const struct sink *, struct error *err);
	/* Before the store is opened for that; may be NULL. *ret_open false: it has said all there is to say. */
	int (*closed)(void *arg, const char *store, const struct sink *, bool *ret_open, struct error *err);
	void *arg;
};
int store_do(const char *store, const struct store_job *, const struct sink *, struct error *err) MUST_USE;

#endif
