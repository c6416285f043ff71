/* SPDX-License-Identifier: Apache-2.0 */
/* prober: the process in the cage. Everything that libc may want to ask the kernel for later is got before the cage is
 * closed: the heap, in one piece, out of which malloc() serves everything from then on. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "domain/probe_int.h"

#define SOCKET 0
#define HEAP (64 << 20)
#define SECONDS 5

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#elif defined(__i386__)
#define MACHINE AUDIT_ARCH_I386
#elif defined(__arm__)
#define MACHINE AUDIT_ARCH_ARM
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MACHINE AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define MACHINE AUDIT_ARCH_S390X
#endif

/* ---- the cage */

static void set_limit(int which, rlim_t to)
{
	setrlimit(which, &(struct rlimit){ to, to }); /* to less than there is: that is always allowed */
}

static void set_limits(void)
{
	set_limit(RLIMIT_CPU, SECONDS);
	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_FSIZE, 0);
	set_limit(RLIMIT_NOFILE, 0);
}

static void get_heap(void)
{
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, HEAP + HEAP / 2);
	mallopt(M_TOP_PAD, HEAP);
	void *volatile all = malloc(1);
	free(all);
}

#ifdef MACHINE
static bool filter_calls(void)
{
#define IF_CALL(number, then) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, (then))
	static struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		IF_CALL(__NR_read, SECCOMP_RET_ALLOW),
		IF_CALL(__NR_write, SECCOMP_RET_ALLOW),
		IF_CALL(__NR_exit, SECCOMP_RET_ALLOW),
		IF_CALL(__NR_exit_group, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	static const struct sock_fprog filter = { sizeof program / sizeof *program, program };
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}
#else
static bool filter_calls(void) { return false; } /* nobody has tried this processor: nothing is looked into there */
#endif

bool cage_close(void)
{
	if (CAGE_IS_OPEN)
		return true;
	set_limits();
	get_heap();
	return prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && filter_calls();
}

/* ---- the work */

static bool put_all(const void *buf, size_t len)
{
	for (size_t put = 0; put < len;) {
		ssize_t n = write(SOCKET, (const char *)buf + put, len - put);
		if (n <= 0)
			return false;
		put += (size_t)n;
	}
	return true;
}

static bool get_all(void *buf, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = read(SOCKET, (char *)buf + got, len - got);
		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

static int read_piece(void *buf, uint32_t len, uint64_t offset)
{
	struct cage_want want = { CAGE_READ, len, offset };
	int32_t code;
	if (!put_all(&want, sizeof want) || !get_all(&code, sizeof code))
		return -EIO;
	return code ? code : get_all(buf, len) ? 0 : -EIO;
}

static int read_source(void *ctx, void *buf, uint32_t len, uint64_t offset, struct error *err)
{
	int r = 0;
	(void)ctx;
	for (uint32_t done = 0; r == 0 && done < len; done += CAGE_PIECE)
		r = read_piece((char *)buf + done, MIN(len - done, CAGE_PIECE), offset + done);
	return r ? fail(err, r, "These bytes are not to be had.") : 0;
}

int prober_main(void)
{
	struct cage_task task;
	struct cage_want done = { .kind = CAGE_DONE };
	struct ext_facts facts;
	prctl(PR_SET_NAME, "imagefs-prober");
	if (!cage_close() || !get_all(&task, sizeof task))
		return 1;
	struct source src = { .read = read_source, .size = task.disk_size };
	probe_inside(&src, task.offset, task.size, &facts);
	_exit(put_all(&done, sizeof done) && put_all(&facts, sizeof facts) ? 0 : 1); /* nothing else that ends may be called */
}
