/* SPDX-License-Identifier: Apache-2.0 */
/* status: what there is to know of an image: .status and the extended attributes user.imagefs.KEY. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "catalog/account.h"
#include "catalog/hurt_tab.h"
#include "catalog/object_tab.h"
#include "catalog/share_tab.h"
#include "domain/rights.h"
#include "domain/disks.h"
#include "domain/names.h"
#include "domain/replace.h"
#include "domain/tree_int.h"
#include "domain/upload.h"

struct uses {
	const struct tree_ask *ask;
	const struct image *image;
	struct buf *text;
	unsigned shown;
	uint64_t anothers; /* instances that receivers made */
};

#define USES_SHOWN 100u /* of each kind; the rest is counted */

static int add_alias(void *ctx, const struct image *row)
{
	struct uses *u = ctx;
	if (row->kind != KIND_ALIAS || strcmp(row->target, u->image->name) || may(u->ask->txn, u->ask->who, MAY_SEE, NULL, row, NULL))
		return 0;
	buf_addf(u->text, "use: alias ");
	image_path_for(u->ask->txn, u->ask->who, row, u->text);
	buf_adds(u->text, "\n");
	return ++u->shown >= USES_SHOWN;
}

static int add_child(void *ctx, uint64_t node)
{
	struct uses *u = ctx;
	struct image row;
	if (image_get(u->ask->txn, node, &row))
		return 0;
	u->anothers += row.owner != u->image->owner && row.shelf.type == TYPE_INSTANCE;
	if (may(u->ask->txn, u->ask->who, MAY_SEE, NULL, &row, NULL))
		return 0;
	buf_addf(u->text, "use: %s ", row.shelf.type == TYPE_INSTANCE ? "instance" : "image");
	image_path_for(u->ask->txn, u->ask->who, &row, u->text);
	buf_adds(u->text, "\n");
	return ++u->shown >= USES_SHOWN;
}

static int add_uses(const struct tree_ask *a, const struct image *i, struct buf *text)
{
	struct uses u = { .ask = a, .image = i, .text = text };
	bool anothers = i->shelf.type == TYPE_CUSTOM && (i->owner == a->who->account || a->who->is_operator);
	int r = i->shelf.trash ? 0 : image_each(a->txn, &i->shelf, 0, add_alias, &u);
	u.shown = 0;
	if (r >= 0)
		r = image_each_child(a->txn, i->id, 0, add_child, &u);
	if (anothers && u.anothers)
		buf_addf(text, "use: %" PRIu64 " instances of receivers\n", u.anothers);
	return r < 0 ? r : 0;
}

static void add_time(struct buf *text, const char *key, int64_t ns)
{
	char t[TIME_TEXT_SIZE];
	if (ns)
		buf_addf(text, "%s: %s\n", key, time_text(ns, t));
}

static void add_trouble(struct disk *disk, struct buf *text)
{
	struct error err;
	if (disk_trouble(disk, &err))
		buf_addf(text, "trouble: %s\n", err.text);
}

static void add_progress(const struct tree_ask *a, const struct image *i, struct buf *text)
{
	struct disk *disk;
	uint64_t done, todo;
	if (disks_get(a->service->disks, i->disk, &disk, NULL))
		return;
	disk_progress(disk, &done, &todo);
	buf_addf(text, "received: %" PRIu64 "\n", disk_size(disk));
	buf_addf(text, "unfolded: %" PRIu64 "\n", disk_overlay_bytes(disk));
	if (i->expect_size)
		buf_addf(text, "progress: %u%%\n", (unsigned)(disk_size(disk) * 100 / i->expect_size));
	add_trouble(disk, text);
	disks_put(a->service->disks, &disk);
}

/* Bytes that nothing else refers to: what deleting it would free. What lies below a shared node is shared. What is borrowed is
 * the lender's: whether anybody else still has it is none of the borrower's business. A disk of which more than
 * ALONE_MAX objects would have to be looked at is not looked at for each reading of .status. */
#define ALONE_MAX 200000u

struct alone {
	const struct tree_ask *ask;
	uint64_t bytes;
	unsigned looked;
};

static int add_if_alone(void *ctx, enum object_kind kind, const struct object *o, uint64_t chunk)
{
	struct alone *s = ctx;
	struct object_row row;
	(void)kind, (void)chunk;
	if (++s->looked > ALONE_MAX)
		return -EFBIG;
	if (object_get(s->ask->txn, o->domain, &o->hash, &row) || row.refs > 1 || row.lender)
		return 1; /* its kids are not alone either */
	s->bytes += row.place.length;
	return 0;
}

static void add_alone(const struct tree_ask *a, const struct disk_row *row, struct buf *text)
{
	struct alone s = { .ask = a };
	struct error ignored;
	if (hash_is_none(&row->root.hash) || map_walk(a->service->store, row->domain, &row->root, add_if_alone, &s, &ignored) == 0)
		buf_addf(text, "stored-alone: %" PRIu64 "\n", s.bytes);
}

/* What was written to an instance and is not compressed yet, and its size by now. */
static void look_at_running(const struct tree_ask *a, const struct image *i, uint64_t *ret_size, uint64_t *ret_unfolded, struct buf *text)
{
	struct disk *disk;
	if (disks_get(a->service->disks, i->disk, &disk, NULL))
		return;
	*ret_size = disk_size(disk);
	*ret_unfolded = disk_overlay_bytes(disk);
	add_trouble(disk, text);
	disks_put(a->service->disks, &disk);
}

static int add_damage(const struct tree_ask *a, uint64_t disk, struct buf *text)
{
	struct hurt hurt;
	char t[TIME_TEXT_SIZE];
	int r = hurt_get(a->txn, disk, &hurt);
	if (r == 0)
		buf_addf(text, "damaged: at byte %" PRIu64 ", found %s; upload the same image again, under any name, and it is healed\n",
			 hurt.offset, time_text(hurt.found, t));
	return r == -ENOENT ? 0 : r;
}

static bool is_empty(const struct tree_ask *a, const struct image *i)
{
	struct disk *disk;
	if (!i->disk || disks_get(a->service->disks, i->disk, &disk, NULL))
		return false;
	bool empty = disk_size(disk) == 0;
	disks_put(a->service->disks, &disk);
	return empty;
}

static int add_disk(const struct tree_ask *a, const struct image *i, struct buf *text)
{
	struct disk_row row;
	char hex[HASH_HEX_SIZE];
	int r = disk_row_get(a->txn, i->disk, &row);
	if (r)
		return r;
	if (i->format[0])
		buf_addf(text, "format: %s\n", i->format);
	if (i->state == STATE_PENDING || i->state == STATE_FAILED) {
		add_progress(a, i, text);
		return 0;
	}
	uint64_t size = row.size, unfolded = 0;
	if (i->shelf.type == TYPE_INSTANCE)
		look_at_running(a, i, &size, &unfolded, text);
	buf_addf(text, "virtual: %" PRIu64 "\nstored: %" PRIu64 "\n", size, row.stored);
	if (may(a->txn, a->who, MAY_READ, NULL, i, NULL) == 0)
		add_alone(a, &row, text);
	if (i->shelf.type == TYPE_INSTANCE)
		buf_addf(text, "unfolded: %" PRIu64 "\n", unfolded);
	if (!unfolded)
		buf_addf(text, "digest: %s\n", hash_hex(&row.root.hash, hex));
	if (row.has_sha)
		buf_addf(text, "sha256: %s\n", hash_hex(&row.sha256, hex));
	return add_damage(a, row.no, text);
}

static int add_receiver(void *ctx, const struct share *s)
{
	struct uses *u = ctx;
	struct account receiver;
	if (account_get(u->ask->txn, s->receiver, &receiver) == 0)
		buf_addf(u->text, "shared-with: %s\n", receiver.name);
	return 0;
}

/* An image that is deprecated, or an instance of one. */
static void add_replacement(const struct tree_ask *a, const struct image *i, struct buf *text)
{
	AUTO_BUF struct buf path = BUF_INIT, old = BUF_INIT;
	struct image origin;
	bool instance = i->shelf.type == TYPE_INSTANCE;
	if (instance ? replace_origin(a->txn, a->who, i, &origin) != 0 : !i->replaced_by || i->shelf.trash)
		return;
	bool there = replace_path(a->txn, a->who, instance ? &origin : i, &path);
	if (!instance) {
		buf_addf(text, "replaced-by: %s%s\n", path.data, there ? "" : " (gone)");
		return;
	}
	image_path_for(a->txn, a->who, &origin, &old);
	buf_addf(text, "notice: %s is deprecated; %s %s\n", old.data, there ? "use" : "what replaced it is gone:", path.data);
}

/* Who gets what from whom is told to the one who gives it, and to operators; the receiver is told from whom it is. */
static int add_shares(const struct tree_ask *a, const struct image *i, struct buf *text)
{
	struct uses u = { .ask = a, .image = i, .text = text };
	if (i->shelf.type == TYPE_PUBLIC || i->shelf.type == TYPE_MARKETPLACE)
		buf_addf(text, "reviewed: %s\n", i->published ? "yes" : "no");
	if (i->shelf.type != TYPE_CUSTOM || i->shelf.trash)
		return 0;
	if (i->owner == a->who->account || a->who->is_operator)
		return share_each_of(a->txn, i->node, add_receiver, &u);
	buf_adds(text, "reviewed: no\n");
	return 0;
}

static bool is_common(const struct image *i) { return i->shelf.type == TYPE_PUBLIC || i->shelf.type == TYPE_MARKETPLACE; }

static int add_all(const struct tree_ask *a, const struct image *i, struct buf *text)
{
	char id[ID_TEXT_SIZE];
	struct account owner;
	buf_addf(text, "id: %s\nstate: %s\n", id_text(i, id), state_name((enum image_state)i->state));
	if (i->reason[0])
		buf_addf(text, "reason: %s\n", i->reason);
	else if (i->state == STATE_PENDING && is_empty(a, i))
		buf_addf(text, "reason: %s\n", UPLOAD_IS_EMPTY);
	/* Whether others have used yet what is published is theirs to know: to whoever does not operate it never changes. */
	bool sealed = i->used || (is_common(i) && i->published && !a->who->is_operator);
	buf_addf(text, "protected: %s\nsealed: %s\n", i->is_protected ? "yes" : "no", sealed ? "yes" : "no");
	int r = i->disk ? add_disk(a, i, text) : 0;
	if (r)
		return r;
	add_time(text, "created", i->created);
	add_time(text, "changed", i->changed);
	if (a->who->is_operator || (i->owner == a->who->account && !is_common(i)))
		add_time(text, "last-used", i->last_used);
	add_time(text, "trashed", i->trashed);
	if (account_get(a->txn, i->owner, &owner) == 0)
		buf_addf(text, "owner: %s\n", owner.name);
	struct image shown = *i;
	tree_hide_lineage(a, &shown);
	if (shown.from)
		buf_addf(text, "from: %s\n", shown.from_text);
	add_replacement(a, &shown, text);
	r = status_terms(a, i, text);
	if (!r)
		r = add_shares(a, i, text);
	return r ? r : add_uses(a, i, text);
}

int status_text(struct service *s, const struct who *w, const struct image *i, struct buf *ret, struct error *err)
{
	struct tree_ask a = { s, w, NULL, node_image(i->node, SLOT_DIR), err };
	int r = cat_begin(s->catalog, &a.txn, err);
	if (r)
		return r;
	r = add_all(&a, i, ret);
	cat_end(&a.txn);
	return r ? fail(err, r, "the status of %s cannot be read (%s)", i->name, err_name(r)) : 0;
}

int status_key(struct service *s, const struct who *w, const struct image *i, const char *key, struct buf *ret,
	       struct error *err)
{
	AUTO_BUF struct buf text = BUF_INIT;
	size_t n = strlen(key);
	bool found = false;
	int r = status_text(s, w, i, &text, err);
	if (r)
		return r;
	for (char *line = text.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		if (strncmp(line, key, n) || line[n] != ':')
			continue;
		if (found)
			buf_adds(ret, "\n");
		buf_add(ret, line + n + 2, (size_t)(end - line) - n - 2);
		found = true;
	}
	return found ? 0 : -ENODATA;
}
