/* SPDX-License-Identifier: Apache-2.0 */
/* check_refs: references are counted anew: a node's to its kids, a borrowed object's to its lender's, a disk row's and a hold's to
 * their roots; and compared with what the rows say. Too many mean room that is never given back; too few mean
 * that something in use will be removed. When a node could not be read, its kids' counts are short for
 * that reason, so only those that are too high on our side are told. The list of loose objects has to
 * be that of those with no references. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "catalog/disk_tab.h"
#include "domain/check_int.h"
#include "domain/dedup.h"

#define LOOK_AT 512u

static bool count_one(struct check *c, uint32_t domain, const struct hash *hash)
{
	if (hash_is_none(hash))
		return true;
	struct check_object *to = check_object_find(c, domain, hash);
	if (!to)
		return false;
	to->counted++;
	return true;
}

static char *short_hex(const struct hash *hash, char ret[HASH_HEX_SIZE])
{
	hash_hex(hash, ret);
	ret[2 * (OBJECT_KEY_SIZE - 4)] = 0;
	return ret;
}

static int count_lender(struct check *c, struct check_object *at, const struct loose *o)
{
	char name[HASH_HEX_SIZE];
	if (!dedup_may_borrow(o->domain, o->row.lender))
		check_problem(c, PROBLEM_OBJECT, "object %s is borrowed from domain %u by the common domain, where all would find it",
			      short_hex(&o->hash, name), o->row.lender);
	const struct check_object *lent = check_object_find(c, o->row.lender, &o->hash);
	if (lent && lent->kind == at->kind && !(lent->flags & OBJECT_BORROWED) && count_one(c, o->row.lender, &o->hash))
		return 0;
	at->flags |= OBJECT_BAD;
	check_problem(c, PROBLEM_OBJECT, "object %s of domain %u is borrowed from domain %u, which does not have it",
		      short_hex(&o->hash, name), o->domain, o->row.lender);
	return 0;
}

static int count_kids(struct check *c, struct check_object *at, const struct loose *o)
{
	struct hash kids[NODE_FANOUT];
	struct error why = { 0, "" };
	char name[HASH_HEX_SIZE], kid[HASH_HEX_SIZE];
	if (o->row.lender)
		return count_lender(c, at, o);
	if (at->kind != OBJECT_NODE)
		return 0;
	int r = at->flags & OBJECT_BAD ? ERR_DAMAGED : check_read_node(c, o->domain, &o->hash, kids, &why);
	if (r == ERR_DAMAGED) {
		c->counts_complete = false;
		if (!(at->flags & OBJECT_BAD))
			check_problem(c, PROBLEM_OBJECT, "object %s, a part of a map, is damaged in pack %u: %s",
				      short_hex(&o->hash, name), o->row.place.pack, why.text);
		at->flags |= OBJECT_BAD;
		return 0;
	}
	for (unsigned i = 0; i < NODE_FANOUT && r == 0; i++)
		if (!count_one(c, o->domain, &kids[i]))
			check_problem(c, PROBLEM_OBJECT,
				      "object %s, a part of a map, names object %s, which is not there",
				      short_hex(&o->hash, name), short_hex(&kids[i], kid));
	return r;
}

static int count_disk(void *ctx, const struct disk_row *row)
{
	count_one(ctx, row->domain, &row->root.hash); /* if it is not there, check_maps.c says so */
	return 0;
}

static int count_hold(void *ctx, uint64_t no, uint32_t domain, const struct map_root *root)
{
	struct check *c = ctx;
	struct disk_row row;
	if (disk_row_get(c->txn, no, &row) == -ENOENT)
		check_problem(c, PROBLEM_REFS, "a map is held for disk %llu, which is not there",
			      (unsigned long long)no);
	if (!count_one(c, domain, &root->hash))
		check_problem(c, PROBLEM_REFS, "the map that is held for disk %llu is not there",
			      (unsigned long long)no);
	return 0;
}

static int compare_refs(struct check *c, struct check_object *at, const struct loose *o)
{
	char name[HASH_HEX_SIZE];
	c->n_loose += o->row.refs == 0;
	if (o->row.refs < at->counted)
		check_problem(c, PROBLEM_REFS,
			      "object %s is counted as used %u times, but it is %u times: it may be removed "
			      "while it is in use",
			      short_hex(&o->hash, name), o->row.refs, at->counted);
	else if (o->row.refs > at->counted && c->counts_complete)
		check_problem(c, PROBLEM_REFS,
			      "object %s is counted as used %u times, but it is %u times: it is never "
			      "removed",
			      short_hex(&o->hash, name), o->row.refs, at->counted);
	return 0;
}

/* ---- the list of those that have none */

static int check_loose_list(struct check *c, struct error *err)
{
	AUTO_FREE struct loose *found = calloc(LOOK_AT, sizeof *found);
	uint8_t cursor[32] = { 0 };
	char name[HASH_HEX_SIZE];
	uint64_t listed = 0;
	int n;
	if (!found)
		return fail(err, -ENOMEM, "There is no memory to check.");
	while ((n = object_loose(c->txn, cursor, found, LOOK_AT)) > 0)
		for (int i = 0; i < n; i++, listed++)
			if (found[i].row.refs)
				check_problem(
					c, PROBLEM_REFS,
					"object %s is on the list of those that nothing refers to, but %u do",
					short_hex(&found[i].hash, name), found[i].row.refs);
	if (n == 0 && listed != c->n_loose)
		check_problem(c, PROBLEM_REFS, "nothing refers to %llu objects, but %llu are on the list of those",
			      (unsigned long long)c->n_loose, (unsigned long long)listed);
	return check_walked(c, n, "loose objects", err);
}

int check_refs(struct check *c, struct error *err)
{
	c->counts_complete = true;
	int r = check_objects_each(c, count_kids, err);
	if (r == 0)
		r = check_walked(c, disk_row_each(c->txn, 0, count_disk, c), "disks", err);
	if (r == 0)
		r = check_walked(c, hold_each(c->txn, count_hold, c), "held maps", err);
	if (r == 0)
		r = check_objects_each(c, compare_refs, err);
	return r ? r : check_loose_list(c, err);
}
