/* SPDX-License-Identifier: Apache-2.0 */
/* hoarder COUNT FILE: opens FILE so many times, prints "open N", with the errno that it met behind it, if it met one, and keeps them
 * open until it is killed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long n = 0, count = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	while (n < count && open(argv[2], O_RDONLY | O_CLOEXEC) >= 0)
		n++;
	printf("open %ld%s%s\n", n, n < count ? " " : "", n < count ? strerrorname_np(errno) : "");
	fflush(stdout);
	pause();
	return 0;
}
