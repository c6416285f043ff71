/* SPDX-License-Identifier: Apache-2.0 */
/* tree: lookup. Attributes are in tree_attr.c, listings in tree_list.c, paths and links in tree_path.c. */
#include "domain/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "catalog/account.h"
#include "domain/rights.h"
#include "domain/disks.h"
#include "domain/ledger.h"
#include "domain/links.h"
#include "domain/market.h"
#include "domain/names.h"
#include "domain/price.h"
#include "domain/tree_int.h"

static const char *const file_names[FILE_MAX_] = {
	[FILE_STATUS] = ".status", [FILE_LIST] = ".list", [FILE_WHY] = ".why", [FILE_USAGE] = ".usage", [FILE_LOG] = ".log",
	[FILE_METRICS] = ".metrics", [FILE_POLICY] = ".policy", [FILE_REGION] = ".region", [FILE_ACCOUNT] = ".account",
};

const char *tree_file_name(enum tree_file f) { return f < FILE_MAX_ ? file_names[f] : "?"; }

int tree_file_by_name(const char *name)
{
	for (int f = 0; f < FILE_MAX_; f++)
		if (strcmp(name, file_names[f]) == 0)
			return f;
	return -1;
}

/* ---- which directory is what ---------------------------------------------------------------- */

bool tree_shelf(const struct who *w, uint64_t node, struct shelf *ret)
{
	enum node_kind kind = node_kind(node);
	unsigned slot = node_slot(node);
	struct shelf s = { .account = w->account };
	if (kind == NODE_PLACE)
		s.account = (uint32_t)(node_number(node) >> 16);
	else if (kind != NODE_REGION)
		return false;
	s.region = kind == NODE_PLACE ? node_number(node) & 0xffff : (uint32_t)node_number(node);
	s.trash = slot >= SLOT_TRASH_TYPE;
	unsigned first = s.trash ? SLOT_TRASH_TYPE : SLOT_TYPE;
	if (slot < first || slot >= first + TYPE_MAX_)
		return false;
	s.type = (uint8_t)(slot - first);
	if (!s.trash && (s.type == TYPE_PUBLIC || s.type == TYPE_MARKETPLACE))
		s.account = 0;
	*ret = s;
	return true;
}

uint64_t tree_shelf_node(const struct shelf *s)
{
	return node_make(NODE_REGION, s->region, (s->trash ? SLOT_TRASH_TYPE : SLOT_TYPE) + s->type);
}

bool tree_has_file(const struct who *w, uint64_t dir, enum tree_file f)
{
	bool own = node_kind(dir) == NODE_FIXED || node_kind(dir) == NODE_REGION;
	switch (node_kind(dir)) {
	case NODE_FIXED:
		if (dir != ROOT_NODE)
			return false;
		if (f == FILE_METRICS)
			return w->is_operator;
		return f == FILE_LIST || f == FILE_WHY || f == FILE_USAGE || f == FILE_LOG || f == FILE_POLICY ||
		       f == FILE_ACCOUNT;
	case NODE_REGION:
		return node_slot(dir) == SLOT_DIR && own && (f == FILE_LIST || f == FILE_POLICY || f == FILE_REGION || f == FILE_USAGE);
	case NODE_ACCOUNT:
		return node_slot(dir) == SLOT_DIR && (f == FILE_ACCOUNT || f == FILE_POLICY) && w->is_operator;
	case NODE_PLACE:
		return node_slot(dir) == SLOT_DIR && f == FILE_POLICY && w->is_operator;
	default:
		return false;
	}
}

static int by_first_name(const char *name)
{
	const char *suffix = strrchr(name, '.');
	char first[16];
	if (!suffix || strlen(suffix) != 7 || (size_t)(suffix - name) >= sizeof first)
		return -1;
	snprintf(first, sizeof first, "%.*s", (int)(suffix - name), name);
	return tree_file_by_name(first);
}

bool tree_restored_file(const struct who *w, uint64_t dir, const char *name, uint64_t *ret)
{
	int f = tree_file_by_name(name);
	if (f < 0)
		f = by_first_name(name);
	if (f < 0 || node_kind(dir) != NODE_REGION || !tree_has_file(w, dir, (enum tree_file)f))
		return false;
	*ret = node_beside(dir, SLOT_FILE + (unsigned)f);
	return true;
}

int tree_may_configure(const struct who *w, uint64_t node, struct error *err)
{
	bool own_account = node_kind(node) == NODE_FIXED && node_slot(node) == SLOT_FILE + FILE_ACCOUNT;
	return decide(w, own_account ? MAY_ACCEPT : MAY_MANAGE, NULL, err);
}

bool tree_is_brought(uint64_t node)
{
	unsigned f = node_slot(node) - SLOT_FILE;
	return node_kind(node) == NODE_REGION && (f == FILE_LIST || f == FILE_USAGE || f == FILE_POLICY || f == FILE_REGION);
}

bool tree_may_write(const struct who *w, uint64_t node)
{
	unsigned f = node_slot(node) - SLOT_FILE;
	return (f == FILE_POLICY || f == FILE_REGION || f == FILE_ACCOUNT) && tree_may_configure(w, node, NULL) == 0;
}

const char *image_disk_name(const struct image *i)
{
	if (!i->disk)
		return "";
	return (i->state == STATE_PENDING || i->state == STATE_FAILED) && i->upload[0] ? i->upload : "disk";
}

bool image_is_settled(const struct image *i)
{
	enum image_state s = i->state == STATE_TRASHED ? i->state_before_trash : i->state;
	return s != STATE_PENDING && s != STATE_FAILED;
}

/* ---- lookup ---------------------------------------------------------------------------------- */

static int lookup_region(struct cat_txn *txn, const char *name, struct region *ret, struct error *err)
{
	int r = region_find(txn, name, ret);
	return r ? fail(err, r, "there is no region %s", name) : 0;
}

static int lookup_root(const struct tree_ask *a, const char *name, struct entry *ret)
{
	struct region region;
	if (strcmp(name, "accounts") == 0)
		return tree_entry(a, node_make(NODE_FIXED, 0, SLOT_ACCOUNTS), NULL, ret);
	int r = lookup_region(a->txn, name, &region, a->err);
	return r ? r : tree_entry(a, node_make(NODE_REGION, region.no, SLOT_DIR), &(struct tree_rows){ .region = &region }, ret);
}

static int lookup_account(const struct tree_ask *a, const char *name, struct entry *ret)
{
	struct account account;
	int r = account_find(a->txn, name, &account);
	if (r)
		return fail(a->err, r, "there is no account %s", name);
	return tree_entry(a, tree_account_node(a->who, &account), &(struct tree_rows){ .account = &account }, ret);
}

static int lookup_account_region(const struct tree_ask *a, const char *name, struct entry *ret)
{
	struct region region;
	int r = lookup_region(a->txn, name, &region, a->err);
	return r ? r : tree_entry(a, node_make(NODE_PLACE, node_number(a->node) << 16 | region.no, SLOT_DIR),
				  &(struct tree_rows){ .region = &region }, ret);
}

bool tree_place_shows(const struct who *w, uint64_t place, enum image_type type)
{
	if (node_kind(place) == NODE_REGION)
		return true;
	return type == TYPE_SHARED || (w->is_operator && (type == TYPE_CUSTOM || type == TYPE_INSTANCE));
}

static int lookup_type(const struct tree_ask *a, const char *name, struct entry *ret)
{
	int type = type_by_name(name);
	bool top = node_slot(a->node) == SLOT_DIR;
	if (top && strcmp(name, ".trash") == 0 && (node_kind(a->node) == NODE_REGION || a->who->is_operator))
		return tree_entry(a, node_beside(a->node, SLOT_TRASH), NULL, ret);
	if (type < 0 || (top && !tree_place_shows(a->who, a->node, (enum image_type)type)) ||
	    (!top && (type == TYPE_SHARED)))
		return fail(a->err, -ENOENT, "there is nothing called %s here", name);
	return tree_entry(a, node_beside(a->node, (top ? SLOT_TYPE : SLOT_TRASH_TYPE) + (unsigned)type), NULL, ret);
}

static int lookup_on_shelf(const struct tree_ask *a, const struct shelf *shelf, const char *name, struct entry *ret)
{
	struct image image;
	int r = may(a->txn, a->who, MAY_LIST, shelf, NULL, a->err);
	if (!r && shelf->type == TYPE_SHARED)
		return tree_lookup_shared(a, shelf, name, ret);
	if (!r)
		r = image_find(a->txn, shelf, name, &image);
	if (!r)
		r = may(a->txn, a->who, MAY_SEE, shelf, &image, a->err);
	if (r)
		return r == -ENOENT ? fail(a->err, r, "there is nothing called %s here", name) : r;
	return tree_entry(a, node_image(image.node, SLOT_DIR), &(struct tree_rows){ .image = &image }, ret);
}

struct scratch_search {
	const char *name;
	uint64_t disk;
	uint8_t key;
};

static int match_scratch(void *ctx, uint8_t key, const char *value, unsigned len)
{
	struct scratch_search *s = ctx;
	if (key < SET_SCRATCH || key > SET_SCRATCH_MAX || len < 8 || strlen(s->name) != len - 8 ||
	    memcmp(value + 8, s->name, len - 8))
		return 0;
	s->disk = get_le64(value);
	s->key = key;
	return 1;
}

uint64_t scratch_find(struct cat_txn *txn, uint64_t image_node, const char *name, uint8_t *ret_key)
{
	struct scratch_search s = { .name = name };
	if (setting_each(txn, image_node, match_scratch, &s) != 1)
		return 0;
	if (ret_key)
		*ret_key = s.key;
	return s.disk;
}

int tree_computed(const struct image *i, uint64_t dir, const char *name, uint64_t *ret)
{
	bool instance = i->shelf.type == TYPE_INSTANCE;
	if (strcmp(name, instance ? "image" : "from") == 0 && i->from && i->disk && (instance || image_is_settled(i))) {
		*ret = node_image(i->node, SLOT_LINK);
		return 0;
	}
	bool anothers = i->shelf.type == TYPE_PUBLIC || i->shelf.type == TYPE_MARKETPLACE || node_kind(dir) == NODE_SHARED;
	/* Not while a copying program fills it, and makes these too; but still while one removes it that has seen them. */
	bool is_filled = i->trashed || (i->disk && image_is_settled(i));
	if (anothers && is_filled && (strcmp(name, "owner") == 0 || strcmp(name, "reviewed") == 0)) {
		*ret = node_image(i->node, name[0] == 'o' ? SLOT_OWNER : SLOT_REVIEWED);
		return 0;
	}
	if (i->replaced_by && !i->shelf.trash && strcmp(name, "replaced-by") == 0) {
		*ret = node_image(i->node, SLOT_REPLACED);
		return 0;
	}
	return -ENOENT;
}

/* The text beside a lineage that there is none of has nothing else to say: "@PID", and the names, when these are not all. */
void tree_mark_link(struct image *i, uint32_t pid, const char *name)
{
	char mark[16];
	int n = snprintf(mark, sizeof mark, "@%u", pid);
	if (i->from)
		return;
	size_t len = strncmp(i->from_text, mark, (size_t)n) == 0 && i->from_text[n] == ' ' && name ? strlen(i->from_text) : 0;
	snprintf(i->from_text + len, sizeof i->from_text - len, "%s%s%s", len ? "" : mark, name ? " " : "", name ? name : "");
}

void tree_mark_terms(struct image *i, uint32_t pid)
{
	if (!i->from)
		snprintf(i->from_text, sizeof i->from_text, "%%%u", pid);
}

bool tree_link_marked(const struct image *i, const char *name, uint32_t pid)
{
	char *names;
	size_t n = strlen(name);
	if (i->from || i->from_text[0] != '@' || strtoul(i->from_text + 1, &names, 10) != pid)
		return false;
	if (!*names)
		return strcmp(name, "from") == 0 || strcmp(name, "image") == 0 || strcmp(name, "replaced-by") == 0;
	for (const char *p = names; (p = strstr(p, name)); p += n)
		if (p[-1] == ' ' && (p[n] == ' ' || !p[n]))
			return true;
	return false;
}

/* A copy brings these along, and is told that it is the first to make them. */
static bool is_brought(const struct tree_ask *a, const struct image *i, const char *name)
{
	return market_is_copying(a->who, i) && (strcmp(name, "owner") == 0 || strcmp(name, "reviewed") == 0 || strcmp(name, "replaced-by") == 0);
}

/* Terms that an import got from its bytes look absent to the program that brought these, as long as nobody has used it: tar makes them anew. */
static bool is_brought_along(const struct image *i, enum setting_key key, uint32_t pid)
{
	return terms_are_inherited(i, key) && !i->used && !i->from && i->from_text[0] == '%' && strtoul(i->from_text + 1, NULL, 10) == pid;
}

/* The node of a name in an image's directory. */
static int find_in_image(const struct tree_ask *a, const struct image *i, const char *name, uint64_t *ret)
{
	char text[1024];
	unsigned len;
	*ret = node_image(i->node, SLOT_IMAGE_FILE + FILE_STATUS);
	if (strcmp(name, ".status") == 0)
		return 0;
	enum setting_key key = setting_by_name(name, (enum image_type)i->shelf.type);
	*ret = node_image(i->node, key);
	int r = key && !is_brought_along(i, key, a->who->pid) ? setting_get(a->txn, i->node, key, text, 0, &len) : -ENOENT;
	if (r != -ENOENT)
		return r == -ERANGE ? 0 : r;
	/* After a success the name that was used for the upload still leads to the disk: tools set times by it. */
	bool is_disk = i->disk && (strcmp(name, image_disk_name(i)) == 0 || strcmp(name, i->upload) == 0);
	uint64_t disk = is_disk ? i->disk : scratch_find(a->txn, i->node, name, NULL);
	*ret = node_disk(disk);
	if (disk)
		return 0;
	uint8_t link = link_find(a->txn, i->node, name, text);
	*ret = node_image(i->node, SLOT_KEPT_LINK + link - SET_LINK);
	if (link)
		return 0;
	r = is_brought(a, i, name) ? -ENOENT : tree_computed(i, a->node, name, ret);
	if (r && !tree_link_marked(i, name, a->who->pid))
		return fail(a->err, r, "there is nothing called %s in %s", name, i->name);
	if (r)
		*ret = node_image(i->node, SLOT_LINK);
	return 0;
}

static int lookup_in_image(const struct tree_ask *a, const char *name, struct entry *ret)
{
	struct image i;
	uint64_t node;
	int r = image_get(a->txn, node_number(a->node), &i);
	if (!r)
		r = may(a->txn, a->who, MAY_SEE, NULL, &i, a->err);
	if (r)
		return fail(a->err, -ESTALE, "this image is gone");
	struct image shown = i;
	tree_hide_lineage(a, &shown);
	tree_show_replacement(a, &shown);
	r = find_in_image(a, &shown, name, &node);
	return r ? r : tree_entry(a, node, &(struct tree_rows){ .image = &i }, ret);
}

static int lookup(const struct tree_ask *a, const char *name, struct entry *ret)
{
	struct shelf shelf;
	uint64_t bills;
	int file = tree_file_by_name(name);
	if (file >= 0 && tree_has_file(a->who, a->node, (enum tree_file)file))
		return tree_entry(a, node_beside(a->node, SLOT_FILE + (unsigned)file), NULL, ret);
	if (tree_shelf(a->who, a->node, &shelf))
		return lookup_on_shelf(a, &shelf, name, ret);
	if (name[0] == '.' && tree_find_bills(a, name, &bills))
		return tree_entry(a, bills, NULL, ret);
	switch (node_kind(a->node)) {
	case NODE_FIXED:
		return a->node == ROOT_NODE ? lookup_root(a, name, ret) : lookup_account(a, name, ret);
	case NODE_REGION:
	case NODE_PLACE: return lookup_type(a, name, ret);
	case NODE_ACCOUNT: return lookup_account_region(a, name, ret);
	case NODE_BILLS: return tree_lookup_bill(a, name, ret);
	case NODE_IMAGE:
	case NODE_SHARED: return lookup_in_image(a, name, ret);
	default: return fail(a->err, -ENOTDIR, "that is not a directory");
	}
}

int tree_lookup(struct service *s, const struct who *w, uint64_t parent, const char *name, struct entry *ret, struct error *err)
{
	struct tree_ask a = { s, w, NULL, parent, err };
	int r = node_kind(parent) == NODE_BILLS ? ledger_roll(s, err) : 0; /* a month that is over has a bill */
	if (!r)
		r = cat_begin(s->catalog, &a.txn, err);
	if (r)
		return r;
	r = lookup(&a, name, ret);
	cat_end(&a.txn);
	return r;
}

/* ---- rows behind nodes ------------------------------------------------------------------------ */

static int image_of(const struct tree_ask *a, struct tree_disk *ret)
{
	uint64_t image = node_number(a->node);
	int r = 0;
	ret->row = (struct disk_row){ .no = 0 };
	if (node_kind(a->node) == NODE_DISK) {
		r = disk_row_get(a->txn, node_number(a->node), &ret->row);
		image = ret->row.image;
	} else if (!node_is_in_image(a->node)) {
		r = -ENOENT;
	}
	if (!r)
		r = image_get(a->txn, image, &ret->image);
	if (!r)
		r = may(a->txn, a->who, MAY_SEE, NULL, &ret->image, a->err);
	ret->is_main = !r && ret->row.no && ret->image.disk == ret->row.no;
	return r ? fail(a->err, -ENOENT, "this image is gone") : 0;
}

int tree_disk(struct service *s, const struct who *w, uint64_t node, struct tree_disk *ret, struct error *err)
{
	struct tree_ask a = { s, w, NULL, node, err };
	int r = cat_begin(s->catalog, &a.txn, err);
	if (r)
		return r;
	r = image_of(&a, ret);
	cat_end(&a.txn);
	return r;
}

int tree_image(struct service *s, const struct who *w, uint64_t node, struct image *ret, struct error *err)
{
	struct tree_disk d;
	int r = tree_disk(s, w, node, &d, err);
	if (!r)
		*ret = d.image;
	return r;
}
