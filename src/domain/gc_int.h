/* SPDX-License-Identifier: Apache-2.0 */
/* gc_int: between the files of gc, and for check. Nobody else includes it. */
#ifndef IMAGEFS_DOMAIN_GC_INT_H
#define IMAGEFS_DOMAIN_GC_INT_H

#include "catalog/object_tab.h"
#include "domain/gc.h"

/* One run, from its begin to its end. */
struct gc_work {
	struct gc *gc;
	struct service *service;
	struct gc_report *report;
	void (*say)(void *ctx, const char *line); /* may be NULL */
	void *ctx;
	bool idle; /* nobody waits for it: what is mere work is done on processors that would be idle (store_idle()) */
};

/* A step goes between these, so that it can be waited for. false: the gc is being stopped, don't step. */
bool gc_step_begin(struct gc *);
void gc_step_end(struct gc *);

bool gc_pinned(struct gc *, uint32_t domain, const struct hash *); /* by 16 bytes of the hash */

/* Something is wrong with the thing of this number (of a pack, or the begin of a hash): a warning in
 * the log, the first time. gc_is_bad: was that said within the hour, so that it is not worth a try? Only what is surely wrong is bad: not what
 * there was no memory for, and not what the medium would not give this once. */
void gc_bad(struct gc *, uint64_t thing, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool gc_is_bad(struct gc *, uint64_t thing);

void gc_say(const struct gc_work *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What was there before this process began, so that what is being made right now is never taken for a
 * leftover. */
uint32_t gc_first_new_pack(const struct gc *);
uint64_t gc_last_old_disk(const struct gc *);

/* The jobs. -ECANCELED: stopped between two steps. */
int gc_orphans(struct gc_work *, struct error *err) MUST_USE;   /* backend objects and overlay files of nobody */
int gc_trash(struct gc_work *, struct error *err) MUST_USE;     /* rows whose time in the trash is over */
int gc_pending(struct gc_work *, struct error *err) MUST_USE;   /* uploads that nobody finished */
int gc_links(struct gc_work *, struct error *err) MUST_USE;     /* restored servers whose image has come since */
int gc_loose(struct gc_work *, struct error *err) MUST_USE;     /* objects that nothing refers to */
int gc_dead_packs(struct gc_work *, struct error *err) MUST_USE;
int gc_compact(struct gc_work *, struct error *err) MUST_USE;

/* Remove these packs, those of them that have nothing live: rows, then bytes. *ret says how many. */
#define GC_PACKS_MAX 64u
int gc_drop_packs(struct gc_work *, const uint32_t *packs, unsigned count, unsigned *ret, struct error *err) MUST_USE;

/* Write the live frames of these packs (of one pool and domain, together small enough) into a new one, drop these. level: 0 as they
 * are, else compressed anew at that level; then steps are taken inside, otherwise the caller is in one. */
int gc_rewrite(struct gc_work *, const struct pack_row *, unsigned count, int level, struct error *err) MUST_USE;

/* gc_fold.c: what was written to instances that are quiet now; what goes wrong is told to the log. gc_fold_now() (gc.c) sees to it that it
 * is done once at a time. */
void gc_fold(struct gc_work *);
void gc_fold_now(struct gc_work *);
void *gc_fold_thread(void *gc);

/* gc_squeeze.c: the next pack with a number > *after that was not squeezed: 1, and *after is its number; 0: there is none. */
int gc_squeeze_one(struct gc_work *, uint32_t *after, struct error *err) MUST_USE;
void *gc_squeeze_thread(void *gc);

/* gc_claim.c: what disks that are gone still pay for passes to those that use it. `last` (may be NULL) is what the pass before left: nothing
 * is done again until that changed, or an hour has passed. */
struct claim_pass {
	uint64_t left; /* bytes */
	int64_t time;
};
int gc_claim(struct gc_work *, struct claim_pass *last, struct error *err) MUST_USE;
void *gc_claim_thread(void *gc);

struct service *gc_service(struct gc *);
/* gc_sum.c: the next image with a node > *after whose disk has no SHA-256: 1; 0: there is none. */
int gc_sum_one(struct gc_work *, uint64_t *after, struct error *err) MUST_USE;
bool gc_stopping(struct gc *);
bool gc_pause(struct gc *, unsigned seconds); /* false: stop */
bool gc_wait_quiet(struct gc *); /* until nothing was changed for a while; false: stop */
void gc_rest(struct gc *);       /* until something was changed, or stop */

/* gc_keep.c: the bytes of a pack whose row is gone, now or when nobody keeps them any more. */
void gc_remove_pack(struct gc *, uint32_t pack);
struct keep *keep_new(void);
void keep_free(struct keep *);
struct keep *gc_keep(struct gc *);

/* The disk that an overlay file of this name belongs to, or 0. */
uint64_t overlay_number_of(const char *name);

#endif
