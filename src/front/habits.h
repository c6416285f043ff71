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
 *
 * A rule fails toward the truth: whoever is not surely known is told what is so, and cp that is not recognised reads and writes, which is only
 * slower. Traces are of a process (pid 0, of another pid namespace, leaves none) and a mount. They are gone with the daemon, but for the links that were
 * read: these are in the hold, too. */
#ifndef IMAGEFS_FRONT_HABITS_H
#define IMAGEFS_FRONT_HABITS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define TRACES 256 /* several for each cp; that many may be under way at once */

struct habits { /* of the processes of a mount */
	pthread_mutex_t lock; /* guards what follows */
	struct trace {
		uint32_t pid;
		uint64_t image;
		int64_t at;
		bool fills;    /* it has made that image's directory, or a name in it, or has looked for one that is not there */
		uint64_t link; /* the sum of a link's text that it has read there */
	} traces[TRACES];
	unsigned next;
};

void habits_begin(struct habits *);
void habits_end(struct habits *);

void habit_fills(struct habits *, uint32_t pid, uint64_t image);
struct hold;
struct who;
void habit_read_link(struct habits *, struct hold *, const struct who *, uint64_t image, const char *text);

/* Is a link of this text in that image one that a process brings along which has made its directory? */
bool habit_brings_link(struct habits *, struct hold *, const struct who *, uint64_t image, const char *text);

/* Has it just begun to fill another image than this? */
bool habit_fills_another(struct habits *, uint32_t pid, uint64_t image);

/* Flags of an open by which cp opens what it copies. */
bool habit_opens_like_cp(int flags);

#endif
