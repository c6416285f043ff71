/* SPDX-License-Identifier: Apache-2.0 */
/* check_tables: every row of every table, read by a process that may die of it (check_reader.h). When it does, what it was at is lost,
 * and another one goes on behind it. What could be read to its end can be read by this process, too, for nobody changes the file. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "catalog/table_list.h"
#include "domain/check_int.h"
#include "domain/check_reader.h"

#define PATIENCE 300000 /* ms without a line */
#define LINE_SIZE 1024
#define COPY_IN_MEMORY (UINT64_C(256) << 20)
#define ROOM_LEFT (UINT64_C(64) << 20)

struct listener {
	struct check *check;
	int fd;
	char line[LINE_SIZE];
	size_t len;
	int table;   /* that it is at; -1: none yet */
	bool ended, closed, broken;
};

static void hear(struct listener *l, const char *line)
{
	unsigned table;
	int code;
	char key[LINE_SIZE];
	if (sscanf(line, "table %u", &table) == 1 && table < table_count()) {
		l->table = (int)table;
		check_progress(l->check, table, table_count(), "tables");
	} else if (sscanf(line, "row %u %1000s", &table, key) == 2)
		check_problem(l->check, PROBLEM_ROW, "the row %s of the catalog's table \"%s\" makes no sense; lost with it is %s", key,
			      table_name(table), table_loss(table));
	else if (sscanf(line, "broken %u %d", &table, &code) == 2) {
		l->broken = true;
		check_problem(l->check, PROBLEM_ROW, "the catalog's table \"%s\" cannot be read to its end; lost is what lies behind, in each row %s",
			      table_name(table), table_loss(table));
	} else if (strncmp(line, "closed ", 7) == 0) {
		l->closed = true;
		check_problem(l->check, PROBLEM_ROW, "%s", line + 7);
	} else
		l->ended |= strcmp(line, "end") == 0;
}

static void take_lines(struct listener *l)
{
	char *line = l->line, *end;
	while ((end = memchr(line, '\n', l->len - (size_t)(line - l->line)))) {
		*end = 0;
		hear(l, line);
		line = end + 1;
	}
	l->len -= (size_t)(line - l->line);
	memmove(l->line, line, l->len);
	if (l->len == sizeof l->line)
		l->len = 0; /* nothing that it says is so long */
}

/* Until it hangs up, or says nothing for too long. */
static void listen_to(struct listener *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	while (poll(&p, 1, PATIENCE) != 0) {
		ssize_t n = read(l->fd, l->line + l->len, sizeof l->line - l->len);
		if (n == 0 || (n < 0 && errno != EINTR))
			return;
		l->len += n > 0 ? (size_t)n : 0;
		take_lines(l);
	}
}

/* What it died of, in words; "" when it ended by itself. */
static const char *finish(pid_t pid, char ret[32])
{
	int status = 0;
	kill(pid, SIGKILL); /* nothing to one that has ended */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	ret[0] = 0;
	if (WIFSIGNALED(status))
		snprintf(ret, 32, " (SIG%s)", sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
	return ret;
}

/* From a table on. *next: where to go on; the number of tables when there is nothing more. */
static int read_from(struct check *c, const char *program, int fd, unsigned *next, bool *ret_readable, struct error *err)
{
	struct listener l = { .check = c, .table = -1 };
	char death[32];
	pid_t pid;
	int r = reader_start(program, fd, *next, &pid, &l.fd, err);
	if (r)
		return r;
	listen_to(&l);
	close(l.fd);
	finish(pid, death);
	*ret_readable = *ret_readable && l.ended && !l.closed && !l.broken;
	*next = l.ended || l.table < 0 ? table_count() : (unsigned)l.table + 1;
	if (!l.ended && l.table < 0)
		check_problem(c, PROBLEM_ROW, "opening the catalog ends the process that does it%s: everything in it is lost", death);
	else if (!l.ended)
		check_problem(c, PROBLEM_ROW,
			      "reading the catalog's table \"%s\" ends the process that does it%s; lost is what lies there, in each row %s",
			      table_name((unsigned)l.table), death, table_loss((unsigned)l.table));
	return 0;
}

int check_tables(struct check *c, const char *program, int fd, bool *ret_readable, struct error *err)
{
	unsigned next = 0;
	int r = 0;
	*ret_readable = true;
	while (r == 0 && next < table_count())
		r = read_from(c, program, fd, &next, ret_readable, err);
	return r;
}

/* ---- the file */

/* The catalog needs room for itself, all the time: a copy takes none that it may come to need. */
static bool has_room(const struct check *c, uint64_t size)
{
	struct statvfs v;
	return statvfs(c->service->dir, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize > size + ROOM_LEFT;
}

/* Where the disk has no room for it, one that is not large is kept in memory. */
int check_copy(struct check *c, int *ret, struct error *err)
{
	struct cat_stat stat;
	cat_stat(c->service->catalog, &stat);
	bool on_disk = has_room(c, stat.used_bytes);
	if (!on_disk && stat.used_bytes > COPY_IN_MEMORY)
		return fail(err, -ENOSPC, "There is no room in %s for a copy of the catalog, which a check reads: it takes %llu bytes.",
			    c->service->dir, (unsigned long long)stat.used_bytes);
	int fd = on_disk ? open(c->service->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : memfd_create("catalog", MFD_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "There is no temporary file for a copy of the catalog");
	int r = catalog_copy_pages(c->service->catalog, fd, err);
	if (r)
		close(fd);
	else
		*ret = fd;
	return r;
}
