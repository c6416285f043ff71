/* SPDX-License-Identifier: Apache-2.0 */
#include "base/room.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/num.h"

struct room {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	unsigned total, left;
	uint64_t tickets, turn; /* given out; whose turn it is */
};

struct room *room_new(unsigned total)
{
	struct room *room = calloc(1, sizeof *room);
	if (!room)
		abort();
	pthread_mutex_init(&room->lock, NULL);
	pthread_cond_init(&room->changed, NULL);
	room->total = room->left = total;
	return room;
}

void room_free(struct room *room)
{
	if (!room)
		return;
	pthread_mutex_destroy(&room->lock);
	pthread_cond_destroy(&room->changed);
	free(room);
}

unsigned room_take(struct room *room, unsigned amount)
{
	WITH_LOCK(&room->lock);
	uint64_t ticket = room->tickets++;
	amount = MIN(amount, room->total);
	while (room->turn != ticket || room->left < amount)
		pthread_cond_wait(&room->changed, &room->lock);
	room->turn++;
	room->left -= amount;
	pthread_cond_broadcast(&room->changed);
	return amount;
}

void room_give(struct room *room, unsigned taken)
{
	WITH_LOCK(&room->lock);
	room->left += taken;
	pthread_cond_broadcast(&room->changed);
}
