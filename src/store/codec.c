/* SPDX-License-Identifier: Apache-2.0 */
#include "store/codec.h"

#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/num.h"

#define FRAME_MAGIC 0xfd2fb528u
#define FRAME_FLAGS 4         /* offset of the frame header's descriptor */
#define FRAME_HAS_CHECKSUM 4u /* bit in it */

/* Making a context costs more than compressing a chunk: each thread keeps its own. */
struct contexts {
	ZSTD_CCtx *pack;
	ZSTD_DCtx *unpack;
	int level; /* that `pack` is set to */
};

static pthread_key_t contexts_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_contexts(void *arg)
{
	struct contexts *c = arg;
	ZSTD_freeCCtx(c->pack);
	ZSTD_freeDCtx(c->unpack);
	free(c);
}

static void set_up(void)
{
	if (pthread_key_create(&contexts_key, free_contexts))
		abort();
}

static struct contexts *thread_contexts(void)
{
	pthread_once(&once, set_up);
	struct contexts *c = pthread_getspecific(contexts_key);
	if (!c) {
		c = calloc(1, sizeof *c);
		if (!c || pthread_setspecific(contexts_key, c))
			abort();
	}
	return c;
}

/* The thread's context for compressing at this level, or NULL: no memory, or no such level. */
static ZSTD_CCtx *pack_context(int level)
{
	struct contexts *c = thread_contexts();
	if (c->pack && c->level == level)
		return c->pack;
	if (!c->pack && !(c->pack = ZSTD_createCCtx()))
		return NULL;
	if (ZSTD_isError(ZSTD_CCtx_setParameter(c->pack, ZSTD_c_compressionLevel, level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(c->pack, ZSTD_c_checksumFlag, 1)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(c->pack, ZSTD_c_contentSizeFlag, 1))) {
		ZSTD_freeCCtx(c->pack);
		c->pack = NULL;
		return NULL;
	}
	c->level = level;
	return c->pack;
}

int codec_pack(int level, const void *in, size_t len, void *out)
{
	ZSTD_CCtx *c = pack_context(level);
	if (!c)
		return -ENOMEM;
	/* What does not shrink becomes raw blocks all by itself: zstd does that block by block. */
	size_t n = ZSTD_compress2(c, out, FRAME_MAX, in, len);
	return ZSTD_isError(n) ? -EINVAL : (int)n;
}

/* Is it exactly one frame, with a checksum, that says to hold `want` bytes? (zstd would also take
 * several frames in a row, frames to skip, and frames without a checksum.) */
static bool frame_plausible(const uint8_t *frame, size_t len, size_t want)
{
	return len > FRAME_FLAGS && get_le32(frame) == FRAME_MAGIC && (frame[FRAME_FLAGS] & FRAME_HAS_CHECKSUM) &&
	       ZSTD_getFrameContentSize(frame, len) == want && ZSTD_findFrameCompressedSize(frame, len) == len;
}

int codec_unpack(const void *frame, size_t len, void *out, size_t want)
{
	if (!frame_plausible(frame, len, want))
		return ERR_DAMAGED;
	struct contexts *c = thread_contexts();
	if (!c->unpack && !(c->unpack = ZSTD_createDCtx()))
		return -ENOMEM;
	size_t n = ZSTD_decompressDCtx(c->unpack, out, want, frame, len);
	return !ZSTD_isError(n) && n == want ? 0 : ERR_DAMAGED;
}
