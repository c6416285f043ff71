/* SPDX-License-Identifier: Apache-2.0 */
/* gc: gives back what nothing refers to: loose objects, dead packs, half-dead packs (compaction), disks and rows whose time in the trash
 * is over, uploads that nobody finished. In small steps, by a thread of its own.
 *
 * Order (the reverse of making): references go in a catalog transaction; only after its commit the bytes go. A map that is open
 * (pinned) is kept though loose; what it names is safe as long as its root is.
 */
#ifndef IMAGEFS_DOMAIN_GC_H
#define IMAGEFS_DOMAIN_GC_H

#include "domain/service.h"

struct gc;

/* Begin with the thread not running (gc_start starts it); gc_stop waits for the step under way, for good: afterwards only pins and
 * gc_wake() still work, so that the disks can be closed before gc_free(). */
struct gc *gc_new(struct service *);
void gc_start(struct gc *);
void gc_stop(struct gc *);
void gc_free(struct gc *);

/* Roots that somebody reads: counted. Until unpinned, gc keeps them even when nothing in the catalog refers to them. */
void gc_pin(struct gc *, uint32_t domain, const struct map_root *);
void gc_unpin(struct gc *, uint32_t domain, const struct map_root *);

/* No step is under way and none begins from hold to release: what the catalog names stays where it is, and no object goes away.
 * Several may hold; not within a step. NULL is allowed. */
void gc_hold(struct gc *);
void gc_release(struct gc *);

/* Between the two no pack loses its bytes: who reads by what the catalog said after the first still finds them. Collecting goes on,
 * only the room is given back later. Any number may keep. */
void gc_keep_packs(struct gc *);
void gc_let_packs_go(struct gc *);

/* The transaction failed that was to tell the catalog of this pack, which nobody else knows: its bytes go, unless the catalog has it after
 * all (or cannot be read: then the next start sees to it). */
void gc_unmake_pack(struct gc *, uint32_t pack);

void gc_note_use(struct gc *); /* somebody reads: this is no time to compress harder. From any thread, at next to no cost */
/* Collect what nothing refers to now, beside whatever else goes on: somebody needs the room and waits. Does nothing while it is held. */
int gc_collect(struct gc *, struct error *err) MUST_USE;

void gc_wake(struct gc *); /* there is something to do now: something was deleted */

struct gc_report {
	uint64_t objects, bytes, packs_removed, packs_compacted, images_purged, disks_folded;
};
/* Everything that can be done now (also by the thread, in steps). Returns when nothing is left to do. `say` (may be NULL) is told of progress. */
int gc_run(struct gc *, void (*say)(void *ctx, const char *line), void *ctx, struct gc_report *ret, struct error *err) MUST_USE;

/* Compress all packs harder, now. The store does so by itself when nothing was changed in it for a minute, with processors that would be idle. */
int gc_squeeze(struct gc *, void (*say)(void *ctx, const char *line), void *ctx, struct gc_report *ret, struct error *err) MUST_USE;

#endif
