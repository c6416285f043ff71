/* SPDX-License-Identifier: Apache-2.0 */
/* key: keys of the catalog's tables: numbers big-endian and of fixed width, then at most one text at the
 * end, so that the order of the bytes is the order of the parts. */
#ifndef IMAGEFS_CATALOG_KEY_H
#define IMAGEFS_CATALOG_KEY_H

#include <stddef.h>
#include <stdint.h>

#define KEY_MAX 240

struct key {
	size_t len; /* above KEY_MAX: what was put in did not fit, and no row can have this key */
	uint8_t data[KEY_MAX];
};

void key_start(struct key *);
void key_u8(struct key *, uint8_t);
void key_u16(struct key *, uint16_t);
void key_u32(struct key *, uint32_t);
void key_u64(struct key *, uint64_t);
void key_bytes(struct key *, const void *data, size_t len);
void key_text(struct key *, const char *text); /* without its NUL; only as the last part */

/* Keys of one part, which most tables have. */
struct key *key_of_u32(struct key *, uint32_t); /* these return their first argument */
struct key *key_of_u64(struct key *, uint64_t);
struct key *key_of_text(struct key *, const char *text);

#endif
