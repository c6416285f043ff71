/* SPDX-License-Identifier: Apache-2.0 */
/* leak: every way that a program can try to get at the bytes of a file.
 *
 *	leak FILE TO        one line for each way: its name, and "bytes" or the errno or signal that it ended with. TO is where
 *	                    they are copied to by ways that copy
 *	leak hold FILE      opens FILE, maps it, says "open"; after each line on stdin tries what can be done with what is open, and says
 *	                    so in lines like the above, and "done"
 *	leak pass FILE UID  opens FILE and passes the descriptor over a socket to a process of UID, which tries the same
 *	leak copy TO [FROM AT LENGTH]…   copy_file_range from each FROM into the same place of TO, which is opened once
 *	leak rename FROM TO     without replacing
 *	leak bind FROM TO       a bind mount, for who may mount but is not root
 *	leak handle MOUNT NUMBER   opens the file of that inode number by a handle that is made up, and reads it
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BLOCK 4096
#define AT 0 /* mkdisk puts data there */

static sigjmp_buf on_signal;
static void caught(int number) { siglongjmp(on_signal, number); }

static long fail_with(int code)
{
	errno = code;
	return -1;
}

/* What came, if it was anything. */
static long judge(const unsigned char *bytes, long n)
{
	return n <= 0 ? n : bytes[0] || bytes[n - 1] || memchr(bytes, 0x55, (size_t)n) ? n : 0;
}

/* ---- ways that need nothing but the descriptor ------------------------------------------------------------- */

static unsigned char room[2 * BLOCK] __attribute__((aligned(BLOCK)));

static long by_read(int fd) { return lseek(fd, AT, SEEK_SET) < 0 ? -1 : judge(room, read(fd, room, BLOCK)); }
static long by_pread_odd(int fd) { return judge(room, pread(fd, room, 1001, AT + 3)); }
static long by_readv(int fd)
{
	struct iovec v[2] = { { room, 100 }, { room + 100, 1000 } };
	return judge(room, preadv(fd, v, 2, AT));
}
static long by_nowait(int fd)
{
	struct iovec v = { room, BLOCK };
	return judge(room, preadv2(fd, &v, 1, AT, RWF_NOWAIT));
}

static long by_map(int fd, int flags)
{
	unsigned char *p = mmap(NULL, BLOCK, PROT_READ, flags, fd, AT);
	if (p == MAP_FAILED)
		return -1;
	memcpy(room, p, BLOCK);
	munmap(p, BLOCK);
	return judge(room, BLOCK);
}
static long by_shared_map(int fd) { return by_map(fd, MAP_SHARED); }
static long by_private_map(int fd) { return by_map(fd, MAP_PRIVATE); }
/* Not MAP_POPULATE: kernels ask again and again for a page that cannot be read (6.18), until the process is killed. */
static long by_readahead(int fd)
{
	(void)readahead(fd, AT, 1 << 16);
	(void)posix_fadvise(fd, AT, 1 << 16, POSIX_FADV_WILLNEED);
	usleep(100000);
	return by_map(fd, MAP_SHARED);
}

static long from_pipe(int fd, ssize_t (*put)(int fd, int pipe))
{
	int p[2];
	if (pipe2(p, O_NONBLOCK)) /* a page that cannot be read may be in the pipe, and never come out */
		return -1;
	long n = put(fd, p[1]);
	int code = errno;
	n = n > 0 ? judge(room, read(p[0], room, BLOCK)) : n;
	close(p[0]);
	close(p[1]);
	errno = n < 0 ? code : errno;
	return n;
}
static ssize_t put_splice(int fd, int pipe) { loff_t at = AT; return splice(fd, &at, pipe, NULL, BLOCK, 0); }
static ssize_t put_sendfile(int fd, int pipe) { off_t at = AT; return sendfile(pipe, fd, &at, BLOCK); }
/* vmsplice of a mapping: the kernel takes the page itself. */
static ssize_t put_vmsplice(int fd, int pipe)
{
	void *p = mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, fd, AT);
	struct iovec v = { p, BLOCK };
	return p == MAP_FAILED ? -1 : vmsplice(pipe, &v, 1, 0);
}
static long by_splice(int fd) { return from_pipe(fd, put_splice); }
static long by_sendfile(int fd) { return from_pipe(fd, put_sendfile); }
static long by_vmsplice(int fd) { return from_pipe(fd, put_vmsplice); }
/* The kernel writes it from a mapping. */
static long by_write_of_map(int fd)
{
	int p[2];
	void *m = mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, fd, AT);
	if (m == MAP_FAILED || pipe2(p, O_NONBLOCK))
		return -1;
	long n = write(p[1], m, 512);
	return n > 0 ? judge(room, read(p[0], room, BLOCK)) : n;
}

static long by_aio(int fd)
{
	aio_context_t context = 0;
	struct iocb cb = { .aio_fildes = (unsigned)fd, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_buf = (uintptr_t)room, .aio_nbytes = BLOCK };
	struct iocb *list = &cb;
	struct io_event event = { .res = 0 };
	if (syscall(SYS_io_setup, 1, &context))
		return -1;
	long n = syscall(SYS_io_submit, context, 1, &list);
	if (n == 1 && syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1)
		n = event.res < 0 ? fail_with((int)-event.res) : judge(room, event.res);
	int code = errno;
	syscall(SYS_io_destroy, context);
	errno = code;
	return n;
}

static long by_uring(int fd)
{
	struct io_uring_params p = { .flags = 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 1, &p);
	if (ring < 0)
		return errno == EPERM || errno == ENOSYS ? fail_with(ENOSYS) : -1;
	size_t room_sq = p.sq_off.array + p.sq_entries * 4, room_cq = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	char *sq = mmap(NULL, room_sq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	char *cq = mmap(NULL, room_cq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
	struct io_uring_sqe *sqe = mmap(NULL, p.sq_entries * sizeof *sqe, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqe == MAP_FAILED)
		return -1;
	*sqe = (struct io_uring_sqe){ .opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)room, .len = BLOCK, .off = AT };
	*(unsigned *)(sq + p.sq_off.array) = 0;
	__atomic_store_n((unsigned *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	long n = syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	const struct io_uring_cqe *cqe = (const struct io_uring_cqe *)(cq + p.cq_off.cqes);
	if (n >= 0)
		n = cqe->res < 0 ? fail_with(-cqe->res) : judge(room, cqe->res);
	int code = errno;
	close(ring);
	errno = code;
	return n;
}

static long reopened(int fd, int flags)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int again = open(path, flags | O_CLOEXEC);
	if (again < 0)
		return -1;
	long n = judge(room, pread(again, room, BLOCK, AT));
	int code = errno;
	close(again);
	errno = code;
	return n;
}
static long by_reopening(int fd) { return reopened(fd, O_RDONLY); }
static long by_direct(int fd) { return reopened(fd, O_RDONLY | O_DIRECT); }
static long by_writing(int fd) { return reopened(fd, O_RDWR); }
static long by_truncating(int fd) { return ftruncate(fd, 1) ? -1 : 1; }

static long by_exec(int fd)
{
	char *const none[] = { NULL };
	pid_t pid = fork();
	int status;
	if (pid == 0) {
		fexecve(fd, none, none);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? fail_with(WEXITSTATUS(status)) : 1;
}

static const struct way {
	const char *name;
	long (*try)(int fd);
} ways[] = {
	{ "read", by_read }, { "pread-odd", by_pread_odd }, { "readv", by_readv }, { "nowait", by_nowait }, { "map-shared", by_shared_map },
	{ "map-private", by_private_map }, { "readahead", by_readahead }, { "splice", by_splice },
	{ "sendfile", by_sendfile }, { "vmsplice", by_vmsplice }, { "write-of-map", by_write_of_map }, { "aio", by_aio },
	{ "uring", by_uring }, { "reopen", by_reopening }, { "direct", by_direct }, { "open-writing", by_writing },
	{ "truncate", by_truncating }, { "exec", by_exec },
};

static void tell(const char *name, long n)
{
	printf("%s %s\n", name, n > 0 ? "bytes" : n == 0 ? "nothing" : strerrorname_np(errno));
	fflush(stdout);
}

/* A function of its own: no variable of it changes between sigsetjmp and the signal. */
static void try_one(int fd, const char *name, long (*try)(int fd))
{
	int number = sigsetjmp(on_signal, 1);
	memset(room, 0, sizeof room);
	errno = 0;
	if (number)
		printf("%s SIG%s\n", name, sigabbrev_np(number)), fflush(stdout);
	else
		tell(name, try(fd));
}

static void try_each(int fd)
{
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		try_one(fd, ways[i].name, ways[i].try);
}

/* ---- ways that need another file ----------------------------------------------------------------------------- */

static long by_copy(int fd, int to, off_t from, off_t at, size_t len)
{
	return copy_file_range(fd, &from, to, &at, len, 0);
}

static void try_copies(int fd, const char *name)
{
	int to = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	struct file_dedupe_range *dedupe = calloc(1, sizeof *dedupe + sizeof dedupe->info[0]);
	struct file_clone_range range = { .src_fd = fd, .src_length = 1 << 16 };
	if (to < 0) {
		tell("open-target", -1);
		return;
	}
	dedupe->src_length = 1 << 16;
	dedupe->dest_count = 1;
	dedupe->info[0].dest_fd = to;
	tell("copy", by_copy(fd, to, 0, 0, 1 << 20));
	tell("copy-odd", by_copy(fd, to, 4097, 511, 70001));
	tell("copy-data", by_copy(fd, to, lseek(fd, 0, SEEK_DATA), 0, 1 << 16));
	tell("sendfile-to", sendfile(to, fd, &(off_t){ 0 }, BLOCK));
	tell("clone", ioctl(to, FICLONE, fd) ? -1 : 1);
	tell("clone-range", ioctl(to, FICLONERANGE, &range) ? -1 : 1);
	long r = ioctl(fd, FIDEDUPERANGE, dedupe);
	tell("dedupe", r ? -1 : dedupe->info[0].status < 0 ? fail_with(-dedupe->info[0].status) : 1);
	close(to);
	free(dedupe);
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

static void try_names(const char *file, const char *to)
{
	char value[100], path[40];
	struct file_handle *h = calloc(1, sizeof *h + 128);
	int mount, fd = open(file, O_PATH | O_CLOEXEC);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	tell("path-read", read(fd, value, 1));
	int again = open(path, O_RDONLY | O_CLOEXEC);
	tell("path-reopen", again < 0 ? -1 : judge(room, pread(again, room, BLOCK, AT)));
	close(again);
	tell("link", link(file, to) ? -1 : 1);
	tell("link-path", linkat(AT_FDCWD, path, AT_FDCWD, to, AT_SYMLINK_FOLLOW) ? -1 : 1);
	tell("xattr-set", setxattr(file, "user.imagefs.x", "y", 1, 0));
	tell("xattr-other", getxattr(file, "user.other", value, sizeof value));
	tell("xattr-caps", setxattr(file, "security.capability", "y", 1, 0));
	tell("chmod", chmod(file, 0777) ? -1 : 0);
	tell("utimes", utimensat(AT_FDCWD, file, NULL, 0) ? -1 : 1);
	h->handle_bytes = 128;
	if (name_to_handle_at(AT_FDCWD, file, h, &mount, 0) == 0)
		again = open_by_handle_at(open(file, O_RDONLY | O_CLOEXEC), h, O_RDONLY | O_CLOEXEC);
	else
		again = -1;
	tell("handle", again < 0 ? -1 : judge(room, pread(again, room, BLOCK, AT)));
	free(h);
	close(fd);
}

/* ---- modes ------------------------------------------------------------------------------------------------------- */

static int hold(const char *name)
{
	char line[20];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror(name);
		return 1;
	}
	const unsigned char *map = mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, fd, AT);
	puts("open");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		try_each(fd);
		int number = sigsetjmp(on_signal, 1);
		if (number)
			printf("old-map SIG%s\n", sigabbrev_np(number));
		else
			tell("old-map", judge(memcpy(room, map, BLOCK), BLOCK));
		tell("seek", lseek(fd, 0, SEEK_DATA) < 0 ? -1 : 1);
		puts("done");
		fflush(stdout);
	}
	return 0;
}

static int pass(const char *name, uid_t uid)
{
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec v = { (char[]){ 0 }, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };
	int pair[2], status, fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 1;
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid) || recvmsg(pair[1], &m, 0) <= 0 || !CMSG_FIRSTHDR(&m))
			_exit(99);
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
		try_each(fd);
		_exit(0);
	}
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	if (sendmsg(pair[0], &m, 0) != 1)
		return 1;
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

/* FUSE handles: 64 bits of node, 32 of generation. */
static int by_handle(const char *mount, const char *number)
{
	struct {
		struct file_handle h;
		uint32_t f[3];
	} forged = { .h = { .handle_bytes = 12, .handle_type = 0x81 } };
	uint64_t node = strtoull(number, NULL, 0);
	int root = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	forged.f[0] = (uint32_t)(node >> 32);
	forged.f[1] = (uint32_t)node;
	forged.f[2] = 1;
	int fd = open_by_handle_at(root, &forged.h, O_RDONLY | O_CLOEXEC);
	tell("handle", root < 0 || fd < 0 ? -1 : judge(room, read(fd, room, BLOCK)));
	return 0;
}

/* FROM… are copied one after the other into one open TO. */
static int copy(char **args)
{
	int to = open(args[0], O_WRONLY | O_CLOEXEC);
	for (args++; to >= 0 && args[0] && args[1] && args[2]; args += 3) {
		off_t at = strtoll(args[1], NULL, 0), from = at;
		int fd = open(args[0], O_RDONLY | O_CLOEXEC);
		if (fd < 0 || copy_file_range(fd, &from, to, &at, strtoull(args[2], NULL, 0), 0) <= 0) {
			perror(args[0]);
			return 1;
		}
		close(fd);
	}
	return to < 0 || close(to);
}

static int check(int r)
{
	if (r)
		perror("leak");
	return r != 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = caught };
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	if (argc == 3 && strcmp(argv[1], "hold") == 0)
		return hold(argv[2]);
	if (argc == 4 && strcmp(argv[1], "pass") == 0)
		return pass(argv[2], (uid_t)strtoul(argv[3], NULL, 10));
	if (argc > 5 && strcmp(argv[1], "copy") == 0)
		return copy(argv + 2);
	if (argc == 4 && strcmp(argv[1], "rename") == 0)
		return check(renameat2(AT_FDCWD, argv[2], AT_FDCWD, argv[3], RENAME_NOREPLACE));
	if (argc == 4 && strcmp(argv[1], "bind") == 0)
		return check(mount(argv[2], argv[3], NULL, MS_BIND, NULL));
	if (argc == 4 && strcmp(argv[1], "handle") == 0)
		return by_handle(argv[2], argv[3]);
	if (argc != 3) {
		fprintf(stderr, "leak: see the top of leak.c for what it can do\n");
		return 2;
	}
	int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		tell("open", -1);
		return 0;
	}
	try_each(fd);
	try_copies(fd, argv[2]);
	try_names(argv[1], argv[2]);
	return 0;
}
