/* SPDX-License-Identifier: Apache-2.0 */
/* Committing one batch. The order: map nodes into the pack → pack sealed → hook (durable) → the disk's root
 * changes → records of cut and splices go (durable) → bits of the chunks go (durable) → their bytes are
 * punched. Until its record is gone a cut or a splice is applied once more after a crash, which changes
 * nothing, because what was written after it still has its bits.
 *
 * When the map's nodes do not fit into the pack any more, they are made again in another pack, and both are
 * committed together: objects that nothing refers to, even for a moment, are garbage.
 *
 * What one commit may change is bounded, because everybody waits for the catalog meanwhile: chunks by how a batch is filled
 * (disk_absorb.c), copies by the nodes that they have made. A commit that has enough of them leaves the others to the next, and
 * before it the notes of all are made durable. */
#include "store/disk_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"

#define PUNCH_CHUNKS 32u /* at a time: half of the stripes */
#define SHIFT_CHUNKS 4096u
#define SHIFT_LEAVES 32u
#define COMMIT_NODES 128u /* no further copy is begun in a commit that has made so many: others wait for the catalog meanwhile */

struct job {
	struct disk *d;
	const struct commit *c;
	struct map_change *changes;
	size_t n_changes;
	uint64_t cut, size, committed_size;
	struct map_root old, root;
	uint8_t levels;
	struct map_nodes nodes;
	struct splice_at at; /* how far the noted copies are carried out with this commit */
	bool final;
	bool claimed, committed; /* the overlay; by the hook */
	struct pack_writer *full[FOLD_PACKS - 1]; /* packs that are part of this commit besides the batch's last */
	unsigned n_full;
};

/* What the commit is of: everything at one moment. */
static void take_stock(struct job *j)
{
	struct disk *d = j->d;
	WITH_WRLOCK(&d->data_lock);
	j->changes = absorb_changes(d, j->c->batch, &j->n_changes);
	j->cut = d->cut;
	d->cut_since = OVERLAY_NONE;
	j->size = atomic_load(&d->size);
	j->committed_size = d->committed_size;
	j->old = root_load(&d->root);
	j->levels = MAX(j->old.levels, map_levels(j->size));
}

/* --- the new map --- */

static int apply_changes(struct job *j, const struct map_change *changes, size_t n, struct error *err)
{
	struct disk *d = j->d;
	return map_update(d->store, d->domain, &j->root, j->levels, changes, n, j->c->batch->writer, &j->nodes,
			  &j->root, err);
}

static int apply_range(struct job *j, const struct map_root *from, uint64_t first, uint64_t count, struct error *err)
{
	struct disk *d = j->d;
	return map_splice(d->store, d->domain, &j->root, j->levels, from, first, count, j->c->batch->writer,
			  &j->nodes, &j->root, err);
}

/* The next chunks with data of those in [*at, end) of the source, in a bounded number of leaves; `shift` further on in this disk. */
static int gather_shifted(struct job *j, const struct map_root *from, uint64_t *at, uint64_t end, uint64_t shift,
			  struct map_change *ret, size_t *ret_n, struct error *err)
{
	struct disk *d = j->d;
	uint64_t leaf = UINT64_MAX;
	unsigned leaves = 0;
	for (*ret_n = 0; *ret_n < SHIFT_CHUNKS && leaves <= SHIFT_LEAVES; ++*at) {
		int r = map_seek(d->store, d->domain, from, *at, end, true, at, err);
		if (r || *at == end)
			return r;
		struct map_change *c = &ret[*ret_n];
		c->chunk = *at + shift;
		leaves += c->chunk / NODE_FANOUT != leaf;
		leaf = c->chunk / NODE_FANOUT;
		if (leaves > SHIFT_LEAVES)
			return 0;
		r = map_find(d->store, d->domain, from, *at, &c->object, err);
		if (r)
			return r;
		++*ret_n;
	}
	return 0;
}

/* Chunks that lie elsewhere in the source: holes first, then its data, some at a time, until the commit has enough. */
static int apply_shifted(struct job *j, const struct splice *s, uint64_t first, uint64_t count, struct error *err)
{
	uint64_t shift = first - (s->from_off / CHUNK_SIZE + (first - s->to_off / CHUNK_SIZE)); /* modulo 2^64 */
	uint64_t at = first - shift + j->at.chunks, end = first - shift + count;
	size_t n;
	AUTO_FREE struct map_change *changes = calloc(SHIFT_CHUNKS, sizeof *changes);
	if (!changes)
		abort();
	int r = apply_range(j, &(struct map_root){ .levels = 1 }, at + shift, end - at, err);
	while (r == 0 && at < end && j->nodes.count < COMMIT_NODES) {
		r = gather_shifted(j, &s->from, &at, end, shift, changes, &n, err);
		if (r == 0)
			r = apply_changes(j, changes, n, err);
	}
	j->at.chunks = at - (first - shift);
	return r;
}

/* All of it, and then j->at is the next one, or a part. */
static int apply_splice(struct job *j, const struct splice *s, struct error *err)
{
	uint64_t first, count;
	int r = 0;
	splice_chunks(s, &first, &count);
	if (count && s->to_off != s->from_off) {
		r = apply_shifted(j, s, first, count, err);
		if (r || j->at.chunks < count)
			return r;
	} else if (count && first == 0 && count >= s->from_chunks && count >= div_up(j->size, CHUNK_SIZE) &&
		   s->from.levels >= map_levels(j->size)) {
		j->root = s->from; /* wholly the other's */
		j->levels = s->from.levels;
	} else if (count) {
		r = apply_range(j, &s->from, first, count, err);
	}
	j->at = (struct splice_at){ j->at.i + 1, 0 };
	return r;
}

static bool all_applied(const struct job *j) { return !j->c->splices || j->at.i == atomic_load(&j->d->n_splices); }

/* As many as may be in one commit; the others follow in the next. */
static int apply_splices(struct job *j, struct error *err)
{
	int r = 0;
	j->at = j->d->spliced;
	while (r == 0 && !all_applied(j) && j->nodes.count < COMMIT_NODES)
		r = apply_splice(j, &j->d->splices[j->at.i], err);
	return r;
}

struct named {
	const struct hash *hash;
	size_t i;
};

static int compare_named(const void *a, const void *b)
{
	return hash_compare(((const struct named *)a)->hash, ((const struct named *)b)->hash);
}

static struct named *sort_nodes(const struct map_nodes *nodes)
{
	struct named *sorted = calloc(nodes->count + 1, sizeof *sorted);
	if (!sorted)
		abort();
	for (size_t i = 0; i < nodes->count; i++)
		sorted[i] = (struct named){ &nodes->items[i].hash, i };
	qsort(sorted, nodes->count, sizeof *sorted, compare_named);
	return sorted;
}

static void mark(const struct named *sorted, size_t count, const struct hash *hash, bool *used)
{
	const struct named *found = bsearch(&(struct named){ hash, 0 }, sorted, count, sizeof *sorted, compare_named);
	if (found)
		used[found->i] = true;
}

/* Several changes in a row leave nodes behind that only the steps in between needed. */
static void drop_unused_nodes(struct job *j)
{
	struct map_nodes *n = &j->nodes;
	AUTO_FREE bool *used = calloc(n->count + 1, sizeof *used);
	AUTO_FREE struct named *sorted = sort_nodes(n);
	if (!used)
		abort();
	mark(sorted, n->count, &j->root.hash, used);
	for (size_t i = n->count; i-- > 0;)
		for (unsigned k = 0; used[i] && n->items[i].level > 1 && k < NODE_FANOUT; k++)
			mark(sorted, n->count, &n->items[i].kids.hash[k], used);
	size_t kept = 0;
	for (size_t i = 0; i < n->count; i++)
		if (used[i])
			n->items[kept++] = n->items[i];
	n->count = kept;
}

static int build_map(struct job *j, struct error *err)
{
	size_t n_splices = j->c->splices ? atomic_load(&j->d->n_splices) : 0;
	size_t steps = (j->cut != OVERLAY_NONE) + (j->n_changes > 0) + 2 * n_splices;
	int r = 0;
	j->root = j->old;
	j->nodes.count = 0;
	j->levels = MAX(j->old.levels, map_levels(j->size));
	if (steps == 0)
		return 0;
	r = batch_writer(j->d, j->c->batch, err);
	if (r == 0 && j->cut != OVERLAY_NONE)
		r = apply_range(j, &(struct map_root){ .levels = 1 }, j->cut / CHUNK_SIZE, UINT64_MAX, err);
	if (r == 0 && j->n_changes)
		r = apply_changes(j, j->changes, j->n_changes, err);
	if (r == 0 && n_splices)
		r = apply_splices(j, err);
	if (r == 0 && steps > 1)
		drop_unused_nodes(j);
	return r;
}

/* --- pack and hook --- */

/* Nobody was told of these packs yet. If one stays, it is found as garbage. */
static void remove_packs(struct job *j, const struct fold *f)
{
	char name[20];
	struct backend *backend = j->d->store->backend;
	for (unsigned i = 0; i < f->n_packs; i++)
		(void)!backend->ops->remove(backend, pack_name(f->packs[i].number, name), NULL);
}

static int seal(struct fold *f, struct pack_writer *w, struct error *err)
{
	struct fold_pack *p = &f->packs[f->n_packs];
	int r = pack_seal(w, err);
	if (r)
		return r;
	p->items = pack_items(w, &p->n_items);
	p->number = pack_number(w);
	p->bytes = pack_bytes(w);
	f->n_packs += p->n_items > 0;
	return 0;
}

/* Is everything that is in the overlay part of this commit, as it is now? */
static bool takes_all(struct job *j)
{
	struct disk *d = j->d;
	struct absorb *a = &d->absorb;
	uint64_t blocks = 0;
	WITH_WRLOCK(&d->data_lock);
	WITH_LOCK(&a->lock);
	for (size_t i = 0; i < j->n_changes; i++) {
		struct move *m = absorb_find(a, j->changes[i].chunk);
		if (m && m->batch == j->c->batch && m->state == MOVE_ABSORBED && !m->dirty)
			blocks += (unsigned)__builtin_popcount(overlay_bits(d->overlay, m->chunk));
	}
	return blocks * BLOCK_SIZE == overlay_bytes(d->overlay) && d->cut_since == OVERLAY_NONE && atomic_load(&d->size) == j->size;
}

/* A power cut after the commit may leave the overlay as it was at any time before. So the catalog names the one that it took all of. Syncs
 * wait until that is done, because what is written meanwhile is in that same one. */
static void claim_overlay(struct job *j, struct fold *f)
{
	struct overlay *o = j->d->overlay;
	if (!f->final)
		return;
	uint64_t life = overlay_consume(o);
	j->claimed = takes_all(j);
	if (j->claimed)
		f->overlay = life;
	else
		(void)!overlay_consumed(o, false, NULL);
}

static int call_hook(struct job *j, struct error *err)
{
	struct disk *d = j->d;
	struct pack_writer *last = j->c->batch->writer;
	struct fold f = {
		.number = d->number, .domain = d->domain, .nodes = &j->nodes, .old = j->old, .root = j->root, .size = j->size, .mtime = atomic_load(&d->mtime),
		.final = j->final, .caller = j->c->caller,
	};
	int r = 0;
	for (unsigned i = 0; i < j->n_full && r == 0; i++)
		r = seal(&f, j->full[i], err);
	if (r == 0 && last)
		r = seal(&f, last, err);
	if (r) {
		remove_packs(j, &f);
		return r;
	}
	claim_overlay(j, &f);
	r = d->hooks.commit(d->hooks.ctx, &f, err);
	j->committed = r == 0;
	if (r == ERR_STALE) /* nothing was changed */
		remove_packs(j, &f);
	return r;
}

/* Build the map, in as many packs as it takes. */
static int publish(struct job *j, struct error *err)
{
	int r;
	while ((r = build_map(j, err)) == ERR_FULL) {
		if (j->n_full == FOLD_PACKS - 1)
			return fail(err, -EFBIG, "the map of disk %" PRIu64 " changes in too many places at once", j->d->number);
		j->full[j->n_full++] = steal(&j->c->batch->writer);
	}
	j->final = j->c->final && all_applied(j);
	/* A part of a copy is neither what was there before nor what is copied: its note must bring the rest after a power cut, too. */
	if (r == 0 && !all_applied(j))
		r = splices_keep(j->d, err);
	/* After the chunks were read: what a failed sync lost until now may be among them. */
	if (r == 0)
		r = overlay_check(j->d->overlay, err);
	return r ? r : call_hook(j, err);
}

/* --- afterwards --- */

/* The cut that this commit carried out. Under data_lock for writing. */
static int end_cut(struct job *j, struct error *err)
{
	struct disk *d = j->d;
	if (j->cut == OVERLAY_NONE)
		return 0;
	int r = overlay_set_cut(d->overlay, d->cut_since, err);
	if (r == 0)
		r = overlay_sync_bits(d->overlay, err);
	if (r == 0)
		d->cut = d->cut_since;
	return r;
}

/* Those that this commit carried out. While some are left their records stay all: to carry one out again changes nothing. */
static int end_splices(struct job *j, struct error *err)
{
	struct disk *d = j->d;
	if (atomic_load(&d->n_splices) == 0)
		return 0;
	if (all_applied(j))
		return splices_done(d, j->claimed, err);
	d->spliced = j->at;
	return 0;
}

/* Clear the bits of what was committed and not written to since; `changes` keeps only these. */
static void clear_committed(struct job *j)
{
	struct disk *d = j->d;
	struct absorb *a = &d->absorb;
	size_t kept = 0;
	WITH_LOCK(&a->lock);
	for (size_t i = 0; i < j->n_changes; i++) {
		struct move *m = absorb_find(a, j->changes[i].chunk);
		if (!m || m->batch != j->c->batch || m->state != MOVE_ABSORBED)
			continue;
		if (!m->dirty) {
			overlay_clear(d->overlay, m->chunk);
			j->changes[kept++] = j->changes[i];
		}
		absorb_remove(a, m);
	}
	j->n_changes = kept;
}

static void close_fd(void *arg) { close((int)(intptr_t)arg); }

/* When nothing is left over the map, the files can go. */
static void settle(struct job *j)
{
	struct disk *d = j->d;
	int fd = -1;
	if (!overlay_empty(d->overlay) || d->n_splices || d->cut != OVERLAY_NONE)
		return;
	atomic_store(&d->absorb.done, 0);
	if (!j->final || atomic_load(&d->size) != d->committed_size)
		return;
	if (overlay_reset(d->overlay, &fd, NULL))
		return; /* empty files stay, which does no harm */
	atomic_store(&d->fixed, true);
	j->n_changes = 0; /* nothing to punch */
	if (fd >= 0 && !workers_try(d->store->workers, close_fd, (void *)(intptr_t)fd))
		close(fd);
}

static int take_over(struct job *j, struct error *err)
{
	struct disk *d = j->d;
	WITH_WRLOCK(&d->data_lock);
	root_store(&d->root, &j->root);
	d->committed_size = j->size;
	int r = end_cut(j, err);
	if (r == 0 && j->c->splices)
		r = end_splices(j, err);
	if (r)
		return r; /* the overlay keeps everything, and wins */
	clear_committed(j);
	settle(j);
	return 0;
}

/* Give back the space of dropped chunks: runs of neighbours, a little at a time. If the bits cannot be made
 * durable, the bytes stay; the next sync reports what is wrong. */
static void punch_committed(struct job *j)
{
	struct disk *d = j->d;
	if (j->n_changes == 0 || overlay_sync_bits(d->overlay, NULL))
		return;
	for (size_t i = 0; i < j->n_changes;) {
		uint64_t first = j->changes[i].chunk, count = 1;
		while (++i < j->n_changes && count < PUNCH_CHUNKS && j->changes[i].chunk == first + count)
			count++;
		if (punch_step(d, first, count, NULL))
			return; /* costs space until the overlay is emptied, nothing else */
	}
}

/* How many nodes it may have in memory: a path for each leaf that is changed. */
static unsigned nodes_needed(const struct job *j)
{
	unsigned leaves = 1;
	for (size_t i = 1; i < j->n_changes; i++)
		leaves += j->changes[i].chunk / NODE_FANOUT != j->changes[i - 1].chunk / NODE_FANOUT;
	bool copies = j->c->splices && atomic_load(&j->d->n_splices);
	return leaves * j->levels + (copies ? COMMIT_NODES + SHIFT_LEAVES : 0);
}

int commit_batch(struct disk *d, const struct commit *c, struct error *err)
{
	struct job j = { .d = d, .c = c };
	take_stock(&j);
	unsigned room = room_take(d->store->nodes_made, nodes_needed(&j));
	int r = publish(&j, err);
	if (r == 0)
		r = take_over(&j, err);
	if (j.claimed)
		(void)!overlay_consumed(d->overlay, j.committed, NULL); /* what fails there is told to who syncs */
	if (r == 0)
		punch_committed(&j);
	if (d->hooks.emptied)
		d->hooks.emptied(d->hooks.ctx, d->number);
	for (unsigned i = 0; i < j.n_full; i++)
		pack_free(j.full[i]);
	map_nodes_free(&j.nodes);
	room_give(d->store->nodes_made, room);
	free(j.changes);
	return r;
}
