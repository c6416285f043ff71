/* SPDX-License-Identifier: Apache-2.0 */
#include "front/habits.h"

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/num.h"

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

void habit_made(struct habits *h, uint32_t pid, uint64_t image)
{
	if (!pid)
		return;
	WITH_LOCK(&h->lock);
	struct trace *t = trace_of(h, pid, image);
	t->made = t->fills = true;
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

void habit_read_link(struct habits *h, uint32_t pid, uint64_t image, const char *text)
{
	uint64_t sum = sum_of(text);
	if (!pid)
		return;
	WITH_LOCK(&h->lock);
	trace_of(h, pid, image)->link = sum;
}

bool habit_brings_link(struct habits *h, uint32_t pid, uint64_t image, const char *text)
{
	uint64_t sum = sum_of(text);
	bool made = false, read = false;
	WITH_LOCK(&h->lock);
	int64_t now = clock_mono();
	for (unsigned i = 0; pid && i < TRACES; i++) {
		const struct trace *t = &h->traces[i];
		if (t->pid != pid || now - t->at >= COPY_FOR)
			continue;
		made |= t->image == image && t->made;
		read |= t->image != image && t->link == sum;
	}
	return made && read;
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
