/* SPDX-License-Identifier: Apache-2.0 */
/* codec: one object <-> one zstd frame with a content checksum. Bytes that do not shrink become a
 * frame of raw blocks, so that every frame is verified the same way. Contexts are kept per thread. */
#ifndef IMAGEFS_STORE_CODEC_H
#define IMAGEFS_STORE_CODEC_H

#include "store/chunk.h"

#define FRAME_MAX (CHUNK_SIZE + 1024u) /* no frame is longer */

/* Compress; returns the length of the frame (> 0; out has FRAME_MAX bytes) or an error. */
int codec_pack(int level, const void *in, size_t len, void *out) MUST_USE;

/* Decompress exactly `want` bytes and verify; ERR_DAMAGED for anything else. */
int codec_unpack(const void *frame, size_t len, void *out, size_t want) MUST_USE;

#endif
