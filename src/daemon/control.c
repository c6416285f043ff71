/* SPDX-License-Identifier: Apache-2.0 */
/* A client's life: accepted → a thread reads requests and answers each with its final line → silence,
 * junk or the end → dropped. What a client sends is checked by who handles it; what nobody knows ends
 * the connection. A client that does not read its answers is dropped too (SO_SNDTIMEO). */
#include "daemon/control.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon_int.h"

#define IDLE_MS 30000
#define SEND_SECONDS 10
#define STACK_SIZE (1 << 20)

struct control {
	struct daemon *daemon;
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t less;  /* a client left */
	struct client *clients[CLIENTS_MAX];
	unsigned count;
	bool stopping;
	int first_request_ms; /* fixed */
};

struct control *control_new(struct daemon *daemon, int first_request_ms)
{
	struct control *c = calloc(1, sizeof *c);
	pthread_condattr_t attr;
	if (!c)
		abort();
	c->daemon = daemon;
	c->first_request_ms = first_request_ms;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->less, &attr);
	pthread_condattr_destroy(&attr);
	return c;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	pthread_cond_destroy(&c->less);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* "VERB" or "VERB arguments": the arguments, or NULL when it is another verb. */
static const char *arguments_of(const char *text, const char *verb)
{
	size_t n = strlen(verb);
	if (strncmp(text, verb, n) || (text[n] && text[n] != ' '))
		return NULL;
	return text[n] ? text + n + 1 : text + n;
}

/* 1: answered already; 0: done; negative: refused. A descriptor is taken by setting message->fd to -1. */
static int dispatch(struct client *client, struct wire_message *message, struct error *err)
{
	const char *arguments;
	if ((arguments = arguments_of(message->text, "hello")))
		return attach_hello(client, arguments, err);
	if ((arguments = arguments_of(message->text, "attach")))
		return attach_take(client, arguments, steal_fd(&message->fd), err);
	if (arguments_of(message->text, "mounted"))
		return attach_mounted(client, err);
	if (arguments_of(message->text, "status"))
		return request_status(client, err);
	if (arguments_of(message->text, "leaving"))
		return request_leaving(client, err);
	if ((arguments = arguments_of(message->text, "check")))
		return request_check(client, arguments, err);
	if ((arguments = arguments_of(message->text, "gc")))
		return request_gc(client, arguments, err);
	if ((arguments = arguments_of(message->text, "usage")))
		return request_usage(client, arguments, err);
	if ((arguments = arguments_of(message->text, "disconnect")))
		return request_disconnect(client, arguments, err);
	if ((arguments = arguments_of(message->text, "manage")))
		return request_manage(client, arguments, err);
	return fail(err, -EBADMSG, "this is not a request that the daemon knows");
}

/* false: the conversation is over. */
static bool converse(struct client *client)
{
	struct wire_message message;
	struct error err = { 0 };
	int r = wire_receive(client->fd, &message, client->said ? IDLE_MS : client->daemon->control->first_request_ms);
	if (r)
		return false;
	client->said = true;
	r = dispatch(client, &message, &err);
	if (message.fd >= 0)
		close(message.fd);
	if (r == 0)
		return wire_send(client->fd, "ok", -1) == 0;
	if (r > 0)
		return true;
	return wire_sendf(client->fd, "error %d %s", err.code ? err.code : r,
			  *err.text ? err.text : strerror(err_to_errno(r))) == 0 && r != -EBADMSG;
}

/* A place for it among its like. c->lock is held. */
static int find_room(const struct control *c, const struct client *client, struct error *err)
{
	static const struct {
		unsigned of_uid, of_all; /* of this class and those below */
	} limits[] = {
		[CLIENT_STRANGER] = { CLIENTS_OF_UID, CLIENTS_OF_STRANGERS },
		[CLIENT_USER] = { CLIENTS_OF_UID, CLIENTS_OF_USERS },
		[CLIENT_PRIVILEGED] = { CLIENTS_OF_PRIVILEGED, CLIENTS_MAX },
	};
	unsigned of_uid = 0, of_all = 0;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *other = c->clients[i];
		of_uid += other && other->peer.uid == client->peer.uid;
		of_all += other && other->class <= client->class;
	}
	if (of_uid >= limits[client->class].of_uid)
		return fail(err, -EAGAIN, "uid %u has %u connections to this daemon, and no more are given to one user; try again "
			    "when one of these commands has ended", client->peer.uid, of_uid);
	if (of_all >= limits[client->class].of_all)
		return fail(err, -EAGAIN, "%u others are asking this daemon just now; try again", of_all);
	return 0;
}

static int enlist(struct control *c, struct client *client, struct error *err)
{
	WITH_LOCK(&c->lock);
	int r = c->stopping ? fail(err, -ESHUTDOWN, "the daemon is ending") : find_room(c, client, err);
	if (r)
		return r;
	unsigned i = 0;
	while (c->clients[i])
		i++;
	c->clients[i] = client;
	client->slot = i;
	c->count++;
	return 0;
}

unsigned control_hold(struct control *c, struct client *client)
{
	unsigned holding = 0;
	WITH_LOCK(&c->lock);
	client->holds = true;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		holding += c->clients[i] && c->clients[i]->holds && c->clients[i]->peer.uid == client->peer.uid;
	return holding;
}

void control_let_go(struct control *c, struct client *client)
{
	WITH_LOCK(&c->lock);
	client->holds = false;
}

static void delist(struct control *c, struct client *client)
{
	WITH_LOCK(&c->lock);
	c->clients[client->slot] = NULL;
	close(client->fd); /* under the lock, so that control_stop() never hangs up on somebody else's number */
	c->count--;
	pthread_cond_broadcast(&c->less);
}

static void *client_main(void *arg)
{
	struct client *client = arg;
	struct control *control = client->daemon->control;
	pthread_setname_np(pthread_self(), "control");
	while (converse(client))
		;
	attach_over(client);
	delist(control, client);
	free(client);
	return NULL;
}

static bool start_thread(struct client *client)
{
	pthread_attr_t attr;
	pthread_t thread;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	int code = pthread_create(&thread, &attr, client_main, client);
	pthread_attr_destroy(&attr);
	return code == 0;
}

static struct client *client_new(struct daemon *daemon, int fd)
{
	struct client *client = calloc(1, sizeof *client);
	socklen_t len = sizeof client->peer;
	struct timeval patience = { .tv_sec = SEND_SECONDS };
	if (!client)
		abort();
	client->daemon = daemon;
	client->fd = fd;
	client->fuse_fd = -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client->peer, &len) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0) {
		client->class = client_classify(client);
		return client;
	}
	free(client);
	return NULL;
}

void control_accept(struct control *c, int listen_fd)
{
	AUTO_FD int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return; /* it went away again, or there are too many descriptors: the next one may fare better */
	struct client *client = client_new(c->daemon, fd);
	if (!client)
		return;
	struct error err;
	if (enlist(c, client, &err)) {
		(void)!wire_sendf(fd, "error %d %s", err.code, err.text);
		free(client);
		return;
	}
	(void)steal_fd(&fd);
	if (start_thread(client))
		return;
	log_error("cannot start a thread for a client");
	delist(c, client);
	free(client);
}

bool control_stop(struct control *c, int seconds)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	WITH_LOCK(&c->lock);
	c->stopping = true;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i])
			shutdown(c->clients[i]->fd, SHUT_RDWR);
	while (c->count)
		if (pthread_cond_timedwait(&c->less, &c->lock, &until) == ETIMEDOUT)
			return false;
	return true;
}
