/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket does with those who do not keep to the protocol. (What it does for those who do is tested with real
 * mounts.) */
#include "daemon/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "catalog/account.h"
#include "daemon/daemon_int.h"
#include "rig.h"
#include "tap.h"

#define USER 4000     /* has an account */
#define STRANGER 4001 /* has none */
#define FOR_EVER 1000000

static struct wire_message m;
static char store[400];

static int connected(struct daemon *d)
{
	int fd = wire_connect(store);
	if (fd < 0)
		bail("cannot connect");
	control_accept(d->control, d->listen_fd);
	return fd;
}

static void answer_begins(int fd, const char *want)
{
	int r = wire_receive(fd, &m, 5000);
	ok(r == 0 && strncmp(m.text, want, strlen(want)) == 0, "the answer is %s…: %s", want, r ? "none" : m.text);
}

/* The last that comes: one of the crowd may still be counted, so that a client is sent away with words. */
static int end_of(int fd)
{
	int r;
	while ((r = wire_receive(fd, &m, 5000)) == 0)
		;
	return r;
}

static void test_junk(struct daemon *d)
{
	static const char *const junk[] = { "nonsense", "attach", "attach 0 /x", "mounted", "hello 2", "hello", "hellohello",
					    "unmounted", "\xff\xfe", " " };
	for (unsigned i = 0; i < sizeof junk / sizeof junk[0]; i++) {
		int fd = connected(d);
		is_int(wire_send(fd, junk[i], i % 2 ? 0 : -1), 0, "junk %u", i);
		answer_begins(fd, "error -");
		close(fd);
	}
}

/* ---- as other users: a child with another uid connects, and passes its end to us */

static int connected_as(struct daemon *d, uid_t uid)
{
	struct wire_message *got = calloc(1, sizeof *got);
	int pair[2], fd;
	if (!got || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		bail("no socket");
	pid_t pid = fork();
	if (pid == 0) {
		fd = setuid(uid) == 0 ? wire_connect(store) : -1;
		_exit(fd < 0 || wire_send(pair[1], "here", fd));
	}
	close(pair[1]);
	if (wire_receive(pair[0], got, 5000) || got->fd < 0)
		bail("uid %u cannot connect", (unsigned)uid);
	waitpid(pid, NULL, 0);
	control_accept(d->control, d->listen_fd);
	fd = got->fd;
	close(pair[0]);
	free(got);
	return fd;
}

/* Served: nobody answers what was not asked. */
static bool is_served(int fd)
{
	return wire_send(fd, "nonsense", -1) == 0 && wire_receive(fd, &m, 5000) == 0 && strncmp(m.text, "error -74 ", 10) == 0;
}

static unsigned count_refused(struct daemon *d, uid_t uid, int *ret_fds, unsigned count)
{
	unsigned refused = 0;
	for (unsigned i = 0; i < count; i++) {
		ret_fds[i] = connected_as(d, uid);
		refused += wire_receive(ret_fds[i], &m, 0) == 0 && strncmp(m.text, "error -11 ", 10) == 0;
	}
	return refused;
}

static void close_all(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

/* Until those who left are no longer counted. */
static void wait_gone(struct daemon *d)
{
	int fd;
	while (!is_served(fd = connected_as(d, USER)))
		close(fd);
	close(fd);
}

/* The control that it gets waits for ever for a first request. */
static void test_crowd(struct daemon *d)
{
	int users[CLIENTS_OF_UID + 3], strangers[2][CLIENTS_OF_STRANGERS], mine[CLIENTS_OF_PRIVILEGED + 1];
	is_int(count_refused(d, USER, users, CLIENTS_OF_UID + 3), 3, "a user gets as many as one may have");
	ok(strstr(m.text, "uid 4000 has 8 connections"), "and is told why: %s", m.text);
	is_int(end_of(users[CLIENTS_OF_UID]), -EPIPE, "and is hung up on");
	int other = connected_as(d, STRANGER);
	ok(is_served(other), "others are served");
	close(other);
	is_int(count_refused(d, STRANGER, strangers[0], CLIENTS_OF_UID), 0, "also many at once");
	is_int(count_refused(d, STRANGER + 1, strangers[1], CLIENTS_OF_STRANGERS), CLIENTS_OF_STRANGERS - CLIENTS_OF_UID,
	       "who has no account shares with all others who have none");
	is_int(count_refused(d, 0, mine, CLIENTS_OF_PRIVILEGED + 1), 1, "root has more, and not all");
	close_all(users, CLIENTS_OF_UID + 3);
	close_all(strangers[0], CLIENTS_OF_UID);
	close_all(strangers[1], CLIENTS_OF_STRANGERS);
	close_all(mine, CLIENTS_OF_PRIVILEGED + 1);
	wait_gone(d);
	ok(true, "places that were left are given again");
}

static void test_silence(struct daemon *d)
{
	int silent = connected(d);
	is_int(end_of(silent), -EPIPE, "who says nothing is hung up on");
	close(silent);
}

static int add_account(struct cat_txn *txn, void *arg, struct error *err)
{
	struct account a = { .name = "user", .uids = { USER }, .n_uids = 1 };
	(void)arg, (void)err;
	a.no = (uint32_t)cat_next(txn, COUNTER_ACCOUNT);
	return account_put(txn, &a);
}

int main(void)
{
	struct rig rig;
	struct daemon d = { .store = store };
	rig_make(&rig, "rig");
	snprintf(store, sizeof store, "%s/s", test_folder());
	mkdir(store, 0711);
	chmod(test_folder(), 0711);
	d.service = rig.service;
	is_int(cat_write(d.service->catalog, add_account, NULL, NULL), 0, "an account for uid %d", USER);
	d.listen_fd = wire_listen(store, NULL, NULL);
	d.life = life_new(true);
	d.control = control_new(&d, FOR_EVER);
	if (d.listen_fd < 0)
		bail("cannot listen");
	if (geteuid() == 0)
		test_crowd(&d);
	test_junk(&d);
	int fd = connected(&d);
	ok(control_stop(d.control, 5), "everybody is hung up on");
	is_int(end_of(fd), -EPIPE, "as they can see");
	close(fd);
	control_free(d.control);
	d.control = control_new(&d, 100);
	test_silence(&d);
	ok(control_stop(d.control, 5), "the end");
	control_free(d.control);
	life_free(d.life);
	close(d.listen_fd);
	rig_close(&rig);
	return done_testing();
}
