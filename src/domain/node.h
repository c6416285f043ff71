/* SPDX-License-Identifier: Apache-2.0 */
/* node: inode numbers, which are numbers with meaning: they are made of catalog numbers that are never reused, so they
 * survive a restart and nothing about them has to be remembered.
 *
 *     bits 56-59  kind      bits 8-55  number of the thing      bits 0-7  slot: which file of it
 *
 * NODE_DISK is above NODE_IMAGE: a disk sorts after its settings, which is what GNU cp copies by.
 */
#ifndef IMAGEFS_DOMAIN_NODE_H
#define IMAGEFS_DOMAIN_NODE_H

#include <stdbool.h>
#include <stdint.h>

enum node_kind {
	NODE_FIXED = 0,   /* slot 1: the root (FUSE_ROOT_ID); 2: accounts/; files of the root */
	NODE_REGION = 1,  /* number: region. The viewer's own part of it */
	NODE_ACCOUNT = 2, /* number: account. accounts/NAME */
	NODE_PLACE = 3,   /* number: account << 16 | region. accounts/NAME/REGION */
	NODE_IMAGE = 4,   /* number: image row. The directory (slot 0) and its files; an alias itself */
	NODE_DISK = 5,    /* number: disk. slot is always 0xff */
	NODE_SHARED = 6,  /* number: image row. The directory of a received image: the kernel wants one path for each, and an operator
			   * may see the same image in its owner's place too. Its files are those of NODE_IMAGE */
	NODE_LINK = 7,    /* number: share. The link in accounts/NAME/REGION/shared */
	NODE_BILLS = 8,   /* number: account (0: all) << 16 | month. .bills, a bill, .usage of an account */
};

enum node_slot {
	SLOT_DIR = 0,
	SLOT_ROOT = 1,
	SLOT_ACCOUNTS = 2,
	SLOT_SELF = 1,        /* NODE_ACCOUNT: the symlink to the own view */
	SLOT_TYPE = 1,        /* + enum image_type: R/custom … */
	SLOT_TRASH = 6,       /* R/.trash */
	SLOT_TRASH_TYPE = 8,  /* + enum image_type: R/.trash/custom */
	SLOT_BILL = 1,        /* NODE_BILLS: of a month */
	SLOT_BILLS_USAGE = 2, /* NODE_BILLS */
	SLOT_FILE = 32,       /* + enum tree_file, in directories */
	SLOT_KEPT_LINK = 100, /* + 0…7: links in an instance that are not called image yet */
	SLOT_LINK = 120,      /* NODE_IMAGE: from, or image of an instance */
	SLOT_OWNER = 121,
	SLOT_REVIEWED = 122,
	SLOT_REPLACED = 123,
	SLOT_IMAGE_FILE = 128, /* + enum tree_file, in images. 1-100 are settings */
	SLOT_DISK = 255,
};

/* Files that are made when they are read. */
enum tree_file {
	FILE_STATUS, FILE_LIST, FILE_WHY, FILE_USAGE, FILE_LOG, FILE_METRICS, FILE_POLICY, FILE_REGION, FILE_ACCOUNT,
	FILE_MAX_,
};

#define ROOT_NODE 1u

static inline uint64_t node_make(enum node_kind kind, uint64_t number, unsigned slot)
{
	return (uint64_t)kind << 56 | number << 8 | slot;
}
static inline enum node_kind node_kind(uint64_t node) { return (enum node_kind)(node >> 56); }
static inline uint64_t node_number(uint64_t node) { return node >> 8 & 0xffffffffffff; }
static inline unsigned node_slot(uint64_t node) { return node & 0xff; }

/* Another file of the same thing. */
static inline uint64_t node_beside(uint64_t node, unsigned slot) { return (node & ~(uint64_t)0xff) | slot; }

static inline uint64_t node_disk(uint64_t disk) { return node_make(NODE_DISK, disk, SLOT_DISK); }
static inline uint64_t node_image(uint64_t number, unsigned slot) { return node_make(NODE_IMAGE, number, slot); }
static inline uint64_t node_shared(uint64_t image) { return node_make(NODE_SHARED, image, SLOT_DIR); }

/* In an image: its directory, in whichever view, or a file in it other than the disk. */
static inline bool node_is_in_image(uint64_t node) { return node_kind(node) == NODE_IMAGE || node_kind(node) == NODE_SHARED; }

#endif
