/* SPDX-License-Identifier: Apache-2.0 */
/* saboteur: what a tenant can do with a descriptor of its own mount that the daemon uses, too.
 *
 * Found as `fusermount3` by `imagefs mount`, it mounts like that and keeps a duplicate of the descriptor, until it is killed:
 *
 *	SABOTEUR=sleep   makes the descriptor one on which read() sleeps, again and again
 *	SABOTEUR=init    answers the kernel's INIT before the daemon has the descriptor, with a max_write of 64 MiB
 *
 * saboteur STORE COUNT: says to the daemon, on so many connections at a time, that a descriptor is mounted which is not, and which lets whoever
 * polls it sleep until it is (FUSE_DEV_IOC_SYNC_INIT). Prints "asked", and how many were answered within 20 seconds, "answered N".
 *
 * saboteur STORE slow: asks the daemon for its status, prints "asked", and never reads the answer. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include "usher.h"

#define SYNC_INIT _IO(229, 3) /* since Linux 6.18 */
#define CONNECTIONS_MAX 64
#define PATIENCE_MS 20000

static void __attribute__((noreturn)) clear_flags(int fd)
{
	for (;;) {
		fcntl(fd, F_SETFL, 0);
		usleep(200);
	}
}

static int forge_init(int fd)
{
	static char request[2 << 20];
	const struct fuse_in_header *in = (const void *)request;
	struct {
		struct fuse_out_header header;
		struct fuse_init_out body;
	} out = { .header.len = sizeof out,
		  .body = { .major = 7, .minor = 38, .max_readahead = 1 << 20, .flags = FUSE_MAX_PAGES | FUSE_BIG_WRITES, .max_background = 64,
			    .congestion_threshold = 48, .max_write = 64 << 20, .time_gran = 1, .max_pages = 65535 } };
	if (read(fd, request, sizeof request) < (ssize_t)sizeof *in || in->opcode != FUSE_INIT)
		return -1;
	out.header.unique = in->unique;
	return write(fd, &out, sizeof out) == (ssize_t)sizeof out ? 0 : -1;
}

static int be_fusermount(char **argv)
{
	const char *what = getenv("SABOTEUR");
	int comm = usher_socket(argv);
	int fd = usher_mount(argv);
	if (fd < 0 || !what)
		return 1;
	if (strcmp(what, "init") == 0 && forge_init(fd))
		return 1;
	if (usher_pass(comm, fd))
		return 1;
	if (usher_stay(comm))
		return 0;
	if (strcmp(what, "sleep") == 0)
		clear_flags(fd);
	for (;;)
		pause();
}

/* ---- descriptors that are not mounted */
static int connect_to(const char *store)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", store);
	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

static int said_ok(int fd)
{
	char text[6001] = "";
	return recv(fd, text, sizeof text - 1, 0) > 0 && strncmp(text, "ok", 2) == 0;
}

static int send_with(int socket, const char *text, int fd)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof fd)] = { 0 };
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return sendmsg(socket, &m, MSG_NOSIGNAL) > 0;
}

static int ask(const char *store)
{
	int device = open("/dev/fuse", O_RDWR), fd = connect_to(store);
	if (device < 0 || ioctl(device, SYNC_INIT) || fd < 0)
		return -1;
	if (send(fd, "hello 1", 7, MSG_NOSIGNAL) < 0 || !said_ok(fd) || !send_with(fd, "attach 0 /nowhere", device) || !said_ok(fd))
		return -1;
	return send(fd, "mounted", 7, MSG_NOSIGNAL) == 7 ? fd : -1;
}

static int be_slow(const char *store)
{
	int fd = connect_to(store);
	if (fd < 0 || send(fd, "status", 6, MSG_NOSIGNAL) != 6) {
		perror("saboteur");
		return 1;
	}
	printf("asked\n");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	struct pollfd answers[CONNECTIONS_MAX];
	int count = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0, answered = 0;
	if (getenv("SABOTEUR"))
		return be_fusermount(argv);
	if (argc == 3 && strcmp(argv[2], "slow") == 0)
		return be_slow(argv[1]);
	for (int i = 0; i < count && i < CONNECTIONS_MAX; i++) {
		answers[i] = (struct pollfd){ .fd = ask(argv[1]), .events = POLLIN };
		if (answers[i].fd < 0) {
			perror("saboteur");
			return errno == EINVAL || errno == ENOTTY ? 77 : 1; /* the kernel knows no such descriptors */
		}
	}
	printf("asked\n");
	fflush(stdout);
	for (int i = 0; i < count; i++)
		answered += poll(&answers[i], 1, answered == i ? PATIENCE_MS : 0) == 1;
	printf("answered %d\n", answered);
	fflush(stdout);
	pause();
	return 0;
}
