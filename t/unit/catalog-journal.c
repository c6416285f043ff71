/* SPDX-License-Identifier: Apache-2.0 */
/* journal: answers are given again, as many as are kept; the log is in order, filtered, and no larger than it may be. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "catalog/db.h"
#include "catalog/journal.h"
#include "tap.h"

#define FILL(array) (memset((array), 'x', sizeof(array) - 1), (array)[sizeof(array) - 1] = 0)

static struct catalog *cat;

/* ---- answers ---- */

static bool answered(struct cat_txn *txn, uint32_t conn, uint64_t unique)
{
	uint64_t got = 0;
	unsigned len = 0;
	return answer_find(txn, conn, unique, &got, sizeof got, &len) == 0 && len == sizeof got && got == unique * 3;
}

static int put_answer(struct cat_txn *txn, uint32_t conn, uint64_t unique)
{
	uint64_t answer = unique * 3;
	return answer_put(txn, conn, unique, &answer, sizeof answer);
}

static int many_answers(struct cat_txn *txn, void *arg, struct error *err)
{
	uint64_t unique, left;
	bool good = true;
	(void)arg, (void)err;
	for (unique = 1; good && unique <= ANSWERS_KEPT + 500; unique++)
		good = put_answer(txn, 7, unique << 33) == 0 && (unique % 100 || put_answer(txn, 8, unique) == 0);
	ok(good, "many answers are put");
	for (unique = 1; good && unique <= 500; unique += 13)
		good = !answered(txn, 7, unique << 33);
	ok(good && !answered(txn, 7, 500ull << 33), "old ones are gone");
	for (unique = 501; good && unique <= ANSWERS_KEPT + 500; unique += 13)
		good = answered(txn, 7, unique << 33);
	ok(good && answered(txn, 7, 501ull << 33), "the last ones are kept");
	ok(answered(txn, 8, 100), "a connection does not lose by another one's");
	ok(!answered(txn, 8, 501ull << 33), "nor find them");
	ok(db_count(txn, DB_ANSWER, &left) == 0 && left == ANSWERS_KEPT + 1 + 15 + 1, "no more rows than that");
	return 0;
}

static int odd_answers(struct cat_txn *txn, void *arg, struct error *err)
{
	char answer[ANSWER_MAX + 1] = "a", got[ANSWER_MAX];
	unsigned len = 99;
	(void)arg, (void)err;
	is_int(answer_find(txn, 9, 1, got, sizeof got, &len), -ENOENT, "a connection without answers");
	is_int(answer_put(txn, 9, 1, answer, ANSWER_MAX + 1), -EINVAL, "one that is too long");
	is_int(answer_put(txn, 9, 1, answer, ANSWER_MAX), 0, "the longest");
	is_int(answer_find(txn, 9, 1, got, sizeof got, &len), 0, "is found");
	ok(len == ANSWER_MAX && !memcmp(answer, got, len), "whole");
	is_int(answer_find(txn, 9, 1, got, sizeof got - 1, &len), -ERANGE, "not in less room");
	is_int(answer_put(txn, 9, 2, NULL, 0), 0, "an empty one");
	ok(answer_find(txn, 9, 2, NULL, 0, &len) == 0 && len == 0, "is found");
	answer[0] = 'b';
	is_int(answer_put(txn, 9, 1, answer, 1), 0, "another one to the same request");
	ok(answer_find(txn, 9, 1, got, sizeof got, &len) == 0 && len == 1 && got[0] == 'b', "is the one that counts");
	return 0;
}

static int forget(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)arg, (void)err;
	is_int(answer_forget(txn, 7), 0, "a connection is forgotten");
	ok(!answered(txn, 7, 1000ull << 33) && answered(txn, 8, 100), "that one, not the others");
	is_int(answer_forget(txn, 7), 0, "again: nothing to do");
	return put_answer(txn, 7, 5);
}

static void test_answers(void)
{
	struct cat_txn *txn = NULL;
	is_int(cat_write(cat, many_answers, NULL, NULL), 0, "many answers");
	is_int(cat_write(cat, odd_answers, NULL, NULL), 0, "odd answers");
	is_int(cat_write(cat, forget, NULL, NULL), 0, "forgetting");
	ok(cat_begin(cat, &txn, NULL) == 0 && answered(txn, 7, 5) && answered(txn, 8, 1500), "they are there for readers");
	cat_end(&txn);
}

/* ---- the log ---- */

struct trace {
	char text[200];
	uint64_t count, last;
	struct log_entry entry;
	bool in_order;
};

static int trace_entry(void *ctx, const struct log_entry *e)
{
	struct trace *t = ctx;
	size_t len = strlen(t->text);
	if (t->count < 20)
		snprintf(t->text + len, sizeof t->text - len, "%s ", e->operation);
	t->in_order = (t->count == 0 || e->seq == t->last + 1) && (t->count == 0 || t->in_order);
	t->count++;
	t->last = e->seq;
	t->entry = *e;
	return 0;
}

static int few_entries(struct cat_txn *txn, void *arg, struct error *err)
{
	struct log_entry e = { .time = 1, .account = 1, .owner = 1, .operation = "a" }, full;
	struct trace all = { .text = "" }, one = { .text = "" }, two = { .text = "" }, later = { .text = "" };
	uint64_t after;
	(void)arg, (void)err;
	ok(log_tail(txn, 100, &after) == 0 && after == 0, "the tail of an empty log is its beginning");
	is_int(log_add(txn, &e), 0, "an entry");
	e.owner = 2;
	snprintf(e.operation, sizeof(e.operation), "%s", "b");
	is_int(log_add(txn, &e), 0, "one that was done to somebody else");
	memset(&full, 0, sizeof full);
	full.seq = 3;
	full.time = INT64_MIN;
	full.account = full.owner = 2;
	full.uid = UINT32_MAX;
	full.result = ERR_DAMAGED;
	FILL(full.path), FILL(full.detail);
	snprintf(full.operation, sizeof(full.operation), "%s", "c");
	is_int(log_add(txn, &full), 0, "one with everything in it");
	is_int(log_each(txn, 0, 0, trace_entry, &all), 0, "the operator reads");
	is_str(all.text, "a b c ", "all, the oldest first");
	ok(all.in_order && !memcmp(&all.entry, &full, sizeof full), "and as they were, with their numbers");
	is_int(log_each(txn, 1, 0, trace_entry, &one), 0, "one reads");
	is_str(one.text, "a b ", "what it did");
	is_int(log_each(txn, 2, 0, trace_entry, &two), 0, "another reads");
	is_str(two.text, "b c ", "what it did and what was done to it");
	is_int(log_each(txn, 0, 2, trace_entry, &later), 0, "from the middle");
	is_str(later.text, "c ", "what came after");
	ok(log_tail(txn, 1, &after) == 0 && after == 2, "a short tail is the last entry");
	ok(log_tail(txn, 1 << 20, &after) == 0 && after == 0, "a long one is everything");
	memset(e.path, 'x', sizeof e.path);
	is_int(log_add(txn, &e), -EINVAL, "a path without end is refused");
	return 0;
}

#define ROUND 20000

static int many_entries(struct cat_txn *txn, void *arg, struct error *err)
{
	struct log_entry e;
	int r = 0;
	(void)err;
	memset(&e, 0, sizeof e);
	FILL(e.path), FILL(e.detail);
	snprintf(e.operation, sizeof(e.operation), "%s", (const char *)arg);
	for (unsigned i = 0; r == 0 && i < ROUND; i++) {
		e.account = e.owner = 100 + i % 12; /* so that no ring is full */
		r = log_add(txn, &e);
	}
	return r;
}

static int small_entries(struct cat_txn *txn, void *arg, struct error *err)
{
	struct log_entry e = { .account = 1 };
	int r = 0;
	(void)arg, (void)err;
	for (unsigned i = 0; r == 0 && i < 10; i++)
		r = log_add(txn, &e);
	return r;
}

static int add_length(void *ctx, struct bytes key, struct bytes value)
{
	(void)key;
	*(uint64_t *)ctx += value.len;
	return 0;
}

static void test_rotation(void)
{
	struct cat_txn *txn = NULL;
	struct trace all = { .text = "" }, tail = { .text = "" };
	char operation[] = "large";
	uint64_t after, rows, log_bytes = 0;
	bool good = true;
	for (unsigned i = 0; good && i < 5; i++) /* 72 MB */
		good = cat_write(cat, many_entries, operation, NULL) == 0;
	ok(good, "more entries than the log holds");
	ok(cat_begin(cat, &txn, NULL) == 0 && log_each(txn, 0, 0, trace_entry, &all) == 0, "it is read");
	ok(db_walk(txn, DB_LOG, NULL, NULL, add_length, &log_bytes) == 0, "and measured");
	ok(log_bytes <= LOG_BYTES && log_bytes > LOG_BYTES - 2000, "it is as large as it may be: %d", (int)log_bytes);
	ok(db_count(txn, DB_LOG, &rows) == 0 && all.in_order && all.count == rows && all.last == 3 + 5 * ROUND,
	   "it has the last ones, all in order");
	ok(log_tail(txn, 100000, &after) == 0 && log_each(txn, 0, after, trace_entry, &tail) == 0, "its tail");
	ok(tail.count * 750 > 90000 && tail.count * 700 < 110000 && tail.last == all.last,
	   "is about as long as it was asked for: %d entries", (int)tail.count);
	cat_end(&txn);
	is_int(cat_write(cat, small_entries, NULL, NULL), 0, "small ones are added");
	log_bytes = 0;
	ok(cat_begin(cat, &txn, NULL) == 0 && db_walk(txn, DB_LOG, NULL, NULL, add_length, &log_bytes) == 0, "and measured");
	ok(log_bytes <= LOG_BYTES, "they take the place of old ones");
	cat_end(&txn);
}

/* ---- rings ---- */

struct heard {
	unsigned of[4]; /* entries that this account made */
	uint64_t bytes;
	bool in_order;
	uint64_t last;
};

static int hear(void *ctx, const struct log_entry *e)
{
	struct heard *h = ctx;
	if (e->account < 4)
		h->of[e->account]++;
	h->bytes += strlen(e->path) + strlen(e->detail) + 40;
	h->in_order = (h->last == 0 || h->in_order) && e->seq > h->last;
	h->last = e->seq;
	return 0;
}

/* Account 3 does much, every second time to account 1. */
static int flood(struct cat_txn *txn, void *arg, struct error *err)
{
	struct log_entry quiet = { .account = 1, .owner = 1, .operation = "quiet" }, busy = { .account = 3, .operation = "busy" };
	int r = 0;
	(void)arg, (void)err;
	FILL(busy.path), FILL(busy.detail);
	for (unsigned i = 0; !r && i < 3; i++)
		r = log_add(txn, &quiet);
	quiet.account = quiet.owner = 2;
	if (!r)
		r = log_add(txn, &quiet);
	for (unsigned i = 0; !r && i < ROUND; i++) {
		busy.owner = i % 2 ? 1 : 3;
		r = log_add(txn, &busy);
	}
	return r;
}

static void open_another(const char *name)
{
	struct error err;
	char dir[4096];
	snprintf(dir, sizeof dir, "%s/%s", test_folder(), name);
	if (mkdir(dir, 0700) || catalog_open(&cat, dir, CAT_CREATE, &err))
		bail("no catalog %s", name);
}

static void test_rings(const char *name)
{
	struct cat_txn *txn = NULL;
	struct heard one = { .bytes = 0 }, two = { .bytes = 0 }, three = { .bytes = 0 }, all = { .bytes = 0 };
	uint64_t rows;
	open_another(name);
	is_int(cat_write(cat, flood, NULL, NULL), 0, "one account does much");
	ok(cat_begin(cat, &txn, NULL) == 0 && log_newest(txn, 1, 4u << 20, hear, &one) == 0, "a neighbour reads");
	is_int((int)one.of[1], 3, "all that they did themselves is there");
	ok(one.of[3] > 100 && one.in_order && one.bytes < 2u << 20, "and a part of what was done to them, in order");
	ok(log_newest(txn, 2, 4u << 20, hear, &two) == 0 && two.of[2] == 1 && two.of[3] == 0, "another has all of theirs");
	ok(log_newest(txn, 3, 4u << 20, hear, &three) == 0 && three.of[3] > 1000 && three.bytes < 5u << 20, "who did much has the newest of it");
	ok(log_newest(txn, 0, 4u << 20, hear, &all) == 0, "an operator reads");
	ok(all.of[1] == 3 && all.of[2] == 1 && all.of[3] > 1000 && all.in_order, "of all, in order");
	ok(all.bytes < 5u << 20, "no more than was asked for");
	ok(db_count(txn, DB_LOG, &rows) == 0 && rows * 700 < 9u << 20, "what one account did has a bound");
	cat_end(&txn);
	catalog_close(cat);
}

/* As it was written before there were rings. */
static int write_of_old(struct cat_txn *txn, void *arg, struct error *err)
{
	struct key k;
	struct record state;
	struct log_entry e = { .account = 1, .owner = 1, .operation = "old" };
	(void)arg, (void)err;
	int r = log_add(txn, &e);
	e.account = 2;
	if (!r)
		r = log_add(txn, &e);
	if (!r)
		r = db_remove_all(txn, DB_LOG_RING, NULL);
	uint64_t bytes = 0;
	if (!r)
		r = db_walk(txn, DB_LOG, NULL, NULL, add_length, &bytes);
	record_start(&state, 1);
	record_u64(&state, 2);
	record_u64(&state, bytes);
	key_start(&k);
	key_u8(&k, 'l');
	return r ? r : db_put(txn, DB_META, &k, &state);
}

static int one_more(struct cat_txn *txn, void *arg, struct error *err)
{
	struct log_entry e = { .account = 1, .owner = 1, .operation = "new" };
	(void)arg, (void)err;
	return log_add(txn, &e);
}

static void test_old_log(const char *name)
{
	struct cat_txn *txn = NULL;
	struct heard before = { .bytes = 0 }, after = { .bytes = 0 }, all = { .bytes = 0 };
	open_another(name);
	is_int(cat_write(cat, write_of_old, NULL, NULL), 0, "has a log without rings");
	ok(cat_begin(cat, &txn, NULL) == 0 && log_newest(txn, 1, 4u << 20, hear, &before) == 0 && before.of[1] == 1 && before.of[2] == 1,
	   "which is read as it is");
	cat_end(&txn);
	is_int(cat_write(cat, one_more, NULL, NULL), 0, "an entry is added");
	ok(cat_begin(cat, &txn, NULL) == 0 && log_newest(txn, 1, 4u << 20, hear, &after) == 0 && after.of[1] == 2 && after.of[2] == 1,
	   "and nothing is lost");
	ok(log_newest(txn, 0, 4u << 20, hear, &all) == 0 && all.of[1] == 2 && all.of[2] == 1 && all.in_order, "to operators neither");
	cat_end(&txn);
	catalog_close(cat);
}

int main(void)
{
	struct error err;
	if (catalog_open(&cat, test_folder(), CAT_CREATE, &err))
		bail("%s", err.text);
	test_answers();
	is_int(cat_write(cat, few_entries, NULL, NULL), 0, "a few log entries");
	test_rotation();
	catalog_close(cat);
	test_rings("rings");
	test_old_log("old");
	return done_testing();
}
