/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/check_reader.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "catalog/table_list.h"

/* ---- in the process */

static void say_table(void *ctx, unsigned table) { fprintf(ctx, "table %u\n", table), fflush(ctx); }
static void say_row(void *ctx, unsigned table, const char *key) { fprintf(ctx, "row %u %s\n", table, key); }
static void say_on(void *ctx) { fputs("on\n", ctx), fflush(ctx); }
static void say_broken(void *ctx, unsigned table, int code) { fprintf(ctx, "broken %u %d\n", table, code), fflush(ctx); }

/* LMDB says on standard error which assertion failed: that is nothing to a person. */
static void be_silent(void)
{
	static const struct rlimit no_core = { 0, 0 };
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)dup2(fd, STDERR_FILENO);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static int read_to(int fd, unsigned first, FILE *out)
{
	struct error err = { .code = 0 };
	struct table_reader reader = { say_table, say_row, say_on, say_broken, out };
	if (table_read_all(fd, first, &reader, &err))
		fprintf(out, "closed %s\n", err.text);
	fputs("end\n", out);
	return fflush(out) ? 1 : 0;
}

int reader_main(const char *first_table)
{
	be_silent();
	return read_to(STDIN_FILENO, (unsigned)strtoul(first_table, NULL, 10), stdout);
}

/* ---- outside */

static int spawn(const char *program, int in, int out, unsigned first, pid_t *ret)
{
	char name[] = "imagefs", verb[] = "reader", number[12], *argv[] = { name, verb, number, NULL }, *environment[] = { NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	snprintf(number, sizeof number, "%u", first);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	int code = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	code = code ? code : posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	code = code ? code : posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	code = code ? code : posix_spawn(ret, program, &files, &attr, argv, environment);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -code;
}

static int fork_one(int in, int out, unsigned first, pid_t *ret)
{
	*ret = fork();
	if (*ret)
		return *ret < 0 ? -errno : 0;
	FILE *to = fdopen(out, "w");
	be_silent();
	signal(SIGABRT, SIG_DFL);
	_exit(to ? read_to(in, first, to) : 1);
}

int reader_start(const char *program, int catalog_fd, unsigned first, int *ret_pid, int *ret_fd, struct error *err)
{
	int ends[2];
	pid_t pid;
	if (pipe2(ends, O_CLOEXEC))
		return fail_errno(err, "No process can be started that reads the catalog");
	AUTO_FD int theirs = ends[1];
	int r = program ? spawn(program, catalog_fd, theirs, first, &pid) : fork_one(catalog_fd, theirs, first, &pid);
	if (r) {
		close(ends[0]);
		return fail(err, r, "No process can be started that reads the catalog: %s", strerror(-r));
	}
	*ret_pid = pid;
	*ret_fd = ends[0];
	return 0;
}
