/* SPDX-License-Identifier: Apache-2.0 */
/* keeper: a daemon that dies is started again and gets back what it had. The daemon is this program, executed
 * with "daemon FOLDER"; FOLDER/mode says how it behaves, FOLDER/starts has a byte for each start. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper/hold.h"
#include "keeper/keeper.h"
#include "tap.h"

#define UNAME26_FLAG 0x0020000 /* the kernel says that it is 2.6 */

/* ---- small files in the folder */

static void put(const char *folder, const char *name, const char *text, int flags)
{
	char path[4200];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
}

static const char *get(const char *folder, const char *name)
{
	static char text[8192];
	char path[4200];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static unsigned starts(const char *folder) { return (unsigned)strlen(get(folder, "starts")); }

/* ---- the daemon */

struct fake {
	const char *folder;
	int channel;
	struct hold *hold;
	unsigned mounts, wrong; /* told at start; and how many of them were not as they should be */
};

static struct keep_message describe(uint32_t kind, uint32_t conn)
{
	struct keep_message m = { .kind = kind, .conn = conn, .peer_uid = conn + 1000, .account = conn + 7 };

	snprintf(m.dir, sizeof m.dir, "/nowhere/%u", conn);
	return m;
}

static void send_or_die(struct fake *f, const struct keep_message *m, int fd)
{
	if (keep_send(f->channel, m, fd) < 0)
		_exit(99);
}

static void add_mount(struct fake *f, uint32_t conn)
{
	struct keep_message m = describe(KEEP_ADD, conn);
	int fd = memfd_create("connection", MFD_CLOEXEC);

	if (ftruncate(fd, 100 + conn) < 0) /* by this it is known again */
		_exit(98);
	send_or_die(f, &m, fd);
	close(fd);
	m.kind = KEEP_INIT;
	m.init_len = 100;
	memset(m.init, (int)conn, 100);
	send_or_die(f, &m, -1);
}

static bool is_as_added(const struct keep_message *m, int fd)
{
	struct keep_message want = describe(KEEP_ADD, m->conn);
	struct stat st;

	want.init_len = 100;
	memset(want.init, (int)m->conn, 100);
	return memcmp(&want, m, sizeof want) == 0 && fstat(fd, &st) == 0 && st.st_size == 100 + (off_t)m->conn;
}

static void learn_mounts(struct fake *f)
{
	struct keep_message m;
	int fd, r;

	while ((r = keep_receive(f->channel, &m, &fd)) == 0 && m.kind == KEEP_ADD) {
		f->mounts++;
		f->wrong += !is_as_added(&m, fd);
		close(fd);
	}
	if (r < 0 || m.kind != KEEP_READY)
		_exit(97);
}

static int env_fd(const char *name)
{
	const char *text = getenv(name);

	return text ? (int)strtol(text, NULL, 10) : -1;
}

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.' && strtol(e->d_name, NULL, 10) != dirfd(d);
	closedir(d);
	return n;
}

static void report(struct fake *f)
{
	char text[200];
	struct stat a, b;
	bool fds = fstat(env_fd("IMAGEFS_LISTEN_FD"), &a) == 0 && S_ISSOCK(a.st_mode) &&
		   fstat(env_fd("IMAGEFS_LOCK_FD"), &b) == 0 && S_ISREG(b.st_mode);

	snprintf(text, sizeof text, "pid=%d mounts=%u wrong=%u fds=%d open=%u linger=%s", (int)getpid(), f->mounts,
		 f->wrong, fds, open_fds(), getenv("IMAGEFS_LINGER"));
	put(f->folder, "report.new", text, O_TRUNC);
	char from[4200], to[4200];
	snprintf(from, sizeof from, "%s/report.new", f->folder);
	snprintf(to, sizeof to, "%s/report", f->folder);
	if (rename(from, to) < 0)
		_exit(96);
}

static void say_ready(struct fake *f)
{
	struct keep_message m = { .kind = KEEP_READY };

	report(f);
	send_or_die(f, &m, -1);
}

static void say_failed(struct fake *f)
{
	struct keep_message m = { .kind = KEEP_FAILED };

	snprintf(m.dir, sizeof m.dir, "The store is not there");
	send_or_die(f, &m, -1);
	_exit(1);
}

static void on_term(int s)
{
	(void)s;
	_exit(0);
}

static void serve(struct fake *f) /* until the keeper is gone */
{
	struct keep_message m;
	int fd;

	signal(SIGTERM, on_term);
	say_ready(f);
	_exit(keep_receive(f->channel, &m, &fd) == -EPIPE ? 5 : 6);
}

/* Carries out request 100 and then 102, each of which kills it; until told that they are condemned. */
static void serve_poison(struct fake *f)
{
	signal(SIGABRT, SIG_DFL);
	for (uint64_t unique = 100; unique <= 102; unique += 2) {
		if (hold_deaths(f->hold, 1, unique) >= DEATHS_MAX)
			continue;
		struct keep_message m = { .kind = KEEP_READY };
		send_or_die(f, &m, -1);
		hold_flight_begin(f->hold, 3, 1, unique, 15);
		abort();
	}
	serve(f);
}

/* Is killed while request 100 is under way, until that was so `often` times. */
static void serve_under_kills(struct fake *f, unsigned often)
{
	if (hold_deaths(f->hold, 1, 100) >= DEATHS_MAX)
		_exit(94);
	say_ready(f);
	if (starts(f->folder) > often)
		serve(f);
	hold_flight_begin(f->hold, 3, 1, 100, 15);
	raise(SIGKILL);
}

/* Is killed for want of memory by request 100, until that is condemned. */
static void serve_hungry(struct fake *f)
{
	char text[100];

	if (hold_deaths(f->hold, 1, 100) >= DEATHS_MAX) {
		say_ready(f);
		serve(f);
	}
	snprintf(text, sizeof text, "nr_dirty 7\noom_kill %u\n", starts(f->folder));
	put(f->folder, "vmstat", text, O_TRUNC);
	hold_flight_begin(f->hold, 3, 1, 100, 15);
	raise(SIGKILL);
}

/* Ready once, and then killed again and again before it is. */
static void serve_late(struct fake *f)
{
	if (starts(f->folder) > 1 && starts(f->folder) < 150)
		raise(SIGKILL);
	say_ready(f);
	if (starts(f->folder) == 1)
		raise(SIGKILL);
	serve(f);
}

static void behave(struct fake *f, const char *mode)
{
	bool first = starts(f->folder) == 1;

	if (strcmp(mode, "exit") == 0)
		_exit(3);
	if (strcmp(mode, "failed") == 0)
		say_failed(f);
	if (strcmp(mode, "killed-early") == 0)
		raise(SIGKILL);
	if (strcmp(mode, "poison") == 0)
		serve_poison(f);
	if (strcmp(mode, "under-kills") == 0)
		serve_under_kills(f, 200);
	if (strcmp(mode, "hungry") == 0)
		serve_hungry(f);
	if (strcmp(mode, "late") == 0)
		serve_late(f);
	if (first && strcmp(mode, "many") == 0)
		for (uint32_t i = 0; i < 300; i++)
			add_mount(f, i);
	if (first && strcmp(mode, "three") == 0) {
		add_mount(f, 1);
		add_mount(f, 2);
		struct keep_message m = describe(KEEP_DROP, 1);
		send_or_die(f, &m, -1);
		add_mount(f, 3);
		add_mount(f, 4);
		raise(SIGKILL); /* nothing that was sent is lost */
	}
	if (strcmp(mode, "abort") == 0) {
		say_ready(f);
		abort();
	}
	if (strcmp(mode, "deaf") == 0) {
		signal(SIGTERM, SIG_IGN);
		say_ready(f);
		pause();
	}
	serve(f);
}

static int fake_daemon(const char *folder)
{
	struct fake f = { .folder = folder, .channel = env_fd("IMAGEFS_CHANNEL_FD") };
	char mode[100];

	put(folder, "starts", "x", O_APPEND);
	if (hold_map(&f.hold, env_fd("IMAGEFS_HOLD_FD"), NULL) < 0)
		_exit(95);
	learn_mounts(&f);
	snprintf(mode, sizeof mode, "%s", get(folder, "mode"));
	behave(&f, mode);
	return 0;
}

/* ---- the test */

struct run {
	char folder[4096];
	pid_t keeper;
	int ready;
	char line[600];
};

static void be_keeper(struct run *t, int ready_fd, bool old_kernel)
{
	char path[4200], vmstat[4200];

	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* what we were given by those who test */
	fcntl(ready_fd, F_SETFD, 0);
	struct keeper_conf conf = { .store = t->folder, .listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
				    .ready_fd = ready_fd, .linger = true, .program = "/proc/self/exe", .vmstat = vmstat };

	snprintf(vmstat, sizeof vmstat, "%s/vmstat", t->folder);
	snprintf(path, sizeof path, "%s/lock", t->folder);
	conf.lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (old_kernel)
		personality(UNAME26_FLAG);
	if (!freopen("/dev/null", "w", stderr))
		_exit(90);
	_exit(keeper_run(&conf));
}

static void begin(struct run *t, const char *mode, bool old_kernel)
{
	static unsigned number;
	int p[2];

	snprintf(t->folder, sizeof t->folder, "%s/%u", test_folder(), ++number);
	mkdir(t->folder, 0700);
	put(t->folder, "mode", mode, 0);
	if (pipe2(p, O_CLOEXEC) < 0)
		bail("no pipe");
	t->keeper = fork();
	if (t->keeper == 0) {
		close(p[0]);
		be_keeper(t, p[1], old_kernel);
	}
	close(p[1]);
	t->ready = p[0];
	FILE *f = fdopen(p[0], "r");
	t->line[0] = '\0';
	if (!fgets(t->line, sizeof t->line, f))
		t->line[0] = '\0';
	fclose(f); /* the keeper writes no more than that */
}

static int wait_keeper(struct run *t)
{
	int status = 0;

	waitpid(t->keeper, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int end(struct run *t)
{
	kill(t->keeper, SIGTERM);
	return wait_keeper(t);
}

static pid_t reported_pid(struct run *t)
{
	int pid = 0;

	sscanf(get(t->folder, "report"), "pid=%d", &pid);
	return pid;
}

/* Wait for a report of another daemon than this one; 0: none came. */
static pid_t next_daemon(struct run *t, pid_t before)
{
	for (int i = 0; i < 10000; i++, usleep(1000)) {
		pid_t pid = reported_pid(t);
		if (pid > 0 && pid != before)
			return pid;
	}
	return 0;
}

static void test_killed_often(void)
{
	struct run t;
	unsigned i = 0;

	begin(&t, "three", false);
	is_str(t.line, "ready\n", "whoever started the keeper is told when the daemon serves");
	ok(strstr(get(t.folder, "report"), "mounts=3 wrong=0 fds=1 open=7 linger=1"),
	   "killed right after it sent mounts: the next one gets them, its descriptors, and no others");
	pid_t pid = next_daemon(&t, 0);
	for (; i < 100 && pid; i++) {
		kill(pid, SIGKILL);
		pid = next_daemon(&t, pid);
	}
	ok(i == 100 && pid, "killed a hundred times from outside: started again each time");
	ok(strstr(get(t.folder, "report"), "mounts=3 wrong=0 fds=1 open=7 linger=1"), "with everything it had");
	is_int(end(&t), 0, "SIGTERM ends both");
	ok(kill(pid, 0) < 0, "the daemon is gone");
}

static void test_many(void)
{
	struct run t;

	begin(&t, "many", false);
	pid_t pid = next_daemon(&t, 0);
	if (!pid)
		bail("the daemon does not report");
	kill(pid, SIGKILL);
	pid = next_daemon(&t, pid);
	ok(strstr(get(t.folder, "report"), "mounts=300 wrong=0"), "more mounts than fit into the channel at once");
	is_int(end(&t), 0, "and a clean end");
}

static void test_gives_up(void)
{
	struct run t;

	begin(&t, "exit", false);
	is_int(wait_keeper(&t), 1, "a daemon that cannot start ends the keeper with an error");
	is_int(starts(t.folder), 5, "after 5 tries");
	ok(strstr(t.line, "exited with code 3"), "whoever started it is told how it ended");
	begin(&t, "failed", false);
	is_int(wait_keeper(&t), 1, "one that says why");
	is_str(t.line, "The store is not there\n", "is quoted");
	is_int(starts(t.folder), 1, "and not tried again");
	begin(&t, "killed-early", false);
	is_int(wait_keeper(&t), 1, "killed before it was ever ready counts");
	is_int(starts(t.folder), 50, "but little");
	begin(&t, "abort", false);
	is_str(t.line, "ready\n", "one that serves and then crashes");
	is_int(wait_keeper(&t), 1, "is given up");
	is_int(starts(t.folder), 5, "after 5 crashes");
}

static void test_poison(void)
{
	struct run t;

	begin(&t, "poison", false);
	ok(next_daemon(&t, 0) > 0, "two requests that kill it are condemned one after the other, and it serves");
	is_int(starts(t.folder), 7, "after three crashes each");
	is_int(end(&t), 0, "and a clean end");
}

/* Waits until it serves and was started that often. */
static bool serves_at(struct run *t, unsigned count)
{
	for (int i = 0; i < 10000; i++, usleep(1000))
		if (starts(t->folder) == count && next_daemon(t, 0) && kill(reported_pid(t), 0) == 0)
			return true;
	return false;
}

static void test_kills(void)
{
	struct run t;

	begin(&t, "under-kills", false);
	ok(serves_at(&t, 201), "a request that is under way at 200 kills is not condemned");
	is_int(end(&t), 0, "and a clean end");
	begin(&t, "late", false);
	ok(serves_at(&t, 150), "once it has served it may be killed often before it does again");
	is_int(end(&t), 0, "and a clean end");
	begin(&t, "hungry", false);
	ok(serves_at(&t, 10), "one that the kernel kills for want of memory is condemned after 9 times");
	is_int(end(&t), 0, "and a clean end");
}

static void test_old_kernel(void)
{
	struct run t;

	begin(&t, "three", true);
	is_int(wait_keeper(&t), 1, "before Linux 6.9 a death with mounts is the end");
	ok(starts(t.folder) == 1 && strstr(t.line, "6.9"), "and says so");
	begin(&t, "poison", true);
	ok(next_daemon(&t, 0) > 0 && end(&t) == 0, "without mounts it is started again there, too");
}

static void test_keeper_dies(void)
{
	struct run t;

	begin(&t, "serve", false);
	pid_t pid = reported_pid(&t);
	kill(t.keeper, SIGKILL);
	is_int(wait_keeper(&t), -SIGKILL, "the keeper is killed");
	bool gone = false;
	for (int i = 0; i < 2000 && !gone; i++, usleep(1000)) {
		char path[64], state = 'Z';
		snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
		FILE *f = fopen(path, "r");
		gone = !f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1 || state == 'Z';
		if (f)
			fclose(f);
	}
	ok(gone, "the daemon sees it and ends");
}

static void test_asked_while_deaf(void)
{
	struct run t;

	begin(&t, "deaf", false);
	kill(t.keeper, SIGTERM);
	usleep(20000);
	is_int(waitpid(t.keeper, NULL, WNOHANG), 0, "the keeper waits for a daemon that takes its time to end");
	kill(reported_pid(&t), SIGKILL);
	is_int(wait_keeper(&t), 1, "one that does not end cleanly is not started again");
	is_int(starts(t.folder), 1, "not even once");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "daemon") == 0)
		return fake_daemon(argv[2]);
	test_killed_often();
	test_many();
	test_gives_up();
	test_poison();
	test_kills();
	test_old_kernel();
	test_keeper_dies();
	test_asked_while_deaf();
	return done_testing();
}
