/* SPDX-License-Identifier: Apache-2.0 */
/* hold_why: the last refusals of each uid, in rings.
 *
 * Every refusal gets the next number; the number stands apart from the text and is stored last, so an entry that
 * a killed daemon was writing is absent. A ring is given to another uid by taking it out of use, emptying it,
 * and putting it into use again, in this order.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "keeper/hold_int.h"

static uint64_t newest(const struct why_ring *ring)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < WHY_KEPT; i++)
		n = ring->number[i] > n ? ring->number[i] : n;
	return n;
}

static unsigned oldest_place(const struct why_ring *ring)
{
	unsigned at = 0;

	for (unsigned i = 1; i < WHY_KEPT; i++)
		if (ring->number[i] < ring->number[at])
			at = i;
	return at;
}

void why_prepare(struct hold *h)
{
	for (struct why_ring *r = h->memory->rings; r < h->memory->rings + WHY_UIDS; r++) {
		uint64_t n = r->used ? newest(r) : 0;
		h->why_number = n > h->why_number ? n : h->why_number;
	}
}

static struct why_ring *find_ring(struct hold *h, uint32_t uid)
{
	for (struct why_ring *r = h->memory->rings; r < h->memory->rings + WHY_UIDS; r++)
		if (r->used && r->uid == uid)
			return r;
	return NULL;
}

/* One that nobody uses, or the one whose last refusal is longest ago. */
static struct why_ring *spare_ring(struct hold *h)
{
	struct why_ring *best = NULL;
	uint64_t best_number = UINT64_MAX;

	for (struct why_ring *r = h->memory->rings; r < h->memory->rings + WHY_UIDS; r++) {
		uint64_t n = r->used ? newest(r) : 0;
		if (n < best_number) {
			best = r;
			best_number = n;
		}
	}
	return best;
}

static struct why_ring *give_ring(struct hold *h, uint32_t uid)
{
	struct why_ring *r = spare_ring(h);

	atomic_store(&r->used, 0);
	for (unsigned i = 0; i < WHY_KEPT; i++)
		r->number[i] = 0;
	r->uid = uid;
	atomic_store(&r->used, 1);
	return r;
}

void hold_why_add(struct hold *h, const struct hold_why *why)
{
	WITH_LOCK(&h->why_lock);
	struct why_ring *r = find_ring(h, why->uid);

	if (!r)
		r = give_ring(h, why->uid);
	unsigned at = oldest_place(r);
	atomic_store(&r->number[at], 0);
	r->why[at] = *why;
	atomic_store_explicit(&r->number[at], ++h->why_number, memory_order_release);
}

struct numbered {
	uint64_t number;
	struct hold_why why;
};

static int by_number(const void *a, const void *b)
{
	uint64_t x = ((const struct numbered *)a)->number, y = ((const struct numbered *)b)->number;

	return (x > y) - (x < y);
}

static unsigned copy_ring(struct hold *h, uint32_t uid, struct numbered *ret)
{
	WITH_LOCK(&h->why_lock);
	const struct why_ring *r = find_ring(h, uid);
	unsigned n = 0;

	for (unsigned i = 0; r && i < WHY_KEPT; i++) {
		if (r->number[i] == 0)
			continue;
		ret[n].number = r->number[i];
		ret[n++].why = r->why[i];
	}
	return n;
}

/* Works on a copy, so that each() may take its time and may refuse something itself. */
void hold_why_each(struct hold *h, uint32_t uid, void (*each)(void *ctx, const struct hold_why *), void *ctx)
{
	AUTO_FREE struct numbered *copy = malloc(WHY_KEPT * sizeof *copy);
	unsigned n = copy ? copy_ring(h, uid, copy) : 0;

	if (n)
		qsort(copy, n, sizeof *copy, by_number);
	for (unsigned i = 0; i < n; i++)
		each(ctx, &copy[i].why);
}
