/* SPDX-License-Identifier: Apache-2.0 */
#include "front/habits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static bool read_proc(uint32_t pid, const char *file, char *ret, size_t room)
{
	char path[48];
	snprintf(path, sizeof path, "/proc/%u/%s", pid, file);
	AUTO_FD int fd = pid ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd < 0 ? -1 : read(fd, ret, room - 1);
	ret[n > 0 ? n : 0] = 0;
	return n > 0;
}

uint32_t process_of(uint32_t pid)
{
	char text[512] = "";
	const char *at = read_proc(pid, "status", text, sizeof text) ? strstr(text, "\nTgid:") : NULL;
	return at ? (uint32_t)strtoul(at + 6, NULL, 10) : pid;
}

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
	uint32_t process = process_of(pid);
	if (!pid)
		return;
	WITH_LOCK(&h->lock);
	struct trace *t = trace_of(h, pid, image);
	t->made = t->fills = true;
	t->process = process;
}

static bool is_alive(uint32_t process)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/%u", process);
	return access(path, F_OK) == 0;
}

/* Who made it, if that was a moment ago. It is a longer one with each thing that is done there. */
static struct trace *maker_of(struct habits *h, uint64_t image)
{
	int64_t now = clock_mono();
	for (struct trace *t = h->traces; t < h->traces + TRACES; t++)
		if (t->image == image && t->made && now - t->at < COPY_FOR)
			return t;
	return NULL;
}

bool habit_restores_image(struct habits *h, uint32_t pid, uint64_t image)
{
	WITH_LOCK(&h->lock);
	struct trace *t = pid ? maker_of(h, image) : NULL;
	bool restores = t && (t->pid == pid || t->process == process_of(pid) || (t->protects && is_alive(t->process)));
	if (restores)
		t->at = clock_mono();
	return restores;
}

void habit_protects(struct habits *h, uint32_t pid, uint64_t image)
{
	WITH_LOCK(&h->lock);
	struct trace *t = pid ? maker_of(h, image) : NULL;
	if (t && (t->pid == pid || t->process == process_of(pid)))
		t->protects = true;
}

bool habit_is_rsync(uint32_t pid)
{
	char name[32];
	return read_proc(pid, "comm", name, sizeof name) && strcmp(name, "rsync\n") == 0;
}

bool habit_is_ln(uint32_t pid)
{
	char name[32];
	return !read_proc(pid, "comm", name, sizeof name) || strcmp(name, "ln\n") == 0;
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

/* ---- generated files that are restored ------------------------------------------------------------------ */

static void note_file(struct habits *h, uint32_t pid, uint64_t node, bool gone, uint64_t name, uint64_t size)
{
	if (!pid)
		return;
	pid = process_of(pid);
	WITH_LOCK(&h->lock);
	struct trace *t = trace_of(h, pid, node);
	t->gone = gone;
	t->name = name ? name : gone ? 0 : t->name;
	t->size = size;
}

void habit_took_away(struct habits *h, uint32_t pid, uint64_t node) { note_file(h, pid, node, true, 0, 0); }

void habit_restores(struct habits *h, uint32_t pid, uint64_t node, const char *name)
{
	note_file(h, pid, node, false, sum_of(name), 0);
}

void habit_restored(struct habits *h, uint32_t pid, uint64_t node, uint64_t end) { note_file(h, pid, node, false, 0, end + 1); }

/* What is known of it, by whichever thread. Asks for the process only if there is something of this file. */
static bool find_file(struct habits *h, uint32_t pid, uint64_t node, struct trace *ret)
{
	uint32_t process = 0;
	WITH_LOCK(&h->lock);
	int64_t now = clock_mono();
	for (const struct trace *t = h->traces; pid && t < h->traces + TRACES; t++) {
		if (t->image != node || now - t->at >= COPY_FOR)
			continue;
		process = process ? process : process_of(pid);
		*ret = *t;
		if (t->pid == process)
			return true;
	}
	return false;
}

bool habit_is_gone(struct habits *h, uint32_t pid, uint64_t node)
{
	struct trace t;
	return find_file(h, pid, node, &t) && t.gone;
}

bool habit_has_name(struct habits *h, uint32_t pid, uint64_t node, const char *name)
{
	struct trace t;
	return find_file(h, pid, node, &t) && t.name == sum_of(name);
}

bool habit_size(struct habits *h, uint32_t pid, uint64_t node, uint64_t *ret)
{
	struct trace t;
	if (!find_file(h, pid, node, &t) || !t.size)
		return false;
	*ret = t.size - 1;
	return true;
}

bool habit_opens_like_cp(int flags)
{
	return (flags & (O_ACCMODE | O_NONBLOCK | O_CLOEXEC | O_NOATIME | O_DIRECT)) == O_RDONLY;
}
