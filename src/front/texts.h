/* SPDX-License-Identifier: Apache-2.0 */
/* texts: what generated files say, and so how large they are.
 *
 * Programs read as many bytes as a file has when they ask: its size has to be that of the text that they are going to get. So
 *   - whoever looks the name up is told the size of the text as it is now, and an open that follows gets that very text;
 *   - a process that has the file open is told the size of the text that it opened, whatever is true by now.
 * Texts that were made to be measured are kept for a second, a few of them in all. A listing measures nothing: it leaves
 * attributes out, and the kernel looks those files up that somebody asks for.
 *
 * Texts are made of what may be seen by who asks: one is kept for that person (and mount) alone. */
#ifndef IMAGEFS_FRONT_TEXTS_H
#define IMAGEFS_FRONT_TEXTS_H

#include "base/buf.h"
#include "base/err.h"
#include "domain/who.h"

struct front;
struct texts;
struct texts *texts_new(void);
void texts_free(struct texts *);

/* The text of a generated file: one that was measured within the last second, else as it is now. Added to ret. */
int texts_take(struct front *, const struct who *, uint64_t node, struct buf *ret, struct error *err) MUST_USE;

/* The size of the text that it has now (looked_up), or that this process has open, or that was measured a moment ago. 0 where it cannot be made:
 * whoever opens it is told why. */
uint64_t texts_size(struct front *, const struct who *, uint64_t node, bool looked_up);

#endif
