/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/share.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "catalog/account.h"
#include "catalog/region.h"
#include "domain/names.h"
#include "domain/policy.h"
#include "domain/rights.h"
#include "domain/target.h"

/* ---- names ------------------------------------------------------------------------------------------- */

bool share_is_box(uint64_t node, uint32_t *ret_receiver, uint32_t *ret_region)
{
	if (node_kind(node) != NODE_PLACE || node_slot(node) != SLOT_TYPE + TYPE_SHARED)
		return false;
	*ret_receiver = (uint32_t)(node_number(node) >> 16);
	*ret_region = node_number(node) & 0xffff;
	return true;
}

int share_received_name(struct cat_txn *txn, const struct share *s, char ret[RECEIVED_NAME_MAX + 1])
{
	struct account owner;
	int r = account_get(txn, s->owner, &owner);
	if (!r)
		snprintf(ret, RECEIVED_NAME_MAX + 1, "%s@%s", s->name, owner.name);
	return r;
}

int share_find_received(struct cat_txn *txn, uint32_t receiver, uint32_t region, const char *name, struct share *ret)
{
	struct account owner;
	char own[IMAGE_NAME_MAX + 1];
	const char *at = strrchr(name, '@');
	if (!at || at - name > IMAGE_NAME_MAX)
		return -ENOENT;
	snprintf(own, sizeof own, "%.*s", (int)(at - name), name);
	int r = account_find(txn, at + 1, &owner);
	return r ? r : share_find(txn, receiver, region, owner.no, own, ret);
}

/* ---- telling ------------------------------------------------------------------------------------------- */

/* A share shows in the maker's box and on the receiver's shelf; what the image says of itself changes too. */
static void changed(struct cat_txn *txn, struct act *a, const struct share *s)
{
	char name[RECEIVED_NAME_MAX + 1];
	uint64_t box = node_make(NODE_PLACE, (uint64_t)s->receiver << 16 | s->region, SLOT_TYPE + TYPE_SHARED);
	uint64_t shelf = node_make(NODE_REGION, s->region, SLOT_TYPE + TYPE_SHARED);
	act_entry_changed(a, SEEN_BY(s->owner), box, s->name);
	act_node_changed(a, SEEN_BY(s->owner), box, true);
	act_node_changed(a, SEEN_BY(s->receiver), shelf, true);
	if (share_received_name(txn, s, name))
		return;
	act_entry_changed(a, SEEN_BY(s->owner), box, name);
	act_entry_changed(a, SEEN_BY(s->receiver), shelf, name);
}

/* The log tells both: the path is the maker's link, which both of them know; what the image is called is the maker's business, and
 * the detail, which is shown to who did it. `other`: the account that it was done to. */
static void note(struct cat_txn *txn, struct act *a, const char *operation, const struct share *s, const struct image *i, uint32_t other)
{
	struct account receiver;
	struct region region;
	AUTO_BUF struct buf image = BUF_INIT;
	image_path(txn, i, &image);
	a->operation = operation;
	a->owner = other;
	snprintf(a->path, sizeof a->path, "accounts/%s/%s/shared/%s", account_get(txn, s->receiver, &receiver) ? "?" : receiver.name,
		 region_get(txn, s->region, &region) ? "?" : region.name, s->name);
	snprintf(a->detail, sizeof a->detail, "%s", image.data);
}

/* ---- who may be given what ------------------------------------------------------------------------------- */

static bool accepts(const struct account *receiver, const char *maker)
{
	size_t n = strlen(maker);
	if (strcmp(receiver->accept, "all") == 0)
		return true;
	for (const char *p = receiver->accept; (p = strstr(p, maker)); p += n)
		if ((p == receiver->accept || p[-1] == ' ') && (p[n] == 0 || p[n] == ' '))
			return true;
	return false;
}

static int check_receiver(struct cat_txn *txn, const struct image *i, uint32_t no, struct error *err)
{
	struct account maker, receiver;
	struct share known;
	int r = account_get(txn, no, &receiver);
	if (!r)
		r = account_get(txn, i->owner, &maker);
	if (r)
		return fail(err, r, "this account is gone");
	if (no == i->owner)
		return fail(err, -EINVAL, "an image is not shared with its own account");
	if (share_of(txn, i->node, no, &known) == 0 || accepts(&receiver, maker.name))
		return 0;
	return fail(err, -EACCES, "%s takes no shares from %s: its setting accept does not name it", receiver.name, maker.name);
}

static int check_region(struct cat_txn *txn, const struct image *i, uint32_t no, struct error *err)
{
	struct region region;
	if (i->shelf.region != no)
		return fail(err, -EXDEV, "a share works inside the image's own region: copy %s into that region first, then share "
			    "the copy", i->name);
	int r = region_get(txn, no, &region);
	if (!r && !(region.types & 1 << TYPE_SHARED))
		r = fail(err, -EPERM, "the region %s does not offer shared images", region.name);
	return r;
}

static int check_room(struct cat_txn *txn, const struct image *i, struct error *err)
{
	uint64_t count, limit;
	int r = share_count(txn, i->node, &count);
	if (!r)
		r = policy_number(txn, i->owner, i->shelf.region, "shares-per-image", &limit);
	if (r || count < limit)
		return r;
	return fail(err, -EDQUOT, "%s is shared with %" PRIu64 " accounts and policy shares-per-image allows %" PRIu64, i->name, count,
		    limit);
}

static int check_image(struct cat_txn *txn, struct act *a, const struct image *i, uint32_t receiver, uint32_t region, struct error *err)
{
	int r = may(txn, a->who, MAY_SHARE, NULL, i, err);
	if (!r && i->state != STATE_AVAILABLE)
		r = fail(err, -EPERM, "%s is not available yet (%s): what is shared must be whole", i->name,
			 state_name((enum image_state)i->state));
	if (!r)
		r = check_receiver(txn, i, receiver, err);
	return r ? r : check_region(txn, i, region, err);
}

/* ---- links ----------------------------------------------------------------------------------------------- */

static int find_target(struct cat_txn *txn, struct act *a, uint32_t receiver, uint32_t region, struct image *ret, struct error *err)
{
	struct account to;
	struct region place;
	int r = account_get(txn, receiver, &to);
	if (!r)
		r = region_get(txn, region, &place);
	if (r)
		return fail(err, r, "this place is gone");
	struct target_base base = { { "accounts", to.name, place.name, type_name(TYPE_SHARED) }, 4 };
	r = target_image(txn, a->who, &base, a->text, ret, err);
	if (r == -ENOENT)
		r = fail(err, r, "%s, seen from accounts/%s/%s/shared, names no image of yours: ln -sr finds the way, and an absolute "
			 "path does too", a->text, to.name, place.name);
	return r;
}

static int put_share(struct cat_txn *txn, struct act *a, struct share *s, const struct image *i, struct error *err)
{
	struct share old;
	int r = share_of(txn, i->node, s->receiver, &old);
	if (r && r != -ENOENT)
		return r;
	bool again = r == 0;
	if (again) {
		changed(txn, a, &old);
		s->no = old.no;
		s->created = old.created;
	} else if ((r = check_room(txn, i, err)) || (r = policy_spend_operation(txn, a->who->account, s->region, err))) {
		return r;
	}
	r = share_put(txn, s);
	if (r)
		return fail(err, r, r == -EEXIST ? "another image of yours is shared by the name %s there" : "%s could not be shared", s->name);
	changed(txn, a, s);
	note(txn, a, "share", s, i, s->receiver);
	a->not_logged = again;
	a->result = node_make(NODE_LINK, s->no, SLOT_DIR);
	return 0;
}

/* A shared image is in use: its disk never changes again. */
static int seal(struct cat_txn *txn, struct act *a, struct image *i)
{
	if (i->used)
		return 0;
	i->used = true;
	i->last_used = clock_real();
	act_node_changed(a, seers_of(i), node_image(i->node, SLOT_DIR), false);
	return image_put(txn, i);
}

int share_link(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct image i;
	struct share s = { .created = clock_real(), .owner = a->who->account };
	if (!share_is_box(a->parent, &s.receiver, &s.region))
		return -EINVAL;
	a->operation = "share";
	int r = find_target(txn, a, s.receiver, s.region, &i, err);
	if (!r)
		r = check_image(txn, a, &i, s.receiver, s.region, err);
	if (!r)
		r = name_check_image(a->name, err);
	if (r)
		return r;
	s.image = i.node;
	snprintf(s.name, sizeof s.name, "%s", a->name);
	r = put_share(txn, a, &s, &i, err);
	return r ? r : seal(txn, a, &i);
}

/* One's own by its name; an operator's view has those of others too, as NAME@OWNER. */
static int find_link(struct cat_txn *txn, const struct act *a, struct share *ret, struct image *ret_image, struct error *err)
{
	uint32_t receiver, region;
	if (!share_is_box(a->parent, &receiver, &region))
		return -EINVAL;
	int r = share_find(txn, receiver, region, a->who->account, a->name, ret);
	if (r == -ENOENT && a->who->is_operator)
		r = share_find_received(txn, receiver, region, a->name, ret);
	if (!r)
		r = image_get(txn, ret->image, ret_image);
	return r ? fail(err, r, "there is no link %s of yours here", a->name) : 0;
}

static int cancel(struct cat_txn *txn, struct act *a, const struct share *s, const struct image *i, uint32_t other, const char *what)
{
	changed(txn, a, s);
	note(txn, a, what, s, i, other);
	act_node_changed(a, SEEN_BY(s->receiver), node_shared(i->node), true);
	act_node_changed(a, SEEN_BY(s->receiver), node_disk(i->disk), true); /* pages of it that a kernel has kept */
	return share_remove(txn, s->no);
}

int share_unlink(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct share s;
	struct image i;
	int r = find_link(txn, a, &s, &i, err);
	if (!r)
		r = policy_spend_operation(txn, s.owner, s.region, err);
	return r ? r : cancel(txn, a, &s, &i, s.owner == a->who->account ? s.receiver : s.owner, "unshare");
}

/* ln -sf makes a link of another name and renames it to the one that was meant: what stands there gives way. */
int share_rename(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct share s, other;
	struct image i, old;
	int r = find_link(txn, a, &s, &i, err);
	if (!r && s.owner != a->who->account)
		r = fail(err, -EPERM, "this link belongs to another account");
	if (!r)
		r = name_check_image(a->new_name, err);
	if (r || strcmp(a->name, a->new_name) == 0)
		return r;
	r = share_find(txn, s.receiver, s.region, s.owner, a->new_name, &other);
	if (r && r != -ENOENT)
		return r;
	if (!r && !a->flag)
		return fail(err, -EEXIST, "there is a link %s already", a->new_name);
	if (!r) {
		r = image_get(txn, other.image, &old);
		if (!r)
			r = cancel(txn, a, &other, &old, other.receiver, "unshare");
		if (!r)
			r = act_log(txn, a); /* a line of its own: the act's is about what takes its place */
		if (r)
			return r;
	}
	changed(txn, a, &s);
	snprintf(s.name, sizeof s.name, "%s", a->new_name);
	changed(txn, a, &s);
	note(txn, a, "share", &s, &i, s.receiver);
	return share_put(txn, &s);
}

/* ---- the receiver's side ---------------------------------------------------------------------------------- */

int share_decline(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct share s;
	struct image i;
	int r = share_find_received(txn, a->who->account, (uint32_t)node_number(a->parent), a->name, &s);
	if (!r)
		r = image_get(txn, s.image, &i);
	if (r)
		return fail(err, r, "there is nothing called %s here", a->name);
	r = cancel(txn, a, &s, &i, s.owner, "decline");
	a->detail[0] = 0;
	return r;
}

struct forgetting {
	struct cat_txn *txn;
	struct act *act;
	uint32_t receiver;
};

static int forget_share(void *ctx, const struct share *s)
{
	struct forgetting *f = ctx;
	changed(f->txn, f->act, s);
	return share_remove(f->txn, s->no);
}

static int forget_in_region(void *ctx, const struct region *region)
{
	struct forgetting *f = ctx;
	return share_each_to(f->txn, f->receiver, region->no, 0, forget_share, f);
}

int share_forget_receiver(struct cat_txn *txn, struct act *a, uint32_t receiver)
{
	struct forgetting f = { txn, a, receiver };
	return region_each(txn, 0, forget_in_region, &f);
}

/* ---- an account that goes, as a maker ------------------------------------------------------------------------ */

struct accepting {
	const char *maker;
	struct account account;
};

static int find_accepting(void *ctx, const struct account *a)
{
	struct accepting *s = ctx;
	s->account = *a;
	return strcmp(a->accept, "all") && accepts(a, s->maker);
}

static void take_out_word(char *words, const char *word)
{
	char kept[sizeof ((struct account *)0)->accept] = "";
	size_t len = 0;
	for (char *p = words, *end; *p; p = end + (*end == ' ')) {
		end = p + strcspn(p, " ");
		if ((size_t)(end - p) != strlen(word) || memcmp(p, word, (size_t)(end - p)))
			len += (size_t)snprintf(kept + len, sizeof kept - len, "%s%.*s", len ? " " : "", (int)(end - p), p);
	}
	memcpy(words, kept, sizeof kept);
}

int share_forget_maker(struct cat_txn *txn, const char *maker)
{
	struct accepting s = { .maker = maker };
	int r;
	while ((r = account_each(txn, s.account.no, find_accepting, &s)) == 1) {
		take_out_word(s.account.accept, maker);
		r = account_put(txn, &s.account);
		if (r)
			break;
	}
	return r;
}
