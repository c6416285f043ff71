/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of the cage. What comes out of it is as hostile as the disk: lengths are bounded before they are used, what
 * is asked for is read inside the source only, texts are taken letter by letter, and everything together has a deadline. */
#include "domain/probe_cage.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "domain/probe_int.h"

#define WANTS_MAX 65536u

struct talk {
	const struct source *src;
	int fd;
	pid_t pid;
	int64_t until; /* clock_mono() */
	char *piece;   /* CAGE_PIECE bytes */
};

/* ---- the process */

static int spawn(const char *program, int theirs, pid_t *ret)
{
	char name[] = "imagefs", verb[] = "prober", *argv[] = { name, verb, NULL }, *environment[] = { NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	int code = posix_spawn_file_actions_adddup2(&files, theirs, 0);
	code = code ? code : posix_spawn_file_actions_addclosefrom_np(&files, 1);
	code = code ? code : posix_spawn(ret, program, &files, &attr, argv, environment);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -code;
}

static int start(struct talk *t, const struct cage *cage)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	AUTO_FD int theirs = pair[1];
	int r = spawn(cage->program, theirs, &t->pid);
	if (r) {
		close(pair[0]);
		return r;
	}
	t->fd = pair[0];
	return 0;
}

/* The signal that ended it, if it was not ours; 0. */
static int finish(struct talk *t)
{
	int status = 0;
	close(t->fd);
	bool had_ended = waitpid(t->pid, &status, WNOHANG) == t->pid;
	if (!had_ended) {
		kill(t->pid, SIGKILL);
		while (waitpid(t->pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	return had_ended && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* ---- the socket */

static int wait_for(const struct talk *t, short events)
{
	int64_t left = (t->until - clock_mono()) / 1000000;
	struct pollfd p = { .fd = t->fd, .events = events };
	if (left <= 0)
		return -ETIMEDOUT;
	int n = poll(&p, 1, (int)left);
	return n > 0 || (n < 0 && errno == EINTR) ? 0 : n < 0 ? -errno : -ETIMEDOUT;
}

static int receive(const struct talk *t, void *buf, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = recv(t->fd, (char *)buf + got, len - got, MSG_DONTWAIT);
		int r = n == 0 ? -EPIPE : n < 0 && errno == EAGAIN ? wait_for(t, POLLIN) : n < 0 && errno != EINTR ? -errno : 0;
		if (r)
			return r;
		got += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int answer(const struct talk *t, const void *buf, size_t len)
{
	for (size_t sent = 0; sent < len;) {
		ssize_t n = send(t->fd, (const char *)buf + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		int r = n < 0 && errno == EAGAIN ? wait_for(t, POLLOUT) : n < 0 && errno != EINTR ? -errno : 0;
		if (r)
			return r;
		sent += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* ---- what it wants */

static int give(const struct talk *t, const struct cage_want *want)
{
	if (want->len > CAGE_PIECE)
		return -EPROTO;
	int32_t code = probe_read(t->src, t->piece, want->len, want->offset, NULL);
	int r = answer(t, &code, sizeof code);
	return r || code ? r : answer(t, t->piece, want->len);
}

static bool is_word(const char *text, size_t room, const char *letters)
{
	size_t len = strnlen(text, room);
	return len < room && strspn(text, letters) == len;
}

static int take(const struct talk *t, struct ext_facts *ret)
{
	struct ext_facts facts;
	int r = receive(t, &facts, sizeof facts);
	if (r)
		return r;
	if (!is_word(facts.os, sizeof facts.os, "abcdefghijklmnopqrstuvwxyz0123456789._- ") ||
	    !is_word(facts.arch, sizeof facts.arch, "abcdefghijklmnopqrstuvwxyz0123456789_"))
		return -EPROTO;
	*ret = facts;
	return 0;
}

static int converse(const struct talk *t, uint64_t offset, uint64_t size, struct ext_facts *ret)
{
	struct cage_task task = { t->src->size, offset, size };
	struct cage_want want;
	int r = answer(t, &task, sizeof task);
	for (unsigned i = 0; r == 0 && i < WANTS_MAX; i++) {
		r = receive(t, &want, sizeof want);
		if (r == 0 && want.kind == CAGE_DONE)
			return take(t, ret);
		if (r == 0)
			r = want.kind == CAGE_READ ? give(t, &want) : -EPROTO;
	}
	return r ? r : -EPROTO;
}

void cage_look(const struct cage *cage, const struct source *src, uint64_t offset, uint64_t size, struct ext_facts *ret)
{
	AUTO_FREE char *piece = malloc(CAGE_PIECE);
	struct talk t = { .src = src, .until = clock_mono() + cage->patience * INT64_C(1000000), .piece = piece };
	*ret = (struct ext_facts){ .os = "" };
	int r = piece ? start(&t, cage) : -ENOMEM;
	if (r) {
		log_warn("Nothing can look into a file system that was uploaded: %s. Its image gets no os and arch.", strerror(-r));
		return;
	}
	r = converse(&t, offset, size, ret);
	int signal = finish(&t);
	if (r)
		log_warn("The process that looked into a file system that was uploaded %s%s: its image gets no os and arch.",
			 signal ? "was ended by SIG" : r == -ETIMEDOUT ? "took too long" : "failed", signal ? sigabbrev_np(signal) : "");
}
