/* SPDX-License-Identifier: Apache-2.0 */
/* tree_int: what the tree_*.c files share. */
#ifndef IMAGEFS_DOMAIN_TREE_INT_H
#define IMAGEFS_DOMAIN_TREE_INT_H

#include "domain/tree.h"

/* One question about one node, inside a read transaction. */
struct tree_ask {
	struct service *service;
	const struct who *who;
	struct cat_txn *txn;
	uint64_t node;
	struct error *err;
};

/* Attributes of a node: the only function that makes them, so that looking up a name, asking by number and listing a directory
 * tell the same. `rows` (may be NULL) has what the caller has read of it already, in this transaction; the rest is read. What may be seen is the
 * caller's question. */
struct tree_rows {
	const struct image *image;
	const struct region *region;
	const struct account *account;
	const struct share *share;
};
int tree_entry(const struct tree_ask *, uint64_t node, const struct tree_rows *rows, struct entry *ret) MUST_USE;

/* accounts/NAME: a directory, or of oneself a link to the root. */
uint64_t tree_account_node(const struct who *, const struct account *);

/* The node of from, image, owner, reviewed or replaced-by: -ENOENT where this image has no such file in this directory. `image`
 * without what its viewer may not see. */
int tree_computed(const struct image *, uint64_t dir, const char *name, uint64_t *ret) MUST_USE;

/* The text of a link whose reader may see it. */
struct buf;
int tree_link_text(const struct tree_ask *, uint64_t node, const struct tree_rows *, struct buf *ret) MUST_USE;

/* Of `owner` and `reviewed`. */
int tree_computed_text(const struct tree_ask *, const struct image *, unsigned slot, struct buf *ret) MUST_USE;

/* Shelves of type shared, and their links: tree_shared.c. */
int tree_list_shared(const struct tree_ask *, const struct shelf *, uint64_t cookie, tree_each each, void *ctx) MUST_USE;
int tree_lookup_shared(const struct tree_ask *, const struct shelf *, const char *name, struct entry *ret) MUST_USE;
int tree_may_see_link(const struct tree_ask *, struct share *ret) MUST_USE; /* -ESTALE: it is gone, or another one's */
uint32_t tree_link_generation(const struct share *);

/* Clears `from` unless the viewer owns the image, is an operator, or may see the origin: the name of what another account has means something
 * else in the viewer's tree, and is none of their business. Its owner knows what it was made of: the link stays, and says where that was. */
void tree_hide_lineage(const struct tree_ask *, struct image *);

/* What was made from a deprecated image has a link replaced-by, too: sets image.replaced_by of a row that is not going to be put. */
void tree_show_replacement(const struct tree_ask *, struct image *);

/* A link to a lineage that a program has just copied along, or that it saw in an image which it is deleting, is not there; but that
 * program goes on with it: sets its times, unlinks it. To that process, and no other, it resolves. */
void tree_mark_link(struct image *, uint32_t pid, const char *name); /* NULL: all that there were */
void tree_mark_terms(struct image *, uint32_t pid); /* the other way round: to the process that brought them, inherited terms are not there */
bool tree_link_marked(const struct image *, const char *name, uint32_t pid);

/* Lines of .status that are about money. */
int status_terms(const struct tree_ask *, const struct image *, struct buf *ret) MUST_USE;

/* .bills and .usage in a directory that is not a region; what is in .bills. `base` is the first of two cookies. */
bool tree_find_bills(const struct tree_ask *, const char *name, uint64_t *ret);
int tree_list_bills_dir(const struct tree_ask *, uint64_t cookie, uint64_t base, tree_each each, void *ctx) MUST_USE;
int tree_lookup_bill(const struct tree_ask *, const char *name, struct entry *ret) MUST_USE;
int tree_list_bills(const struct tree_ask *, uint64_t cookie, tree_each each, void *ctx) MUST_USE;
int tree_may_see_bills(const struct tree_ask *) MUST_USE;
int64_t tree_bill_time(uint64_t node); /* when this bill was closed; 0: it is none */
int tree_bills_text(const struct tree_ask *, struct buf *ret) MUST_USE;
int tree_usage_text(const struct tree_ask *, struct buf *ret) MUST_USE; /* of a root's or region's .usage */
void tree_bills_path(struct cat_txn *, uint64_t node, struct buf *ret);

/* Whose settings an .account file has. */
uint32_t tree_account_of(const struct who *, uint64_t node);

/* Whose policy a .policy file is: when read, what is in force; when written, what is set. */
void tree_policy_scope(const struct who *, uint64_t node, bool writing, uint32_t *ret_account, uint32_t *ret_region);

/* Does this directory have that generated file for this viewer? Does a region (or a cut-down one) show that type? */
bool tree_has_file(const struct who *, uint64_t dir, enum tree_file);
bool tree_may_write(const struct who *, uint64_t node); /* a generated file */
bool tree_place_shows(const struct who *, uint64_t place, enum image_type);

#endif
