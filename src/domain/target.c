/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/target.h"

#include <stdio.h>
#include <string.h>

#include "catalog/account.h"
#include "catalog/region.h"
#include "domain/names.h"
#include "domain/rights.h"
#include "domain/share.h"

/* ---- text to names ----------------------------------------------------------------------------- */

#define MAX_PARTS 5 /* accounts/ACCOUNT/REGION/TYPE/NAME */
#define PART_MAX (TRASH_NAME_MAX + PLACE_NAME_MAX + 1)

struct path {
	char parts[MAX_PARTS][PART_MAX + 1];
	unsigned n;
	bool outside; /* it began, or went, above the root of the mount: there may be more in front */
};

static void path_up(struct path *p)
{
	p->outside |= p->n == 0;
	p->n -= p->n > 0;
}

static void path_add(struct path *p, const char *name, size_t len)
{
	if (len == 0 || (len == 1 && name[0] == '.'))
		return;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		path_up(p);
		return;
	}
	if (p->n == MAX_PARTS) {
		memmove(p->parts[0], p->parts[1], sizeof p->parts[0] * (MAX_PARTS - 1));
		p->n--;
		p->outside = true;
	}
	snprintf(p->parts[p->n++], sizeof p->parts[0], "%.*s", (int)len, name);
}

static void path_resolve(const struct target_base *base, const char *text, struct path *ret)
{
	*ret = (struct path){ .n = 0 };
	for (unsigned i = 0; i < base->n && text[0] != '/'; i++)
		path_add(ret, base->names[i], strlen(base->names[i]));
	ret->outside = text[0] == '/';
	for (size_t n; *text; text += n + (text[n] == '/')) {
		n = strcspn(text, "/");
		path_add(ret, text, n);
	}
}

/* ---- names to rows ------------------------------------------------------------------------------- */

struct spot {
	uint32_t account;
	const char *region, *type, *name;
};

/* accounts/ACCOUNT in front of a place; a folder that is called accounts somewhere else is none. */
static int account_before(struct cat_txn *txn, const struct path *p, uint32_t *ret)
{
	struct account account;
	if (p->n != MAX_PARTS || strcmp(p->parts[0], "accounts"))
		return -ENOENT;
	int r = account_find(txn, p->parts[1], &account);
	if (!r)
		*ret = account.no;
	return r;
}

static int find_place(struct cat_txn *txn, const struct who *w, const struct path *p, struct spot *ret)
{
	if (p->n < 3)
		return -ENOENT;
	*ret = (struct spot){ w->account, p->parts[p->n - 3], p->parts[p->n - 2], p->parts[p->n - 1] };
	int r = account_before(txn, p, &ret->account);
	return r == -ENOENT && (p->outside || p->n == 3) ? 0 : r;
}

static int find_received(struct cat_txn *txn, uint32_t receiver, uint32_t region, const char *name, struct image *ret)
{
	struct share share;
	int r = share_find_received(txn, receiver, region, name, &share);
	return r ? r : image_get(txn, share.image, ret);
}

static int find_image(struct cat_txn *txn, const struct spot *p, struct image *ret)
{
	struct region region;
	int type = type_by_name(p->type);
	int r = type < 0 ? -ENOENT : region_find(txn, p->region, &region);
	if (r)
		return r;
	if (type == TYPE_SHARED)
		return find_received(txn, p->account, region.no, p->name, ret);
	bool common = type == TYPE_PUBLIC || type == TYPE_MARKETPLACE;
	struct shelf shelf = { .account = common ? 0 : p->account, .region = region.no, .type = (uint8_t)type };
	r = image_find(txn, &shelf, p->name, ret);
	if (!r && ret->kind == KIND_ALIAS) {
		char target[TRASH_NAME_MAX + 1];
		memcpy(target, ret->target, sizeof target);
		r = image_find(txn, &shelf, target, ret);
	}
	return r;
}

int target_image(struct cat_txn *txn, const struct who *w, const struct target_base *base, const char *text, struct image *ret,
		 struct error *err)
{
	struct path path;
	struct spot place;
	path_resolve(base, text, &path);
	int r = find_place(txn, w, &path, &place);
	if (!r)
		r = find_image(txn, &place, ret);
	if (!r)
		r = may(txn, w, MAY_SEE, NULL, ret, err);
	return r ? fail(err, r, "%s names no image", text) : 0;
}
