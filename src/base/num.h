/* SPDX-License-Identifier: Apache-2.0 */
/* num: bytes in fixed order, rounding, checked arithmetic. */
#ifndef IMAGEFS_BASE_NUM_H
#define IMAGEFS_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void put_le16(void *p, uint16_t v) { uint8_t *b = p; b[0] = (uint8_t)v; b[1] = (uint8_t)(v >> 8); }
static inline void put_le32(void *p, uint32_t v) { put_le16(p, (uint16_t)v); put_le16((uint8_t *)p + 2, (uint16_t)(v >> 16)); }
static inline void put_le64(void *p, uint64_t v) { put_le32(p, (uint32_t)v); put_le32((uint8_t *)p + 4, (uint32_t)(v >> 32)); }
static inline uint16_t get_le16(const void *p) { const uint8_t *b = p; return (uint16_t)(b[0] | b[1] << 8); }
static inline uint32_t get_le32(const void *p) { return get_le16(p) | (uint32_t)get_le16((const uint8_t *)p + 2) << 16; }
static inline uint64_t get_le64(const void *p) { return get_le32(p) | (uint64_t)get_le32((const uint8_t *)p + 4) << 32; }
static inline void put_be16(void *p, uint16_t v) { uint8_t *b = p; b[0] = (uint8_t)(v >> 8); b[1] = (uint8_t)v; }
static inline void put_be32(void *p, uint32_t v) { put_be16(p, (uint16_t)(v >> 16)); put_be16((uint8_t *)p + 2, (uint16_t)v); }
static inline void put_be64(void *p, uint64_t v) { put_be32(p, (uint32_t)(v >> 32)); put_be32((uint8_t *)p + 4, (uint32_t)v); }
static inline uint16_t get_be16(const void *p) { const uint8_t *b = p; return (uint16_t)(b[0] << 8 | b[1]); }
static inline uint32_t get_be32(const void *p) { return (uint32_t)get_be16(p) << 16 | get_be16((const uint8_t *)p + 2); }
static inline uint64_t get_be64(const void *p) { return (uint64_t)get_be32(p) << 32 | get_be32((const uint8_t *)p + 4); }

#define MIN(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })

static inline uint64_t round_down(uint64_t v, uint64_t unit) { return v - v % unit; }
static inline uint64_t round_up(uint64_t v, uint64_t unit) { return round_down(v + unit - 1, unit); }
static inline uint64_t div_up(uint64_t v, uint64_t unit) { return v / unit + (v % unit != 0); }

/* Are these bytes all zero? Compares the buffer with itself one byte on: memcmp is fast. */
static inline bool is_zero(const void *data, size_t len)
{
	const uint8_t *p = data;
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

#endif
