/* SPDX-License-Identifier: Apache-2.0 */
#include "front/habits.h"

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/num.h"
#include "domain/who.h"
#include "keeper/hold.h"

#define FILLS_FOR ((int64_t)2000000000)
#define COPY_FOR ((int64_t)60000000000) /* between making a directory and bringing its link */

void habits_begin(struct habits *h) { pthread_mutex_init(&h->lock, NULL); }
void habits_end(struct habits *h) { pthread_mutex_destroy(&h->lock); }

/* Called with the lock. */
static struct trace *trace_of(struct habits *h, uint32_t pid, uint64_t image)
{
	unsigned i = 0;
	while (i < TRACES && (h->traces[i].pid != pid || h->traces[i].image != image))
		i++;
	struct trace *t = &h->traces[i < TRACES ? i : h->next++ % TRACES];
	if (i == TRACES || clock_mono() - t->at >= COPY_FOR) /* another one's, or that of a process of old */
		*t = (struct trace){ .pid = pid, .image = image };
	t->at = clock_mono();
	return t;
}

void habit_fills(struct habits *h, uint32_t pid, uint64_t image)
{
	if (!pid)
		return;
	WITH_LOCK(&h->lock);
	trace_of(h, pid, image)->fills = true;
}

static uint64_t sum_of(const char *text)
{
	struct hash h;
	hash_of(text, strlen(text), &h);
	return get_le64(h.b);
}

void habit_read_link(struct habits *h, struct hold *hold, const struct who *w, uint64_t image, const char *text)
{
	struct hold_read read = { w->conn, w->pid, image, sum_of(text), clock_mono() };
	if (!w->pid)
		return;
	hold_read_add(hold, &read);
	WITH_LOCK(&h->lock);
	trace_of(h, w->pid, image)->link = read.sum;
}

bool habit_brings_link(struct habits *h, struct hold *hold, const struct who *w, uint64_t image, const char *text)
{
	struct hold_read read = { w->conn, w->pid, image, sum_of(text), clock_mono() - COPY_FOR };
	if (!w->pid)
		return false;
	WITH_LOCK(&h->lock);
	for (const struct trace *t = h->traces; t < h->traces + TRACES; t++)
		if (t->pid == w->pid && t->at > read.time && t->image != image && t->link == read.sum)
			return true;
	return hold_read_find(hold, &read);
}

bool habit_fills_another(struct habits *h, uint32_t pid, uint64_t image)
{
	WITH_LOCK(&h->lock);
	int64_t now = clock_mono();
	for (const struct trace *t = h->traces; pid && t < h->traces + TRACES; t++)
		if (t->pid == pid && t->image != image && t->fills && now - t->at < FILLS_FOR)
			return true;
	return false;
}

bool habit_opens_like_cp(int flags)
{
	return (flags & (O_ACCMODE | O_NONBLOCK | O_CLOEXEC | O_NOATIME | O_DIRECT)) == O_RDONLY;
}
