/* SPDX-License-Identifier: Apache-2.0 */
/* hold: memory that outlives the daemon.
 *
 * The keeper makes it (a memfd of fixed size) and keeps its descriptor; each daemon maps it. Nothing in
 * it points into anybody's memory. Entries are written so that a kill at any instruction leaves each
 * either absent or whole: fields first, then the word that makes it valid. In-process locks around it
 * live in struct hold, not in the shared memory.
 *
 * It holds: the open file handles (a set: adding twice is adding once), the requests being carried out
 * (to find those that kill the daemon), the last refusals for each uid (what .why shows), and the links that were read last (by which
 * a program is known that copies them).
 */
#ifndef IMAGEFS_KEEPER_HOLD_H
#define IMAGEFS_KEEPER_HOLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct hold;

int hold_create(void); /* a new, empty memfd of the right size (close-on-exec off), or -1 and errno */
int hold_map(struct hold **ret, int fd, struct error *err) MUST_USE; /* fd stays the caller's */
void hold_unmap(struct hold *);

/* ---- open handles. fh is the `unique` of the request that opened it (bit 63 clear), unique within its connection. */
#define HANDLES_MAX 65536 /* more open files at once are ENFILE */
struct hold_handle {
	uint32_t conn;
	uint32_t flags;  /* O_ACCMODE and friends of the open */
	uint64_t fh;
	uint64_t node;   /* node id that was opened */
	uint64_t object; /* what it meant then: e.g. disk number */
	uint32_t uid;
	uint32_t pid;
	uint8_t root[32]; /* a moment that it reads: hash of a map */
	uint64_t size;    /* its size */
	uint32_t pin;     /* 0: none; else levels of that map */
	uint32_t marks;   /* front's own bits: wrote, failed, … */
	uint32_t domain;  /* in which the map is known */
	uint32_t unused;
};
int hold_handle_add(struct hold *, const struct hold_handle *) MUST_USE; /* -ENFILE; same (conn, fh) again: replaced */
bool hold_handle_get(struct hold *, uint32_t conn, uint64_t fh, struct hold_handle *ret);
bool hold_handle_set(struct hold *, const struct hold_handle *); /* change one that is there (by conn, fh) */
bool hold_handle_mark(struct hold *, uint32_t conn, uint64_t fh, uint32_t set, uint32_t clear, uint32_t *ret_marks);
bool hold_handle_remove(struct hold *, uint32_t conn, uint64_t fh);
void hold_handle_remove_conn(struct hold *, uint32_t conn);
unsigned hold_handle_count(struct hold *, uint32_t conn); /* how many it has; 0: all of them */
/* Calls each for every handle; it may not change the table, nor let go of a connection, whose end does. Non-zero ends the walk and is
 * returned. */
int hold_handle_each(struct hold *, int (*each)(void *ctx, const struct hold_handle *), void *ctx);

/* ---- texts of open settings: what a handle has beside what is in the catalog. */
#define HOLD_TEXT_MAX 1800
#define TEXTS_MAX 128
bool hold_text_put(struct hold *, uint32_t conn, uint64_t fh, const void *text, unsigned len); /* or change it; false: no room */
bool hold_text_get(struct hold *, uint32_t conn, uint64_t fh, char ret[HOLD_TEXT_MAX], unsigned *ret_len);
void hold_text_remove(struct hold *, uint32_t conn, uint64_t fh); /* hold_handle_remove() does so, too */

/* ---- requests under way: one slot a worker thread. */
#define FLIGHTS_MAX 64
void hold_flight_begin(struct hold *, unsigned slot, uint32_t conn, uint64_t unique, uint32_t opcode);
void hold_flight_end(struct hold *, unsigned slot);

/* Of what a daemon died, and what that counts against the requests that were under way. */
enum hold_death {
	DEATH_KILLED,  /* people did it: 0. However often they do, and a request that takes long is then always under way */
	DEATH_STARVED, /* the kernel did it, for want of memory, which may or may not be the request's fault: 10 */
	DEATH_CRASHED, /* by its own fault (SIGSEGV, SIGABRT, SIGBUS …): 30 */
};
/* Called by the keeper when a daemon died. Returns how many requests reached DEATHS_MAX by it. */
unsigned hold_flights_died(struct hold *, enum hold_death);
/* How much this request has on its account; at 90 or more it is answered with EIO instead of being tried again. */
unsigned hold_deaths(struct hold *, uint32_t conn, uint64_t unique);
#define DEATHS_MAX 90

/* ---- refusals. */
struct hold_why {
	int64_t time; /* ns */
	uint32_t uid, pid;
	int32_t code;       /* negative */
	char operation[12]; /* "unlink" */
	char path[160];     /* the end of it, when longer */
	char text[300];     /* the sentence */
};
#define WHY_KEPT 200
void hold_why_add(struct hold *, const struct hold_why *); /* a ring for each uid; 32 uids, least recently refused goes */
void hold_why_each(struct hold *, uint32_t uid, void (*each)(void *ctx, const struct hold_why *), void *ctx); /* oldest first */

/* ---- links that were read: who makes one with the same text elsewhere copies it. The last READS_KEPT, of all programs. */
#define READS_KEPT 256
struct hold_read {
	uint32_t conn, pid;
	uint64_t image; /* whose link it is */
	uint64_t sum;   /* of its text */
	int64_t time;   /* monotonic, ns */
};
void hold_read_add(struct hold *, const struct hold_read *);
/* Has this process read a link of this sum, in another image than this one, at this time or since? */
bool hold_read_find(struct hold *, const struct hold_read *);

#endif
