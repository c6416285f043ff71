/* SPDX-License-Identifier: Apache-2.0 */
/* pack_format: the bytes of a pack, for pack_write.c, pack_read.c and their tests. The same in
 * words: docs/format-pack.md. All numbers are little-endian. */
#ifndef IMAGEFS_STORE_PACK_FORMAT_H
#define IMAGEFS_STORE_PACK_FORMAT_H

#include "backend/backend.h"
#include "store/codec.h"

#define PACK_VERSION 1u
#define PACK_MAX BACKEND_OBJECT_MAX

/* Header, at offset 0. Frames follow, one after another, without gaps. */
#define PACK_HEADER_MAGIC "imgpack\n" /* 8 bytes */
#define PACK_HEADER_VERSION 8
#define PACK_HEADER_NUMBER 12
#define PACK_HEADER_SIZE 16u

/* Index: one entry an object, by ascending hash, none twice. Right after the last frame. */
#define PACK_ENTRY_HASH 0
#define PACK_ENTRY_OFFSET 32
#define PACK_ENTRY_LENGTH 36
#define PACK_ENTRY_KIND 40 /* one byte; three zero bytes follow */
#define PACK_ENTRY_SIZE 44u

/* Footer: the last bytes. */
#define PACK_FOOTER_MAGIC "imgindex" /* 8 bytes */
#define PACK_FOOTER_VERSION 8
#define PACK_FOOTER_NUMBER 12
#define PACK_FOOTER_COUNT 16  /* entries in the index */
#define PACK_FOOTER_INDEX 20  /* offset of the index */
#define PACK_FOOTER_TOTAL 24  /* size of the pack */
#define PACK_FOOTER_ZERO 28   /* four zero bytes */
#define PACK_FOOTER_DIGEST 32 /* SHA-256 of the index and the footer up to here */
#define PACK_FOOTER_SIZE 64u

#endif
