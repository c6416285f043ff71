/* SPDX-License-Identifier: Apache-2.0 */
/* image: rows, and all that is derived from them, agree with a model, whatever is done; settings too. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/db.h"
#include "catalog/image.h"
#include "tap.h"

#define ROWS 80
#define SHELVES 5
#define NAMES 25
#define IDS 12
#define KEYS 4

struct model_row {
	bool there;
	struct image image;
	int settings[KEYS + 1]; /* a number that its text is made of; 0: none */
};

struct model {
	struct model_row rows[ROWS + 1]; /* by node */
	uint64_t random;
};

static struct catalog *cat;

static uint64_t below(struct model *m, uint64_t limit) { return test_random(&m->random) % limit; }

static struct shelf shelf_at(unsigned i)
{
	static const struct shelf shelves[SHELVES] = {
		{ 0, 1, TYPE_PUBLIC, false }, { 1, 1, TYPE_CUSTOM, false }, { 1, 1, TYPE_CUSTOM, true },
		{ 1, 256, TYPE_CUSTOM, false }, { 256, 1, TYPE_INSTANCE, false },
	};
	return shelves[i];
}

static bool same_shelf(const struct shelf *a, const struct shelf *b)
{
	return a->account == b->account && a->region == b->region && a->type == b->type && a->trash == b->trash;
}

static void name_at(unsigned i, char *ret, size_t room)
{
	switch (i % 3) {
	case 0: snprintf(ret, room, "n%u", i); break;
	case 1: snprintf(ret, room, "n%u with a longer name", i); break;
	default: snprintf(ret, room, "n\xc3\xa4%u", i); break;
	}
}

/* Sets what indexes depend on; the rest is told from the node. */
static void fill(struct model *m, struct image *i, uint64_t node)
{
	i->node = node;
	i->shelf = shelf_at((unsigned)below(m, SHELVES));
	name_at((unsigned)below(m, NAMES), i->name, sizeof i->name);
	i->kind = below(m, 4) == 0 ? KIND_ALIAS : KIND_IMAGE;
	i->id = below(m, IDS);
	i->from = below(m, IDS);
	i->created = -(int64_t)node;
	i->state = (uint8_t)below(m, STATE_TRASHED + 1);
	snprintf(i->reason, sizeof i->reason, "reason %d", (int)below(m, 1000));
}

static bool same_image(const struct image *a, const struct image *b)
{
	return a->node == b->node && a->id == b->id && same_shelf(&a->shelf, &b->shelf) &&
	       !strcmp(a->name, b->name) && a->kind == b->kind && a->state == b->state && a->from == b->from &&
	       a->created == b->created && !strcmp(a->reason, b->reason);
}

static struct model_row *named(struct model *m, const struct shelf *s, const char *name)
{
	for (unsigned i = 1; i <= ROWS; i++)
		if (m->rows[i].there && same_shelf(&m->rows[i].image.shelf, s) &&
		    !strcmp(m->rows[i].image.name, name))
			return &m->rows[i];
	return NULL;
}

/* ---- one random step in both; false: they do not agree ---- */

static bool step_put(struct model *m, struct cat_txn *txn, uint64_t node)
{
	struct model_row *row = &m->rows[node];
	struct image image = row->there ? row->image : (struct image){ .node = node };
	if (!row->there || below(m, 3))
		fill(m, &image, node);
	else
		image.state = STATE_FAILED;
	struct model_row *other = named(m, &image.shelf, image.name);
	int want = other && other != row ? -EEXIST : 0;
	if (want == 0) {
		row->there = true;
		row->image = image;
	}
	return image_put(txn, &image) == want;
}

static bool step_remove(struct model *m, struct cat_txn *txn, uint64_t node)
{
	struct model_row *row = &m->rows[node];
	int want = row->there ? 0 : -ENOENT;
	if (row->there)
		memset(row, 0, sizeof *row);
	return image_remove(txn, node) == want;
}

static unsigned setting_text(int number, char ret[64]) { return (unsigned)snprintf(ret, 64, "value %d", number); }

static bool step_setting(struct model *m, struct cat_txn *txn, uint64_t node)
{
	struct model_row *row = &m->rows[node];
	uint8_t key = (uint8_t)(1 + below(m, KEYS));
	char text[64];
	if (!row->there)
		return true;
	if (below(m, 3) == 0) {
		int want = row->settings[key] ? 0 : -ENOENT;
		row->settings[key] = 0;
		return setting_remove(txn, node, key) == want;
	}
	row->settings[key] = 1 + (int)below(m, 1000);
	return setting_put(txn, node, key, text, setting_text(row->settings[key], text)) == 0;
}

static bool step_copy(struct model *m, struct cat_txn *txn, uint64_t node)
{
	uint64_t to = 1 + below(m, ROWS);
	if (!m->rows[node].there || !m->rows[to].there)
		return true;
	for (unsigned key = 1; key <= KEYS; key++)
		if (m->rows[node].settings[key])
			m->rows[to].settings[key] = m->rows[node].settings[key];
	return setting_copy_all(txn, node, to) == 0;
}

static bool step(struct model *m, struct cat_txn *txn)
{
	uint64_t node = 1 + below(m, ROWS);
	switch (below(m, 8)) {
	case 0:
	case 1:
	case 2: return step_put(m, txn, node);
	case 3: return step_remove(m, txn, node);
	case 4: return step_copy(m, txn, node);
	default: return step_setting(m, txn, node);
	}
}

/* ---- comparing all of it ---- */

/* A walk is compared as the list of nodes it gave. */
struct list {
	unsigned count;
	uint64_t nodes[ROWS];
};

static int add_node(void *ctx, uint64_t node)
{
	struct list *l = ctx;
	if (l->count == ROWS)
		return ERR_DAMAGED;
	l->nodes[l->count++] = node;
	return 0;
}

static int add_image(void *ctx, const struct image *i) { return add_node(ctx, i->node); }

static bool same_list(const struct list *a, const struct list *b)
{
	return a->count == b->count && !memcmp(a->nodes, b->nodes, a->count * sizeof *a->nodes);
}

static bool check_shelf(const struct model *m, struct cat_txn *txn, unsigned s, uint64_t after)
{
	struct shelf shelf = shelf_at(s);
	struct list want = { 0 }, got = { 0 };
	uint64_t images = 0, count;
	for (unsigned i = 1; i <= ROWS; i++) {
		const struct model_row *row = &m->rows[i];
		if (!row->there || !same_shelf(&row->image.shelf, &shelf))
			continue;
		images += row->image.kind == KIND_IMAGE;
		if (i > after)
			add_node(&want, i);
	}
	return image_each(txn, &shelf, after, add_image, &got) == 0 && same_list(&want, &got) &&
	       image_count(txn, &shelf, &count) == 0 && count == images;
}

static bool check_id(const struct model *m, struct cat_txn *txn, uint64_t id, uint64_t after)
{
	struct list want = { 0 }, got = { 0 };
	struct image image;
	uint64_t newest = 0;
	for (unsigned i = 1; i <= ROWS; i++) {
		if (!m->rows[i].there)
			continue;
		if (m->rows[i].image.id == id)
			newest = i;
		if (m->rows[i].image.from == id && i > after)
			add_node(&want, i);
	}
	int r = image_by_id(txn, id, &image);
	if (newest ? r || image.node != newest : r != -ENOENT)
		return false;
	return image_each_child(txn, id, after, add_node, &got) == 0 && same_list(&want, &got);
}

struct setting_check {
	const struct model_row *row;
	unsigned seen;
	uint8_t last;
	bool good;
};

static int check_setting(void *ctx, uint8_t key, const char *value, unsigned len)
{
	struct setting_check *c = ctx;
	char text[64];
	c->seen++;
	if (key <= c->last || key > KEYS || len != setting_text(c->row->settings[key], text) || strcmp(text, value))
		c->good = false;
	c->last = key;
	return 0;
}

static bool check_row(const struct model *m, struct cat_txn *txn, uint64_t node)
{
	const struct model_row *row = &m->rows[node];
	struct image image;
	struct setting_check c = { row, 0, 0, true };
	unsigned settings = 0;
	for (unsigned key = 1; key <= KEYS; key++)
		settings += row->settings[key] != 0;
	if (setting_each(txn, node, check_setting, &c) || !c.good || c.seen != settings)
		return false;
	int r = image_get(txn, node, &image);
	if (!row->there)
		return r == -ENOENT;
	return r == 0 && same_image(&image, &row->image) &&
	       image_find(txn, &row->image.shelf, row->image.name, &image) == 0 && image.node == node;
}

static bool check_names(struct model *m, struct cat_txn *txn)
{
	for (unsigned s = 0; s < SHELVES; s++)
		for (unsigned n = 0; n < NAMES; n++) {
			struct shelf shelf = shelf_at(s);
			struct image image;
			char name[TRASH_NAME_MAX + 1];
			name_at(n, name, sizeof name);
			if (image_find(txn, &shelf, name, &image) != (named(m, &shelf, name) ? 0 : -ENOENT))
				return false;
		}
	return true;
}

static bool check_all(const struct model *m, struct cat_txn *txn, uint64_t after)
{
	struct list want = { 0 }, got = { 0 };
	for (unsigned i = 1; i <= ROWS; i++)
		if (m->rows[i].there && i > after)
			add_node(&want, i);
	return image_each_all(txn, after, add_image, &got) == 0 && same_list(&want, &got);
}

static bool agrees(struct model *m)
{
	struct cat_txn *txn = NULL;
	if (cat_begin(cat, &txn, NULL))
		return false;
	uint64_t after = below(m, ROWS);
	bool good = check_names(m, txn) && check_all(m, txn, 0) && check_all(m, txn, after);
	for (uint64_t node = 1; good && node <= ROWS; node++)
		good = check_row(m, txn, node);
	for (unsigned s = 0; good && s < SHELVES; s++)
		good = check_shelf(m, txn, s, 0) && check_shelf(m, txn, s, after);
	for (uint64_t id = 1; good && id < IDS; id++)
		good = check_id(m, txn, id, 0) && check_id(m, txn, id, after);
	cat_end(&txn);
	return good;
}

/* A few steps in a transaction of their own or in a part of one, which may be undone. */
static bool run_part(struct model *m, struct cat_txn *whole)
{
	static struct model before;
	struct cat_txn txn;
	before = *m;
	bool good = db_write_begin(cat, whole, &txn, NULL) == 0;
	for (unsigned n = 1 + (unsigned)below(m, 20); n && good; n--)
		good = step(m, &txn);
	if (good && below(m, 4))
		return db_write_commit(&txn, NULL) == 0;
	db_write_abort(&txn);
	before.random = m->random; /* all goes back but this */
	*m = before;
	return good;
}

/* Like writers that share a commit. */
static bool run_parts(struct model *m)
{
	struct cat_txn whole;
	bool good = db_write_begin(cat, NULL, &whole, NULL) == 0;
	for (unsigned n = 1 + (unsigned)below(m, 5); n && good; n--)
		good = run_part(m, &whole);
	return good && db_write_commit(&whole, NULL) == 0;
}

static void test_random_steps(void)
{
	static struct model m;
	bool good = true;
	m.random = test_seed();
	for (unsigned round = 0; good && round < 200; round++) {
		good = below(&m, 2) ? run_part(&m, NULL) : run_parts(&m);
		if (round % 10 == 9)
			good = good && agrees(&m);
	}
	ok(good, "random steps, some of them undone, agree with the model");
	ok(agrees(&m), "and so does all of it at the end");
	AUTO_FD int fd = open("/dev/null", O_WRONLY);
	is_int(catalog_copy(cat, fd, NULL), 0, "no page of the database was lost");
}

/* ---- fields, limits, damage ---- */

#define FILL(array) (memset((array), 'x', sizeof(array) - 1), (array)[sizeof(array) - 1] = 0)

static struct image full_image(void)
{
	struct image i;
	memset(&i, 0, sizeof i);
	i.node = UINT64_MAX - 1;
	i.id = UINT64_MAX - 2;
	i.shelf = (struct shelf){ UINT32_MAX, UINT32_MAX - 1, TYPE_SHARED, true };
	FILL(i.name), FILL(i.from_text), FILL(i.target), FILL(i.upload), FILL(i.reason), FILL(i.format);
	i.kind = KIND_ALIAS;
	i.state = STATE_TRASHED;
	i.state_before_trash = STATE_DEPRECATED;
	i.is_protected = i.used = i.published = i.expect_sha = i.incomplete = true;
	i.replaced_by = UINT64_MAX;
	i.maker_pid = i.maker_conn = UINT32_MAX;
	i.owner = 77;
	i.created = INT64_MIN;
	i.changed = INT64_MAX;
	i.last_used = -1;
	i.trashed = 5;
	i.disk = 6;
	i.from = 7;
	i.expect_size = 8;
	memset(i.expect_sha256, 0xee, sizeof i.expect_sha256);
	return i;
}

static int fullest(struct cat_txn *txn, void *arg, struct error *err)
{
	struct image i = full_image(), got;
	char setting[SETTING_MAX];
	(void)arg, (void)err;
	memset(setting, 'y', sizeof setting);
	memset(&got, 0xaa, sizeof got);
	is_int(image_put(txn, &i), 0, "a row with everything in it is put");
	is_int(image_get(txn, i.node, &got), 0, "and read");
	ok(!memcmp(&i, &got, sizeof i), "as it was");
	is_int(setting_put(txn, i.node, 255, setting, SETTING_MAX), 0, "the longest setting is put");
	is_int(setting_put(txn, i.node, 255, setting, SETTING_MAX + 1), -E2BIG, "a longer one is refused");
	is_int(setting_put(txn, i.node, 0, "x", 1), -EINVAL, "and so is key 0");
	unsigned len = 0;
	is_int(setting_get(txn, i.node, 255, setting, SETTING_MAX, &len), 0, "it fits where it must");
	is_int(len, SETTING_MAX, "whole");
	is_int(setting_get(txn, i.node, 255, setting, SETTING_MAX - 1, &len), -ERANGE, "but not in less");
	is_int(setting_put(txn, i.node, 1, "", 0), 0, "an empty setting is one");
	is_int(setting_get(txn, i.node, 1, setting, 1, &len), 0, "and is found");
	ok(len == 0 && setting[0] == 0, "empty");
	int64_t time = 0, other = 0;
	ok(setting_time(txn, i.node, 1, &time) == 0 && time > 0, "it knows when it was written");
	is_int(setting_set_time(txn, i.node, 255, 12345), 0, "another time can be said");
	is_int(setting_set_time(txn, i.node, 2, 12345), -ENOENT, "of what is there");
	is_int(setting_copy_all(txn, i.node, i.node + 1), 0, "copied, settings");
	ok(setting_time(txn, i.node + 1, 255, &other) == 0 && other == 12345 && setting_time(txn, i.node + 1, 1, &other) == 0 && other == time,
	   "keep their times");
	is_int(setting_get(txn, i.node + 1, 255, setting, SETTING_MAX, &len) + (int)len, SETTING_MAX, "and their values");
	is_int(setting_remove(txn, i.node + 1, 1) | setting_remove(txn, i.node + 1, 255), 0, "and go");
	memset(i.name, 'z', sizeof i.name);
	is_int(image_put(txn, &i), -EINVAL, "a name without end is refused");
	i = full_image();
	i.name[0] = 0;
	is_int(image_put(txn, &i), -EINVAL, "an empty one too");
	i = full_image();
	i.shelf.type = TYPE_MAX_;
	is_int(image_put(txn, &i), -EINVAL, "and a type that does not exist");
	return 0;
}

static int damage(struct cat_txn *txn, void *arg, struct error *err)
{
	struct image i = full_image(), got;
	struct bytes value;
	struct key k;
	struct record whole, cut;
	bool good = true;
	(void)arg, (void)err;
	key_of_u64(&k, i.node);
	if (db_get(txn, DB_IMAGE, &k, &value))
		return -EIO;
	memcpy(whole.data, value.data, value.len);
	whole.len = value.len;
	whole.bad = false;
	for (size_t len = 1; good && len < whole.len; len++) {
		cut = whole;
		cut.len = len;
		good = db_put(txn, DB_IMAGE, &k, &cut) == 0 && image_get(txn, i.node, &got) == ERR_DAMAGED;
	}
	ok(good, "a row that ends early is damage wherever it ends");
	cut = whole;
	cut.data[cut.len++] = 0;
	ok(db_put(txn, DB_IMAGE, &k, &cut) == 0 && image_get(txn, i.node, &got) == ERR_DAMAGED, "one that goes on too");
	cut = whole;
	cut.data[0] = 9;
	ok(db_put(txn, DB_IMAGE, &k, &cut) == 0 && image_get(txn, i.node, &got) == ERR_DAMAGED, "and another version");
	is_int(db_remove(txn, DB_IMAGE, &k), 0, "the row is taken away below its indexes");
	is_int(image_find(txn, &i.shelf, i.name, &got), ERR_DAMAGED, "a name of a row that is not there is damage");
	is_int(image_by_id(txn, i.id, &got), ERR_DAMAGED, "an id too");
	is_int(image_each(txn, &i.shelf, 0, add_image, &(struct list){ 0 }), ERR_DAMAGED, "a listing too");
	return -ECANCELED;
}

static int remove_it(void *ctx, const struct image *i)
{
	void **both = ctx;
	(*(unsigned *)both[1])++;
	return image_remove(both[0], i->node);
}

static int empty_all(struct cat_txn *txn, void *arg, struct error *err)
{
	void *both[2] = { txn, arg };
	(void)err;
	return image_each_all(txn, 0, remove_it, both);
}

static int stop_at_once(void *ctx, const struct image *i)
{
	(void)ctx, (void)i;
	return 42;
}

static void test_edges(void)
{
	struct cat_txn *txn = NULL;
	unsigned removed = 0;
	uint64_t left;
	char long_name[1000];
	struct shelf shelf = shelf_at(0);
	struct image got;
	is_int(cat_write(cat, fullest, NULL, NULL), 0, "the fullest rows");
	is_int(cat_write(cat, damage, NULL, NULL), -ECANCELED, "damage");
	memset(long_name, 'n', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = 0;
	ok(cat_begin(cat, &txn, NULL) == 0, "reading");
	is_int(image_find(txn, &shelf, long_name, &got), -ENOENT, "a name that is too long is not there");
	is_int(image_each_all(txn, 0, stop_at_once, NULL), 42, "what a callback returns ends the walk");
	cat_end(&txn);
	is_int(cat_write(cat, empty_all, &removed, NULL), 0, "rows may be removed in a walk over them");
	ok(cat_begin(cat, &txn, NULL) == 0, "reading");
	static const enum db_table tables[] = { DB_IMAGE, DB_IMAGE_NAME, DB_IMAGE_SHELF, DB_IMAGE_ID,
						DB_IMAGE_CHILD, DB_IMAGE_COUNT, DB_SETTING };
	for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++)
		ok(db_count(txn, tables[i], &left) == 0 && left == 0, "nothing is left in table %d", (int)tables[i]);
	cat_end(&txn);
	ok(removed > 1, "%u rows were removed", removed);
}

int main(void)
{
	struct error err;
	if (catalog_open(&cat, test_folder(), CAT_CREATE, &err))
		bail("%s", err.text);
	test_random_steps();
	test_edges();
	catalog_close(cat);
	return done_testing();
}
