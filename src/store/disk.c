/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing and asking. A disk with nothing written over its map is `fixed`: reading it takes no
 * lock and its overlay has no files; the first write ends that, a fold that leaves nothing over restores it.
 *
 * Shrinking works without touching the map: the rest of the last chunk is zeroed in the overlay, then the cut
 * is recorded (the map counts for nothing from there on), then the size, then the overlay drops what lies
 * beyond. Whenever the process ends in between, what is there reads as the old or the new disk. The next
 * commit cuts the map and takes the record away. */
#include "store/disk_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"

struct map_root root_load(const struct root_cell *c)
{
	struct map_root root;
	uint64_t words[5];
	unsigned turn;
	do {
		turn = atomic_load(&c->turn);
		for (int i = 0; i < 5; i++)
			words[i] = atomic_load_explicit(&c->words[i], memory_order_acquire);
	} while (turn % 2 || turn != atomic_load(&c->turn));
	memcpy(root.hash.b, words, HASH_SIZE);
	root.levels = (uint8_t)words[4];
	return root;
}

void root_store(struct root_cell *c, const struct map_root *root)
{
	uint64_t words[5];
	memcpy(words, root->hash.b, HASH_SIZE);
	words[4] = root->levels;
	atomic_fetch_add(&c->turn, 1);
	for (int i = 0; i < 5; i++)
		atomic_store(&c->words[i], words[i]);
	atomic_fetch_add(&c->turn, 1);
}

uint64_t disk_chunks(const struct disk *d) { return div_up(atomic_load(&d->size), CHUNK_SIZE); }

static void init_locks(struct disk *d)
{
	pthread_rwlockattr_t attr;
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&d->data_lock, &attr);
	pthread_rwlock_init(&d->moment_lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&d->fold_lock, NULL);
	pthread_mutex_init(&d->size_lock, NULL);
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_init(&d->stripes[i], NULL);
	absorb_init(&d->absorb);
}

static bool nothing_over(const struct disk *d)
{
	return overlay_empty(d->overlay) && d->n_splices == 0 && d->cut == OVERLAY_NONE &&
	       atomic_load(&d->size) == d->committed_size;
}

/* The size record, unless the power failed before it could follow: a commit with a larger size, or a note of a
 * copy that made the disk grow, may be durable already. A disk that shrank since the commit has a cut. */
static uint64_t true_size(const struct disk *d)
{
	uint64_t size = overlay_size(d->overlay);
	if (size == OVERLAY_NONE || (size < d->committed_size && d->cut > round_up(size, CHUNK_SIZE)))
		size = d->committed_size;
	for (size_t i = 0; i < d->n_splices; i++)
		size = MAX(size, d->splices[i].size);
	return size;
}

static int take_up_size(struct disk *d, struct error *err)
{
	uint64_t size = true_size(d), was = overlay_size(d->overlay);
	atomic_store(&d->size, size);
	if (size == was || (was == OVERLAY_NONE && size == d->committed_size))
		return 0;
	return overlay_set_size(d->overlay, size, err);
}

/* Of a write that made the disk grow, a power cut may leave bytes without the size. They must not show when the
 * disk grows again. */
static int forget_tail(struct disk *d, struct error *err)
{
	uint64_t size = atomic_load(&d->size), end = round_up(size, CHUNK_SIZE);
	if (size == end || !overlay_recovered(d->overlay) || !overlay_bits(d->overlay, size / CHUNK_SIZE))
		return 0;
	return zero_tail(d, size, end - size, err);
}

/* The last final commit took all of the overlay that is there, and the copies that are noted. What a power cut left of it is older than the
 * map. Without a power cut it is as new as the map, or newer, and goes on under another number. */
static int drop_consumed(struct disk *d, uint64_t consumed, struct error *err)
{
	int fd = -1;
	if (consumed == 0 || overlay_life(d->overlay) != consumed)
		return 0;
	int r = splices_forget(d->dir, d->number, err);
	if (r)
		return r;
	if (!overlay_recovered(d->overlay)) {
		(void)overlay_consume(d->overlay);
		(void)!overlay_consumed(d->overlay, true, NULL); /* what fails there is told to who syncs */
		return 0;
	}
	r = overlay_reset(d->overlay, &fd, err);
	if (fd >= 0)
		close(fd);
	return r;
}

/* What an earlier process left in the overlay folder. */
static int take_up(struct disk *d, const struct disk_conf *conf, struct error *err)
{
	int r = overlay_open(&d->overlay, conf->overlay_dir, conf->number, err);
	if (r == 0)
		r = drop_consumed(d, conf->consumed, err);
	if (r == 0)
		r = splices_load(d, err);
	if (r)
		return r;
	d->cut = overlay_cut(d->overlay);
	atomic_store(&d->mtime, overlay_mtime(d->overlay));
	if (d->n_splices && !d->mtime) /* a copy: nobody knows when */
		disk_touch(d);
	r = take_up_size(d, err);
	if (r == 0)
		r = overlay_drop_from(d->overlay, disk_chunks(d), err); /* a shrinking that was interrupted */
	if (r == 0)
		r = forget_tail(d, err);
	atomic_store(&d->fixed, nothing_over(d));
	d->ready = r == 0;
	return r;
}

int disk_open(struct disk **ret, const struct disk_conf *conf, struct error *err)
{
	struct disk *d = calloc(1, sizeof *d);
	if (!d || !(d->dir = strdup(conf->overlay_dir)))
		abort();
	d->store = conf->store;
	d->hooks = conf->hooks;
	d->number = conf->number;
	d->domain = conf->domain;
	d->log_fd = -1;
	d->committed_size = conf->size;
	d->cut = d->cut_since = OVERLAY_NONE;
	atomic_init(&d->size, conf->size);
	root_store(&d->root, &conf->root);
	init_locks(d);
	int r = take_up(d, conf, err);
	if (r) {
		disk_close(d);
		return r;
	}
	disk_noted(d);
	*ret = d;
	return 0;
}

static void close_overlay(struct disk *d)
{
	int fd = -1;
	if (d->ready && nothing_over(d)) { /* what cannot be removed does no harm */
		(void)!overlay_reset(d->overlay, &fd, NULL);
		if (d->log_fd >= 0)
			(void)!splices_forget(d->dir, d->number, NULL);
	}
	if (fd >= 0)
		close(fd);
	overlay_close(d->overlay);
}

void disk_close(struct disk *d)
{
	if (!d)
		return;
	disk_unnoted(d);
	absorb_end(d);
	close_overlay(d);
	if (d->log_fd >= 0)
		close(d->log_fd);
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&d->stripes[i]);
	pthread_mutex_destroy(&d->size_lock);
	pthread_mutex_destroy(&d->fold_lock);
	pthread_rwlock_destroy(&d->data_lock);
	pthread_rwlock_destroy(&d->moment_lock);
	free(d->held);
	free(d->splices);
	free(d->dir);
	free(d);
}

void disk_set_careful(struct disk *d) { atomic_store(&d->careful, true); }

uint64_t disk_number(const struct disk *d) { return d->number; }
uint32_t disk_domain(const struct disk *d) { return d->domain; }
void disk_set_domain(struct disk *d, uint32_t domain) { d->domain = domain; }
uint64_t disk_size(struct disk *d) { return atomic_load(&d->size); }
struct map_root disk_root(struct disk *d) { return root_load(&d->root); }

int64_t disk_mtime(struct disk *d) { return atomic_load(&d->mtime); }

/* Under data_lock, with the overlay's files open if it has any. */
static void note_mtime(struct disk *d, int64_t mtime)
{
	atomic_store(&d->mtime, mtime);
	overlay_set_mtime(d->overlay, mtime);
}

/* Where the files cannot be opened it is known as long as this process lives. */
void disk_set_mtime(struct disk *d, int64_t mtime)
{
	{
		WITH_RDLOCK(&d->data_lock);
		(void)!disk_wake(d, NULL);
		note_mtime(d, mtime);
	}
	disk_noted(d);
}

/* The clock is read without a system call, to a few milliseconds. Under data_lock. */
void disk_touch(struct disk *d)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	int64_t mtime = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	if (atomic_load(&d->mtime) != mtime || overlay_mtime(d->overlay) != mtime)
		note_mtime(d, mtime);
}

bool disk_dirty(struct disk *d)
{
	WITH_RDLOCK(&d->data_lock);
	return !nothing_over(d);
}

uint64_t disk_overlay_bytes(struct disk *d) { return overlay_bytes(d->overlay); }
uint64_t disk_overlay_stored(struct disk *d) { return overlay_stored(d->overlay); }

uint64_t disk_new_bytes(struct disk *d, uint64_t offset, uint64_t len)
{
	uint64_t block = offset / BLOCK_SIZE, end = div_up(offset + len, BLOCK_SIZE), bytes = 0;
	WITH_RDLOCK(&d->data_lock);
	if (len && disk_wake(d, NULL)) /* the write will meet the same and say so */
		return (end - block) * BLOCK_SIZE;
	for (; len && block < end; block++)
		if (!(overlay_bits(d->overlay, block / CHUNK_BLOCKS) >> block % CHUNK_BLOCKS & 1))
			bytes += BLOCK_SIZE;
	return bytes;
}

void disk_progress(struct disk *d, uint64_t *ret_done, uint64_t *ret_todo)
{
	uint64_t chunks = div_up(overlay_bytes(d->overlay), CHUNK_SIZE), absorbed = 0;
	WITH_LOCK(&d->absorb.lock);
	for (size_t i = 0; i < d->absorb.room; i++)
		absorbed += d->absorb.table[i].state == MOVE_ABSORBED;
	*ret_done = atomic_load(&d->absorb.done);
	*ret_todo = chunks > absorbed ? chunks - absorbed : 0;
}

/* --- under the lock --- */

int disk_enter(struct disk *d, bool writing, struct error *err)
{
	for (;;) {
		int r = settle_splices(d, err);
		if (r)
			return r;
		if (writing && atomic_load(&d->fixed)) {
			WITH_WRLOCK(&d->data_lock);
			atomic_store(&d->fixed, false);
		}
		pthread_rwlock_rdlock(&d->data_lock);
		bool settled = atomic_load(&d->n_splices) == 0 && !(writing && atomic_load(&d->fixed));
		r = settled ? disk_wake(d, err) : 0;
		if (settled && r == 0)
			return 0;
		pthread_rwlock_unlock(&d->data_lock);
		if (r)
			return r; /* else a copy or a fold came in between */
	}
}

void disk_leave(struct disk *d)
{
	pthread_rwlock_unlock(&d->data_lock);
	disk_noted(d);
}

/* --- size --- */

int disk_grow(struct disk *d, uint64_t size, struct error *err)
{
	if (size <= atomic_load(&d->size))
		return 0;
	WITH_LOCK(&d->size_lock);
	if (size <= atomic_load(&d->size))
		return 0;
	int r = overlay_set_size(d->overlay, size, err);
	if (r == 0)
		atomic_store(&d->size, size);
	if (r == 0)
		disk_touch(d);
	return r;
}

/* Of a disk that becomes empty nothing is lost, whatever the kernel could not write. */
static int forget_lost(struct disk *d, uint64_t size, struct error *err)
{
	int fd = -1;
	if (size > 0 || overlay_check(d->overlay, NULL) == 0)
		return 0;
	int r = overlay_reset(d->overlay, &fd, err);
	if (fd >= 0)
		close(fd);
	if (r == 0)
		d->cut = OVERLAY_NONE; /* shrink() makes it anew */
	return r;
}

/* Under fold_lock and data_lock for writing. */
static int shrink(struct disk *d, uint64_t size, struct error *err)
{
	uint64_t end = round_up(size, CHUNK_SIZE);
	int r = size < end ? zero_tail(d, size, end - size, err) : forget_lost(d, size, err);
	if (r == 0 && end < d->cut) {
		r = overlay_set_cut(d->overlay, end, err);
		if (r == 0)
			d->cut = end;
	}
	if (r == 0)
		r = overlay_set_size(d->overlay, size, err);
	if (r)
		return r;
	d->cut_since = MIN(d->cut_since, end);
	atomic_store(&d->size, size);
	disk_touch(d);
	absorb_forget(d, end / CHUNK_SIZE, UINT64_MAX);
	return overlay_drop_from(d->overlay, end / CHUNK_SIZE, err);
}

static int truncate_now(struct disk *d, uint64_t size, struct error *err)
{
	if (size >= atomic_load(&d->size)) {
		WITH_WRLOCK(&d->data_lock);
		atomic_store(&d->fixed, false);
		if (size >= atomic_load(&d->size))
			return disk_grow(d, size, err);
	}
	WITH_LOCK(&d->fold_lock);
	int r = settle_splices_locked(d, err);
	if (r)
		return r;
	WITH_WRLOCK(&d->data_lock);
	atomic_store(&d->fixed, false);
	r = disk_wake(d, err);
	if (r)
		return r;
	return size < atomic_load(&d->size) ? shrink(d, size, err) : disk_grow(d, size, err);
}

int disk_truncate(struct disk *d, uint64_t size, struct error *err)
{
	WITH_RDLOCK(&d->moment_lock);
	if (size > MAP_LIMIT)
		return fail(err, -EFBIG, "a disk cannot be larger than 256 TiB");
	int r = truncate_now(d, size, err);
	disk_noted(d);
	return r;
}

int disk_sync(struct disk *d, struct error *err)
{
	int r = splices_sync(d, err);
	return r ? r : overlay_sync(d->overlay, err);
}

static int verify_files(struct disk *d, struct error *err)
{
	WITH_LOCK(&d->fold_lock);
	int r = splices_verify(d, err);
	if (r == 0)
		r = disk_wake(d, err); /* opening what rests looks at it, too */
	if (r)
		return r;
	WITH_RDLOCK(&d->data_lock);
	return overlay_verify(d->overlay, err);
}

int disk_verify(struct disk *d, bool read, struct error *err)
{
	int r = verify_files(d, err);
	disk_noted(d);
	return r || !read ? r : overlay_verify_bytes(d->overlay, err);
}

int disk_forget(const char *overlay_dir, uint64_t number, struct error *err)
{
	int r = splices_forget(overlay_dir, number, err);
	return r ? r : overlay_remove(overlay_dir, number, err);
}
