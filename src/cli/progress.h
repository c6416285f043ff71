/* SPDX-License-Identifier: Apache-2.0 */
/* progress: how far something is, on standard error: a bar with rate and time left on a terminal, a line
 * every few seconds otherwise; nothing at all for what takes less than a second. */
#ifndef IMAGEFS_CLI_PROGRESS_H
#define IMAGEFS_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum progress_unit { PROGRESS_BYTES, PROGRESS_ITEMS };

struct progress {
	char what[80];
	enum progress_unit unit;
	int64_t began, shown; /* clock_mono(); shown 0: never */
	uint64_t done, total; /* last heard of */
	uint64_t before;      /* done when it began: no part of the rate */
	bool terminal;
	int fd;
};

void progress_begin(struct progress *, const char *what, enum progress_unit);

/* So far; total 0: not known. Cheap: call it as often as you like. */
void progress_at(struct progress *, uint64_t done, uint64_t total);

/* Wipes the bar, or writes a last line if lines were written. */
void progress_end(struct progress *);

/* The text, at most `width` columns and less than 200 bytes; `seconds` since the beginning. */
#define PROGRESS_TEXT_SIZE 200
char *progress_text(const struct progress *, uint64_t done, uint64_t total, double seconds, unsigned width,
		    char ret[PROGRESS_TEXT_SIZE]);

#endif
