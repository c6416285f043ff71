/* SPDX-License-Identifier: Apache-2.0 */
/* tree: what there is: names, attributes, listings, links and generated files, as one account sees them. Reading only;
 * acts.h changes things. Every call makes one short read transaction.
 *
 * A node that was there and is not any more is -ESTALE to lookup, attr, list and readlink: on that the kernel walks the path once more,
 * without what it had cached. */
#ifndef IMAGEFS_DOMAIN_TREE_H
#define IMAGEFS_DOMAIN_TREE_H

#include <sys/stat.h>

#include "domain/node.h"
#include "domain/service.h"
#include "domain/settings.h"
#include "domain/who.h"

struct entry {
	uint64_t node;
	mode_t mode;
	uint64_t size;
	uint64_t stored; /* bytes it takes: st_blocks */
	int64_t mtime, ctime;
	uint32_t generation; /* a number that comes back as something new has another one: the kernel remembers that a directory was
			      * removed for as long as anything in it is open. 0: numbers do not come back */
	bool fleeting; /* name and attributes may change at any moment: timeout 0 */
};

/* Which shelf a directory node stands for, to this viewer. false: it is none. */
bool tree_shelf(const struct who *, uint64_t node, struct shelf *ret);

/* Node of the directory that shows a shelf to its own account. */
uint64_t tree_shelf_node(const struct shelf *);

int tree_lookup(struct service *, const struct who *, uint64_t parent, const char *name, struct entry *ret,
		struct error *err) MUST_USE;
int tree_attr(struct service *, const struct who *, uint64_t node, struct entry *ret, struct error *err) MUST_USE;

/* Entries after `cookie` (0: from the start), in a stable order; each != 0 ends the walk (that entry is not consumed). `cookie` given to each is
 * that of its entry. "." and ".." are not among them. */
typedef int (*tree_each)(void *ctx, const char *name, const struct entry *, uint64_t cookie);
int tree_list(struct service *, const struct who *, uint64_t dir, uint64_t cookie, tree_each each, void *ctx,
	      struct error *err) MUST_USE;

/* Text of a symlink. */
int tree_readlink(struct service *, const struct who *, uint64_t node, char ret[1024], struct error *err) MUST_USE;

/* Where a node is in somebody's view, for people: "ap-beijing/custom/web/disk". Never fails: "?" if it is nowhere. */
struct buf;
void tree_path(struct service *, const struct who *, uint64_t node, struct buf *ret);
void image_path(struct cat_txn *, const struct image *, struct buf *ret);

/* … in the view of somebody: "ap-beijing/shared/web@alice", "accounts/bob/ap-beijing/custom/web". */
void image_path_for(struct cat_txn *, const struct who *, const struct image *, struct buf *ret);

/* The image row that a node is in (its directory, a setting, its disk) and, for disks, whether it is the image's own or one that is being
 * uploaded. -ENOENT when there is none, or when it may not be seen. */
struct tree_disk {
	struct image image;
	struct disk_row row;
	bool is_main; /* it is image.disk */
};
int tree_image(struct service *, const struct who *, uint64_t node, struct image *ret, struct error *err) MUST_USE;
int tree_disk(struct service *, const struct who *, uint64_t node, struct tree_disk *ret, struct error *err) MUST_USE;

/* Name under which the image's disk shows at the moment ("disk", or that of an upload that has not succeeded), "" if it has none. */
const char *image_disk_name(const struct image *);

/* Is its disk whole: neither pending nor failed, nor was so when it came into the trash? */
bool image_is_settled(const struct image *);

/* Generated files (all but .why): their whole text. */
int tree_file_text(struct service *, const struct who *, uint64_t node, struct buf *ret, struct error *err) MUST_USE;

/* May they write this .policy, .region or .account at all? Which of its keys, act_configure() knows. */
int tree_may_configure(const struct who *, uint64_t node, struct error *err) MUST_USE;

/* A setting's value; nothing if it has none. */
int tree_setting_text(struct service *, const struct who *, uint64_t node, struct buf *ret, struct error *err) MUST_USE;

/* `key: value` lines of an image (.status), and one key of them for xattrs: values joined by newlines, -ENODATA if absent. */
int status_text(struct service *, const struct who *, const struct image *, struct buf *ret, struct error *err) MUST_USE;
int status_key(struct service *, const struct who *, const struct image *, const char *key, struct buf *ret,
	       struct error *err) MUST_USE;

/* What a generated file is called, and which one a name is (-1: none) in a directory of this kind. */
const char *tree_file_name(enum tree_file);
int tree_file_by_name(const char *name);

/* The generated file of a region that a program which restores it means by this name: its own, or one under which rsync writes it at first
 * (".list.aB3dEf"). false: none. */
bool tree_restored_file(const struct who *, uint64_t dir, const char *name, uint64_t *ret);

/* Does everybody open it for writing, as restores do? What it takes of whom is act_bring()'s to say. */
bool tree_is_brought(uint64_t node);

/* Find the row of an upload's name in an image directory: the disk number, or 0. */
uint64_t scratch_find(struct cat_txn *, uint64_t image_node, const char *name, uint8_t *ret_key);

#endif
