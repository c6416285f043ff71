/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/life.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"

struct life {
	pthread_mutex_t lock; /* guards users, ending */
	unsigned users;
	bool ending;
	bool linger; /* fixed */
	int wake;
};

struct life *life_new(bool linger)
{
	struct life *l = calloc(1, sizeof *l);
	if (!l)
		abort();
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake < 0)
		abort();
	pthread_mutex_init(&l->lock, NULL);
	l->linger = linger;
	return l;
}

void life_free(struct life *l)
{
	if (!l)
		return;
	close(l->wake);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* With the lock held. */
static void begin_to_end(struct life *l)
{
	uint64_t one = 1;
	if (l->ending)
		return;
	l->ending = true;
	if (write(l->wake, &one, sizeof one) != sizeof one)
		abort(); /* an eventfd at zero takes a one */
}

static void end_if_alone(struct life *l)
{
	if (l->users == 0 && !l->linger)
		begin_to_end(l);
}

bool life_enter(struct life *l)
{
	WITH_LOCK(&l->lock);
	if (!l->ending)
		l->users++;
	return !l->ending;
}

void life_leave(struct life *l)
{
	WITH_LOCK(&l->lock);
	l->users--;
	end_if_alone(l);
}

void life_end(struct life *l)
{
	WITH_LOCK(&l->lock);
	begin_to_end(l);
}

void life_give_up(struct life *l)
{
	WITH_LOCK(&l->lock);
	end_if_alone(l);
}

bool life_lingers(const struct life *l) { return l->linger; }
int life_wake_fd(const struct life *l) { return l->wake; }
