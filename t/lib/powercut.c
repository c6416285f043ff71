/* SPDX-License-Identifier: Apache-2.0 */
/* The durable side is kept in a folder of its own, DIR.power: NAME is what was synced of the file that has the name
 * now, NAME.gone what was synced of one that was removed since the folder's last sync. A file whose name is not
 * in `named` may be lost. Files are looked up by the path that /proc tells of a descriptor. */
#include "powercut.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "tap.h"

#define PAGE 4096
#define NAMES_MAX 64

struct name {
	char text[64];
	bool named; /* durable in the folder */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char dir[4000], durable[4096], cut_to[4096];
static struct name names[NAMES_MAX];
static unsigned n_names, countdown, syncs;
static uint64_t state;
static bool cut_done;
static void (*cut_then)(void *);
static void *cut_ctx;

static void path_of(char *ret, const char *folder, const char *name, const char *suffix)
{
	if (snprintf(ret, PATH_MAX, "%s/%s%s", folder, name, suffix) >= PATH_MAX)
		bail("a path is too long");
}

static int real_unlink(const char *path) { return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0); }

static struct name *find_name(const char *text)
{
	for (unsigned i = 0; i < n_names; i++)
		if (strcmp(names[i].text, text) == 0)
			return &names[i];
	if (n_names == NAMES_MAX)
		bail("too many names");
	snprintf(names[n_names].text, sizeof names->text, "%s", text);
	return &names[n_names++];
}

/* Pages of the two files (either may be missing) by chance; odds 0: all of `b`, 8: all of `a`. */
static void mix(const char *a, const char *b, const char *to, unsigned odds)
{
	AUTO_FD int fa = open(a, O_RDONLY | O_CLOEXEC);
	AUTO_FD int fb = open(b, O_RDONLY | O_CLOEXEC);
	char temp[PATH_MAX];
	if (snprintf(temp, sizeof temp, "%s~", to) >= (int)sizeof temp)
		bail("a path is too long");
	AUTO_FD int out = open(temp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	off_t ea = fa < 0 ? 0 : lseek(fa, 0, SEEK_END), eb = fb < 0 ? 0 : lseek(fb, 0, SEEK_END);
	off_t end = ea == eb || odds == 0 ? eb : odds == 8 ? ea : test_random(&state) % 2 ? ea : eb;
	if (out < 0 || ftruncate(out, end))
		bail("cannot make %s", temp);
	for (off_t at = 0; at < end; at += PAGE) {
		uint8_t page[PAGE] = { 0 };
		off_t da = fa < 0 ? -1 : lseek(fa, at, SEEK_DATA), db = fb < 0 ? -1 : lseek(fb, at, SEEK_DATA);
		off_t next = da < 0 ? db : db < 0 ? da : MIN(da, db);
		if (next < 0 || next >= end)
			break;
		at = (off_t)round_down((uint64_t)MAX(at, next), PAGE);
		int in = test_random(&state) % 8 < odds ? fa : fb;
		ssize_t n = in < 0 ? 0 : pread(in, page, (size_t)MIN(PAGE, end - at), at);
		if (n < 0 || (n > 0 && !is_zero(page, (size_t)n) && pwrite(out, page, (size_t)n, at) != n))
			bail("cannot write %s", temp);
	}
	if (rename(temp, to))
		bail("cannot make %s", to);
}

/* All of a file, as it is. */
static void copy(const char *from, const char *to)
{
	AUTO_FD int in = open(from, O_RDONLY | O_CLOEXEC);
	AUTO_FD int out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	off_t at = 0, end = in < 0 ? 0 : lseek(in, 0, SEEK_END);
	if (out < 0 || ftruncate(out, end))
		bail("cannot make %s", to);
	while (in >= 0 && (at = lseek(in, at, SEEK_DATA)) >= 0) {
		off_t hole = lseek(in, at, SEEK_HOLE), there = at;
		if (copy_file_range(in, &at, out, &there, (size_t)(hole - at), 0) <= 0)
			bail("cannot copy %s", from);
	}
}

static bool exists(const char *path) { return access(path, F_OK) == 0; }

static unsigned some_odds(void)
{
	static const unsigned odds[] = { 0, 1, 4, 7, 8 };
	return odds[test_random(&state) % 5];
}

/* --- the cut --- */

static void cut_name(const struct name *n, const char *to)
{
	char now[PATH_MAX], synced[PATH_MAX], gone[PATH_MAX], out[PATH_MAX];
	path_of(now, dir, n->text, "");
	path_of(synced, durable, n->text, "");
	path_of(gone, durable, n->text, ".gone");
	path_of(out, to, n->text, "");
	if (exists(gone) && test_random(&state) % 2)
		copy(gone, out);
	else if (exists(now) && (n->named || test_random(&state) % 2))
		mix(now, synced, out, some_odds());
}

static void find_names(void)
{
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.')
			find_name(e->d_name);
	if (d)
		closedir(d);
}

static void cut(const char *to)
{
	find_names();
	mkdir(to, 0700);
	for (unsigned i = 0; i < n_names; i++)
		cut_name(&names[i], to);
}

void power_cut(const char *to)
{
	WITH_LOCK(&lock);
	cut(to);
}

/* At the start of a call that makes something durable. */
static void tick(void)
{
	if (countdown == 0 || --countdown)
		return;
	cut(cut_to);
	cut_done = true;
	cut_then(cut_ctx);
}

void power_cut_at(unsigned n, const char *to, void (*then)(void *), void *ctx)
{
	WITH_LOCK(&lock);
	snprintf(cut_to, sizeof cut_to, "%s", to);
	countdown = n;
	cut_done = false;
	cut_then = then;
	cut_ctx = ctx;
}

bool power_was_cut(void)
{
	WITH_LOCK(&lock);
	return cut_done;
}

unsigned power_syncs(void)
{
	WITH_LOCK(&lock);
	return syncs;
}

void power_writeback(void)
{
	WITH_LOCK(&lock);
	find_names();
	for (unsigned i = 0; i < n_names; i++) {
		char now[PATH_MAX], synced[PATH_MAX];
		path_of(now, dir, names[i].text, "");
		path_of(synced, durable, names[i].text, "");
		if (exists(now))
			mix(now, synced, synced, 4);
	}
}

/* --- what is durable --- */

static void empty_folder(const char *path)
{
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		char file[PATH_MAX];
		path_of(file, path, e->d_name, "");
		if (e->d_name[0] != '.')
			real_unlink(file);
	}
	if (d)
		closedir(d);
}

static void sync_names(void)
{
	find_names();
	for (unsigned i = 0; i < n_names; i++) {
		char path[PATH_MAX];
		path_of(path, durable, names[i].text, ".gone");
		real_unlink(path);
		path_of(path, dir, names[i].text, "");
		names[i].named = exists(path);
	}
}

static void sync_file(const char *name)
{
	char now[PATH_MAX], synced[PATH_MAX];
	path_of(now, dir, name, "");
	path_of(synced, durable, name, "");
	find_name(name);
	copy(now, synced);
}

void power_watch(const char *folder, uint64_t seed)
{
	power_end();
	WITH_LOCK(&lock);
	snprintf(dir, sizeof dir, "%s", folder);
	snprintf(durable, sizeof durable, "%s.power", folder);
	mkdir(durable, 0700);
	empty_folder(durable);
	n_names = 0;
	state = seed;
	sync_names();
	for (unsigned i = 0; i < n_names; i++)
		sync_file(names[i].text);
}

void power_end(void)
{
	WITH_LOCK(&lock);
	if (dir[0])
		empty_folder(durable);
	dir[0] = 0;
	countdown = 0;
	cut_done = false;
}

void power_move(const char *to)
{
	char next[4096];
	WITH_LOCK(&lock);
	if (!dir[0])
		return;
	snprintf(dir, sizeof dir, "%s", to);
	snprintf(next, sizeof next, "%s.power", dir);
	if (rename(durable, next))
		bail("cannot make %s", next);
	memcpy(durable, next, sizeof durable);
}

/* What of the path lies in the folder: its name; "" the folder itself; NULL: nothing. Under the lock. */
static const char *name_in(const char *path)
{
	size_t n = strlen(dir);
	if (n == 0 || strncmp(path, dir, n))
		return NULL;
	return path[n] == 0 ? path + n : path[n] == '/' ? path + n + 1 : NULL;
}

static bool is_watching(void)
{
	WITH_LOCK(&lock);
	return dir[0];
}

static void note_sync(int fd)
{
	char link[64], path[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return;
	path[n] = 0;
	WITH_LOCK(&lock);
	const char *name = name_in(path);
	if (!name || strchr(name, ' ')) /* "NAME (deleted)" */
		return;
	tick();
	syncs++;
	if (*name)
		sync_file(name);
	else
		sync_names();
}

/* --- in place of libc's --- */

/* While a folder is watched nothing is really synced: no test cuts the real power. */
static _Atomic int failing;

void power_fail_sync(int code) { failing = code; }

static int sync_call(long call, int fd)
{
	int code = atomic_exchange(&failing, 0);
	if (code) {
		errno = code;
		return -1;
	}
	if (!is_watching())
		return (int)syscall(call, fd);
	note_sync(fd);
	return 0;
}

static _Atomic int losing;

void power_lose_pages(int code) { losing = code; }

int sync_file_range(int fd, off_t offset, off_t len, unsigned flags)
{
	int code = atomic_exchange(&losing, 0);
	if (code == 0)
		return (int)syscall(SYS_sync_file_range, fd, offset, len, flags);
	errno = code;
	return -1;
}

int fdatasync(int fd) { return sync_call(SYS_fdatasync, fd); }
int fsync(int fd) { return sync_call(SYS_fsync, fd); }

int unlink(const char *path)
{
	WITH_LOCK(&lock);
	const char *name = name_in(path);
	if (name && *name && exists(path)) {
		char synced[PATH_MAX], gone[PATH_MAX];
		tick();
		struct name *n = find_name(name);
		path_of(synced, durable, name, "");
		path_of(gone, durable, name, ".gone");
		if (n->named) {
			real_unlink(gone);
			copy(synced, gone);
		}
		real_unlink(synced);
		n->named = false;
	}
	return real_unlink(path);
}
