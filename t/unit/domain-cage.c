/* SPDX-License-Identifier: Apache-2.0 */
/* The cage of libext2fs: what is closed in it gets nowhere, what it says is believed only as far as it makes sense, and whatever
 * it does, the one who asked goes on. This program is its own prober: by the name that it is executed under it knows how
 * to behave. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "domain/probe_int.h"
#include "tap.h"

#define DISK (4 << 20)

/* ---- in the cage */

static void try_open(void) { (void)!open("/etc/passwd", O_RDONLY); }
static void try_socket(void) { (void)!socket(AF_UNIX, SOCK_STREAM, 0); }
static void try_exec(void) { execl("/bin/true", "true", NULL); }
static void try_fork(void) { (void)!fork(); }
static void try_kill(void) { kill(getppid(), 0); }
static void try_map(void) { (void)!mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
static void try_too_much(void)
{
	for (unsigned i = 0; i < 64; i++) {
		volatile char *p = malloc(8 << 20);
		if (p)
			*p = 1;
	}
}

struct behaviour {
	const char *name;
	void (*act)(void);
};

static const struct behaviour escapes[] = {
	{ "opens a file", try_open },
	{ "makes a socket", try_socket },
	{ "executes a program", try_exec },
	{ "makes a process", try_fork },
	{ "sends a signal", try_kill },
	{ "maps memory that can be executed", try_map },
	{ "takes more memory than it has", try_too_much },
};

static void want(uint32_t kind, uint32_t len, uint64_t offset)
{
	struct cage_want w = { kind, len, offset };
	(void)!write(0, &w, sizeof w);
}

static void tell(const char *os)
{
	struct ext_facts facts = { .os = "", .arch = "x86_64" };
	memcpy(facts.os, os, MIN(strlen(os), sizeof facts.os));
	want(CAGE_DONE, 0, 0);
	(void)!write(0, &facts, sizeof facts);
}

static void wait_for_the_end(void)
{
	char byte;
	while (read(0, &byte, 1) > 0)
		;
}

static void read_too_much(void) { want(CAGE_READ, UINT32_MAX, 0); }
static void say_no_word(void) { want(77, 0, 0); }
static void name_with_escape(void) { tell("\033[2Jdebian"); }
static void name_without_end(void) { tell("debian-debian-debian-debian-debian-debian-debian-debian-debian-debian"); }
static void ask_for_ever(void)
{
	for (;;)
		want(CAGE_READ, CAGE_PIECE, 0);
}

static const struct behaviour lies[] = {
	{ "says nothing", wait_for_the_end },
	{ "asks for too much at once", read_too_much },
	{ "says what is no word", say_no_word },
	{ "names a system with an escape code", name_with_escape },
	{ "names a system without end", name_without_end },
	{ "asks for ever and hears nothing", ask_for_ever },
};

static void read_beyond(void)
{
	int32_t code = 0;
	struct cage_task task;
	(void)!read(0, &task, sizeof task);
	want(CAGE_READ, 512, task.disk_size - 256);
	(void)!read(0, &code, sizeof code);
	tell(code == -ENODATA ? "refused" : "given");
}

static void tell_the_truth(void) { tell("debian 12"); }

static const struct behaviour honest[] = {
	{ "reads beyond the disk", read_beyond },
	{ "tells a system", tell_the_truth },
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void act_if_named(const struct behaviour *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0) {
			list[i].act();
			wait_for_the_end();
			_exit(0);
		}
}

static int behave(void)
{
	const char *path = (const char *)getauxval(AT_EXECFN), *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	act_if_named(lies, COUNT(lies), name);
	act_if_named(honest, COUNT(honest), name);
	return prober_main();
}

/* ---- outside */

static int read_zeros(void *ctx, void *buf, uint32_t len, uint64_t offset, struct error *err)
{
	(void)ctx, (void)err;
	if (offset > DISK || len > DISK - offset)
		bail("bytes beyond the disk were asked for");
	memset(buf, 0, len);
	return 0;
}

static const struct source zeros = { .read = read_zeros, .size = DISK };

/* Look with a prober that behaves like this. */
static struct ext_facts look(const char *behaviour, const struct source *src, int patience)
{
	char path[4096];
	struct ext_facts facts;
	snprintf(path, sizeof path, "%s/%s", test_folder(), behaviour);
	if (symlink("/proc/self/exe", path) && errno != EEXIST)
		bail("no link: %s", strerror(errno));
	cage_look(&(struct cage){ path, patience }, src, 0, src->size, &facts);
	return facts;
}

static bool is_empty(const struct ext_facts *f) { return !f->os[0] && !f->arch[0]; }

static void test_escapes(void)
{
	for (size_t i = 0; i < COUNT(escapes); i++) {
		int status = 0;
		pid_t pid = fork();
		if (pid == 0) {
			if (cage_close())
				escapes[i].act();
			_exit(0);
		}
		waitpid(pid, &status, 0);
		if (CAGE_IS_OPEN)
			diag("this build leaves the cage open for its sanitizer: %s", escapes[i].name);
		else
			ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "a caged process that %s is ended at once",
			   escapes[i].name);
	}
}

static void test_lies(void)
{
	for (size_t i = 0; i < COUNT(lies); i++) {
		struct ext_facts facts = look(lies[i].name, &zeros, 500);
		ok(is_empty(&facts), "a prober that %s is not believed, and not waited for", lies[i].name);
	}
	is_str(look("reads beyond the disk", &zeros, CAGE_PATIENCE).os, "refused", "a prober gets nothing from beyond the disk");
	is_str(look("tells a system", &zeros, CAGE_PATIENCE).os, "debian 12", "a prober that tells a system is believed");
	struct ext_facts facts;
	cage_look(&(struct cage){ "/nowhere/imagefs", CAGE_PATIENCE }, &zeros, 0, DISK, &facts);
	ok(is_empty(&facts), "without a prober nothing is known, and nothing else is wrong");
	ok(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "no prober is left behind");
}

/* ---- a real file system */

static int read_file(void *ctx, void *buf, uint32_t len, uint64_t offset, struct error *err)
{
	ssize_t n = pread(*(int *)ctx, buf, len, (off_t)offset);
	return n == (ssize_t)len ? 0 : fail(err, -EIO, "short");
}

static void test_real(void)
{
	char path[4096], command[9000];
	snprintf(path, sizeof path, "%s/ext4", test_folder());
	snprintf(command, sizeof command, "mkdir -p '%s.d/etc' '%s.d/bin' && printf 'ID=debian\\nVERSION_ID=\"12\"\\n' >'%s.d/etc/os-release' && "
		 "cp /proc/self/exe '%s.d/bin/sh' && /sbin/mkfs.ext4 -q -F -d '%s.d' '%s' 24M >/dev/null 2>&1", path, path, path, path, path, path);
	if (system(command)) /* all of it is the test's own */
		bail("no file system: %s", command);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct source src = { .read = read_file, .ctx = &fd, .size = 24 << 20 };
	char os[OS_SIZE], arch[ARCH_SIZE], caged_os[OS_SIZE], caged_arch[ARCH_SIZE];
	struct cage cage = { "/proc/self/exe", CAGE_PATIENCE };
	probe_system(&src, NULL, os, arch);
	probe_system(&src, &cage, caged_os, caged_arch);
	is_str(caged_os, "debian 12", "the system of a real file system is told from inside the cage");
	is_str(caged_os, os, "it is the one that is told without a cage");
	is_str(caged_arch, arch, "and so is the processor");
	ok(caged_arch[0], "the processor is known: %s", caged_arch);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "prober") == 0)
		return behave();
	test_escapes();
	test_lies();
	test_real();
	return done_testing();
}
