/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/replace.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "catalog/region.h"
#include "domain/links.h"
#include "domain/market.h"
#include "domain/names.h"
#include "domain/rights.h"
#include "domain/settings.h"
#include "domain/target.h"

#define LINK_NAME "replaced-by"

bool replace_is_meant(const struct act *a, const struct image *i)
{
	if ((i->shelf.type != TYPE_PUBLIC && i->shelf.type != TYPE_MARKETPLACE) || !image_is_settled(i) || market_is_copying(a->who, i))
		return false;
	return strcmp(a->name, LINK_NAME) == 0 || !setting_is_computed(a->name);
}

/* ---- making and undoing ------------------------------------------------------------------------------ */

/* A bare name is one beside the image, as in an alias. */
static int find_replacement(struct cat_txn *txn, struct act *a, const struct image *i, const char *text, struct image *ret,
			    struct error *err)
{
	struct region region;
	char path[1100];
	size_t n = strlen(text);
	while (n > 1 && text[n - 1] == '/')
		n--;
	snprintf(path, sizeof path, "%s%.*s", memchr(text, '/', n) ? "" : "../", (int)n, text);
	int r = region_get(txn, i->shelf.region, &region);
	if (r)
		return fail(err, r, "this region is gone");
	struct target_base base = { { region.name, type_name((enum image_type)i->shelf.type), i->name }, 3 };
	return target_image(txn, a->who, &base, path, ret, err);
}

static int check_replacement(const struct image *i, const struct image *by, struct error *err)
{
	if (by->node == i->node)
		return fail(err, -EINVAL, "%s cannot replace itself", i->name);
	if (!shelf_equal(&by->shelf, &i->shelf))
		return fail(err, -EINVAL, "%s is not beside %s: what replaces an image is in the same region and of the same type",
			    by->name, i->name);
	if (by->state == STATE_DEPRECATED)
		return fail(err, -EINVAL, "%s is deprecated itself: name what replaces it", by->name);
	if (by->state != STATE_AVAILABLE)
		return fail(err, -EINVAL, "%s is not available (%s)", by->name, state_name((enum image_state)by->state));
	return 0;
}

static int deprecate(struct cat_txn *txn, struct act *a, struct image *i, const char *text, struct error *err)
{
	struct image by;
	int r = find_replacement(txn, a, i, text, &by, err);
	if (!r)
		r = check_replacement(i, &by, err);
	if (r)
		return r;
	i->replaced_by = by.id;
	snprintf(i->target, sizeof i->target, "%s", by.name);
	i->state = STATE_DEPRECATED;
	i->used = true;
	i->changed = clock_real();
	act_path_image(a, txn, i);
	a->operation = "deprecate";
	a->not_logged = false;
	a->result = node_image(i->node, SLOT_REPLACED);
	snprintf(a->detail, sizeof a->detail, "-> %s", by.name);
	act_node_changed(a, seers_of(i), node_image(i->node, SLOT_DIR), true);
	return image_put(txn, i);
}

static bool is_last_part(const char *path, const char *name)
{
	size_t n = strlen(path), m = strlen(name);
	while (n && path[n - 1] == '/')
		n--;
	return n >= m && memcmp(path + n - m, name, m) == 0 && (n == m || path[n - m - 1] == '/');
}

int replace_link(struct cat_txn *txn, struct act *a, struct image *i, struct error *err)
{
	int r = may(txn, a->who, MAY_DEPRECATE, NULL, i, err);
	if (r)
		return r;
	a->not_logged = true;
	if (strcmp(a->name, LINK_NAME) == 0 && i->replaced_by)
		return fail(err, -EEXIST, "%s is deprecated already; ln -sfn names another replacement", i->name);
	if (is_last_part(a->text, a->name)) /* ln followed a link that is there already into this directory */
		return fail(err, -EINVAL, "a link called %s means nothing in an image; another replacement is named by ln -sfn", a->name);
	if (strcmp(a->name, LINK_NAME))
		return link_keep(txn, a, i, err);
	return deprecate(txn, a, i, a->text, err);
}

int replace_rename(struct cat_txn *txn, struct act *a, struct image *i, uint8_t key, struct error *err)
{
	char text[1024];
	int r = may(txn, a->who, MAY_DEPRECATE, NULL, i, err);
	if (!r && strcmp(a->new_name, LINK_NAME))
		r = fail(err, -EINVAL, "a link in an image is called " LINK_NAME);
	if (!r && i->replaced_by && !a->flag)
		r = fail(err, -EEXIST, "%s is deprecated already", i->name);
	if (!r)
		r = link_text(txn, i->node, key, text);
	if (!r)
		r = setting_remove(txn, i->node, key);
	return r ? r : deprecate(txn, a, i, text, err);
}

int replace_unlink(struct cat_txn *txn, struct act *a, struct image *i, struct error *err)
{
	int r = may(txn, a->who, MAY_DEPRECATE, NULL, i, err);
	if (r)
		return r;
	i->replaced_by = 0;
	i->target[0] = 0;
	i->state = STATE_AVAILABLE;
	i->changed = clock_real();
	act_path_image(a, txn, i);
	a->operation = "undeprecate";
	act_node_changed(a, seers_of(i), node_image(i->node, SLOT_DIR), true);
	return image_put(txn, i);
}

/* ---- telling ------------------------------------------------------------------------------------------- */

bool replace_path(struct cat_txn *txn, const struct who *w, const struct image *i, struct buf *ret)
{
	struct image by, gone = *i;
	bool there = image_by_id(txn, i->replaced_by, &by) == 0 && !by.shelf.trash && may(txn, w, MAY_SEE, NULL, &by, NULL) == 0;
	if (there) {
		image_path_for(txn, w, &by, ret);
		return true;
	}
	/* With its id: another image that has the name by now must not be taken for it. */
	snprintf(gone.name, sizeof gone.name, "%s", i->target);
	image_path_for(txn, w, &gone, ret);
	buf_addf(ret, "@img-%08llx", (unsigned long long)i->replaced_by);
	return false;
}

int replace_origin(struct cat_txn *txn, const struct who *w, const struct image *i, struct image *ret)
{
	if (!i->from || i->shelf.trash)
		return -ENOENT;
	int r = image_by_id(txn, i->from, ret);
	if (!r && (ret->shelf.trash || ret->state != STATE_DEPRECATED || may(txn, w, MAY_SEE, NULL, ret, NULL)))
		r = -ENOENT;
	return r;
}

void replace_note(struct cat_txn *txn, const struct who *w, const struct image *origin, char *detail, size_t room)
{
	AUTO_BUF struct buf path = BUF_INIT;
	size_t len = strlen(detail);
	if (origin->state != STATE_DEPRECATED)
		return;
	bool there = replace_path(txn, w, origin, &path);
	snprintf(detail + len, room - len, " (deprecated: %s %s)", there ? "use" : "its replacement is gone,", path.data);
}
