/* SPDX-License-Identifier: Apache-2.0 */
/* The two files of an overlay. The bits are mapped in windows as they are needed. A page of a window is
 * touched only if it is marked as allocated: the mark is set after fallocate() succeeded, or, for
 * files that were there already, for what lseek(SEEK_DATA) says. So reading costs no page of
 * holes and a full disk shows as ENOSPC of fallocate().
 *
 * .data is made first and emptied, then .bits: bits never speak of bytes that are not there. */
#include "store/overlay_int.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

int overlay_path(char *ret, size_t size, const char *dir, uint64_t number, const char *kind, struct error *err)
{
	if (snprintf(ret, size, "%s/%" PRIu64 ".%s", dir, number, kind) >= (int)size)
		return fail(err, -ENAMETOOLONG, "the path of the overlay folder %s is too long", dir);
	return 0;
}

static int open_file(const struct overlay *o, const char *kind, int flags, int *ret, struct error *err)
{
	char path[PATH_MAX];
	int r = overlay_path(path, sizeof path, o->dir, o->number, kind, err);
	if (r)
		return r;
	int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	if (fd < 0)
		return fail_errno(err, "cannot open the overlay file %s", path);
	*ret = fd;
	return 0;
}

static int map_header(struct overlay *o, struct error *err)
{
	void *p = mmap(NULL, BITS_HEADER, PROT_READ | PROT_WRITE, MAP_SHARED, o->bits, 0);
	if (p == MAP_FAILED)
		return fail_errno(err, "cannot map the bits of overlay %" PRIu64, o->number);
	o->header = p;
	o->windows = calloc(N_WINDOWS, sizeof *o->windows);
	if (!o->windows)
		abort();
	return 0;
}

static int write_header(struct overlay *o, struct error *err)
{
	uint8_t page[BITS_HEADER] = BITS_MAGIC;
	put_le32(page + BITS_AT_VERSION, BITS_VERSION);
	put_le64(page + BITS_AT_NUMBER, o->number);
	put_le64(page + BITS_AT_SIZE, OVERLAY_NONE);
	put_le64(page + BITS_AT_CUT, OVERLAY_NONE);
	int r = io_pwrite(o->bits, page, sizeof page, 0);
	return r ? fail(err, r, "cannot write the header of overlay %" PRIu64 ": %s", o->number, strerror(-r)) : 0;
}

static void mark_allocated(struct window *w, uint64_t page)
{
	atomic_fetch_or(&w->allocated[page / 64], (uint64_t)1 << page % 64);
}

static bool is_allocated(const struct window *w, uint64_t page)
{
	return atomic_load(&w->allocated[page / 64]) >> page % 64 & 1;
}

struct window *overlay_window(const struct overlay *o, uint64_t chunk)
{
	if (!atomic_load(&o->there) || chunk >= OVERLAY_CHUNKS)
		return NULL;
	struct window *w = atomic_load(&o->windows[chunk / WINDOW_CHUNKS]);
	return w && is_allocated(w, chunk % WINDOW_CHUNKS / PAGE_CHUNKS) ? w : NULL;
}

/* Window `i`, mapped and the file long enough for it. Under `lock`, or alone. */
static int make_window(struct overlay *o, uint64_t i, struct window **ret, struct error *err)
{
	struct window *w = atomic_load(&o->windows[i]);
	uint64_t bytes = WINDOW_PAGES * BITS_PAGE, at = BITS_HEADER + i * bytes;
	if (!w) {
		off_t size = lseek(o->bits, 0, SEEK_END);
		if (size < 0 || ((uint64_t)size < at + bytes && ftruncate(o->bits, (off_t)(at + bytes))))
			return fail_errno(err, "cannot lengthen the bits of overlay %" PRIu64, o->number);
		void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, o->bits, (off_t)at);
		if (p == MAP_FAILED)
			return fail_errno(err, "cannot map the bits of overlay %" PRIu64, o->number);
		if (!(w = calloc(1, sizeof *w)))
			abort();
		w->bits = p;
		atomic_store(&o->windows[i], w);
	}
	*ret = w;
	return 0;
}

static int allocate_page(struct overlay *o, uint64_t page, struct error *err)
{
	struct window *w;
	int r = make_window(o, page / WINDOW_PAGES, &w, err);
	if (r || is_allocated(w, page % WINDOW_PAGES))
		return r;
	if (fallocate(o->bits, 0, (off_t)(BITS_HEADER + page * BITS_PAGE), BITS_PAGE))
		return fail_errno(err, "no room for the bits of overlay %" PRIu64, o->number);
	mark_allocated(w, page % WINDOW_PAGES);
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

/* New, empty files: a .data of an earlier life is emptied before .bits exists. */
static int make_files(struct overlay *o, struct error *err)
{
	int r = open_file(o, "data", O_CREAT | O_TRUNC, &o->data, err);
	if (r == 0)
		r = open_file(o, "bits", O_CREAT | O_TRUNC, &o->bits, err);
	if (r == 0)
		r = write_header(o, err);
	if (r == 0)
		r = map_header(o, err);
	return r;
}

static void close_data(struct overlay *o)
{
	if (o->data >= 0)
		close(o->data);
	o->data = -1;
}

int overlay_files_make(struct overlay *o, struct error *err)
{
	if (atomic_load(&o->there))
		return 0;
	WITH_WRLOCK(&o->files);
	if (atomic_load(&o->there))
		return 0;
	int r = make_files(o, err);
	if (r) {
		overlay_files_close(o);
		close_data(o);
		return r;
	}
	atomic_store(&o->names_new, true);
	atomic_store(&o->bits_new, true);
	atomic_store(&o->there, true);
	return 0;
}

/* 0: ours; 1: never got as far as a header, so nothing was promised; or an error. */
static int check_header(const struct overlay *o, struct error *err)
{
	uint8_t page[BITS_HEADER];
	int r = io_pread(o->bits, page, sizeof page, 0);
	if (r == -ENODATA || (r == 0 && is_zero(page, sizeof page)))
		return 1;
	if (r)
		return fail(err, r, "cannot read the header of overlay %" PRIu64 ": %s", o->number, strerror(-r));
	if (memcmp(page, BITS_MAGIC, 8) || get_le64(page + BITS_AT_NUMBER) != o->number)
		return fail(err, ERR_DAMAGED, "the file %s/%" PRIu64 ".bits is not the bits of this disk's overlay",
			    o->dir, o->number);
	if (get_le32(page + BITS_AT_VERSION) > BITS_VERSION)
		return fail(err, ERR_NEWER, "overlay %" PRIu64 " was written by a newer version", o->number);
	return 0;
}

/* Map what holds bits, and count them. */
static int load_bits(struct overlay *o, struct error *err)
{
	off_t at = BITS_HEADER, end = lseek(o->bits, 0, SEEK_END);
	while ((at = lseek(o->bits, at, SEEK_DATA)) >= 0 && at < end) {
		uint64_t page = ((uint64_t)at - BITS_HEADER) / BITS_PAGE;
		struct window *w;
		if (page >= N_WINDOWS * WINDOW_PAGES)
			return fail(err, ERR_DAMAGED, "the bits of overlay %" PRIu64 " are too long", o->number);
		int r = make_window(o, page / WINDOW_PAGES, &w, err);
		if (r)
			return r;
		mark_allocated(w, page % WINDOW_PAGES);
		for (uint64_t i = 0; i < PAGE_CHUNKS; i++) {
			uint16_t bits = atomic_load(&w->bits[page % WINDOW_PAGES * PAGE_CHUNKS + i]);
			o->blocks += (unsigned)__builtin_popcount(bits);
		}
		at = (off_t)(BITS_HEADER + (page + 1) * BITS_PAGE);
	}
	return at < 0 && errno != ENXIO ? fail_errno(err, "cannot read the bits of overlay %" PRIu64, o->number) : 0;
}

int overlay_files_find(struct overlay *o, struct error *err)
{
	struct error why;
	int r = open_file(o, "bits", 0, &o->bits, &why);
	if (r == -ENOENT) /* a removal that was interrupted may have left the bytes, which mean nothing */
		return overlay_remove(o->dir, o->number, err);
	if (r) {
		if (err)
			*err = why;
		return r;
	}
	r = check_header(o, err);
	if (r == 1) { /* as if it were not there: the next write makes it anew */
		overlay_files_close(o);
		return 0;
	}
	if (r == 0)
		r = open_file(o, "data", O_CREAT, &o->data, err);
	if (r == 0)
		r = map_header(o, err);
	if (r == 0)
		r = load_bits(o, err);
	if (r)
		return r;
	atomic_store(&o->names_new, true);
	atomic_store(&o->data_new, true); /* who knows what the last process had synced */
	atomic_store(&o->bits_new, true);
	atomic_store(&o->there, true);
	return 0;
}

void overlay_files_close(struct overlay *o)
{
	atomic_store(&o->there, false);
	for (uint64_t i = 0; o->windows && i < N_WINDOWS; i++) {
		struct window *w = atomic_load(&o->windows[i]);
		if (w)
			munmap(w->bits, WINDOW_PAGES * BITS_PAGE);
		free(w);
	}
	free(steal(&o->windows));
	if (o->header)
		munmap(steal(&o->header), BITS_HEADER);
	if (o->bits >= 0)
		close(o->bits);
	o->bits = -1;
	atomic_store(&o->blocks, 0);
}
