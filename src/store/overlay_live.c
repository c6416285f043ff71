/* SPDX-License-Identifier: Apache-2.0 */
/* .live: the bits that count while the machine runs. It is a mapped file, so that they outlive the process; the
 * kernel writes its pages whenever it likes, maybe before the bytes that they speak of, so after a power
 * cut they are worth nothing. Its header has the kernel's boot id: under another one it is made anew out of
 * .bits.
 *
 * Bits are mapped in segments as they are needed, and told apart in windows. A page of a window is touched only if it is marked as
 * allocated: the mark is set after fallocate() succeeded, or, for a file that was there already, for
 * what lseek(SEEK_DATA) says. So reading costs no page of holes and a full disk shows as ENOSPC of
 * fallocate(). The page's place in .bits is allocated with it: a sync should not fail for want of room. */
#include "store/overlay_int.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

#define WINDOW_BYTES ((uint64_t)WINDOW_PAGES * BITS_PAGE)

/* --- marks --- */

static _Atomic uint64_t *mark_word(const struct overlay *o, enum mark mark, uint64_t page)
{
	struct window *w = live_window(o, page / WINDOW_PAGES);
	return w ? &w->marks[mark][page % WINDOW_PAGES / 64] : NULL;
}

void mark_page(struct overlay *o, enum mark mark, uint64_t page)
{
	_Atomic uint64_t *word = mark_word(o, mark, page);
	uint64_t bit = (uint64_t)1 << page % 64;
	if (!(atomic_load(word) & bit))
		atomic_fetch_or(word, bit);
}

bool page_marked(const struct overlay *o, enum mark mark, uint64_t page)
{
	_Atomic uint64_t *word = mark_word(o, mark, page);
	return word && atomic_load(word) >> page % 64 & 1;
}

bool take_mark(struct overlay *o, enum mark mark, uint64_t *page)
{
	uint64_t p = *page;
	while (p < OVERLAY_PAGES) {
		_Atomic uint64_t *word = mark_word(o, mark, p);
		if (!word) {
			p = round_up(p + 1, WINDOW_PAGES);
			continue;
		}
		uint64_t rest = atomic_load(word) >> p % 64;
		if (rest) {
			p += (unsigned)__builtin_ctzll(rest);
			atomic_fetch_and(word, ~((uint64_t)1 << p % 64));
			*page = p;
			return true;
		}
		p = round_up(p + 1, 64);
	}
	return false;
}

/* --- windows --- */

/* The first window of each segment. A disk takes as many mappings as its size has segments: the system has room for 65530. */
static const uint64_t segment_start[N_SEGMENTS + 1] = { 0, 4, 64, N_WINDOWS };

static unsigned segment_of(uint64_t i) { return i < segment_start[1] ? 0 : i < segment_start[2] ? 1 : 2; }

struct window *live_window(const struct overlay *o, uint64_t i)
{
	unsigned s = segment_of(i);
	struct segment *segment = atomic_load(&o->segments[s]);
	return segment ? atomic_load(&segment->windows[i - segment_start[s]]) : NULL;
}

struct window *overlay_window(const struct overlay *o, uint64_t chunk)
{
	if (atomic_load(&o->resting) && overlay_wake((struct overlay *)o, NULL))
		abort(); /* better no answer than that there are no bits */
	if (!atomic_load(&o->there) || chunk >= OVERLAY_CHUNKS)
		return NULL;
	struct window *w = live_window(o, chunk / WINDOW_CHUNKS);
	return w && page_marked(o, MARK_ALLOCATED, chunk / PAGE_CHUNKS) ? w : NULL;
}

/* Segment `s`, mapped. Under `lock`, or alone. The header is before the bits of the first. */
static int make_segment(struct overlay *o, unsigned s, struct segment **ret, struct error *err)
{
	uint64_t first = segment_start[s], count = segment_start[s + 1] - first, header = s == 0 ? BITS_HEADER : 0;
	uint64_t at = BITS_HEADER - header + first * WINDOW_BYTES;
	struct segment *segment = atomic_load(&o->segments[s]);
	if (!segment) {
		size_t bytes = header + count * WINDOW_BYTES;
		void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, o->live, (off_t)at);
		if (p == MAP_FAILED)
			return fail_errno(err, "cannot map the bits of overlay %" PRIu64, o->number);
		segment = calloc(1, sizeof *segment + count * sizeof *segment->windows);
		if (!segment)
			abort();
		segment->map = p;
		segment->bytes = bytes;
		segment->bits = (_Atomic uint16_t *)((char *)p + header);
		atomic_store(&o->segments[s], segment);
	}
	*ret = segment;
	return 0;
}

/* Window `i`, mapped and the file long enough for it. Under `lock`, or alone. */
static int make_window(struct overlay *o, uint64_t i, struct window **ret, struct error *err)
{
	struct window *w = live_window(o, i);
	uint64_t end = BITS_HEADER + (i + 1) * WINDOW_BYTES;
	unsigned s = segment_of(i);
	if (!w) {
		struct segment *segment;
		off_t size = lseek(o->live, 0, SEEK_END);
		if (size < 0 || ((uint64_t)size < end && ftruncate(o->live, (off_t)end)))
			return fail_errno(err, "cannot lengthen the bits of overlay %" PRIu64, o->number);
		int r = make_segment(o, s, &segment, err);
		if (r)
			return r;
		if (!(w = calloc(1, sizeof *w)))
			abort();
		w->bits = segment->bits + (i - segment_start[s]) * WINDOW_CHUNKS;
		atomic_store(&segment->windows[i - segment_start[s]], w);
	}
	*ret = w;
	return 0;
}

static int allocate_page(struct overlay *o, uint64_t page, struct error *err)
{
	struct window *w;
	off_t at = (off_t)(BITS_HEADER + page * BITS_PAGE);
	int r = make_window(o, page / WINDOW_PAGES, &w, err);
	if (r || page_marked(o, MARK_ALLOCATED, page))
		return r;
	if (fallocate(o->live, 0, at, BITS_PAGE) || fallocate(o->bits, 0, at, BITS_PAGE))
		return fail_errno(err, "no room for the bits of overlay %" PRIu64, o->number);
	mark_page(o, MARK_ALLOCATED, page);
	return 0;
}

int overlay_allocate(struct overlay *o, uint64_t first, uint64_t end, struct error *err)
{
	if (end > OVERLAY_CHUNKS)
		return fail(err, -EFBIG, "a disk of more than 256 TiB cannot be written");
	int r = overlay_files_make(o, err);
	for (uint64_t page = first / PAGE_CHUNKS; r == 0 && page * PAGE_CHUNKS < end; page++) {
		if (overlay_window(o, page * PAGE_CHUNKS))
			continue;
		WITH_LOCK(&o->lock);
		r = allocate_page(o, page, err);
	}
	return r;
}

static _Atomic uint16_t *page_bits(struct overlay *o, uint64_t page)
{
	struct window *w = live_window(o, page / WINDOW_PAGES);
	return w->bits + page % WINDOW_PAGES * PAGE_CHUNKS;
}

/* --- the file --- */

/* Calls for every page of bits that the file may have something in. */
static int each_page(struct overlay *o, int fd, int (*fn)(struct overlay *, uint64_t page, struct error *),
		     struct error *err)
{
	off_t at = BITS_HEADER, end = lseek(fd, 0, SEEK_END);
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && at < end) {
		uint64_t page = ((uint64_t)at - BITS_HEADER) / BITS_PAGE;
		if (page >= OVERLAY_PAGES)
			return fail(err, ERR_DAMAGED, "the bits of overlay %" PRIu64 " are too long", o->number);
		int r = fn(o, page, err);
		if (r)
			return r;
		at = (off_t)(BITS_HEADER + (page + 1) * BITS_PAGE);
	}
	return at < 0 && errno != ENXIO ? fail_errno(err, "cannot read the bits of overlay %" PRIu64, o->number) : 0;
}

static int boot_id(uint8_t *ret, struct error *err)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : io_pread(fd, ret, BOOT_SIZE, 0);
	return r ? fail(err, r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

static int map_header(struct overlay *o, struct error *err)
{
	struct segment *first;
	int r = make_segment(o, 0, &first, err);
	if (r == 0)
		o->header = first->map;
	return r;
}

int live_make(struct overlay *o, struct error *err)
{
	static const uint8_t page[BITS_HEADER];
	int r = overlay_open_file(o, "live", O_CREAT | O_TRUNC, &o->live, err);
	if (r)
		return r;
	r = io_pwrite(o->live, page, sizeof page, 0);
	if (r)
		return fail(err, r, "cannot write the bits of overlay %" PRIu64 ": %s", o->number, strerror(-r));
	return map_header(o, err);
}

int live_sign(struct overlay *o, struct error *err)
{
	uint8_t page[BITS_HEADER] = LIVE_MAGIC;
	put_le32(page + BITS_AT_VERSION, BITS_VERSION);
	put_le64(page + BITS_AT_NUMBER, o->number);
	put_le64(page + BITS_AT_SIZE, o->kept.size);
	put_le64(page + BITS_AT_CUT, o->kept.cut);
	put_le64(page + LIVE_AT_BROKEN, o->kept.broken);
	int r = boot_id(page + LIVE_AT_BOOT, err);
	if (r)
		return r;
	r = io_pwrite(o->live, page, sizeof page, 0);
	return r ? fail(err, r, "cannot write the bits of overlay %" PRIu64 ": %s", o->number, strerror(-r)) : 0;
}

/* --- what an earlier process left --- */

static bool is_ours(const struct overlay *o, const uint8_t *page, const uint8_t *boot)
{
	return memcmp(page, LIVE_MAGIC, 8) == 0 && get_le32(page + BITS_AT_VERSION) <= BITS_VERSION &&
	       get_le64(page + BITS_AT_NUMBER) == o->number && memcmp(page + LIVE_AT_BOOT, boot, BOOT_SIZE) == 0;
}

static void count_bits(struct overlay *o, uint64_t page, unsigned i, uint16_t bits)
{
	if (!bits)
		return;
	o->blocks += (unsigned)__builtin_popcount(bits);
	unsigned last = 31 - (unsigned)__builtin_clz(bits);
	o->end_bits = MAX(o->end_bits, (page * PAGE_CHUNKS + i) * CHUNK_BLOCKS + last + 1);
}

static int load_live_page(struct overlay *o, uint64_t page, struct error *err)
{
	struct window *w;
	int r = make_window(o, page / WINDOW_PAGES, &w, err);
	if (r)
		return r;
	mark_page(o, MARK_ALLOCATED, page);
	mark_page(o, MARK_SET, page);
	_Atomic uint16_t *bits = page_bits(o, page);
	for (unsigned i = 0; i < PAGE_CHUNKS; i++)
		count_bits(o, page, i, le16toh(atomic_load(&bits[i])));
	return 0;
}

static int mark_kept_page(struct overlay *o, uint64_t page, struct error *err)
{
	int r = allocate_page(o, page, err);
	if (r)
		return r;
	mark_page(o, MARK_KEPT, page);
	mark_page(o, MARK_CLEARED, page);
	return 0;
}

int live_find(struct overlay *o, struct error *err)
{
	uint8_t page[BITS_HEADER], boot[BOOT_SIZE];
	int r = boot_id(boot, err);
	if (r)
		return r;
	r = overlay_open_file(o, "live", 0, &o->live, err);
	if (r)
		return r == -ENOENT ? 1 : r;
	r = io_pread(o->live, page, sizeof page, 0);
	if (r && r != -ENODATA)
		return fail(err, r, "cannot read the bits of overlay %" PRIu64 ": %s", o->number, strerror(-r));
	if (r || !is_ours(o, page, boot)) {
		close(steal_fd(&o->live));
		return 1;
	}
	r = map_header(o, err);
	if (r == 0)
		r = each_page(o, o->live, load_live_page, err);
	return r ? r : each_page(o, o->bits, mark_kept_page, err);
}

static int has_bits(struct overlay *o, uint64_t page, struct error *err)
{
	uint16_t bits[PAGE_CHUNKS];
	(void)err;
	return io_pread(o->live, bits, sizeof bits, BITS_HEADER + page * BITS_PAGE) == 0 && !is_zero(bits, sizeof bits);
}

/* Before version 3 it was not made void with .bits: then it tells nothing. */
int live_left(struct overlay *o, struct error *err)
{
	uint8_t page[BITS_HEADER], boot[BOOT_SIZE];
	int r = boot_id(boot, err);
	if (r || overlay_open_file(o, "live", 0, &o->live, NULL))
		return r;
	if (io_pread(o->live, page, sizeof page, 0) == 0 && is_ours(o, page, boot) && get_le32(page + BITS_AT_VERSION) >= 3)
		r = each_page(o, o->live, has_bits, err);
	close(steal_fd(&o->live));
	return r;
}

static int copy_page(struct overlay *o, uint64_t page, struct error *err)
{
	uint16_t from[PAGE_CHUNKS];
	int r = io_pread(o->bits, from, sizeof from, BITS_HEADER + page * BITS_PAGE);
	if (r)
		return fail(err, r, "cannot read the bits of overlay %" PRIu64 ": %s", o->number, strerror(-r));
	r = allocate_page(o, page, err);
	if (r)
		return r;
	mark_page(o, MARK_KEPT, page);
	_Atomic uint16_t *bits = page_bits(o, page);
	for (unsigned i = 0; i < PAGE_CHUNKS; i++) {
		atomic_store(&bits[i], from[i]);
		count_bits(o, page, i, le16toh(from[i]));
	}
	return 0;
}

int live_rebuild(struct overlay *o, struct error *err)
{
	int r = live_make(o, err);
	if (r == 0)
		r = each_page(o, o->bits, copy_page, err);
	return r ? r : live_sign(o, err);
}

void live_close(struct overlay *o)
{
	o->header = NULL;
	for (unsigned s = 0; s < N_SEGMENTS; s++) {
		struct segment *segment = atomic_exchange(&o->segments[s], NULL);
		for (uint64_t i = 0; segment && i < segment_start[s + 1] - segment_start[s]; i++)
			free(atomic_load(&segment->windows[i]));
		if (segment)
			munmap(segment->map, segment->bytes);
		free(segment);
	}
	if (o->live >= 0)
		close(steal_fd(&o->live));
	atomic_store(&o->blocks, 0);
}
