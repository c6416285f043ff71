/* SPDX-License-Identifier: Apache-2.0 */
/* Terms of images: what counts as a price and a licence, what is inherited, what may be set. */
#include "domain/price.h"

#include <stdio.h>
#include <string.h>

#include "../lib/tap.h"
#include "base/buf.h"
#include "catalog/account.h"

enum { OPERATOR = 1, VENDOR, USER };

static struct cat_txn *txn; /* of the test that runs */
static struct error err;

static void must(int r, const char *what)
{
	if (r)
		bail("%s: %s", what, err_name(r));
}

static struct image make(enum image_type type, uint32_t owner)
{
	bool common = type == TYPE_PUBLIC || type == TYPE_MARKETPLACE;
	struct image i = { .shelf = { common ? 0 : owner, 1, (uint8_t)type, false }, .owner = owner, .state = STATE_AVAILABLE };
	i.node = cat_next(txn, COUNTER_NODE);
	i.id = cat_next(txn, COUNTER_NODE);
	snprintf(i.name, sizeof i.name, "image-%u", (unsigned)i.id);
	must(image_put(txn, &i), "image_put");
	return i;
}

static void set(const struct image *i, enum setting_key key, const char *value)
{
	must(setting_put(txn, i->node, (uint8_t)key, value, (unsigned)strlen(value)), "setting_put");
}

static struct terms terms_of(const struct image *i)
{
	struct terms t;
	must(terms_get(txn, i, &t), "terms_get");
	return t;
}

static const char *text_of(const struct image *i)
{
	static char text[300];
	struct buf b = BUF_INIT;
	struct terms t = terms_of(i);
	struct region g = { .no = 1, .instance_price = "0.02", .windows_fee = "0.01" };
	must(terms_text(txn, &t, &g, &b), "terms_text");
	snprintf(text, sizeof text, "%s", b.data);
	buf_free(&b);
	return text;
}

/* ---- what counts ---- */

static void test_licence(void)
{
	struct image i = make(TYPE_CUSTOM, USER);
	is_str(terms_of(&i).license, "", "nothing is said: no licence");
	set(&i, SET_OS, "debian 12\n");
	is_str(terms_of(&i).license, "", "nor for Debian");
	set(&i, SET_OS, "windows 2022\n");
	is_str(terms_of(&i).license, "windows", "Windows has one");
	set(&i, SET_OS, "Windows Server 2022\n");
	is_str(terms_of(&i).license, "windows", "however it is written");
	set(&i, SET_LICENSE, "byol\n");
	is_str(terms_of(&i).license, "byol", "unless one brings it");
	struct terms t = terms_of(&i);
	ok(!terms_have_windows(&t), "which costs nothing");
}

static void test_price(void)
{
	struct image custom = make(TYPE_CUSTOM, VENDOR), sold = make(TYPE_MARKETPLACE, VENDOR), public = make(TYPE_PUBLIC, OPERATOR);
	set(&custom, SET_PRICE, "5 once\n");
	set(&sold, SET_PRICE, "0.5 hour\n");
	set(&public, SET_PRICE, "0 month\n");
	is_int(terms_of(&custom).unit, PRICE_NONE, "a custom image's price is asked of nobody");
	is_int(terms_of(&sold).unit, PRICE_HOUR, "one in the marketplace is");
	is_int(terms_of(&sold).price, 500000, "as it says");
	is_int(terms_of(&sold).vendor, VENDOR, "and paid to its vendor");
	is_int(terms_of(&public).unit, PRICE_NONE, "nothing is no price");
	is_str(text_of(&sold), "0.02 USD/hour + 0.5 USD/hour (marketplace, vendor acme)", "a start of it");
	set(&sold, SET_OS, "windows 11\n");
	set(&sold, SET_PRICE, "30 month\n");
	is_str(text_of(&sold), "0.02 USD/hour + 30 USD/month (marketplace, vendor acme) + 0.01 USD/hour (windows licence)", "with a licence");
}

/* ---- inheriting ---- */

static void test_chain(void)
{
	struct image sold = make(TYPE_MARKETPLACE, VENDOR), server = make(TYPE_INSTANCE, USER), golden = make(TYPE_CUSTOM, USER);
	set(&sold, SET_PRICE, "5.00 once\n");
	set(&sold, SET_OS, "windows 2022\n");
	must(terms_replace(txn, &server, &sold), "terms_replace");
	is_int(terms_of(&server).price, 5000000, "an instance has the price");
	is_int(terms_of(&server).vendor, VENDOR, "of the vendor");
	is_str(terms_of(&server).license, "windows", "and the licence, though it has no os");
	must(terms_inherit(txn, &golden, &server, &err), "terms_inherit");
	golden.from = server.id;
	is_int(golden.inherits, INHERITS_LICENSE | INHERITS_PRICE, "an image of it inherits both");
	is_int(terms_of(&golden).vendor, VENDOR, "the vendor stays the vendor");
	set(&golden, SET_OS, "debian 12\n");
	is_str(terms_of(&golden).license, "windows", "whatever it says it is");
	struct image again = make(TYPE_MARKETPLACE, USER);
	must(terms_inherit(txn, &again, &golden, &err), "terms_inherit");
	is_int(terms_of(&again).vendor, VENDOR, "sold by another, it is still the first one's");
	set(&sold, SET_PRICE, "9 once\n");
	is_int(terms_of(&golden).price, 5000000, "a new price is for later copies");
	struct image free_one = make(TYPE_CUSTOM, USER);
	must(terms_replace(txn, &server, &free_one), "terms_replace");
	is_int(terms_of(&server).unit, PRICE_NONE, "installed anew with another it has that one's terms");
	is_int(server.inherits, 0, "and no others");
}

static void test_two_sources(void)
{
	struct image a = make(TYPE_MARKETPLACE, VENDOR), b = make(TYPE_MARKETPLACE, VENDOR), free_one = make(TYPE_CUSTOM, USER);
	struct image to = make(TYPE_CUSTOM, USER), windows = make(TYPE_PUBLIC, OPERATOR), byol = make(TYPE_PUBLIC, OPERATOR);
	set(&a, SET_PRICE, "5 once\n");
	set(&b, SET_PRICE, "0.000001 once\n");
	set(&windows, SET_LICENSE, "windows\n");
	set(&byol, SET_LICENSE, "byol\n");
	must(terms_inherit(txn, &to, &a, &err), "terms_inherit");
	is_int(terms_inherit(txn, &to, &b, &err), -EPERM, "not bytes of two with different prices");
	ok(strstr(err.text, "another price"), "and it says so");
	is_int(terms_inherit(txn, &to, &a, &err), 0, "more of the same");
	is_int(terms_inherit(txn, &to, &free_one, &err), 0, "or of a free one");
	is_int(terms_of(&to).price, 5000000, "change nothing");
	must(terms_inherit(txn, &to, &byol, &err), "terms_inherit");
	must(terms_inherit(txn, &to, &windows, &err), "terms_inherit");
	is_str(terms_of(&to).license, "windows", "of two licences the one that is paid for counts");
	must(terms_inherit(txn, &to, &byol, &err), "terms_inherit");
	is_str(terms_of(&to).license, "windows", "in whichever order");
	to.inherits |= INHERITS_STALE;
	must(terms_inherit(txn, &to, &free_one, &err), "terms_inherit");
	is_int(terms_of(&to).price, 5000000, "emptied, it has them still");
	must(terms_inherit(txn, &to, &b, &err), "terms_inherit");
	is_int(terms_of(&to).price, 1, "until others come");
	ok(!(to.inherits & INHERITS_STALE), "which stay");
}

/* ---- setting ---- */

static int may_set(const struct image *i, enum setting_key key, const char *value)
{
	return terms_may_set(txn, i, key, value, (unsigned)strlen(value), &err);
}

static void test_setting(void)
{
	struct image sold = make(TYPE_MARKETPLACE, VENDOR), to = make(TYPE_CUSTOM, USER);
	set(&sold, SET_PRICE, "5 once\n");
	set(&sold, SET_LICENSE, "windows\n");
	is_int(may_set(&sold, SET_PRICE, "6 once\n"), 0, "one's own price is one's own");
	must(terms_inherit(txn, &to, &sold, &err), "terms_inherit");
	is_int(may_set(&to, SET_PRICE, "6 once\n"), -EPERM, "another's is not");
	is_int(may_set(&to, SET_PRICE, "5 hour\n"), -EPERM, "nor its unit");
	is_int(may_set(&to, SET_PRICE, ""), -EPERM, "nor is it cleared");
	is_int(may_set(&to, SET_PRICE, "5.0 once\n"), 1, "what it is already is accepted");
	is_int(may_set(&to, SET_LICENSE, "windows\n"), 1, "the licence as well");
	is_int(may_set(&to, SET_LICENSE, "byol\n"), -EPERM, "but no other");
	is_int(may_set(&to, SET_OS, "debian 12\n"), 0, "all else may be said");
	to.state = STATE_PENDING;
	is_int(may_set(&to, SET_PRICE, "6 once\n"), 1, "what a copying tool brings is ignored");
	is_int(may_set(&to, SET_PRICE, ""), -EPERM, "it clears nothing");
}

static void test_parse(void)
{
	static const char *const bad[] = { "", "5", "once", "5 week", "5 once more", "-5 once", "5. once", "0.0000001 once", "1e2 hour" };
	money m;
	enum price_unit unit;
	is_int(price_parse("0.25 hour", &m, &unit), 0, "a price");
	ok(m == 250000 && unit == PRICE_HOUR, "is what it says");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		is_int(price_parse(bad[i], &m, &unit), -EINVAL, "\"%s\" is none", bad[i]);
}

static int run_all(struct cat_txn *t, void *arg, struct error *e)
{
	struct account vendor = { .no = VENDOR, .name = "acme", .accept = "all" };
	(void)arg, (void)e;
	txn = t;
	must(account_put(txn, &vendor), "account_put");
	test_licence();
	test_price();
	test_chain();
	test_two_sources();
	test_setting();
	return 0;
}

int main(void)
{
	struct catalog *cat;
	if (catalog_open(&cat, test_folder(), CAT_CREATE, &err))
		bail("%s", err.text);
	test_parse();
	is_int(cat_write(cat, run_all, NULL, &err), 0, "all of it is kept");
	catalog_close(cat);
	return done_testing();
}
