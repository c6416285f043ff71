/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/share_tab.h against a model: names are unique for owner, receiver and region, an image is shared with an account
 * once, walks give what is there in its order; whatever is done in whatever order. */
#include "catalog/share_tab.h"

#include <stdio.h>
#include <string.h>

#include "../lib/tap.h"
#include "catalog/db.h"

static struct catalog *cat;

struct trace {
	char text[4000];
	unsigned count;
	int stop_after;
};

static int trace(void *ctx, const struct share *s)
{
	struct trace *t = ctx;
	size_t len = strlen(t->text);
	snprintf(t->text + len, sizeof t->text - len, "%llu ", (unsigned long long)s->no);
	return t->stop_after && (int)++t->count == t->stop_after ? 77 : 0;
}

static int put(struct cat_txn *txn, uint64_t image, uint32_t owner, uint32_t receiver, uint32_t region, const char *name, uint64_t *no)
{
	struct share s = { .no = *no, .image = image, .owner = owner, .receiver = receiver, .region = region, .created = 5 };
	snprintf(s.name, sizeof s.name, "%s", name);
	int r = share_put(txn, &s);
	*no = s.no;
	return r;
}

static bool equal(const struct share *a, const struct share *b)
{
	return a->no == b->no && a->image == b->image && a->owner == b->owner && a->receiver == b->receiver && a->region == b->region &&
	       a->created == b->created && !strcmp(a->name, b->name);
}

/* ---- one by one ---- */

static int by_hand(struct cat_txn *txn, void *arg, struct error *err)
{
	struct share got;
	uint64_t a = 0, b = 0, c = 0, other = 0;
	(void)arg, (void)err;
	is_int(share_get(txn, 1, &got), -ENOENT, "none is there");
	is_int(share_remove(txn, 1), -ENOENT, "to be removed");
	is_int(put(txn, 100, 1, 2, 1, "web", &a), 0, "one");
	is_int(put(txn, 100, 1, 3, 1, "web", &b), 0, "the same image with another account");
	is_int(put(txn, 101, 1, 2, 1, "db", &c), 0, "another image");
	ok(a && b && c && a != b && b != c, "each has a number");
	is_int(put(txn, 102, 1, 2, 1, "web", &other), -EEXIST, "a name is taken");
	return 1; /* undone: whoever is refused writes nothing */
}

static int walks(struct cat_txn *txn, void *arg, struct error *err)
{
	struct share got, full = { .image = UINT64_MAX >> 8, .owner = 9, .receiver = 8, .region = 7, .created = -1 };
	struct trace of = { .text = "" }, to = { .text = "" }, later = { .text = "" }, stopped = { .stop_after = 1 };
	char want[100];
	uint64_t a = 0, b = 0, c = 0, d = 0, e = 0, count;
	(void)arg, (void)err;
	memset(full.name, 'x', IMAGE_NAME_MAX);
	ok(!put(txn, 100, 1, 3, 1, "web", &a) && !put(txn, 100, 1, 2, 1, "web", &b) && !put(txn, 101, 1, 2, 1, "db", &c) &&
	   !put(txn, 103, 4, 2, 1, "web", &d) && !put(txn, 104, 1, 2, 2, "web", &e), "five: by another owner, in another region");
	is_int(share_put(txn, &full), 0, "and one with everything in it");
	ok(share_get(txn, full.no, &got) == 0 && equal(&got, &full), "it is read as it was put");
	ok(share_of(txn, 100, 2, &got) == 0 && got.no == b, "found by image and receiver");
	is_int(share_of(txn, 100, 4, &got), -ENOENT, "which is not to be had for another");
	ok(share_find(txn, 2, 1, 4, "web", &got) == 0 && got.no == d, "found by name, of its owner");
	is_int(share_find(txn, 2, 1, 4, "db", &got), -ENOENT, "not another's");
	is_int(share_find(txn, 2, 2, 1, "db", &got), -ENOENT, "nor in another region");
	is_int(share_find(txn, 2, 1, 1, "we", &got), -ENOENT, "nor by its beginning");
	is_int(share_each_of(txn, 100, trace, &of), 0, "those of an image");
	snprintf(want, sizeof want, "%llu %llu ", (unsigned long long)b, (unsigned long long)a);
	is_str(of.text, want, "by receiver");
	is_int(share_each_to(txn, 2, 1, 0, trace, &to), 0, "those of a receiver");
	snprintf(want, sizeof want, "%llu %llu %llu ", (unsigned long long)b, (unsigned long long)c, (unsigned long long)d);
	is_str(to.text, want, "in order of number");
	is_int(share_each_to(txn, 2, 1, b, trace, &later), 0, "from the middle");
	snprintf(want, sizeof want, "%llu %llu ", (unsigned long long)c, (unsigned long long)d);
	is_str(later.text, want, "those after it");
	is_int(share_each_to(txn, 2, 1, 0, trace, &stopped), 77, "a walk that is ended says so");
	ok(share_count(txn, 100, &count) == 0 && count == 2, "counted");
	ok(share_count(txn, 999, &count) == 0 && count == 0, "none is none");
	is_int(put(txn, 100, 1, 2, 1, "app", &b), 0, "a new name");
	ok(share_find(txn, 2, 1, 1, "app", &got) == 0 && got.no == b && share_find(txn, 2, 1, 1, "web", &got) == -ENOENT, "and only that");
	is_int(put(txn, 100, 1, 2, 1, "app", &b), 0, "the same again is nothing");
	is_int(share_remove(txn, b), 0, "one goes");
	ok(share_get(txn, b, &got) == -ENOENT && share_of(txn, 100, 2, &got) == -ENOENT && share_find(txn, 2, 1, 1, "app", &got) == -ENOENT,
	   "from everywhere");
	is_int(share_remove(txn, b), -ENOENT, "once");
	return 0;
}

static int get_first(struct cat_txn *txn, uint64_t no)
{
	struct share s;
	return share_get(txn, no, &s);
}

/* Every proper beginning of a row, and the row and a byte more, is damage. */
static int cut(struct cat_txn *txn, void *arg, struct error *err)
{
	struct key k;
	struct bytes value;
	struct record whole = { .len = 0 }, other;
	uint64_t no = 0;
	bool good = true;
	(void)arg, (void)err;
	is_int(put(txn, 500, 1, 9, 1, "cut", &no), 0, "a row");
	if (db_get(txn, DB_SHARE, key_of_u64(&k, no), &value))
		bail("no row");
	record_bytes(&whole, value.data, value.len);
	for (size_t len = 1; len <= whole.len + 1u; len++) {
		other = whole;
		if (len > whole.len)
			record_u8(&other, 0);
		else
			other.len = len;
		good &= db_put(txn, DB_SHARE, key_of_u64(&k, no), &other) == 0 && get_first(txn, no) == (len == whole.len ? 0 : ERR_DAMAGED);
	}
	ok(good, "that is cut anywhere is damage");
	is_int(db_remove(txn, DB_SHARE, key_of_u64(&k, no)), 0, "a row that is lost");
	struct share s;
	is_int(share_of(txn, 500, 9, &s), ERR_DAMAGED, "an index that leads nowhere, too");
	is_int(share_find(txn, 9, 1, 1, "cut", &s), ERR_DAMAGED, "each of them");
	is_int(share_each_to(txn, 9, 1, 0, trace, &(struct trace){ .text = "" }), ERR_DAMAGED, "also in a walk");
	return 1;
}

/* ---- at random, against a model ---- */

enum { IMAGES = 6, ACCOUNTS = 4, REGIONS = 2, NAMES = 4, MODEL = 64, STEPS = 20000 };

struct model {
	struct share rows[MODEL];
	unsigned n;
	uint64_t random;
	unsigned bad;
};

static struct share *model_find(struct model *m, const struct share *like, bool by_name)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct share *s = &m->rows[i];
		if (by_name ? s->receiver == like->receiver && s->region == like->region && s->owner == like->owner &&
				      !strcmp(s->name, like->name)
			    : s->image == like->image && s->receiver == like->receiver)
			return s;
	}
	return NULL;
}

/* An image has one owner and one region. */
static struct share pick(struct model *m)
{
	uint64_t image = 1 + test_random(&m->random) % IMAGES;
	struct share s = { .image = 1000 + image, .owner = 1 + (uint32_t)(image % ACCOUNTS), .region = 11 + (uint32_t)(image % REGIONS),
			   .receiver = 1 + (uint32_t)(test_random(&m->random) % ACCOUNTS), .created = 7 };
	snprintf(s.name, sizeof s.name, "%.*s", 1 + (int)(test_random(&m->random) % NAMES), "aaaaaaaa");
	return s;
}

static void step_put(struct cat_txn *txn, struct model *m)
{
	struct share s = pick(m);
	struct share *same = model_find(m, &s, false), *named = model_find(m, &s, true);
	if (m->n == MODEL && !same)
		return;
	if (named && named != same)
		return; /* taken: tried apart, because a refusal undoes the transaction */
	s.no = same ? same->no : 0;
	m->bad += share_put(txn, &s) != 0 || s.no == 0;
	if (same)
		*same = s;
	else
		m->rows[m->n++] = s;
}

static void step_remove(struct cat_txn *txn, struct model *m)
{
	struct share s = pick(m);
	struct share *same = model_find(m, &s, false);
	if (!same)
		return;
	m->bad += share_remove(txn, same->no) != 0;
	*same = m->rows[--m->n];
}

struct seen {
	struct model *m;
	uint64_t last, image;
	uint32_t receiver, region;
	unsigned n;
	bool bad;
};

static int on_seen(void *ctx, const struct share *s)
{
	struct seen *w = ctx;
	uint64_t at = w->image ? s->receiver : s->no;
	const struct share *want = model_find(w->m, s, false);
	w->bad |= !want || !equal(want, s) || at <= w->last;
	w->last = at;
	w->n++;
	return 0;
}

static void compare(struct cat_txn *txn, struct model *m)
{
	unsigned all = 0;
	for (uint64_t image = 1001; image <= 1000 + IMAGES; image++) {
		struct seen of = { .m = m, .image = image };
		uint64_t count;
		m->bad += share_each_of(txn, image, on_seen, &of) || of.bad || share_count(txn, image, &count) || count != of.n;
		all += of.n;
	}
	m->bad += all != m->n;
	uint64_t entries;
	m->bad += share_count_index(txn, &entries) || entries != SHARE_INDEXES * (m->n + 5); /* and those of before */
	for (unsigned i = 0; i < m->n; i++)
		m->bad += !share_is_indexed(txn, &m->rows[i]);
	all = 0;
	for (uint32_t receiver = 1; receiver <= ACCOUNTS; receiver++)
		for (uint32_t region = 11; region < 11 + REGIONS; region++) {
			struct seen to = { .m = m };
			m->bad += share_each_to(txn, receiver, region, 0, on_seen, &to) || to.bad;
			all += to.n;
		}
	m->bad += all != m->n;
	struct share like = pick(m), got;
	const struct share *want = model_find(m, &like, true);
	int r = share_find(txn, like.receiver, like.region, like.owner, like.name, &got);
	m->bad += want ? r || !equal(&got, want) : r != -ENOENT;
}

static int steps(struct cat_txn *txn, void *arg, struct error *err)
{
	struct model *m = arg;
	(void)err;
	for (unsigned i = 0; i < STEPS / 20 && !m->bad; i++) {
		if (test_random(&m->random) % 3)
			step_put(txn, m);
		else
			step_remove(txn, m);
		compare(txn, m);
	}
	return 0;
}

static int take_name(struct cat_txn *txn, void *arg, struct error *err)
{
	struct model *m = arg;
	struct share s = m->rows[0];
	(void)err;
	s.image += 50;
	s.no = 0;
	return share_put(txn, &s);
}

static int share_twice(struct cat_txn *txn, void *arg, struct error *err)
{
	struct model *m = arg;
	struct share s = m->rows[0];
	(void)err;
	snprintf(s.name, sizeof s.name, "%s", "something else");
	s.no = 0;
	return share_put(txn, &s);
}

static void random_steps(void)
{
	struct model m = { .random = test_seed() };
	struct cat_txn *txn;
	for (unsigned round = 0; round < 20 && !m.bad; round++) {
		is_int(cat_write(cat, steps, &m, NULL), 0, "round %u", round);
		ok(!m.n || cat_write(cat, take_name, &m, NULL) == -EEXIST, "a taken name is refused");
		ok(!m.n || cat_write(cat, share_twice, &m, NULL) == -EEXIST, "a second row of a share, too");
		if (cat_begin(cat, &txn, NULL) == 0) {
			compare(txn, &m);
			cat_end(&txn);
		}
	}
	is_int(m.bad, 0, "the table is what the model is");
}

int main(void)
{
	struct error err;
	if (catalog_open(&cat, test_folder(), CAT_CREATE, &err))
		bail("%s", err.text);
	is_int(cat_write(cat, by_hand, NULL, NULL), 1, "a transaction that is given up");
	is_int(cat_write(cat, walks, NULL, NULL), 0, "walks");
	is_int(cat_write(cat, cut, NULL, NULL), 1, "damage");
	random_steps();
	catalog_close(cat);
	return done_testing();
}
