/* SPDX-License-Identifier: Apache-2.0 */
/* cache: slots, in shards.
 *
 *      EMPTY --cache_get(): claim--> LOADING --settle(): loaded--> READY --evict()--> EMPTY
 *                                       |
 *                                       +--settle(): failed--> EMPTY
 *
 * state    | in table | in free list | pins             | bytes
 * EMPTY    | no       | yes          | 0                | none
 * LOADING  | yes      | no           | 1: the loader's  | the loader writes, nobody reads
 * READY    | yes      | no           | readers          | constant
 *
 * 1. A key is in the table once at most: of those who miss at the same time one loads, the rest
 *    waits for `settled`. When the load failed, each of them tries in turn.
 * 2. Bytes change only in LOADING, and that is reached only from pins == 0.
 * 3. A shard's lock is never held while a loader runs, and never together with another shard's.
 *
 * A key's shard, slots and bytes are its own: nothing is shared between shards. Bytes are one
 * anonymous mapping; free slots are taken from the bottom up, so that memory is touched only
 * when it is needed.
 */
#include "store/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/num.h"

#define SHARDS_MOST 16u
#define SHARD_SLOTS_LEAST 32u /* a shard with few slots runs out of them by chance */

enum state { EMPTY, LOADING, READY };

struct slot {
	struct shard *shard;
	struct slot *next; /* in its bucket, or in the free list */
	uint64_t key;
	unsigned pins;
	enum state state;
	bool ahead; /* loaded for somebody who has not come yet */
	bool used;  /* since the clock hand came by */
};

struct shard {
	pthread_mutex_t lock;    /* guards everything below, and the slots */
	pthread_cond_t settled;  /* a slot left LOADING */
	unsigned waiting;
	struct slot *slots, *free;
	struct slot **buckets;
	size_t n_slots, n_buckets, hand;
	struct cache_stat stat;
} __attribute__((aligned(64)));

struct cache {
	char *bytes;
	size_t n_bytes, object_size, n_slots;
	struct slot *slots;
	unsigned n_shards; /* a power of two */
	struct shard shards[];
};

/* --- life --- */

static void shard_init(struct shard *s, struct slot *slots, size_t n)
{
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->settled, NULL);
	s->slots = slots;
	s->n_slots = n;
	s->n_buckets = 8;
	while (s->n_buckets < n)
		s->n_buckets *= 2;
	s->buckets = calloc(s->n_buckets, sizeof(struct slot *));
	if (!s->buckets)
		abort();
	for (size_t i = n; i-- > 0;) { /* the lowest comes out first */
		slots[i].shard = s;
		slots[i].next = s->free;
		s->free = &slots[i];
	}
}

static unsigned shards_for(size_t n_slots)
{
	unsigned n = 1;
	while (n < SHARDS_MOST && n_slots / (2 * n) >= SHARD_SLOTS_LEAST)
		n *= 2;
	return n;
}

struct cache *cache_new(size_t bytes, size_t object_size)
{
	size_t n_slots = MAX(bytes / object_size, (size_t)1);
	unsigned n_shards = shards_for(n_slots);
	size_t size = sizeof(struct cache) + n_shards * sizeof(struct shard);
	struct cache *c = aligned_alloc(64, round_up(size, 64));
	if (!c)
		abort();
	memset(c, 0, size);
	c->n_slots = n_slots;
	c->n_shards = n_shards;
	c->object_size = object_size;
	c->n_bytes = n_slots * object_size;
	c->bytes = mmap(NULL, c->n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	c->slots = calloc(n_slots, sizeof *c->slots);
	if (c->bytes == MAP_FAILED || !c->slots)
		abort();
	for (unsigned i = 0; i < n_shards; i++) {
		size_t first = n_slots * i / n_shards, end = n_slots * (i + 1) / n_shards;
		shard_init(&c->shards[i], c->slots + first, end - first);
	}
	return c;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->n_shards; i++) {
		pthread_mutex_destroy(&c->shards[i].lock);
		pthread_cond_destroy(&c->shards[i].settled);
		free(c->shards[i].buckets);
	}
	munmap(c->bytes, c->n_bytes);
	free(c->slots);
	free(c);
}

/* --- finding; the shard is locked --- */

static uint64_t mix(uint64_t key)
{
	key = (key ^ key >> 32) * 0x9e3779b97f4a7c15;
	return key ^ key >> 29;
}

static struct shard *shard_of(struct cache *c, uint64_t key) { return &c->shards[mix(key) & (c->n_shards - 1)]; }

static void *bytes_of(struct cache *c, const struct slot *slot)
{
	return c->bytes + (size_t)(slot - c->slots) * c->object_size;
}

/* The link that points to the key's slot, or the NULL where it would go. */
static struct slot **find_link(struct shard *s, uint64_t key)
{
	struct slot **link = &s->buckets[mix(key) >> 8 & (s->n_buckets - 1)];
	while (*link && (*link)->key != key)
		link = &(*link)->next;
	return link;
}

static void to_empty(struct shard *s, struct slot *slot)
{
	*find_link(s, slot->key) = slot->next;
	slot->state = EMPTY;
	slot->pins = 0;
	slot->next = s->free;
	s->free = slot;
}

/* One slot to EMPTY, if any can be: two rounds of the clock hand find it, the first one clears `used`. */
static void evict(struct shard *s)
{
	for (size_t i = 0; i < 2 * s->n_slots; i++) {
		struct slot *slot = &s->slots[s->hand];
		s->hand = (s->hand + 1) % s->n_slots;
		if (slot->pins)
			continue;
		if (!slot->used) {
			to_empty(s, slot);
			return;
		}
		slot->used = false;
	}
}

/* A slot in LOADING for this key; NULL when all are pinned. */
static struct slot *claim(struct shard *s, uint64_t key)
{
	if (!s->free)
		evict(s);
	struct slot *slot = s->free;
	if (!slot)
		return NULL;
	s->free = slot->next;
	struct slot **link = find_link(s, key);
	slot->key = key;
	slot->state = LOADING;
	slot->pins = 1;
	slot->ahead = slot->used = false;
	slot->next = *link;
	*link = slot;
	return slot;
}

/* The key's slot when it is READY, pinned. Waits while it is LOADING. NULL: not there. */
static struct slot *pin_ready(struct shard *s, uint64_t key)
{
	struct slot *slot;
	while ((slot = *find_link(s, key)) && slot->state == LOADING) {
		s->waiting++;
		pthread_cond_wait(&s->settled, &s->lock);
		s->waiting--;
	}
	if (slot) {
		slot->pins++;
		slot->used = !slot->ahead;
		slot->ahead = false;
	}
	return slot;
}

/* --- the interface --- */

static void settle(struct slot *slot, int result)
{
	struct shard *s = slot->shard;
	WITH_LOCK(&s->lock);
	if (result)
		to_empty(s, slot);
	else
		slot->state = READY;
	if (s->waiting)
		pthread_cond_broadcast(&s->settled);
}

/* No room at all: an object of the caller's own. */
static int load_private(struct cache *c, cache_load load, void *ctx, struct cache_ref *ret, struct error *err)
{
	AUTO_FREE void *buf = malloc(c->object_size);
	if (!buf)
		return fail(err, -ENOMEM, "no memory for an object of %zu bytes", c->object_size);
	int r = load(ctx, buf, err);
	if (r)
		return r;
	*ret = (struct cache_ref){ .data = steal(&buf), .slot = NULL };
	return 0;
}

/* Load what was claimed; it stays pinned when that went well. */
static int fill(struct cache *c, struct slot *slot, cache_load load, void *ctx, struct error *err)
{
	int r = load(ctx, bytes_of(c, slot), err);
	settle(slot, r);
	return r;
}

int cache_get(struct cache *c, uint64_t key, cache_load load, void *ctx, struct cache_ref *ret, struct error *err)
{
	struct shard *s = shard_of(c, key);
	struct slot *slot;
	bool ready;
	{
		WITH_LOCK(&s->lock);
		slot = pin_ready(s, key);
		ready = slot;
		s->stat.hits += ready;
		s->stat.misses += !ready;
		if (!ready)
			slot = claim(s, key);
	}
	if (!slot)
		return load_private(c, load, ctx, ret, err);
	int r = ready ? 0 : fill(c, slot, load, ctx, err);
	if (r)
		return r;
	*ret = (struct cache_ref){ .data = bytes_of(c, slot), .slot = slot };
	return 0;
}

static void unpin(struct slot *slot)
{
	WITH_LOCK(&slot->shard->lock);
	slot->pins--;
}

int cache_warm(struct cache *c, uint64_t key, cache_load load, void *ctx, struct error *err)
{
	struct shard *s = shard_of(c, key);
	struct slot *slot;
	{
		WITH_LOCK(&s->lock);
		slot = *find_link(s, key) ? NULL : claim(s, key);
		if (!slot)
			return 0;
		slot->ahead = true;
	}
	int r = fill(c, slot, load, ctx, err);
	if (!r)
		unpin(slot);
	return r;
}

void cache_put(struct cache *c, struct cache_ref *ref)
{
	(void)c;
	struct slot *slot = ref->slot;
	if (slot)
		unpin(slot);
	else
		free((void *)(uintptr_t)ref->data);
	*ref = (struct cache_ref){ NULL, NULL };
}

bool cache_has(struct cache *c, uint64_t key)
{
	struct shard *s = shard_of(c, key);
	WITH_LOCK(&s->lock);
	return *find_link(s, key);
}

void cache_stat(struct cache *c, struct cache_stat *ret)
{
	*ret = (struct cache_stat){ 0, 0 };
	for (unsigned i = 0; i < c->n_shards; i++) {
		WITH_LOCK(&c->shards[i].lock);
		ret->hits += c->shards[i].stat.hits;
		ret->misses += c->shards[i].stat.misses;
	}
}
