/* SPDX-License-Identifier: Apache-2.0 */
/* hold_handle: the set of open handles.
 *
 * A handle is added by filling a free slot and then giving it a generation; removed by taking the generation
 * away. One that changes is written to a second slot with a higher generation before the first is freed: a
 * daemon that dies in between leaves both, and the next one drops the older. Marks are one word, changed in
 * place. Slots are found by chains of slot numbers in private memory, made anew from the slots that were ever
 * reached: an almost empty table is mapped in microseconds.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "keeper/hold_int.h"

static uint32_t *chain_of(struct hold *h, uint32_t conn, uint64_t fh)
{
	uint64_t mixed = (fh ^ (uint64_t)conn << 40) * 0x9e3779b97f4a7c15u;

	return &h->heads[mixed >> 48];
}

_Static_assert(HANDLES_MAX == 65536, "chain_of() takes 16 bits");

static uint32_t find(struct hold *h, uint32_t conn, uint64_t fh)
{
	uint32_t i = *chain_of(h, conn, fh);

	while (i != NO_SLOT) {
		const struct hold_handle *x = &h->memory->slots[i].handle;
		if (x->fh == fh && x->conn == conn)
			break;
		i = h->nexts[i];
	}
	return i;
}

/* The place of its count, at the end when it has none yet. */
static struct conn_count *count_of(struct hold *h, uint32_t conn)
{
	for (uint32_t i = 0; i < h->n_counts; i++)
		if (h->counts[i].conn == conn)
			return &h->counts[i];
	if (h->n_counts == h->counts_room) {
		h->counts_room = h->counts_room * 2 + 16;
		h->counts = realloc(h->counts, h->counts_room * sizeof *h->counts);
		if (!h->counts)
			abort();
	}
	h->counts[h->n_counts] = (struct conn_count){ .conn = conn };
	return &h->counts[h->n_counts++];
}

static void link_slot(struct hold *h, uint32_t i)
{
	const struct hold_handle *x = &h->memory->slots[i].handle;
	uint32_t *head = chain_of(h, x->conn, x->fh);

	h->nexts[i] = *head;
	*head = i;
	h->handles++;
	count_of(h, x->conn)->handles++;
}

static void unlink_slot(struct hold *h, uint32_t i)
{
	const struct hold_handle *x = &h->memory->slots[i].handle;
	uint32_t *at = chain_of(h, x->conn, x->fh);

	while (*at != i)
		at = &h->nexts[*at];
	*at = h->nexts[i];
	h->handles--;
	struct conn_count *c = count_of(h, x->conn);
	if (--c->handles == 0)
		*c = h->counts[--h->n_counts];
}

static void free_slot(struct hold *h, uint32_t i)
{
	atomic_store_explicit(&h->memory->slots[i].generation, 0, memory_order_release);
	h->nexts[i] = h->free_head;
	h->free_head = i;
}

/* There is always one: the caller keeps to HANDLES_MAX, and one is spare. */
static uint32_t take_slot(struct hold *h)
{
	uint32_t i = h->free_head;

	if (i != NO_SLOT)
		h->free_head = h->nexts[i];
	else
		i = h->memory->slots_reached++; /* before it is filled: whoever maps next looks at it */
	return i;
}

static void fill_slot(struct hold *h, uint32_t i, const struct hold_handle *x)
{
	struct slot *s = &h->memory->slots[i];

	s->handle = *x;
	atomic_store_explicit(&s->generation, ++h->generation, memory_order_release);
}

/* A slot found at mapping. The same handle may be there already: the one with the higher generation stays. */
static void adopt(struct hold *h, uint32_t i)
{
	struct slot *slots = h->memory->slots;
	uint32_t other = find(h, slots[i].handle.conn, slots[i].handle.fh);

	h->generation = slots[i].generation > h->generation ? slots[i].generation : h->generation;
	if (other != NO_SLOT && slots[other].generation > slots[i].generation) {
		free_slot(h, i);
		return;
	}
	if (other != NO_SLOT) {
		unlink_slot(h, other);
		free_slot(h, other);
	}
	link_slot(h, i);
}

int handles_prepare(struct hold *h)
{
	h->heads = malloc(HANDLES_MAX * sizeof *h->heads);
	h->nexts = malloc(SLOTS * sizeof *h->nexts);
	if (!h->heads || !h->nexts)
		return -ENOMEM;
	memset(h->heads, 0xff, HANDLES_MAX * sizeof *h->heads);
	h->free_head = NO_SLOT;
	for (uint32_t i = h->memory->slots_reached; i-- > 0;) {
		if (h->memory->slots[i].generation)
			adopt(h, i);
		else
			free_slot(h, i);
	}
	return 0;
}

void handles_release(struct hold *h)
{
	free(h->heads);
	free(h->nexts);
	free(h->counts);
}

static void replace(struct hold *h, uint32_t old, const struct hold_handle *x)
{
	uint32_t i = take_slot(h);

	fill_slot(h, i, x);
	unlink_slot(h, old);
	free_slot(h, old);
	link_slot(h, i);
}

int hold_handle_add(struct hold *h, const struct hold_handle *x)
{
	WITH_WRLOCK(&h->handles_lock);
	uint32_t old = find(h, x->conn, x->fh);

	if (old != NO_SLOT) {
		replace(h, old, x);
		return 0;
	}
	if (h->handles >= HANDLES_MAX)
		return -ENFILE;
	uint32_t i = take_slot(h);
	fill_slot(h, i, x);
	link_slot(h, i);
	return 0;
}

bool hold_handle_get(struct hold *h, uint32_t conn, uint64_t fh, struct hold_handle *ret)
{
	WITH_RDLOCK(&h->handles_lock);
	uint32_t i = find(h, conn, fh);

	if (i == NO_SLOT)
		return false;
	*ret = h->memory->slots[i].handle;
	return true;
}

bool hold_handle_set(struct hold *h, const struct hold_handle *x)
{
	WITH_WRLOCK(&h->handles_lock);
	uint32_t old = find(h, x->conn, x->fh);

	if (old == NO_SLOT)
		return false;
	replace(h, old, x);
	return true;
}

bool hold_handle_mark(struct hold *h, uint32_t conn, uint64_t fh, uint32_t set, uint32_t clear, uint32_t *ret_marks)
{
	WITH_WRLOCK(&h->handles_lock);
	uint32_t i = find(h, conn, fh);

	if (i == NO_SLOT)
		return false;
	uint32_t *marks = &h->memory->slots[i].handle.marks;
	uint32_t now = (*marks & ~clear) | set;
	__atomic_store_n(marks, now, __ATOMIC_RELEASE);
	if (ret_marks)
		*ret_marks = now;
	return true;
}

bool hold_handle_remove(struct hold *h, uint32_t conn, uint64_t fh)
{
	if (h->texts)
		hold_text_remove(h, conn, fh);
	WITH_WRLOCK(&h->handles_lock);
	uint32_t i = find(h, conn, fh);

	if (i == NO_SLOT)
		return false;
	unlink_slot(h, i);
	free_slot(h, i);
	return true;
}

void hold_handle_remove_conn(struct hold *h, uint32_t conn)
{
	hold_suspects_remove_conn(h, conn);
	hold_texts_remove_conn(h, conn);
	WITH_WRLOCK(&h->handles_lock);
	for (uint32_t i = 0; i < h->memory->slots_reached; i++) {
		struct slot *s = &h->memory->slots[i];
		if (s->generation && s->handle.conn == conn) {
			unlink_slot(h, i);
			free_slot(h, i);
		}
	}
}

unsigned hold_handle_count(struct hold *h, uint32_t conn)
{
	WITH_RDLOCK(&h->handles_lock);
	unsigned n = conn ? 0 : h->handles;
	for (uint32_t i = 0; conn && i < h->n_counts; i++)
		n += h->counts[i].conn == conn ? h->counts[i].handles : 0;
	return n;
}

int hold_handle_each(struct hold *h, int (*each)(void *ctx, const struct hold_handle *), void *ctx)
{
	WITH_RDLOCK(&h->handles_lock);
	int r = 0;

	for (uint32_t i = 0; i < h->memory->slots_reached && r == 0; i++)
		if (h->memory->slots[i].generation)
			r = each(ctx, &h->memory->slots[i].handle);
	return r;
}
