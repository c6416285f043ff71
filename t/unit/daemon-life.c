/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/life.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tap.h"

static bool is_ending(struct life *l)
{
	struct pollfd p = { .fd = life_wake_fd(l), .events = POLLIN };
	return poll(&p, 1, 0) == 1;
}

static void test_last_one(void)
{
	struct life *l = life_new(false);
	life_give_up(l);
	ok(is_ending(l), "nobody ever came: it ends");
	ok(!life_enter(l), "and lets nobody in any more");
	life_free(l);

	l = life_new(false);
	ok(life_enter(l) && life_enter(l), "two come");
	life_give_up(l);
	ok(!is_ending(l), "somebody is there: it stays");
	life_leave(l);
	ok(!is_ending(l), "one is left: it stays");
	life_leave(l);
	ok(is_ending(l), "the last one left: it ends");
	life_free(l);
}

static void test_lingering(void)
{
	struct life *l = life_new(true);
	ok(life_lingers(l), "one that lingers");
	life_enter(l);
	life_leave(l);
	life_give_up(l);
	ok(!is_ending(l), "stays without anybody");
	life_enter(l);
	life_end(l);
	ok(is_ending(l), "and ends when asked to, whoever is there");
	life_leave(l);
	life_free(l);
}

/* Many come and go at once: whoever was let in finds it alive until they leave. */
struct crowd {
	struct life *life;
	atomic_uint inside, let_in, wrong;
};

static void *come_and_go(void *arg)
{
	struct crowd *c = arg;
	for (int i = 0; i < 2000 && life_enter(c->life); i++) {
		atomic_fetch_add(&c->let_in, 1);
		if (is_ending(c->life))
			atomic_fetch_add(&c->wrong, 1);
		life_leave(c->life);
	}
	return NULL;
}

static void test_crowd(void)
{
	for (int round = 0; round < 50; round++) {
		struct crowd c = { .life = life_new(false) };
		pthread_t threads[4];
		for (int i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, come_and_go, &c);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		if (!c.let_in || c.wrong || !is_ending(c.life)) {
			ok(false, "round %d: %u let in, %u found it ending", round, c.let_in, c.wrong);
			life_free(c.life);
			return;
		}
		life_free(c.life);
	}
	ok(true, "nobody is let in and then left alone");
}

int main(void)
{
	test_last_one();
	test_lingering();
	test_crowd();
	return done_testing();
}
