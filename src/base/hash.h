/* SPDX-License-Identifier: Apache-2.0 */
/* hash: SHA-256, by libcrypto. The hash of nothing at all (all bytes zero) stands for a hole. */
#ifndef IMAGEFS_BASE_HASH_H
#define IMAGEFS_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HASH_SIZE 32
#define HASH_HEX_SIZE (2 * HASH_SIZE + 1)

struct hash {
	uint8_t b[HASH_SIZE];
};

extern const struct hash hash_none; /* all zero bytes: "there is nothing" */

/* One shot. Aborts the process if libcrypto cannot do SHA-256 at all. Safe from any thread. */
void hash_of(const void *data, size_t len, struct hash *ret);

bool hash_is_none(const struct hash *h);
bool hash_equal(const struct hash *a, const struct hash *b);
int hash_compare(const struct hash *a, const struct hash *b);
char *hash_hex(const struct hash *h, char ret[HASH_HEX_SIZE]); /* returns ret */
int hash_parse(const char *hex, struct hash *ret) MUST_USE;    /* exactly 64 lower or upper hex digits, else -EINVAL */

/* A hash of what comes in pieces. */
struct hasher;
struct hasher *hasher_new(void);
void hasher_add(struct hasher *, const void *data, size_t len);
void hasher_end(struct hasher *, struct hash *ret); /* the hasher can only be freed after this */
void hasher_free(struct hasher *);

#endif
