/* SPDX-License-Identifier: Apache-2.0 */
/* overlay_int: the overlay's files (overlay_files.c) and what is done with them (overlay.c). */
#ifndef IMAGEFS_STORE_OVERLAY_INT_H
#define IMAGEFS_STORE_OVERLAY_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/overlay.h"

/* Layout of .bits: docs/format-overlay.md */
#define BITS_MAGIC "imgfs-ov"
#define BITS_VERSION 1u
#define BITS_AT_VERSION 8
#define BITS_AT_NUMBER 16
#define BITS_AT_SIZE 24
#define BITS_AT_CUT 32
#define BITS_HEADER 4096u

#define BITS_PAGE 4096u                           /* bytes of bits that are allocated in one go */
#define PAGE_CHUNKS (BITS_PAGE / 2)               /* 128 MiB of disk */
#define WINDOW_PAGES 2048u                        /* mapped in one go: 8 MiB of bits, 256 GiB of disk */
#define WINDOW_CHUNKS ((uint64_t)WINDOW_PAGES * PAGE_CHUNKS)
#define N_WINDOWS 1024u                           /* 256 TiB of disk */
#define OVERLAY_CHUNKS (N_WINDOWS * WINDOW_CHUNKS)

struct window {
	_Atomic uint16_t *bits;                       /* little-endian, WINDOW_CHUNKS of them */
	_Atomic uint64_t allocated[WINDOW_PAGES / 64]; /* a bit a page: may be touched without SIGBUS */
};

struct overlay {
	char *dir;
	uint64_t number;

	pthread_rwlock_t files;   /* read: the descriptors stay; write: they come and go. Taken before `lock` */
	int data, bits;           /* guarded by files; -1: there are none */
	_Atomic bool there;       /* both are open */
	_Atomic uint64_t *header; /* the header page, mapped */
	_Atomic bool data_new, bits_new; /* changed since the last sync */
	_Atomic bool names_new;   /* the folder was not synced since the files were made */
	_Atomic int broken;       /* a sync failed: what it covered may be lost, so every later one fails too */

	pthread_mutex_t syncing;  /* one sync at a time; taken after files */
	pthread_mutex_t lock;     /* guards making windows and allocating their pages */
	_Atomic(struct window *) *windows; /* N_WINDOWS of them once there are files */
	_Atomic uint64_t blocks;  /* bits set */
};

int overlay_files_make(struct overlay *, struct error *err) MUST_USE; /* if there are none. Any thread */
int overlay_files_find(struct overlay *, struct error *err) MUST_USE; /* what an earlier process left */
void overlay_files_close(struct overlay *);                          /* all but the data descriptor */
int overlay_path(char *ret, size_t size, const char *dir, uint64_t number, const char *kind,
		 struct error *err) MUST_USE;

/* The window of a chunk if its bits are allocated, else NULL. */
struct window *overlay_window(const struct overlay *, uint64_t chunk);

/* See to it that bits of chunks [first, end) can be set. Any thread. */
int overlay_allocate(struct overlay *, uint64_t first, uint64_t end, struct error *err) MUST_USE;

#endif
