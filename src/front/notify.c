/* SPDX-License-Identifier: Apache-2.0 */
/* notify: the daemon's side of notes.h: a ring and a notifier process for each connection.
 *
 * A notifier that hangs is never waited for: it is asked after in passing, and else left to whoever adopts it. It has nothing
 * of the daemon's but the connection's own descriptor. One that died is replaced.
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/num.h"
#include "front/notes.h"
#include "front/session_int.h"

#define PROGRAM "/proc/self/exe"
#define FLUSH_MS 5000

extern char **environ;

/* ---- processes */

/* Descriptors 4 and up are closed: among those that the keeper handed down is the lock of the store. */
static int spawn(int wake, int fuse, int ring, pid_t *ret)
{
	char program[] = "imagefs", verb[] = "notifier", *argv[] = { program, verb, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t every;

	sigfillset(&every); /* a Ctrl-C is the keeper's */
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &every);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	int code = posix_spawn_file_actions_adddup2(&files, wake, NOTIFIER_WAKE);
	code = code ? code : posix_spawn_file_actions_adddup2(&files, fuse, NOTIFIER_FUSE);
	code = code ? code : posix_spawn_file_actions_adddup2(&files, ring, NOTIFIER_RING);
	code = code ? code : posix_spawn_file_actions_addclosefrom_np(&files, NOTIFIER_RING + 1);
	code = code ? code : posix_spawn(ret, PROGRAM, &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -code;
}

static bool has_left(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) != 0; /* also when there is no such child */
}

/* Of those that were told to leave. all->lock is held. */
static void reap(struct sessions *all)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < all->n_leaving; i++)
		if (!has_left(all->leaving[i]))
			all->leaving[kept++] = all->leaving[i];
	all->n_leaving = kept;
}

/* No memory: it stays a zombie until we end. */
static void let_go(struct sessions *all, pid_t pid)
{
	WITH_LOCK(&all->lock);
	pid_t *more = realloc(all->leaving, (all->n_leaving + 1) * sizeof *more);
	if (more) {
		all->leaving = more;
		more[all->n_leaving++] = pid;
	}
	reap(all);
}

/* ---- a connection's */

static int start(struct notes *n, int fuse)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	AUTO_FD int theirs = pair[1];
	int r = spawn(theirs, fuse, n->memory, &n->pid);
	if (r) {
		close(pair[0]);
		return r;
	}
	n->wake = pair[0];
	return 0;
}

static int make_ring(struct notes *n)
{
	n->memory = memfd_create("imagefs-notes", MFD_CLOEXEC);
	if (n->memory < 0 || ftruncate(n->memory, sizeof *n->ring))
		return -errno;
	void *m = mmap(NULL, sizeof *n->ring, PROT_READ | PROT_WRITE, MAP_SHARED, n->memory, 0);
	if (m == MAP_FAILED)
		return -errno;
	n->ring = m;
	return 0;
}

void notes_init(struct notes *n)
{
	pthread_mutex_init(&n->lock, NULL);
	n->memory = n->wake = -1;
}

int notes_begin(struct link *l, struct error *err)
{
	int r = make_ring(&l->notes);
	if (!r)
		r = start(&l->notes, l->conn.fd);
	return r ? fail(err, r, "There is no notifier to be had for the mount on %s: %s", l->conn.dir, strerror(-r)) : 0;
}

void notes_end(struct link *l)
{
	struct notes *n = &l->notes;
	if (n->wake >= 0) {
		close(n->wake);
		let_go(l->all, n->pid);
	}
	if (n->ring)
		munmap(n->ring, sizeof *n->ring);
	if (n->memory >= 0)
		close(n->memory);
	pthread_mutex_destroy(&n->lock);
}

static void replace(struct link *l)
{
	struct notes *n = &l->notes;
	close(n->wake);
	n->wake = -1;
	let_go(l->all, n->pid);
	int r = start(n, l->conn.fd);
	if (r)
		log_error("the mount on %s has lost its notifier, and there is no other to be had: %s", l->conn.dir, strerror(-r));
}

static void wake(struct link *l)
{
	struct notes *n = &l->notes;
	/* EAGAIN: there is more than one bell unheard. Anything else: it is dead. */
	if (n->wake >= 0 && send(n->wake, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		replace(l);
}

static void copy_in(struct notes_ring *r, uint64_t at, const void *from, size_t len)
{
	size_t to = at % NOTES_SIZE, first = MIN(len, NOTES_SIZE - to);
	memcpy(r->bytes + to, from, first);
	memcpy(r->bytes, (const char *)from + first, len - first);
}

/* The notifier sleeps only when it has seen that there is nothing more: it is woken when it had carried out all before this. */
static void put(struct link *l, const void *note, uint32_t len)
{
	WITH_LOCK(&l->notes.lock);
	struct notes_ring *r = l->notes.ring;
	uint64_t head = r->head;
	if (sizeof len + len > NOTES_SIZE - (head - r->tail)) {
		r->lost = true;
		wake(l);
		return;
	}
	copy_in(r, head, &len, sizeof len);
	copy_in(r, head + sizeof len, note, len);
	r->head = head + sizeof len + len;
	if (r->tail == head)
		wake(l);
}

/* ---- all of them */

static bool is_told(const struct audience *a, const struct link *l)
{
	return l->answer_len && (!a || !a->is_told || a->is_told(a->ctx, &l->conn));
}

static void put_to_all(struct sessions *all, const struct audience *audience, const void *note, uint32_t len)
{
	unsigned count;
	AUTO_FREE struct link **links = links_snapshot(all, &count);

	for (unsigned i = 0; i < count; i++) {
		if (is_told(audience, links[i]))
			put(links[i], note, len);
		link_release(links[i]);
	}
}

void notify_entry(struct sessions *all, const struct audience *audience, uint64_t parent, const char *name)
{
	struct {
		struct fuse_out_header header;
		struct fuse_notify_inval_entry_out body;
		char name[NOTE_MAX - sizeof(struct fuse_out_header) - sizeof(struct fuse_notify_inval_entry_out)];
	} note = { .header.error = FUSE_NOTIFY_INVAL_ENTRY, .body.parent = parent };
	size_t len = strlen(name);

	if (len >= sizeof note.name)
		return; /* no name is so long, so no kernel knows it */
	memcpy(note.name, name, len + 1);
	note.body.namelen = (uint32_t)len;
	note.header.len = (uint32_t)(sizeof note - sizeof note.name + len + 1);
	put_to_all(all, audience, &note, note.header.len);
}

void notify_inode(struct sessions *all, const struct audience *audience, uint64_t node, int64_t offset, int64_t len)
{
	struct {
		struct fuse_out_header header;
		struct fuse_notify_inval_inode_out body;
	} note = { { sizeof note, FUSE_NOTIFY_INVAL_INODE, 0 }, { .ino = node, .off = offset, .len = len } };

	put_to_all(all, audience, &note, sizeof note);
}

static bool is_all_carried_out(struct sessions *all)
{
	unsigned count;
	bool done = true;
	AUTO_FREE struct link **links = links_snapshot(all, &count);

	for (unsigned i = 0; i < count; i++) {
		done = done && links[i]->notes.ring->tail == links[i]->notes.ring->head;
		link_release(links[i]);
	}
	return done;
}

void notify_flush(struct sessions *all)
{
	struct timespec tick = { .tv_nsec = 1000000 };

	for (int waited = 0; !is_all_carried_out(all) && waited < FLUSH_MS; waited++)
		nanosleep(&tick, NULL);
}
