/* SPDX-License-Identifier: Apache-2.0 */
#include "store/bad.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct bad {
	_Atomic unsigned count; /* changed under the lock */
	pthread_mutex_t lock;   /* guards the items */
	struct bad_object items[BAD_MOST];
};

struct bad *bad_new(void)
{
	struct bad *b = calloc(1, sizeof *b);
	if (!b)
		abort();
	pthread_mutex_init(&b->lock, NULL);
	return b;
}

void bad_free(struct bad *b)
{
	if (!b)
		return;
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* Two objects have no place in common. */
static bool lies_at(const struct bad_object *o, const struct place *p)
{
	return o->place.pack == p->pack && o->place.offset == p->offset;
}

/* Under the lock. The item, or the end. */
static unsigned find(const struct bad *b, const struct place *p)
{
	unsigned i = 0;
	while (i < b->count && !lies_at(&b->items[i], p))
		i++;
	return i;
}

void bad_note(struct bad *b, uint32_t domain, const struct hash *hash, const struct place *place)
{
	WITH_LOCK(&b->lock);
	unsigned i = find(b, place);
	if (i == BAD_MOST || i < b->count)
		return;
	b->items[i] = (struct bad_object){ { *hash, domain }, *place };
	b->count++;
}

bool bad_any(struct bad *b) { return atomic_load(&b->count) > 0; }

bool bad_has(struct bad *b, const struct place *place)
{
	if (!bad_any(b))
		return false;
	WITH_LOCK(&b->lock);
	return find(b, place) < b->count;
}

unsigned bad_list(struct bad *b, struct bad_object *ret)
{
	WITH_LOCK(&b->lock);
	memcpy(ret, b->items, b->count * sizeof *ret);
	return b->count;
}

void bad_done(struct bad *b, const struct bad_object *items, unsigned count)
{
	WITH_LOCK(&b->lock);
	for (unsigned i = 0; i < count; i++) {
		unsigned at = find(b, &items[i].place);
		if (at < b->count)
			b->items[at] = b->items[--b->count];
	}
}
