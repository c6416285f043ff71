/* SPDX-License-Identifier: Apache-2.0 */
/* alias_count: the names that aliases have for images, sorted; there are few aliases where there are many images. */
#include "domain/alias_count.h"

#include <stdlib.h>
#include <string.h>

struct alias {
	struct shelf shelf;
	char target[TRASH_NAME_MAX + 1];
};

struct alias_count {
	struct alias *all;
	size_t n, room;
};

static int by_target(const void *a, const void *b)
{
	const struct alias *x = a, *y = b;
	if (x->shelf.account != y->shelf.account)
		return x->shelf.account < y->shelf.account ? -1 : 1;
	if (x->shelf.region != y->shelf.region)
		return x->shelf.region < y->shelf.region ? -1 : 1;
	if (x->shelf.type != y->shelf.type)
		return x->shelf.type < y->shelf.type ? -1 : 1;
	return strcmp(x->target, y->target);
}

static int grow(struct alias_count *c)
{
	size_t room = c->room ? c->room * 2 : 16;
	struct alias *all = reallocarray(c->all, room, sizeof *all);
	if (!all)
		return -ENOMEM;
	c->all = all;
	c->room = room;
	return 0;
}

static int note_alias(void *ctx, const struct image *i)
{
	struct alias_count *c = ctx;
	if (i->kind != KIND_ALIAS || i->shelf.trash)
		return 0;
	if (c->n == c->room && grow(c))
		return -ENOMEM;
	c->all[c->n].shelf = i->shelf;
	memcpy(c->all[c->n++].target, i->target, sizeof i->target);
	return 0;
}

struct alias_count *alias_count_new(struct cat_txn *txn)
{
	struct alias_count *c = calloc(1, sizeof *c);
	if (c && image_each_all(txn, 0, note_alias, c)) {
		alias_count_free(c);
		return NULL;
	}
	if (c && c->n)
		qsort(c->all, c->n, sizeof c->all[0], by_target);
	return c;
}

void alias_count_free(struct alias_count *c)
{
	if (c)
		free(c->all);
	free(c);
}

static size_t first_at(const struct alias_count *c, const struct alias *key)
{
	size_t low = 0, high = c->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (by_target(&c->all[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

unsigned alias_count_of(const struct alias_count *c, const struct image *i)
{
	struct alias key = { .shelf = i->shelf };
	unsigned n = 0;
	memcpy(key.target, i->name, sizeof key.target);
	for (size_t at = first_at(c, &key); at < c->n && by_target(&c->all[at], &key) == 0; at++)
		n++;
	return n;
}
