/* SPDX-License-Identifier: Apache-2.0 */
/* control: the clients at the daemon's socket: each served by a thread of its own, at most
 * CLIENTS_MAX at once, each dropped after a while of silence. docs/control-protocol.md. */
#ifndef IMAGEFS_DAEMON_CONTROL_H
#define IMAGEFS_DAEMON_CONTROL_H

#include <stdbool.h>

#define CLIENTS_MAX 64

struct control;
struct daemon;

struct control *control_new(struct daemon *);

/* Take one waiting connection, if there is one. */
void control_accept(struct control *, int listen_fd);

/* Hang up on everybody and wait for their threads, at most `seconds`. false: one is still at work (a
 * long check, say): then nothing that it uses may be freed. */
bool control_stop(struct control *, int seconds);
void control_free(struct control *); /* only after control_stop() was true */

#endif
