/* SPDX-License-Identifier: Apache-2.0 */
/* .log: small syncs. Instead of .data and .bits, whose new blocks cost the file system a commit of its journal each
 * time, the few blocks written since the last sync go into one record here: space that is allocated and was
 * written before, so that a sync is one write and one fdatasync. After a power cut the records of the
 * generation that the header of .bits names are carried out again, up to the first that does not hold.
 *
 * The log starts anew, with the next generation, whenever .bits has been brought up to date: when it is
 * full, and before anything is dropped from the overlay (a record must not bring back what was). */
#include "store/overlay_int.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/num.h"

#define RECORD_MAGIC "imgfs-lg"
#define RECORD_AT_GENERATION 8
#define RECORD_AT_COUNT 16 /* of records before it in this generation */
#define RECORD_AT_SIZE 24  /* of the disk */
#define RECORD_AT_N 32     /* blocks that follow */
#define RECORD_AT_BLOCKS 64
#define RECORD_AT_CHECK (BLOCK_SIZE - HASH_SIZE) /* SHA-256 of the record, with zeros here */
#define LOG_AFTER 2u       /* small syncs: who syncs only once or twice needs no log */

/* Room for a record of so many blocks, zeros. */
static uint8_t *new_record(unsigned blocks)
{
	uint8_t *record = calloc(1 + blocks, BLOCK_SIZE);
	if (!record)
		abort();
	return record;
}

/* --- the file --- */

/* `log_at` is where the log is full: what it holds is not known. */
void log_find(struct overlay *o)
{
	struct stat st;
	o->log_at = LOG_SIZE;
	if (overlay_open_file(o, "log", 0, &o->log, NULL))
		return;
	if (fstat(o->log, &st) || st.st_size != LOG_SIZE)
		close(steal_fd(&o->log));
}

void log_close(struct overlay *o)
{
	if (o->log >= 0)
		close(steal_fd(&o->log));
	o->log_refused = false;
	o->log_at = o->log_count = 0;
	o->small_syncs = 0;
}

/* Written once, so that later writes change no metadata. */
static int fill_log(struct overlay *o, int fd, struct error *err)
{
	static const uint8_t zeros[1 << 16];
	int r = fallocate(fd, 0, 0, LOG_SIZE) && errno != EOPNOTSUPP ? -errno : 0;
	for (uint64_t at = 0; r == 0 && at < LOG_SIZE; at += sizeof zeros)
		r = io_pwrite(fd, zeros, sizeof zeros, at);
	if (r == 0 && fsync(fd))
		r = -errno;
	return r ? fail(err, r, "cannot make the log of overlay %" PRIu64 ": %s", o->number, strerror(-r)) :
		   io_sync_dir(o->dir, err);
}

/* Without a log all is well, too, only slower. */
static void make_log(struct overlay *o)
{
	char path[PATH_MAX];
	AUTO_FD int fd = -1;
	int r = overlay_open_file(o, "log", O_CREAT | O_TRUNC, &fd, NULL);
	if (r == 0 && (r = fill_log(o, fd, NULL)) && overlay_path(path, sizeof path, o->dir, o->number, "log", NULL) == 0)
		unlink(path);
	o->log_refused = r != 0;
	if (r == 0)
		o->log = steal_fd(&fd);
}

bool log_takes(struct overlay *o, const struct pending *p)
{
	if (o->small_syncs < LOG_AFTER) {
		o->small_syncs++;
		return false;
	}
	if (o->log_at + (1 + p->n_blocks) * BLOCK_SIZE > LOG_SIZE)
		return false;
	if (o->log < 0 && !o->log_refused)
		make_log(o);
	return o->log >= 0;
}

/* --- writing --- */

static bool has_bit(const struct overlay *o, uint64_t block)
{
	return overlay_bits(o, block / CHUNK_BLOCKS) >> block % CHUNK_BLOCKS & 1;
}

/* The bytes of the blocks that are still there: what was dropped meanwhile may be punched, but not before this
 * sync has ended. */
static int gather(struct overlay *o, const struct pending *p, uint8_t *head, unsigned *ret_n, struct error *err)
{
	unsigned n = 0;
	int r = 0;
	for (unsigned i = 0; r == 0 && i < p->n_blocks; i++) {
		if (!has_bit(o, p->blocks[i]))
			continue;
		put_le64(head + RECORD_AT_BLOCKS + 8 * n, p->blocks[i]);
		n++;
		r = overlay_read(o, head + n * BLOCK_SIZE, BLOCK_SIZE, p->blocks[i] * BLOCK_SIZE, err);
	}
	*ret_n = n;
	return r;
}

static int make_record(struct overlay *o, const struct pending *p, uint8_t *head, size_t *ret_len, struct error *err)
{
	struct hash check;
	unsigned n;
	memcpy(head, RECORD_MAGIC, 8);
	put_le64(head + RECORD_AT_GENERATION, o->kept.generation);
	put_le64(head + RECORD_AT_COUNT, o->log_count);
	put_le64(head + RECORD_AT_SIZE, p->size);
	int r = gather(o, p, head, &n, err);
	put_le32(head + RECORD_AT_N, n);
	*ret_len = (1 + (size_t)n) * BLOCK_SIZE;
	hash_of(head, *ret_len, &check);
	memcpy(head + RECORD_AT_CHECK, check.b, HASH_SIZE);
	return r;
}

int log_append(struct overlay *o, const struct pending *p, struct error *err)
{
	AUTO_FREE uint8_t *record = new_record(p->n_blocks);
	size_t len;
	int r = make_record(o, p, record, &len, err);
	if (r == 0)
		r = overlay_intact(o, err);
	if (r == 0 && (r = io_pwrite(o->log, record, len, o->log_at)) == 0 && fdatasync(o->log))
		r = -errno;
	if (r && atomic_load(&o->broken) == 0) {
		errno = r < -1000 ? EIO : -r;
		return overlay_spoil(o, err);
	}
	if (r)
		return r;
	o->log_at += len;
	o->log_count++;
	return 0;
}

/* --- reading --- */

/* The record at log_at: its number of blocks; -1: there is none that holds. */
static int read_record(struct overlay *o, uint8_t *head)
{
	uint8_t was[HASH_SIZE];
	struct hash check;
	if (o->log_at + BLOCK_SIZE > LOG_SIZE || io_pread(o->log, head, BLOCK_SIZE, o->log_at))
		return -1;
	uint32_t n = get_le32(head + RECORD_AT_N);
	if (memcmp(head, RECORD_MAGIC, 8) || get_le64(head + RECORD_AT_GENERATION) != o->kept.generation ||
	    get_le64(head + RECORD_AT_COUNT) != o->log_count || n > LOG_BLOCKS ||
	    o->log_at + (1 + n) * BLOCK_SIZE > LOG_SIZE ||
	    io_pread(o->log, head + BLOCK_SIZE, n * BLOCK_SIZE, o->log_at + BLOCK_SIZE))
		return -1;
	memcpy(was, head + RECORD_AT_CHECK, HASH_SIZE);
	memset(head + RECORD_AT_CHECK, 0, HASH_SIZE);
	hash_of(head, (1 + n) * BLOCK_SIZE, &check);
	return memcmp(was, check.b, HASH_SIZE) ? -1 : (int)n;
}

static int replay_block(struct overlay *o, const uint8_t *record, unsigned i, struct error *err)
{
	uint64_t block = get_le64(record + RECORD_AT_BLOCKS + 8 * i);
	if (block >= OVERLAY_CHUNKS * CHUNK_BLOCKS)
		return fail(err, ERR_DAMAGED, "the log of overlay %" PRIu64 " has a block beyond any disk", o->number);
	int r = io_pwrite(o->data, record + (1 + i) * BLOCK_SIZE, BLOCK_SIZE, block * BLOCK_SIZE);
	if (r)
		return fail(err, r, "cannot write to the overlay of disk %" PRIu64 ": %s", o->number, strerror(-r));
	return keep_block(o, block, err);
}

int log_replay(struct overlay *o, struct error *err)
{
	AUTO_FREE uint8_t *record = new_record(LOG_BLOCKS);
	int n, r = 0;
	o->log_at = o->log_count = 0;
	while (o->log >= 0 && (n = read_record(o, record)) >= 0) {
		for (int i = 0; r == 0 && i < n; i++)
			r = replay_block(o, record, (unsigned)i, err);
		if (r)
			return r;
		o->kept.size = get_le64(record + RECORD_AT_SIZE);
		o->log_at += (1 + (uint64_t)n) * BLOCK_SIZE;
		o->log_count++;
	}
	return o->log_count > 0;
}
