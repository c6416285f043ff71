/* SPDX-License-Identifier: Apache-2.0 */
/* shown: text that somebody else chose, made safe to show: in a terminal, in a line of a log, between tabs. Everything that is shown to
 * others, and was not checked when it came in, goes through here. */
#ifndef IMAGEFS_BASE_SHOWN_H
#define IMAGEFS_BASE_SHOWN_H

#include <stddef.h>

/* In place: whatever is not UTF-8, moves the cursor, ends a line, changes the direction of writing or cannot be seen becomes a "?"
 * (control characters, C1 too, U+2028 and U+2029, bidi and zero-width characters). It never grows. Returns its new length. */
size_t shown_safe(char *text);

#endif
