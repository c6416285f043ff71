/* SPDX-License-Identifier: Apache-2.0 */
/* gc_links: servers that were restored before the images that they were made from. Their link is kept as a text (start.h); what it names may
 * be there by now. */
#include "domain/act.h"
#include "domain/gc_int.h"
#include "domain/links.h"
#include "domain/rights.h"
#include "domain/start.h"

struct waiting {
	struct cat_txn *txn;
	struct image image;
};

static int find_waiting(void *ctx, const struct image *i)
{
	struct waiting *w = ctx;
	char text[1024];
	if (i->shelf.type != TYPE_INSTANCE || i->shelf.trash || i->from || !i->disk || !link_find(w->txn, i->node, "image", text))
		return 0;
	w->image = *i;
	return 1;
}

static int do_recall(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct image i;
	(void)err;
	int r = image_get(txn, a->node, &i);
	if (!r)
		r = start_recall(txn, a, &i);
	if (!r && i.from)
		act_node_changed(a, seers_of(&i), node_image(i.node, SLOT_DIR), true);
	return r == -ENOENT ? 0 : r;
}

int gc_links(struct gc_work *w, struct error *err)
{
	uint64_t after = 0;
	for (;;) {
		struct waiting waiting;
		int r = cat_begin(w->service->catalog, &waiting.txn, err);
		if (r)
			return r;
		r = image_each_all(waiting.txn, after, find_waiting, &waiting);
		cat_end(&waiting.txn);
		if (r != 1)
			return r;
		after = waiting.image.node;
		struct who owner = { .account = waiting.image.owner };
		struct act a = { .service = w->service, .who = &owner, .fn = do_recall, .node = after };
		if (gc_stopping(w->gc))
			return -ECANCELED;
		r = act_run(&a, err);
		if (r)
			return r;
	}
}
