/* SPDX-License-Identifier: Apache-2.0 */
/* fuse_io: libfuse as a library that decodes requests and encodes answers, and the INIT of a connection.
 *
 * libfuse never reads (worker.c does) and writes through send_answer(). Its answer to INIT is completed on the
 * way: 3.14 does not know HANDLE_KILLPRIV_V2, without which the kernel asks for security.capability before
 * each write, and forgets PARALLEL_DIROPS. The answer is kept: of a connection that is taken over, the INIT is
 * replayed to libfuse and its answer goes nowhere; but if that INIT was never answered because the daemon
 * died, the kernel sends it again, and gets the same.
 *
 * COPY_FILE_RANGE_64 (protocol 7.45), which 3.14 does not know either, is COPY_FILE_RANGE with an answer of 64 bits: it is
 * handed over as that, and the answer is widened on the way. One request then copies a disk of any size.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "front/session_int.h"

#define NOTIFY_RESEND 7 /* since Linux 6.9 */
#define RESENT (1ull << 63)
#define COPY_FILE_RANGE_64 53 /* since Linux 6.18 */

/* What this thread is doing. `replay`: the answer is not for the kernel. */
static _Thread_local struct {
	struct request request;
	const struct fuse_in_header *in;
	bool replay;
	bool wide;       /* COPY_FILE_RANGE_64 */
	uint64_t copied; /* its answer */
} now;

const struct request *session_request(void)
{
	return now.in ? &now.request : NULL;
}

bool session_is_wide(void) { return now.in && now.wide; }

int session_reply_copied(fuse_req_t req, uint64_t bytes)
{
	now.copied = bytes;
	return fuse_reply_write(req, (size_t)(uint32_t)bytes);
}

/* ---- what libfuse sends */

/* The answer to the narrow request has as many bytes as that to the wide one, 32 of its bits unused. */
static void widen_copied(const struct iovec *iov, int count)
{
	if (count == 2 && iov[1].iov_len == sizeof now.copied)
		memcpy(iov[1].iov_base, &now.copied, sizeof now.copied);
}

static void complete_init(struct link *l, const struct iovec *iov, int count)
{
	const struct fuse_init_in *in = (const void *)(now.in + 1);
	struct fuse_init_out *out = count == 2 ? iov[1].iov_base : NULL;

	if (!out || iov[1].iov_len != sizeof *out)
		return;
	out->flags |= in->flags & (FUSE_HANDLE_KILLPRIV_V2 | FUSE_PARALLEL_DIROPS);
	memcpy(&l->answer.header, iov[0].iov_base, sizeof l->answer.header);
	memcpy(&l->answer.body, out, sizeof *out);
	l->answer_len = sizeof l->answer;
}

static ssize_t send_answer(int fd, struct iovec *iov, int count, void *userdata)
{
	const struct fuse_out_header *out = iov[0].iov_base;
	ssize_t n;

	if (now.in && now.in->opcode == FUSE_INIT && out->error == 0 && out->unique == now.in->unique)
		complete_init(userdata, iov, count);
	if (now.in && now.wide && out->error == 0 && out->unique == now.in->unique)
		widen_copied(iov, count);
	if (now.in && now.replay)
		return out->len;
	if (out->unique)
		worker_answers(out->len);
	do
		n = writev(fd, iov, count);
	while (n < 0 && errno == EINTR);
	/* Somebody has forgotten a notification's inode already, or is unmounting: libfuse would print anything else. */
	if (n < 0 && (out->unique == 0 || errno == ENODEV || errno == EPERM))
		errno = ENOENT;
	return n;
}

static ssize_t never_read(int fd, void *buf, size_t len, void *userdata)
{
	(void)fd, (void)buf, (void)len, (void)userdata;
	errno = EIO;
	return -1;
}

/* ---- INIT */

/* READDIRPLUS always, not "auto": auto asks for attributes only when the caller did so before, in the end one by
 * one; ls -l of a large directory is then several times slower. The page cache is ours to invalidate: with
 * AUTO_INVAL_DATA every read would ask for attributes. No writeback cache: it breaks SEEK_DATA and hides errors. */
static void negotiate(void *userdata, struct fuse_conn_info *c)
{
	struct link *l = userdata;
	const struct sessions *all = l->all;
	unsigned always = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS |
			  FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_ATOMIC_O_TRUNC;
	unsigned if_handled = FUSE_CAP_READDIRPLUS | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS;

	c->want = (always & c->capable) | (if_handled & c->want);
	c->max_write = WRITE_MAX;
	c->max_background = all->conf.max_background;
	c->congestion_threshold = all->conf.max_background * 3 / 4;
	c->time_gran = 1;
	if (all->conf.ops->init)
		all->conf.ops->init(&l->conn, c);
}

void note_ops(struct sessions *all)
{
	all->ops = *all->conf.ops;
	all->ops.init = negotiate;
}

int link_make_fuse(struct link *l, struct error *err)
{
	static const struct fuse_custom_io io = { .writev = send_answer, .read = never_read };
	char name[] = "imagefs", *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	l->conn.fuse = fuse_session_new(&args, &l->all->ops, sizeof l->all->ops, l);
	fuse_opt_free_args(&args);
	if (!l->conn.fuse)
		return fail(err, -ENOMEM, "There is no memory to serve the mount on %s", l->conn.dir);
	int r = fuse_session_custom_io(l->conn.fuse, &io, l->conn.fd);
	if (r < 0)
		return fail(err, r, "The FUSE library cannot serve the mount on %s", l->conn.dir);
	return 0;
}

static void give_to_libfuse(struct link *l, struct fuse_in_header *in, size_t len, bool replay)
{
	struct fuse_buf buf = { .size = len, .mem = in };

	now.request = (struct request){ .conn = &l->conn, .unique = in->unique & ~RESENT,
					.resent = (in->unique & RESENT) != 0 };
	now.replay = replay;
	now.wide = in->opcode == COPY_FILE_RANGE_64;
	if (now.wide)
		in->opcode = FUSE_COPY_FILE_RANGE;
	now.in = in;
	fuse_session_process_buf(l->conn.fuse, &buf);
	now.in = NULL;
}

int link_replay_init(struct link *l, const void *init, unsigned len, struct error *err)
{
	_Alignas(8) char copy[INIT_MAX] = { 0 };
	struct fuse_in_header *in = (void *)copy;

	if (len <= sizeof *in || len > INIT_MAX)
		return fail(err, -EINVAL, "The INIT request that is known of the mount on %s has %u bytes", l->conn.dir, len);
	memcpy(copy, init, len);
	if (in->opcode == FUSE_INIT)
		give_to_libfuse(l, in, len, true);
	if (!l->answer_len)
		return fail(err, -EPROTO, "The mount on %s cannot be taken over: the FUSE library does not accept its INIT",
			    l->conn.dir);
	return 0;
}

/* Before 6.9 that is EINVAL, and before the mount EPERM: then there is nothing to send again. */
void link_ask_resend(struct link *l)
{
	struct fuse_out_header ask = { .len = sizeof ask, .error = NOTIFY_RESEND, .unique = 0 };

	(void)!write(l->conn.fd, &ask, sizeof ask);
}

/* ---- requests */

void link_refuse(struct link *l, const struct fuse_in_header *in, int error)
{
	struct fuse_out_header out = { .len = sizeof out, .error = error, .unique = in->unique };

	if (in->opcode == FUSE_FORGET || in->opcode == FUSE_BATCH_FORGET || in->opcode == FUSE_INTERRUPT ||
	    in->opcode == FUSE_NOTIFY_REPLY)
		return;
	/* Fails when the connection has ended or the caller was killed: nobody waits for it then. */
	(void)!write(l->conn.fd, &out, sizeof out);
}

static void answer_init_again(struct link *l, const struct fuse_in_header *in)
{
	l->answer.header.unique = in->unique;
	(void)!write(l->conn.fd, &l->answer, sizeof l->answer); /* as in link_refuse() */
}

/* A connection that begins with anything else got the answer to its INIT from somebody who had its descriptor before us, and it was whatever he
 * liked. */
bool link_carry_out(struct link *l, void *request, size_t len)
{
	const struct sessions *all = l->all;
	struct fuse_in_header *in = request;

	if (in->opcode != FUSE_INIT && !l->answer_len)
		return false;
	if (in->opcode == FUSE_INIT && l->answer_len) {
		answer_init_again(l, in);
		return true;
	}
	if (in->opcode == FUSE_INIT && all->conf.inited)
		all->conf.inited(all->conf.ctx, &l->conn, request, (unsigned)(len < INIT_MAX ? len : INIT_MAX));
	give_to_libfuse(l, in, len, false);
	return l->answer_len > 0;
}
