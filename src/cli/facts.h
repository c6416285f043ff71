/* SPDX-License-Identifier: Apache-2.0 */
/* facts: "key: value" lines, as .status and the daemon give them, and the same as JSON. */
#ifndef IMAGEFS_CLI_FACTS_H
#define IMAGEFS_CLI_FACTS_H

#include <stdbool.h>

#include "base/buf.h"

struct fact {
	const char *key, *value; /* in the lines; not terminated */
	size_t key_len, value_len;
};

/* The next "key: value" of *lines; lines without a colon are passed over. false: there is none. */
bool facts_next(const char **lines, struct fact *ret);
bool fact_is(const struct fact *, const char *key);

/* An object with the keys in their order. Keys that count something are numbers; keys that may come
 * several times are always lists; everything else is a string. Ends with a newline. */
void facts_json(const char *lines, struct buf *ret);

/* The value of the first line with this key, in ret (cut to its size). false: there is none. */
bool facts_get(const char *lines, const char *key, char *ret, unsigned size);

/* One more line; a newline in the value becomes a space. */
void facts_add(struct buf *, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
