/* SPDX-License-Identifier: Apache-2.0 */
/* outlast READ WRITE: opens READ for reading (and maps its first page) and WRITE for writing, reads and writes once, prints "open",
 * and for each line on its input tries again what its open files still let it do. Prints what became of it in a line:
 * "read ok map ok write ok sync ok size ok", or the errno, or SIGBUS. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char page[4096];
static sigjmp_buf torn;

static void on_bus(int signal)
{
	(void)signal;
	siglongjmp(torn, 1);
}

static const char *word(long r) { return r < 0 ? strerrorname_np(errno) : "ok"; }

static const char *touch(const volatile char *map)
{
	if (sigsetjmp(torn, 1))
		return "SIGBUS";
	(void)map[0];
	return "ok";
}

static void try(int from, int to, const volatile char *map)
{
	struct stat st;
	printf("read %s ", word(pread(from, page, sizeof page, 0)));
	printf("map %s ", touch(map));
	printf("write %s ", word(pwrite(to, page, sizeof page, 0)));
	printf("sync %s ", word(fsync(to)));
	printf("size %s\n", word(fstat(from, &st)));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[100];
	int from = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1, to = argc == 3 ? open(argv[2], O_RDWR | O_CLOEXEC) : -1;
	void *map = from < 0 ? MAP_FAILED : mmap(NULL, sizeof page, PROT_READ, MAP_PRIVATE, from, 0);
	signal(SIGBUS, on_bus);
	if (map == MAP_FAILED || to < 0 || pread(from, page, sizeof page, 0) < 0 || pwrite(to, page, sizeof page, 0) < 0 ||
	    strcmp(touch(map), "ok")) {
		perror("outlast");
		return 1;
	}
	printf("open\n");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin))
		try(from, to, map);
	return 0;
}
