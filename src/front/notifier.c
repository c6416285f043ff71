/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define FUSE_USE_VERSION 314
#include <linux/fuse.h>

#include "base/num.h"
#include "front/notes.h"

#define NOTIFY_INC_EPOCH 8 /* since Linux 6.16 */

/* false: the connection is over. Everything else means that the kernel does not know what it should forget. */
static bool write_note(const void *note, size_t len)
{
	ssize_t n;
	do
		n = write(NOTIFIER_FUSE, note, len);
	while (n < 0 && errno == EINTR);
	return n >= 0 || errno != ENODEV;
}

static void copy_out(const struct notes_ring *r, uint64_t at, void *to, size_t len)
{
	size_t from = at % NOTES_SIZE, first = MIN(len, NOTES_SIZE - from);
	memcpy(to, r->bytes + from, first);
	memcpy((char *)to + first, r->bytes, len - first);
}

static bool carry_out_all(struct notes_ring *r)
{
	static const struct fuse_out_header forget_names = { .len = sizeof forget_names, .error = NOTIFY_INC_EPOCH };
	char note[NOTE_MAX];
	uint32_t len;
	while (r->tail != r->head) {
		copy_out(r, r->tail, &len, sizeof len);
		if (len > sizeof note)
			return false;
		copy_out(r, r->tail + sizeof len, note, len);
		if (!write_note(note, len))
			return false;
		r->tail += sizeof len + len;
	}
	return !atomic_exchange(&r->lost, false) || write_note(&forget_names, sizeof forget_names);
}

int notifier_main(void)
{
	char bell[64];
	ssize_t n;
	struct notes_ring *ring = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_SHARED, NOTIFIER_RING, 0);
	if (ring == MAP_FAILED)
		return 1;
	close(STDERR_FILENO); /* whoever reads our messages does not wait for one that hangs */
	prctl(PR_SET_NAME, "imagefs-notify");
	do {
		if (!carry_out_all(ring))
			return 0;
		n = read(NOTIFIER_WAKE, bell, sizeof bell);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return 0;
}
