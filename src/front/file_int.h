/* SPDX-License-Identifier: Apache-2.0 */
/* file_int: between the files of file. Nobody else includes it. */
#ifndef IMAGEFS_FRONT_FILE_INT_H
#define IMAGEFS_FRONT_FILE_INT_H

#include "front/file.h"

#define SHARDS 64

/* The pin of a handle from an earlier daemon, until a file is made of it again, or it is closed. */
struct kept_pin {
	uint32_t conn;
	uint64_t fh;
	struct moment moment;
	struct kept_pin *next;
};

/* A disk that was open when this daemon began: that it is, its programs may not say for a long time. */
struct kept_open {
	uint32_t conn, pid;
	int flags;
	uint64_t fh, node;
	struct kept_open *next;
};

struct files {
	struct {
		pthread_mutex_t lock; /* guards the chains and the refs of files in it */
		struct file *first;
		struct kept_pin *pins;
	} shards[SHARDS];
	struct kept_open *opens; /* made before anything is served, and never changed: the hold knows which are still open */
};

static inline unsigned shard_of(uint32_t conn, uint64_t fh) { return (unsigned)(fh / 2 + conn) % SHARDS; }

/* Under the shard's lock; NULL: it is not there. */
struct file *file_in(struct files *, uint32_t conn, uint64_t fh);

/* ---- file_find.c */
void kept_open_add(struct files *, const struct hold_handle *);

/* ---- file_moment.c */
struct moment moment_of_handle(const struct hold_handle *);
/* Under the shard's lock. The pin of this handle, or of any of the connection, out of the list; NULL: there is none. */
struct kept_pin *kept_take(struct files *, unsigned shard, uint32_t conn, uint64_t fh, bool any);
/* The same, and what was pinned is unpinned. false: there is none. */
bool kept_drop(struct front *, unsigned shard, uint32_t conn, uint64_t fh, bool any);

#endif
