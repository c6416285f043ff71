/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "index_mem.h"
#include "tap.h"

static char folder[4200];
static struct index_mem *known;

static struct store *must_open(const struct store_options *o)
{
	struct backend *b;
	struct store *s;
	struct error err;
	if (backend_open_dir(&b, folder, 8, &err) || store_open(&s, b, index_mem_index(known), o, &err))
		bail("%s", err.text);
	return s;
}

static void fill(enum object_kind kind, uint64_t n, uint8_t *ret, struct hash *ret_hash)
{
	uint64_t state = n;
	for (size_t i = 0; i < object_size(kind); i++)
		ret[i] = (uint8_t)(test_random(&state) % (1 + i % 19));
	memcpy(ret, &n, sizeof n);
	hash_of(ret, object_size(kind), ret_hash);
}

static struct hash hash_for(enum object_kind kind, uint64_t n)
{
	uint8_t data[CHUNK_SIZE];
	struct hash h;
	fill(kind, n, data, &h);
	return h;
}

static bool equals(const void *data, enum object_kind kind, uint64_t n)
{
	uint8_t want[CHUNK_SIZE];
	struct hash h;
	fill(kind, n, want, &h);
	return memcmp(data, want, object_size(kind)) == 0;
}

static struct pack_writer *begin(struct store *s)
{
	struct pack_writer *w;
	struct error err;
	if (pack_begin(&w, s->backend, &s->next_pack, &err))
		bail("%s", err.text);
	return w;
}

static int make(struct store *s, struct pack_writer *w, uint32_t domain, enum object_kind kind, uint64_t n)
{
	uint8_t data[CHUNK_SIZE];
	struct hash h;
	fill(kind, n, data, &h);
	return store_make(s, w, domain, kind, &h, data, NULL);
}

/* What the catalog does after a seal. */
static uint32_t commit(struct pack_writer *w, uint32_t domain)
{
	size_t count;
	struct error err;
	if (pack_seal(w, &err))
		bail("%s", err.text);
	const struct pack_item *items = pack_items(w, &count);
	for (size_t i = 0; i < count; i++)
		index_mem_insert(known, domain, &items[i].hash, &items[i].place);
	uint32_t number = pack_number(w);
	pack_free(w);
	return number;
}

/* Objects [first, first + count) of both kinds. */
static uint32_t make_pack(struct store *s, uint32_t domain, uint64_t first, uint64_t count)
{
	struct pack_writer *w = begin(s);
	for (uint64_t n = first; n < first + count; n++)
		if (make(s, w, domain, OBJECT_CHUNK, n) || make(s, w, domain, OBJECT_NODE, n))
			bail("cannot make object %d", (int)n);
	return commit(w, domain);
}

static int get(struct store *s, uint32_t domain, enum object_kind kind, uint64_t n, struct error *err)
{
	struct hash h = hash_for(kind, n);
	struct cache_ref ref;
	int r = store_get(s, domain, kind, &h, &ref, NULL, err);
	if (r)
		return r;
	r = equals(ref.data, kind, n) ? 0 : 1;
	store_put(s, kind, &ref);
	return r;
}

static struct place place_of(uint32_t domain, enum object_kind kind, uint64_t n)
{
	struct index i = index_mem_index(known);
	struct hash h = hash_for(kind, n);
	struct found f;
	if (i.find(i.ctx, domain, &h, &f))
		bail("object %d is not in the index", (int)n);
	return f.place;
}

static bool cached(struct store *s, uint32_t domain, uint64_t n)
{
	struct place p = place_of(domain, OBJECT_CHUNK, n);
	return cache_has(s->chunks, (uint64_t)p.pack << 32 | p.offset);
}

static void test_making(void)
{
	struct store *s = must_open(&(struct store_options){ 0 });
	struct pack_writer *w = begin(s);
	struct hash h = hash_for(OBJECT_CHUNK, 1);
	size_t count;
	is_int(make(s, w, 1, OBJECT_CHUNK, 1), 0, "make a chunk");
	is_int(make(s, w, 1, OBJECT_CHUNK, 1), 0, "again");
	is_int(make(s, w, 1, OBJECT_NODE, 1), 0, "and a node");
	ok(!store_has(s, 1, &h), "not in the index before the commit");
	is_int(commit(w, 1), 1, "the first pack");
	is_int(index_mem_count(known), 2, "two objects");
	ok(store_has(s, 1, &h), "in the index now");
	ok(!store_has(s, 2, &h), "but not of another domain");

	w = begin(s);
	is_int(make(s, w, 1, OBJECT_CHUNK, 1), 0, "made once more");
	is_int(pack_seal(w, NULL), 0, "into another pack");
	(void)pack_items(w, &count);
	is_int(count, 0, "it is not stored again");
	pack_free(w);
	w = begin(s);
	is_int(make(s, w, 2, OBJECT_CHUNK, 1), 0, "made in another domain");
	is_int(commit(w, 2), 2, "it is: domains know nothing of each other");
	store_close(s);
	store_close(NULL);
}

static void test_reading(void)
{
	struct store *s = must_open(&(struct store_options){ .level = 1, .threads = 1 });
	struct error err = { .code = 0, .text = "" };
	uint32_t number = make_pack(s, 1, 100, 20);
	is_int(number, 3, "numbers go on after those in the backend");
	int wrong = 0;
	ok(!cached(s, 1, 100), "what was made is not in the cache");
	for (uint64_t n = 100; n < 120; n++)
		wrong += get(s, 1, OBJECT_CHUNK, n, &err) || get(s, 1, OBJECT_NODE, n, &err);
	is_int(wrong, 0, "chunks and nodes can be got");
	ok(cached(s, 1, 100), "into the cache");
	is_int(err.code, 0, "no error is left behind");
	is_int(get(s, 2, OBJECT_CHUNK, 100, &err), ERR_DAMAGED, "not from another domain: %s", err.text);
	is_int(get(s, 1, OBJECT_CHUNK, 5555, &err), ERR_DAMAGED, "what is not in the index: %s", err.text);
	struct hash node = hash_for(OBJECT_NODE, 100);
	struct cache_ref ref;
	is_int(store_get(s, 1, OBJECT_CHUNK, &node, &ref, NULL, &err), ERR_DAMAGED, "a node is no chunk: %s", err.text);

	/* With its pack gone, what is in the cache is all there is. */
	char name[20];
	if (s->backend->ops->remove(s->backend, pack_name(number, name), NULL))
		bail("cannot remove");
	is_int(get(s, 1, OBJECT_CHUNK, 100, &err), 0, "a chunk is taken from the cache");
	store_close(s);
}

static void test_numbers(void)
{
	struct store *s = must_open(&(struct store_options){ .next_pack = 50 });
	is_int(make_pack(s, 9, 1, 1), 50, "what the catalog knows counts");
	store_close(s);
	s = must_open(&(struct store_options){ .next_pack = 7 });
	is_int(make_pack(s, 9, 2, 1), 51, "and so does what lies in the backend");
	store_close(s);
}

/* Flip a byte in the frame of an object, wherever it lies. */
static void damage(uint32_t domain, enum object_kind kind, uint64_t n, size_t at)
{
	struct place p = place_of(domain, kind, n);
	char path[4300];
	uint8_t byte;
	snprintf(path, sizeof path, "%s/%02x/pack-%08x", folder, p.pack & 255, p.pack);
	AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || io_pread(fd, &byte, 1, p.offset + at))
		bail("cannot read %s", path);
	byte ^= 0x20;
	if (io_pwrite(fd, &byte, 1, p.offset + at))
		bail("cannot write %s", path);
}

static void test_damage(void)
{
	struct store *s = must_open(&(struct store_options){ 0 });
	struct error err;
	char where[100];
	uint32_t number = make_pack(s, 1, 200, 10);
	struct place p = place_of(1, OBJECT_CHUNK, 203), cut = place_of(1, OBJECT_CHUNK, 206);
	int wrong = 0;
	for (size_t at = 0; at < p.length; at += 101) {
		damage(1, OBJECT_CHUNK, 203, at);
		wrong += get(s, 1, OBJECT_CHUNK, 203, &err) != ERR_DAMAGED;
		damage(1, OBJECT_CHUNK, 203, at);
	}
	is_int(wrong, 0, "a damaged frame never gives bytes");
	snprintf(where, sizeof where, "offset %u", p.offset);
	ok(strstr(err.text, where) && strstr(err.text, "pack-"), "the sentence tells where: %s", err.text);
	is_int(get(s, 1, OBJECT_CHUNK, 203, &err), 0, "damage is not kept in the cache");
	is_int(get(s, 1, OBJECT_CHUNK, 204, &err), 0, "its neighbour was good all the time");

	struct hash h = hash_for(OBJECT_CHUNK, 205);
	struct place false_place = place_of(1, OBJECT_NODE, 205);
	false_place.kind = OBJECT_CHUNK;
	index_mem_insert(known, 1, &h, &false_place);
	is_int(get(s, 1, OBJECT_CHUNK, 205, &err), ERR_DAMAGED, "a frame of another size: %s", err.text);
	cut.length--;
	h = hash_for(OBJECT_CHUNK, 206);
	index_mem_insert(known, 1, &h, &cut);
	is_int(get(s, 1, OBJECT_CHUNK, 206, &err), ERR_DAMAGED, "a frame that is cut: %s", err.text);
	cut.offset = 60u << 20;
	index_mem_insert(known, 1, &h, &cut);
	is_int(get(s, 1, OBJECT_CHUNK, 206, &err), ERR_DAMAGED, "a place behind the end: %s", err.text);

	char name[20];
	if (s->backend->ops->remove(s->backend, pack_name(number, name), NULL))
		bail("cannot remove");
	is_int(get(s, 1, OBJECT_CHUNK, 208, &err), ERR_DAMAGED, "a pack that is gone for good: %s", err.text);
	ok(strstr(err.text, name), "is named");
	store_close(s);
}

/* Move objects [first, first + count) to a new pack, as compaction does: index first, then the old pack. */
static uint32_t move(struct store *s, uint32_t domain, uint64_t first, uint64_t count, uint32_t old)
{
	struct pack_writer *w = begin(s);
	char name[20];
	for (uint64_t n = first; n < first + count; n++) {
		for (int kind = OBJECT_CHUNK; kind <= OBJECT_NODE; kind++) {
			uint8_t frame[70000];
			struct place p = place_of(domain, (enum object_kind)kind, n);
			struct hash h = hash_for((enum object_kind)kind, n);
			if (pack_read_frame(s->backend, &p, frame, NULL) ||
			    pack_add(w, &h, (enum object_kind)kind, frame, p.length, NULL))
				bail("cannot move object %d", (int)n);
		}
	}
	uint32_t number = commit(w, domain);
	if (s->backend->ops->remove(s->backend, pack_name(old, name), NULL))
		bail("cannot remove %s", name);
	return number;
}

/* An index that tells the old place so many times more. */
struct late {
	struct index real;
	struct place old;
	atomic_int times;
};

static int find_late(void *ctx, uint32_t domain, const struct hash *h, struct found *ret)
{
	struct late *l = ctx;
	if (l->times > 0) {
		l->times--;
		*ret = (struct found){ .place = l->old, .domain = domain, .sure = true };
		return 0;
	}
	return l->real.find(l->real.ctx, domain, h, ret);
}

static void test_moved(void)
{
	struct store *s = must_open(&(struct store_options){ 0 });
	struct error err = { .code = 0, .text = "" };
	uint32_t number = make_pack(s, 1, 300, 5);
	struct late late = { s->index, place_of(1, OBJECT_CHUNK, 302), 0 };
	move(s, 1, 300, 5, number);
	s->index = (struct index){ find_late, &late };
	late.times = 2;
	is_int(get(s, 1, OBJECT_CHUNK, 302, &err), 0, "an object that moved is looked up again");
	is_int(err.code, 0, "and no error shows");
	late.times = 1000;
	is_int(get(s, 1, OBJECT_CHUNK, 302, &err), ERR_DAMAGED, "but not for ever");
	store_close(s);
}

#define READERS 4
#define MOVING 40u

struct reading {
	struct store *store;
	atomic_bool stop;
	atomic_int wrong, done, running;
};

static void *read_on(void *arg)
{
	struct reading *r = arg;
	uint64_t state = (uint64_t)(uintptr_t)&state;
	r->running++;
	while (!r->stop) {
		uint64_t n = 400 + test_random(&state) % MOVING;
		switch (test_random(&state) % 3) {
		case 0: r->wrong += get(r->store, 1, OBJECT_CHUNK, n, NULL) != 0; break;
		case 1: r->wrong += get(r->store, 1, OBJECT_NODE, n, NULL) != 0; break;
		default: {
			struct hash h = hash_for(OBJECT_CHUNK, n);
			store_prefetch(r->store, 1, &h);
		}
		}
		r->done++;
	}
	return NULL;
}

static void test_readers_and_compaction(void)
{
	struct store *s = must_open(&(struct store_options){ .chunk_cache = 8 * CHUNK_SIZE, .node_cache = 8 * NODE_SIZE });
	struct reading r = { .store = s };
	pthread_t threads[READERS];
	uint32_t number = make_pack(s, 1, 400, MOVING);
	for (int i = 0; i < READERS; i++)
		pthread_create(&threads[i], NULL, read_on, &r);
	for (int i = 0; i < 20; i++)
		number = move(s, 1, 400, MOVING, number);
	while (r.done < 200)
		usleep(1000);
	r.stop = true;
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	is_int(r.wrong, 0, "readers do not notice compaction (%d reads)", r.done);
	store_close(s);
}

static void test_prefetch(void)
{
	struct store *s = must_open(&(struct store_options){ 0 });
	make_pack(s, 1, 500, 4);
	struct hash h = hash_for(OBJECT_CHUNK, 502), none = hash_for(OBJECT_CHUNK, 999999);
	store_prefetch(s, 1, &none);
	store_prefetch(s, 1, &h);
	for (int i = 0; i < 5000 && !cached(s, 1, 502); i++)
		usleep(1000);
	ok(cached(s, 1, 502), "a prefetched chunk is soon in the cache");
	ok(!cached(s, 1, 501), "and no other");
	for (int i = 0; i < 5000; i++)
		store_prefetch(s, 1, &h);
	store_close(s);
	ok(true, "a full queue, and closing with jobs in it");
}

/* A pool whose reads wait until the gate opens, and are counted. */
static struct {
	const struct backend_ops *real;
	struct backend_ops ops;
	pthread_mutex_t lock;
	pthread_cond_t opened;
	bool open;
	atomic_int reads, running, wrong;
	struct store *store;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER };

static int read_gated(struct backend *b, const char *name, void *buf, size_t len, uint64_t offset, struct error *err)
{
	pool.reads++;
	pthread_mutex_lock(&pool.lock);
	while (!pool.open)
		pthread_cond_wait(&pool.opened, &pool.lock);
	pthread_mutex_unlock(&pool.lock);
	return pool.real->read(b, name, buf, len, offset, err);
}

static void *get_gated(void *arg)
{
	pool.running++;
	pool.wrong += get(pool.store, 1, OBJECT_CHUNK, 601, NULL) != 0;
	return arg;
}

/* Several who want one chunk that is not there, and one who reads ahead: one read of the pool, before and after. */
static void test_single_flight(void)
{
	struct store *s = pool.store = must_open(&(struct store_options){ 0 });
	struct store_stat stat;
	pthread_t threads[READERS];
	make_pack(s, 1, 600, 4);
	struct place p = place_of(1, OBJECT_CHUNK, 601);
	struct hash h = hash_for(OBJECT_CHUNK, 601);
	pool.real = s->backend->ops;
	pool.ops = *pool.real;
	pool.ops.read = read_gated;
	s->backend->ops = &pool.ops;
	store_prefetch(s, 1, &h);
	while (pool.reads < 1)
		usleep(500);
	for (int i = 0; i < READERS; i++)
		pthread_create(&threads[i], NULL, get_gated, NULL);
	while (pool.running < READERS)
		usleep(500);
	store_prefetch(s, 1, &h);
	pthread_mutex_lock(&pool.lock);
	pool.open = true;
	pthread_cond_broadcast(&pool.opened);
	pthread_mutex_unlock(&pool.lock);
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	is_int(pool.wrong, 0, "%d threads get a chunk, another reads it ahead", READERS);
	is_int(pool.reads, 1, "that is one read of the pool");
	store_stat(s, &stat);
	is_int(stat.pool_reads, 1, "which is counted");
	is_int(stat.pool_read_bytes, p.length, "with its bytes");
	is_int(stat.cache_hits, READERS, "and so are those who came");
	is_int(stat.cache_misses, 0, "to find it");
	is_int(get(s, 1, OBJECT_CHUNK, 601, NULL), 0, "it is got once more");
	is_int(pool.reads, 1, "from memory");
	store_close(s);
}

/* A pool whose next reads give other bytes than it has, or none. */
static struct {
	const struct backend_ops *real;
	struct backend_ops ops;
	int lies, errors, code;
	unsigned forgotten;
} bent;

static int read_bent(struct backend *b, const char *name, void *buf, size_t len, uint64_t offset, struct error *err)
{
	if (bent.errors > 0 && bent.errors--)
		return fail(err, bent.code, "the medium has a bad day");
	int r = bent.real->read(b, name, buf, len, offset, err);
	if (bent.lies > 0 && bent.lies--)
		((uint8_t *)buf)[len / 2] ^= 0x20;
	return r;
}

static void forget_bent(struct backend *b, const char *name, size_t len, uint64_t offset)
{
	bent.forgotten++;
	bent.real->forget(b, name, len, offset);
}

static bool known_bad(struct store *s, uint64_t n)
{
	struct place p = place_of(1, OBJECT_CHUNK, n);
	return bad_has(s->bad, &p);
}

/* Only what is wrong twice is wrong. */
static void test_read_again(void)
{
	struct store *s = must_open(&(struct store_options){ 0 });
	struct hash h = hash_for(OBJECT_CHUNK, 703);
	make_pack(s, 1, 700, 10);
	bent.real = s->backend->ops;
	bent.ops = *bent.real;
	bent.ops.read = read_bent;
	bent.ops.forget = forget_bent;
	s->backend->ops = &bent.ops;
	bent.lies = 1;
	is_int(get(s, 1, OBJECT_CHUNK, 700, NULL), 0, "bytes that were wrong once are read again");
	is_int(bent.forgotten, 1, "not from a cache that is near");
	bent.errors = 1, bent.code = -EIO;
	is_int(get(s, 1, OBJECT_CHUNK, 701, NULL), 0, "so is what could not be read once");
	bent.errors = 1, bent.code = -ENOMEM;
	is_int(get(s, 1, OBJECT_CHUNK, 702, NULL), -ENOMEM, "no memory is no reason to read again");
	ok(!known_bad(s, 700) && !known_bad(s, 701) && !known_bad(s, 702), "and none of them is taken for damaged");
	bent.lies = 2;
	is_int(get(s, 1, OBJECT_CHUNK, 703, NULL), ERR_DAMAGED, "what is wrong twice is damaged");
	ok(known_bad(s, 703) && !store_has(s, 1, &h), "and nothing counts on it any more");
	is_int(get(s, 1, OBJECT_CHUNK, 703, NULL), 0, "though it may be read again");
	s->backend->ops = bent.real;
	store_close(s);
}

/* A careful writer reads what it counts on. */
static void test_careful(void)
{
	struct store *s = must_open(&(struct store_options){ 0 });
	struct pack_writer *w = begin(s);
	make_pack(s, 1, 720, 3);
	is_int(get(s, 1, OBJECT_CHUNK, 721, NULL), 0, "a chunk is in the cache");
	damage(1, OBJECT_CHUNK, 721, 40);
	is_int(make(s, w, 1, OBJECT_CHUNK, 721), 0, "its bytes come in again");
	is_int(make(s, w, 1, OBJECT_CHUNK, 722), 0, "and others");
	struct hash h1 = hash_for(OBJECT_CHUNK, 721), h2 = hash_for(OBJECT_CHUNK, 722);
	ok(!pack_has(w, &h1), "a writer that is not careful counts on the pool");
	pack_set_careful(w, true);
	is_int(make(s, w, 1, OBJECT_CHUNK, 721), 0, "a careful one");
	ok(pack_has(w, &h1), "reads it, whatever the cache has, and takes the bytes");
	is_int(make(s, w, 1, OBJECT_CHUNK, 722), 0, "what can be read");
	ok(!pack_has(w, &h2), "is not stored once more");
	ok(known_bad(s, 721) && !store_has(s, 1, &h1), "the damage is known from then on");
	struct bad_object list[BAD_MOST];
	is_int(bad_list(s->bad, list), 1, "it is in the list");
	bad_done(s->bad, list, 1);
	ok(!bad_any(s->bad), "until it was written down");
	pack_free(w);
	store_close(s);
}

static void test_full(void)
{
	struct store *s = must_open(&(struct store_options){ .level = 1 });
	struct pack_writer *w = begin(s);
	uint8_t *noise = malloc(CHUNK_SIZE);
	uint64_t state = test_seed();
	int r = 0, made = -1;
	for (; r == 0 && made < 2000; made++) {
		struct hash h;
		for (size_t i = 0; i < CHUNK_SIZE / 8; i++)
			((uint64_t *)noise)[i] = test_random(&state);
		hash_of(noise, CHUNK_SIZE, &h);
		r = store_make(s, w, 3, OBJECT_CHUNK, &h, noise, NULL);
	}
	is_int(r, ERR_FULL, "a pack is full after %d chunks of noise", made);
	ok(made >= (int)(BACKEND_OBJECT_MAX / (CHUNK_SIZE + 64)), "noise costs at most 64 bytes more than its size, index and all");
	pack_free(w);
	free(noise);
	store_close(s);
}

int main(void)
{
	snprintf(folder, sizeof folder, "%s/pool", test_folder());
	known = index_mem_new();
	test_making();
	test_reading();
	test_numbers();
	test_damage();
	test_moved();
	test_readers_and_compaction();
	test_prefetch();
	test_single_flight();
	test_read_again();
	test_careful();
	test_full();
	index_mem_free(known);
	return done_testing();
}
