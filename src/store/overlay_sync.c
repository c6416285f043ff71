/* SPDX-License-Identifier: Apache-2.0 */
/* What makes an overlay outlive the power. .bits tells after a power cut which blocks count, so it changes only
 * here, and only in this order ("checkpoint"):
 *
 *   1  note size and cut, then which bits are set now
 *   2  .data is synced: the bytes of all these
 *   3  bits that were set are added to .bits, synced
 *   4  the header is written, synced: size and cut, and the next generation, which makes the log void
 *   5  bits that were cleared are taken out of .bits, synced; only after that may their bytes be punched
 *
 * A power cut in between leaves the state of the last sync, or some of the blocks as they are now. Shrinking
 * zeroes the rest of a chunk, then cuts, then clears: 3, 4, 5 keep to that. Should the disk be cut again
 * between 1 and 5, the checkpoint is made once more, because 5 might take out what that cut hides.
 *
 * A small sync goes into the log instead (overlay_log.c). */
#include "store/overlay_int.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

#define FAR_AWAY ((off_t)1 << 62)
#define SHOTS 64u /* pages of bits that are looked at in one go */

/* A page of bits as it was at one moment. */
struct shot {
	uint64_t page;
	uint16_t bits[PAGE_CHUNKS];
};

/* --- what is to be synced --- */

static bool is_noted(const struct pending *p, uint64_t block)
{
	for (unsigned i = p->n_blocks; i-- > 0;)
		if (p->blocks[i] == block)
			return true;
	return false;
}

void note_blocks(struct overlay *o, uint64_t block, uint64_t count)
{
	struct pending *p = &o->pending;
	WITH_LOCK(&o->noting);
	for (; count > 0 && !p->many; block++, count--) {
		if (is_noted(p, block))
			continue;
		if (count > LOG_BLOCKS || p->n_blocks == LOG_BLOCKS)
			p->many = true;
		else
			p->blocks[p->n_blocks++] = block;
	}
}

void note_cleared(struct overlay *o)
{
	WITH_LOCK(&o->noting);
	o->pending.cleared = true;
}

static struct pending take_pending(struct overlay *o)
{
	WITH_LOCK(&o->noting);
	struct pending p = o->pending;
	o->pending = (struct pending){ 0 };
	p.size = overlay_size(o);
	p.cut = overlay_cut(o);
	return p;
}

static bool recut_since(struct overlay *o)
{
	WITH_LOCK(&o->noting);
	return o->pending.recut;
}

static bool is_nothing(const struct pending *p)
{
	return p->n_blocks == 0 && !p->many && !p->cleared && !p->grown && !p->recut;
}

static bool is_small(const struct pending *p) { return !p->many && !p->cleared && !p->recut; }

/* --- .bits --- */

/* Before anybody is told: the next process must know, too. Should neither page reach the disk, it is in the page cache as long as
 * the bytes that it is about. */
static void remember(struct overlay *o, int code)
{
	int none = 0;
	if (!atomic_compare_exchange_strong(&o->broken, &none, code) || !atomic_load(&o->there))
		return;
	atomic_store(&o->header[LIVE_AT_BROKEN / 8], htole64((uint64_t)code));
	o->kept.broken = (uint64_t)code;
	if (overlay_put_header(o, NULL) == 0)
		(void)!fdatasync(o->bits);
}

int overlay_spoil(struct overlay *o, struct error *err)
{
	int code = errno ? errno : EIO;
	remember(o, code);
	return overlay_broken(o, err);
}

static int sync_bits(struct overlay *o, struct error *err)
{
	return fdatasync(o->bits) ? overlay_spoil(o, err) : 0;
}

static int sync_data(struct overlay *o, struct error *err)
{
	return atomic_exchange(&o->data_new, false) && fdatasync(o->data) ? overlay_spoil(o, err) : 0;
}

static int bits_failed(struct overlay *o, int r, struct error *err)
{
	return fail(err, r, "cannot update the bits of overlay %" PRIu64 ": %s", o->number, strerror(-r));
}

int keep_page(struct overlay *o, uint64_t page, const uint16_t *bits, struct error *err)
{
	uint16_t kept[PAGE_CHUNKS] = { 0 };
	uint64_t at = BITS_HEADER + page * BITS_PAGE;
	int r = page_marked(o, MARK_KEPT, page) ? io_pread(o->bits, kept, sizeof kept, at) : 0;
	for (unsigned i = 0; i < PAGE_CHUNKS; i++)
		kept[i] |= bits[i];
	if (r == 0)
		r = io_pwrite(o->bits, kept, sizeof kept, at);
	if (r)
		return bits_failed(o, r, err);
	mark_page(o, MARK_KEPT, page);
	return 0;
}

int keep_block(struct overlay *o, uint64_t block, struct error *err)
{
	uint16_t kept = 0;
	uint64_t at = BITS_HEADER + block / CHUNK_BLOCKS * 2;
	int r = io_pread(o->bits, &kept, sizeof kept, at);
	if (r == -ENODATA)
		r = 0;
	kept |= htole16((uint16_t)(1u << block % CHUNK_BLOCKS));
	if (r == 0)
		r = io_pwrite(o->bits, &kept, sizeof kept, at);
	return r ? bits_failed(o, r, err) : 0;
}

/* Take out of .bits what the shot does not have. */
static int unkeep_page(struct overlay *o, const struct shot *s, bool *ret_any, struct error *err)
{
	uint16_t kept[PAGE_CHUNKS];
	uint64_t at = BITS_HEADER + s->page * BITS_PAGE;
	bool any = false;
	int r = io_pread(o->bits, kept, sizeof kept, at);
	for (unsigned i = 0; r == 0 && i < PAGE_CHUNKS; i++) {
		any |= (kept[i] & ~s->bits[i]) != 0;
		kept[i] &= s->bits[i];
	}
	if (r == 0 && any)
		r = io_pwrite(o->bits, kept, sizeof kept, at);
	*ret_any |= any;
	return r ? bits_failed(o, r, err) : 0;
}

/* --- the steps --- */

static struct shot *new_shots(void)
{
	struct shot *s = malloc(SHOTS * sizeof *s);
	if (!s)
		abort();
	return s;
}

/* The next marked pages from *page on, at most SHOTS; they are not marked any more. */
static unsigned take_shots(struct overlay *o, enum mark mark, uint64_t *page, struct shot *ret)
{
	unsigned n = 0;
	for (; n < SHOTS && take_mark(o, mark, page); n++, ++*page) {
		struct window *w = overlay_window(o, *page * PAGE_CHUNKS);
		_Atomic uint16_t *bits = w->bits + *page % WINDOW_PAGES * PAGE_CHUNKS;
		ret[n].page = *page;
		for (unsigned i = 0; i < PAGE_CHUNKS; i++)
			ret[n].bits[i] = atomic_load_explicit(&bits[i], memory_order_acquire);
	}
	return n;
}

/* Steps 1, 2 and 3. */
static int put_set(struct overlay *o, bool *ret_any, struct error *err)
{
	AUTO_FREE struct shot *s = new_shots();
	uint64_t page = 0;
	unsigned n;
	int r;
	do {
		n = take_shots(o, MARK_SET, &page, s);
		r = sync_data(o, err);
		for (unsigned i = 0; r == 0 && i < n; i++)
			r = keep_page(o, s[i].page, s[i].bits, err);
		*ret_any |= n > 0;
	} while (r == 0 && n == SHOTS);
	return r;
}

/* Step 5, for one lot of pages. 1: the disk was cut meanwhile. */
static int put_cleared_some(struct overlay *o, const struct shot *s, unsigned n, bool *ret_any, struct error *err)
{
	int r = 0;
	bool again = recut_since(o);
	for (unsigned i = 0; r == 0 && i < n; i++) {
		if (again)
			mark_page(o, MARK_CLEARED, s[i].page);
		else if (page_marked(o, MARK_KEPT, s[i].page))
			r = unkeep_page(o, &s[i], ret_any, err);
	}
	return r ? r : again;
}

static int put_cleared(struct overlay *o, struct error *err)
{
	AUTO_FREE struct shot *s = new_shots();
	uint64_t page = 0;
	bool any = false;
	unsigned n;
	int r;
	do {
		n = take_shots(o, MARK_CLEARED, &page, s);
		r = put_cleared_some(o, s, n, &any, err);
	} while (r == 0 && n == SHOTS);
	return r == 0 && any ? sync_bits(o, err) : r;
}

/* Step 4: write what is new. */
static int put_header(struct overlay *o, const struct pending *p, bool *ret_any, struct error *err)
{
	struct kept next = { p->size, p->cut, o->kept.generation + (o->log_at > 0), o->kept.version,
			     o->kept.life, o->kept.broken };
	if (!o->header_new && next.size == o->kept.size && next.cut == o->kept.cut && next.generation == o->kept.generation)
		return 0;
	o->kept = next;
	*ret_any = true;
	return overlay_put_header(o, err);
}

static int checkpoint_once(struct overlay *o, const struct pending *p, struct error *err)
{
	bool any = false, header = false;
	int r = put_set(o, &any, err);
	if (r == 0 && !p->recut && o->log_at == 0) /* growing, at most: the order of bits and header is of no account */
		r = put_header(o, p, &any, err);
	if (r == 0 && any)
		r = sync_bits(o, err);
	if (r == 0)
		r = put_header(o, p, &header, err);
	if (r == 0 && header)
		r = sync_bits(o, err);
	if (r)
		return r;
	o->log_at = o->log_count = 0;
	return put_cleared(o, err);
}

/* Before .bits speaks of .data. */
static int sync_names(struct overlay *o, struct error *err)
{
	int r = o->names_new ? io_sync_dir(o->dir, err) : 0;
	if (r == 0)
		o->names_new = false;
	return r;
}

/* What `p` and everything else since the last one say. Whatever fails spoils the overlay: which parts
 * of it have become durable is not known any more. */
static int checkpoint(struct overlay *o, struct pending *p, struct error *err)
{
	int r = sync_names(o, err);
	o->durable = true;
	while (r == 0 && (r = checkpoint_once(o, p, err)) > 0) {
		*p = take_pending(o);
		r = 0;
	}
	if (r)
		remember(o, r < -1000 ? EIO : -r);
	return r;
}

/* --- what the others see --- */

/* The kernel tells each open file once of pages that it could not write since it was last asked. Of no page (it is far beyond any end)
 * there is nothing to wait for. */
static int lost_pages(int fd)
{
	if (sync_file_range(fd, FAR_AWAY, 1, SYNC_FILE_RANGE_WAIT_BEFORE) == 0)
		return 0;
	return errno == EINVAL || errno == ENOSYS || errno == ESPIPE ? 0 : errno; /* a file system without writeback loses none */
}

int overlay_intact(struct overlay *o, struct error *err)
{
	int code = atomic_load(&o->broken);
	if (code == 0 && atomic_load(&o->there) &&
	    ((code = lost_pages(o->data)) || (code = lost_pages(o->bits)) || (code = lost_pages(o->live))))
		remember(o, code);
	return overlay_broken(o, err);
}

int overlay_broken(const struct overlay *o, struct error *err)
{
	int code = atomic_load(&o->broken);
	if (code == 0)
		return 0;
	/* Room would not bring it back, so it is EIO whatever the kernel said. */
	return fail(err, -EIO, "what was written to disk %" PRIu64 " may be lost, the store's file system could not write it (%s): do "
		    "the upload again, or install the server anew; cat still reads what is left", o->number, strerror(code));
}

int overlay_check(struct overlay *o, struct error *err)
{
	WITH_RDLOCK(&o->files);
	WITH_LOCK(&o->syncing);
	return overlay_intact(o, err);
}

int overlay_lost(struct overlay *o, struct error *err)
{
	int code = errno;
	(void)!overlay_files_make(o, NULL); /* without files it is known as long as this process lives */
	WITH_RDLOCK(&o->files);
	WITH_LOCK(&o->syncing);
	errno = code;
	return overlay_spoil(o, err);
}

int overlay_sync_bits(struct overlay *o, struct error *err)
{
	WITH_RDLOCK(&o->files);
	if (!atomic_load(&o->there))
		return overlay_intact(o, err);
	WITH_LOCK(&o->syncing);
	int r = overlay_intact(o, err);
	if (r || !o->durable) /* .bits has nothing that could be cleared */
		return r;
	struct pending p;
	if (o->log_at == 0 && !recut_since(o) && (r = put_cleared(o, err)) <= 0)
		return r;
	p = take_pending(o);
	return checkpoint(o, &p, err);
}

/* Under files and syncing. */
static int sync_now(struct overlay *o, struct error *err)
{
	int r = overlay_intact(o, err);
	if (r || !atomic_load(&o->there))
		return r;
	struct pending p = take_pending(o);
	if (is_nothing(&p))
		return 0;
	if (is_small(&p) && log_takes(o, &p))
		return log_append(o, &p, err);
	return checkpoint(o, &p, err);
}

/* Who finds nothing to do waits for the sync that does it. */
int overlay_sync(struct overlay *o, struct error *err)
{
	pthread_rwlock_rdlock(&o->files);
	pthread_mutex_lock(&o->syncing);
	while (o->consuming) {
		pthread_rwlock_unlock(&o->files);
		pthread_cond_wait(&o->consumed, &o->syncing);
		pthread_mutex_unlock(&o->syncing);
		pthread_rwlock_rdlock(&o->files);
		pthread_mutex_lock(&o->syncing);
	}
	int r = sync_now(o, err);
	pthread_mutex_unlock(&o->syncing);
	pthread_rwlock_unlock(&o->files);
	return r;
}

/* --- lives --- */

uint64_t overlay_life(const struct overlay *o)
{
	return atomic_load(&o->there) && !o->header_new ? o->kept.life : 0;
}

uint64_t overlay_consume(struct overlay *o)
{
	WITH_LOCK(&o->syncing);
	return o->consuming = overlay_life(o);
}

/* All that counts under the old life, then its name: until that is there none of it does, and nothing was promised. */
static int rename_life(struct overlay *o, struct error *err)
{
	struct pending p = take_pending(o);
	int r = overlay_intact(o, err);
	if (r == 0)
		r = checkpoint(o, &p, err);
	if (r == 0)
		r = overlay_new_life(o, err);
	if (r == 0)
		r = overlay_put_header(o, err);
	if (r == 0)
		return sync_bits(o, err);
	remember(o, r < -1000 ? EIO : -r);
	return r;
}

int overlay_consumed(struct overlay *o, bool committed, struct error *err)
{
	WITH_RDLOCK(&o->files);
	WITH_LOCK(&o->syncing);
	int r = committed && o->consuming && overlay_life(o) == o->consuming ? rename_life(o, err) : 0;
	o->consuming = 0;
	pthread_cond_broadcast(&o->consumed);
	return r;
}
