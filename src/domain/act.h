/* SPDX-License-Identifier: Apache-2.0 */
/* act: the frame that every act runs in (private to the domain). */
#ifndef IMAGEFS_DOMAIN_ACT_H
#define IMAGEFS_DOMAIN_ACT_H

#include "domain/tree.h"

#define ACT_EVENTS 32
#define ACT_DROPS 48 /* more than an image has: PURGED_MAX */

struct act {
	struct service *service;
	const struct who *who;
	const char *operation; /* for the log: "delete"; NULL: not logged */
	int (*fn)(struct cat_txn *, struct act *, struct error *);

	/* what is acted on: each act uses what it needs */
	uint64_t parent, node, to;
	const char *name, *new_name, *text;
	unsigned len;
	bool flag;
	int64_t time;
	uint64_t size;

	/* set by fn; cleared before each run of it */
	uint64_t result; /* node that came of it */
	bool not_logged; /* nothing worth a line in the log came of it */
	bool account_changed;
	int outcome;     /* for the log: it was carried out, and this is what came of it */
	uint32_t owner;  /* account it was done to; 0: the doer's own */
	char path[400], detail[300];
	uint64_t dropped[ACT_DROPS]; /* disks that are gone after the commit */
	struct {
		uint64_t node;
		char name[TRASH_NAME_MAX + 1]; /* "": the node itself changed */
		bool content;
		struct seers seers;
	} events[ACT_EVENTS];
	unsigned n_events;
};

/* Carry it out. */
int act_run(struct act *, struct error *err) MUST_USE;

/* For fn: tell the kernels of those that see it, after the commit, that a name / a node / a place on a shelf changed. What is hidden from
 * somebody by the change is told as what it was before. */
void act_entry_changed(struct act *, struct seers, uint64_t parent, const char *name);
void act_node_changed(struct act *, struct seers, uint64_t node, bool content);
void act_shelf_changed(struct act *, struct seers, const struct shelf *, const char *name);
void act_drop_disk(struct act *, uint64_t disk);

/* Tell them: act_run() does it; for what is committed in another frame. */
void act_tell(const struct act *);

/* A line in the log: act_run() writes one; for what is committed in another frame. */
int act_log(struct cat_txn *, const struct act *) MUST_USE;

/* For fn: take `key value` lines into a region or an account that is going to be put. -EINVAL with a sentence, -EPERM for a key that
 * is not for this person. */
struct account;
struct region;
int region_take(struct region *, const char *text, struct error *err) MUST_USE;
int account_take(struct cat_txn *, const struct who *, struct account *, const char *text, struct error *err) MUST_USE;

/* For fn: path for the log; the lines of `text` as the detail. */
void act_path_image(struct act *, struct cat_txn *, const struct image *);
void act_tell_text(struct act *);

/* For fn: this image leaves its name; the detail says which aliases lead nowhere now. */
int act_tell_aliases(struct act *, struct cat_txn *, const struct shelf *, const char *name) MUST_USE;

#endif
