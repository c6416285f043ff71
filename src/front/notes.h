/* SPDX-License-Identifier: Apache-2.0 */
/* notes: what one kernel connection must forget, on its way from the daemon to the connection's notifier: a process of ours that
 * does nothing but write such notes to /dev/fuse.
 *
 * The kernel takes the locks of the inodes concerned while it is told, and may hold them for a request that waits for an answer. Whoever
 * mounted could have kept a duplicate of the descriptor, read requests from it and never answer: then the one who tells hangs in the
 * kernel, beyond any signal, until that connection ends. So nobody tells who has anything else to do: not a thread of the
 * daemon, which could not even end with it, but a process for each connection, which is left behind when it hangs.
 *
 * Between them lies a ring of NOTES_SIZE bytes in shared memory. The daemon never waits: what does not fit is dropped, and once there
 * is room again the kernel is told to look up all its names anew (Linux 6.16 and later; before that, what it has cached ends
 * by its timeouts). That happens to connections that hang only.
 */
#ifndef IMAGEFS_FRONT_NOTES_H
#define IMAGEFS_FRONT_NOTES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NOTES_SIZE (1u << 20) /* some 13000 notes */
#define NOTE_MAX 600          /* bytes of one: header, body, a name */

struct notes_ring {
	_Atomic uint64_t head, tail; /* bytes that were ever put, and that were carried out */
	_Atomic bool lost;           /* something did not fit */
	char bytes[NOTES_SIZE];      /* a note is its length (4 bytes), and what is written to /dev/fuse; it may wrap */
};

/* The descriptors of a notifier. The other end of WAKE tells it that there is something, and by closing that it is to leave. */
enum { NOTIFIER_WAKE = 0, NOTIFIER_FUSE = 1, NOTIFIER_RING = 3 };

/* The process; an exit code. The program calls it when it is executed as `PROGRAM notifier`. */
int notifier_main(void);

#endif
