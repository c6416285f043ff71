/* SPDX-License-Identifier: Apache-2.0 */
/* rights: most questions are about one's own images and need nothing but the row: only what a verb turns on is looked up. */
#include "domain/rights.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "catalog/account.h"
#include "catalog/share_tab.h"
#include "domain/policy.h"
#include "domain/price.h"

static bool has_policy(struct cat_txn *txn, const struct who *w, const struct image *i, const char *name, const char *value)
{
	char text[64];
	return policy_value(txn, w->account, i->shelf.region, name, text) == 0 && strcmp(text, value) == 0;
}

static int gather_terms(struct cat_txn *txn, struct facts *f)
{
	struct terms t;
	int r = terms_get(txn, f->image, &t);
	f->byol = strcasecmp(t.license, "byol") == 0; /* stores of before have it in any case */
	f->charged = t.unit != PRICE_NONE || terms_have_windows(&t);
	return r;
}

static void gather_download(struct cat_txn *txn, const struct who *w, struct facts *f)
{
	f->download = has_policy(txn, w, f->image, "download", "all")	 ? DOWNLOAD_ALL
		      : has_policy(txn, w, f->image, "download", "none") ? DOWNLOAD_NONE
									  : DOWNLOAD_UNCHARGED;
}

struct naming {
	struct cat_txn *txn;
	struct facts *facts;
	unsigned more;
};

#define NAME_ROOM 40 /* for a name, and for how many there are besides */

static int add_receiver(void *ctx, const struct share *s)
{
	struct naming *n = ctx;
	struct account receiver;
	char *text = n->facts->shared_with;
	size_t len = strlen(text);
	if (len + 2 * NAME_ROOM > sizeof n->facts->shared_with)
		n->more++;
	else
		snprintf(text + len, sizeof n->facts->shared_with - len, "%s%s", len ? ", " : "",
			 account_get(n->txn, s->receiver, &receiver) ? "?" : receiver.name);
	return 0;
}

static int gather_receivers(struct cat_txn *txn, struct facts *f)
{
	struct naming n = { txn, f, 0 };
	int r = share_each_of(txn, f->image->node, add_receiver, &n);
	size_t len = strlen(f->shared_with);
	if (n.more)
		snprintf(f->shared_with + len, sizeof f->shared_with - len, " and %u more", n.more);
	return r;
}

static int gather(struct cat_txn *txn, const struct who *w, enum verb verb, struct facts *f)
{
	struct share share;
	const struct image *i = f->image;
	bool mine = i->owner == w->account;
	if (!mine && i->shelf.type == TYPE_CUSTOM && !i->shelf.trash) {
		int r = share_of(txn, i->node, w->account, &share);
		if (r && r != -ENOENT)
			return r;
		f->received = r == 0;
	}
	if (verb == MAY_SHARE || (!mine && (verb == MAY_READ || verb == MAY_COPY))) {
		int r = gather_terms(txn, f);
		if (r)
			return r;
	}
	if (verb == MAY_READ || verb == MAY_COPY)
		gather_download(txn, w, f);
	if (verb == MAY_COPY) {
		f->shared_copy = has_policy(txn, w, i, "shared-copy", "same-region");
		f->shared_instance_image = has_policy(txn, w, i, "shared-instance-image", "yes");
	}
	return verb == MAY_DELETE && i->shelf.type == TYPE_CUSTOM && !i->shelf.trash ? gather_receivers(txn, f) : 0;
}

static int ask(struct cat_txn *txn, const struct who *w, enum verb verb, struct facts *f, struct error *err)
{
	int r = f->image ? gather(txn, w, verb, f) : 0;
	return r ? fail(err, r, "rights cannot be looked up (%s)", err_name(r)) : decide(w, verb, f, err);
}

int may(struct cat_txn *txn, const struct who *w, enum verb verb, const struct shelf *shelf, const struct image *image,
	struct error *err)
{
	struct facts f = { .shelf = shelf, .image = image };
	return ask(txn, w, verb, &f, err);
}

struct seers seers_of(const struct image *i)
{
	static const struct who stranger;
	const struct facts facts = { .image = i };
	return (struct seers){ .all = decide(&stranger, MAY_SEE, &facts, NULL) == 0, .account = i->owner };
}

struct seers seers_on(const struct shelf *s, const struct image *i)
{
	return s->account ? (struct seers){ .account = s->account } : seers_of(i);
}

enum verb verb_of_setting(unsigned key) { return key == SET_REVIEW ? MAY_REJECT : MAY_CHANGE; }

int may_copy_into(struct cat_txn *txn, const struct who *w, const struct image *from, const struct image *to, struct error *err)
{
	struct facts f = { .image = from, .to_region = to->shelf.region, .to_custom = to->shelf.type == TYPE_CUSTOM };
	bool starts = to->shelf.type == TYPE_INSTANCE && to->shelf.region == from->shelf.region && from->shelf.type != TYPE_INSTANCE;
	return ask(txn, w, starts ? MAY_START : MAY_COPY, &f, err);
}

int may_now(struct service *s, const struct who *w, enum verb verb, const struct image *image, struct error *err)
{
	struct cat_txn *txn;
	int r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = may(txn, w, verb, NULL, image, err);
	cat_end(&txn);
	return r;
}

int may_copy_into_now(struct service *s, const struct who *w, const struct image *from, const struct image *to, struct error *err)
{
	struct cat_txn *txn;
	int r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = may_copy_into(txn, w, from, to, err);
	cat_end(&txn);
	return r;
}
