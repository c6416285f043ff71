/* SPDX-License-Identifier: Apache-2.0 */
/* disk_int: what the files of the disk share.
 *
 *   disk.c         opening, closing, size, truncation, what is asked about a disk
 *   disk_read.c    reading, reading ahead
 *   disk_seek.c    SEEK_DATA, SEEK_HOLE
 *   disk_write.c   writing, zeroing
 *   disk_moves.c   the table and the queue of chunks on their way
 *   disk_absorb.c  chunks on their way from the overlay into packs, in the background
 *   disk_batch.c   which of them are committed together
 *   disk_idle.c    the same for a disk that is quiet, on processors that would be idle
 *   disk_commit.c  one batch of them: sealed, put into the map, committed, dropped from the overlay
 *   disk_fold.c    all of them: disk_fold() and what other calls need folded first
 *   disk_copy.c    ranges of other disks and their log
 *   disk_rest.c    which overlays have their files open
 *   disk_snapshot.c one moment of a disk that is being written
 *
 * Locks, in the order in which they are taken:
 *   moment_lock changes from outside and the holding of a moment (disk_snapshot())
 *   fold_lock   one disk_fold(), disk_copy() or shrinking at a time
 *   data_lock   read: the map, the files and the bits that are set stay; write: they change
 *   stripes     a chunk's is held while blocks of it are written (in ascending order, if several)
 *   absorb.lock the table and the queue below; never held over I/O
 */
#ifndef IMAGEFS_STORE_DISK_INT_H
#define IMAGEFS_STORE_DISK_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/disk.h"
#include "store/overlay.h"

#define STRIPES 64u
#define STEP_MAX (1u << 20)     /* bytes that are read or written under one hold of data_lock */
#define BATCH_CHUNKS 4096u      /* absorbed chunks that are committed at once, at most */
#define BATCH_LEAVES 128u       /* leaves of the map that they lie in, at most: each is a node, and takes others above it */
#define LEAVES_SEEN 64u
#define WAITING_MAX 512u        /* chunks (32 MiB) that wait to be absorbed before writers wait */
#define SPLICES_MAX 4096u
#define SPLICES_NODES 2048u     /* nodes that carrying out all that are noted may take: whoever reads next waits for it */
#define MAP_LIMIT ((uint64_t)1 << 48)  /* bytes: what an overlay can hold */

/* A chunk on its way:
 *
 *    (none) --full, or fold--> QUEUED --taken by a job--> TAKEN --in the pack--> ABSORBED --commit--> (none)
 *                                ^                          |
 *                                +---- the pack was full ---+
 *
 * dirty (TAKEN, ABSORBED): written to since it was taken, so the overlay keeps it at the commit.
 * TAKEN without a batch: the idle thread has it (disk_idle.c); whoever is in a hurry makes it QUEUED again. */
enum move_state { MOVE_FREE, MOVE_QUEUED, MOVE_TAKEN, MOVE_ABSORBED };

struct batch;
struct move {
	uint64_t chunk;
	struct batch *batch; /* TAKEN, ABSORBED: whose pack has it */
	struct hash hash;    /* ABSORBED */
	uint64_t ticket;     /* of the last take: whoever comes back with another one is late */
	enum move_state state;
	bool dirty;
};

static inline bool move_is_idle(const struct move *m) { return m->state == MOVE_TAKEN && !m->batch; }

/* A pack being filled, and what goes with it. */
struct batch {
	struct pack_writer *writer;
	unsigned users;  /* threads that are adding to it */
	unsigned taken;  /* chunks that were taken for it */
	unsigned leaves; /* of the map, in which they lie, at most */
	uint64_t leaf_seen[LEAVES_SEEN]; /* + 1 */
	bool full;
	bool broken;     /* something could not be added: it is given up when its last user has left */
};

/* How often, since the disk was opened, chunks were … */
struct absorb_setbacks {
	unsigned returned; /* queued again, because the pack was full */
	unsigned stale;    /* given up, because their commit met ERR_STALE */
	unsigned failed;   /* given up, because of trouble; somebody else may have been told of it */
	int code;          /* of the last trouble */
};

struct absorb {
	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t moved; /* anything below became less, or ready for the next step */
	struct move *table;   /* open addressing by chunk */
	size_t room, used;
	uint64_t *queue;      /* ring of chunks to take; those no longer QUEUED are passed over */
	size_t queue_room;
	uint64_t pushed, popped; /* ever: the queue is what lies between */
	uint64_t tickets;
	unsigned takers;      /* jobs and commits under way or asked for */
	unsigned in_hand;     /* chunks TAKEN */
	struct absorb_setbacks setbacks;
	struct batch *filling, *committing;
	bool closing;
	bool hurry;           /* a fold is under way: what is QUEUED is its, and stays so until it is taken */
	struct error trouble; /* of what could not be absorbed or committed; code 0: none since the last commit */
	bool resting;         /* because of it, until a fold tells of it or a while is over: then nothing is absorbed */
	unsigned passed;      /* chunks that became full while it was */
	_Atomic uint64_t done; /* chunks absorbed since the overlay was last empty */
	_Atomic size_t moves;  /* = used, for a look without the lock */
};

/* A range of another map that is to become ours. In bytes: only its whole chunks become part of the map;
 * the blocks at its edges are copied when it is carried out. */
struct splice {
	struct map_root from;
	uint64_t from_chunks; /* that disk's size */
	uint64_t from_off, to_off, len;
	uint64_t size;        /* of this disk when it was noted */
};

/* How far the noted ones are part of the map already: those before `i`, and so many whole chunks of that one. */
struct splice_at {
	size_t i;
	uint64_t chunks;
};

/* The root, readable without a lock: `turn` is odd while it changes. */
struct root_cell {
	_Atomic unsigned turn;
	_Atomic uint64_t words[5];
};

struct disk {
	struct store *store;
	struct disk_hooks hooks;
	char *dir;
	uint64_t number;
	_Atomic uint32_t domain;
	_Atomic bool careful; /* disk_set_careful() */
	struct overlay *overlay;

	pthread_mutex_t fold_lock; /* guards held, n_held, log_fd, log_count */
	struct map_root *held;     /* maps that hooks.hold() was told of since the last final commit */
	size_t n_held;
	int log_fd;                /* NUMBER.splice, -1: not there */

	pthread_rwlock_t moment_lock; /* read: something is being changed from outside; write: a moment is held */
	pthread_rwlock_t data_lock;
	struct root_cell root;     /* changed under write */
	bool ready;                /* what was left in the folder has been taken up */
	_Atomic bool fixed;        /* nothing but the map counts; changed under write */
	_Atomic int64_t mtime;     /* 0: the catalog has it */
	_Atomic uint64_t size;     /* raised under read, lowered under write */
	uint64_t committed_size;   /* guarded by data_lock */
	uint64_t cut;              /* effective: the map counts for nothing from here on; data_lock */
	uint64_t cut_since;        /* the part of it that the commit under way does not know; data_lock */
	struct splice *splices;    /* data_lock for changing */
	_Atomic size_t n_splices;
	struct splice_at spliced;  /* data_lock for changing */

	struct disk *next, *prev;  /* in_ring: of those whose overlay has open files. These are guarded by the ring's lock */
	_Atomic bool in_ring;
	bool going;                /* it has left the ring, to be put to rest */
	_Atomic bool used;         /* since the hand came by */

	pthread_mutex_t size_lock; /* size and its record in the overlay change together */
	pthread_mutex_t stripes[STRIPES];
	struct absorb absorb;
};

/* --- disk.c --- */
struct map_root root_load(const struct root_cell *);
void root_store(struct root_cell *, const struct map_root *);
uint64_t disk_chunks(const struct disk *); /* of its size */
/* Take data_lock for reading, with no splices pending and, for `writing`, the disk not fixed. Holds it when it
 * returns 0; no other lock may be held. */
int disk_enter(struct disk *, bool writing, struct error *err) MUST_USE;
void disk_leave(struct disk *);
void disk_touch(struct disk *); /* it was changed now. Under data_lock */
int disk_grow(struct disk *, uint64_t size, struct error *err) MUST_USE; /* under data_lock */

/* --- disk_rest.c --- */
/* The overlay's files are open, and are not closed while one has fold_lock or data_lock. */
int disk_wake(struct disk *, struct error *err) MUST_USE;
int disk_rest(struct disk *, struct error *err) MUST_USE; /* -EBUSY: it is in use */
void disk_noted(struct disk *);   /* its overlay may have come to have files. No lock held */
void disk_unnoted(struct disk *); /* it is closed: waits while it is put to rest */

/* --- disk_read.c --- */
/* What the map says of chunks, with the cut applied. Under data_lock. */
int below_find(struct disk *, uint64_t chunk, unsigned count, struct object *ret, struct error *err) MUST_USE;
/* `len` bytes of one chunk of a map, from `at` in the chunk. */
int chunk_read(struct store *, const struct object *, void *buf, unsigned at, unsigned len, struct error *err) MUST_USE;
/* A whole chunk, overlay over map. Under data_lock. */
int merged_read(struct disk *, uint64_t chunk, uint16_t bits, const struct object *below, void *buf, unsigned at,
		unsigned len, struct error *err) MUST_USE;
/* `len` bytes of a map of that domain (no overlay), at most STEP_MAX. */
int map_read(struct store *, uint32_t domain, const struct map_root *, void *buf, size_t len, uint64_t offset,
	     struct error *err) MUST_USE;

/* --- disk_write.c --- */
/* As disk_write and disk_zero, for those who have moment_lock already. */
int write_now(struct disk *, const void *buf, size_t len, uint64_t offset, struct error *err) MUST_USE;
int zero_now(struct disk *, uint64_t offset, uint64_t len, struct error *err) MUST_USE;
/* Write without looking for splices. At most STEP_MAX; the size is the caller's business. */
int write_step(struct disk *, const void *buf, size_t len, uint64_t offset, struct error *err) MUST_USE;
/* Give back the bytes of chunks whose bits were cleared; writers of these wait, readers and others do not. */
int punch_step(struct disk *, uint64_t first, uint64_t count, struct error *err) MUST_USE;
/* Zero [offset, offset + len) under data_lock for writing; at most to the end of one chunk. */
int zero_tail(struct disk *, uint64_t offset, uint64_t len, struct error *err) MUST_USE;

/* --- disk_moves.c: all under absorb.lock --- */
struct move *absorb_find(struct absorb *, uint64_t chunk); /* NULL: not there */
struct move *absorb_add(struct absorb *, uint64_t chunk);  /* QUEUED */
void absorb_remove(struct absorb *, struct move *);        /* what comes behind it may move */
void absorb_enqueue(struct absorb *, uint64_t chunk);
struct move *absorb_dequeue(struct absorb *);              /* the next that is still QUEUED; NULL: none */

/* --- disk_absorb.c --- */
void absorb_init(struct absorb *);
void absorb_end(struct disk *);                 /* waits for the jobs, forgets what was absorbed */
void absorb_room(struct disk *);                /* a writer waits here while too much is waiting. No lock held */
/* Chunks [first, end) were written to: marks those on their way, queues those that became full. */
void absorb_written(struct disk *, uint64_t first, uint64_t end);
void absorb_push(struct disk *);                /* start jobs for what is queued. No lock held, not from a job */
void absorb_queue(struct disk *, uint64_t chunk); /* for a fold: queue it unless it is absorbed as it is */
void absorb_hurry(struct disk *, bool);         /* a fold begins to queue, or has ended */
void absorb_drain(struct disk *);               /* until what is queued now has been taken. No lock held */
struct absorb_setbacks absorb_setbacks(struct disk *);
void absorb_forget(struct disk *, uint64_t first, uint64_t end); /* these chunks left the overlay */
int absorb_trouble(struct disk *, struct error *err) MUST_USE; /* tell of it once, and go on */
int absorb_read(struct disk *, uint64_t chunk, void *buf, struct error *err) MUST_USE; /* the bytes that the chunk has now */

/* --- disk_batch.c --- */
void batch_take(struct batch *, uint64_t chunk); /* it is to have this chunk. Under absorb.lock */
struct batch *batch_filling(struct absorb *); /* the one being filled, made if there is none. Under absorb.lock */
void batch_start_commit(struct disk *);       /* of the full one, if it is the time. Under absorb.lock */
void batch_free(struct batch *);              /* NULL is allowed */
struct batch *batch_take_broken(struct absorb *); /* to be freed: the one being filled, or NULL. Under absorb.lock */
void absorb_say(struct disk *, const struct error *err); /* what went wrong, for disk_trouble(): somebody else was told */
void absorb_fail(struct disk *, const struct error *err); /* trouble in the background: the queue is given up */
/* The batch being filled (or an empty one) becomes the one being committed. Waits for the one before. */
struct batch *absorb_turn(struct disk *);
/* Its commit ended with `result`; what was not committed stays in the overlay. */
void absorb_turned(struct disk *, struct batch *, int result, const struct error *err); /* err NULL: that was told already */
/* The chunks of a batch, sorted; caller frees. */
struct map_change *absorb_changes(struct disk *, const struct batch *, size_t *ret_count);
int batch_writer(struct disk *, struct batch *, struct error *err) MUST_USE; /* see to it that it has one */

/* --- disk_commit.c --- */
struct commit {
	struct batch *batch;
	bool splices;      /* carry out those that are noted, as many as one commit may (fold_lock is held) */
	bool final;        /* unless splices are left */
	void *caller;
};
/* Seal, change the map, call the hook, drop from the overlay. ERR_STALE: the chunks must be absorbed again. */
int commit_batch(struct disk *, const struct commit *, struct error *err) MUST_USE;

/* --- disk_fold.c --- */
/* Carry out the splices that are noted, if any. No lock held. */
int settle_splices(struct disk *, struct error *err) MUST_USE;
int settle_splices_locked(struct disk *, struct error *err) MUST_USE; /* under fold_lock */

/* --- disk_copy.c --- */
int splices_load(struct disk *, struct error *err) MUST_USE;
/* All of them are carried out. Under data_lock for writing. */
int splices_done(struct disk *, bool edges_committed, struct error *err) MUST_USE;
int splices_edges(struct disk *, struct error *err) MUST_USE; /* copy the edges, so that only whole chunks are left */
int splices_forget(const char *dir, uint64_t number, struct error *err) MUST_USE;
int splices_sync(struct disk *, struct error *err) MUST_USE;
int splices_keep(struct disk *, struct error *err) MUST_USE; /* the same under fold_lock, when there are some */
int splices_verify(struct disk *, struct error *err) MUST_USE; /* does the log have them? Under fold_lock */
void splice_chunks(const struct splice *, uint64_t *ret_first, uint64_t *ret_count);

#endif
