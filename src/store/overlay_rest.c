/* SPDX-License-Identifier: Apache-2.0 */
/* Ten thousand servers have an overlay each; those that write now are few. What an overlay has in the process (three or four
 * descriptors, mappings, marks of pages) and its log are given back while nobody uses it. Before that it is made
 * durable as a whole: then .bits alone says everything, a log has nothing to say, and waking is what another process would do that
 * finds the files. */
#include "store/overlay_int.h"

#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

bool overlay_is_resting(const struct overlay *o) { return atomic_load(&o->resting); }
bool overlay_is_open(const struct overlay *o) { return atomic_load(&o->there); }

static bool is_durable(struct overlay *o)
{
	WITH_LOCK(&o->noting);
	const struct pending *p = &o->pending;
	return p->n_blocks == 0 && !p->many && !p->cleared && !p->grown && !p->recut && o->log_at == 0 &&
	       !atomic_load(&o->broken);
}

/* What it had said is void since the last checkpoint. */
static void remove_log(struct overlay *o)
{
	char path[PATH_MAX];
	if (overlay_path(path, sizeof path, o->dir, o->number, "log", NULL) == 0)
		unlink(path);
}

static void close_files(struct overlay *o)
{
	uint64_t blocks = atomic_load(&o->blocks);
	overlay_files_close(o);
	if (o->data >= 0)
		close(steal_fd(&o->data));
	atomic_store(&o->blocks, blocks);
}

int overlay_rest(struct overlay *o, struct error *err)
{
	struct stat st;
	int r = overlay_sync(o, err);
	if (r == 0)
		r = overlay_sync_bits(o, err); /* a checkpoint, if the log has something */
	if (r)
		return r;
	WITH_WRLOCK(&o->files);
	if (!atomic_load(&o->there) || !is_durable(o) || fstat(o->data, &st))
		return fail(err, -EBUSY, "overlay %" PRIu64 " is in use", o->number);
	/* Nobody asks these descriptors again, and the kernel tells of a page of .live only once: other bits may be there next time. */
	r = fdatasync(o->live) ? overlay_spoil(o, err) : overlay_intact(o, err);
	if (r)
		return r;
	o->rest_size = overlay_size(o);
	o->rest_cut = overlay_cut(o);
	o->rest_stored = (uint64_t)st.st_blocks * 512;
	if (o->log >= 0)
		remove_log(o);
	close_files(o);
	atomic_store(&o->resting, true);
	return 0;
}

/* They were there when they were closed, and nobody else may touch them. */
static int find_again(struct overlay *o, uint64_t blocks, struct error *err)
{
	o->end_bits = 0;
	int r = overlay_files_find(o, err);
	if (r)
		return r;
	if (!atomic_load(&o->there) || atomic_load(&o->blocks) != blocks)
		return fail(err, ERR_DAMAGED, "the overlay files of disk %" PRIu64 " were changed or removed by somebody else", o->number);
	o->pending = (struct pending){ 0 }; /* all of it is durable */
	atomic_store(&o->data_new, false);
	o->names_new = false;
	return 0;
}

int overlay_wake(struct overlay *o, struct error *err)
{
	if (!atomic_load(&o->resting))
		return 0;
	WITH_WRLOCK(&o->files);
	if (!atomic_load(&o->resting))
		return 0;
	uint64_t blocks = atomic_exchange(&o->blocks, 0);
	int r = find_again(o, blocks, err);
	if (r) {
		atomic_store(&o->blocks, blocks);
		close_files(o);
		return r;
	}
	atomic_store(&o->resting, false);
	return 0;
}
