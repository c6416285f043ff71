/* SPDX-License-Identifier: Apache-2.0 */
/* crowd STORE COUNT: connects so many times to the socket of a store, asks on each connection, prints "served N refused N", and
 * keeps those that are served until it is killed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What is said on a new connection; it stays open. */
static int ask(const char *store, char *ret, size_t room)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", store);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
		return -1;
	(void)!send(fd, "leaving", 7, MSG_NOSIGNAL); /* hung up on already: then there is a word to read */
	for (int try = 0; try < 2; try++) {
		ssize_t n = recv(fd, ret, room - 1, 0);
		ret[n > 0 ? n : 0] = 0;
		if (n > 0)
			return 0;
	}
	return -1;
}

int main(int argc, char **argv)
{
	char text[6001];
	int served = 0, refused = 0, count = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0;
	for (int i = 0; i < count; i++) {
		if (ask(argv[1], text, sizeof text)) {
			perror("crowd");
			return 1;
		}
		served += strncmp(text, "ok ", 3) == 0;
		refused += strncmp(text, "error -11 ", 10) == 0;
	}
	printf("served %d refused %d\n", served, refused);
	fflush(stdout);
	pause();
	return 0;
}
