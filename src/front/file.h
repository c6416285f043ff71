/* SPDX-License-Identifier: Apache-2.0 */
/* file: open files, by (connection, handle). A handle is the number of the request that opened it; the hold remembers it, so a
 * daemon that takes over finds every file that its predecessor had open and makes it again when it is first used. */
#ifndef IMAGEFS_FRONT_FILE_H
#define IMAGEFS_FRONT_FILE_H

#include "base/buf.h"
#include "domain/disks.h"
#include "domain/who.h"
#include "keeper/hold.h"

enum file_kind {
	FILE_IS_DISK,
	FILE_IS_SETTING, /* text that is written back */
	FILE_IS_CONFIG,  /* .policy, .region, .account: lines are carried out */
	FILE_IS_TEXT,    /* made when it was opened */
	FILE_IS_IGNORED, /* what is written to it is forgotten */
};

/* marks of a handle in the hold */
enum {
	MARK_WROTE = 1,   /* written to since its last FLUSH */
	MARK_BROKEN = 2,  /* a write failed */
	MARK_LINEAGE = 4, /* it is known where its bytes are copied from */
	MARK_COPIED = 32, /* … and they were copied to the end of the data there */
	MARK_PARTIAL = 8, /* a setting's text (a configuration's last line) is not taken yet: it is in the hold, or there was no room for it */
	MARK_LOST = 2048, /* … and what is in the catalog is not what this handle wrote: there was no room for it in the hold */
	MARK_EMPTY = 1024, /* a setting that was truncated by its open, and not written since */
	MARK_NO_ROOM = 128, /* … as the store is full */
	MARK_OVER = 256,    /* … for policy bytes-per-region */
	MARK_WHOLE = 64,  /* its moment is all of its disk, which does not change any more; its opener may read it, whatever becomes of the image */
	MARK_SOUGHT = 512, /* it was asked where its data are: no cp of 9.0 or 9.1 has it open */
	MARK_JUDGED = 16, /* a FLUSH is at it: should the daemon die of it, the FLUSH that is sent again begins anew */
};

#define MARKS_BROKEN (MARK_BROKEN | MARK_NO_ROOM | MARK_OVER)

struct file {
	uint32_t conn;
	uint64_t fh, node;
	enum file_kind kind;
	struct who who;       /* its opener */
	bool writable;
	bool like_cp;         /* opened as cp opens what it copies: habits.h */
	_Atomic bool wrote;   /* bytes were written to it, or copied */
	bool made_alone;      /* its open made it, and would have failed had it been there (O_EXCL) */
	_Atomic bool told_why; /* whoever has it open was told why nothing was written to it: by a refusal, or at a close */
	_Atomic bool sought;  /* asked where its data are */
	struct disk *disk;    /* FILE_IS_DISK; NULL: it is gone, and only the moment is left */
	struct disk_gate *gate; /* its */
	struct quota_disk *quota;
	struct disk_ahead ahead;
	bool pinned;             /* the moment is pinned for this file; guarded by lock when it is set */
	bool whole;              /* pinned: MARK_WHOLE */
	struct moment moment;
	_Atomic uint64_t may_write_at; /* gate.rounds when it was last known that writing is allowed, plus 1 */
	_Atomic bool marked_wrote, read_noted;
	_Atomic uint64_t origin; /* id of the image that was noted last as where its bytes come from */
	pthread_mutex_t lock; /* guards text */
	struct buf text;
	bool lost;            /* its text died with another daemon */
	size_t counted;       /* bytes of it that count against its user: allowance.h */
	uint32_t counted_for;
	bool unsaved;         /* text (config: its end) is not taken yet */
	unsigned refs;        /* guarded by the table */
	struct file *next;
};

struct front;
struct files;
struct files *files_new(void);
void files_free(struct front *); /* front.files, with everything that is still open */

/* Open: makes the file and notes it in the hold. The result is referenced. */
int file_open(struct front *, const struct who *, uint64_t fh, uint64_t node, int flags, struct file **ret, struct error *err) MUST_USE;
enum file_kind file_kind_of(uint64_t node);
/* By handle; from the hold when it was opened in another daemon's life. -EBADF. */
int file_get(struct front *, uint32_t conn, uint64_t fh, uint64_t node, struct file **ret, struct error *err) MUST_USE;
void file_put(struct front *, struct file **);
void file_close(struct front *, uint32_t conn, uint64_t fh); /* RELEASE */
void files_close_conn(struct front *, uint32_t conn);

/* Where its reads come from: a moment, or the disk as it is. */
static inline bool file_reads_moment(const struct file *f) { return f->pinned && (!f->whole || !f->disk); }

/* Its disk does not change any more, and is its opener's to read: the hold remembers what it is, so that it can be read after the image
 * is gone for good, and this daemon as well. */
void file_note_whole(struct front *, struct file *);

/* A handle of an earlier daemon: what it reads is pinned until it is closed. Before anything is collected. */
void file_take_up(struct front *, const struct hold_handle *);

uint32_t file_marks(struct front *, const struct file *);
void file_mark(struct front *, struct file *, uint32_t set, uint32_t clear);

/* Some open file of this node. False when there is none. */
bool file_find(struct front *, uint32_t conn, uint64_t node, struct file **ret);

/* Some disk that this process has open for reading. False when there is none. */
bool file_find_reader(struct front *, uint32_t conn, uint32_t pid, struct file **ret);
/* Nodes of disks that a process of this account has open, in whichever mount, for writing or only for reading: at most max. `who` says which
 * process; it or `also`. */
unsigned files_of_process(struct front *, const struct who *, uint32_t also, bool writable, uint64_t *ret, unsigned max);

/* The text of a generated file that this process opened last, to read it. False when there is none. */
bool file_find_text(struct front *, uint32_t conn, uint64_t node, uint32_t pid, struct file **ret);

/* Has this process got the disk open on this connection, and that like cp? */
bool file_is_open_by_cp(struct front *, uint32_t conn, uint64_t node, uint32_t pid);

#endif
