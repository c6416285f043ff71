/* SPDX-License-Identifier: Apache-2.0 */
/* Assembly, the main loop, and the end.
 *
 * Begin: signals are blocked before any thread exists; the mounts of a predecessor are taken from the
 * keeper; the store is opened; all taken-over sessions are added before the workers start; the keeper
 * is told; then the control socket is served. End: nobody new is let in, what is mounted is unmounted while its
 * requests are still answered, the workers are joined, the store is closed. */
#include "daemon/daemon.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "catalog/journal.h"
#include "daemon/control.h"
#include "daemon/daemon_int.h"
#include "daemon/service_manager.h"
#include "domain/gc.h"
#include "keeper/keeper.h"
#include "keeper/undo.h"

#define FIRST_CONTACT_MS 15000 /* not lingering, and nobody comes: ends */
#define CLIENTS_SECONDS 15     /* how long the end waits for clients at work */
#define ORPHAN_SECONDS 2       /* how long the end takes at most when the keeper is gone */
#define RESTART_SECONDS 3      /* after its beginning, a daemon with a broken catalog dies at the earliest: no tight loop */
#define UNMOUNT_MS 1000        /* and for mounts to go: one with files open does not until they are closed */

/* ---- what the keeper says */
struct takeover {
	struct keep_message *items;
	int *fds;
	unsigned count;
};

static void takeover_free(struct takeover *t)
{
	for (unsigned i = 0; i < t->count; i++)
		if (t->fds[i] >= 0)
			close(t->fds[i]);
	free(t->items);
	free(t->fds);
}

static void takeover_push(struct takeover *t, const struct keep_message *m, int fd)
{
	t->items = realloc(t->items, (t->count + 1) * sizeof *t->items);
	t->fds = realloc(t->fds, (t->count + 1) * sizeof *t->fds);
	if (!t->items || !t->fds)
		abort();
	t->items[t->count] = *m;
	t->fds[t->count++] = fd;
}

static int takeover_receive(int channel, struct takeover *ret, struct error *err)
{
	struct keep_message m;
	for (;;) {
		int fd = -1, r = keep_receive(channel, &m, &fd);
		if (r)
			return fail(err, r, "the keeper does not answer: %s", strerror(err_to_errno(r)));
		if (m.kind == KEEP_READY)
			return 0;
		if (m.kind == KEEP_ADD && fd >= 0)
			takeover_push(ret, &m, fd);
		else if (fd >= 0)
			close(fd);
	}
}

/* ---- what the sessions say */
static void mount_inited(void *ctx, struct conn *conn, const void *init, unsigned len)
{
	struct daemon *d = ctx;
	struct keep_message m = { .kind = KEEP_INIT, .conn = conn->no, .init_len = len };
	attach_inited(d, conn->no, true);
	if (len > sizeof m.init)
		return;
	memcpy(m.init, init, len);
	if (keep_send(d->channel, &m, -1))
		log_error("cannot tell the keeper of mount %u", conn->no);
}

static int forget_answers(struct cat_txn *txn, void *arg, struct error *err)
{
	int r = answer_forget(txn, *(uint32_t *)arg);
	return r == 0 || r == -ENOENT ? 0 : fail(err, r, "cannot forget the answers of a connection: %s", err_name(r));
}

static void mount_gone(void *ctx, struct conn *conn)
{
	struct daemon *d = ctx;
	struct keep_message m = { .kind = KEEP_DROP, .conn = conn->no };
	struct error err;
	uint32_t no = conn->no;

	log_info("mount %u at %s is gone", no, conn->dir);
	attach_inited(d, no, false);
	if (keep_send(d->channel, &m, -1))
		log_error("cannot tell the keeper that mount %u is gone", no);
	if (cat_write(d->service->catalog, forget_answers, &no, &err))
		log_warn("%s", err.text);
	life_leave(d->life);
}

/* ---- beginning */
static int env_fd(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long fd = text ? strtol(text, &end, 10) : -1;
	return text && *text && !*end && fd >= 0 && fd < 1 << 20 ? (int)fd : -1;
}

static int open_hold(struct hold **ret, struct error *err)
{
	AUTO_FD int fd = env_fd("IMAGEFS_HOLD_FD");
	return hold_map(ret, fd, err);
}

static struct service_options options_from_env(void)
{
	const char *cache = getenv(DAEMON_CACHE_ENV), *level = getenv(DAEMON_LEVEL_ENV);
	return (struct service_options){
		.cache = cache ? strtoull(cache, NULL, 10) : 0,
		.level = level ? (int)strtol(level, NULL, 10) : 0,
		.prober = "/proc/self/exe",
	};
}

static void prepare_process(sigset_t *ret_signals)
{
	struct rlimit files;
	sigemptyset(ret_signals);
	sigaddset(ret_signals, SIGTERM);
	sigaddset(ret_signals, SIGINT);
	sigaddset(ret_signals, SIGHUP);
	sigprocmask(SIG_SETMASK, ret_signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	prctl(PR_SET_NAME, "imagefs-daemon"); /* executed as /proc/self/exe, it would be called "exe" */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static int take_over(struct daemon *d, struct takeover *t, struct error *err)
{
	struct sessions *sessions = front_sessions(d->front);
	for (unsigned i = 0; i < t->count; i++) {
		const struct keep_message *m = &t->items[i];
		struct conn conn = { .no = m->conn, .peer_uid = m->peer_uid, .account = m->account,
				     .allow_other = m->allow_other, .fd = t->fds[i] };
		memcpy(conn.dir, m->dir, sizeof conn.dir);
		if (!life_enter(d->life))
			return 0;
		unsigned len = MIN(m->init_len, (unsigned)sizeof m->init);
		int r = sessions_add(sessions, steal_fd(&t->fds[i]), &conn, len ? m->init : NULL, len, err);
		if (r)
			return r;
	}
	if (t->count)
		log_info("took over %u mounts", t->count);
	return 0;
}

/* ---- a catalog that refuses everything: opened anew, it is what it was before */

/* Whoever asked it waits here, and is asked again by the kernel when another daemon has taken over. As if it were killed from outside: an
 * exit or a crash would speak against the requests that are under way. */
static void catalog_broken(void *ctx)
{
	struct daemon *d = ctx;
	int64_t until = d->started + RESTART_SECONDS * 1000000000LL;
	struct timespec at = { .tv_sec = until / 1000000000, .tv_nsec = until % 1000000000 };
	if (!atomic_exchange(&d->broken, true))
		log_error("the disk refused a page of the catalog of %s, which cannot be used any more: another daemon opens it anew", d->store);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
	raise(SIGKILL);
}

static int assemble(struct daemon *d, struct takeover *t, struct error *err)
{
	struct service_options options = options_from_env();
	struct front_hooks hooks = { .inited = mount_inited, .gone = mount_gone, .ctx = d };
	int r = takeover_receive(d->channel, t, err);
	if (r == 0)
		r = open_hold(&d->hold, err);
	if (r == 0)
		r = service_open(&d->service, d->store, &options, err);
	if (r == 0)
		catalog_on_broken(d->service->catalog, catalog_broken, d);
	if (r == 0)
		r = front_new(&d->front, d->service, d->hold, &hooks, err);
	if (r == 0)
		r = take_over(d, t, err);
	return r;
}

static int begin_to_serve(struct daemon *d, struct error *err)
{
	struct keep_message ready = { .kind = KEEP_READY };
	d->control = control_new(d, FIRST_REQUEST_MS);
	front_rights_changed(d->front);
	sessions_start(front_sessions(d->front));
	int r = keep_send(d->channel, &ready, -1);
	if (r)
		return fail(err, r, "the keeper is gone");
	log_info("serving %s", d->store);
	service_manager_tell("READY=1");
	gc_start(d->service->gc);
	return 0;
}

/* ---- the main loop */
static bool keeper_is_gone(struct daemon *d)
{
	struct keep_message m;
	int fd = -1, r = keep_receive(d->channel, &m, &fd);
	if (fd >= 0)
		close(fd);
	return r == -EPIPE;
}

static void run(struct daemon *d, int signals)
{
	enum { SIGNAL, KEEPER, LISTEN, LIFE };
	struct pollfd p[] = {
		[SIGNAL] = { .fd = signals, .events = POLLIN },
		[KEEPER] = { .fd = d->channel, .events = POLLIN },
		[LISTEN] = { .fd = d->listen_fd, .events = POLLIN },
		[LIFE] = { .fd = life_wake_fd(d->life), .events = POLLIN },
	};
	while (!p[LIFE].revents) {
		int n = poll(p, sizeof p / sizeof p[0], FIRST_CONTACT_MS);
		if (n == 0)
			life_give_up(d->life);
		if (n <= 0)
			continue;
		if (p[SIGNAL].revents)
			life_end(d->life);
		if (p[KEEPER].revents && keeper_is_gone(d)) {
			d->orphaned = true;
			life_end(d->life);
		}
		if (p[LISTEN].revents)
			control_accept(d->control, d->listen_fd);
	}
}

/* ---- the end */
struct leaving {
	char (*dirs)[4096];
	uint32_t *uids;
	unsigned count;
};

static int note_dir(void *ctx, const struct conn *conn)
{
	struct leaving *l = ctx;
	l->dirs = realloc(l->dirs, (l->count + 1) * sizeof *l->dirs);
	l->uids = realloc(l->uids, (l->count + 1) * sizeof *l->uids);
	if (!l->dirs || !l->uids)
		abort();
	memcpy(l->dirs[l->count], conn->dir, sizeof conn->dir);
	l->uids[l->count++] = conn->peer_uid;
	return 0;
}

/* While the workers still answer: the kernel may have questions. */
static void unmount_all(struct daemon *d)
{
	struct sessions *sessions = front_sessions(d->front);
	struct leaving leaving = { 0 };
	struct timespec tick = { .tv_nsec = 5000000 };
	struct error err;
	if (sessions_each(sessions, note_dir, &leaving) == 0)
		for (unsigned i = 0; i < leaving.count; i++)
			if (mount_undo(leaving.dirs[i], leaving.uids[i], &err) && err.code != -ENOENT)
				log_warn("%s", err.text);
	for (int waited = 0; leaving.count && sessions_count(sessions) && waited < UNMOUNT_MS; waited += 5)
		nanosleep(&tick, NULL);
	free(leaving.dirs);
	free(leaving.uids);
}

/* Without its keeper it is only in the way of the next one: nobody is waited for, and what takes longer is cut short as if it were killed. */
static void end(struct daemon *d)
{
	log_info(d->orphaned ? "ending, because the keeper is gone" : "ending");
	if (d->orphaned)
		alarm(ORPHAN_SECONDS);
	service_manager_tell("STOPPING=1");
	bool quiet = control_stop(d->control, d->orphaned ? 0 : CLIENTS_SECONDS);
	unmount_all(d);
	if (!quiet) {
		/* A client's work cannot be interrupted and uses the store: everything durable is durable already. */
		log_warn("a check or collection was cut short");
		_exit(0);
	}
	control_free(d->control);
	front_free(d->front);
	service_close(d->service);
	hold_unmap(d->hold);
	life_free(d->life);
}

/* The keeper tries again, and in the end undoes the mounts; nothing here is worth tidying up. */
static void __attribute__((noreturn)) give_up(struct daemon *d, const struct error *err)
{
	struct keep_message failed = { .kind = KEEP_FAILED };
	log_error("cannot serve %s: %s", d->store, err->text);
	snprintf(failed.dir, sizeof failed.dir, "%s", err->text);
	(void)!keep_send(d->channel, &failed, -1);
	_exit(1);
}

int daemon_main(const char *store)
{
	struct daemon d = { .store = store, .init_lock = PTHREAD_MUTEX_INITIALIZER, .init_seen = PTHREAD_COND_INITIALIZER };
	struct takeover takeover = { 0 };
	struct error err = { 0 };
	sigset_t signals;
	const char *linger = getenv("IMAGEFS_LINGER");

	prepare_process(&signals);
	d.channel = env_fd("IMAGEFS_CHANNEL_FD");
	d.listen_fd = env_fd("IMAGEFS_LISTEN_FD");
	int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	d.started = clock_mono();
	if (d.channel < 0 || d.listen_fd < 0 || signal_fd < 0) {
		log_error("`imagefs daemon` is started by `imagefs serve` and `imagefs mount`, not by hand");
		return 1;
	}
	d.life = life_new(linger && strcmp(linger, "1") == 0);
	int r = assemble(&d, &takeover, &err);
	if (r == 0)
		r = begin_to_serve(&d, &err);
	takeover_free(&takeover);
	if (r)
		give_up(&d, &err);
	run(&d, signal_fd);
	end(&d);
	close(signal_fd);
	return 0;
}
