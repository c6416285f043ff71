/* SPDX-License-Identifier: Apache-2.0 */
/* The table of chunks on their way and the queue of those to take: open addressing by chunk with removal
 * by shifting back, and a ring. All under absorb.lock. */
#include "store/disk_int.h"

#include <stdlib.h>

static size_t home(const struct absorb *a, uint64_t chunk)
{
	return (size_t)(chunk * 0x9e3779b97f4a7c15u >> 20) & (a->room - 1);
}

struct move *absorb_find(struct absorb *a, uint64_t chunk)
{
	if (a->used == 0)
		return NULL;
	for (size_t i = home(a, chunk);; i = (i + 1) & (a->room - 1)) {
		struct move *m = &a->table[i];
		if (m->state == MOVE_FREE)
			return NULL;
		if (m->chunk == chunk)
			return m;
	}
}

static struct move *free_slot(struct absorb *a, uint64_t chunk)
{
	size_t i = home(a, chunk);
	while (a->table[i].state != MOVE_FREE)
		i = (i + 1) & (a->room - 1);
	return &a->table[i];
}

static void grow_table(struct absorb *a)
{
	struct move *old = a->table;
	size_t room = a->room;
	a->room = room ? 2 * room : 256;
	a->table = calloc(a->room, sizeof *a->table);
	if (!a->table)
		abort();
	for (size_t i = 0; i < room; i++)
		if (old[i].state != MOVE_FREE)
			*free_slot(a, old[i].chunk) = old[i];
	free(old);
}

struct move *absorb_add(struct absorb *a, uint64_t chunk)
{
	if (2 * (a->used + 1) > a->room)
		grow_table(a);
	struct move *m = free_slot(a, chunk);
	*m = (struct move){ .chunk = chunk, .state = MOVE_QUEUED };
	atomic_store(&a->moves, ++a->used);
	return m;
}

void absorb_remove(struct absorb *a, struct move *m)
{
	size_t hole = (size_t)(m - a->table), mask = a->room - 1;
	for (size_t i = (hole + 1) & mask; a->table[i].state != MOVE_FREE; i = (i + 1) & mask) {
		size_t want = home(a, a->table[i].chunk);
		if (((i - want) & mask) < ((i - hole) & mask))
			continue;
		a->table[hole] = a->table[i];
		hole = i;
	}
	a->table[hole].state = MOVE_FREE;
	atomic_store(&a->moves, --a->used);
	if (a->used == 0) { /* a quiet disk is small */
		free(a->queue); /* it has nothing that is still QUEUED */
		a->queue = NULL;
		a->queue_room = 0;
		a->popped = a->pushed;
		free(a->table);
		a->table = NULL;
		a->room = 0;
	}
}

void absorb_enqueue(struct absorb *a, uint64_t chunk)
{
	if (a->pushed - a->popped == a->queue_room) {
		size_t room = a->queue_room ? 2 * a->queue_room : 64;
		uint64_t *queue = calloc(room, sizeof *queue);
		if (!queue)
			abort();
		for (uint64_t i = a->popped; i < a->pushed; i++)
			queue[i % room] = a->queue[i % a->queue_room];
		free(a->queue);
		a->queue = queue;
		a->queue_room = room;
	}
	a->queue[a->pushed++ % a->queue_room] = chunk;
}

/* The next chunk that is still QUEUED; NULL when there is none. */
struct move *absorb_dequeue(struct absorb *a)
{
	while (a->popped < a->pushed) {
		struct move *m = absorb_find(a, a->queue[a->popped++ % a->queue_room]);
		if (m && m->state == MOVE_QUEUED)
			return m;
	}
	return NULL;
}
