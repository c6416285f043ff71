/* SPDX-License-Identifier: Apache-2.0 */
/* check: is everything in a store as it must be? Runs on an open service, also while it is in use. */
#ifndef IMAGEFS_DOMAIN_CHECK_H
#define IMAGEFS_DOMAIN_CHECK_H

#include "domain/service.h"

struct check_options {
	bool read_data; /* decode and hash every object, not only the indexes */
	void (*problem)(void *ctx, const char *sentence); /* "image ap-beijing/custom/web: chunk 17 (offset 1114112) is damaged in pack 3" */
	void (*progress)(void *ctx, uint64_t done, uint64_t total, const char *what);
	void *ctx;
};
struct check_report {
	uint64_t images, disks, nodes, chunks, packs, bytes, problems;
};

/* Verifies: every row of every table of the catalog; every pack's header, index and size against its row; every object row lies in an existing pack inside its frame area and (with the pack's own
 * index) under the right hash; each row's reference count equals what rows, holds and nodes refer to; every map of every disk row can be walked to its chunks; live numbers and totals; that every
 * object is on its payer's meter, and that what all pay for is what is stored; orphaned backend objects and overlay files; name and listing indexes. With read_data: every
 * frame decodes and hashes to its name. Answers 0 when it could be carried out, whatever it found. */
int check_run(struct service *, const struct check_options *, struct check_report *ret, struct error *err) MUST_USE;

/* Before a store is opened: can its catalog be read at all? Nobody has it open, it may be of an older format, and nothing in it is
 * changed. Rows that make no sense are told; with *ret_readable false the store should not be opened, since that may end the process. */
int check_closed(const char *dir, const char *program, const struct check_options *, struct check_report *ret, bool *ret_readable,
		 struct error *err) MUST_USE;

#endif
