/* SPDX-License-Identifier: Apache-2.0 */
/* image: images, instances and aliases: rows by number, by name and in listing order.
 *
 * A row's *shelf* is where it stands: account, region, type, and whether in the trash. Names are unique
 * on a shelf. public and marketplace shelves belong to account 0 (everybody), whoever owns the row.
 */
#ifndef IMAGEFS_CATALOG_IMAGE_H
#define IMAGEFS_CATALOG_IMAGE_H

#include "catalog/catalog.h"

#define IMAGE_NAME_MAX 160 /* bytes; 60 characters */
#define TRASH_NAME_MAX (IMAGE_NAME_MAX + 24)
#define IMAGE_ID_SIZE 20

enum image_type { TYPE_PUBLIC, TYPE_MARKETPLACE, TYPE_CUSTOM, TYPE_SHARED, TYPE_INSTANCE, TYPE_MAX_ };

enum image_kind { KIND_IMAGE, KIND_ALIAS };

enum image_state {
	STATE_PENDING, STATE_AVAILABLE, STATE_FAILED, STATE_SUBMITTED, STATE_REJECTED, STATE_DEPRECATED, STATE_TRASHED,
};

/* STALE: all bytes that brought them are gone; they stay, but those of other bytes take their place. */
enum { INHERITS_LICENSE = 1, INHERITS_PRICE = 2, INHERITS_STALE = 4, INHERITS_ALL = 7 };

struct shelf {
	uint32_t account; /* 0 for public and marketplace */
	uint32_t region;
	uint8_t type; /* enum image_type */
	bool trash;
};

static inline bool shelf_equal(const struct shelf *a, const struct shelf *b)
{
	return a->account == b->account && a->region == b->region && a->type == b->type && a->trash == b->trash;
}

struct image {
	uint64_t node; /* from COUNTER_NODE, never reused: the row's number, and what its inode numbers are made of */
	uint64_t id;   /* from COUNTER_NODE too: names the image through renames and the trash; shown as img-%08llx / ins-… */
	struct shelf shelf;
	char name[TRASH_NAME_MAX + 1];
	uint8_t kind;  /* enum image_kind */
	uint8_t state; /* enum image_state */
	uint8_t state_before_trash;
	bool is_protected;
	bool used;             /* sealed for good: read, copied, shared, started */
	bool published;        /* marketplace, public: visible to all */
	uint32_t owner;        /* account that pays */
	int64_t created, changed; /* ns, real time */
	int64_t last_used;
	int64_t trashed;       /* when; 0 */
	int64_t aging;         /* lived_now() (ledger_clock.h) when it came into the trash, or else was last changed; image_put() sees to it */
	uint64_t disk;         /* disk number; 0: has none yet */
	uint64_t from;         /* id of what it was made from; 0 */
	bool from_shared;      /* … which was, or came from, another account's custom image */
	uint8_t inherits;      /* INHERITS_…: settings that came with it and that its owner cannot change */
	uint32_t vendor;       /* account that is paid by its price; 0: it has none, or its owner set it */
	char from_text[240];   /* where that was, "region/type/name", when it was made */
	char target[TRASH_NAME_MAX + 1]; /* KIND_ALIAS, or replaced_by: name on the same shelf */
	uint64_t expect_size;  /* the `size` setting; 0: none */
	bool expect_sha;
	uint8_t expect_sha256[32];
	char upload[256];      /* file name under which its disk was last uploaded, "" */
	char reason[400];      /* why it failed or is still pending, a sentence; "" */
	char format[16];       /* "raw", … ; "" while unknown */
	bool incomplete;       /* pending, although its disk is whole: a submission that lacks settings */
	uint64_t replaced_by;  /* id of the image to be used instead; 0. Its name when that was said is in `target` */
	uint32_t maker_pid, maker_conn; /* public, marketplace, instances: the process that made it, and goes on to set its mode; 0: none does */
};

/* Rows. image_put inserts or changes one (by node) and keeps name and listing indexes in step; -EEXIST when the name is taken on
 * that shelf by another row. */
int image_get(struct cat_txn *, uint64_t node, struct image *ret) MUST_USE;                          /* -ENOENT */
int image_find(struct cat_txn *, const struct shelf *, const char *name, struct image *ret) MUST_USE; /* -ENOENT */
int image_by_id(struct cat_txn *, uint64_t id, struct image *ret) MUST_USE; /* -ENOENT; of several the highest node */
int image_put(struct cat_txn *, const struct image *) MUST_USE;
int image_remove(struct cat_txn *, uint64_t node) MUST_USE; /* settings too */

/* Those on a shelf with node > after, by node; each != 0 ends the walk and is returned. */
int image_each(struct cat_txn *, const struct shelf *, uint64_t after,
	       int (*each)(void *ctx, const struct image *), void *ctx) MUST_USE;
/* All rows of all shelves with node > after, by node. */
int image_each_all(struct cat_txn *, uint64_t after, int (*each)(void *ctx, const struct image *), void *ctx) MUST_USE;
int image_count(struct cat_txn *, const struct shelf *, uint64_t *ret) MUST_USE; /* kept, not counted; without aliases */
int image_count_aliases(struct cat_txn *, const struct shelf *, uint64_t *ret) MUST_USE; /* at most as many as there are: older ones are not counted */

/* What was made from image `id` (lineage): walks ids of rows whose `from` is it, > after. */
int image_each_child(struct cat_txn *, uint64_t id, uint64_t after, int (*each)(void *ctx, uint64_t node), void *ctx) MUST_USE;

/* Settings: small texts by key (1-255; domain/settings.h gives them meaning). At most SETTING_MAX bytes.
 * setting_get: -ERANGE when it is longer than `room`; a NUL follows it when there is room for one. */
#define SETTING_MAX 1800
int setting_get(struct cat_txn *, uint64_t node, uint8_t key, char *ret, unsigned room, unsigned *ret_len) MUST_USE; /* -ENOENT */
int setting_put(struct cat_txn *, uint64_t node, uint8_t key, const char *value, unsigned len) MUST_USE;
/* When it was written (setting_put), or what was said then (setting_set_time); 0: a version that kept no times wrote it. */
int setting_time(struct cat_txn *, uint64_t node, uint8_t key, int64_t *ret) MUST_USE;         /* -ENOENT */
int setting_set_time(struct cat_txn *, uint64_t node, uint8_t key, int64_t time) MUST_USE; /* -ENOENT */
int setting_remove(struct cat_txn *, uint64_t node, uint8_t key) MUST_USE; /* -ENOENT */
int setting_each(struct cat_txn *, uint64_t node, int (*each)(void *ctx, uint8_t key, const char *value, unsigned len), void *ctx) MUST_USE;
int setting_copy_all(struct cat_txn *, uint64_t from_node, uint64_t to_node) MUST_USE;

#endif
