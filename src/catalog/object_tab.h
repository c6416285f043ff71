/* SPDX-License-Identifier: Apache-2.0 */
/* object_tab: where every object lies and how often it is referred to; and the packs.
 *
 * Objects are keyed by (domain, first 16 bytes of the hash), and the row has the other 16: who can make two objects whose hashes begin alike, with
 * 2^64 tries, gets the second one refused. A row that format 1 wrote lacks them, and is not believed without a look at the bytes
 * (found.sure); it gets them when its object is moved. References are counted: a node counts one for each of its kids (once per occurrence in the
 * node that is not hash_none), a disk row one for its root, a hold one for its map. An object with no
 * reference is *loose*: it is in the loose list, from which garbage collection takes it.
 * Its bytes are paid for by one disk: the one that brought it, whoever else comes to use it, until it is claimed by another.
 * A row may be *borrowed*: it has no bytes of its own, but one counted reference to the row of the same name in another
 * domain, the lender's, until it is removed itself. Of a borrowed node the kids are counted with the lender alone.
 * A lender's row is never borrowed: who borrows what is borrowed borrows it from where it lies.
 * A pack row counts the bytes and objects in it that are still in the index ("live").
 */
#ifndef IMAGEFS_CATALOG_OBJECT_TAB_H
#define IMAGEFS_CATALOG_OBJECT_TAB_H

#include "catalog/catalog.h"
#include "store/chunk.h"
#include "store/index.h"

struct object_row {
	struct place place; /* borrowed: nothing but the kind */
	uint32_t lender;    /* domain that it is borrowed from; 0: it is not */
	uint32_t refs;
	bool whole; /* `rest` is known */
	uint8_t rest[HASH_SIZE - 16]; /* of the hash: what the key does not have */
	uint64_t payer; /* disk whose meter counts its bytes (meter_tab.h) */
	bool damaged;   /* its bytes could not be read; one that is borrowed never says so, its lender's row does */
};

int object_get(struct cat_txn *, uint32_t domain, const struct hash *, struct object_row *ret) MUST_USE; /* -ENOENT */
/* The row that has the bytes: the lender's when it is borrowed; and its domain (ret_domain may be NULL). */
int object_find(struct cat_txn *, uint32_t domain, const struct hash *, struct object_row *ret, uint32_t *ret_domain) MUST_USE;

/* -EEXIST, of these and of those that refer: another object is there whose hash begins with the same 16 bytes.
 * 1: inserted with no references (so it is loose), counted live in its pack and paid for by disk `payer`; 0: it was known, nothing
 * changed. What is known to be damaged is healed instead: it lies at the new place from now on, and only what brought it first pays. One that
 * is borrowed and damaged becomes the domain's own, with the references that it has (1: what a node names has to be referred to). -EOVERFLOW when the number of the disk does not fit into a row (DISK_NO_MAX). */
int object_insert(struct cat_txn *, uint32_t domain, const struct hash *, const struct place *, uint64_t payer) MUST_USE;
/* Many of one domain at once; fast when sorted by hash. ret_inserted (may be NULL) says which were new, 1 or 0 each. ERR_STALE: the
 * row of a pack is missing (it is put before its objects); the transaction must be given up. */
int object_insert_many(struct cat_txn *, uint32_t domain, const struct hash *, const struct place *, size_t count,
		       uint64_t payer, uint8_t *ret_inserted) MUST_USE;
/* These are damaged: those of them that still lie there. */
int object_damaged_many(struct cat_txn *, const struct bad_object *, size_t count) MUST_USE;
int object_ref(struct cat_txn *, uint32_t domain, const struct hash *) MUST_USE;   /* ERR_STALE when it is not there */
int object_unref(struct cat_txn *, uint32_t domain, const struct hash *) MUST_USE; /* at 0: loose. ERR_DAMAGED if it had none */

/* The same for many at once: sorted by key inside, each leaf page touched once. `hashes` may repeat and
 * contain hash_none (skipped); the array is reordered. ERR_STALE: some is missing (the transaction must be given up). */
int object_ref_many(struct cat_txn *, uint32_t domain, struct hash *hashes, size_t count) MUST_USE;
int object_unref_many(struct cat_txn *, uint32_t domain, struct hash *hashes, size_t count) MUST_USE;

/* As object_unref_many(), for when the objects are garbage anyway: a chunk that nothing refers to any more is forgotten at once
 * (object_remove) instead of becoming loose. *objects and *bytes grow by what was. */
int object_drop_many(struct cat_txn *, uint32_t domain, struct hash *hashes, size_t count, uint64_t *objects, uint64_t *bytes) MUST_USE;

/* References in `domain` to objects that are known there or in the domain that each names: what `domain` does not know
 * it borrows. Else as object_ref_many(). */
int object_take_many(struct cat_txn *, uint32_t domain, struct object *, size_t count) MUST_USE;
int object_take(struct cat_txn *, uint32_t domain, const struct hash *, uint32_t lender) MUST_USE;

/* Loose objects, up to `max`, in key order after *cursor (32 bytes, zero to begin; updated). Answers how many. Only the 16 bytes of the
 * hash that the key holds are given (rest zero): enough for every function here. */
#define OBJECT_KEY_SIZE 20
struct loose {
	uint32_t domain;
	struct hash hash; /* 16 bytes of it */
	struct object_row row;
};
int object_loose(struct cat_txn *, uint8_t cursor[32], struct loose *ret, unsigned max) MUST_USE;

/* Forget a loose object: out of the index, its pack's live numbers fall; the lender gets its reference back. -EBUSY when it has references again. */
int object_remove(struct cat_txn *, uint32_t domain, const struct hash *) MUST_USE;

/* Those of the objects whose payer is among `from` (sorted, n_from of them) are paid for by disk `to` from now on. Hashes that are not known
 * are passed over. Answers how many there were. */
int object_claim_many(struct cat_txn *, uint32_t domain, const struct hash *hashes, size_t count, const uint64_t *from, size_t n_from,
		      uint64_t to) MUST_USE;

/* It lies elsewhere now (compaction). -ENOENT, or -ESTALE when it does not lie at `from` (somebody moved it). */
int object_move(struct cat_txn *, uint32_t domain, const struct hash *, const struct place *from, const struct place *to) MUST_USE;

/* All objects in key order after *cursor, up to max (for check). */
int object_each(struct cat_txn *, uint8_t cursor[32], struct loose *ret, unsigned max) MUST_USE;

#define PACK_NO_MAX (UINT32_MAX - 1)

struct pack_row {
	uint32_t no;
	uint32_t pool, domain;
	uint64_t bytes;       /* of the whole backend object */
	uint64_t live_bytes;  /* frames in the index */
	uint32_t live_count;
	uint8_t level;        /* 0: compressed as it came; else how hard it was compressed anew */
};
int pack_row_get(struct cat_txn *, uint32_t no, struct pack_row *ret) MUST_USE;
int pack_row_put(struct cat_txn *, const struct pack_row *) MUST_USE; /* also raises COUNTER_PACK */
int pack_row_remove(struct cat_txn *, uint32_t no) MUST_USE;
int pack_row_each(struct cat_txn *, uint32_t after, int (*each)(void *ctx, const struct pack_row *), void *ctx) MUST_USE;

/* Sum of all pack rows' bytes and live bytes, kept up to date (for df and .status). */
int pack_totals(struct cat_txn *, uint64_t *ret_bytes, uint64_t *ret_live, uint64_t *ret_packs, uint64_t *ret_objects) MUST_USE;

/* store/index.h over this table (a short read transaction per look-up, kept per thread if that is faster: lookups are hot). */
struct index object_index(struct catalog *);

#endif
