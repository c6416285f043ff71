/* SPDX-License-Identifier: Apache-2.0 */
/* hold_reads: links that programs have read a moment ago: a ring, the oldest of which goes first.
 *
 * The number of an entry stands apart from it and is stored last, so one that a killed daemon was writing is absent. */
#include "base/cleanup.h"
#include "keeper/hold_int.h"

void reads_prepare(struct hold *h)
{
	for (const struct link_read *r = h->memory->reads; r < h->memory->reads + READS_KEPT; r++)
		h->read_number = r->number > h->read_number ? r->number : h->read_number;
}

void hold_read_add(struct hold *h, const struct hold_read *read)
{
	WITH_LOCK(&h->reads_lock);
	struct link_read *r = &h->memory->reads[++h->read_number % READS_KEPT];
	atomic_store(&r->number, 0);
	r->read = *read;
	atomic_store_explicit(&r->number, h->read_number, memory_order_release);
}

bool hold_read_find(struct hold *h, const struct hold_read *read)
{
	WITH_LOCK(&h->reads_lock);
	for (const struct link_read *r = h->memory->reads; r < h->memory->reads + READS_KEPT; r++)
		if (r->number && r->read.conn == read->conn && r->read.pid == read->pid && r->read.image != read->image &&
		    r->read.sum == read->sum && r->read.time >= read->time)
			return true;
	return false;
}
