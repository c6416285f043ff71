/* SPDX-License-Identifier: Apache-2.0 */
/* dir: a folder as a backend.
 *
 * FOLDER/xy/NAME, where xy stands for the last two characters of NAME: a hex digit stands for
 * itself, any other character for the low four bits of its code, a missing one for 0. All 256
 * sub-folders are made when the folder is opened, so that a put has one folder to sync.
 *
 * A spool is a nameless file (O_TMPFILE) of the same file system: nobody has to clean up after a
 * crash. put: fdatasync of the file, link (fails when there is the name: exclusive), fsync of the
 * sub-folder. So a name that can be seen has all its bytes, also after the power failed.
 *
 * Files open for reading are kept in a table by name. An entry is
 *
 *      (none) --pin: opened--> PINNED --unpin: last--> IDLE --pin--> PINNED
 *                                 |                      |
 *                               forget                 forget, or evicted: the oldest first
 *                                 v                      v
 *                          DEAD --unpin: last--> closed and freed
 *
 * 1. `open` counts descriptors from before they are opened to after they are closed: <= max_fds.
 * 2. IDLE entries, and no others, are in the idle list; DEAD ones are not in the table.
 * 3. No entry in the table is of a file that was removed before its name was looked up: remove()
 *    unlinks first and then, under the lock, raises `removals` and takes the entry out. A file
 *    that was opened while `removals` rose may be the removed one: its entry is born DEAD.
 */
#include "backend/backend.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

#define NAME_LONGEST 64u
#define SUBS 256u
#define PATH_SIZE (3 + NAME_LONGEST + 1) /* "xy/" NAME NUL */

struct file {
	struct file *chain;         /* next in its bucket */
	struct file *older, *newer; /* in the idle list */
	int fd;
	unsigned pins;
	bool dead;
	char name[NAME_LONGEST + 1];
};

struct dir {
	struct backend backend;
	char *path; /* for messages */
	int root;
	unsigned max_fds;
	size_t n_buckets; /* a power of two */

	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t room;  /* a descriptor can be had: one was closed or became idle */
	unsigned waiting, open;
	uint64_t removals;
	struct file *oldest, *newest; /* the idle list */
	struct file **buckets;
};

/* --- names --- */

static bool name_good(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-");
	return n >= 1 && n <= NAME_LONGEST && name[n] == 0 && strcmp(name, ".") && strcmp(name, "..");
}

static unsigned nibble(char c)
{
	return (c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : (unsigned)c) & 15;
}

static unsigned sub_of(const char *name)
{
	size_t n = strlen(name);
	return (n > 1 ? nibble(name[n - 2]) << 4 : 0) | nibble(name[n - 1]);
}

static void sub_path(unsigned sub, char ret[3])
{
	static const char digits[] = "0123456789abcdef";
	ret[0] = digits[sub >> 4];
	ret[1] = digits[sub & 15];
	ret[2] = 0;
}

/* "xy/NAME" below the folder, or -EINVAL. */
static int path_of(const char *name, char ret[PATH_SIZE], struct error *err)
{
	if (!name_good(name))
		return fail(err, -EINVAL, "\"%.80s\" cannot be the name of an object", name);
	sub_path(sub_of(name), ret);
	ret[2] = '/';
	memcpy(ret + 3, name, strlen(name) + 1);
	return 0;
}

/* --- descriptors for reading --- */

static struct file **find_link(struct dir *d, const char *name)
{
	uint64_t h = 0xcbf29ce484222325; /* FNV-1a */
	for (const char *c = name; *c; c++)
		h = (h ^ (unsigned char)*c) * 0x100000001b3;
	struct file **link = &d->buckets[(h ^ h >> 32) & (d->n_buckets - 1)];
	while (*link && strcmp((*link)->name, name))
		link = &(*link)->chain;
	return link;
}

static void idle_add(struct dir *d, struct file *f)
{
	f->older = d->newest;
	f->newer = NULL;
	*(d->newest ? &d->newest->newer : &d->oldest) = f;
	d->newest = f;
}

static void idle_remove(struct dir *d, struct file *f)
{
	*(f->older ? &f->older->newer : &d->oldest) = f->newer;
	*(f->newer ? &f->newer->older : &d->newest) = f->older;
}

/* To all: whoever finds its file opened by another one does not take the room. */
static void say_room(struct dir *d)
{
	if (d->waiting)
		pthread_cond_broadcast(&d->room);
}

/* Close and free a file that is in no list any more, and give its descriptor back. */
static void file_free(struct dir *d, struct file *f)
{
	close(f->fd);
	free(f);
	WITH_LOCK(&d->lock);
	d->open--;
	say_room(d);
}

static struct file *pin_known(struct dir *d, const char *name)
{
	struct file *f = *find_link(d, name);
	if (f && f->pins++ == 0)
		idle_remove(d, f);
	return f;
}

/* Count one more open descriptor; waits until that may be. If the caller has to close another one
 * for it, that is *ret_victim (its descriptor passes to the caller: `open` stays). Returns a file
 * of that name, pinned, if one was opened meanwhile; then nothing was counted. */
static struct file *reserve(struct dir *d, const char *name, struct file **ret_victim, uint64_t *ret_removals)
{
	WITH_LOCK(&d->lock);
	for (;;) {
		struct file *f = pin_known(d, name);
		if (f)
			return f;
		if (d->open < d->max_fds || d->oldest)
			break;
		d->waiting++;
		pthread_cond_wait(&d->room, &d->lock);
		d->waiting--;
	}
	*ret_removals = d->removals;
	if (d->open < d->max_fds) {
		d->open++;
		return NULL;
	}
	struct file *victim = d->oldest;
	idle_remove(d, victim);
	*find_link(d, victim->name) = victim->chain;
	*ret_victim = victim;
	return NULL;
}

/* Enter a file just opened, pinned. If another thread was quicker, its file is the answer. */
static struct file *enter(struct dir *d, struct file *f, uint64_t removals)
{
	WITH_LOCK(&d->lock);
	if (d->removals != removals) {
		f->dead = true;
		return f;
	}
	struct file *known = pin_known(d, f->name);
	if (known)
		return known;
	struct file **link = find_link(d, f->name);
	f->chain = *link;
	*link = f;
	return f;
}

static int open_file(struct dir *d, const char *name, struct file **ret, struct error *err)
{
	char path[PATH_SIZE];
	int r = path_of(name, path, err);
	if (r)
		return r;
	struct file *f = calloc(1, sizeof *f);
	if (!f)
		abort();
	memcpy(f->name, name, strlen(name) + 1);
	f->pins = 1;
	f->fd = openat(d->root, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (f->fd < 0) {
		r = fail_errno(err, "cannot open %s/%s", d->path, path);
		free(f);
		return r;
	}
	*ret = f;
	return 0;
}

static int pin(struct dir *d, const char *name, struct file **ret, struct error *err)
{
	struct file *victim = NULL, *f = NULL;
	uint64_t removals = 0;
	struct file *known = reserve(d, name, &victim, &removals);
	if (known) {
		*ret = known;
		return 0;
	}
	if (victim) {
		close(victim->fd);
		free(victim);
	}
	int r = open_file(d, name, &f, err);
	if (r) {
		WITH_LOCK(&d->lock);
		d->open--;
		say_room(d);
		return r;
	}
	*ret = enter(d, f, removals);
	if (*ret != f)
		file_free(d, f);
	return 0;
}

static void unpin(struct dir *d, struct file *f)
{
	bool last;
	{
		WITH_LOCK(&d->lock);
		last = --f->pins == 0;
		if (last && !f->dead) {
			idle_add(d, f);
			say_room(d);
			return;
		}
	}
	if (last) /* and dead: nobody else knows it */
		file_free(d, f);
}

/* Nobody finds the file of that name open any more. */
static void forget(struct dir *d, const char *name)
{
	struct file *f;
	{
		WITH_LOCK(&d->lock);
		d->removals++;
		struct file **link = find_link(d, name);
		f = *link;
		if (!f)
			return;
		*link = f->chain;
		f->dead = true;
		if (f->pins)
			return;
		idle_remove(d, f);
	}
	file_free(d, f);
}

/* --- the contract --- */

static struct dir *dir_of(struct backend *b) { return (struct dir *)b; }

static int dir_spool(struct backend *b, int *ret_fd, struct error *err)
{
	struct dir *d = dir_of(b);
	int fd = openat(d->root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, "cannot make a nameless file in %s", d->path);
	*ret_fd = fd;
	return 0;
}

/* A nameless file gets its name through /proc; the other way needs a capability on most kernels. */
static int link_fd(int fd, int root, const char *path)
{
	char self[40];
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, root, path, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	return errno == ENOENT ? linkat(fd, "", root, path, AT_EMPTY_PATH) : -1;
}

static int sync_sub(struct dir *d, const char *name, struct error *err)
{
	char sub[3];
	sub_path(sub_of(name), sub);
	AUTO_FD int fd = openat(d->root, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "cannot open %s/%s", d->path, sub);
	return fsync(fd) ? fail_errno(err, "cannot sync %s/%s", d->path, sub) : 0;
}

static int dir_put(struct backend *b, const char *name, int fd, uint64_t size, struct error *err)
{
	struct dir *d = dir_of(b);
	char path[PATH_SIZE];
	struct stat st;
	int r = path_of(name, path, err);
	if (r)
		return r;
	if (size > BACKEND_OBJECT_MAX)
		return fail(err, -EFBIG, "object %s of %llu bytes is too large", name, (unsigned long long)size);
	if (fstat(fd, &st))
		return fail_errno(err, "cannot look at the spool of %s", name);
	if ((uint64_t)st.st_size < size)
		return fail(err, -EINVAL, "the spool of %s has %lld bytes of %llu", name, (long long)st.st_size,
			    (unsigned long long)size);
	if ((uint64_t)st.st_size > size && ftruncate(fd, (off_t)size))
		return fail_errno(err, "cannot cut the spool of %s", name);
	if (fdatasync(fd))
		return fail_errno(err, "cannot sync the bytes of %s/%s", d->path, path);
	if (link_fd(fd, d->root, path))
		return fail_errno(err, "cannot link %s/%s", d->path, path);
	return sync_sub(d, name, err);
}

static int dir_read(struct backend *b, const char *name, void *buf, size_t len, uint64_t offset,
		    struct error *err)
{
	struct dir *d = dir_of(b);
	struct file *f;
	int r = pin(d, name, &f, err);
	if (r)
		return r;
	r = io_pread(f->fd, buf, len, offset);
	unpin(d, f);
	if (r)
		return fail(err, r, "cannot read %zu bytes at %llu of %s in %s: %s", len,
			    (unsigned long long)offset, name, d->path, strerror(-r));
	return 0;
}

static void dir_forget(struct backend *b, const char *name, size_t len, uint64_t offset)
{
	struct dir *d = dir_of(b);
	struct file *f;
	if (pin(d, name, &f, NULL))
		return;
	(void)posix_fadvise(f->fd, (off_t)offset, (off_t)len, POSIX_FADV_DONTNEED); /* a hint: else the same is read again */
	unpin(d, f);
}

static int dir_size(struct backend *b, const char *name, uint64_t *ret, struct error *err)
{
	struct dir *d = dir_of(b);
	char path[PATH_SIZE];
	struct stat st;
	int r = path_of(name, path, err);
	if (r)
		return r;
	if (fstatat(d->root, path, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "cannot look at %s/%s", d->path, path);
	*ret = (uint64_t)st.st_size;
	return 0;
}

static int dir_remove(struct backend *b, const char *name, struct error *err)
{
	struct dir *d = dir_of(b);
	char path[PATH_SIZE];
	int r = path_of(name, path, err);
	if (r)
		return r;
	if (unlinkat(d->root, path, 0))
		return fail_errno(err, "cannot remove %s/%s", d->path, path);
	forget(d, name);
	return sync_sub(d, name, err);
}

typedef int (*each_fn)(void *ctx, const char *name, uint64_t size);

/* One entry of a sub-folder. What cannot be an object of ours there is passed over. */
static int list_entry(DIR *stream, unsigned sub, const char *name, each_fn each, void *ctx)
{
	struct stat st;
	if (!name_good(name) || sub_of(name) != sub || fstatat(dirfd(stream), name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode))
		return 0;
	return each(ctx, name, (uint64_t)st.st_size);
}

static int list_sub(struct dir *d, unsigned sub, each_fn each, void *ctx, struct error *err)
{
	char path[3];
	sub_path(sub, path);
	AUTO_FD int fd = openat(d->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream)
		return fail_errno(err, "cannot open %s/%s", d->path, path);
	(void)steal_fd(&fd); /* closedir() closes it */
	int r = 0;
	while (!r) {
		errno = 0;
		struct dirent *e = readdir(stream);
		if (!e) {
			r = errno ? fail_errno(err, "cannot list %s/%s", d->path, path) : 0;
			break;
		}
		r = list_entry(stream, sub, e->d_name, each, ctx);
	}
	closedir(stream);
	return r;
}

static int dir_list(struct backend *b, each_fn each, void *ctx, struct error *err)
{
	for (unsigned sub = 0; sub < SUBS; sub++) {
		int r = list_sub(dir_of(b), sub, each, ctx, err);
		if (r)
			return r;
	}
	return 0;
}

static int dir_space(struct backend *b, uint64_t *ret_total, uint64_t *ret_free, struct error *err)
{
	struct dir *d = dir_of(b);
	struct statvfs s;
	if (fstatvfs(d->root, &s))
		return fail_errno(err, "cannot ask for the space of %s", d->path);
	*ret_total = (uint64_t)s.f_blocks * s.f_frsize;
	*ret_free = (uint64_t)s.f_bavail * s.f_frsize;
	return 0;
}

static void dir_close(struct backend *b)
{
	struct dir *d = dir_of(b);
	while (d->oldest) {
		struct file *f = d->oldest;
		idle_remove(d, f);
		close(f->fd);
		free(f);
	}
	if (d->root >= 0)
		close(d->root);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->room);
	free(d->buckets);
	free(d->path);
	free(d);
}

static const struct backend_ops dir_ops = {
	.spool = dir_spool,
	.put = dir_put,
	.read = dir_read,
	.forget = dir_forget,
	.size = dir_size,
	.remove = dir_remove,
	.list = dir_list,
	.space = dir_space,
	.close = dir_close,
};

static int make_root(const char *path, struct error *err)
{
	if (mkdir(path, 0700) == 0) {
		AUTO_FREE char *copy = strdup(path);
		if (!copy)
			abort();
		return io_sync_dir(dirname(copy), err);
	}
	return errno == EEXIST ? 0 : fail_errno(err, "cannot make folder %s", path);
}

/* Synced even if all were there: an opener before us may have died between the two. */
static int make_subs(struct dir *d, struct error *err)
{
	for (unsigned sub = 0; sub < SUBS; sub++) {
		char path[3];
		sub_path(sub, path);
		if (mkdirat(d->root, path, 0700) && errno != EEXIST)
			return fail_errno(err, "cannot make folder %s/%s", d->path, path);
	}
	return io_sync_dir_fd(d->root, err);
}

static struct dir *dir_new(const char *path, unsigned max_fds)
{
	struct dir *d = calloc(1, sizeof *d);
	if (!d || !(d->path = strdup(path)))
		abort();
	d->backend.ops = &dir_ops;
	d->root = -1;
	d->max_fds = MAX(max_fds, 1u);
	d->n_buckets = 16;
	while (d->n_buckets < d->max_fds)
		d->n_buckets *= 2;
	d->buckets = calloc(d->n_buckets, sizeof(struct file *));
	if (!d->buckets)
		abort();
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->room, NULL);
	return d;
}

int backend_open_dir(struct backend **ret, const char *path, unsigned max_fds, struct error *err)
{
	int r = make_root(path, err);
	if (r)
		return r;
	struct dir *d = dir_new(path, max_fds);
	d->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = d->root < 0 ? fail_errno(err, "cannot open folder %s", path) : make_subs(d, err);
	if (r) {
		dir_close(&d->backend);
		return r;
	}
	*ret = &d->backend;
	return 0;
}
