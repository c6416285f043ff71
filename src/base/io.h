/* SPDX-License-Identifier: Apache-2.0 */
/* io: files without short reads, short writes or forgotten fsyncs. */
#ifndef IMAGEFS_BASE_IO_H
#define IMAGEFS_BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* All of it, or an error; a file that ends early is -ENODATA. EINTR is handled. */
int io_pread(int fd, void *buf, size_t len, uint64_t offset) MUST_USE;
int io_pwrite(int fd, const void *buf, size_t len, uint64_t offset) MUST_USE;

/* fsync a directory by path, so that names in it are durable. */
int io_sync_dir(const char *path, struct error *err) MUST_USE;
int io_sync_dir_fd(int dirfd, struct error *err) MUST_USE;

/* mkdir that is content when the directory exists already. */
int io_make_dir(const char *path, mode_t mode, struct error *err) MUST_USE;

/* Replace a small file in one step and durably: temp, write, fsync, rename, fsync of the folder. */
int io_write_file(const char *path, const void *data, size_t len, mode_t mode, struct error *err) MUST_USE;

/* A whole small file as a string (NUL added); at most `limit` bytes, else -EFBIG. Caller frees. */
int io_read_file(const char *path, size_t limit, char **ret, size_t *ret_len, struct error *err) MUST_USE;

#endif
