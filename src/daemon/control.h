/* SPDX-License-Identifier: Apache-2.0 */
/* control: the clients at the daemon's socket: each served by a thread of its own, each dropped after a while of silence.
 * docs/control-protocol.md.
 *
 * Nobody can take the places of others: a uid has so many, who has no account shares a few with all who have none (a user may have
 * many uids, in a namespace of his own), and some are kept for who can put things right. */
#ifndef IMAGEFS_DAEMON_CONTROL_H
#define IMAGEFS_DAEMON_CONTROL_H

#include <stdbool.h>

#define CLIENTS_MAX 128
#define CLIENTS_OF_USERS 96     /* of them: not for root, the owner of the store, operators */
#define CLIENTS_OF_STRANGERS 16 /* of these: who have no account */
#define CLIENTS_OF_UID 8
#define CLIENTS_OF_PRIVILEGED 32 /* of one uid that is privileged */
#define FIRST_REQUEST_MS 5000    /* a client that says nothing at all */

struct control;
struct daemon;

struct control *control_new(struct daemon *, int first_request_ms);

/* Take one waiting connection, if there is one. */
void control_accept(struct control *, int listen_fd);

struct client;
/* This client holds a descriptor that is no mount yet: how many of its uid's do, with this one. Until it is let go. */
unsigned control_hold(struct control *, struct client *);
void control_let_go(struct control *, struct client *);

/* Hang up on everybody and wait for their threads, at most `seconds`. false: one is still at work (a
 * long check, say): then nothing that it uses may be freed. */
bool control_stop(struct control *, int seconds);
void control_free(struct control *); /* only after control_stop() was true */

#endif
