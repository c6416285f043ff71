/* SPDX-License-Identifier: Apache-2.0 */
/* pack_write: gathering a pack in a spool.
 *
 *      OPEN --pack_seal()--> SEALED
 *        |                      |
 *        +--a write or the seal failed--> FAILED (for good)
 *
 * 1. A place is handed out once, under the lock; the bytes are written outside of it, by several
 *    threads at a time. [PACK_HEADER_SIZE, end) is therefore full only when none is `in_flight`.
 * 2. When OPEN, `slots` finds every item; SEALED, the items are sorted and do not change.
 * 3. header + frames + index of `count` + footer <= PACK_MAX at any time.
 * 4. FAILED: something that an item promises may be missing. Nothing can be added or sealed.
 */
#include "store/pack.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "store/pack_format.h"

#define WRITEBACK_STEP (8u << 20) /* what pack_seal() has to wait for stays below about this */

struct pack_writer {
	struct backend *backend;
	_Atomic uint32_t *numbers;
	int spool;
	_Atomic bool careful;

	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t landed; /* in_flight became 0 */
	unsigned in_flight;
	int failed; /* the first error, or 0 */
	bool sealing, sealed;
	uint32_t number;
	uint64_t total;
	uint32_t end;         /* of the frames: where the next one goes */
	uint32_t written_back; /* writeback was started up to here */
	struct pack_item *items;
	uint32_t count, room;
	uint32_t *slots; /* item + 1 by hash, open addressing; 0: free */
	uint32_t n_slots; /* a power of two, at least twice `room` */
};

/* --- items by hash --- */

/* The slot of that hash, or the free one where it would go. */
static uint32_t *find_slot(const struct pack_writer *w, const struct hash *hash)
{
	uint32_t i = get_le32(hash->b) & (w->n_slots - 1);
	while (w->slots[i] && !hash_equal(&w->items[w->slots[i] - 1].hash, hash))
		i = (i + 1) & (w->n_slots - 1);
	return &w->slots[i];
}

static void set_room(struct pack_writer *w, uint32_t room)
{
	w->items = reallocarray(w->items, room, sizeof *w->items);
	free(w->slots);
	w->n_slots = 2 * room;
	w->slots = calloc(w->n_slots, sizeof *w->slots);
	if (!w->items || !w->slots)
		abort();
	w->room = room;
	for (uint32_t i = 0; i < w->count; i++)
		*find_slot(w, &w->items[i].hash) = i + 1;
}

static int compare_items(const void *a, const void *b)
{
	return hash_compare(&((const struct pack_item *)a)->hash, &((const struct pack_item *)b)->hash);
}

/* --- adding --- */

int pack_begin(struct pack_writer **ret, struct backend *backend, _Atomic uint32_t *numbers, struct error *err)
{
	int spool;
	int r = backend->ops->spool(backend, &spool, err);
	if (r)
		return r;
	struct pack_writer *w = calloc(1, sizeof *w);
	if (!w)
		abort();
	w->backend = backend;
	w->numbers = numbers;
	w->spool = spool;
	w->end = w->written_back = PACK_HEADER_SIZE;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->landed, NULL);
	set_room(w, 64);
	*ret = w;
	return 0;
}

static int say_failed(const struct pack_writer *w, struct error *err)
{
	return fail(err, w->failed, "a pack could not be written: %s", strerror(err_to_errno(w->failed)));
}

/* Bytes of the whole pack if it were sealed after one more frame of `len` bytes. */
static uint64_t size_with(const struct pack_writer *w, size_t len)
{
	return w->end + len + (uint64_t)(w->count + 1) * PACK_ENTRY_SIZE + PACK_FOOTER_SIZE;
}

/* Hand out a place: 1 and *ret_offset; 0 when the writer has the hash; or an error. */
static int reserve(struct pack_writer *w, const struct hash *hash, enum object_kind kind, size_t len,
		   uint32_t *ret_offset, struct error *err)
{
	WITH_LOCK(&w->lock);
	if (w->failed)
		return say_failed(w, err);
	if (w->sealing)
		return fail(err, -EINVAL, "this pack is sealed");
	uint32_t *slot = find_slot(w, hash);
	if (*slot)
		return 0;
	if (size_with(w, len) > PACK_MAX)
		return fail(err, ERR_FULL, "this pack is full");
	if (w->count == w->room) {
		set_room(w, 2 * w->room);
		slot = find_slot(w, hash);
	}
	struct place place = { .offset = w->end, .length = (uint32_t)len, .kind = (uint8_t)kind };
	w->items[w->count] = (struct pack_item){ *hash, place };
	*slot = ++w->count;
	*ret_offset = w->end;
	w->end += (uint32_t)len;
	w->in_flight++;
	return 1;
}

/* The bytes are down (or not). Returns how many bytes from *ret_from on to start writeback for. */
static uint32_t land(struct pack_writer *w, int result, uint32_t *ret_from)
{
	WITH_LOCK(&w->lock);
	if (result && !w->failed)
		w->failed = result;
	if (--w->in_flight == 0)
		pthread_cond_broadcast(&w->landed);
	if (w->end - w->written_back < WRITEBACK_STEP)
		return 0;
	*ret_from = w->written_back;
	w->written_back = w->end;
	return w->end - *ret_from;
}

int pack_add(struct pack_writer *w, const struct hash *hash, enum object_kind kind, const void *frame,
	     size_t len, struct error *err)
{
	uint32_t offset = 0, from = 0;
	if (len == 0 || len > FRAME_MAX || hash_is_none(hash))
		return fail(err, -EINVAL, "a frame of %zu bytes cannot be put into a pack", len);
	int r = reserve(w, hash, kind, len, &offset, err);
	if (r <= 0)
		return r;
	r = io_pwrite(w->spool, frame, len, offset);
	uint32_t step = land(w, r, &from);
	if (r)
		return fail(err, r, "cannot write %zu bytes to the spool of a pack: %s", len, strerror(-r));
	if (step) /* only a hint: what comes of it shows when put() syncs */
		(void)sync_file_range(w->spool, from, step, SYNC_FILE_RANGE_WRITE);
	return 0;
}

void pack_set_careful(struct pack_writer *w, bool careful) { atomic_store(&w->careful, careful); }
bool pack_is_careful(const struct pack_writer *w) { return atomic_load(&w->careful); }

bool pack_has(struct pack_writer *w, const struct hash *hash)
{
	WITH_LOCK(&w->lock);
	if (!w->sealing)
		return *find_slot(w, hash) != 0;
	struct pack_item key = { .hash = *hash };
	return bsearch(&key, w->items, w->count, sizeof key, compare_items);
}

/* --- sealing --- */

/* Take the next number; 0 when there is none left. */
static uint32_t take_number(_Atomic uint32_t *numbers)
{
	uint32_t n = atomic_load(numbers);
	do {
		if (n == 0)
			n = 1;
		if (n == UINT32_MAX)
			return 0;
	} while (!atomic_compare_exchange_weak(numbers, &n, n + 1));
	return n;
}

/* From here on nothing changes but by pack_seal(). 1: go on; 0: sealed before; or an error. */
static int begin_seal(struct pack_writer *w, struct error *err)
{
	WITH_LOCK(&w->lock);
	while (w->in_flight)
		pthread_cond_wait(&w->landed, &w->lock);
	if (w->failed)
		return say_failed(w, err);
	if (w->sealing)
		return w->sealed ? 0 : fail(err, -EBUSY, "this pack is being sealed by another thread");
	w->sealing = true;
	qsort(w->items, w->count, sizeof *w->items, compare_items);
	return 1;
}

static void end_seal(struct pack_writer *w, int result, uint32_t number)
{
	WITH_LOCK(&w->lock);
	w->failed = result;
	w->sealed = !result;
	if (result || !w->count)
		return;
	w->number = number;
	w->total = w->end + (uint64_t)w->count * PACK_ENTRY_SIZE + PACK_FOOTER_SIZE;
	for (uint32_t i = 0; i < w->count; i++)
		w->items[i].place.pack = number;
}

static void build_index(const struct pack_writer *w, uint8_t *index)
{
	for (uint32_t i = 0; i < w->count; i++) {
		uint8_t *entry = index + (size_t)i * PACK_ENTRY_SIZE;
		const struct place *place = &w->items[i].place;
		memset(entry, 0, PACK_ENTRY_SIZE);
		memcpy(entry + PACK_ENTRY_HASH, &w->items[i].hash, HASH_SIZE);
		put_le32(entry + PACK_ENTRY_OFFSET, place->offset);
		put_le32(entry + PACK_ENTRY_LENGTH, place->length);
		entry[PACK_ENTRY_KIND] = place->kind;
	}
}

/* The footer behind an index of `len` bytes. Its digest covers the number: made anew for each. */
static void build_footer(const struct pack_writer *w, uint8_t *index, size_t len, uint32_t number)
{
	uint8_t *footer = index + len;
	struct hash digest;
	memset(footer, 0, PACK_FOOTER_SIZE);
	memcpy(footer, PACK_FOOTER_MAGIC, 8);
	put_le32(footer + PACK_FOOTER_VERSION, PACK_VERSION);
	put_le32(footer + PACK_FOOTER_NUMBER, number);
	put_le32(footer + PACK_FOOTER_COUNT, w->count);
	put_le32(footer + PACK_FOOTER_INDEX, w->end);
	put_le32(footer + PACK_FOOTER_TOTAL, (uint32_t)(w->end + len + PACK_FOOTER_SIZE));
	hash_of(index, len + PACK_FOOTER_DIGEST, &digest);
	memcpy(footer + PACK_FOOTER_DIGEST, &digest, HASH_SIZE);
}

static int write_header(const struct pack_writer *w, uint32_t number)
{
	uint8_t header[PACK_HEADER_SIZE];
	memcpy(header, PACK_HEADER_MAGIC, 8);
	put_le32(header + PACK_HEADER_VERSION, PACK_VERSION);
	put_le32(header + PACK_HEADER_NUMBER, number);
	return io_pwrite(w->spool, header, sizeof header, 0);
}

/* Try one number: -EEXIST when it is taken. */
static int publish(struct pack_writer *w, uint8_t *index, size_t len, uint32_t number, struct error *err)
{
	char name[20];
	build_footer(w, index, len, number);
	int r = write_header(w, number);
	if (!r)
		r = io_pwrite(w->spool, index, len + PACK_FOOTER_SIZE, w->end);
	if (r)
		return fail(err, r, "cannot write the index of a pack: %s", strerror(-r));
	return w->backend->ops->put(w->backend, pack_name(number, name), w->spool, w->end + len + PACK_FOOTER_SIZE, err);
}

static int seal(struct pack_writer *w, uint32_t *ret_number, struct error *err)
{
	size_t len = (size_t)w->count * PACK_ENTRY_SIZE;
	AUTO_FREE uint8_t *index = malloc(len + PACK_FOOTER_SIZE);
	struct error trouble;
	int r;
	if (!index)
		return fail(err, -ENOMEM, "no memory for the index of a pack");
	build_index(w, index);
	do {
		*ret_number = take_number(w->numbers);
		if (!*ret_number)
			return fail(err, -EOVERFLOW, "the numbers that the store has for packs are all used up, so nothing more can be stored in it");
		r = publish(w, index, len, *ret_number, &trouble);
	} while (r == -EEXIST);
	if (r && err)
		*err = trouble;
	return r;
}

int pack_seal(struct pack_writer *w, struct error *err)
{
	uint32_t number = 0;
	int r = begin_seal(w, err);
	if (r <= 0)
		return r;
	r = w->count ? seal(w, &number, err) : 0;
	end_seal(w, r, number);
	return r;
}

const struct pack_item *pack_items(const struct pack_writer *w, size_t *ret_count)
{
	*ret_count = w->count;
	return w->items;
}

uint32_t pack_number(const struct pack_writer *w) { return w->number; }
uint64_t pack_bytes(const struct pack_writer *w) { return w->total; }

void pack_free(struct pack_writer *w)
{
	if (!w)
		return;
	close(w->spool);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->landed);
	free(w->items);
	free(w->slots);
	free(w);
}
