/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/relay.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/* ---- the other process */

static void take_leave(int said)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	setsid(); /* /dev/tty is nothing any more */
	dup2(null, STDIN_FILENO);
	dup2(said, STDOUT_FILENO);
	dup2(said, STDERR_FILENO);
	close(null);
	close(said);
}

int relay_end_with_parent(const struct relay *r, struct error *err)
{
	if (!r->parent)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, SIGTERM))
		return fail_errno(err, "cannot arrange to end with the command");
	return getppid() == r->parent ? 0 : fail(err, -ESRCH, "the command that this was begun for has ended");
}

/* ---- the first one */

/* What has arrived. false: the end. */
static bool pass_on(int said)
{
	char text[4096];
	ssize_t n = read(said, text, sizeof text);
	if (n > 0)
		(void)!write(STDERR_FILENO, text, (size_t)n); /* nobody reads it: the work goes on */
	return n > 0 || (n < 0 && errno == EINTR);
}

static void pass_signals(int signals, pid_t pid)
{
	struct signalfd_siginfo s;
	while (read(signals, &s, sizeof s) == (ssize_t)sizeof s)
		if (s.ssi_signo != SIGCHLD)
			kill(pid, (int)s.ssi_signo);
}

static int follow(pid_t pid, int signals, int said)
{
	struct pollfd p[] = { { .fd = signals, .events = POLLIN }, { .fd = said, .events = POLLIN } };
	int status = SIGKILL; /* of a process that nobody can be asked about */
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents)
			pass_signals(signals, pid);
		if (p[1].revents && !pass_on(said))
			p[1].fd = -1;
	}
	/* Its last words. Who else has the other end, a daemon that is still ending, is not waited for. */
	while (p[1].fd >= 0 && poll(&p[1], 1, 0) > 0 && pass_on(said))
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int block(sigset_t *ret_before)
{
	sigset_t wanted;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGCHLD);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGHUP);
	sigprocmask(SIG_BLOCK, &wanted, ret_before);
	return signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

int relay_begin(struct relay *r, struct error *err)
{
	sigset_t before;
	int pipes[2];
	if (pipe2(pipes, O_CLOEXEC))
		return fail_errno(err, "cannot make a pipe");
	AUTO_FD int said = pipes[0];
	AUTO_FD int signals = block(&before);
	r->parent = getpid();
	pid_t pid = signals < 0 ? -1 : fork();
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		take_leave(pipes[1]);
		return 0;
	}
	close(pipes[1]);
	if (pid < 0)
		return fail_errno(err, "cannot start a process");
	r->code = follow(pid, signals, said);
	return 1;
}
