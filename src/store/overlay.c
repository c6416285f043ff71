/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with an overlay. The order that everything keeps to: bytes are in .data before their bits are
 * set, and bits are cleared before their bytes are punched. So whenever the process ends, a bit that is set
 * tells of bytes that are there. What is there after the power failed is decided in overlay_sync.c. */
#include "store/overlay_int.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

int overlay_open(struct overlay **ret, const char *dir, uint64_t number, struct error *err)
{
	struct overlay *o = calloc(1, sizeof *o);
	if (!o || !(o->dir = strdup(dir)))
		abort();
	o->number = number;
	o->data = o->bits = o->live = o->log = -1;
	pthread_rwlock_init(&o->files, NULL);
	pthread_mutex_init(&o->lock, NULL);
	pthread_mutex_init(&o->syncing, NULL);
	pthread_mutex_init(&o->noting, NULL);
	pthread_cond_init(&o->consumed, NULL);
	int r = overlay_files_find(o, err);
	if (r) {
		overlay_close(o);
		return r;
	}
	*ret = o;
	return 0;
}

bool overlay_recovered(const struct overlay *o) { return o->recovered; }

/* Nothing that a later process must know? */
static bool says_nothing(const struct overlay *o)
{
	return overlay_empty(o) && overlay_cut(o) == OVERLAY_NONE && overlay_size(o) == OVERLAY_NONE;
}

/* What was written is synced: an orderly end followed by an orderly start of the machine should lose nothing. */
void overlay_close(struct overlay *o)
{
	if (!o)
		return;
	if (!atomic_load(&o->resting) && atomic_load(&o->there) && !says_nothing(o))
		(void)!overlay_sync(o, NULL); /* a process that is killed would not do it either */
	else if (atomic_load(&o->there) && overlay_void(o, NULL) == 0)
		(void)!overlay_remove(o->dir, o->number, NULL); /* void files do no harm */
	overlay_files_close(o);
	if (o->data >= 0)
		close(o->data);
	pthread_rwlock_destroy(&o->files);
	pthread_mutex_destroy(&o->lock);
	pthread_mutex_destroy(&o->syncing);
	pthread_mutex_destroy(&o->noting);
	pthread_cond_destroy(&o->consumed);
	free(o->dir);
	free(o);
}

int overlay_reset(struct overlay *o, int *ret_fd, struct error *err)
{
	int woken = overlay_wake(o, err);
	if (woken)
		return woken;
	WITH_WRLOCK(&o->files);
	if (!atomic_load(&o->there))
		return overlay_remove(o->dir, o->number, err);
	int r = overlay_void(o, err);
	if (r)
		return r;
	(void)!overlay_remove(o->dir, o->number, NULL); /* void files do no harm */
	overlay_files_close(o);
	*ret_fd = steal_fd(&o->data);
	return 0;
}

/* --- the two numbers --- */

static uint64_t header_get(const struct overlay *o, unsigned at)
{
	if (atomic_load(&o->resting))
		return at == BITS_AT_SIZE ? o->rest_size : o->rest_cut;
	return atomic_load(&o->there) ? le64toh(atomic_load(&o->header[at / 8])) : OVERLAY_NONE;
}

static int header_set(struct overlay *o, unsigned at, uint64_t value, struct error *err)
{
	if (value == OVERLAY_NONE && !atomic_load(&o->there) && !atomic_load(&o->resting))
		return 0;
	int r = overlay_files_make(o, err);
	if (r)
		return r;
	WITH_LOCK(&o->noting);
	uint64_t old = header_get(o, at);
	bool first = old == OVERLAY_NONE && overlay_cut(o) == OVERLAY_NONE; /* shrinking cuts before */
	if (at == BITS_AT_SIZE && value != OVERLAY_NONE && (first || value >= old))
		o->pending.grown = true;
	else
		o->pending.recut = true;
	atomic_store(&o->header[at / 8], htole64(value));
	return 0;
}

uint64_t overlay_size(const struct overlay *o) { return header_get(o, BITS_AT_SIZE); }
uint64_t overlay_cut(const struct overlay *o) { return header_get(o, BITS_AT_CUT); }
int overlay_set_size(struct overlay *o, uint64_t size, struct error *err)
{
	return header_set(o, BITS_AT_SIZE, size, err);
}
int overlay_set_cut(struct overlay *o, uint64_t cut, struct error *err)
{
	return header_set(o, BITS_AT_CUT, cut, err);
}

int64_t overlay_mtime(const struct overlay *o)
{
	return atomic_load(&o->there) ? (int64_t)le64toh(atomic_load(&o->header[LIVE_AT_MTIME / 8])) : 0;
}

/* The files may go meanwhile: then it is the caller's memory, or the catalog, that has it. */
void overlay_set_mtime(struct overlay *o, int64_t mtime)
{
	WITH_RDLOCK(&o->files);
	if (atomic_load(&o->there))
		atomic_store(&o->header[LIVE_AT_MTIME / 8], htole64((uint64_t)mtime));
}

/* --- bits --- */

bool overlay_empty(const struct overlay *o) { return atomic_load(&o->blocks) == 0; }
uint64_t overlay_bytes(const struct overlay *o) { return atomic_load(&o->blocks) * BLOCK_SIZE; }

uint64_t overlay_stored(struct overlay *o)
{
	struct stat st;
	WITH_RDLOCK(&o->files);
	if (atomic_load(&o->resting))
		return o->rest_stored;
	if (!atomic_load(&o->there) || fstat(o->data, &st))
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

uint16_t overlay_bits(const struct overlay *o, uint64_t chunk)
{
	struct window *w = overlay_window(o, chunk);
	return w ? le16toh(atomic_load(&w->bits[chunk % WINDOW_CHUNKS])) : 0;
}

static void set_bits(struct overlay *o, uint64_t chunk, uint16_t mask)
{
	_Atomic uint16_t *bits = &overlay_window(o, chunk)->bits[chunk % WINDOW_CHUNKS];
	if ((le16toh(atomic_load(bits)) & mask) == mask)
		return;
	uint16_t old = le16toh(atomic_fetch_or(bits, htole16(mask)));
	atomic_fetch_add(&o->blocks, (unsigned)__builtin_popcount(mask & ~old));
	mark_page(o, MARK_SET, chunk / PAGE_CHUNKS);
}

void overlay_clear(struct overlay *o, uint64_t chunk)
{
	struct window *w = overlay_window(o, chunk);
	if (!w || !atomic_load(&w->bits[chunk % WINDOW_CHUNKS]))
		return;
	uint16_t old = atomic_exchange(&w->bits[chunk % WINDOW_CHUNKS], 0);
	atomic_fetch_sub(&o->blocks, (unsigned)__builtin_popcount(old));
	mark_page(o, MARK_CLEARED, chunk / PAGE_CHUNKS);
	note_cleared(o);
}

static void set_range(struct overlay *o, uint64_t offset, uint64_t len)
{
	uint64_t block = offset / BLOCK_SIZE, end = (offset + len) / BLOCK_SIZE;
	while (block < end) {
		unsigned first = block % CHUNK_BLOCKS;
		unsigned n = (unsigned)MIN(CHUNK_BLOCKS - first, end - block);
		set_bits(o, block / CHUNK_BLOCKS, (uint16_t)(((1u << n) - 1) << first));
		block += n;
	}
	note_blocks(o, offset / BLOCK_SIZE, len / BLOCK_SIZE);
}

uint64_t overlay_next(struct overlay *o, uint64_t chunk)
{
	for (; chunk < OVERLAY_CHUNKS && !overlay_empty(o); chunk++) {
		if (!overlay_window(o, chunk))
			chunk = round_up(chunk + 1, live_window(o, chunk / WINDOW_CHUNKS) ? PAGE_CHUNKS : WINDOW_CHUNKS) - 1;
		else if (overlay_bits(o, chunk))
			return chunk;
	}
	return UINT64_MAX;
}

/* --- bytes --- */

static int check_range(uint64_t offset, uint64_t len, struct error *err)
{
	if (offset % BLOCK_SIZE || len % BLOCK_SIZE)
		return fail(err, -EINVAL, "an overlay holds whole blocks only");
	return 0;
}

int overlay_write(struct overlay *o, const void *buf, size_t len, uint64_t offset, struct error *err)
{
	int r = check_range(offset, len, err);
	if (r == 0)
		r = overlay_allocate(o, offset / CHUNK_SIZE, div_up(offset + len, CHUNK_SIZE), err);
	if (r)
		return r;
	r = io_pwrite(o->data, buf, len, offset);
	if (r)
		return fail(err, r, "cannot write to the overlay of disk %" PRIu64 ": %s", o->number, strerror(-r));
	atomic_store(&o->data_new, true);
	set_range(o, offset, len);
	return 0;
}

int overlay_read(struct overlay *o, void *buf, size_t len, uint64_t offset, struct error *err)
{
	char *p = buf;
	while (len > 0) {
		ssize_t n = pread(o->data, p, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "cannot read the overlay of disk %" PRIu64, o->number);
		if (n == 0) { /* zeros at the end were never stored */
			memset(p, 0, len);
			break;
		}
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Zeros behind the end are bytes, too: a file that is too short has lost some. Makes it no shorter, whoever else writes. */
static int reach(struct overlay *o, uint64_t end, struct error *err)
{
	struct stat st;
	if (fstat(o->data, &st) == 0 && (uint64_t)st.st_size >= end)
		return 0;
	if (fallocate(o->data, 0, (off_t)end - 1, 1))
		return fail_errno(err, "cannot lengthen the overlay of disk %" PRIu64, o->number);
	return 0;
}

static int punch(struct overlay *o, uint64_t offset, uint64_t len, struct error *err)
{
	if (fallocate(o->data, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len))
		return fail_errno(err, "cannot free space of the overlay of disk %" PRIu64, o->number);
	atomic_store(&o->data_new, true);
	return 0;
}

int overlay_zero(struct overlay *o, uint64_t offset, uint64_t len, struct error *err)
{
	int r = check_range(offset, len, err);
	if (r || len == 0)
		return r;
	r = overlay_allocate(o, offset / CHUNK_SIZE, div_up(offset + len, CHUNK_SIZE), err);
	if (r == 0)
		r = punch(o, offset, len, err);
	if (r == 0)
		r = reach(o, offset + len, err);
	if (r == 0)
		set_range(o, offset, len);
	return r;
}

int overlay_punch(struct overlay *o, uint64_t chunk, uint64_t count, struct error *err)
{
	uint64_t end = chunk + count;
	int r = 0;
	while (r == 0 && chunk < end) {
		uint64_t n = 0;
		while (chunk + n < end && overlay_bits(o, chunk + n) == 0)
			n++;
		if (n && atomic_load(&o->there))
			r = punch(o, chunk * CHUNK_SIZE, n * CHUNK_SIZE, err);
		chunk += n + 1;
	}
	return r;
}

int overlay_drop(struct overlay *o, uint64_t chunk, struct error *err)
{
	if (overlay_bits(o, chunk) == 0)
		return 0;
	overlay_clear(o, chunk);
	int r = overlay_sync_bits(o, err);
	return r ? r : overlay_punch(o, chunk, 1, err);
}

int overlay_drop_from(struct overlay *o, uint64_t chunk, struct error *err)
{
	bool any = false;
	int r = overlay_wake(o, err);
	if (r)
		return r;
	if (!atomic_load(&o->there) || chunk >= OVERLAY_CHUNKS)
		return 0;
	for (uint64_t c = overlay_next(o, chunk); c != UINT64_MAX; c = overlay_next(o, c + 1), any = true)
		overlay_clear(o, c);
	r = any ? overlay_sync_bits(o, err) : 0;
	if (r)
		return r;
	off_t size = lseek(o->data, 0, SEEK_END);
	if (size < 0 || ((uint64_t)size > chunk * CHUNK_SIZE && ftruncate(o->data, (off_t)(chunk * CHUNK_SIZE))))
		return fail_errno(err, "cannot shorten the overlay of disk %" PRIu64, o->number);
	atomic_store(&o->data_new, true);
	return 0;
}
