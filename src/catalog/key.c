/* SPDX-License-Identifier: Apache-2.0 */
/* A key is never cut short: one that does not fit becomes a key that is refused (db.c), because two long
 * texts must not become one row. */
#include "catalog/key.h"

#include <string.h>

#include "base/num.h"

/* Room for `len` more bytes, or NULL when the key is too long (and stays so). */
static uint8_t *grow(struct key *k, size_t len)
{
	if (k->len > KEY_MAX || len > KEY_MAX - k->len) {
		k->len = KEY_MAX + 1;
		return NULL;
	}
	uint8_t *at = k->data + k->len;
	k->len += len;
	return at;
}

void key_start(struct key *k) { k->len = 0; }

void key_u8(struct key *k, uint8_t v)
{
	uint8_t *at = grow(k, 1);
	if (at)
		*at = v;
}

void key_u16(struct key *k, uint16_t v)
{
	uint8_t *at = grow(k, 2);
	if (at)
		put_be16(at, v);
}

void key_u32(struct key *k, uint32_t v)
{
	uint8_t *at = grow(k, 4);
	if (at)
		put_be32(at, v);
}

void key_u64(struct key *k, uint64_t v)
{
	uint8_t *at = grow(k, 8);
	if (at)
		put_be64(at, v);
}

void key_bytes(struct key *k, const void *data, size_t len)
{
	uint8_t *at = grow(k, len);
	if (at)
		memcpy(at, data, len);
}

void key_text(struct key *k, const char *text) { key_bytes(k, text, strlen(text)); }

struct key *key_of_u32(struct key *k, uint32_t v)
{
	key_start(k);
	key_u32(k, v);
	return k;
}

struct key *key_of_u64(struct key *k, uint64_t v)
{
	key_start(k);
	key_u64(k, v);
	return k;
}

struct key *key_of_text(struct key *k, const char *text)
{
	key_start(k);
	key_text(k, text);
	return k;
}
