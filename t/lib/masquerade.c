/* SPDX-License-Identifier: Apache-2.0 */
/* masquerade STORE DIR UID NAME COUNT: mounts STORE at DIR in a user namespace in which we are called UID, attaches that mount with our own
 * uid (which the kernel proves at the socket), and makes the folder NAME there so many times, as UID. Prints the errno of the last. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "masquerade: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static void become(const char *uid)
{
	char map[80];
	uid_t outside = geteuid();
	gid_t group = getegid();
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		die("unshare");
	put("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "%s %u 1", uid, (unsigned)outside);
	put("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "%s %u 1", uid, (unsigned)group);
	put("/proc/self/gid_map", map);
}

/* Says something, with a descriptor or without (-1), and wants "ok". */
static void say(int fd, const char *text, int with)
{
	char answer[6001], room[CMSG_SPACE(sizeof with)];
	struct iovec part = { .iov_base = (char *)text, .iov_len = strlen(text) };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	memset(room, 0, sizeof room);
	if (with >= 0) {
		m.msg_control = room;
		m.msg_controllen = sizeof room;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof with), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(c), &with, sizeof with);
	}
	if (sendmsg(fd, &m, 0) < 0)
		die("sendmsg");
	ssize_t n = recv(fd, answer, sizeof answer - 1, 0);
	answer[n > 0 ? n : 0] = 0;
	if (strncmp(answer, "ok", 2)) {
		fprintf(stderr, "masquerade: %s: %s\n", text, answer);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	char text[5000], options[200];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (argc != 6)
		return 2;
	int control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", argv[1]);
	if (control < 0 || connect(control, (struct sockaddr *)&address, sizeof address))
		die("connect");
	become(argv[3]);
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse < 0)
		die("/dev/fuse");
	say(control, "hello 1", -1);
	snprintf(text, sizeof text, "attach 0 %s", argv[2]);
	say(control, text, fuse);
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%s,group_id=%s", fuse, argv[3], argv[3]);
	if (mount("imagefs", argv[2], "fuse.imagefs", MS_NOSUID | MS_NODEV, options))
		die("mount");
	say(control, "mounted", -1);
	snprintf(text, sizeof text, "%s/%s", argv[2], argv[4]);
	int r = 0;
	for (long i = strtol(argv[5], NULL, 10); i > 0; i--)
		r = mkdir(text, 0755);
	printf("%s\n", r ? strerrorname_np(errno) : "ok");
	return umount2(argv[2], MNT_DETACH) != 0;
}
