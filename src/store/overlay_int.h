/* SPDX-License-Identifier: Apache-2.0 */
/* overlay_int: what the files of the overlay share.
 *
 *   overlay.c         bits and bytes
 *   overlay_files.c   the files: made, found, removed; the header of .bits
 *   overlay_live.c    .live: the bits that count while the machine runs
 *   overlay_sync.c    what a sync has to make durable; bringing .bits up to date ("checkpoint")
 *   overlay_log.c     .log: small syncs between two checkpoints
 *   overlay_verify.c  are the files what they must be?
 *   overlay_rest.c    what nobody uses gives its files back
 *
 * Locks, in the order in which they are taken: files, syncing, then lock or noting.
 */
#ifndef IMAGEFS_STORE_OVERLAY_INT_H
#define IMAGEFS_STORE_OVERLAY_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/overlay.h"

/* Layouts: docs/format-overlay.md */
#define BITS_MAGIC "imgfs-ov"
#define BITS_VERSION 3u
#define BITS_AT_VERSION 8
#define BITS_AT_NUMBER 16
#define BITS_AT_SIZE 24
#define BITS_AT_CUT 32
#define BITS_AT_GENERATION 40
#define BITS_AT_BROKEN 48
#define BITS_AT_LIFE 56
#define BITS_HEADER 4096u

#define LIVE_MAGIC "imgfs-lv"
#define LIVE_AT_BOOT 40 /* the rest is where .bits has it, but this: */
#define LIVE_AT_BROKEN 80
#define LIVE_AT_MTIME 88
#define BOOT_SIZE 36u

#define LOG_SIZE (4u << 20)
#define LOG_BLOCKS 64u /* in one record */

#define BITS_PAGE 4096u                           /* bytes of bits that are allocated in one go */
#define PAGE_CHUNKS (BITS_PAGE / 2)               /* 128 MiB of disk */
#define WINDOW_PAGES 2048u                        /* 8 MiB of bits, 256 GiB of disk */
#define WINDOW_CHUNKS ((uint64_t)WINDOW_PAGES * PAGE_CHUNKS)
#define N_WINDOWS 1024u                           /* 256 TiB of disk */
#define N_SEGMENTS 3u                             /* mappings: the first TiB (and the header), up to 16 TiB, the rest */
#define OVERLAY_PAGES ((uint64_t)N_WINDOWS * WINDOW_PAGES)
#define OVERLAY_CHUNKS (N_WINDOWS * WINDOW_CHUNKS)

/* Of a page of bits. */
enum mark {
	MARK_ALLOCATED, /* in .live: may be touched without SIGBUS */
	MARK_SET,       /* bits were set that .bits may not have */
	MARK_CLEARED,   /* bits were cleared that .bits may still have */
	MARK_KEPT,      /* .bits may have bits there at all; guarded by syncing */
	N_MARKS,
};

struct window {
	_Atomic uint16_t *bits;                       /* of .live: little-endian, WINDOW_CHUNKS of them */
	_Atomic uint64_t marks[N_MARKS][WINDOW_PAGES / 64]; /* a bit a page */
};

/* What is mapped in one go. Most of it is beyond the end of .live and never touched. */
struct segment {
	void *map;
	size_t bytes;
	_Atomic uint16_t *bits; /* of its first window */
	_Atomic(struct window *) windows[];
};

/* What changed since the last sync. */
struct pending {
	uint64_t blocks[LOG_BLOCKS]; /* written or zeroed */
	unsigned n_blocks;
	bool many;    /* more than these */
	bool cleared; /* bits were */
	bool grown;   /* the size is larger */
	bool recut;   /* the size is smaller, or the cut another one */
	uint64_t size, cut; /* at the moment when this was taken */
};

/* What the header of .bits says. */
struct kept {
	uint64_t size, cut;
	uint64_t generation; /* of the records in .log that count */
	uint32_t version; /* of the layout */
	uint64_t life; /* random */
	uint64_t broken; /* errno of the sync that failed; 0: none did */
};

struct overlay {
	char *dir;
	uint64_t number;

	pthread_rwlock_t files;   /* read: the descriptors stay; write: they come and go */
	int data, bits, live;     /* guarded by files; -1: there are none */
	_Atomic bool there;       /* all three are open */
	_Atomic uint64_t *header; /* the header page of .live, mapped */
	_Atomic bool data_new;    /* .data changed since its last fdatasync */
	_Atomic int broken;       /* a sync or a writeback failed with this errno: what it covered may be lost, so every later sync
				   * fails too, and nothing of it is committed. Kept in .bits and .live */

	pthread_mutex_t syncing;  /* one sync at a time; guards what follows */
	int log;                  /* -1: none */
	uint64_t consuming;       /* the life that a commit is taking all of; 0: none is */
	pthread_cond_t consumed;  /* no more */
	bool header_new;          /* `kept` has what the file does not */
	bool log_refused;         /* it could not be made: done without */
	uint64_t log_at, log_count; /* where the next record goes; records of this generation */
	unsigned small_syncs;     /* so far: the first ones are not worth a log */
	struct kept kept;
	int64_t data_mtime;       /* of .data, as it was found */
	uint64_t end_bits;        /* no bit is set from this block on; as the files were found */
	bool recovered;           /* after another boot; does not change once it is open */
	bool durable;             /* a checkpoint was begun, so .bits may say something after a power cut */
	bool names_new;           /* the folder was not synced since the files were made */

	pthread_mutex_t noting;   /* guards pending; size and cut change under it */
	struct pending pending;

	pthread_mutex_t lock;     /* guards making windows and allocating their pages */
	_Atomic(struct segment *) segments[N_SEGMENTS]; /* the first once there are files */
	_Atomic uint64_t blocks;  /* bits set */

	_Atomic bool resting;     /* there are files, and they are closed; changes under files */
	uint64_t rest_size, rest_cut, rest_stored; /* while resting */
};

/* --- overlay_files.c --- */
int overlay_files_make(struct overlay *, struct error *err); /* if there are none. Any thread */
int overlay_files_find(struct overlay *, struct error *err); /* what an earlier process left */
void overlay_files_close(struct overlay *);                  /* all but the data descriptor */
int overlay_path(char *ret, size_t size, const char *dir, uint64_t number, const char *kind,
		 struct error *err);
int overlay_open_file(const struct overlay *, const char *kind, int flags, int *ret, struct error *err);
int overlay_put_header(struct overlay *, struct error *err); /* `kept`, into .bits */
int overlay_new_life(struct overlay *, struct error *err);   /* in `kept` */
int overlay_check_data(struct overlay *, uint64_t blocks, struct error *err); /* are there bytes for all bits below this block? */
int overlay_void(struct overlay *, struct error *err); /* .bits says nothing from now on, durably */

/* --- overlay_live.c --- */
int live_make(struct overlay *, struct error *err);    /* empty, and not trusted yet */
int live_sign(struct overlay *, struct error *err);    /* from now on it counts */
int live_find(struct overlay *, struct error *err);    /* 1: not there, or not of this boot */
int live_left(struct overlay *, struct error *err);    /* is one of this boot there that has bits? 1 or 0 */
int live_rebuild(struct overlay *, struct error *err); /* out of .bits */
void live_close(struct overlay *);
/* Window number `i` of the disk; NULL: nothing was ever written there. */
struct window *live_window(const struct overlay *, uint64_t i);
/* The window of a chunk if its bits are allocated, else NULL. */
struct window *overlay_window(const struct overlay *, uint64_t chunk);
/* See to it that bits of chunks [first, end) can be set. Any thread. */
int overlay_allocate(struct overlay *, uint64_t first, uint64_t end, struct error *err);
void mark_page(struct overlay *, enum mark, uint64_t page);
bool page_marked(const struct overlay *, enum mark, uint64_t page);
bool take_mark(struct overlay *, enum mark, uint64_t *page); /* the next marked one from *page on, unmarked */

/* --- overlay_sync.c --- */
void note_blocks(struct overlay *, uint64_t block, uint64_t count);
void note_cleared(struct overlay *);
int overlay_spoil(struct overlay *, struct error *err); /* a sync failed with errno: remembered from here on, in the files too */
int overlay_intact(struct overlay *, struct error *err); /* overlay_check() under files and syncing */
/* Add bits to those in .bits: a page of them, or those of one block. */
int keep_page(struct overlay *, uint64_t page, const uint16_t *bits, struct error *err);
int keep_block(struct overlay *, uint64_t block, struct error *err);

/* --- overlay_log.c: all under syncing --- */
void log_find(struct overlay *);                    /* what an earlier process left, if it is of use */
int log_replay(struct overlay *, struct error *err);   /* into .data and .bits; 1: there was something */
void log_close(struct overlay *);
bool log_takes(struct overlay *, const struct pending *); /* can it take this? Makes it, if it is time */
int log_append(struct overlay *, const struct pending *, struct error *err); /* and sync */

#endif
