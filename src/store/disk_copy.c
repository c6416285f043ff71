/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of other maps. A range is noted in NUMBER.splice, a record of SPLICE_SIZE bytes each (see
 * docs/format-overlay.md); one that goes on where the last one ends makes that one longer, so a disk that
 * is copied in pieces leaves one record. Only then do the overlay's chunks below it go: if the process
 * ends in between, the range reads as the old bytes or the new ones.
 *
 * While a splice is noted nothing else is read or written: whoever wants to carries it out first. So no
 * write ever comes between a note and its commit, and carrying it out twice does no harm. Ranges that share
 * a chunk are not noted side by side: the first is carried out before the second. */
#include "store/disk_int.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

#define SPLICE_MAGIC "imgfs-sp"
#define SPLICE_AT_HASH 8
#define SPLICE_AT_LEVELS 40
#define SPLICE_AT_CHUNKS 48
#define SPLICE_AT_FROM 56
#define SPLICE_AT_TO 64
#define SPLICE_AT_LEN 72
#define SPLICE_AT_SIZE 80
#define SPLICE_AT_CHECK 96 /* SHA-256 of what stands before */
#define SPLICE_SIZE 128u   /* never across a sector: written whole or not at all */

void splice_chunks(const struct splice *s, uint64_t *ret_first, uint64_t *ret_count)
{
	uint64_t first = div_up(s->to_off, CHUNK_SIZE), end = (s->to_off + s->len) / CHUNK_SIZE;
	*ret_first = first;
	*ret_count = end > first ? end - first : 0;
}

/* --- the log --- */

static int log_path(char *ret, size_t size, const char *dir, uint64_t number, struct error *err)
{
	if (snprintf(ret, size, "%s/%" PRIu64 ".splice", dir, number) >= (int)size)
		return fail(err, -ENAMETOOLONG, "the path of the overlay folder %s is too long", dir);
	return 0;
}

static int log_open(struct disk *d, int flags, struct error *err)
{
	char path[PATH_MAX];
	if (d->log_fd >= 0)
		return 0;
	int r = log_path(path, sizeof path, d->dir, d->number, err);
	if (r)
		return r;
	d->log_fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	if (d->log_fd >= 0)
		return 0;
	if (errno == ENOENT && !(flags & O_CREAT))
		return 0;
	return fail_errno(err, "cannot open the log of copies %s", path);
}

int splices_forget(const char *dir, uint64_t number, struct error *err)
{
	char path[PATH_MAX];
	int r = log_path(path, sizeof path, dir, number, err);
	if (r == 0 && unlink(path) && errno != ENOENT)
		return fail_errno(err, "cannot remove the log of copies %s", path);
	return r;
}

static int log_write(struct disk *d, size_t i, const struct splice *s, struct error *err)
{
	uint8_t b[SPLICE_SIZE] = SPLICE_MAGIC;
	struct hash check;
	int r = log_open(d, O_CREAT, err);
	if (r)
		return r;
	memcpy(b + SPLICE_AT_HASH, s->from.hash.b, HASH_SIZE);
	put_le32(b + SPLICE_AT_LEVELS, s->from.levels);
	put_le64(b + SPLICE_AT_CHUNKS, s->from_chunks);
	put_le64(b + SPLICE_AT_FROM, s->from_off);
	put_le64(b + SPLICE_AT_TO, s->to_off);
	put_le64(b + SPLICE_AT_LEN, s->len);
	put_le64(b + SPLICE_AT_SIZE, s->size);
	hash_of(b, SPLICE_AT_CHECK, &check);
	memcpy(b + SPLICE_AT_CHECK, check.b, HASH_SIZE);
	r = io_pwrite(d->log_fd, b, sizeof b, i * SPLICE_SIZE);
	if (r)
		return fail(err, r, "cannot write the log of copies of disk %" PRIu64 ": %s", d->number, strerror(-r));
	return 0;
}

static bool record_parse(const uint8_t *b, struct splice *ret)
{
	struct hash check;
	hash_of(b, SPLICE_AT_CHECK, &check);
	if (memcmp(b, SPLICE_MAGIC, 8) || memcmp(b + SPLICE_AT_CHECK, check.b, HASH_SIZE))
		return false;
	memcpy(ret->from.hash.b, b + SPLICE_AT_HASH, HASH_SIZE);
	ret->from.levels = (uint8_t)get_le32(b + SPLICE_AT_LEVELS);
	ret->from_chunks = get_le64(b + SPLICE_AT_CHUNKS);
	ret->from_off = get_le64(b + SPLICE_AT_FROM);
	ret->to_off = get_le64(b + SPLICE_AT_TO);
	ret->len = get_le64(b + SPLICE_AT_LEN);
	ret->size = get_le64(b + SPLICE_AT_SIZE);
	return true;
}

/* splices has room for SPLICES_MAX once there is a log. */
static void splices_room(struct disk *d)
{
	if (!d->splices && !(d->splices = calloc(SPLICES_MAX, sizeof *d->splices)))
		abort();
}

static bool same_root(const struct map_root *a, const struct map_root *b)
{
	return a->levels == b->levels && hash_equal(&a->hash, &b->hash);
}

static bool is_held(const struct disk *d, const struct map_root *from)
{
	for (size_t i = 0; i < d->n_held; i++)
		if (same_root(&d->held[i], from))
			return true;
	return false;
}

static void add_held(struct disk *d, const struct map_root *from)
{
	d->held = reallocarray(d->held, d->n_held + 1, sizeof *d->held);
	if (!d->held)
		abort();
	d->held[d->n_held++] = *from;
}

/* A power cut may have lost the end, which was never synced: then there are zeros. A record is in one sector, so it is whole or as it was. */
static bool is_lost_end(const uint8_t *b) { return is_zero(b, SPLICE_SIZE); }

static int say_damaged(struct disk *d, size_t i, struct error *err)
{
	return fail(err, ERR_DAMAGED, "%s/%" PRIu64 ".splice is damaged at record %zu: what was copied into the disk there is lost; put the file "
		    "back, or remove it to have the disk without these copies", d->dir, d->number, i);
}

int splices_load(struct disk *d, struct error *err)
{
	uint8_t b[SPLICE_SIZE];
	int r = log_open(d, 0, err);
	if (r || d->log_fd < 0)
		return r;
	splices_room(d);
	size_t n = 0;
	while (n < SPLICES_MAX && io_pread(d->log_fd, b, sizeof b, n * SPLICE_SIZE) == 0 && !is_lost_end(b))
		if (!record_parse(b, &d->splices[n++]))
			return say_damaged(d, n - 1, err);
	for (size_t i = 0; i < n; i++) /* held before it was noted */
		if (!is_held(d, &d->splices[i].from))
			add_held(d, &d->splices[i].from);
	atomic_store(&d->n_splices, n);
	return ftruncate(d->log_fd, (off_t)(n * SPLICE_SIZE)) /* nothing may come to life again behind the next */
		       ? fail_errno(err, "cannot shorten the log of copies of disk %" PRIu64, d->number)
		       : 0;
}

int splices_verify(struct disk *d, struct error *err)
{
	uint8_t b[SPLICE_SIZE];
	struct splice s;
	for (size_t i = 0; i < atomic_load(&d->n_splices); i++)
		if (io_pread(d->log_fd, b, sizeof b, i * SPLICE_SIZE) || !record_parse(b, &s))
			return say_damaged(d, i, err);
	return 0;
}

static int sync_log(struct disk *d, struct error *err)
{
	if (fdatasync(d->log_fd))
		return overlay_lost(d->overlay, err);
	return io_sync_dir(d->dir, err);
}

int splices_keep(struct disk *d, struct error *err) { return sync_log(d, err); }

int splices_sync(struct disk *d, struct error *err)
{
	if (atomic_load(&d->n_splices) == 0)
		return 0;
	WITH_LOCK(&d->fold_lock);
	return atomic_load(&d->n_splices) ? sync_log(d, err) : 0;
}

static bool any_edges(const struct disk *d)
{
	for (size_t i = 0; i < atomic_load(&d->n_splices); i++)
		if (d->splices[i].to_off % CHUNK_SIZE || (d->splices[i].to_off + d->splices[i].len) % CHUNK_SIZE)
			return true;
	return false;
}

/* Durably: were the record to come back, it would undo what is written from now on. The edges, which only the
 * overlay has now, must not be lost with it. */
int splices_done(struct disk *d, bool edges_committed, struct error *err)
{
	int r = any_edges(d) && !edges_committed ? overlay_sync(d->overlay, err) : 0;
	if (r)
		return r;
	if (ftruncate(d->log_fd, 0) || fdatasync(d->log_fd))
		return overlay_lost(d->overlay, err);
	atomic_store(&d->n_splices, 0);
	d->spliced = (struct splice_at){ 0 };
	free(steal(&d->splices));
	close(steal_fd(&d->log_fd));
	return splices_forget(d->dir, d->number, err);
}

/* --- bytes --- */

/* A map that is read where it is known: it need not be held. */
struct source {
	uint32_t domain;
	const struct map_root *map;
};

static bool all_zero_below(struct disk *d, const struct source *from, uint64_t offset, size_t len)
{
	uint64_t end = div_up(offset + len, CHUNK_SIZE), data;
	return map_seek(d->store, from->domain, from->map, offset / CHUNK_SIZE, end, true, &data, NULL) == 0 && data == end;
}

static int grow_to(struct disk *d, uint64_t size, struct error *err)
{
	int r = disk_enter(d, true, err);
	if (r)
		return r;
	r = disk_grow(d, size, err);
	disk_leave(d);
	return r;
}

static int copy_bytes(struct disk *d, uint64_t to, const struct source *from, uint64_t at, uint64_t len,
		      struct error *err)
{
	AUTO_FREE char *buf = malloc(STEP_MAX);
	if (!buf)
		return fail(err, -ENOMEM, "no memory to copy into disk %" PRIu64, d->number);
	int r = 0;
	while (r == 0 && len > 0) {
		size_t n = (size_t)MIN(len, STEP_MAX - at % CHUNK_SIZE);
		if (all_zero_below(d, from, at, n)) {
			r = grow_to(d, to + n, err);
			if (r == 0)
				r = zero_now(d, to, n, err);
		} else {
			r = map_read(d->store, from->domain, from->map, buf, n, at, err);
			if (r == 0)
				r = write_now(d, buf, n, to, err);
		}
		to += n;
		at += n;
		len -= n;
	}
	return r;
}

/* One edge of a splice, into the overlay: less than a chunk. */
static int copy_edge(struct disk *d, const struct splice *s, uint64_t to, uint64_t len, struct error *err)
{
	uint8_t buf[CHUNK_SIZE];
	if (len == 0)
		return 0;
	int r = map_read(d->store, d->domain, &s->from, buf, (size_t)len, s->from_off + (to - s->to_off), err);
	if (r)
		return r;
	WITH_RDLOCK(&d->data_lock);
	return write_step(d, buf, (size_t)len, to, err);
}

int splices_edges(struct disk *d, struct error *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < atomic_load(&d->n_splices); i++) {
		const struct splice *s = &d->splices[i];
		uint64_t end = s->to_off + s->len, first = round_up(s->to_off, CHUNK_SIZE);
		uint64_t last = round_down(end, CHUNK_SIZE);
		r = copy_edge(d, s, s->to_off, MIN(first, end) - s->to_off, err);
		if (r == 0 && last >= first)
			r = copy_edge(d, s, last, end - last, err);
	}
	return r;
}

/* --- noting --- */

static bool goes_on(const struct splice *last, const struct splice *s)
{
	return same_root(&last->from, &s->from) && last->from_chunks == s->from_chunks &&
	       last->from_off + last->len == s->from_off && last->to_off + last->len == s->to_off;
}

static struct splice *last_splice(struct disk *d)
{
	size_t n = atomic_load(&d->n_splices);
	return n ? &d->splices[n - 1] : NULL;
}

/* Do both touch a chunk, with whole chunks or edges? */
static bool share_chunk(const struct splice *a, const struct splice *b)
{
	return a->to_off / CHUNK_SIZE < div_up(b->to_off + b->len, CHUNK_SIZE) &&
	       b->to_off / CHUNK_SIZE < div_up(a->to_off + a->len, CHUNK_SIZE);
}

/* Map nodes that carrying it out may make: two paths where it shares subtrees with its source, else all that it covers. */
static uint64_t splice_nodes(const struct splice *s)
{
	uint64_t first, count;
	splice_chunks(s, &first, &count);
	return 2 * map_levels(MAP_LIMIT) + (s->from_off == s->to_off ? 0 : count / NODE_FANOUT);
}

static bool must_settle_first(struct disk *d, const struct splice *s)
{
	size_t n = atomic_load(&d->n_splices);
	uint64_t nodes = splice_nodes(s);
	for (size_t i = 0; i < n; i++)
		nodes += splice_nodes(&d->splices[i]);
	if (n > 0 && nodes > SPLICES_NODES)
		return true;
	for (size_t i = 0; i < n; i++)
		if (share_chunk(&d->splices[i], s) && !(i == n - 1 && goes_on(&d->splices[i], s)))
			return true;
	return n == SPLICES_MAX && !goes_on(&d->splices[n - 1], s);
}

/* Once for each map until the next final commit. From then on it is known in this disk's domain. */
static int hold(struct disk *d, uint32_t lender, const struct map_root *from, struct error *err)
{
	if (hash_is_none(&from->hash))
		return 0;
	if (is_held(d, from))
		return 0;
	int r = d->hooks.hold(d->hooks.ctx, d->number, d->domain, from, lender, err);
	if (r == 0)
		add_held(d, from);
	return r;
}

/* Into the log. Under data_lock for writing. */
static int add_splice(struct disk *d, const struct splice *s, struct error *err)
{
	struct splice *last = last_splice(d), longer = *s;
	size_t n = atomic_load(&d->n_splices), i = n;
	if (last && goes_on(last, s)) {
		longer = *last;
		longer.len += s->len;
		i = n - 1;
	}
	longer.size = atomic_load(&d->size);
	int r = log_write(d, i, &longer, err);
	if (r)
		return r;
	splices_room(d);
	d->splices[i] = longer;
	atomic_store(&d->n_splices, i + 1);
	return 0;
}

/* The overlay's chunks in a range that is noted. Under data_lock for writing. *ret_any: some had bits. */
static int clear_below(struct disk *d, uint64_t first, uint64_t end, bool *ret_any, struct error *err)
{
	uint64_t c = overlay_next(d->overlay, first);
	absorb_forget(d, first, end);
	if (c >= end)
		return 0;
	int r = sync_log(d, err); /* before what it replaces goes for good */
	if (r)
		return r;
	for (; c < end; c = overlay_next(d->overlay, c + 1))
		overlay_clear(d->overlay, c);
	*ret_any = true;
	return 0;
}

static int note_locked(struct disk *d, const struct splice *s, uint64_t size, bool *ret_any, struct error *err)
{
	uint64_t first, count;
	WITH_WRLOCK(&d->data_lock);
	atomic_store(&d->fixed, false);
	struct splice *last = last_splice(d);
	struct splice whole = last && goes_on(last, s) ? *last : *s;
	whole.len = s->to_off + s->len - whole.to_off;
	splice_chunks(&whole, &first, &count);
	uint64_t from = MAX(first, s->to_off / CHUNK_SIZE), end = first + count;
	int r = disk_grow(d, size, err);
	if (r == 0)
		r = add_splice(d, s, err);
	disk_touch(d);
	return r || from >= end ? r : clear_below(d, from, end, ret_any, err);
}

static int note(struct disk *d, uint32_t lender, const struct splice *s, uint64_t size, struct error *err)
{
	bool any = false;
	uint64_t first, count;
	WITH_LOCK(&d->fold_lock);
	if (must_settle_first(d, s)) {
		int r = settle_splices_locked(d, err);
		if (r)
			return r;
	}
	int r = hold(d, lender, &s->from, err);
	if (r == 0)
		r = disk_wake(d, err);
	if (r == 0)
		r = note_locked(d, s, size, &any, err);
	if (r || !any || overlay_sync_bits(d->overlay, NULL))
		return r;
	splice_chunks(s, &first, &count);
	WITH_WRLOCK(&d->data_lock);
	(void)!overlay_punch(d->overlay, first, count, NULL); /* costs space at most */
	return 0;
}

/* Worth a note: it has a whole chunk, or goes on from the last one. */
static bool worth_noting(struct disk *d, const struct splice *s)
{
	uint64_t first, count;
	if ((s->from_off ^ s->to_off) % CHUNK_SIZE)
		return false;
	splice_chunks(s, &first, &count);
	if (count)
		return true;
	WITH_LOCK(&d->fold_lock);
	struct splice *last = last_splice(d);
	return last && goes_on(last, s);
}

int disk_copy(struct disk *to, uint64_t to_off, uint32_t from_domain, const struct map_root *from, uint64_t from_size,
	      uint64_t from_off, uint64_t len, struct error *err)
{
	WITH_RDLOCK(&to->moment_lock);
	if (from_off >= from_size)
		return 0;
	len = MIN(len, from_size - from_off);
	if (to_off > MAP_LIMIT || len > MAP_LIMIT - to_off)
		return fail(err, -EFBIG, "a disk cannot be larger than 256 TiB");
	struct splice s = { *from, div_up(from_size, CHUNK_SIZE), from_off, to_off, len, 0 };
	uint64_t end = to_off + len;
	if (len == 0)
		return 0;
	if ((from_off ^ to_off) % CHUNK_SIZE == 0 && from_off + len == from_size && end >= atomic_load(&to->size))
		s.len = round_up(end, CHUNK_SIZE) - to_off; /* both end here, so zeros follow in both */
	int r = worth_noting(to, &s) ? note(to, from_domain, &s, end, err) : -EXDEV;
	disk_noted(to);
	if (r != -EXDEV)
		return r;
	return copy_bytes(to, to_off, &(struct source){ from_domain, from }, from_off, len, err);
}
