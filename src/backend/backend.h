/* SPDX-License-Identifier: Apache-2.0 */
/* backend: named, immutable objects of at most 64 MiB: where packs live.
 *
 * The contract is one that a folder, a Ceph pool and an S3 bucket can all keep. Every
 * implementation passes t/unit/backend-contract.c. All functions are safe from any thread.
 * Names are 1-64 characters of [a-z0-9.-], never "." or "..".
 */
#ifndef IMAGEFS_BACKEND_BACKEND_H
#define IMAGEFS_BACKEND_BACKEND_H

#include <stdint.h>
#include <stddef.h>

#include "base/err.h"

#define BACKEND_OBJECT_MAX (64u << 20)

struct backend;

struct backend_ops {
	/* Required. A descriptor of a new, nameless, empty file to gather an object in. It is the
	 * cheapest for put(); closing it without put() leaves nothing behind. */
	int (*spool)(struct backend *, int *ret_fd, struct error *err);

	/* Required. Make object `name` of the first `size` bytes of `fd` (from spool()), whole and
	 * durable when it returns. -EEXIST when there is one of that name: nothing was changed.
	 * After any other error it may or may not exist, but never in part. */
	int (*put)(struct backend *, const char *name, int fd, uint64_t size, struct error *err);

	/* Required. Exactly these bytes of it. -ENOENT: no such object; -ENODATA: it is shorter. */
	int (*read)(struct backend *, const char *name, void *buf, size_t len, uint64_t offset,
		    struct error *err);

	/* What read() gave of these bytes was wrong: the next one is to ask the medium, and no cache that is near. NULL: there is none. */
	void (*forget)(struct backend *, const char *name, size_t len, uint64_t offset);

	/* Required. Its size, or -ENOENT. */
	int (*size)(struct backend *, const char *name, uint64_t *ret, struct error *err);

	/* Required. Durable when it returns. -ENOENT when there was none. Readers that are inside
	 * read() get all their bytes or -ENOENT. */
	int (*remove)(struct backend *, const char *name, struct error *err);

	/* Required. Calls each(ctx, name, size) for every object, in no order; a non-zero answer
	 * ends the walk and is returned. Objects made or removed meanwhile may or may not show. */
	int (*list)(struct backend *, int (*each)(void *ctx, const char *name, uint64_t size),
		    void *ctx, struct error *err);

	/* Required. Bytes in all and bytes free, for df. */
	int (*space)(struct backend *, uint64_t *ret_total, uint64_t *ret_free, struct error *err);

	/* Required. */
	void (*close)(struct backend *);
};

struct backend {
	const struct backend_ops *ops; /* implementations embed this as their first member */
};

/* A folder (made when absent, mode 0700): one file an object, in 256 sub-folders by the last two
 * characters of the name. Keeps at most `max_fds` files open for reading. */
int backend_open_dir(struct backend **ret, const char *path, unsigned max_fds, struct error *err) MUST_USE;

#endif
