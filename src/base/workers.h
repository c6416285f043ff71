/* SPDX-License-Identifier: Apache-2.0 */
/* workers: a few threads that carry out jobs from a bounded queue, first in first out. */
#ifndef IMAGEFS_BASE_WORKERS_H
#define IMAGEFS_BASE_WORKERS_H

#include <stdbool.h>

struct workers;
typedef void (*work_fn)(void *arg);

/* `threads` threads, named NAME-n; at most `queue` jobs wait. Aborts when no thread can be made. */
struct workers *workers_new(const char *name, unsigned threads, unsigned queue);

/* One thread, NAME-0, that runs only on processors that would be idle (SCHED_IDLE): its jobs may take for ever, so they
 * take no lock that others wait for, not even for a moment. */
struct workers *workers_new_idle(const char *name, unsigned queue);

/* Waits while the queue is full. Never call it from a job of the same pool. */
void workers_add(struct workers *, work_fn, void *arg);

/* false, and nothing done, when the queue is full. May be called from anywhere. */
bool workers_try(struct workers *, work_fn, void *arg);

/* Finishes everything that is queued, then ends the threads. NULL is allowed. */
void workers_free(struct workers *);

/* Counts jobs under way, so that somebody can wait for all of them. */
struct tally;
struct tally *tally_new(void);
void tally_add(struct tally *);  /* one more */
void tally_done(struct tally *); /* one less */
void tally_wait(struct tally *); /* until none */
void tally_free(struct tally *);

#endif
