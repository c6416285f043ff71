/* SPDX-License-Identifier: Apache-2.0 */
/* session: the table of connections, their beginning and their end.
 *
 *     sessions_add ──► served ──(unmount, an error, sessions_end)──► gone ──(last request answered)──► closed
 */
#include "front/session.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "front/device.h"
#include "front/session_int.h"

#define BELL_KEY UINT64_MAX
#define MIN_WORKERS 2
#define MAX_WORKERS 32
#define MAX_BACKGROUND 64

/* ---- epoll */

static uint64_t key_of(const struct link *l)
{
	return (uint64_t)l->slot << 32 | l->conn.no;
}

static int link_epoll(struct link *l, int operation, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.u64 = key_of(l) };

	return epoll_ctl(l->all->epoll, operation, l->conn.fd, &e);
}

void link_arm(struct link *l, bool on)
{
	(void)link_epoll(l, EPOLL_CTL_MOD, on ? EPOLLIN : 0); /* ENOENT: it is gone */
}

/* ---- references */

static void free_link(struct link *l)
{
	const struct sessions_conf *conf = &l->all->conf;

	notes_end(l);
	if (l->opened && conf->closed)
		conf->closed(conf->ctx, &l->conn);
	if (l->conn.fuse)
		fuse_session_destroy(l->conn.fuse); /* closes the descriptor */
	else
		close(l->conn.fd);
	free(l);
}

void link_release(struct link *l)
{
	const struct sessions_conf *conf = &l->all->conf;

	if (atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	hold_handle_remove_conn(conf->hold, l->conn.no);
	if (l->served && conf->gone)
		conf->gone(conf->ctx, &l->conn);
	free_link(l);
}

struct link *link_by_key(struct sessions *all, uint64_t key)
{
	WITH_LOCK(&all->lock);
	uint64_t slot = key >> 32;
	struct link *l = slot < all->slots_room ? all->slots[slot] : NULL;

	if (!l || key_of(l) != key)
		return NULL;
	l->refs++;
	return l;
}

struct link **links_snapshot(struct sessions *all, unsigned *ret_count)
{
	WITH_LOCK(&all->lock);
	struct link **copy = calloc(all->links + 1, sizeof(struct link *));

	*ret_count = 0;
	for (unsigned i = 0; copy && i < all->slots_room; i++) {
		if (!all->slots[i])
			continue;
		all->slots[i]->refs++;
		copy[(*ret_count)++] = all->slots[i];
	}
	return copy;
}

/* ---- the table */

static int free_place(struct sessions *all, unsigned *ret)
{
	for (*ret = 0; *ret < all->slots_room; ++*ret)
		if (!all->slots[*ret])
			return 0;
	unsigned room = all->slots_room * 2 + 8;
	struct link **more = realloc(all->slots, room * sizeof(struct link *));
	if (!more)
		return -ENOMEM;
	memset(more + all->slots_room, 0, (room - all->slots_room) * sizeof(struct link *));
	all->slots = more;
	all->slots_room = room;
	return 0;
}

static int insert(struct link *l)
{
	struct sessions *all = l->all;
	WITH_LOCK(&all->lock);

	if (free_place(all, &l->slot) < 0)
		return -ENOMEM;
	all->slots[l->slot] = l;
	if (link_epoll(l, EPOLL_CTL_ADD, EPOLLIN) < 0) {
		all->slots[l->slot] = NULL;
		return -errno;
	}
	all->links++;
	l->served = true;
	return 0;
}

void link_end(struct link *l)
{
	if (atomic_exchange(&l->gone, true))
		return;
	(void)link_epoll(l, EPOLL_CTL_DEL, 0);
	pthread_mutex_lock(&l->all->lock);
	l->all->slots[l->slot] = NULL;
	l->all->links--;
	pthread_mutex_unlock(&l->all->lock);
	link_release(l);
}

static struct link *link_by_number(struct sessions *all, uint32_t no)
{
	WITH_LOCK(&all->lock);

	for (unsigned i = 0; i < all->slots_room; i++)
		if (all->slots[i] && all->slots[i]->conn.no == no) {
			all->slots[i]->refs++;
			return all->slots[i];
		}
	return NULL;
}

bool session_is_over(void)
{
	const struct request *q = session_request();
	const struct link *l = q ? (const struct link *)(const void *)q->conn : NULL; /* conn is its first member */
	return l && (atomic_load(&l->gone) || atomic_load(&l->all->ending));
}

void sessions_end(struct sessions *all, uint32_t no)
{
	struct link *l = link_by_number(all, no);

	if (!l)
		return;
	link_end(l);
	link_release(l);
}

/* ---- adding */

static struct link *make_link(struct sessions *all, int fd, const struct conn *describe)
{
	struct link *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->conn = *describe;
	l->conn.fd = fd;
	l->conn.fuse = NULL;
	l->all = all;
	l->refs = 1;
	notes_init(&l->notes);
	return l;
}

/* Everything after it was accepted. On failure the caller lets go of it. */
static int bring_up(struct link *l, const void *init, unsigned init_len, struct error *err)
{
	int r = notes_begin(l, err);

	if (r == 0 && init)
		r = link_replay_init(l, init, init_len, err);
	if (r < 0)
		return r;
	/* Also when there was no INIT: the daemon may have died while it had just read it. */
	link_ask_resend(l);
	r = insert(l);
	return r < 0 ? fail(err, r, "The mount on %s cannot be served: %s", l->conn.dir, strerror(-r)) : 0;
}

static int open_link(struct link *l, struct error *err)
{
	const struct sessions_conf *conf = &l->all->conf;
	int r = link_make_fuse(l, err);

	if (r < 0)
		return r;
	if (fcntl(l->conn.fd, F_SETFL, O_NONBLOCK) < 0)
		return fail_errno(err, "The descriptor of the mount on %s cannot be used", l->conn.dir);
	if (conf->opened && conf->opened(conf->ctx, &l->conn) != 0)
		return fail(err, -EPERM, "The mount on %s was refused", l->conn.dir);
	l->opened = true;
	return 0;
}

int sessions_add(struct sessions *all, int fd, const struct conn *describe, const void *init, unsigned init_len,
		 struct error *err)
{
	struct link *l = make_link(all, fd, describe);

	if (!l) {
		close(fd);
		return fail(err, -ENOMEM, "There is no memory to serve the mount on %s", describe->dir);
	}
	int r = open_link(l, err);
	if (r == 0)
		r = bring_up(l, init, init_len, err);
	if (r < 0)
		free_link(l);
	return r;
}

/* ---- all of them */

unsigned sessions_count(struct sessions *all)
{
	WITH_LOCK(&all->lock);

	return all->links;
}

unsigned sessions_live(struct sessions *all)
{
	unsigned live = 0;
	WITH_LOCK(&all->lock);

	for (unsigned i = 0; i < all->slots_room; i++)
		live += all->slots[i] && !device_is_over(all->slots[i]->conn.fd);
	return live;
}

int sessions_each(struct sessions *all, int (*each)(void *ctx, const struct conn *), void *ctx)
{
	unsigned count;
	int r = 0;
	AUTO_FREE struct link **links = links_snapshot(all, &count);

	for (unsigned i = 0; i < count; i++) {
		if (r == 0)
			r = each(ctx, &links[i]->conn);
		link_release(links[i]);
	}
	return r;
}

static void settle_conf(struct sessions *all, const struct sessions_conf *conf)
{
	struct sessions_conf *c = &all->conf;
	cpu_set_t cpus;

	*c = *conf;
	c->min_workers = MIN(c->min_workers ? c->min_workers : MIN_WORKERS, (unsigned)FLIGHTS_MAX);
	c->max_workers = MIN(c->max_workers ? c->max_workers : MAX_WORKERS, (unsigned)FLIGHTS_MAX);
	c->max_workers = MAX(c->min_workers, c->max_workers);
	c->max_background = c->max_background ? c->max_background : MAX_BACKGROUND;
	note_ops(all);
	all->spin.allowed = sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) > 1;
}

static void make_locks(struct sessions *all)
{
	pthread_mutex_init(&all->lock, NULL);
	pthread_mutex_init(&all->quarantine, NULL);
}

static void release(struct sessions *all)
{
	for (unsigned i = 0; i < all->slots_room; i++)
		if (all->slots[i])
			free_link(all->slots[i]);
	if (all->epoll >= 0)
		close(all->epoll);
	if (all->bell >= 0)
		close(all->bell);
	pthread_mutex_destroy(&all->lock);
	pthread_mutex_destroy(&all->quarantine);
	free(all->leaving);
	free(all->slots);
	free(all);
}

static int open_epoll(struct sessions *all, struct error *err)
{
	struct epoll_event bell = { .events = EPOLLIN, .data.u64 = BELL_KEY };

	all->epoll = epoll_create1(EPOLL_CLOEXEC);
	all->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all->epoll < 0 || all->bell < 0 || epoll_ctl(all->epoll, EPOLL_CTL_ADD, all->bell, &bell) < 0)
		return fail_errno(err, "Requests cannot be waited for");
	return 0;
}

int sessions_new(struct sessions **ret, const struct sessions_conf *conf, struct error *err)
{
	struct sessions *all = calloc(1, sizeof *all);

	if (!all)
		return fail(err, -ENOMEM, "There is no memory to serve mounts");
	settle_conf(all, conf);
	make_locks(all);
	int r = open_epoll(all, err);
	if (r < 0) {
		release(all);
		return r;
	}
	*ret = all;
	return 0;
}

void sessions_start(struct sessions *all)
{
	WITH_LOCK(&all->lock);

	if (all->started)
		return;
	all->started = true;
	workers_begin(all);
}

static void tell_end(struct sessions *all)
{
	uint64_t ring = 1;
	WITH_LOCK(&all->lock);

	all->ending = true;
	(void)!write(all->bell, &ring, sizeof ring); /* a first write to an eventfd does not fail */
}

void sessions_free(struct sessions *all)
{
	if (!all)
		return;
	tell_end(all);
	workers_end(all);
	release(all);
}
