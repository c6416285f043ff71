/* SPDX-License-Identifier: Apache-2.0 */
/* habits: by what programs are recognised, where what is right for one is wrong for another.
 *
 * tool             trace                                                effect
 * ---------------  ---------------------------------------------------  ------------------------------------------------------------
 * cp 9.0, 9.1      in another image it has just made the directory, or  its source looks full (st_blocks): of a file with holes it
 *                  a name, or looked for one that is not there; it      would read all that is no hole, instead of asking for a copy
 *                  opened the source with O_RDONLY (and O_NOFOLLOW),
 *                  nothing else, and has not asked for data or holes
 * the same, of a   it opened it like that: nothing but copying is open  the same, whatever daemon it was that saw the traces
 * disk that may    to it
 * not be read
 * tar, bsdtar,     open with O_NONBLOCK, O_CLOEXEC or O_NOATIME         they see what it really takes, like everybody else
 * rsync, restic …
 * cp -r            has made the directory of an instance (its row names  a link with that text is one that comes along, and starts
 *                  the process), and read the link `image` of another   nothing
 * what restores    has made the directory of the image (a process       what its links and settings name may come later; a protection
 *                  with all its threads)                                that it sets keeps neither it from what is still to come, nor,
 *                                                                       while it lives, those that help it (rsync)
 * ln               is called ln                                         an alias names an image that is there; for all others it may
 *                                                                       come later
 * tar              has made an empty file where a link is to be         it is there, to tar, until it takes it away and makes the link
 * tar, borg        take a generated file of a region away, before they  the name is not there, to them, until they have made it: what they
 *                  write it                                             write is ignored, or is what was written to .policy
 * rsync            is called rsync; writes .list.XXXXXX, and renames it the same file has that name, too, to rsync
 * rclone           asks for the size of what it has written             a file in which what is written is ignored has, to it, that size
 *
 * A rule fails toward the truth: whoever is not surely known is told what is so, and cp that is not recognised reads and writes, which is only
 * slower. Traces are of a process (pid 0, of another pid namespace, leaves none) and a mount. They are gone with the daemon, but for the links that were
 * read: these are in the hold, too. */
#ifndef IMAGEFS_FRONT_HABITS_H
#define IMAGEFS_FRONT_HABITS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define TRACES 1024 /* several for each image that is copied or restored; that many may be under way at once */

struct habits { /* of the processes of a mount */
	pthread_mutex_t lock; /* guards what follows */
	struct trace {
		uint32_t pid, process; /* … of which it is a thread, if it made it */
		uint64_t image;
		int64_t at;
		bool made;     /* it has made that image's directory */
		bool protects; /* … and protected it */
		bool fills;    /* … or a name in it, or has looked for one that is not there */
		uint64_t link; /* the sum of a link's text that it has read there */
		/* of a generated file (its node is in `image`): */
		bool gone;     /* taken away, and not made anew yet */
		uint64_t name; /* the sum of another name under which it was made */
		uint64_t size; /* what was written to it, plus 1 */
	} traces[TRACES];
	unsigned next;
};

void habits_begin(struct habits *);
void habits_end(struct habits *);

void habit_made(struct habits *, uint32_t pid, uint64_t image);
void habit_protects(struct habits *, uint32_t pid, uint64_t image);
bool habit_restores_image(struct habits *, uint32_t pid, uint64_t image);
bool habit_is_ln(uint32_t pid); /* or nobody knows who it is */
bool habit_is_rsync(uint32_t pid);
void habit_fills(struct habits *, uint32_t pid, uint64_t image);
struct hold;
struct who;
void habit_read_link(struct habits *, struct hold *, const struct who *, uint64_t image, const char *text);

/* Is a link of this text in that image one that a process brings along which has made its directory? */
bool habit_brings_link(struct habits *, struct hold *, const struct who *, uint64_t image, const char *text);

/* Has it just begun to fill another image than this? */
bool habit_fills_another(struct habits *, uint32_t pid, uint64_t image);

/* Generated files of regions, that are restored: `node` was taken away; was made, under this name; was written to this end. */
void habit_took_away(struct habits *, uint32_t pid, uint64_t node);
void habit_restores(struct habits *, uint32_t pid, uint64_t node, const char *name);
void habit_restored(struct habits *, uint32_t pid, uint64_t node, uint64_t end);
bool habit_is_gone(struct habits *, uint32_t pid, uint64_t node);
bool habit_has_name(struct habits *, uint32_t pid, uint64_t node, const char *name);
bool habit_size(struct habits *, uint32_t pid, uint64_t node, uint64_t *ret);

/* The process that this thread belongs to: programs of many threads do with one what they began with another. The number itself where that
 * cannot be told. */
uint32_t process_of(uint32_t pid);

/* Flags of an open by which cp opens what it copies. */
bool habit_opens_like_cp(int flags);

#endif
