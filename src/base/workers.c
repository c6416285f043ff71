/* SPDX-License-Identifier: Apache-2.0 */
#include "base/workers.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"

struct job {
	work_fn fn;
	void *arg;
};

struct workers {
	pthread_mutex_t lock; /* guards everything below but `threads` */
	pthread_cond_t filled, drained;
	struct job *ring;
	unsigned size, first, count;
	bool ending;
	unsigned n_threads;
	pthread_t threads[];
};

static bool next_job(struct workers *w, struct job *ret)
{
	WITH_LOCK(&w->lock);
	while (w->count == 0 && !w->ending)
		pthread_cond_wait(&w->filled, &w->lock);
	if (w->count == 0)
		return false;
	*ret = w->ring[w->first];
	w->first = (w->first + 1) % w->size;
	w->count--;
	pthread_cond_signal(&w->drained);
	return true;
}

static void *thread_main(void *arg)
{
	struct job job;
	while (next_job(arg, &job))
		job.fn(job.arg);
	return NULL;
}

static void *idle_main(void *arg)
{
	sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 });
	return thread_main(arg);
}

static struct workers *make(const char *name, void *(*main)(void *), unsigned threads, unsigned queue)
{
	struct workers *w = calloc(1, sizeof *w + threads * sizeof w->threads[0]);
	if (!w || !(w->ring = calloc(queue, sizeof *w->ring)))
		abort();
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->filled, NULL);
	pthread_cond_init(&w->drained, NULL);
	w->size = queue;
	w->n_threads = threads;
	for (unsigned i = 0; i < threads; i++) {
		char label[16];
		if (pthread_create(&w->threads[i], NULL, main, w))
			abort();
		snprintf(label, sizeof label, "%.10s-%u", name, i % 1000);
		pthread_setname_np(w->threads[i], label);
	}
	return w;
}

struct workers *workers_new(const char *name, unsigned threads, unsigned queue)
{
	return make(name, thread_main, threads, queue);
}

struct workers *workers_new_idle(const char *name, unsigned queue) { return make(name, idle_main, 1, queue); }

static void enqueue(struct workers *w, work_fn fn, void *arg)
{
	w->ring[(w->first + w->count) % w->size] = (struct job){ fn, arg };
	w->count++;
	pthread_cond_signal(&w->filled);
}

void workers_add(struct workers *w, work_fn fn, void *arg)
{
	WITH_LOCK(&w->lock);
	while (w->count == w->size)
		pthread_cond_wait(&w->drained, &w->lock);
	enqueue(w, fn, arg);
}

bool workers_try(struct workers *w, work_fn fn, void *arg)
{
	WITH_LOCK(&w->lock);
	if (w->count == w->size)
		return false;
	enqueue(w, fn, arg);
	return true;
}

void workers_free(struct workers *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->filled);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->n_threads; i++)
		pthread_join(w->threads[i], NULL);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->filled);
	pthread_cond_destroy(&w->drained);
	free(w->ring);
	free(w);
}

struct tally {
	pthread_mutex_t lock; /* guards count */
	pthread_cond_t none;
	unsigned long count;
};

struct tally *tally_new(void)
{
	struct tally *t = calloc(1, sizeof *t);
	if (!t)
		abort();
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->none, NULL);
	return t;
}

void tally_add(struct tally *t)
{
	WITH_LOCK(&t->lock);
	t->count++;
}

void tally_done(struct tally *t)
{
	WITH_LOCK(&t->lock);
	if (--t->count == 0)
		pthread_cond_broadcast(&t->none);
}

void tally_wait(struct tally *t)
{
	WITH_LOCK(&t->lock);
	while (t->count)
		pthread_cond_wait(&t->none, &t->lock);
}

void tally_free(struct tally *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->none);
	free(t);
}
