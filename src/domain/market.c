/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/market.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "domain/names.h"
#include "domain/rights.h"
#include "domain/settings.h"

/* ---- submitting ---------------------------------------------------------------------------------- */

/* 1: it has one that is not empty. */
static int has_setting(struct cat_txn *txn, const struct image *i, enum setting_key key, char ret[SETTING_MAX + 1])
{
	unsigned len = 0;
	int r = setting_get(txn, i->node, (uint8_t)key, ret, SETTING_MAX + 1, &len);
	ret[r ? 0 : len] = 0;
	return r == -ENOENT ? 0 : r ? r : 1;
}

/* 1: nothing lacks. */
static int is_complete(struct cat_txn *txn, const struct image *i, struct error *why)
{
	char value[SETTING_MAX + 1];
	int support = has_setting(txn, i, SET_SUPPORT, value), guide = support < 0 ? support : has_setting(txn, i, SET_GUIDE, value);
	int license = guide < 0 ? guide : has_setting(txn, i, SET_LICENSE, value);
	if (license < 0)
		return license;
	(void)fail(why, -EINVAL, "a marketplace image needs %s%s%s: write %s (echo TEXT > %s), after everything else, as it is submitted "
		   "with that and never changes again", support ? "" : "support", support || guide ? "" : " and ", guide ? "" : "guide",
		   support || guide ? "it" : "them", support ? "guide" : "support");
	if (!support || !guide)
		return 0;
	if (strcasecmp(value, "byol\n") == 0) {
		(void)fail(why, -EINVAL, "%s has license byol: a licence that you bring cannot be passed on", i->name);
		return 0;
	}
	return 1;
}

int market_submit(struct cat_txn *txn, struct image *i, enum image_state *ret, struct error *why)
{
	int r = i->used ? 1 : is_complete(txn, i, why);
	if (r < 0)
		return r;
	if (i->used) { /* it was submitted meanwhile */
		*ret = (enum image_state)(i->shelf.trash ? i->state_before_trash : i->state);
		return 0;
	}
	*ret = r ? STATE_SUBMITTED : STATE_PENDING;
	i->incomplete = !r;
	i->used = r;
	i->published = false;
	snprintf(i->reason, sizeof i->reason, "%s", r ? "" : why->text);
	if (!r)
		return 0;
	why->code = 0;
	r = setting_remove(txn, i->node, SET_REVIEW); /* of what had the name before */
	return r == -ENOENT ? 0 : r;
}

static int do_complete(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct image i;
	struct error why;
	enum image_state state;
	int r = image_get(txn, node_number(a->node), &i);
	if (!r)
		r = may(txn, a->who, MAY_CHANGE, NULL, &i, err);
	if (r)
		return r;
	a->not_logged = true;
	if (!i.incomplete)
		return 0;
	r = market_submit(txn, &i, &state, &why);
	if (r)
		return r;
	i.state = (uint8_t)state;
	i.changed = clock_real();
	act_path_image(a, txn, &i);
	a->not_logged = state != STATE_SUBMITTED;
	act_node_changed(a, seers_of(&i), node_image(i.node, SLOT_DIR), false);
	act_node_changed(a, seers_of(&i), node_disk(i.disk), false);
	return image_put(txn, &i);
}

int market_complete(struct service *s, const struct who *w, uint64_t image_node, struct error *err)
{
	struct image i;
	struct who writer = *w;
	struct act a = { .service = s, .who = &writer, .operation = "submit", .fn = do_complete, .node = image_node };
	writer.conn = 0; /* done twice it does no harm */
	writer.resent = false;
	int r = tree_image(s, w, image_node, &i, err);
	if (r || !i.incomplete)
		return r == -ENOENT ? 0 : r;
	return act_run(&a, err);
}

/* ---- reviews --------------------------------------------------------------------------------------- */

/* Pages of the disk that kernels have kept are nobody's business any more, either. */
static void tell(struct act *a, struct seers seers, const struct image *i)
{
	act_shelf_changed(a, seers, &i->shelf, i->name);
	act_node_changed(a, seers, node_image(i->node, SLOT_DIR), true);
	act_node_changed(a, seers, node_disk(i->disk), true);
}

static void note(struct act *a, struct seers seers, struct image *i, const char *operation)
{
	char id[ID_TEXT_SIZE];
	a->operation = operation;
	snprintf(a->detail, sizeof a->detail, "%s", id_text(i, id));
	i->changed = clock_real();
	tell(a, seers, i);
}

void market_publish(struct act *a, struct image *i)
{
	i->published = true;
	i->state = i->replaced_by ? STATE_DEPRECATED : STATE_AVAILABLE;
	note(a, SEEN_BY_ALL, i, "publish");
}

void market_withdraw(struct act *a, struct image *i)
{
	i->published = false;
	i->state = STATE_SUBMITTED;
	note(a, SEEN_BY_ALL, i, "withdraw");
}

int market_reject(struct act *a, struct image *i, const char *review, unsigned len, struct error *err)
{
	unsigned skip = 0;
	while (skip < len && strchr(" \t\n", review[skip]))
		skip++;
	if (skip == len)
		return fail(err, -EINVAL, "a review says why: echo REASON > review");
	review += skip;
	len -= skip;
	const char *end = memchr(review, '\n', len);
	int line = (int)(end ? (unsigned)(end - review) : len);
	i->state = STATE_REJECTED;
	snprintf(i->reason, sizeof i->reason, "%.*s", line, review);
	note(a, seers_of(i), i, "reject");
	snprintf(a->detail, sizeof a->detail, "%.*s", line, review);
	return 0;
}

void market_restore(struct image *i)
{
	i->published = i->shelf.type == TYPE_PUBLIC;
	if (i->shelf.type == TYPE_MARKETPLACE && (i->state == STATE_AVAILABLE || i->state == STATE_DEPRECATED))
		i->state = STATE_SUBMITTED;
}

void market_forget(struct image *i)
{
	i->published = i->shelf.type == TYPE_PUBLIC;
	i->incomplete = false;
	i->replaced_by = 0;
	i->target[0] = 0;
}

/* ---- who made it --------------------------------------------------------------------------------------- */

#define STILL_COPYING (INT64_C(10) * 1000000000)

/* A vendor's tools may take as long as they like: their modes publish nothing in any case. An operator's program that goes on to
 * publish what it has submitted means it, and so does one that protects a server some time later. */
bool market_is_copying(const struct who *w, const struct image *i)
{
	if (!w->pid || w->pid != i->maker_pid || w->conn != i->maker_conn)
		return false;
	bool is_vendors = i->shelf.type == TYPE_MARKETPLACE && !w->is_operator;
	return is_vendors || clock_real() - i->changed < STILL_COPYING;
}
