/* SPDX-License-Identifier: Apache-2.0 */
#include "store/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

#define SIZE 4096u

/* The object for a key is its key, over and over. */
struct source {
	uint64_t key;
	atomic_int *loads;
	int fail_with;
};

static int load(void *ctx, void *buf, struct error *err)
{
	struct source *s = ctx;
	if (s->loads)
		++*s->loads;
	if (s->fail_with)
		return fail(err, s->fail_with, "it failed, as it should");
	for (size_t i = 0; i < SIZE / 8; i++)
		((uint64_t *)buf)[i] = s->key;
	return 0;
}

static bool holds(const struct cache_ref *ref, uint64_t key)
{
	const uint64_t *words = ref->data;
	for (size_t i = 0; i < SIZE / 8; i++)
		if (words[i] != key)
			return false;
	return true;
}

static bool get(struct cache *c, uint64_t key, atomic_int *loads, struct cache_ref *ret)
{
	struct source s = { key, loads, 0 };
	return cache_get(c, key, load, &s, ret, NULL) == 0 && holds(ret, key);
}

static void touch(struct cache *c, uint64_t key, atomic_int *loads)
{
	struct cache_ref ref;
	if (!get(c, key, loads, &ref))
		bail("cannot get %d", (int)key);
	cache_put(c, &ref);
}

static void test_one(void)
{
	struct cache *c = cache_new(8 * SIZE, SIZE);
	atomic_int loads = 0;
	struct cache_ref a, b;
	ok(!cache_has(c, 1), "nothing at first");
	ok(get(c, 1, &loads, &a) && get(c, 1, &loads, &b), "get twice");
	is_int(loads, 1, "loads once");
	ok(a.data == b.data, "and gives the same bytes");
	ok(cache_has(c, 1), "it is there");
	cache_put(c, &a);
	cache_put(c, &b);
	ok(cache_has(c, 1), "also when nobody has it");
	ok(get(c, 0, &loads, &a), "0 is a key");
	cache_put(c, &a);
	cache_free(c);
	cache_free(NULL);
}

static void test_failed_load(void)
{
	struct cache *c = cache_new(2 * SIZE, SIZE);
	struct source bad = { 1, NULL, -EIO };
	struct cache_ref ref;
	struct error err;
	atomic_int loads = 0;
	for (int i = 0; i < 10; i++)
		if (cache_get(c, 1, load, &bad, &ref, &err) != -EIO || err.code != -EIO)
			bail("a failed load must show");
	ok(!cache_has(c, 1), "a failed load is not kept");
	ok(get(c, 1, &loads, &ref), "and does not stand in the way of a good one");
	is_int(loads, 1, "that is really made");
	cache_put(c, &ref);
	cache_free(c);
}

static void test_clock(void)
{
	struct cache *c = cache_new(4 * SIZE, SIZE);
	atomic_int loads = 0;
	for (uint64_t key = 1; key <= 4; key++)
		touch(c, key, &loads);
	ok(cache_has(c, 1) && cache_has(c, 2) && cache_has(c, 3) && cache_has(c, 4), "four fit");
	touch(c, 1, &loads);
	touch(c, 3, &loads);
	is_int(loads, 4, "hits load nothing");
	touch(c, 5, &loads);
	ok(cache_has(c, 1) && !cache_has(c, 2) && cache_has(c, 3), "what was used again stays, what was not goes");
	for (uint64_t key = 10; key < 1000; key++)
		touch(c, key, &loads);
	ok(!cache_has(c, 1) && !cache_has(c, 5), "in the end all goes");
	cache_free(c);
}

static bool warm(struct cache *c, uint64_t key, atomic_int *loads)
{
	struct source s = { key, loads, 0 };
	return cache_warm(c, key, load, &s, NULL) == 0;
}

/* One long reader, with what is read ahead for it, does not drive out what several read. */
static void test_warm(void)
{
	struct cache *c = cache_new(8 * SIZE, SIZE);
	struct source bad = { 50, NULL, -EIO };
	struct cache_stat stat;
	atomic_int loads = 0;
	for (uint64_t key = 1; key <= 4; key++)
		touch(c, key, &loads);
	for (uint64_t key = 100; key < 160; key++) {
		if (!warm(c, key, &loads) || !warm(c, key, &loads))
			bail("cannot warm");
		touch(c, key, &loads);
		for (uint64_t often = 1; often <= 4; often++)
			touch(c, often, &loads);
	}
	is_int(loads, 64, "what is got again and again is loaded once, however much passes by");
	cache_stat(c, &stat);
	is_int(stat.misses, 4, "what was missing is counted");
	is_int(stat.hits, 60 * 5, "and what was there");
	is_int(cache_warm(c, 50, load, &bad, NULL), -EIO, "a load ahead that fails says so");
	ok(!cache_has(c, 50), "and leaves nothing");
	cache_free(c);
}

static void test_all_pinned(void)
{
	struct cache *c = cache_new(4 * SIZE, SIZE);
	struct cache_ref refs[4], more, more2;
	struct source bad = { 9, NULL, -EIO };
	atomic_int loads = 0;
	bool good = true;
	for (uint64_t key = 0; key < 4; key++)
		good &= get(c, key, &loads, &refs[key]);
	ok(good, "every slot is pinned");
	ok(get(c, 7, &loads, &more) && get(c, 7, &loads, &more2), "more can be had");
	ok(!cache_has(c, 7), "but is not kept");
	is_int(loads, 6, "and is loaded each time");
	ok(warm(c, 8, &loads) && loads == 6, "ahead of time it is not loaded at all");
	is_int(cache_get(c, 9, load, &bad, &more2, NULL), -EIO, "or fails (the ref is left alone)");
	cache_put(c, &more2);
	cache_put(c, &more);
	for (uint64_t key = 0; key < 4; key++)
		good &= holds(&refs[key], key);
	ok(good, "what is pinned stays as it is");
	for (int i = 0; i < 4; i++)
		cache_put(c, &refs[i]);
	touch(c, 7, &loads);
	ok(cache_has(c, 7), "with room again, it is kept");
	cache_free(c);

	c = cache_new(1, SIZE);
	ok(get(c, 1, &loads, &more), "a cache too small for anything has one slot");
	cache_put(c, &more);
	cache_free(c);
}

/* --- several threads --- */

#define THREADS 8

struct gate {
	struct cache *cache;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool open;
	atomic_int loads, running, wrong;
	int fail_first; /* so many loads fail */
};

/* A load that waits until the gate opens. */
static int load_slowly(void *ctx, void *buf, struct error *err)
{
	struct gate *g = ctx;
	struct source s = { 1, NULL, 0 };
	int mine = ++g->loads;
	pthread_mutex_lock(&g->lock);
	while (!g->open)
		pthread_cond_wait(&g->moved, &g->lock);
	pthread_mutex_unlock(&g->lock);
	s.fail_with = mine <= g->fail_first ? -EIO : 0;
	return load(&s, buf, err);
}

static void *get_slowly(void *arg)
{
	struct gate *g = arg;
	struct cache_ref ref;
	g->running++;
	int r = cache_get(g->cache, 1, load_slowly, g, &ref, NULL);
	if (r) {
		g->wrong += r != -EIO;
		return arg;
	}
	g->wrong += !holds(&ref, 1);
	cache_put(g->cache, &ref);
	return NULL;
}

/* All want the same object while the first load is under way. Returns how many failed. */
static int crowd(struct gate *g, int fail_first)
{
	pthread_t threads[THREADS];
	int failed = 0;
	*g = (struct gate){ .cache = cache_new(64 * SIZE, SIZE), .fail_first = fail_first };
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->moved, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, get_slowly, g);
	while (g->running < THREADS || g->loads < 1)
		usleep(500);
	ok(cache_has(g->cache, 1), "what is being loaded counts as there");
	atomic_int others = 0;
	for (uint64_t key = 100; key < 150; key++) /* hashes into every shard: none is locked */
		touch(g->cache, key, &others);
	is_int(others, 50, "a load holds up no other");
	pthread_mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->moved);
	pthread_mutex_unlock(&g->lock);
	for (int i = 0; i < THREADS; i++) {
		void *answer;
		pthread_join(threads[i], &answer);
		failed += answer != NULL;
	}
	cache_free(g->cache);
	return failed;
}

static void test_crowd(void)
{
	struct gate g;
	is_int(crowd(&g, 0), 0, "all get it");
	is_int(g.loads, 1, "by one load");
	is_int(g.wrong, 0, "with the right bytes");
	is_int(crowd(&g, 2), 2, "two loads fail: two are told so");
	is_int(g.loads, 3, "the third serves all others");
	is_int(g.wrong, 0, "with the right bytes");
}

struct storm {
	struct cache *cache;
	uint64_t seed, keys;
	atomic_int *wrong, *loads;
};

static void *storm_main(void *arg)
{
	struct storm *s = arg;
	struct cache_ref held[3] = { 0 };
	uint64_t keys[3] = { 0 };
	for (int i = 0; i < 20000; i++) {
		int at = i % 3;
		if (held[at].data) {
			*s->wrong += !holds(&held[at], keys[at]);
			cache_put(s->cache, &held[at]);
		}
		keys[at] = test_random(&s->seed) % s->keys;
		struct source source = { keys[at], s->loads, test_random(&s->seed) % 50 ? 0 : -EIO };
		if (cache_get(s->cache, keys[at], load, &source, &held[at], NULL))
			held[at] = (struct cache_ref){ NULL, NULL };
	}
	for (int i = 0; i < 3; i++)
		if (held[i].data)
			cache_put(s->cache, &held[i]);
	return NULL;
}

static void test_storm(uint64_t seed, size_t slots)
{
	struct storm storms[THREADS];
	pthread_t threads[THREADS];
	atomic_int wrong = 0, loads = 0;
	struct cache *c = cache_new(slots * SIZE, SIZE);
	for (int i = 0; i < THREADS; i++) {
		storms[i] = (struct storm){ c, seed + (uint64_t)i, 2 * slots, &wrong, &loads };
		pthread_create(&threads[i], NULL, storm_main, &storms[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	is_int(wrong, 0, "%zu slots: pinned objects never change (%d loads)", slots, loads);
	int kept = 0;
	struct cache_ref ref;
	for (uint64_t key = 0; key < 2 * slots; key++) {
		if (!cache_has(c, key))
			continue;
		kept++;
		wrong += !get(c, key, NULL, &ref);
		cache_put(c, &ref);
	}
	ok(wrong == 0 && kept > 0 && (size_t)kept <= slots, "%d of them are kept and right", kept);
	cache_free(c);
}

/* Memory is touched only when it is used. */
static size_t resident(void)
{
	size_t pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (!f || fscanf(f, "%*u %zu", &pages) != 1)
		bail("cannot read statm");
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void test_memory(void)
{
	size_t before = resident();
	struct cache *c = cache_new((size_t)1 << 30, 65536);
	ok(resident() - before < (size_t)16 << 20, "1 GiB of cache that nobody uses is not there");
	cache_free(c);
}

int main(void)
{
	uint64_t seed = test_seed();
	test_memory();
	test_one();
	test_failed_load();
	test_clock();
	test_warm();
	test_all_pinned();
	test_crowd();
	test_storm(seed, 5);
	test_storm(seed, 40);
	test_storm(seed, 1024);
	return done_testing();
}
