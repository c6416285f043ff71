/* SPDX-License-Identifier: Apache-2.0 */
/* worker: the threads that read requests and carry them out.
 *
 * All sleep in one epoll_wait; the kernel wakes one for each request (the last that fell asleep first, so those
 * that are not needed notice it and leave). After an answer the next request of that connection is often there
 * within microseconds, and waking a thread costs more than that: so the worker looks again for a short while
 * before it sleeps ("spins"). Only one does so at a time, and while it does, its connection is taken out of
 * epoll, else the kernel would wake another one for nothing. That happens just before a short answer is
 * written: the client may ask on before the write returns. As soon as the worker has its next request, the
 * connection is put back, which wakes another worker if there are more. When looking was in vain several
 * times in a row it is done ever more rarely: a client that is slow by itself costs nothing.
 *
 * `idle` counts those who would take a request. Whoever turns to a connection and finds nobody idle left makes another
 * worker. One that blocks does not count towards the limit.
 *
 * There are no more than FLIGHTS_MAX, and requests that block may take minutes. So that a user who has many of these does not keep
 * all others from being served, nobody has more workers than are left: one alone half of them, two a third each. The
 * connections of who has enough are out of epoll until a request of his ends.
 *
 * A request that was under way when a daemon crashed is carried out alone among its like: if it was the
 * cause, the next crash speaks against it and not against those that were only near.
 */
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "front/session_int.h"

#define SPIN_NS 40000
#define SPIN_RARELY 6      /* at the least one try in 2^6 */
#define SHORT_ANSWER 16384 /* bytes that are copied in no time */
#define TURNS 64           /* requests of one connection in a row, before others get a look in */
#define IDLE_MS 5000       /* a worker that is not needed for so long leaves */
#define CRASHED_ONCE 30    /* see hold_flights_died() */
#define RESENT (1ull << 63)
#define PAGE 4096
#define WRITE_HEADER (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
#define REQUEST_ROOM (WRITE_HEADER + WRITE_MAX + PAGE)
#define MEMORY_SIZE (PAGE + WRITE_MAX + 2 * PAGE)

static _Thread_local struct worker *self;

/* ---- threads */

static void *worker_thread(void *arg);
static void stop_spin(struct worker *w);

/* Signals are the main thread's. */
int thread_start(pthread_t *ret, void *(*run)(void *), void *arg)
{
	sigset_t every, before;

	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	int r = pthread_create(ret, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

/* all->lock is held. Not getting one is not an error: those that are there go on. */
static void add_worker(struct sessions *all)
{
	struct worker *w = all->workers;

	if (all->ending || all->running - all->blocked >= all->conf.max_workers || all->running >= FLIGHTS_MAX)
		return;
	while (w->state == WORKER_RUNS)
		w++;
	if (w->state == WORKER_ENDED)
		pthread_join(w->thread, NULL);
	*w = (struct worker){ .all = all, .slot = (unsigned)(w - all->workers), .state = WORKER_RUNS };
	all->running++;
	all->idle++;
	if (thread_start(&w->thread, worker_thread, w) == 0)
		return;
	w->state = WORKER_NONE;
	all->running--;
	all->idle--;
}

static void add_if_none_idle(struct sessions *all)
{
	WITH_LOCK(&all->lock);

	if (all->idle == 0)
		add_worker(all);
}

void workers_begin(struct sessions *all)
{
	for (unsigned i = 0; i < all->conf.min_workers; i++)
		add_worker(all);
}

void workers_end(struct sessions *all)
{
	for (struct worker *w = all->workers; w < all->workers + FLIGHTS_MAX; w++) {
		pthread_mutex_lock(&all->lock);
		bool is = w->state != WORKER_NONE;
		pthread_mutex_unlock(&all->lock);
		if (is)
			pthread_join(w->thread, NULL);
	}
}

void session_blocking_begin(void)
{
	if (!self || self->blocked)
		return;
	struct sessions *all = self->all;
	if (self->spins)
		stop_spin(self);
	WITH_LOCK(&all->lock);
	self->blocked = true;
	all->blocked++;
	if (all->idle == 0)
		add_worker(all);
}

void session_blocking_end(void)
{
	if (!self || !self->blocked)
		return;
	WITH_LOCK(&self->all->lock);
	self->blocked = false;
	self->all->blocked--;
}

/* ---- one request */

/* The length of a request; 0: there is none; negative: there will be none. Only these three are errors that pass (ENOENT: it was taken
 * back): any other would come again at the next try, for ever. */
static ssize_t read_request(struct worker *w, struct link *l)
{
	ssize_t n = read(l->conn.fd, w->buffer, REQUEST_ROOM);

	if (n >= (ssize_t)sizeof(struct fuse_in_header))
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOENT))
		return 0;
	if (n >= 0 || (errno != ENODEV && errno != ECONNABORTED))
		log_warn("mount %u of uid %u is given up, because its requests cannot be read: %s", l->conn.no, l->conn.peer_uid,
			 n >= 0 ? "they are too short" : strerror(errno));
	return -ENODEV;
}

_Static_assert(sizeof(struct fuse_read_in) <= sizeof(struct fuse_write_in), "a READ ends before the room");
_Static_assert(SESSION_ROOM <= WRITE_MAX, "that is how much there is");

void *session_room(void)
{
	return self->buffer + WRITE_HEADER;
}

static void enter_quarantine(struct sessions *all)
{
	session_blocking_begin();
	pthread_mutex_lock(&all->quarantine);
	session_blocking_end();
}

static bool carry_out(struct worker *w, struct link *l, size_t len)
{
	struct sessions *all = w->all;
	bool goes_on = true;
	struct fuse_in_header in = *(const struct fuse_in_header *)(const void *)w->buffer;
	uint64_t unique = in.unique & ~RESENT;
	unsigned deaths = in.unique & RESENT ? hold_deaths(all->conf.hold, l->conn.no, unique) : 0;
	bool alone = deaths >= CRASHED_ONCE && deaths < DEATHS_MAX;

	if (alone)
		enter_quarantine(all);
	hold_flight_begin(all->conf.hold, w->slot, l->conn.no, unique, in.opcode);
	if (deaths >= DEATHS_MAX)
		link_refuse(l, &in, -EIO);
	else
		goes_on = link_carry_out(l, w->buffer, len);
	hold_flight_end(all->conf.hold, w->slot);
	if (alone)
		pthread_mutex_unlock(&all->quarantine);
	if (!goes_on)
		log_warn("mount %u of uid %u is refused, because somebody else answered its INIT", l->conn.no, l->conn.peer_uid);
	return goes_on;
}

/* ---- looking for the next */

static bool may_spin(struct spin *s)
{
	if (!s->allowed)
		return false;
	unsigned skip = s->skip;
	if (skip > 0) {
		atomic_compare_exchange_strong(&s->skip, &skip, skip - 1); /* lost: somebody else counted */
		return false;
	}
	return !atomic_exchange(&s->taken, true);
}

/* By the one who has it taken. */
static void judge_spin(struct spin *s, bool in_vain)
{
	s->failures = in_vain ? MIN(s->failures + 1, (unsigned)SPIN_RARELY) : 0;
	s->skip = (1u << s->failures) - 1;
}

static void start_spin(struct worker *w)
{
	w->spins = true;
	link_arm(w->link, false);
}

static void stop_spin(struct worker *w)
{
	link_arm(w->link, true);
	w->spins = false;
	w->all->spin.taken = false;
}

void worker_answers(size_t len)
{
	if (self && self->link && !self->spins && len <= SHORT_ANSWER && may_spin(&self->all->spin))
		start_spin(self);
}

static ssize_t spin_for_request(struct worker *w)
{
	struct sessions *all = w->all;
	int64_t until = clock_mono() + SPIN_NS;
	ssize_t n;

	while ((n = read_request(w, w->link)) == 0 && !all->ending && clock_mono() < until)
		;
	judge_spin(&all->spin, n == 0);
	stop_spin(w);
	return n;
}

static ssize_t look_for_more(struct worker *w)
{
	if (!w->spins) {
		ssize_t n = read_request(w, w->link);
		if (n != 0 || !may_spin(&w->all->spin))
			return n;
		start_spin(w);
	}
	return spin_for_request(w);
}

/* all->lock is held. */
static bool has_more_than_left(const struct sessions *all, uint32_t uid)
{
	unsigned own = 0, busy = 0;

	for (const struct worker *w = all->workers; w < all->workers + FLIGHTS_MAX; w++)
		if (w->state == WORKER_RUNS && w->serves) {
			busy++;
			own += w->uid == uid;
		}
	return own > 1 && own > FLIGHTS_MAX - busy;
}

/* false: its user has enough. Not when it is over: then it has to be seen to. */
static bool begin_to_serve(struct worker *w, struct link *l, bool over)
{
	struct sessions *all = w->all;
	WITH_LOCK(&all->lock);

	w->serves = true;
	w->uid = l->conn.peer_uid;
	if (over || !has_more_than_left(all, w->uid))
		return true;
	w->serves = false;
	l->held = all->any_held = true;
	link_arm(l, false);
	return false;
}

static void end_to_serve(struct worker *w)
{
	struct sessions *all = w->all;
	WITH_LOCK(&all->lock);

	w->serves = false;
	bool any = false;
	for (unsigned i = 0; all->any_held && i < all->slots_room; i++) {
		struct link *l = all->slots[i];
		if (!l || !l->held)
			continue;
		if (l->conn.peer_uid == w->uid) {
			l->held = false;
			link_arm(l, true);
		}
		any |= l->held;
	}
	all->any_held = any;
}

/* Nobody counts on a worker from before it reads: whatever keeps it there keeps only this one. */
static void serve(struct worker *w, struct link *l, bool over)
{
	struct sessions *all = w->all;

	if (atomic_fetch_sub(&all->idle, 1) == 1)
		add_if_none_idle(all);
	ssize_t n = read_request(w, l);
	bool good = n > 0 || (n == 0 && !over);
	for (unsigned turn = 0; n > 0; turn++) {
		w->link = l;
		good = carry_out(w, l, (size_t)n);
		n = good && turn < TURNS && !all->ending ? look_for_more(w) : 0;
		if (w->spins)
			stop_spin(w);
		w->link = NULL;
	}
	all->idle++;
	if (n < 0 || !good)
		link_end(l);
}

/* ---- the life of a worker */

/* Faulted in now, kept in memory as far as the limits allow, and not shared with a child: when the daemon is killed
 * while the kernel waits for a page of it, the request is lost with an error. What a WRITE carries begins on a page; what
 * a READ is answered leaves from there, for the same reason. */
static char *get_memory(struct worker *w)
{
	char *m = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		       -1, 0);

	if (m == MAP_FAILED)
		return NULL;
	(void)madvise(m, MEMORY_SIZE, MADV_DONTFORK);
	(void)mlock(m, MEMORY_SIZE);
	w->buffer = m + PAGE - WRITE_HEADER;
	return m;
}

static int patience(struct sessions *all)
{
	WITH_LOCK(&all->lock);

	return all->running - all->blocked > all->conf.min_workers ? IDLE_MS : -1;
}

/* Once it has left, its place may be given to another thread. */
static bool leave(struct worker *w, bool unless_needed)
{
	struct sessions *all = w->all;
	WITH_LOCK(&all->lock);

	if (unless_needed && !all->ending && all->running - all->blocked <= all->conf.min_workers)
		return false;
	w->state = WORKER_ENDED;
	all->running--;
	all->idle--;
	return true;
}

static void work(struct worker *w)
{
	struct sessions *all = w->all;
	struct epoll_event e;

	while (!all->ending) {
		int n = epoll_wait(all->epoll, &e, 1, patience(all));
		if (n == 0 && leave(w, true))
			return;
		struct link *l = n == 1 && !all->ending ? link_by_key(all, e.data.u64) : NULL;
		if (!l)
			continue;
		bool over = e.events & (EPOLLERR | EPOLLHUP);
		if (begin_to_serve(w, l, over)) {
			serve(w, l, over);
			end_to_serve(w);
		}
		link_release(l);
	}
	leave(w, false);
}

static void *worker_thread(void *arg)
{
	struct worker *w = arg;
	char name[16];

	self = w;
	snprintf(name, sizeof name, "worker-%u", w->slot);
	pthread_setname_np(pthread_self(), name);
	char *memory = get_memory(w);
	if (memory) {
		work(w);
		munmap(memory, MEMORY_SIZE);
	} else {
		leave(w, false);
	}
	return NULL;
}
