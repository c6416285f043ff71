/* SPDX-License-Identifier: Apache-2.0 */
#include "store/codec.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/num.h"
#include "tap.h"

static uint8_t data[CHUNK_SIZE], frame[FRAME_MAX], out[CHUNK_SIZE];

static void fill_text(uint8_t *to, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)("abcdefgh"[test_random(&seed) % (1 + i % 8)]);
}

static void fill_noise(uint8_t *to, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)test_random(&seed);
}

static void round_trip(int level, size_t len, const char *what)
{
	int n = codec_pack(level, data, len, frame);
	ok(n > 0 && (size_t)n <= FRAME_MAX, "%s, %zu bytes, level %d: %d bytes", what, len, level, n);
	memset(out, 0xaa, sizeof out);
	is_int(codec_unpack(frame, (size_t)MAX(n, 0), out, len), 0, "unpacks");
	ok(memcmp(out, data, len) == 0, "to the same");
}

static void test_round_trips(uint64_t seed)
{
	static const int levels[] = { 1, 3, 9, 3, 19 }; /* a thread's context changes its level */
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
		fill_text(data, CHUNK_SIZE, seed + i);
		round_trip(levels[i], CHUNK_SIZE, "text");
		round_trip(levels[i], NODE_SIZE, "text");
		fill_noise(data, CHUNK_SIZE, seed + i);
		round_trip(levels[i], CHUNK_SIZE, "noise");
		round_trip(levels[i], NODE_SIZE, "noise");
	}
	memset(data, 0, sizeof data);
	data[CHUNK_SIZE - 1] = 1;
	round_trip(3, CHUNK_SIZE, "nearly nothing");
}

static void test_lengths(uint64_t seed)
{
	fill_text(data, CHUNK_SIZE, seed);
	size_t n = (size_t)codec_pack(3, data, NODE_SIZE, frame);
	int missed = 0;
	is_int(codec_unpack(frame, n, out, NODE_SIZE - 1), ERR_DAMAGED, "a frame of one byte more than wanted");
	is_int(codec_unpack(frame, n, out, NODE_SIZE + 1), ERR_DAMAGED, "a frame of one byte less than wanted");
	is_int(codec_unpack(frame, n, out, CHUNK_SIZE), ERR_DAMAGED, "a frame of another kind");
	for (size_t len = 0; len < n; len++)
		missed += codec_unpack(frame, len, out, NODE_SIZE) != ERR_DAMAGED;
	is_int(missed, 0, "every frame cut short is damaged");
	frame[n] = 0;
	is_int(codec_unpack(frame, n + 1, out, NODE_SIZE), ERR_DAMAGED, "a byte more behind the frame");
}

/* Each bit of a frame flipped: wrong bytes never come out. */
static void flip_bits(const char *what, size_t step)
{
	size_t n = (size_t)codec_pack(3, data, NODE_SIZE, frame);
	int wrong = 0, unnoticed = 0, other = 0;
	for (size_t bit = 0; bit < 8 * n; bit += step) {
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int r = codec_unpack(frame, n, out, NODE_SIZE);
		bool same = memcmp(out, data, NODE_SIZE) == 0;
		wrong += r == 0 && !same;
		unnoticed += r == 0 && same;
		other += r != 0 && r != ERR_DAMAGED;
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	is_int(wrong, 0, "%s: no flipped bit gives wrong bytes", what);
	is_int(other, 0, "%s: the answer is always ERR_DAMAGED", what);
	diag("%s: %d of %zu flips change nothing that matters", what, unnoticed, 8 * n / step);
}

static void test_damage(uint64_t seed)
{
	fill_text(data, CHUNK_SIZE, seed);
	flip_bits("text", 1);
	fill_noise(data, CHUNK_SIZE, seed);
	flip_bits("noise", 7);
}

/* Frames that zstd itself would accept. */
static void test_foreign(uint64_t seed)
{
	uint8_t two[2 * FRAME_MAX];
	fill_text(data, CHUNK_SIZE, seed);
	ZSTD_CCtx *c = ZSTD_createCCtx();

	size_t n = ZSTD_compress2(c, frame, FRAME_MAX, data, NODE_SIZE);
	is_int(codec_unpack(frame, n, out, NODE_SIZE), ERR_DAMAGED, "a frame without checksum is not believed");

	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	size_t first = ZSTD_compress2(c, two, FRAME_MAX, data, NODE_SIZE / 2);
	size_t second = ZSTD_compress2(c, two + first, FRAME_MAX, data + NODE_SIZE / 2, NODE_SIZE / 2);
	is_int(codec_unpack(two, first + second, out, NODE_SIZE), ERR_DAMAGED, "two frames are not one");

	first = ZSTD_compress2(c, two, FRAME_MAX, data, NODE_SIZE);
	second = ZSTD_compress2(c, two + first, FRAME_MAX, data, 0);
	is_int(codec_unpack(two, first + second, out, NODE_SIZE), ERR_DAMAGED, "nor with an empty one behind");
	memcpy(two + first, "\x50\x2a\x4d\x18\x04\0\0\0abcd", 12);
	is_int(codec_unpack(two, first + 12, out, NODE_SIZE), ERR_DAMAGED, "nor with one to skip");

	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	n = ZSTD_compress2(c, frame, FRAME_MAX, data, NODE_SIZE);
	is_int(codec_unpack(frame, n, out, NODE_SIZE), ERR_DAMAGED, "a frame must say its size");
	ZSTD_freeCCtx(c);
	is_int(codec_unpack("", 0, out, NODE_SIZE), ERR_DAMAGED, "nothing is no frame");
}

static atomic_int wrong;

static void *pack_many(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;
	uint8_t *in = malloc(CHUNK_SIZE), *packed = malloc(FRAME_MAX), *back = malloc(CHUNK_SIZE);
	for (int i = 0; i < 50; i++) {
		fill_text(in, CHUNK_SIZE, seed + (uint64_t)i);
		int n = codec_pack(i % 5 + 1, in, CHUNK_SIZE, packed);
		wrong += n <= 0 || codec_unpack(packed, (size_t)n, back, CHUNK_SIZE) || memcmp(in, back, CHUNK_SIZE);
	}
	free(in);
	free(packed);
	free(back);
	return NULL;
}

static void test_threads(uint64_t seed)
{
	pthread_t threads[4];
	for (uint64_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, pack_many, (void *)(uintptr_t)(seed + 1000 * i));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	is_int(wrong, 0, "threads do not disturb each other");
}

int main(void)
{
	uint64_t seed = test_seed();
	test_round_trips(seed);
	test_lengths(seed);
	test_damage(seed);
	test_foreign(seed);
	test_threads(seed);
	return done_testing();
}
