/* SPDX-License-Identifier: Apache-2.0 */
/* check_int: between the files of check. Nobody else includes it. */
#ifndef IMAGEFS_DOMAIN_CHECK_INT_H
#define IMAGEFS_DOMAIN_CHECK_INT_H

#include "catalog/object_tab.h"
#include "domain/check.h"

/* What is known of an object: one for every row of the catalog, sorted by key. */
struct check_object {
	uint8_t key[OBJECT_KEY_SIZE];
	uint32_t counted; /* references that were found */
	uint8_t kind;
	uint8_t flags;
};
enum {
	OBJECT_PLACED = 1, /* its pack's own index has it, just there */
	OBJECT_BAD = 2,    /* can't be read */
	OBJECT_WHOLE = 4,  /* a node: everything below it is there */
	OBJECT_BORROWED = 8,
};

enum pack_state { PACK_WHOLE, PACK_NO_INDEX, PACK_LOST };

struct check_pack {
	struct pack_row row;
	uint64_t live_bytes; /* as the objects' rows have it */
	uint32_t live_count;
	enum pack_state state;
};

/* An object whose bytes were found to be damaged. */
struct check_damage {
	uint32_t domain;
	struct hash hash;
	struct place place;
};

/* Sentences of one kind are given KIND_MAX times at most; all are counted. */
enum problem_kind {
	PROBLEM_PACK, PROBLEM_OBJECT, PROBLEM_REFS, PROBLEM_MAP, PROBLEM_NAME, PROBLEM_TOTALS, PROBLEM_METER,
	PROBLEM_ORPHAN, PROBLEM_ROW,
	PROBLEM_KINDS_,
};
#define KIND_MAX 200u

struct check {
	struct service *service;
	const struct check_options *options;
	struct check_report *report;
	struct cat_txn *txn; /* of the copy that is checked */
	uint64_t problems_of[PROBLEM_KINDS_];
	struct check_object *objects;
	uint64_t n_objects, room; /* room: of objects, in mapped memory */
	struct check_pack *packs; /* by number */
	size_t n_packs;
	struct meters *meters; /* while they are checked */
	struct check_damage *damage; /* found by reading all data */
	size_t n_damage;
	uint64_t n_loose;     /* rows with no references */
	bool counts_complete; /* no node was unreadable, so that too few references mean something */
};

void check_problem(struct check *, enum problem_kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
void check_progress(struct check *, uint64_t done, uint64_t total, const char *what);

/* A walk through a table went wrong. Rows that make no sense are a problem, and then 0; all else is an
 * error. */
int check_walked(struct check *, int r, const char *table, struct error *err) MUST_USE;

/* The objects of the snapshot. */
int check_objects_load(struct check *, struct error *err) MUST_USE;
void check_objects_free(struct check *);
struct check_object *check_object_find(struct check *, uint32_t domain, const struct hash *); /* NULL */
/* The one that has the bytes: *domain becomes the lender's when it is borrowed. NULL also when that is not there. */
struct check_object *check_object_follow(struct check *, uint32_t *domain, const struct hash *);
/* Every object with its row, in order of key. */
int check_objects_each(struct check *, int (*each)(struct check *, struct check_object *, const struct loose *),
		       struct error *err) MUST_USE;

struct check_pack *check_pack_find(struct check *, uint32_t no); /* NULL */

/* The kids of a node, from where the snapshot says it lies. ERR_DAMAGED with a sentence when it can't
 * be read. */
int check_read_node(struct check *, uint32_t domain, const struct hash *, struct hash kids[NODE_FANOUT],
		    struct error *err) MUST_USE;

/* The parts, in this order. */
int check_data(struct check *, struct error *err) MUST_USE;   /* before the snapshot: every frame of every pack */
int check_copy(struct check *, int *ret_fd, struct error *err) MUST_USE;
/* Of the catalog in a file that nobody changes, by a process of its own. *ret_readable: this process can read it as well. */
int check_tables(struct check *, const char *program, int fd, bool *ret_readable, struct error *err) MUST_USE;
int check_packs(struct check *, struct error *err) MUST_USE;  /* rows, files, indexes, places, live numbers, totals */
int check_refs(struct check *, struct error *err) MUST_USE;
int check_maps(struct check *, struct error *err) MUST_USE;
int check_names(struct check *, struct error *err) MUST_USE;
int check_meters(struct check *, struct error *err) MUST_USE;  /* who pays for what */
int check_shares(struct check *, struct error *err) MUST_USE;
int check_orphans(struct check *, struct error *err) MUST_USE; /* after the snapshot */
int check_overlays(struct check *, struct error *err) MUST_USE;

#endif
