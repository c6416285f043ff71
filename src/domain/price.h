/* SPDX-License-Identifier: Apache-2.0 */
/* price: on which terms instances are made of an image, and how terms follow bytes.
 *
 * The terms of an image are its licence and its price. The licence is its setting `license`, else `windows` when its `os` is
 * Windows. A price is in force where it was inherited, and where an image is public or in the marketplace, whose owner then is its
 * vendor; the price on a custom image is only one that its owner means to ask.
 *
 * Whatever is made of an image, in any way that is seen here, takes over its terms as settings of its own that nobody changes any more
 * (image.inherits). An instance has them too, where they are settings that no listing shows.
 */
#ifndef IMAGEFS_DOMAIN_PRICE_H
#define IMAGEFS_DOMAIN_PRICE_H

#include "base/money.h"
#include "catalog/image.h"
#include "catalog/region.h"
#include "domain/settings.h"

enum price_unit { PRICE_NONE, PRICE_ONCE, PRICE_HOUR, PRICE_MONTH };

struct terms {
	char license[36]; /* "": none */
	money price;      /* with PRICE_NONE: 0 */
	enum price_unit unit;
	uint32_t vendor;  /* who is paid; 0 without a price */
};

/* "0.25 hour". -EINVAL. */
int price_parse(const char *text, money *ret, enum price_unit *ret_unit) MUST_USE;
const char *price_per(enum price_unit);       /* "/hour", " once" */

int terms_get(struct cat_txn *, const struct image *, struct terms *ret) MUST_USE;
static inline bool terms_charge(const struct terms *t) { return t->unit != PRICE_NONE || t->license[0]; }
bool terms_have_windows(const struct terms *);
bool terms_same_price(const struct terms *, const struct terms *); /* and vendor */

/* `to` gets bytes of `from`: its terms follow. The caller writes the row. -EPERM with a sentence when `to` has bytes of another image with
 * another price already; when all these are gone (INHERITS_STALE), the new price takes the place of the old one. */
int terms_inherit(struct cat_txn *, struct image *to, const struct image *from, struct error *err) MUST_USE;

/* The instance begins anew with the disk of `from`: its terms, and none of those it had. The caller writes the row. */
int terms_replace(struct cat_txn *, struct image *instance, const struct image *from) MUST_USE;

/* Is it an inherited one of them? */
bool terms_are_inherited(const struct image *, enum setting_key);

/* May this setting get this value (len 0: be cleared)? 1: it is to be ignored (it is inherited, and has this value, or is what a tool
 * brings along for a disk that it is still copying). -EPERM with a sentence. */
int terms_may_set(struct cat_txn *, const struct image *, enum setting_key, const char *value, unsigned len, struct error *err) MUST_USE;

/* "0.02 USD/hour + 5 USD once (marketplace, vendor acme)", "free": what an instance of it costs in its region. */
struct buf;
int terms_text(struct cat_txn *, const struct terms *, const struct region *, struct buf *ret) MUST_USE;

/* The currency of the store: policy `currency`, three capital letters. */
#define CURRENCY_SIZE 4
int currency_get(struct cat_txn *, char ret[CURRENCY_SIZE]) MUST_USE;

#endif
