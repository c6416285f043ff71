/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/price.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "catalog/account.h"
#include "domain/policy.h"

static const char *const unit_names[] = { [PRICE_NONE] = "", [PRICE_ONCE] = "once", [PRICE_HOUR] = "hour", [PRICE_MONTH] = "month" };

int price_parse(const char *text, money *ret, enum price_unit *ret_unit)
{
	char amount[24], unit[8], more[2];
	if (sscanf(text, "%23s %7s %1s", amount, unit, more) != 2 || money_parse(amount, ret))
		return -EINVAL;
	for (enum price_unit u = PRICE_ONCE; u <= PRICE_MONTH; u++)
		if (strcmp(unit, unit_names[u]) == 0) {
			*ret_unit = u;
			return 0;
		}
	return -EINVAL;
}

/* Its first line; "" when it has none. */
static int read_setting(struct cat_txn *txn, uint64_t node, enum setting_key key, char ret[SETTING_MAX + 1])
{
	unsigned len = 0;
	int r = setting_get(txn, node, (uint8_t)key, ret, SETTING_MAX + 1, &len);
	ret[r ? 0 : len] = 0;
	ret[strcspn(ret, "\n")] = 0;
	return r == -ENOENT ? 0 : r;
}

static int read_license(struct cat_txn *txn, const struct image *i, struct terms *ret)
{
	char text[SETTING_MAX + 1];
	int r = read_setting(txn, i->node, SET_LICENSE, text);
	if (r || text[0]) {
		snprintf(ret->license, sizeof ret->license, "%.32s", text);
		return r;
	}
	r = read_setting(txn, i->node, SET_OS, text);
	if (strncasecmp(text, "windows", 7) == 0)
		snprintf(ret->license, sizeof ret->license, "windows");
	return r;
}

static int read_price(struct cat_txn *txn, const struct image *i, struct terms *ret)
{
	char text[SETTING_MAX + 1];
	bool common = i->shelf.type == TYPE_PUBLIC || i->shelf.type == TYPE_MARKETPLACE;
	if (!(i->inherits & INHERITS_PRICE) && !common)
		return 0;
	int r = read_setting(txn, i->node, SET_PRICE, text);
	if (r || !text[0])
		return r;
	if (price_parse(text, &ret->price, &ret->unit))
		return ERR_DAMAGED;
	if (ret->price == 0)
		ret->unit = PRICE_NONE;
	else
		ret->vendor = i->inherits & INHERITS_PRICE ? i->vendor : i->owner;
	return 0;
}

int terms_get(struct cat_txn *txn, const struct image *i, struct terms *ret)
{
	*ret = (struct terms){ .unit = PRICE_NONE };
	int r = read_license(txn, i, ret);
	return r ? r : read_price(txn, i, ret);
}

bool terms_have_windows(const struct terms *t) { return strcasecmp(t->license, "windows") == 0; }

/* ---- inheriting ---------------------------------------------------------------------------------- */

static int put_license(struct cat_txn *txn, struct image *to, const char *license)
{
	char text[40];
	int n = snprintf(text, sizeof text, "%s\n", license);
	to->inherits |= INHERITS_LICENSE;
	return setting_put(txn, to->node, SET_LICENSE, text, (unsigned)n);
}

static int put_price(struct cat_txn *txn, struct image *to, const struct terms *t)
{
	char text[MONEY_TEXT_SIZE + 10], amount[MONEY_TEXT_SIZE];
	int n = snprintf(text, sizeof text, "%s %s\n", money_text(t->price, amount), unit_names[t->unit]);
	to->inherits |= INHERITS_PRICE;
	to->vendor = t->vendor;
	return setting_put(txn, to->node, SET_PRICE, text, (unsigned)n);
}

bool terms_same_price(const struct terms *a, const struct terms *b)
{
	return a->price == b->price && a->unit == b->unit && a->vendor == b->vendor;
}

int terms_inherit(struct cat_txn *txn, struct image *to, const struct image *from, struct error *err)
{
	struct terms theirs, ours;
	int r = terms_get(txn, from, &theirs);
	if (!r)
		r = terms_get(txn, to, &ours);
	if (r || !terms_charge(&theirs))
		return r;
	/* Where there are bytes of two images, the licence that costs more counts. */
	bool stale = to->inherits & INHERITS_STALE, has_license = !stale && (to->inherits & INHERITS_LICENSE);
	to->inherits &= (uint8_t)~INHERITS_STALE;
	if (theirs.license[0] && (!has_license || (terms_have_windows(&theirs) && !terms_have_windows(&ours))))
		r = put_license(txn, to, theirs.license);
	if (r || theirs.unit == PRICE_NONE)
		return r;
	if (!stale && (to->inherits & INHERITS_PRICE) && !terms_same_price(&theirs, &ours))
		return fail(err, -EPERM, "%s has bytes of an image with another price: nothing is made of two images that "
			    "each have their price", to->name);
	return put_price(txn, to, &theirs);
}

static int clear(struct cat_txn *txn, const struct image *i, enum setting_key key)
{
	int r = setting_remove(txn, i->node, (uint8_t)key);
	return r == -ENOENT ? 0 : r;
}

int terms_replace(struct cat_txn *txn, struct image *instance, const struct image *from)
{
	struct terms t;
	int r = terms_get(txn, from, &t);
	instance->inherits = 0;
	instance->vendor = 0;
	if (!r)
		r = t.license[0] ? put_license(txn, instance, t.license) : clear(txn, instance, SET_LICENSE);
	if (!r)
		r = t.unit ? put_price(txn, instance, &t) : clear(txn, instance, SET_PRICE);
	return r;
}

bool terms_are_inherited(const struct image *i, enum setting_key key)
{
	return (key == SET_LICENSE && (i->inherits & INHERITS_LICENSE)) || (key == SET_PRICE && (i->inherits & INHERITS_PRICE));
}

static bool is_equal(enum setting_key key, const char *kept, const char *value, unsigned len)
{
	char text[64];
	money a, b;
	enum price_unit unit, other;
	snprintf(text, sizeof text, "%.*s", (int)len, value);
	text[strcspn(text, "\n")] = 0;
	if (strcmp(kept, text) == 0)
		return true;
	return key == SET_PRICE && !price_parse(kept, &a, &unit) && !price_parse(text, &b, &other) && a == b && unit == other;
}

int terms_may_set(struct cat_txn *txn, const struct image *i, enum setting_key key, const char *value, unsigned len, struct error *err)
{
	char kept[SETTING_MAX + 1];
	if (!terms_are_inherited(i, key))
		return 0;
	int r = read_setting(txn, i->node, key, kept);
	if (r)
		return r;
	if (is_equal(key, kept, value, len) || (len && i->state == STATE_PENDING))
		return 1;
	return fail(err, -EPERM, "the %s of %s came with the image that it was made from (%s): it cannot be changed",
		    setting_name(key), i->name, kept);
}

/* ---- what a start costs ------------------------------------------------------------------------------ */

static void add_part(struct buf *b, money amount, const char *currency, const char *per, const char *note)
{
	char text[MONEY_TEXT_SIZE];
	if (amount)
		buf_addf(b, "%s%s %s%s%s", b->len ? " + " : "", money_text(amount, text), currency, per, note);
}

static int rate_of(const char *text, money *ret) { return money_parse(text, ret) ? ERR_DAMAGED : 0; }

const char *price_per(enum price_unit u)
{
	return u == PRICE_HOUR ? "/hour" : u == PRICE_MONTH ? "/month" : " once";
}

int terms_text(struct cat_txn *txn, const struct terms *t, const struct region *g, struct buf *ret)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char currency[CURRENCY_SIZE], note[80];
	struct account vendor;
	money instance = 0, windows = 0;
	int r = currency_get(txn, currency);
	if (!r)
		r = rate_of(g->instance_price, &instance);
	if (!r && terms_have_windows(t))
		r = rate_of(g->windows_fee, &windows);
	if (r)
		return r;
	snprintf(note, sizeof note, " (marketplace, vendor %s)", account_get(txn, t->vendor, &vendor) ? "?" : vendor.name);
	add_part(&text, instance, currency, "/hour", "");
	add_part(&text, t->price, currency, price_per(t->unit), note);
	add_part(&text, windows, currency, "/hour", " (windows licence)");
	buf_adds(ret, text.len ? text.data : "free");
	return 0;
}

int currency_get(struct cat_txn *txn, char ret[CURRENCY_SIZE])
{
	char value[64];
	int r = policy_value(txn, 0, 0, "currency", value);
	if (!r)
		snprintf(ret, CURRENCY_SIZE, "%.3s", value);
	return r;
}
