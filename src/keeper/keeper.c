/* SPDX-License-Identifier: Apache-2.0 */
/* keeper: one poll loop over the signals and the channel to the daemon.
 *
 * A new daemon is told of every mount (KEEP_ADD with the descriptor) and then KEEP_READY; only after that is
 * anything read from it. When it dies, what it had still sent is read before it is judged and started again,
 * so a mount that it had announced is never lost. Nothing here waits for the daemon: sending goes on when the
 * channel takes more.
 */
#include "keeper/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "keeper/death.h"
#include "keeper/hold.h"
#include "keeper/undo.h"

#define SECOND 1000000000LL
#define OWN_COUNTS 10 /* a death that was its own doing */
#define KILL_COUNTS 1
#define BAD_MAX (5 * OWN_COUNTS)
#define BAD_DEATH_AGE (10 * SECOND)
#define END_PATIENCE (30 * SECOND)

struct mount {
	struct keep_message told; /* as the daemon is told of it: KEEP_ADD, with its INIT */
	int fd;
	struct mount *next;
};

struct keeper {
	const struct keeper_conf *conf;
	struct mount *mounts;
	struct hold *hold;
	int hold_fd;
	int signals;
	int ready_fd;

	pid_t daemon;
	int channel;             /* to the daemon; -1: it closed it */
	int64_t started;         /* when this daemon was */
	uint64_t starved;        /* what the kernel's count was then */
	bool ready;              /* this daemon is */
	bool was_ready;          /* one was */
	bool told;               /* it knows all mounts */
	struct mount *tell_next; /* which mount it is told of next */
	unsigned early;          /* what deaths count for, without one becoming ready in between */
	unsigned crashes;        /* the same of crashes, each soon after its start */
	unsigned tries;          /* how often in a row one was started in vain, to tell */

	int64_t end_by;          /* it was asked to end; killed at this time. 0: not asked */
	bool ended;
	struct error reason;     /* why the keeper ends with an error, or what the daemon said of itself */
	int exit_code;
};

/* ---- the table of mounts */

static struct mount **find_mount(struct keeper *k, uint32_t conn)
{
	struct mount **at = &k->mounts;

	while (*at && (*at)->told.conn != conn)
		at = &(*at)->next;
	return at;
}

static void free_mount(struct mount *m)
{
	if (m->fd >= 0)
		close(m->fd);
	free(m);
}

static void drop_mount(struct keeper *k, uint32_t conn)
{
	struct mount **at = find_mount(k, conn), *m = *at;

	if (!m)
		return;
	*at = m->next;
	free_mount(m);
}

static void add_mount(struct keeper *k, const struct keep_message *told, int *fd)
{
	struct mount *m = *fd >= 0 ? calloc(1, sizeof *m) : NULL;

	if (!m) {
		log_error("The mount on %s cannot be kept: it will end with the daemon", told->dir);
		return;
	}
	drop_mount(k, told->conn);
	m->told = *told;
	m->fd = steal_fd(fd);
	m->next = k->mounts;
	k->mounts = m;
}

static void set_init(struct keeper *k, const struct keep_message *got)
{
	struct mount *m = *find_mount(k, got->conn);

	if (!m)
		return;
	m->told.init_len = got->init_len;
	memcpy(m->told.init, got->init, sizeof m->told.init);
}

/* ---- whoever started us */

static void tell_starter(struct keeper *k, const char *sentence)
{
	char line[1000];

	if (k->ready_fd < 0)
		return;
	snprintf(line, sizeof line, "%s\n", sentence);
	(void)!write(k->ready_fd, line, strlen(line)); /* whoever wanted to know may have gone */
	close(k->ready_fd);
	k->ready_fd = -1;
}

static void end_with(struct keeper *k, const char *sentence)
{
	log_error("%s", sentence);
	tell_starter(k, sentence);
	k->exit_code = 1;
	k->ended = true;
}

/* ---- starting a daemon */

static void pass_fd(const char *name, int fd)
{
	char text[16];

	snprintf(text, sizeof text, "%d", fd);
	setenv(name, text, 1);
	fcntl(fd, F_SETFD, 0);
}

/* In the child. A group of its own: what a terminal sends to everybody reaches it through the keeper only. */
static void __attribute__((noreturn)) become_daemon(const struct keeper *k, int channel)
{
	const char *const argv[] = { k->conf->program, "daemon", k->conf->store, NULL };
	sigset_t none;

	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	pass_fd("IMAGEFS_CHANNEL_FD", channel);
	pass_fd("IMAGEFS_HOLD_FD", k->hold_fd);
	pass_fd("IMAGEFS_LISTEN_FD", k->conf->listen_fd);
	pass_fd("IMAGEFS_LOCK_FD", k->conf->lock_fd);
	setenv("IMAGEFS_LINGER", k->conf->linger ? "1" : "0", 1);
	execv(k->conf->program, (char *const *)argv);
	log_error("%s cannot be executed: %s", k->conf->program, strerror(errno));
	_exit(127);
}

static uint64_t starved_count(const struct keeper *k)
{
	return death_starved_count(k->conf->vmstat ? k->conf->vmstat : "/proc/vmstat");
}

static int start_daemon(struct keeper *k, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return fail_errno(err, "There is no channel to be had to the daemon");
	AUTO_FD int ours = pair[0], theirs = pair[1];
	fcntl(theirs, F_SETFL, 0); /* blocking, as the daemon expects it */
	uint64_t starved = starved_count(k);
	pid_t pid = fork();
	if (pid < 0)
		return fail_errno(err, "There is no process to be had for the daemon");
	if (pid == 0)
		become_daemon(k, theirs);
	k->daemon = pid;
	k->channel = steal_fd(&ours);
	k->started = clock_mono();
	k->starved = starved;
	k->ready = false;
	k->told = false;
	k->tell_next = k->mounts;
	return 0;
}

/* As much as the channel takes. A descriptor that cannot travel now is tried again at the next turn. */
static void tell_mounts(struct keeper *k)
{
	struct keep_message all = { .kind = KEEP_READY };
	int r = 0;

	while (k->tell_next && (r = keep_send(k->channel, &k->tell_next->told, k->tell_next->fd)) == 0)
		k->tell_next = k->tell_next->next;
	if (!k->tell_next && r == 0)
		r = keep_send(k->channel, &all, -1);
	k->told = r == 0;
	if (r < 0 && r != -EAGAIN && r != -EPIPE)
		log_error("The daemon cannot be told of a mount: %s", err_name(r));
}

/* ---- what the daemon says */

static void daemon_ready(struct keeper *k)
{
	k->ready = true;
	k->was_ready = true;
	k->reason.text[0] = '\0';
	tell_starter(k, "ready");
}

static void take_message(struct keeper *k, const struct keep_message *m, int *fd)
{
	switch (m->kind) {
	case KEEP_ADD: add_mount(k, m, fd); break;
	case KEEP_INIT: set_init(k, m); break;
	case KEEP_DROP: drop_mount(k, m->conn); break;
	case KEEP_READY: daemon_ready(k); break;
	case KEEP_FAILED: fail(&k->reason, -EIO, "%s", m->dir); break;
	}
}

/* Everything that has arrived. */
static void take_messages(struct keeper *k)
{
	struct keep_message m;
	int r = 0;

	while (k->channel >= 0 && r != -EAGAIN) {
		AUTO_FD int fd = -1;
		r = keep_receive(k->channel, &m, &fd);
		if (r == 0) {
			take_message(k, &m, &fd);
		} else if (r == -EBADMSG) {
			log_error("The daemon sent something that is not a message: it is ignored");
		} else if (r != -EAGAIN) {
			close(k->channel);
			k->channel = -1;
		}
	}
}

/* ---- its death */

/* Can a new process take over a connection? FUSE_NOTIFY_RESEND is there since Linux 6.9. */
static bool kernel_resends(struct utsname *ret)
{
	unsigned major = 0, minor = 0;

	if (uname(ret) < 0 || sscanf(ret->release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 9);
}

/* What a death counts for that came before the daemon was ready. */
static unsigned early_counts(const struct keeper *k, enum hold_death kind)
{
	switch (kind) {
	case DEATH_CRASHED: return OWN_COUNTS;
	case DEATH_STARVED: return KILL_COUNTS;
	default: return k->was_ready ? 0 : KILL_COUNTS; /* nobody's mounts depend on it yet */
	}
}

static void count_death(struct keeper *k, enum hold_death kind, unsigned condemned)
{
	bool aged = clock_mono() - k->started >= BAD_DEATH_AGE;

	k->early = aged || k->ready ? 0 : k->early + early_counts(k, kind);
	k->crashes = aged || condemned ? 0 : k->crashes + (kind == DEATH_CRASHED ? OWN_COUNTS : 0);
	k->tries = k->early || k->crashes ? k->tries + 1 : 0;
}

static void give_up_or_restart(struct keeper *k, const char *how)
{
	char text[900];
	struct utsname host;
	struct error err;

	if (!k->was_ready && k->reason.text[0]) {
		end_with(k, k->reason.text);
	} else if (k->early >= BAD_MAX || k->crashes >= BAD_MAX) {
		snprintf(text, sizeof text, "The daemon of %s cannot be kept running: it ended %u times soon after its start, "
			 "the last time it %s%s%s", k->conf->store, k->tries, how,
			 k->reason.text[0] ? ": " : "; its log may say why", k->reason.text);
		end_with(k, text);
	} else if (k->mounts && !kernel_resends(&host)) {
		snprintf(text, sizeof text, "The daemon of %s %s, and its mounts end with it: Linux %s cannot hand them to "
			 "a new one, Linux 6.9 and later can", k->conf->store, how, host.release);
		end_with(k, text);
	} else if (start_daemon(k, &err) < 0) {
		end_with(k, err.text);
	} else {
		log_warn("The daemon of %s %s; it was started again", k->conf->store, how);
	}
}

static void daemon_died(struct keeper *k, int status)
{
	char how[100];
	enum hold_death kind = death_kind(status, starved_count(k) != k->starved);

	take_messages(k);
	if (k->channel >= 0)
		close(k->channel);
	k->channel = -1;
	k->daemon = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		k->ended = true;
		tell_starter(k, "The daemon ended before it served");
		return;
	}
	death_describe(status, kind, how);
	if (k->end_by) {
		log_info("The daemon of %s %s when it was asked to end", k->conf->store, how);
		k->exit_code = !(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
		k->ended = true;
		return;
	}
	count_death(k, kind, hold_flights_died(k->hold, kind));
	give_up_or_restart(k, how);
}

/* ---- the loop */

static void ask_to_end(struct keeper *k)
{
	if (!k->end_by)
		k->end_by = clock_mono() + END_PATIENCE;
	if (k->daemon)
		kill(k->daemon, SIGTERM);
}

static void take_signals(struct keeper *k)
{
	struct signalfd_siginfo s;
	int status;
	pid_t pid;

	while (read(k->signals, &s, sizeof s) == (ssize_t)sizeof s)
		if (s.ssi_signo != SIGCHLD)
			ask_to_end(k);
	while (!k->ended && (pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == k->daemon)
			daemon_died(k, status);
}

static int next_timeout(struct keeper *k)
{
	if (k->channel >= 0 && !k->told)
		return 10; /* a channel that takes bytes, but no descriptor, would not wake us */
	if (!k->end_by)
		return -1;
	int64_t left = k->end_by - clock_mono();
	return left < 0 ? 1000 : (int)(left / 1000000) + 1;
}

static void turn(struct keeper *k)
{
	struct pollfd p[2] = { { .fd = k->signals, .events = POLLIN }, { .fd = k->channel, .events = POLLIN } };

	if (k->channel >= 0 && !k->told)
		tell_mounts(k);
	if (!k->told)
		p[1].fd = -1;
	if (poll(p, 2, next_timeout(k)) < 0 && errno != EINTR)
		log_error("The keeper cannot wait: %s", strerror(errno));
	if (p[0].revents)
		take_signals(k);
	if (k->told && p[1].revents)
		take_messages(k);
	if (k->end_by && clock_mono() > k->end_by && k->daemon)
		kill(k->daemon, SIGKILL);
}

static int prepare(struct keeper *k, sigset_t *ret_before, struct error *err)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGCHLD);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGHUP);
	sigprocmask(SIG_BLOCK, &wanted, ret_before);
	signal(SIGPIPE, SIG_IGN); /* the starter may have gone */
	k->signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k->signals < 0)
		return fail_errno(err, "The keeper cannot receive signals");
	k->hold_fd = hold_create();
	if (k->hold_fd < 0)
		return fail_errno(err, "There is no memory for what outlives the daemon");
	fcntl(k->hold_fd, F_SETFD, FD_CLOEXEC);
	if (k->ready_fd >= 0)
		fcntl(k->ready_fd, F_SETFD, FD_CLOEXEC);
	return hold_map(&k->hold, k->hold_fd, err);
}

/* First every descriptor is closed: only a dead connection lets go of those that wait for it. */
static void undo_mounts(struct keeper *k)
{
	struct error err;

	for (struct mount *m = k->mounts; m; m = m->next)
		close(steal_fd(&m->fd));
	while (k->mounts) {
		struct mount *m = k->mounts;
		if (mount_undo(m->told.dir, m->told.peer_uid, &err) < 0)
			log_warn("%s", err.text);
		drop_mount(k, m->told.conn);
	}
}

int keeper_run(const struct keeper_conf *conf)
{
	struct keeper k = { .conf = conf, .hold_fd = -1, .signals = -1, .ready_fd = conf->ready_fd, .channel = -1 };
	struct error err;
	sigset_t before;

	prctl(PR_SET_NAME, "imagefs-keeper");
	if (prepare(&k, &before, &err) < 0 || start_daemon(&k, &err) < 0)
		end_with(&k, err.text);
	while (!k.ended)
		turn(&k);
	undo_mounts(&k);
	hold_unmap(k.hold);
	if (k.hold_fd >= 0)
		close(k.hold_fd);
	if (k.signals >= 0)
		close(k.signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return k.exit_code;
}
