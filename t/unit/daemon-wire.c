/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/wire.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

static struct wire_message m;
static struct error err;

static int open_count(void)
{
	int n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void send_fds(int to, unsigned count)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(32 * sizeof(int))] = { 0 };
	char text[] = "x";
	struct iovec iov = { text, 1 };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room,
			    .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	if (sendmsg(to, &h, 0) != 1)
		bail("cannot send descriptors");
}

static void test_messages(int a, int b)
{
	struct stat one, two;
	is_int(wire_sendf(a, "hello %d", 1), 0, "a message goes");
	is_int(wire_receive(b, &m, 1000), 0, "and comes");
	is_str(m.text, "hello 1", "as it was");
	is_int(m.fd, -1, "without a descriptor");
	is_int(wire_send(a, "take this", a), 0, "a message with a descriptor");
	is_int(wire_receive(b, &m, 1000), 0, "comes");
	ok(m.fd >= 0 && fstat(m.fd, &one) == 0 && fstat(a, &two) == 0 && one.st_ino == two.st_ino, "with that descriptor");
	ok(fcntl(m.fd, F_GETFD) & FD_CLOEXEC, "which no other program gets");
	close(m.fd);
	is_int(wire_receive(b, &m, 10), -ETIMEDOUT, "nothing comes: that is said");
	is_int(wire_send(a, "", -1), -EMSGSIZE, "there are no empty messages");
}

static void test_junk(int a, int b)
{
	static char big[WIRE_MAX + 2];
	int before = open_count();
	memset(big, 'x', sizeof big - 1);
	is_int(wire_send(a, big, -1), -EMSGSIZE, "too long to send");
	ok(send(a, big, WIRE_MAX + 1, 0) > 0, "sent all the same");
	is_int(wire_receive(b, &m, 1000), -EBADMSG, "is not taken");
	ok(send(a, "a\0b", 3, 0) == 3, "a NUL inside");
	is_int(wire_receive(b, &m, 1000), -EBADMSG, "is not taken");
	for (unsigned n = 2; n <= 20; n += 6) {
		send_fds(a, n);
		is_int(wire_receive(b, &m, 1000), -EBADMSG, "%u descriptors are not taken", n);
		is_int(m.fd, -1, "not even one");
	}
	is_int(open_count(), before, "and none of them stays open");
}

static void test_socket(void)
{
	char store[400], deep[300];
	struct stat st;
	memset(deep, 'd', 150);
	deep[150] = 0;
	for (int i = 0; i < 2; i++) { /* the second path is too long for sockaddr_un */
		snprintf(store, sizeof store, "%s/%s", test_folder(), i ? deep : "s");
		mkdir(store, 0700);
		is_int(wire_connect(store), -ENOENT, "no socket");
		struct wire_name name, next;
		int listening = wire_listen(store, &name, &err);
		ok(listening >= 0, "a socket is made");
		char path[500];
		snprintf(path, sizeof path, "%s/socket", store);
		ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0666, "for everybody");
		int fd = wire_connect(store);
		ok(fd >= 0, "and can be connected to");
		int other = accept(listening, NULL, NULL);
		is_int(wire_send(fd, "x", -1), 0, "there is a conversation");
		is_int(wire_receive(other, &m, 1000), 0, "both ways");
		close(other);
		is_int(wire_receive(fd, &m, 1000), -EPIPE, "its end is seen");
		close(fd);
		close(listening);
		is_int(wire_connect(store), -ECONNREFUSED, "one left behind refuses");
		listening = wire_listen(store, &next, &err);
		ok(listening >= 0, "and is replaced");
		wire_unlisten(&name);
		fd = wire_connect(store);
		ok(fd >= 0, "who made the first one does not remove the second");
		close(fd);
		wire_unlisten(&next);
		is_int(wire_connect(store), -ENOENT, "who made it does");
		close(listening);
	}
}

int main(void)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		bail("no socketpair");
	test_messages(pair[0], pair[1]);
	test_junk(pair[0], pair[1]);
	close(pair[0]);
	is_int(wire_receive(pair[1], &m, 1000), -EPIPE, "the other side is gone");
	is_int(wire_send(pair[1], "x", -1), -EPIPE, "also for sending");
	test_socket();
	return done_testing();
}
