/* SPDX-License-Identifier: Apache-2.0 */
/* hold: what one daemon wrote, the next one finds, whole, whenever the first was killed. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper/hold.h"
#include "tap.h"

static struct hold *map_or_bail(int fd)
{
	struct hold *h;
	struct error err;

	if (hold_map(&h, fd, &err) < 0)
		bail("%s", err.text);
	return h;
}

/* Every field follows from (conn, fh, version), so that a mixture of two is seen. */
static struct hold_handle make_handle(uint32_t conn, uint64_t fh, uint32_t version)
{
	struct hold_handle x = { .conn = conn, .flags = version * 3, .fh = fh, .node = fh * 7 + version,
				 .object = fh ^ version, .uid = version + 1, .pid = version + 2,
				 .size = (uint64_t)version << 33, .pin = version, .marks = 0 };
	memset(x.root, (int)(version & 0xff), sizeof x.root);
	return x;
}

static bool is_version(const struct hold_handle *x, uint32_t version)
{
	struct hold_handle want = make_handle(x->conn, x->fh, version);

	want.marks = x->marks;
	return memcmp(&want, x, sizeof want) == 0;
}

static int count_one(void *ctx, const struct hold_handle *x)
{
	(void)x;
	++*(unsigned *)ctx;
	return 0;
}

static unsigned count(struct hold *h)
{
	unsigned n = 0;

	hold_handle_each(h, count_one, &n);
	return n;
}

static int stop_at_second(void *ctx, const struct hold_handle *x)
{
	(void)x;
	return ++*(unsigned *)ctx == 2 ? 42 : 0;
}

static void test_handles(void)
{
	int fd = hold_create();
	struct hold *h = map_or_bail(fd);
	struct hold_handle a = make_handle(1, 10, 5), b = make_handle(2, 10, 6), c = make_handle(1, 12, 7), got;
	uint32_t marks = 0;
	unsigned n = 0;

	ok(!(fcntl(fd, F_GETFD) & FD_CLOEXEC), "the hold is inherited");
	ok(hold_handle_add(h, &a) == 0 && hold_handle_add(h, &b) == 0 && hold_handle_add(h, &c) == 0, "three handles");
	ok(hold_handle_get(h, 1, 10, &got) && is_version(&got, 5), "found by connection and number");
	ok(hold_handle_get(h, 2, 10, &got) && is_version(&got, 6), "the same number of another connection is another");
	ok(!hold_handle_get(h, 3, 10, &got) && !hold_handle_get(h, 1, 11, &got), "others are not found");
	a = make_handle(1, 10, 8);
	is_int(hold_handle_add(h, &a), 0, "adding again");
	ok(count(h) == 3 && hold_handle_get(h, 1, 10, &got) && is_version(&got, 8), "replaces");
	a = make_handle(1, 10, 9);
	ok(hold_handle_set(h, &a) && hold_handle_get(h, 1, 10, &got) && is_version(&got, 9), "set changes");
	a = make_handle(9, 9, 9);
	ok(!hold_handle_set(h, &a) && count(h) == 3, "set of one that is not there changes nothing");
	ok(hold_handle_mark(h, 1, 10, 6, 0, &marks) && marks == 6, "marks are set");
	ok(hold_handle_mark(h, 1, 10, 1, 2, &marks) && marks == 5, "marks are set and cleared");
	ok(!hold_handle_mark(h, 5, 5, 1, 0, NULL), "no marks on what is not there");
	is_int(hold_handle_each(h, stop_at_second, &n), 42, "the walk ends when told so");
	is_int(n, 2, "at that handle");
	hold_unmap(h);
	h = map_or_bail(fd);
	ok(hold_handle_get(h, 1, 10, &got) && is_version(&got, 9) && got.marks == 5, "the next daemon finds it, with its marks");
	is_int(count(h), 3, "and all the others");
	hold_handle_remove_conn(h, 1);
	ok(count(h) == 1 && hold_handle_get(h, 2, 10, &got), "a connection's handles go together");
	ok(hold_handle_remove(h, 2, 10) && !hold_handle_remove(h, 2, 10) && count(h) == 0, "a handle goes once");
	hold_unmap(h);
	close(fd);
}

static void test_full(void)
{
	int fd = hold_create(), r = 0;
	struct hold *h = map_or_bail(fd);
	struct hold_handle x, got;

	for (unsigned i = 0; i < HANDLES_MAX && r == 0; i++) {
		x = make_handle(i % 3, 2 * i, i);
		r = hold_handle_add(h, &x);
	}
	is_int(r, 0, "HANDLES_MAX files can be open");
	x = make_handle(7, 1, 1);
	is_int(hold_handle_add(h, &x), -ENFILE, "one more cannot");
	x = make_handle(0, 0, 99);
	ok(hold_handle_set(h, &x) && hold_handle_add(h, &x) == 0, "a full table can still be changed");
	hold_unmap(h);
	h = map_or_bail(fd);
	is_int(count(h), HANDLES_MAX, "a full table is found again");
	ok(hold_handle_get(h, 0, 0, &got) && is_version(&got, 99), "with the change");
	x = make_handle(7, 1, 1);
	is_int(hold_handle_add(h, &x), -ENFILE, "and is still full");
	ok(hold_handle_remove(h, 1, 2) && hold_handle_add(h, &x) == 0, "until one goes");
	hold_unmap(h);
	close(fd);
}

static void test_foreign(void)
{
	struct hold *h;
	struct error err;
	int small = memfd_create("small", MFD_CLOEXEC), fd = hold_create();

	is_int(hold_map(&h, small, &err), ERR_DAMAGED, "something else is refused");
	ok(pwrite(fd, "????", 4, 0) == 4 && hold_map(&h, fd, &err) == ERR_DAMAGED, "so is another layout");
	ok(ftruncate(fd, 0) < 0, "nobody can cut it short");
	close(small);
	close(fd);
}

/* ---- killed in the middle: the child carries out a sequence that follows from a seed, and says how far it is */

#define MODEL 64 /* (conn, fh) pairs */

struct step {
	unsigned at, what;
	uint32_t version;
};

static struct step next_step(uint64_t *seed, uint32_t number)
{
	uint64_t r = test_random(seed);

	return (struct step){ (unsigned)(r % MODEL), (unsigned)(r >> 32) % 4, number + 1 };
}

static void do_step(struct hold *h, struct step s)
{
	struct hold_handle x = make_handle(s.at % 3, s.at / 3, s.version);

	if (s.what == 0)
		hold_handle_remove(h, x.conn, x.fh);
	else if (s.what == 1)
		hold_handle_set(h, &x);
	else if (hold_handle_add(h, &x) < 0)
		_exit(1);
}

static void model_step(uint32_t model[MODEL], struct step s)
{
	if (s.what == 0)
		model[s.at] = 0;
	else if (s.what != 1 || model[s.at])
		model[s.at] = s.version;
}

static bool matches(struct hold *h, const uint32_t model[MODEL])
{
	unsigned there = 0;

	for (unsigned i = 0; i < MODEL; i++) {
		struct hold_handle got;
		bool found = hold_handle_get(h, i % 3, i / 3, &got);
		if (found != (model[i] != 0) || (found && !is_version(&got, model[i])))
			return false;
		there += found;
	}
	return count(h) == there;
}

static void child_steps(int fd, uint64_t seed, uint32_t number, _Atomic uint32_t *done)
{
	struct hold *h = map_or_bail(fd);

	for (;; number++) {
		do_step(h, next_step(&seed, number));
		atomic_store(done, number + 1);
	}
}

static void test_killed(uint64_t *seed)
{
	int fd = hold_create();
	_Atomic uint32_t *done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t model[MODEL] = { 0 }, number = 0;
	uint64_t steps = test_random(seed);
	bool good = true;

	for (int round = 0; round < 150 && good; round++) {
		pid_t pid = fork();
		if (pid == 0)
			child_steps(fd, steps, number, done);
		while (*done == number) /* until it works */
			;
		usleep((useconds_t)(test_random(seed) % 1500));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		for (; number < *done; number++)
			model_step(model, next_step(&steps, number));
		struct hold *h = map_or_bail(fd);
		if (!matches(h, model)) { /* or the step under way was done, too */
			uint64_t ahead = steps;
			model_step(model, next_step(&ahead, number));
			good = matches(h, model);
			if (good) {
				steps = ahead;
				number++;
				*done = number;
			}
		}
		hold_unmap(h);
	}
	ok(good, "killed 150 times in %u changes: each was done or not done", number);
	munmap((void *)done, 4096);
	close(fd);
}

/* ---- threads */

struct busy {
	struct hold *h;
	uint32_t conn;
	uint64_t seed;
	bool good;
};

static void *busy_thread(void *arg)
{
	struct busy *b = arg;
	uint32_t model[MODEL] = { 0 };

	b->good = true;
	for (uint32_t i = 0; i < 20000; i++) {
		uint64_t r = test_random(&b->seed);
		unsigned at = (unsigned)(r % MODEL);
		struct hold_handle x = make_handle(b->conn, at, i + 1), got;
		hold_flight_begin(b->h, b->conn, b->conn, i + 2, 15);
		if (r >> 40 & 1) {
			b->good &= hold_handle_add(b->h, &x) == 0;
			model[at] = i + 1;
		} else if (r >> 41 & 1) {
			b->good &= hold_handle_remove(b->h, b->conn, at) == (model[at] != 0);
			model[at] = 0;
		} else {
			bool found = hold_handle_get(b->h, b->conn, at, &got);
			b->good &= found == (model[at] != 0) && (!found || is_version(&got, model[at]));
		}
		hold_flight_end(b->h, b->conn);
		if (i % 64 == 0)
			hold_why_add(b->h, &(struct hold_why){ .uid = b->conn, .pid = i });
	}
	return NULL;
}

static void test_threads(uint64_t *seed)
{
	int fd = hold_create();
	struct hold *h = map_or_bail(fd);
	struct busy b[4];
	pthread_t t[4];
	bool good = true;

	for (uint32_t i = 0; i < 4; i++) {
		b[i] = (struct busy){ .h = h, .conn = i + 1, .seed = test_random(seed) };
		pthread_create(&t[i], NULL, busy_thread, &b[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		good &= b[i].good;
	}
	ok(good, "four threads do not disturb each other");
	hold_unmap(h);
	close(fd);
}

/* ---- requests under way */

static void test_flights(void)
{
	int fd = hold_create();
	struct hold *keeper = map_or_bail(fd), *h = map_or_bail(fd);

	hold_flight_begin(h, 0, 1, 100, 15);
	hold_flight_begin(h, 1, 1, 102, 15);
	hold_flight_begin(h, FLIGHTS_MAX - 1, 2, 100, 16);
	hold_flight_end(h, 1);
	is_int(hold_deaths(h, 1, 100), 0, "nothing against a request at first");
	is_int(hold_flights_died(keeper, DEATH_CRASHED), 0, "nobody is condemned by one crash");
	hold_unmap(h);
	h = map_or_bail(fd);
	is_int(hold_deaths(h, 1, 100), 30, "a crash counts 30");
	is_int(hold_deaths(h, 2, 100), 30, "against everything that was under way");
	is_int(hold_deaths(h, 1, 102), 0, "and not against what was answered");
	hold_flight_begin(h, 5, 1, 100, 15);
	hold_flights_died(keeper, DEATH_STARVED);
	for (int i = 0; i < 1000; i++) {
		hold_flight_begin(h, 5, 1, 100, 15);
		hold_flight_begin(h, 6, 1, 104, 15);
		hold_flights_died(keeper, DEATH_KILLED);
	}
	hold_unmap(h);
	h = map_or_bail(fd);
	is_int(hold_deaths(h, 1, 100), 40, "want of memory counts 10, and a thousand kills nothing");
	is_int(hold_deaths(h, 1, 104), 0, "nor do they make anybody a suspect");
	is_int(hold_deaths(h, 2, 100), 30, "not against what was not under way again");
	hold_flight_begin(h, 0, 2, 100, 15);
	hold_flight_end(h, 0);
	is_int(hold_deaths(h, 2, 100), 0, "what is answered after all is cleared");
	for (int i = 0; i < 2; i++) {
		hold_flight_begin(h, 5, 1, 100, 15);
		is_int(hold_flights_died(keeper, DEATH_CRASHED), i, "crash %d after: condemned by it", i + 2);
	}
	ok(hold_deaths(h, 1, 100) >= DEATHS_MAX, "three crashes are enough");
	hold_handle_remove_conn(h, 1);
	is_int(hold_deaths(h, 1, 100), 0, "a connection that ends takes it along");
	for (unsigned i = 0; i < 3000; i++) {
		hold_flight_begin(h, 0, 3, 2 * i + 2, 15);
		hold_flights_died(keeper, i == 7 ? DEATH_CRASHED : DEATH_STARVED);
	}
	hold_unmap(h);
	h = map_or_bail(fd);
	is_int(hold_deaths(h, 3, 16), 30, "when there are too many, those with the least against them are forgotten");
	is_int(hold_deaths(h, 3, 6000), 10, "for the newest");
	hold_unmap(h);
	hold_unmap(keeper);
	close(fd);
}

/* ---- refusals */

struct seen {
	unsigned n;
	uint32_t first, last;
	bool ordered, whole;
};

static void see(void *ctx, const struct hold_why *w)
{
	struct seen *s = ctx;

	s->ordered &= s->n == 0 || w->pid == s->last + 1;
	s->whole &= w->time == (int64_t)w->pid * 3 && (unsigned)strtoul(w->text, NULL, 10) == w->pid;
	if (s->n++ == 0)
		s->first = w->pid;
	s->last = w->pid;
}

static struct seen look(struct hold *h, uint32_t uid)
{
	struct seen s = { .ordered = true, .whole = true };

	hold_why_each(h, uid, see, &s);
	return s;
}

static void refuse(struct hold *h, uint32_t uid, uint32_t n)
{
	struct hold_why w = { .time = (int64_t)n * 3, .uid = uid, .pid = n, .code = -EPERM, .operation = "unlink" };

	snprintf(w.text, sizeof w.text, "%u is not allowed", n);
	hold_why_add(h, &w);
}

static void test_why(void)
{
	int fd = hold_create();
	struct hold *h = map_or_bail(fd);

	for (uint32_t i = 1; i <= WHY_KEPT + 50; i++)
		refuse(h, 1000, i);
	refuse(h, 1001, 7);
	struct seen s = look(h, 1000);
	ok(s.n == WHY_KEPT && s.first == 51 && s.ordered && s.whole, "the last %d of a uid, oldest first", WHY_KEPT);
	ok(look(h, 1001).n == 1 && look(h, 1002).n == 0, "each uid sees its own");
	hold_unmap(h);
	h = map_or_bail(fd);
	refuse(h, 1000, WHY_KEPT + 51);
	s = look(h, 1000);
	ok(s.n == WHY_KEPT && s.first == 52 && s.ordered, "the next daemon goes on where the last one ended");
	for (uint32_t uid = 2000; uid < 2031; uid++)
		refuse(h, uid, 1);
	ok(look(h, 1001).n == 0 && look(h, 1000).n == WHY_KEPT, "the uid that was longest without a refusal gives way");
	s = look(h, 2030);
	ok(s.n == 1 && s.whole, "to the new one, which sees only its own");
	hold_unmap(h);
	close(fd);
}

static void test_why_killed(uint64_t *seed)
{
	int fd = hold_create();
	bool good = true;

	for (int round = 0; round < 60 && good; round++) {
		pid_t pid = fork();
		if (pid == 0) {
			struct hold *h = map_or_bail(fd);
			uint32_t n[64], i = 0;
			for (uint32_t uid = 0; uid < 64; uid++)
				n[uid] = look(h, uid).last;
			for (;; i = (i * 5 + 1) % 64) /* more uids than rings: they are given away all the time */
				refuse(h, i, ++n[i]);
		}
		usleep((useconds_t)(test_random(seed) % 3000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		struct hold *h = map_or_bail(fd);
		for (uint32_t uid = 0; uid < 64; uid++)
			good &= look(h, uid).whole;
		hold_unmap(h);
	}
	ok(good, "killed 60 times: every refusal is whole");
	close(fd);
}

static struct hold_read a_read(uint32_t pid, uint64_t image, uint64_t sum, int64_t time)
{
	return (struct hold_read){ .conn = 7, .pid = pid, .image = image, .sum = sum, .time = time };
}

static bool was_read(struct hold *h, uint32_t pid, uint64_t image, uint64_t sum, int64_t time)
{
	struct hold_read r = a_read(pid, image, sum, time);
	return hold_read_find(h, &r);
}

static void test_reads(void)
{
	int fd = hold_create();
	struct hold *h = map_or_bail(fd);
	struct hold_read r = a_read(1, 10, 99, 1000);
	ok(!was_read(h, 1, 11, 99, 0), "no link was read");
	hold_read_add(h, &r);
	ok(was_read(h, 1, 11, 99, 1000), "a link that was read is known");
	ok(!was_read(h, 1, 10, 99, 0), "not as one of the same image");
	ok(!was_read(h, 2, 11, 99, 0) && !was_read(h, 1, 11, 98, 0), "nor of another process, nor of another text");
	ok(!was_read(h, 1, 11, 99, 1001), "nor when it is too long ago");
	hold_unmap(h);
	h = map_or_bail(fd);
	ok(was_read(h, 1, 11, 99, 1000), "the next daemon knows it, too");
	for (unsigned i = 0; i < READS_KEPT; i++) {
		r = a_read(2, 10, i, 2000);
		hold_read_add(h, &r);
	}
	ok(!was_read(h, 1, 11, 99, 0) && was_read(h, 2, 11, 0, 0) && was_read(h, 2, 11, READS_KEPT - 1, 0), "the oldest go first");
	hold_unmap(h);
	close(fd);
}

/* ---- texts of open settings */

static bool has_text(struct hold *h, uint64_t fh, const char *want)
{
	char text[HOLD_TEXT_MAX];
	unsigned len;
	return hold_text_get(h, 7, fh, text, &len) && len == strlen(want) && memcmp(text, want, len) == 0;
}

static bool put_text(struct hold *h, uint64_t fh, const char *text)
{
	struct hold_handle handle = { .conn = 7, .fh = fh };
	return hold_handle_add(h, &handle) == 0 && hold_text_put(h, 7, fh, text, (unsigned)strlen(text));
}

static void test_texts(void)
{
	int fd = hold_create();
	struct hold *h = map_or_bail(fd);
	static const char longest[HOLD_TEXT_MAX + 1];
	ok(!has_text(h, 2, ""), "a handle has no text");
	ok(put_text(h, 2, "one") && put_text(h, 4, "other") && put_text(h, 2, "one two"), "texts are put, and changed");
	ok(has_text(h, 2, "one two") && has_text(h, 4, "other"), "each handle has its own");
	ok(hold_text_put(h, 7, 4, longest, HOLD_TEXT_MAX) && !hold_text_put(h, 7, 4, longest, HOLD_TEXT_MAX + 1), "one that is too long is refused");
	hold_unmap(h);
	h = map_or_bail(fd);
	ok(has_text(h, 2, "one two"), "the next daemon has them");
	(void)hold_handle_remove(h, 7, 2);
	ok(!has_text(h, 2, "one two"), "a text goes with its handle");
	bool all = true;
	for (uint64_t fh = 6; fh < 6 + 2 * (TEXTS_MAX - 1); fh += 2)
		all &= put_text(h, fh, "x");
	ok(all && !put_text(h, 1000, "one more"), "there is room for so many");
	ok(put_text(h, 6, "changed") && has_text(h, 6, "changed"), "those that are there can be changed");
	hold_handle_remove_conn(h, 7);
	ok(!has_text(h, 6, "changed") && put_text(h, 1000, "x"), "a connection's texts go with it");
	hold_unmap(h);
	close(fd);
}

int main(void)
{
	uint64_t seed = test_seed();

	test_handles();
	test_full();
	test_foreign();
	test_killed(&seed);
	test_threads(&seed);
	test_flights();
	test_why();
	test_reads();
	test_texts();
	test_why_killed(&seed);
	return done_testing();
}
