/* SPDX-License-Identifier: Apache-2.0 */
/* links: symlinks in the directory of an instance or an image that do not mean anything yet: ln -sf makes one of another name
 * and renames it to the one that is meant. They are in no listing, but can be looked up, renamed and removed. */
#ifndef IMAGEFS_DOMAIN_LINKS_H
#define IMAGEFS_DOMAIN_LINKS_H

#include "domain/act.h"

/* Keep the link a->name with the text a->text; its node is the result. */
int link_keep(struct cat_txn *, struct act *, const struct image *, struct error *err) MUST_USE;

/* The kept link of this name: its key (0: none) and text. */
uint8_t link_find(struct cat_txn *, uint64_t node, const char *name, char ret_text[1024]);
int link_text(struct cat_txn *, uint64_t node, uint8_t key, char ret_text[1024]) MUST_USE;

#endif
