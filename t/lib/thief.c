/* SPDX-License-Identifier: Apache-2.0 */
/* thief: found as `fusermount3` by `imagefs mount`, it mounts like that, but keeps a duplicate of the descriptor. From it it reads requests of
 * its own mount and never answers them, until a process of its hangs in DIR/$THIEF_DIR with that folder locked by the kernel: then it
 * makes the file $THIEF_DONE and sleeps with what it has stolen. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usher.h"

#define REQUEST_MAX (2u << 20)
enum { LOOKUP = 1, MKDIR = 9, RMDIR = 11 }; /* for which the folder is locked */

static void __attribute__((noreturn)) knock(const char *folder)
{
	for (unsigned i = 0;; i++) {
		char path[4200];
		snprintf(path, sizeof path, "%s/stolen-%u", folder, i);
		mkdir(path, 0755);
		rmdir(path);
		usleep(500);
	}
}

/* What `imagefs mount` asks to see whether the mount answers is not stolen: it would wait for ever. */
static void __attribute__((noreturn)) steal(int fd, const char *dir, pid_t mounting)
{
	char folder[4100], *request = malloc(REQUEST_MAX);
	struct stat st;
	while (kill(mounting, 0) == 0)
		usleep(10000);
	snprintf(folder, sizeof folder, "%s/%s", dir, getenv("THIEF_DIR"));
	while (stat(folder, &st) || !S_ISDIR(st.st_mode))
		usleep(10000);
	if (fork() == 0)
		knock(folder);
	for (;;) {
		uint32_t header[2];
		if (read(fd, request, REQUEST_MAX) < (ssize_t)sizeof header)
			continue;
		memcpy(header, request, sizeof header);
		if (header[1] == LOOKUP || header[1] == MKDIR || header[1] == RMDIR)
			break;
	}
	close(open(getenv("THIEF_DONE"), O_CREAT | O_WRONLY, 0644));
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	pid_t mounting = getppid();
	int comm = usher_socket(argv);
	int fd = usher_mount(argv);
	if (fd < 0 || usher_pass(comm, fd))
		return 1;
	if (usher_stay(comm) == 0)
		steal(fd, argv[argc - 1], mounting);
	return 0;
}
