/* SPDX-License-Identifier: Apache-2.0 */
/* buf: text that grows. Running out of memory ends the process, like everywhere that a few
 * bytes are asked for; large or foreign sizes are checked by their callers. */
#ifndef IMAGEFS_BASE_BUF_H
#define IMAGEFS_BASE_BUF_H

#include <stddef.h>

struct buf {
	char *data; /* NUL-terminated once anything was added */
	size_t len, room;
};
#define BUF_INIT { NULL, 0, 0 }
#define AUTO_BUF __attribute__((cleanup(buf_free)))

void buf_add(struct buf *, const void *data, size_t len);
void buf_adds(struct buf *, const char *text);
void buf_addf(struct buf *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_json(struct buf *, const char *text); /* as a quoted JSON string */
void buf_clear(struct buf *);                  /* empty, memory kept */
void buf_free(struct buf *);
char *buf_detach(struct buf *);                /* the text, now the caller's to free(); never NULL */

#endif
