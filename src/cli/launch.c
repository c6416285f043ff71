/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever gets the lock makes the socket and is the one who starts. What can be wrong with the store is found
 * out before there is a keeper. */
#include "cli/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/inherited.h"
#include "cli/owner.h"
#include "cli/relay.h"
#include "daemon/daemon.h"
#include "daemon/wire.h"
#include "domain/service.h"
#include "keeper/keeper.h"

/* The same program, also when its file was replaced meanwhile: keeper and daemon must be of one version. */
#define PROGRAM "/proc/self/exe"
#define ENDING_PATIENCE 3000000000LL

/* A daemon that lost its keeper has the lock for a moment, until it has ended. */
static int lock_store(const char *store, int *ret, struct error *err)
{
	struct timespec pause = { .tv_nsec = 20000000 };
	int64_t began = clock_mono();
	int r;
	while ((r = service_lock(store, ret, err)) == -EBUSY && clock_mono() - began < ENDING_PATIENCE)
		nanosleep(&pause, NULL);
	return r;
}

static int take_store(const char *store, struct keeper_conf *conf, struct wire_name *ret_name, struct error *err)
{
	AUTO_FD int lock = -1;
	struct error why = { 0 };
	struct stat st;
	int r = lock_store(store, &lock, &why);
	if (r == -EACCES && stat(store, &st) == 0 && st.st_uid == geteuid())
		return owner_denied(store, err);
	if (r == -EACCES || r == -EPERM || r == -EROFS)
		return fail(err, r, "%.380s (nobody serves this store, and you cannot: its owner can, with `imagefs serve`)",
			    why.text);
	if (r)
		return fail(err, r, "%s", why.text);
	conf->listen_fd = wire_listen(store, ret_name, err);
	if (conf->listen_fd < 0)
		return conf->listen_fd;
	conf->lock_fd = steal_fd(&lock);
	return 0;
}

static void hand_on(const struct launch_options *o)
{
	char text[32];
	unsetenv(DAEMON_CACHE_ENV);
	unsetenv(DAEMON_LEVEL_ENV);
	snprintf(text, sizeof text, "%llu", (unsigned long long)o->cache);
	if (o->cache)
		setenv(DAEMON_CACHE_ENV, text, 1);
	snprintf(text, sizeof text, "%d", o->level);
	if (o->level)
		setenv(DAEMON_LEVEL_ENV, text, 1);
}

static void raise_limits(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* The socket's name goes while the lock is still held (by our duplicate, whatever the keeper does with
 * its own). */
static int run_keeper(const char *store, const struct launch_options *o, struct keeper_conf *conf, struct wire_name *name)
{
	int lock = fcntl(conf->lock_fd, F_DUPFD_CLOEXEC, 3);
	hand_on(o);
	raise_limits();
	umask(077);
	conf->store = store;
	conf->program = PROGRAM;
	int code = keeper_run(conf);
	wire_unlisten(name);
	close(lock);
	return code;
}

int launch_foreground(const char *store, const struct launch_options *o, struct error *err)
{
	struct keeper_conf conf = { .ready_fd = -1, .linger = true };
	struct wire_name name;
	struct relay relay = { 0 };
	inherited_close(-1);
	int r = owner_is_another(store) ? relay_begin(&relay, err) : 0;
	if (r)
		return r < 0 ? r : relay.code;
	r = owner_become(store, err);
	if (r == 0)
		r = relay_end_with_parent(&relay, err);
	if (r == 0)
		r = take_store(store, &conf, &name, err);
	return r ? r : run_keeper(store, o, &conf, &name);
}

/* ---- in the background */
static void redirect(const char *store)
{
	char path[4200];
	snprintf(path, sizeof path, "%s/log", store);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(log >= 0 ? log : null, STDERR_FILENO);
}

/* What take_store() says, in the pipe's way: told apart from what the keeper says by its first word. */
static void __attribute__((noreturn)) fail_to_start(int ready_fd, const struct error *err)
{
	dprintf(ready_fd, "error %d %s\n", err->code, err->text);
	_exit(1);
}

static void __attribute__((noreturn)) become_keeper(const char *store, const struct launch_options *o, int ready_fd)
{
	struct keeper_conf conf = { .ready_fd = ready_fd, .linger = false };
	struct wire_name name;
	struct error err;
	inherited_close(ready_fd);
	if (owner_become(store, &err) || take_store(store, &conf, &name, &err))
		fail_to_start(ready_fd, &err);
	setsid();
	if (fork() != 0) /* the session's leader ends, so no terminal is ever ours; a failed fork shows by the pipe */
		_exit(0);
	umask(077);
	redirect(store);
	if (chdir("/"))
		_exit(1);
	_exit(run_keeper(store, o, &conf, &name));
}

static void read_line(int fd, char *ret, size_t size)
{
	size_t n = 0;
	while (n + 1 < size && !memchr(ret, '\n', n)) {
		ssize_t m = read(fd, ret + n, size - 1 - n);
		if (m < 0 && errno == EINTR)
			continue;
		if (m <= 0)
			break;
		n += (size_t)m;
	}
	ret[n] = 0;
	ret[strcspn(ret, "\n")] = 0;
}

/* The keeper's line: its daemon serves, or why it cannot; or what went wrong before there was a keeper. */
static int await_ready(int fd, const char *store, struct error *err)
{
	char line[1000];
	int code, at = 0;
	read_line(fd, line, sizeof line);
	if (strcmp(line, "ready") == 0)
		return 0;
	if (sscanf(line, "error %d %n", &code, &at) == 1 && at && code < 0)
		return fail(err, code, "%s", line + at);
	if (*line)
		return fail(err, -EIO, "%s", line);
	return fail(err, -EIO, "the daemon did not start; %s/log may say why", store);
}

/* The process that takes the store is not this one: as root, it becomes the store's owner, and this one still has to mount. */
int launch_background(const char *store, const struct launch_options *o, struct error *err)
{
	int pipes[2], status;
	if (pipe2(pipes, O_CLOEXEC))
		return fail_errno(err, "cannot make a pipe");
	AUTO_FD int read_end = pipes[0];
	pid_t pid = fork();
	if (pid == 0)
		become_keeper(store, o, pipes[1]);
	close(pipes[1]);
	if (pid < 0)
		return fail_errno(err, "cannot start a process");
	int r = await_ready(read_end, store, err);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return r;
}
