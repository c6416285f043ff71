/* SPDX-License-Identifier: Apache-2.0 */
/* store: index -> place -> cache -> pack -> codec.
 *
 * A frame's place can change at any time: compaction writes the object into another pack, tells the
 * index, and only then removes the old pack. So -ENOENT from the backend means: look it up again.
 */
#include "store/store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "store/codec.h"

#define CHUNK_CACHE_DEFAULT ((size_t)96 << 20)
#define NODE_CACHE_DEFAULT ((size_t)16 << 20)
#define LEVEL_DEFAULT 4 /* as fast as 3 on pieces of 64 KiB, and 2 % smaller */
#define LOOKUPS_MOST 4 /* an object moves as often as that during one read, and no oftener */
#define COMPRESS_QUEUE 64u
#define PREFETCH_QUEUE 256u
#define IDLE_QUEUE 4u
#define NODES_MADE 3072u /* about 9 KiB each, and as much again while the catalog takes them */

/* --- opening --- */

static int note_number(void *ctx, const char *name, uint64_t size)
{
	uint32_t *next = ctx, number = pack_number_of(name);
	(void)size;
	if (number >= *next)
		*next = number < UINT32_MAX ? number + 1 : number;
	return 0;
}

static unsigned default_threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 2 ? 2 : n > 8 ? 8 : (unsigned)n;
}

int store_open(struct store **ret, struct backend *backend, struct index index, const struct store_options *o,
	       struct error *err)
{
	uint32_t next = MAX(o->next_pack, 1u);
	int r = backend->ops->list(backend, note_number, &next, err);
	if (r) {
		backend->ops->close(backend);
		return r;
	}
	unsigned threads = o->threads ? o->threads : default_threads();
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		abort();
	s->backend = backend;
	s->index = index;
	s->chunks = cache_new(o->chunk_cache ? o->chunk_cache : CHUNK_CACHE_DEFAULT, CHUNK_SIZE);
	s->bad = bad_new();
	s->nodes = cache_new(o->node_cache ? o->node_cache : NODE_CACHE_DEFAULT, NODE_SIZE);
	s->workers = workers_new("compress", threads, COMPRESS_QUEUE);
	s->prefetch = workers_new("prefetch", threads, PREFETCH_QUEUE);
	s->idle = workers_new_idle("idle", IDLE_QUEUE);
	s->nodes_made = room_new(NODES_MADE);
	s->ring = ring_new(o->overlays);
	atomic_init(&s->next_pack, next);
	s->level = o->level ? o->level : LEVEL_DEFAULT;
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	ring_free(s->ring);
	workers_free(s->prefetch);
	workers_free(s->workers);
	workers_free(s->idle);
	room_free(s->nodes_made);
	cache_free(s->chunks);
	cache_free(s->nodes);
	bad_free(s->bad);
	s->backend->ops->close(s->backend);
	free(s);
}

/* --- reading --- */

static struct cache *cache_of(struct store *s, enum object_kind kind)
{
	return kind == OBJECT_NODE ? s->nodes : s->chunks;
}

static uint64_t key_of(const struct place *p) { return (uint64_t)p->pack << 32 | p->offset; }

struct load {
	struct store *store;
	struct place place;
	uint32_t domain; /* in which it was found */
};

static int read_once(struct store *s, const struct place *p, uint8_t *frame, void *data, struct error *err)
{
	int r = pack_read_frame(s->backend, p, frame, err);
	if (r)
		return r;
	r = codec_unpack(frame, p->length, data, object_size(p->kind));
	if (r == ERR_DAMAGED)
		return fail(err, r, "pack-%08x is damaged: the %u bytes at offset %u do not match their checksum",
			    p->pack, p->length, p->offset);
	return r ? fail(err, r, "cannot decompress the %u bytes at offset %u of pack-%08x: %s", p->length,
			p->offset, p->pack, strerror(-r))
		 : 0;
}

static bool is_unreadable(int r) { return r == ERR_DAMAGED || r == -EIO; }

/* What went wrong may have gone wrong on the way from the medium, so it is read from there a second time. */
int store_read_frame(struct store *s, const struct place *p, uint8_t *frame, void *data, struct error *err)
{
	char name[20];
	int r = read_once(s, p, frame, data, err);
	if (!is_unreadable(r))
		return r;
	if (s->backend->ops->forget)
		s->backend->ops->forget(s->backend, pack_name(p->pack, name), p->length, p->offset);
	return read_once(s, p, frame, data, err);
}

/* A cache_load. */
static int load_object(void *ctx, void *buf, struct error *err)
{
	const struct load *l = ctx;
	uint8_t frame[FRAME_MAX];
	int r = store_read_frame(l->store, &l->place, frame, buf, err);
	if (r == 0) {
		atomic_fetch_add(&l->store->pool_reads, 1);
		atomic_fetch_add(&l->store->pool_read_bytes, l->place.length);
	}
	return r;
}

static int find_place(struct store *s, uint32_t domain, enum object_kind kind, const struct hash *hash,
		      struct found *ret, struct error *err)
{
	char hex[HASH_HEX_SIZE];
	int r = s->index.find(s->index.ctx, domain, hash, ret);
	if (r == -ENOENT)
		return fail(err, ERR_DAMAGED, "object %s is in use, but not in the index", hash_hex(hash, hex));
	if (r)
		return fail(err, r, "cannot look up object %s: %s", hash_hex(hash, hex), err_name(r));
	if (ret->place.kind != kind)
		return fail(err, ERR_DAMAGED, "object %s, at offset %u of pack-%08x, is of another kind",
			    hash_hex(hash, hex), ret->place.offset, ret->place.pack);
	return 0;
}

/* What to do with an object once its place is known. -ENOENT: its pack is gone. */
typedef int (*at_place)(struct load *, void *arg, struct error *err);

/* The place of an object, and again when its pack has been compacted away meanwhile. */
static int with_place(struct store *s, uint32_t domain, enum object_kind kind, const struct hash *hash,
		      at_place act, void *arg, struct error *err)
{
	struct load l = { .store = s };
	struct found found;
	struct error trouble; /* of attempts that may yet be made good: *err must not show it then */
	int r = -ENOENT;
	for (int i = 0; r == -ENOENT && i < LOOKUPS_MOST; i++) {
		r = find_place(s, domain, kind, hash, &found, &trouble);
		if (r)
			break;
		l.place = found.place;
		l.domain = found.domain;
		r = act(&l, arg, &trouble);
	}
	if (l.place.pack && (is_unreadable(r) || r == -ENOENT))
		bad_note(s->bad, l.domain, hash, &l.place);
	if (r == -ENOENT)
		return fail(err, ERR_DAMAGED, "pack-%08x is gone, and with it an object at offset %u", l.place.pack,
			    l.place.offset);
	if (r && err)
		*err = trouble;
	return r;
}

struct got {
	struct cache_ref ref;
	uint32_t domain;
};

static int get_at(struct load *l, void *arg, struct error *err)
{
	struct got *got = arg;
	got->domain = l->domain;
	return cache_get(cache_of(l->store, l->place.kind), key_of(&l->place), load_object, l, &got->ref, err);
}

int store_get(struct store *s, uint32_t domain, enum object_kind kind, const struct hash *hash,
	      struct cache_ref *ret, uint32_t *ret_domain, struct error *err)
{
	struct got got;
	int r = with_place(s, domain, kind, hash, get_at, &got, err);
	if (r)
		return r;
	*ret = got.ref;
	if (ret_domain)
		*ret_domain = got.domain;
	return 0;
}

void store_put(struct store *s, enum object_kind kind, struct cache_ref *ref)
{
	cache_put(cache_of(s, kind), ref);
}

/* --- reading ahead --- */

struct ahead {
	struct store *store;
	uint32_t domain;
	struct hash hash;
};

static int warm_at(struct load *l, void *arg, struct error *err)
{
	(void)arg;
	return cache_warm(l->store->chunks, key_of(&l->place), load_object, l, err);
}

static void warm(void *arg)
{
	AUTO_FREE struct ahead *a = arg;
	/* Whoever really needs the chunk will meet the same error, and can tell somebody. */
	(void)!with_place(a->store, a->domain, OBJECT_CHUNK, &a->hash, warm_at, NULL, NULL);
}

void store_prefetch(struct store *s, uint32_t domain, const struct hash *hash)
{
	struct ahead *a = malloc(sizeof *a);
	if (!a)
		return;
	*a = (struct ahead){ s, domain, *hash };
	if (!workers_try(s->prefetch, warm, a))
		free(a);
}

void store_stat(struct store *s, struct store_stat *ret)
{
	struct cache_stat chunks;
	cache_stat(s->chunks, &chunks);
	*ret = (struct store_stat){ .pool_reads = s->pool_reads, .pool_read_bytes = s->pool_read_bytes,
				    .cache_hits = chunks.hits, .cache_misses = chunks.misses, .chunks_hashed = s->chunks_hashed,
				    .chunks_hashed_idle = s->chunks_hashed_idle };
}

/* --- idle processors --- */

struct idle_job {
	work_fn fn;
	void *arg;
	struct tally *busy;
};

static void run_idle(void *arg)
{
	struct idle_job *job = arg;
	job->fn(job->arg);
	tally_done(job->busy);
}

void store_idle(struct store *s, work_fn fn, void *arg)
{
	struct idle_job job = { fn, arg, tally_new() };
	tally_add(job.busy);
	workers_add(s->idle, run_idle, &job);
	tally_wait(job.busy);
	tally_free(job.busy);
}

/* --- making --- */

static bool find_good(struct store *s, uint32_t domain, const struct hash *hash, struct found *ret)
{
	return s->index.find(s->index.ctx, domain, hash, ret) == 0 && !ret->damaged && !bad_has(s->bad, &ret->place);
}

bool store_has(struct store *s, uint32_t domain, const struct hash *hash)
{
	struct found found;
	return find_good(s, domain, hash, &found);
}

/* Not by the cache, whose bytes may be better than the pool's. */
static int compare_at(struct load *l, void *arg, struct error *err)
{
	uint8_t buf[CHUNK_SIZE];
	int r = load_object(l, buf, err);
	if (r == 0 && memcmp(buf, arg, object_size(l->place.kind)))
		r = fail(err, ERR_DAMAGED, "pack-%08x holds something else at offset %u than it should", l->place.pack,
			 l->place.offset);
	return r;
}

bool store_has_bytes(struct store *s, bool careful, uint32_t domain, enum object_kind kind, const struct hash *hash,
		     const void *data)
{
	struct found found;
	void *same = (void *)(uintptr_t)data; /* it is only looked at */
	if (!find_good(s, domain, hash, &found))
		return false;
	return (found.sure && !careful) || with_place(s, domain, kind, hash, compare_at, same, NULL) == 0;
}

int store_make(struct store *s, struct pack_writer *writer, uint32_t domain, enum object_kind kind,
	       const struct hash *hash, const void *data, struct error *err)
{
	uint8_t frame[FRAME_MAX];
	if (pack_has(writer, hash) || store_has_bytes(s, pack_is_careful(writer), domain, kind, hash, data))
		return 0;
	int n = codec_pack(s->level, data, object_size(kind), frame);
	if (n < 0)
		return fail(err, n, "cannot compress: %s", strerror(-n));
	return pack_add(writer, hash, kind, frame, (size_t)n, err);
}
