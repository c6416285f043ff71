/* SPDX-License-Identifier: Apache-2.0 */
/* probe_cage: libext2fs parses what tenants wrote, so it does that in a process of its own that a hole in it does not get out of.
 *
 *     daemon ──spawns──► prober: one descriptor, a socket; then limits and seccomp; then it looks
 *        │ ◄─── "64 KiB at 4096, please" ───┘  the daemon reads them for it, inside the disk only
 *        │ ◄─── "debian 12", "x86_64" ──────┘  taken if they look like such, and that was all
 *
 * The prober can read and write its socket and end; any other system call ends it. It has 64 MiB of heap, 5 seconds of
 * processor and as long as the daemon is patient. Whatever becomes of it, the upload goes on: then it is not known what is on
 * the disk. */
#ifndef IMAGEFS_DOMAIN_PROBE_CAGE_H
#define IMAGEFS_DOMAIN_PROBE_CAGE_H

#include "domain/probe.h"

/* What an ext file system tells; empty: nothing. */
struct ext_facts {
	char os[OS_SIZE];
	char arch[ARCH_SIZE];
};

struct cage {
	const char *program; /* executed with the one argument "prober": its main() calls prober_main() */
	int patience;        /* ms for all of it */
};
#define CAGE_PATIENCE 30000

/* The daemon's side: let a prober look into the file system at `offset` of the source. Never fails: *ret is empty then, and
 * the log says why. */
void cage_look(const struct cage *, const struct source *, uint64_t offset, uint64_t size, struct ext_facts *ret);

/* The prober's side. Descriptor 0 is the socket. Returns the exit code. */
int prober_main(void);

/* From here on the calling process can read, write and end. Returns false when it could not be closed in. (Sanitizers need system
 * calls of their own: with one built in, it is not closed, and true is returned all the same.) */
bool cage_close(void);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAGE_IS_OPEN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define CAGE_IS_OPEN 1
#endif
#endif
#ifndef CAGE_IS_OPEN
#define CAGE_IS_OPEN 0
#endif

/* ---- what is said on the socket, in this order: the task; any number of wants, each answered by a code and, if that is 0, the
 * bytes; the facts, as a want of kind CAGE_DONE with struct ext_facts behind it. Both ends are the same program: no
 * byte orders. */
struct cage_task {
	uint64_t disk_size, offset, size;
};
enum cage_kind { CAGE_READ = 1, CAGE_DONE = 2 };
struct cage_want {
	uint32_t kind, len;
	uint64_t offset;
};
#define CAGE_PIECE 65536u /* a want's len, at most */

#endif
