/* SPDX-License-Identifier: Apache-2.0 */
/* act_mode: what chmod of an image's directory means.
 *
 * The owner's w bit: without it, the image is protected from deletion and change. In the marketplace, r and x of all others: with
 * both it is published. The rest of a mode says nothing. */
#include "base/clock.h"
#include "domain/act.h"
#include "domain/acts.h"
#include "domain/market.h"
#include "domain/rights.h"

static bool means_to_publish(const struct act *a, const struct image *i, bool published)
{
	return i->shelf.type == TYPE_MARKETPLACE && !i->shelf.trash && published != i->published && !market_is_copying(a->who, i);
}

static int publish(struct cat_txn *txn, struct act *a, struct image *i, bool published, struct error *err)
{
	int r = may(txn, a->who, published ? MAY_PUBLISH : MAY_WITHDRAW, NULL, i, err);
	if (r)
		return r;
	if (published)
		market_publish(a, i);
	else
		market_withdraw(a, i);
	return 0;
}

static int protect(struct cat_txn *txn, struct act *a, struct image *i, bool protected, struct error *err)
{
	int r = may(txn, a->who, MAY_PROTECT, NULL, i, err);
	if (r || i->is_protected == protected)
		return r;
	if (a->not_logged)
		a->operation = protected ? "protect" : "unprotect";
	a->not_logged = false;
	i->is_protected = protected;
	i->changed = clock_real();
	act_node_changed(a, seers_of(i), node_image(i->node, SLOT_DIR), false);
	return 0;
}

static int do_chmod(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct image i;
	bool published = (a->size & 05) == 05, protected = !(a->size & 0200);
	int r = image_get(txn, node_number(a->node), &i);
	if (!r)
		r = may(txn, a->who, MAY_SEE, NULL, &i, err);
	if (r)
		return r == -ENOENT ? fail(err, r, "this image is gone") : r;
	act_path_image(a, txn, &i);
	bool publishes = means_to_publish(a, &i, published);
	a->not_logged = !publishes;
	if (publishes)
		r = publish(txn, a, &i, published, err);
	if (!r && (!publishes || protected != i.is_protected))
		r = protect(txn, a, &i, protected, err);
	return r || a->not_logged ? r : image_put(txn, &i);
}

int act_chmod(struct service *s, const struct who *w, uint64_t node, unsigned mode, struct error *err)
{
	struct act a = { .service = s, .who = w, .operation = "chmod", .fn = do_chmod, .node = node, .size = mode };
	return act_run(&a, err);
}
