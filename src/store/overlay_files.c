/* SPDX-License-Identifier: Apache-2.0 */
/* The files of an overlay. .data is made first and emptied, then .live, then .bits, which alone says that there is
 * an overlay: it goes first when all of them go, and before it goes it is made void. */
#include "store/overlay_int.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
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

int overlay_open_file(const struct overlay *o, const char *kind, int flags, int *ret, struct error *err)
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

static int remove_file(const char *dir, uint64_t number, const char *kind, struct error *err)
{
	char path[PATH_MAX];
	int r = overlay_path(path, sizeof path, dir, number, kind, err);
	if (r == 0 && unlink(path) && errno != ENOENT)
		return fail_errno(err, "cannot remove the overlay file %s", path);
	return r;
}

int overlay_remove(const char *dir, uint64_t number, struct error *err)
{
	static const char *const kinds[] = { "bits", "live", "log", "data" }; /* without bits the rest means nothing */
	int r = 0;
	for (unsigned i = 0; r == 0 && i < sizeof kinds / sizeof *kinds; i++)
		r = remove_file(dir, number, kinds[i], err);
	return r;
}

/* --- the header of .bits --- */

static int write_header(struct overlay *o, const uint8_t *page, struct error *err)
{
	int r = io_pwrite(o->bits, page, BITS_HEADER, 0);
	return r ? fail(err, r, "cannot write the header of overlay %" PRIu64 ": %s", o->number, strerror(-r)) : 0;
}

int overlay_put_header(struct overlay *o, struct error *err)
{
	uint8_t page[BITS_HEADER] = BITS_MAGIC;
	put_le32(page + BITS_AT_VERSION, o->kept.version);
	put_le64(page + BITS_AT_NUMBER, o->number);
	put_le64(page + BITS_AT_SIZE, o->kept.size);
	put_le64(page + BITS_AT_CUT, o->kept.cut);
	put_le64(page + BITS_AT_GENERATION, o->kept.generation);
	put_le64(page + BITS_AT_BROKEN, o->kept.broken);
	put_le64(page + BITS_AT_LIFE, o->kept.life);
	int r = write_header(o, page, err);
	o->header_new = r != 0;
	return r;
}

int overlay_new_life(struct overlay *o, struct error *err)
{
	do {
		if (getrandom(&o->kept.life, sizeof o->kept.life, 0) != sizeof o->kept.life)
			return fail_errno(err, "cannot get a random number");
	} while (o->kept.life == 0);
	o->header_new = true;
	return 0;
}

/* Were the removal of the files lost in a power cut, what an earlier sync left in them would hold over the map. */
int overlay_void(struct overlay *o, struct error *err)
{
	static const uint8_t page[BITS_HEADER];
	int r = write_header(o, page, err);
	if (r == 0 && o->durable && fdatasync(o->bits))
		r = overlay_spoil(o, err);
	if (r == 0)
		atomic_store(&o->header[0], 0); /* nor does .live */
	return r;
}

/* --- making --- */

/* New, empty files. A generation that no log of an earlier life can have. */
static int make_files(struct overlay *o, struct error *err)
{
	o->kept = (struct kept){ .version = BITS_VERSION, .size = OVERLAY_NONE, .cut = OVERLAY_NONE };
	if (getrandom(&o->kept.generation, sizeof o->kept.generation, 0) != sizeof o->kept.generation)
		return fail_errno(err, "cannot get a random number");
	int r = overlay_new_life(o, err);
	if (r == 0)
		r = overlay_open_file(o, "data", O_CREAT | O_TRUNC, &o->data, err);
	if (r == 0)
		r = live_make(o, err);
	if (r == 0)
		r = live_sign(o, err);
	if (r == 0)
		r = overlay_open_file(o, "bits", O_CREAT | O_TRUNC, &o->bits, err);
	return r ? r : overlay_put_header(o, err);
}

static void close_data(struct overlay *o)
{
	if (o->data >= 0)
		close(steal_fd(&o->data));
}

int overlay_files_make(struct overlay *o, struct error *err)
{
	int woken = overlay_wake(o, err);
	if (woken)
		return woken;
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
	o->names_new = true;
	atomic_store(&o->there, true);
	return 0;
}

/* --- finding --- */

/* 0: ours; 1: void, or never got as far as a header, so nothing was promised; or an error. */
static int read_header(struct overlay *o, struct error *err)
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
	o->kept.version = get_le32(page + BITS_AT_VERSION);
	o->kept.size = get_le64(page + BITS_AT_SIZE);
	o->kept.cut = get_le64(page + BITS_AT_CUT);
	o->kept.generation = get_le64(page + BITS_AT_GENERATION);
	o->kept.broken = get_le64(page + BITS_AT_BROKEN);
	o->kept.life = get_le64(page + BITS_AT_LIFE);
	return 0;
}

static int sync_found(struct overlay *o, struct error *err)
{
	if (fdatasync(o->data) || fdatasync(o->bits))
		return fail_errno(err, "cannot sync the overlay of disk %" PRIu64, o->number);
	return 0;
}

/* The machine was started anew: .bits and .log tell what was synced. The generation that follows makes the
 * records void once they are carried out. */
static int recover(struct overlay *o, struct error *err)
{
	int r = log_replay(o, err);
	if (r > 0)
		r = sync_found(o, err);
	if (r)
		return r;
	o->kept.generation++;
	r = overlay_put_header(o, err);
	if (r == 0)
		r = sync_found(o, err);
	if (r)
		return r;
	o->log_at = o->log_count = 0;
	o->recovered = true;
	return live_rebuild(o, err);
}

/* Bytes come before their bits, so a file that ends before its last bit was cut off. */
int overlay_check_data(struct overlay *o, uint64_t blocks, struct error *err)
{
	off_t size = lseek(o->data, 0, SEEK_END);
	if (size < 0)
		return fail_errno(err, "cannot look at the overlay of disk %" PRIu64, o->number);
	if ((uint64_t)size >= blocks * BLOCK_SIZE)
		return 0;
	return fail(err, ERR_DAMAGED, "%s/%" PRIu64 ".data has only %" PRIu64 " bytes: what was written to the disk behind them is lost; put "
		    "the file back, or remove all that is called overlay/%" PRIu64 ".* to have the disk as the pool has it", o->dir,
		    o->number, (uint64_t)size, o->number);
}

/* Before version 3 zeros at the end were bits without bytes, and the file ended before them. */
static int check_found(struct overlay *o, struct error *err)
{
	if (o->kept.version >= 3)
		return overlay_check_data(o, o->end_bits, err);
	off_t size = lseek(o->data, 0, SEEK_END), end = (off_t)(o->end_bits * BLOCK_SIZE);
	if (size < 0 || (size < end && ftruncate(o->data, end)))
		return fail_errno(err, "cannot lengthen the overlay of disk %" PRIu64, o->number);
	o->kept.version = BITS_VERSION; /* in the file with the next checkpoint, which syncs .data first */
	return overlay_new_life(o, err);
}

/* .live of another boot, or of an earlier version, does not say it. */
static void find_mtime(struct overlay *o)
{
	_Atomic uint64_t *mtime = &o->header[LIVE_AT_MTIME / 8];
	if (atomic_load(mtime) == 0 && o->end_bits > 0)
		atomic_store(mtime, htole64((uint64_t)o->data_mtime));
}

/* Who knows what the last process had synced, so the next sync makes a checkpoint. */
static int take_up(struct overlay *o, struct error *err)
{
	o->durable = true;
	log_find(o);
	int r = live_find(o, err);
	if (r > 0)
		r = recover(o, err);
	else
		o->pending.many = o->pending.recut = true;
	if (r == 0)
		r = check_found(o, err);
	if (r)
		return r;
	if (o->kept.broken == 0)
		o->kept.broken = le64toh(atomic_load(&o->header[LIVE_AT_BROKEN / 8]));
	atomic_store(&o->broken, (int)o->kept.broken);
	find_mtime(o);
	atomic_store(&o->data_new, true);
	return 0;
}

/* It says what the bits are of, so it must be there. */
static int find_data(struct overlay *o, struct error *err)
{
	struct stat st;
	int r = overlay_open_file(o, "data", 0, &o->data, err);
	if (r == 0 && fstat(o->data, &st) == 0)
		o->data_mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return r != -ENOENT ? r :
		fail(err, ERR_DAMAGED, "%s/%" PRIu64 ".data is missing: what was written to the disk and is not in the pool is lost with "
		     "it; put the file back, or remove all that is called overlay/%" PRIu64 ".* to have the disk as the pool has it",
		     o->dir, o->number, o->number);
}

/* A removal that was interrupted may have left the rest, which means nothing then. */
static int no_bits(struct overlay *o, struct error *err)
{
	int r = live_left(o, err);
	if (r > 0)
		return fail(err, ERR_DAMAGED, "%s/%" PRIu64 ".bits is missing, and bytes that it is about are there; put the file back, or remove "
			    "all that is called overlay/%" PRIu64 ".* to have the disk as the pool has it", o->dir, o->number, o->number);
	return r ? r : overlay_remove(o->dir, o->number, err);
}

int overlay_files_find(struct overlay *o, struct error *err)
{
	struct error why;
	int r = overlay_open_file(o, "bits", 0, &o->bits, &why);
	if (r == -ENOENT)
		return no_bits(o, err);
	if (r) {
		if (err)
			*err = why;
		return r;
	}
	r = read_header(o, err);
	if (r == 1) { /* as if it were not there: the next write makes it anew */
		overlay_files_close(o);
		return overlay_remove(o->dir, o->number, err);
	}
	if (r == 0)
		r = find_data(o, err);
	if (r == 0)
		r = take_up(o, err);
	if (r)
		return r;
	o->names_new = true;
	atomic_store(&o->there, true);
	return 0;
}

void overlay_files_close(struct overlay *o)
{
	atomic_store(&o->there, false);
	live_close(o);
	log_close(o);
	if (o->bits >= 0)
		close(steal_fd(&o->bits));
	atomic_store(&o->broken, 0);
	atomic_store(&o->data_new, false);
	o->pending = (struct pending){ 0 };
	o->durable = o->names_new = false;
}
