/* SPDX-License-Identifier: Apache-2.0 */
/* wire: the messages of the control socket: docs/control-protocol.md.
 *
 * The socket is SOCK_SEQPACKET, so a message is a packet: one line of text without its newline, and at
 * most one descriptor beside it. Both ends use these functions. */
#ifndef IMAGEFS_DAEMON_WIRE_H
#define IMAGEFS_DAEMON_WIRE_H

#include <stddef.h>
#include <sys/stat.h>

#include "base/err.h"

#define WIRE_VERSION 1
#define WIRE_MAX 6000 /* bytes of a message; a path of 4095 and a sentence fit */

struct wire_message {
	char text[WIRE_MAX + 1]; /* NUL-terminated; no NUL inside */
	int fd;                  /* passed beside it, close-on-exec, the receiver's; -1 */
};

/* Sending. -EPIPE: the other side is gone; -EAGAIN: it does not read. `pass`: a descriptor, or -1. */
int wire_send(int fd, const char *text, int pass) MUST_USE;
int wire_sendf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3))) MUST_USE;

/* Receiving, at most timeout_ms (-1: for ever). 0; -EPIPE: the end; -ETIMEDOUT; -EBADMSG: too long, a NUL
 * inside, or more than one descriptor (none is kept then). */
int wire_receive(int fd, struct wire_message *ret, int timeout_ms) MUST_USE;

/* The listening socket STORE/socket, for everybody; one that was left behind is replaced, so the caller
 * must have the store's lock. Close-on-exec. Answers the descriptor; its name is the caller's to remove (NULL: it stays). */
struct wire_name {
	int folder;
	struct stat made;
};
int wire_listen(const char *store, struct wire_name *ret_name, struct error *err) MUST_USE;

/* Once. If the store was made anew meanwhile, the socket of that name is its next daemon's, and stays. */
void wire_unlisten(struct wire_name *);

/* The descriptor, or -ENOENT and -ECONNREFUSED: nobody serves; -EACCES; … */
int wire_connect(const char *store) MUST_USE;

#endif
