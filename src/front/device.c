/* SPDX-License-Identifier: Apache-2.0 */
/* device: since Linux 6.18 a descriptor can be told to let whoever asks about it sleep until it is mounted
 * (FUSE_DEV_IOC_SYNC_INIT). Such a sleep ends with a signal, so the thread that asks is sent one, by a timer. */
#include "front/device.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define DEVICE "/dev/fuse"
#define PATIENCE_NS 100000000 /* it takes microseconds */
#define AGAIN_NS 5000000      /* a signal that comes just before the call is in vain */

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static void interrupt(int signal) { (void)signal; }

/* From here on what this thread waits for is interrupted, after a while and then again and again. */
static int begin_patience(timer_t *ret)
{
	struct sigaction action = { .sa_handler = interrupt };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG };
	struct itimerspec when = { .it_value.tv_nsec = PATIENCE_NS, .it_interval.tv_nsec = AGAIN_NS };
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGURG);
	event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	if (sigaction(SIGURG, &action, NULL) || pthread_sigmask(SIG_UNBLOCK, &wanted, NULL) ||
	    timer_create(CLOCK_MONOTONIC, &event, ret))
		return -errno;
	return timer_settime(*ret, 0, &when, NULL) ? -errno : 0;
}

static int join_connection(int fd, int theirs)
{
	uint32_t theirs_too = (uint32_t)theirs;
	timer_t timer;
	int r = begin_patience(&timer);

	if (r)
		return r;
	r = ioctl(fd, FUSE_DEV_IOC_CLONE, &theirs_too) ? -errno : 0;
	timer_delete(timer);
	return r;
}

static short events(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) < 0 ? POLLERR : p.revents;
}

bool device_has_request(int fd) { return events(fd) & POLLIN; }
bool device_is_over(int fd) { return events(fd) & POLLERR; }

static int open_device(struct error *err)
{
	struct stat st;
	int fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	int code = errno;
	if (stat(DEVICE, &st))
		return fail(err, -code, "the daemon, which runs as uid %u, cannot open " DEVICE ": %s", geteuid(), strerror(code));
	return fail(err, -code, "the daemon, which runs as uid %u, may not open " DEVICE " (its mode is %04o), and without it it cannot serve mounts of "
		    "others safely; as root: chmod 0666 " DEVICE, geteuid(), st.st_mode & 07777);
}

int device_own(int theirs, int *ret, struct error *err)
{
	AUTO_FD int fd = open_device(err);

	if (fd < 0)
		return fd;
	int r = join_connection(fd, theirs);
	if (r == -EPERM || r == -EINTR || r == -EINVAL || (r == 0 && device_is_over(fd)))
		return fail(err, -ENOTCONN, "nothing is mounted with this descriptor of " DEVICE);
	if (r)
		return fail(err, r, "the daemon cannot join the connection of a mount: %s", strerror(-r));
	*ret = steal_fd(&fd);
	return 0;
}
