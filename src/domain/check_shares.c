/* SPDX-License-Identifier: Apache-2.0 */
/* check_shares: every share is of an image that its maker has and may share, with an account that there is; it is found from both
 * sides and by its name; and no index names a share that is none. */
#include "base/buf.h"
#include "catalog/account.h"
#include "catalog/share_tab.h"
#include "domain/check_int.h"
#include "domain/tree.h"

struct shares {
	struct check *check;
	uint64_t rows;
};

static const char *wrong_with_image(const struct share *s, const struct image *i)
{
	if (i->kind != KIND_IMAGE || i->shelf.type != TYPE_CUSTOM)
		return "is no custom image";
	if (i->shelf.trash)
		return "is in the trash";
	if (i->owner != s->owner)
		return "belongs to somebody else than the share";
	if (i->shelf.region != s->region)
		return "is in another region than the share";
	return i->used ? NULL : "is not sealed";
}

static void check_accounts(struct check *c, const struct share *s)
{
	struct account a;
	if (account_get(c->txn, s->receiver, &a))
		check_problem(c, PROBLEM_NAME, "share %llu (%s) is with an account that is not there (%u)", (unsigned long long)s->no, s->name,
			      s->receiver);
	if (account_get(c->txn, s->owner, &a))
		check_problem(c, PROBLEM_NAME, "share %llu (%s) is of an account that is not there (%u)", (unsigned long long)s->no, s->name,
			      s->owner);
	if (s->owner == s->receiver)
		check_problem(c, PROBLEM_NAME, "share %llu (%s) is with its own account", (unsigned long long)s->no, s->name);
}

static int check_share(void *ctx, const struct share *s)
{
	struct shares *all = ctx;
	struct check *c = all->check;
	struct image i;
	AUTO_BUF struct buf path = BUF_INIT;
	all->rows++;
	check_accounts(c, s);
	if (!share_is_indexed(c->txn, s))
		check_problem(c, PROBLEM_NAME, "share %llu (%s) is not found in each of the ways it should be", (unsigned long long)s->no,
			      s->name);
	if (image_get(c->txn, s->image, &i)) {
		check_problem(c, PROBLEM_NAME, "share %llu (%s): its image is not there", (unsigned long long)s->no, s->name);
		return 0;
	}
	const char *wrong = wrong_with_image(s, &i);
	image_path(c->txn, &i, &path);
	if (wrong)
		check_problem(c, PROBLEM_NAME, "share %llu (%s): image %s %s", (unsigned long long)s->no, s->name, path.data, wrong);
	return 0;
}

int check_shares(struct check *c, struct error *err)
{
	struct shares all = { .check = c };
	uint64_t entries = 0;
	int r = check_walked(c, share_each_all(c->txn, check_share, &all), "shares", err);
	if (!r)
		r = check_walked(c, share_count_index(c->txn, &entries), "the shares' names", err);
	if (!r && entries != SHARE_INDEXES * all.rows)
		check_problem(c, PROBLEM_TOTALS, "there are %llu shares, but %llu entries that lead to them instead of %llu",
			      (unsigned long long)all.rows, (unsigned long long)entries, (unsigned long long)(SHARE_INDEXES * all.rows));
	return r;
}
