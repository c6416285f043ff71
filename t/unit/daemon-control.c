/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket does with those who do not keep to the protocol. (What it does for those who do is tested with real
 * mounts.) */
#include "daemon/control.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/daemon_int.h"
#include "tap.h"

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

static void test_crowd(struct daemon *d)
{
	int fds[CLIENTS_MAX];
	for (int i = 0; i < CLIENTS_MAX; i++)
		fds[i] = connected(d);
	int one_more = connected(d);
	answer_begins(one_more, "error -11 ");
	is_int(end_of(one_more), -EPIPE, "one too many is sent away");
	close(one_more);
	for (int i = 0; i < CLIENTS_MAX; i++)
		close(fds[i]);
}

int main(void)
{
	struct daemon d = { .store = store };
	snprintf(store, sizeof store, "%s/s", test_folder());
	mkdir(store, 0700);
	d.listen_fd = wire_listen(store, NULL);
	d.life = life_new(true);
	d.control = control_new(&d);
	if (d.listen_fd < 0)
		bail("cannot listen");
	test_junk(&d);
	test_crowd(&d);
	int fd = connected(&d);
	ok(control_stop(d.control, 5), "everybody is hung up on");
	is_int(end_of(fd), -EPIPE, "as they can see");
	close(fd);
	control_free(d.control);
	life_free(d.life);
	close(d.listen_fd);
	return done_testing();
}
