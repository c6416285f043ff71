/* SPDX-License-Identifier: Apache-2.0 */
/* Chains in a fixed number of buckets: tests are small, and 64 Ki buckets serve a million objects. */
#include "index_mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"

#define BUCKETS 65536u

struct entry {
	struct entry *next;
	uint32_t domain;
	struct hash hash;
	struct place place;
	uint32_t lender; /* borrowed from there; 0: it lies at `place` */
};

struct index_mem {
	pthread_mutex_t lock; /* guards everything below */
	size_t count;
	struct entry *buckets[BUCKETS];
};

struct index_mem *index_mem_new(void)
{
	struct index_mem *m = calloc(1, sizeof *m);
	if (!m)
		abort();
	pthread_mutex_init(&m->lock, NULL);
	return m;
}

void index_mem_free(struct index_mem *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (m->buckets[i]) {
			struct entry *e = m->buckets[i];
			m->buckets[i] = e->next;
			free(e);
		}
	}
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* The link that points to the entry, or the NULL at the end of the chain where it would go. */
static struct entry **find_link(struct index_mem *m, uint32_t domain, const struct hash *hash)
{
	struct entry **link = &m->buckets[(get_le16(hash->b) ^ domain) % BUCKETS];
	while (*link && ((*link)->domain != domain || !hash_equal(&(*link)->hash, hash)))
		link = &(*link)->next;
	return link;
}

static int find(void *ctx, uint32_t domain, const struct hash *hash, struct found *ret)
{
	struct index_mem *m = ctx;
	WITH_LOCK(&m->lock);
	struct entry *e = *find_link(m, domain, hash);
	if (e && e->lender)
		e = *find_link(m, e->lender, hash);
	if (!e)
		return -ENOENT;
	*ret = (struct found){ .place = e->place, .domain = e->domain, .sure = true };
	return 0;
}

struct index index_mem_index(struct index_mem *m) { return (struct index){ .find = find, .ctx = m }; }

/* The entry, made if it is not there. */
static struct entry *entry_of(struct index_mem *m, uint32_t domain, const struct hash *hash)
{
	struct entry **link = find_link(m, domain, hash);
	if (!*link) {
		struct entry *e = calloc(1, sizeof *e);
		if (!e)
			abort();
		e->domain = domain;
		e->hash = *hash;
		*link = e;
		m->count++;
	}
	return *link;
}

void index_mem_insert(struct index_mem *m, uint32_t domain, const struct hash *hash, const struct place *place)
{
	WITH_LOCK(&m->lock);
	struct entry *e = entry_of(m, domain, hash);
	e->place = *place;
	e->lender = 0;
}

void index_mem_borrow(struct index_mem *m, uint32_t domain, const struct hash *hash, uint32_t lender)
{
	WITH_LOCK(&m->lock);
	entry_of(m, domain, hash)->lender = lender;
}

bool index_mem_remove(struct index_mem *m, uint32_t domain, const struct hash *hash)
{
	WITH_LOCK(&m->lock);
	struct entry **link = find_link(m, domain, hash);
	struct entry *e = *link;
	if (!e)
		return false;
	*link = e->next;
	free(e);
	m->count--;
	return true;
}

size_t index_mem_count(struct index_mem *m)
{
	WITH_LOCK(&m->lock);
	return m->count;
}
