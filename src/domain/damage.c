/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/damage.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "catalog/object_tab.h"

struct found_damage {
	struct bad_object items[BAD_MOST];
	unsigned count;
};

static int write_list(struct cat_txn *txn, void *arg, struct error *err)
{
	const struct found_damage *d = arg;
	(void)err;
	return object_damaged_many(txn, d->items, d->count);
}

int damage_write(struct service *s, struct error *err)
{
	AUTO_FREE struct found_damage *d = calloc(1, sizeof *d);
	if (!d)
		return fail(err, -ENOMEM, "There is no memory to write down what is damaged.");
	d->count = bad_list(s->store->bad, d->items);
	if (d->count == 0)
		return 0;
	int r = cat_write(s->catalog, write_list, d, err);
	if (r == 0)
		bad_done(s->store->bad, d->items, d->count);
	return r;
}

int damage_write_in(struct cat_txn *txn, struct service *s)
{
	if (!bad_any(s->store->bad))
		return 0;
	AUTO_FREE struct found_damage *d = calloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;
	d->count = bad_list(s->store->bad, d->items);
	return object_damaged_many(txn, d->items, d->count); /* they stay in the list until a transaction of their own */
}
