/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/inside.h"
#include "cli/owner.h"

#define ENDING_PATIENCE (40 * 1000000000LL)
#define STARTING_PATIENCE 3000000000LL

/* "progress DONE TOTAL WHAT" */
static void take_progress(const struct sink *sink, const char *text)
{
	unsigned long long done, total;
	int at = 0;
	if (sink->progress && sscanf(text, "%llu %llu %n", &done, &total, &at) == 2 && at)
		sink->progress(sink->ctx, done, total, text + at);
}

static bool take_event(const struct sink *sink, const char *text)
{
	if (strncmp(text, "fact ", 5) == 0) {
		if (sink->fact)
			sink->fact(sink->ctx, text + 5);
	} else if (strncmp(text, "line ", 5) == 0) {
		if (sink->line)
			sink->line(sink->ctx, text + 5);
	} else if (strncmp(text, "progress ", 9) == 0) {
		take_progress(sink, text + 9);
	} else {
		return false;
	}
	return true;
}

static int take_end(const char *text, struct error *err)
{
	int code, at = 0;
	if (strcmp(text, "ok") == 0 || strncmp(text, "ok ", 3) == 0)
		return 0;
	if (sscanf(text, "error %d %n", &code, &at) == 1 && at && code < 0)
		return fail(err, code, "%s", text + at);
	return fail(err, -EPROTO, "the daemon answered something that this program does not know");
}

static int hung_up(int code, struct error *err)
{
	if (code == -ETIMEDOUT)
		return fail(err, code, "the daemon does not answer");
	return fail(err, code, "the daemon hung up: %s", strerror(err_to_errno(code)));
}

/* A daemon that hangs up before it has read what was asked resets the connection; what it said before is told after that. */
static int receive(int fd, struct wire_message *ret, int timeout_ms)
{
	int r = wire_receive(fd, ret, timeout_ms);
	return r == -EPIPE ? wire_receive(fd, ret, 0) : r;
}

int client_ask(int fd, const char *request, int pass, int timeout_ms, const struct sink *sink, struct wire_message *ret,
	       struct error *err)
{
	static const struct sink nothing;
	AUTO_FREE struct wire_message *own = ret ? NULL : malloc(sizeof *own);
	struct wire_message *message = ret ? ret : own;
	int r = wire_send(fd, request, pass);
	while (r == 0 || r == -EPIPE) { /* hung up on: there may be a word that came before we asked */
		r = receive(fd, message, r ? 0 : timeout_ms);
		if (r)
			break;
		if (message->fd >= 0)
			close(steal_fd(&message->fd)); /* nobody asked for one */
		if (!take_event(sink ? sink : &nothing, message->text))
			return take_end(message->text, err);
	}
	return hung_up(r, err);
}

int store_path(const char *text, char **ret, struct error *err)
{
	*ret = realpath(text, NULL);
	return *ret ? 0 : fail_errno(err, "cannot find the store %s", text);
}

int store_find(const char *text, char **ret, struct error *err)
{
	AUTO_FREE char *mark = path_join(text, "imagefs.store");
	AUTO_FREE struct mount_entry *mount = malloc(sizeof *mount);
	if (access(mark, F_OK) == 0 || errno == EACCES)
		return store_path(text, ret, err);
	if (access(text, F_OK))
		return fail_errno(err, "cannot find %s", text);
	if (!mount || inside_mount(text, mount, err))
		return fail(err, -ENOENT, "%s is not a store, nor in a mount of one", text);
	return store_path(mount->source, ret, err);
}

int client_connect(const char *store, struct error *err)
{
	int fd = wire_connect(store);
	if (fd >= 0)
		return fd;
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return -ECONNREFUSED;
	if (fd == -EACCES)
		return fail(err, fd, "you may not reach %s/socket: its owner decides that by the modes of the folders on the "
				     "way", store);
	return fail(err, fd, "cannot connect to %s/socket: %s", store, strerror(-fd));
}

static int do_offline(const char *store, const struct store_job *job, const struct sink *sink, struct error *err)
{
	static const struct service_options options = { .prober = "/proc/self/exe" };
	struct service *service;
	AUTO_FD int lock = -1;
	bool open = true;
	int r = owner_become(store, err);
	if (r == 0)
		r = service_lock(store, &lock, err);
	if (r == 0 && job->closed)
		r = job->closed(job->arg, store, sink, &open, err);
	if (r == 0 && !open)
		return 0;
	if (r == 0)
		r = service_open(&service, store, &options, err);
	if (r == -EACCES)
		return owner_denied(store, err);
	if (r)
		return r;
	r = job->offline(job->arg, service, sink, err);
	service_close(service);
	return r;
}

/* -EPIPE only when the daemon hung up before it said anything: it was ending. */
static int do_once(const char *store, const struct store_job *job, const struct sink *sink, struct error *err)
{
	AUTO_FREE struct wire_message *answer = calloc(1, sizeof *answer);
	AUTO_FD int fd = client_connect(store, err);
	if (!answer)
		return fail(err, -ENOMEM, "no memory");
	if (fd == -ECONNREFUSED)
		return do_offline(store, job, sink, err);
	if (fd < 0)
		return fd;
	int r = client_ask(fd, job->request, -1, -1, sink, answer, err);
	return r == -EPIPE && *answer->text ? fail(err, -EIO, "the daemon ended in the middle of it") : r;
}

/* A daemon that is just starting has the lock before it listens; one that is just ending listens, but does not
 * answer. Both are short, like the crowd that a daemon sends one away for. */
int store_do(const char *store, const struct store_job *job, const struct sink *sink, struct error *err)
{
	struct timespec pause = { .tv_nsec = 20000000 };
	int64_t began = clock_mono();
	for (;;) {
		int r = do_once(store, job, sink, err);
		int64_t patience = r == -EPIPE ? ENDING_PATIENCE : r == -EBUSY || r == -EAGAIN ? STARTING_PATIENCE : 0;
		if (clock_mono() - began >= patience)
			return r;
		nanosleep(&pause, NULL);
	}
}
