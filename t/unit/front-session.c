/* SPDX-License-Identifier: Apache-2.0 */
/* front-session: a toy file system over sessions and keeper, really mounted. Its daemon is this program, executed by
 * the keeper with "daemon FOLDER"; it keeps everything in FOLDER/state, and is killed all the time.
 *
 *     /data       64 KiB and more, read and written      /poison  reading it kills the daemon
 *     /number     its size is what FOLDER/number says    /slow    reading it takes 20 ms, told as blocking
 *     /threads    its size is how many threads the daemon has    /held  reading it takes until FOLDER/go is there
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "base/clock.h"
#include "base/io.h"
#include "front/device.h"
#include "front/notes.h"
#include "front/session.h"
#include "keeper/keeper.h"
#include "tap.h"

enum { ROOT = 1, DATA, POISON, NUMBER, SLOW, THREADS, HELD, LAST = HELD };
static const char *const names[] = { "", "", "data", "poison", "number", "slow", "threads", "held" };

struct toy {
	char folder[3000];
	int state, channel, quit;
	struct hold *hold;
	struct sessions *sessions;
	_Atomic unsigned conns, conns_seen; /* it ends with the last one */
};

static struct toy *toy_of(fuse_req_t req)
{
	return ((struct conn *)fuse_req_userdata(req))->owner;
}

/* ---- the file system */

static unsigned number_in(struct toy *t, const char *name)
{
	char path[4096], text[32] = "0";

	snprintf(path, sizeof path, "%s/%s", t->folder, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, text, sizeof text - 1);
		text[n < 0 ? 0 : n] = '\0';
		close(fd);
	}
	return (unsigned)strtoul(text, NULL, 10);
}

static unsigned threads_now(void)
{
	char line[200];
	unsigned n = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof line, f))
		sscanf(line, "Threads: %u", &n);
	if (f)
		fclose(f);
	return n;
}

static struct stat attributes(struct toy *t, fuse_ino_t ino)
{
	struct stat st = { .st_ino = ino, .st_nlink = 1, .st_mode = S_IFREG | 0644, .st_size = 1 << 20 };

	if (ino == ROOT)
		st.st_mode = S_IFDIR | 0755;
	else if (ino == NUMBER)
		st.st_size = number_in(t, "number");
	else if (ino == THREADS)
		st.st_size = threads_now();
	return st;
}

static void toy_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .attr_timeout = 1000, .entry_timeout = 1000 };

	for (e.ino = DATA; e.ino <= LAST && strcmp(names[e.ino], name); e.ino++)
		;
	if (parent != ROOT || e.ino > LAST || (e.ino == NUMBER && number_in(toy_of(req), "number") == 99)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	if (e.ino == THREADS)
		e.attr_timeout = 0;
	e.attr = attributes(toy_of(req), e.ino);
	fuse_reply_entry(req, &e);
}

static void toy_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = attributes(toy_of(req), ino);

	(void)fi;
	fuse_reply_attr(req, &st, ino == THREADS ? 0 : 1000);
}

static void toy_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct request *r = session_request();
	struct hold_handle h = { .conn = r->conn->no, .fh = r->unique, .node = ino };

	if (hold_handle_add(toy_of(req)->hold, &h) < 0) {
		fuse_reply_err(req, ENFILE);
		return;
	}
	fi->fh = r->unique;
	fi->direct_io = ino != NUMBER;
	fuse_reply_open(req, fi);
}

static void toy_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	hold_handle_remove(toy_of(req)->hold, session_request()->conn->no, fi->fh);
	fuse_reply_err(req, 0);
}

/* FOLDER/begun grows by a byte, and then it takes until FOLDER/go is there. */
static void hold_back(struct toy *t)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/begun", t->folder);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	(void)!write(fd, "x", 1);
	close(fd);
	session_blocking_begin();
	while (number_in(t, "go") == 0)
		usleep(1000);
	session_blocking_end();
}

static void toy_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct toy *t = toy_of(req);
	char *buf = session_room();
	struct hold_handle h;

	if (ino == POISON)
		abort();
	if (!hold_handle_get(t->hold, session_request()->conn->no, fi->fh, &h) || h.node != ino) {
		fuse_reply_err(req, EBADF);
		return;
	}
	if (ino == SLOW) {
		session_blocking_begin();
		usleep(20000);
		session_blocking_end();
	}
	if (ino == HELD)
		hold_back(t);
	ssize_t n = pread(t->state, buf, size < SESSION_ROOM ? size : SESSION_ROOM, offset);
	fuse_reply_buf(req, buf, n < 0 ? 0 : (size_t)n);
}

static void toy_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		      struct fuse_file_info *fi)
{
	(void)ino, (void)fi;
	if (io_pwrite(toy_of(req)->state, data, size, (uint64_t)offset) < 0)
		fuse_reply_err(req, EIO);
	else
		fuse_reply_write(req, size);
}

/* FOLDER/asked grows by a byte each time that the kernel wants to know whether a write takes away capabilities. */
static void toy_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	char path[4096];

	(void)ino, (void)size;
	snprintf(path, sizeof path, "%s/asked", toy_of(req)->folder);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (strcmp(name, "security.capability") == 0)
		(void)!write(fd, "x", 1);
	close(fd);
	fuse_reply_err(req, ENODATA);
}

static const struct fuse_lowlevel_ops toy_ops = { .lookup = toy_lookup, .getattr = toy_getattr, .open = toy_open,
						  .release = toy_release, .read = toy_read, .write = toy_write,
						  .getxattr = toy_getxattr };

/* ---- the daemon. A mount is passed to it over the listening socket, one message like the keeper's. */

static int opened(void *ctx, struct conn *c)
{
	struct toy *t = ctx;

	c->owner = t;
	t->conns++;
	t->conns_seen++;
	return 0;
}

static void tell(struct toy *t, const struct keep_message *m, int fd)
{
	if (keep_send(t->channel, m, fd) < 0)
		_exit(90);
}

static void gone(void *ctx, struct conn *c)
{
	struct toy *t = ctx;
	struct keep_message m = { .kind = KEEP_DROP, .conn = c->no };

	tell(t, &m, -1);
	t->conns--;
}

static void inited(void *ctx, struct conn *c, const void *init, unsigned len)
{
	struct toy *t = ctx;
	struct keep_message m = { .kind = KEEP_INIT, .conn = c->no, .init_len = len };
	char path[4096];

	snprintf(path, sizeof path, "%s/die", t->folder);
	unsigned die = number_in(t, "die");
	unlink(path);
	if (die == 1)
		raise(SIGKILL);
	memcpy(m.init, init, len);
	tell(t, &m, -1);
	if (die == 2)
		raise(SIGKILL);
}

static void serve_mount(struct toy *t, const struct keep_message *m, int fd)
{
	struct conn c = { .no = m->conn, .peer_uid = m->peer_uid };
	struct error err;

	memcpy(c.dir, m->dir, sizeof c.dir);
	if (sessions_add(t->sessions, fd, &c, m->init_len ? m->init : NULL, m->init_len, &err) < 0) {
		diag("%s", err.text);
		_exit(91);
	}
}

static void take_over(struct toy *t)
{
	struct keep_message m;
	int fd;

	while (keep_receive(t->channel, &m, &fd) == 0 && m.kind == KEEP_ADD)
		serve_mount(t, &m, fd);
	m = (struct keep_message){ .kind = KEEP_READY };
	tell(t, &m, -1);
	sessions_start(t->sessions);
}

/* What the test asks for: to serve a mount, to forget one, to tell kernels. Answered by one byte. */
static void take_wish(struct toy *t, int listen_fd)
{
	struct keep_message m;
	int s = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC), fd = -1;

	if (s >= 0 && keep_receive(s, &m, &fd) == 0) {
		if (m.kind == KEEP_ADD) {
			int own = -1;
			if (device_own(fd, &own, NULL))
				_exit(92);
			close(fd);
			tell(t, &m, own);
			serve_mount(t, &m, own);
		} else if (m.kind == KEEP_DROP) {
			sessions_end(t->sessions, m.conn);
		} else if (m.kind == KEEP_INIT) {
			notify_inode(t->sessions, NULL, NUMBER, -1, 0);
			notify_entry(t->sessions, NULL, ROOT, "number");
			notify_flush(t->sessions);
		}
		(void)!write(s, "", 1);
	}
	if (s >= 0)
		close(s);
}

static int env_fd(const char *name) { return (int)strtol(getenv(name), NULL, 10); }

static int be_daemon(const char *folder)
{
	struct toy *t = calloc(1, sizeof *t);
	struct sessions_conf conf = { .ops = &toy_ops, .ctx = t, .opened = opened, .gone = gone, .inited = inited };
	char path[4096];

	prctl(PR_SET_DUMPABLE, 0); /* no core files */
	snprintf(t->folder, sizeof t->folder, "%s", folder);
	snprintf(path, sizeof path, "%s/state", folder);
	t->state = open(path, O_RDWR | O_CLOEXEC);
	t->channel = env_fd("IMAGEFS_CHANNEL_FD");
	if (hold_map(&t->hold, env_fd("IMAGEFS_HOLD_FD"), NULL) < 0)
		_exit(92);
	conf.hold = t->hold;
	if (sessions_new(&t->sessions, &conf, NULL) < 0)
		_exit(93);
	take_over(t);
	struct pollfd p[2] = { { .fd = env_fd("IMAGEFS_LISTEN_FD"), .events = POLLIN },
			       { .fd = t->channel, .events = POLLIN } };
	while (!(t->conns_seen && t->conns == 0) && p[1].revents == 0) {
		poll(p, 2, 20);
		if (p[0].revents)
			take_wish(t, p[0].fd);
	}
	sessions_free(t->sessions);
	hold_unmap(t->hold);
	close(t->state);
	free(t);
	return 0;
}

/* ---- the test's side */

static char folder[3000];
static pid_t keeper;

static struct sockaddr_un address(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = strlen(folder);

	if (n + sizeof "/socket" > sizeof a.sun_path)
		bail("TMPDIR is too long for a socket");
	memcpy(a.sun_path, folder, n);
	memcpy(a.sun_path + n, "/socket", sizeof "/socket");
	return a;
}

static int connect_daemon(void)
{
	struct sockaddr_un a = address();
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (connect(s, (struct sockaddr *)&a, sizeof a) < 0)
		bail("no daemon");
	return s;
}

#define OTHERS 77 /* a mount of another user */

/* false: it died of it. */
static bool try_wish(uint32_t kind, uint32_t no, const char *dir, int fd)
{
	struct keep_message m = { .kind = kind, .conn = no, .peer_uid = no == OTHERS ? 1 : 0 };
	char byte;
	int s = connect_daemon();

	snprintf(m.dir, sizeof m.dir, "%s", dir);
	bool done = keep_send(s, &m, fd) == 0 && read(s, &byte, 1) == 1;
	close(s);
	return done;
}

static void wish(uint32_t kind, uint32_t no, const char *dir, int fd)
{
	if (!try_wish(kind, no, dir, fd))
		bail("the daemon does not do what it is asked to");
}

static void path_in(char ret[4096], const char *dir, const char *name)
{
	snprintf(ret, 4096, "%s/%s%s%s", folder, dir, *name ? "/" : "", name);
}

static void attach(uint32_t no, const char *name)
{
	char dir[4096], options[100];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	path_in(dir, name, "");
	mkdir(dir, 0755);
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (mount("toy", dir, "fuse.toy", MS_NOSUID | MS_NODEV, options) < 0)
		bail("mount: %s", strerror(errno));
	(void)try_wish(KEEP_ADD, no, dir, fd); /* it may be told to die at the INIT; the keeper knows the mount then */
	close(fd);
}

static void set(const char *name, unsigned n)
{
	char path[4096], text[16];

	path_in(path, name, "");
	snprintf(text, sizeof text, "%u", n);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		bail("%s: %s", path, strerror(errno));
	close(fd);
}

static void be_keeper(int listen_fd, int ready_fd)
{
	char path[4096];
	struct keeper_conf conf = { .store = folder, .listen_fd = listen_fd, .ready_fd = ready_fd,
				    .program = "/proc/self/exe" };

	path_in(path, "lock", "");
	conf.lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	path_in(path, "log", "");
	if (!freopen(path, "a", stderr))
		_exit(80);
	_exit(keeper_run(&conf));
}

static void start(void)
{
	char path[4096], line[600] = "";
	int p[2], s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(folder, sizeof folder, "%s", test_folder());
	path_in(path, "state", "");
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	struct sockaddr_un a = address();
	if (fd < 0 || ftruncate(fd, 1 << 20) < 0 || pipe2(p, O_CLOEXEC) < 0 ||
	    bind(s, (struct sockaddr *)&a, sizeof a) < 0 || listen(s, 10) < 0)
		bail("%s: %s", folder, strerror(errno));
	close(fd);
	keeper = fork();
	if (keeper == 0)
		be_keeper(s, p[1]);
	close(s);
	close(p[1]);
	ok(read(p[0], line, sizeof line - 1) > 0 && strcmp(line, "ready\n") == 0, "the daemon serves");
	close(p[0]);
}

/* The keeper's only child. */
static pid_t daemon_pid(void)
{
	char path[64];
	int pid = 0;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
	FILE *f = fopen(path, "re");
	if (f && fscanf(f, "%d", &pid) != 1)
		pid = 0;
	if (f)
		fclose(f);
	return pid;
}

static void wait_other_daemon(pid_t before)
{
	for (int i = 0; i < 5000; i++, usleep(1000)) {
		pid_t now = daemon_pid();
		if (now != before && now != 0)
			return;
	}
	bail("the daemon is not started again");
}

static pid_t kill_daemon(void)
{
	wait_other_daemon(0);
	pid_t pid = daemon_pid();
	if (pid > 0)
		kill(pid, SIGKILL);
	return pid;
}

/* ---- bytes: page k of the file holds (round, k) all over, in the reader's half of it `round` is fixed */

#define PAGES 64
#define PAGE 4096

static void fill(uint32_t *page, uint32_t round, uint32_t k)
{
	for (unsigned i = 0; i < PAGE / 4; i++)
		page[i] = round * 1000003 + k * 4099 + i;
}

static int be_reader(int fd, volatile const bool *stop)
{
	static uint32_t got[PAGE / 4], want[PAGE / 4];

	for (unsigned k = 0; !*stop; k = (k + 7) % PAGES) {
		fill(want, 5, k);
		if (pread(fd, got, PAGE, (off_t)k * PAGE) != PAGE)
			return errno ? errno : 200;
		if (memcmp(got, want, PAGE))
			return 201;
	}
	return 0;
}

static int be_writer(int fd, volatile const bool *stop, volatile unsigned *count)
{
	static uint32_t page[PAGE / 4], got[PAGE / 4];

	for (uint32_t round = 1; !*stop; round++) {
		unsigned k = PAGES + round % PAGES;
		fill(page, round, k);
		if (pwrite(fd, page, PAGE, (off_t)k * PAGE) != PAGE || pread(fd, got, PAGE, (off_t)k * PAGE) != PAGE)
			return errno ? errno : 200;
		if (memcmp(got, page, PAGE))
			return 201;
		*count += 1;
	}
	return 0;
}

/* Names and handles, too. */
static int be_opener(const char *dir, volatile const bool *stop)
{
	char path[4096], byte;

	path_in(path, dir, "data");
	while (!*stop) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || pread(fd, &byte, 1, 0) != 1 || close(fd) < 0)
			return errno ? errno : 200;
	}
	return 0;
}

struct shared {
	volatile bool stop;
	volatile unsigned count;
};

/* Until the writer has gone on by a few pages: a machine that is busy takes its time to start a daemon. */
static void wait_for_pages(const struct shared *s)
{
	unsigned before = s->count;
	for (int ms = 0; ms < 60000 && s->count - before < 3; ms++)
		usleep(1000);
}

static void test_killed(uint64_t *seed, struct shared *s)
{
	static uint32_t page[PAGE / 4];
	char path[4096];
	pid_t child[3];
	bool good = true;

	path_in(path, "a", "data");
	int fd = open(path, O_RDWR | O_CLOEXEC);
	for (unsigned k = 0; k < PAGES; k++) {
		fill(page, 5, k);
		good &= pwrite(fd, page, PAGE, (off_t)k * PAGE) == PAGE;
	}
	ok(fd >= 0 && good, "it is written to");
	for (int i = 0; i < 3; i++)
		if ((child[i] = fork()) == 0)
			_exit(i == 0 ? be_reader(fd, &s->stop) : i == 1 ? be_writer(fd, &s->stop, &s->count) :
			      be_opener("a", &s->stop));
	for (int i = 0; i < 50; i++) {
		if (i % 3) /* the others may hit it while it starts */
			wait_for_pages(s);
		usleep((useconds_t)(test_random(seed) % 40000));
		kill_daemon();
	}
	wait_for_pages(s);
	s->stop = true;
	const char *const who[] = { "a reader", "a writer", "one who opens and closes" };
	for (int i = 0; i < 3; i++) {
		int status;
		waitpid(child[i], &status, 0);
		is_int(status, 0, "%s does not notice that the daemon is killed 50 times", who[i]);
	}
	ok(s->count > 100, "meanwhile %u pages were written", s->count);
	close(fd);
}

/* Like the close of a large upload on a slow disk. */
static void test_held(void)
{
	char path[4096], begun[4096], byte;
	int status, kills = 0;

	path_in(path, "a", "held");
	path_in(begun, "begun", "");
	pid_t child = fork();
	if (child == 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		_exit(read(fd, &byte, 1) == 1 ? 0 : errno);
	}
	for (int i = 0; i < 20000 && kills < 120; i++, usleep(1000)) {
		struct stat st;
		if (stat(begun, &st) < 0 || st.st_size <= kills)
			continue;
		kill_daemon();
		kills++;
	}
	is_int(kills, 120, "a request is under way at 120 kills");
	set("go", 1);
	waitpid(child, &status, 0);
	is_int(WEXITSTATUS(status), 0, "and is answered at last");
}

static void test_poison(void)
{
	char path[4096], data[4096], byte;
	pid_t before = daemon_pid();

	path_in(path, "a", "poison");
	path_in(data, "a", "data");
	int fd = open(path, O_RDONLY | O_CLOEXEC), other = open(data, O_RDONLY | O_CLOEXEC);
	ok(read(fd, &byte, 1) == -1 && errno == EIO, "a request that kills the daemon each time gets EIO");
	ok(daemon_pid() != before, "it did kill it");
	is_int(pread(other, &byte, 1, 0), 1, "others go on");
	pid_t two[2];
	for (int i = 0; i < 2; i++)
		if ((two[i] = fork()) == 0)
			_exit(read(fd, &byte, 1) == -1 && errno == EIO ? 0 : 1);
	for (int i = 0; i < 2; i++) {
		int status;
		waitpid(two[i], &status, 0);
		is_int(status, 0, "two of them at once as well");
	}
	is_int(pread(other, &byte, 1, 0), 1, "and still others go on");
	close(fd);
	close(other);
}

static off_t size_of(const char *dir, const char *name)
{
	char path[4096];
	struct stat st;

	path_in(path, dir, name);
	return stat(path, &st) == 0 ? st.st_size : -errno;
}

static void test_notify(void)
{
	set("number", 1);
	attach(2, "b");
	ok(size_of("a", "number") == 1 && size_of("b", "number") == 1, "a second mount");
	set("number", 2);
	ok(size_of("a", "number") == 1 && size_of("b", "number") == 1, "attributes are cached");
	wish(KEEP_INIT, 0, "", -1);
	ok(size_of("a", "number") == 2 && size_of("b", "number") == 2, "both see a change that they are told of");
	set("number", 99);
	wish(KEEP_INIT, 0, "", -1);
	ok(size_of("a", "number") == -ENOENT && size_of("b", "number") == -ENOENT, "and that a name has gone");
	set("number", 3);
	pid_t before = kill_daemon();
	wait_other_daemon(before);
	is_int(size_of("b", "data"), 1 << 20, "both are taken over");
	wish(KEEP_INIT, 0, "", -1);
	ok(size_of("a", "number") == 3 && size_of("b", "number") == 3, "and are told by the next daemon, too");
}

static void test_died_at_init(void)
{
	char dir[4096];

	set("die", 1);
	attach(5, "early");
	is_int(size_of("early", "data"), 1 << 20, "killed before the keeper knows the INIT: it is sent again");
	set("die", 2);
	attach(6, "late");
	is_int(size_of("late", "data"), 1 << 20, "killed before the INIT is answered: it gets the same answer");
	path_in(dir, "early", "");
	ok(umount2(dir, 0) == 0, "unmounted");
	path_in(dir, "late", "");
	ok(umount2(dir, 0) == 0, "unmounted");
}

static void test_slow(void)
{
	char path[4096];
	pid_t child[40];
	int64_t began = clock_mono();
	bool good = true;

	path_in(path, "a", "slow");
	for (int i = 0; i < 40; i++)
		if ((child[i] = fork()) == 0) {
			char byte;
			int fd = open(path, O_RDONLY | O_CLOEXEC);
			for (int n = 0; n < 5; n++)
				if (pread(fd, &byte, 1, n * PAGE) != 1)
					_exit(1);
			_exit(0);
		}
	off_t threads = 0;
	for (int i = 0; i < 40; i++) {
		int status;
		while (waitpid(child[i], &status, WNOHANG) == 0) {
			off_t now = size_of("a", "threads");
			threads = now > threads ? now : threads;
			usleep(5000);
		}
		good &= status == 0;
	}
	double ms = (double)(clock_mono() - began) / 1e6;
	ok(good && ms < 1500, "200 requests that wait 20 ms each, by 40 callers, take %.0f ms", ms);
	ok(threads >= 30, "each has a worker while it waits (%d threads)", (int)threads);
}

static off_t begun(void)
{
	char path[4096];
	struct stat st;

	path_in(path, "begun", "");
	return stat(path, &st) ? 0 : st.st_size;
}

/* Is a request answered, while all those are held? */
static bool is_answered(void)
{
	int status = -1, waited = 0;
	pid_t child = fork();

	if (child == 0)
		_exit(size_of("a", "threads") <= 0); /* which no kernel keeps */
	while (waitpid(child, &status, WNOHANG) == 0 && waited++ < 20000)
		usleep(1000);
	return status == 0;
}

static void test_others(void)
{
	enum { CALLERS = FLIGHTS_MAX + 10 };
	char path[4096], dir[4096];
	pid_t child[CALLERS];
	bool answered = true, good = true;

	path_in(path, "begun", "");
	unlink(path);
	set("go", 0);
	attach(OTHERS, "others");
	path_in(path, "others", "held");
	for (int i = 0; i < CALLERS; i++)
		if ((child[i] = fork()) == 0) {
			char byte;
			int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
			_exit(pread(fd, &byte, 1, 0) == 1 ? 0 : 1);
		}
	for (int i = 0; i < 20000 && begun() < FLIGHTS_MAX / 2 - 1; i++)
		usleep(1000);
	for (int i = 0; i < 200 && answered; i++)
		answered = is_answered();
	ok(answered, "whoever has many requests that take long keeps nobody else waiting");
	ok(begun() <= FLIGHTS_MAX / 2, "for no more than half of them are under way (%d)", (int)begun());
	set("go", 1);
	for (int i = 0; i < CALLERS; i++) {
		int status;
		waitpid(child[i], &status, 0);
		good &= status == 0;
	}
	ok(good && begun() == CALLERS, "the others' turn comes, too (%d)", (int)begun());
	path_in(dir, "others", "");
	umount2(dir, 0);
}

static void test_caps(void)
{
	char path[4096], text[64] = "";

	path_in(path, "a", "data");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ok(fd >= 0 && pwrite(fd, text, sizeof text, 900000) == sizeof text, "short writes");
	static char big[1 << 20];
	is_int(pwrite(fd, big, 1 << 19, 1 << 19), 1 << 19, "long writes");
	close(fd);
	path_in(path, "a", "number");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = true;
	for (int i = 0; i < 50; i++)
		good &= pwrite(fd, text, sizeof text, 900000) == sizeof text;
	close(fd);
	ok(good, "writes through the cache");
	ok(size_of(".", "asked") <= 2, "of which not each asks for security.capability");
}

/* Nothing that the kernel remembers answers this. */
static int code_of_open(const char *dir, const char *name)
{
	char path[4096];

	path_in(path, dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void test_ended(void)
{
	char dir[4096];

	attach(3, "ended");
	is_int(size_of("ended", "data"), 1 << 20, "another mount");
	wish(KEEP_DROP, 3, "", -1);
	/* Its notifier and the keeper close their duplicates of the descriptor a moment later. */
	int code = 0;
	for (int tries = 0; code != -ENOTCONN && code != -ECONNABORTED && tries < 2000; tries++, usleep(5000))
		code = code_of_open("ended", "data");
	is_int(code_of_open("ended", "data"), -ENOTCONN, "that is not served any more");
	is_int(size_of("a", "data"), 1 << 20, "others are");
	path_in(dir, "ended", "");
	is_int(umount2(dir, 0), 0, "unmounted");
}

/* ---- a descriptor from which no requests come */

struct counts {
	unsigned opened, closed, gone;
};

static int count_opened(void *ctx, struct conn *c)
{
	(void)c;
	((struct counts *)ctx)->opened++;
	return 0;
}

static void count_closed(void *ctx, struct conn *c)
{
	(void)c;
	((struct counts *)ctx)->closed++;
}

static void count_gone(void *ctx, struct conn *c)
{
	(void)c;
	((struct counts *)ctx)->gone++;
}

static void test_refused(void)
{
	struct counts counts = { 0 };
	struct conn c = { .no = 9, .dir = "/nowhere" };
	struct hold *hold;
	struct sessions *sessions;
	struct error err;
	int hold_fd = hold_create(), own = -1, unmounted = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	struct sessions_conf conf = { .ops = &toy_ops, .ctx = &counts, .opened = count_opened, .closed = count_closed, .gone = count_gone };

	is_int(device_own(unmounted, &own, &err), -ENOTCONN, "a descriptor of no mount is known for what it is");
	if (ioctl(unmounted, _IO(229, 3)) == 0) /* FUSE_DEV_IOC_SYNC_INIT, since Linux 6.18 */
		is_int(device_own(unmounted, &own, &err), -ENOTCONN, "also one that has whoever asks sleep until it is mounted");
	close(unmounted);
	if (hold_map(&hold, hold_fd, NULL))
		bail("no hold");
	conf.hold = hold;
	if (sessions_new(&sessions, &conf, NULL))
		bail("no sessions");
	int fd = memfd_create("not a mount", MFD_CLOEXEC);
	ok(sessions_add(sessions, fd, &c, NULL, 0, &err) < 0, "what cannot be waited for is refused");
	ok(counts.opened == 1 && counts.closed == 1, "whoever was told of it is told of its end, once");
	is_int(counts.gone, 0, "but not that a mount ended: there was none");
	is_int(sessions_count(sessions), 0, "nothing of it is left");
	sessions_free(sessions);
	hold_unmap(hold);
	close(hold_fd);
}

static void test_end(void)
{
	char dir[4096];
	int status = -1;

	path_in(dir, "a", "");
	is_int(umount2(dir, 0), 0, "one is unmounted");
	usleep(30000);
	is_int(size_of("b", "data"), 1 << 20, "the other one goes on");
	path_in(dir, "b", "");
	is_int(umount2(dir, 0), 0, "the last one is unmounted");
	waitpid(keeper, &status, 0);
	is_int(status, 0, "daemon and keeper end cleanly");
}

/* A keeper that ends with mounts left undoes them. */
static void test_undone(void)
{
	char dir[4096], line[1000];
	int status = -1;
	bool there = false;

	path_in(dir, "socket", "");
	unlink(dir);
	start();
	attach(1, "c");
	is_int(size_of("c", "data"), 1 << 20, "mounted again");
	kill(keeper, SIGTERM);
	waitpid(keeper, &status, 0);
	is_int(status, 0, "the keeper ends when asked to");
	FILE *f = fopen("/proc/self/mountinfo", "re");
	path_in(dir, "c", "");
	while (f && fgets(line, sizeof line, f))
		there |= strstr(line, dir) != NULL;
	if (f)
		fclose(f);
	ok(!there, "and leaves no dead mount behind");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "daemon") == 0)
		return be_daemon(argv[2]);
	if (argc == 2 && strcmp(argv[1], "notifier") == 0)
		return notifier_main();
	uint64_t seed = test_seed();
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	struct shared *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (geteuid() != 0 || fuse < 0) {
		ok(true, "# SKIP it needs root and /dev/fuse");
		return done_testing();
	}
	close(fuse);
	start();
	attach(1, "a");
	is_int(size_of("a", "data"), 1 << 20, "it is mounted");
	test_killed(&seed, s);
	test_held();
	test_poison();
	test_notify();
	test_died_at_init();
	test_slow();
	test_others();
	test_caps();
	test_ended();
	test_end();
	test_undone();
	test_refused();
	return done_testing();
}
