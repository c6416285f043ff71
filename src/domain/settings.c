/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"

#include "domain/names.h"
#include "domain/price.h"

static const struct {
	const char *name;
	bool image, instance, lines; /* where it is; may have several lines */
} table[SET_MAX_] = {
	[SET_OS] = { "os", true, false, false },
	[SET_ARCH] = { "arch", true, false, false },
	[SET_DESCRIPTION] = { "description", true, true, true },
	[SET_SOFTWARE] = { "software", true, false, true },
	[SET_CATEGORY] = { "category", true, false, true },
	[SET_SUPPORT] = { "support", true, false, true },
	[SET_GUIDE] = { "guide", true, false, true },
	[SET_LICENSE] = { "license", true, false, false },
	[SET_PRICE] = { "price", true, false, false },
	[SET_SIZE] = { "size", true, false, false },
	[SET_SHA256] = { "sha256", true, false, false },
	[SET_ZONE] = { "zone", false, true, false },
	[SET_REVIEW] = { "review", false, false, true },
};

enum setting_key setting_by_name(const char *name, enum image_type type)
{
	for (int k = 1; k < SET_MAX_; k++) {
		bool here = type == TYPE_INSTANCE ? table[k].instance : table[k].image || (k == SET_REVIEW && type == TYPE_MARKETPLACE);
		if (here && strcmp(table[k].name, name) == 0)
			return (enum setting_key)k;
	}
	return SET_NONE;
}

const char *setting_name(enum setting_key key) { return key < SET_MAX_ && table[key].name ? table[key].name : "?"; }

bool setting_is_computed(const char *name)
{
	static const char *const names[] = { "from", "owner", "reviewed", "image", "zone", "review", "replaced-by" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static int check_size(const char *v, struct error *err)
{
	char *end;
	errno = 0;
	unsigned long long n = strtoull(v, &end, 10);
	if (errno || end == v || *end || v[0] < '0' || v[0] > '9' || n == 0)
		return fail(err, -EINVAL, "size is the number of bytes that the disk has to have, for example 4294967296");
	return 0;
}

static int check_word(const char *what, const char *example, const char *v, struct error *err)
{
	size_t n = strlen(v);
	if (n > 32 || strspn(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != n)
		return fail(err, -EINVAL, "%s is one word such as %s", what, example);
	return 0;
}

/* ID VERSION as in os-release; the version may be absent (debian sid has none). */
static int check_os(const char *v, struct error *err)
{
	size_t id = strspn(v, "abcdefghijklmnopqrstuvwxyz0123456789._-");
	if (id == 0 || id > 40 || strlen(v) > 80 || (v[id] && v[id] != ' '))
		return fail(err, -EINVAL, "os is ID VERSION as in os-release, for example: debian 12, or: windows 2022");
	return 0;
}

static int check_price(const char *v, struct error *err)
{
	money amount;
	enum price_unit unit;
	if (price_parse(v, &amount, &unit))
		return fail(err, -EINVAL, "price is AMOUNT once, AMOUNT hour or AMOUNT month, with at most six places, for example: 0.25 hour");
	return 0;
}

/* Each of these means something here: a word that nobody knows would be a licence without a fee, and without a rule. */
static int check_license(char *v, struct error *err)
{
	static const char *const known[] = { "windows", "byol" };
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcasecmp(v, known[i]) == 0) {
			memcpy(v, known[i], strlen(known[i]));
			return 0;
		}
	return fail(err, -EINVAL, "license is windows, or byol (you bring your own); an image without a licence has none (rm license)");
}

/* Others have other names for these. A value has room for the name. */
static int check_arch(char *v, unsigned *len, struct error *err)
{
	static const struct { const char *alias, *name; } known[] = {
		{ "amd64", "x86_64" }, { "x86-64", "x86_64" }, { "x64", "x86_64" }, { "arm64", "aarch64" }, { "x86", "i386" },
		{ "i486", "i386" }, { "i586", "i386" }, { "i686", "i386" },
	};
	int r = check_word("arch", "x86_64, i386 or aarch64", v, err);
	for (size_t i = 0; i < sizeof known / sizeof known[0] && !r; i++)
		if (strcasecmp(v, known[i].alias) == 0) {
			*len = (unsigned)strlen(known[i].name);
			memcpy(v, known[i].name, *len + 1);
			return 0;
		}
	return r;
}

static int check_one(enum setting_key key, char *v, unsigned *len, struct error *err)
{
	struct hash h;
	switch (key) {
	case SET_OS: return check_os(v, err);
	case SET_ARCH: return check_arch(v, len, err);
	case SET_LICENSE: return check_license(v, err);
	case SET_PRICE: return check_price(v, err);
	case SET_SIZE: return check_size(v, err);
	case SET_SHA256:
		return hash_parse(v, &h) ? fail(err, -EINVAL, "sha256 is 64 hexadecimal digits") : 0;
	default: return 0;
	}
}

static unsigned characters(const char *v, unsigned len)
{
	unsigned n = 0;
	for (unsigned i = 0; i < len; i++)
		n += ((unsigned char)v[i] >> 6) != 2;
	return n;
}

int setting_too_long(enum setting_key key, struct error *err)
{
	if (key == SET_DESCRIPTION)
		return fail(err, -EINVAL, "description has at most 256 characters");
	return fail(err, -EFBIG, "%s can have at most %d bytes", setting_name(key), SETTING_MAX - 1);
}

int setting_check(enum setting_key key, char *value, unsigned *len, struct error *err)
{
	if (*len > SETTING_MAX - 1)
		return setting_too_long(key, err);
	while (*len && (value[*len - 1] == '\n' || value[*len - 1] == ' ' || value[*len - 1] == '\t'))
		(*len)--;
	value[*len] = 0;
	if (*len == 0)
		return 0;
	if (!text_is_clean(value, *len, table[key].lines ? "\n\t" : ""))
		return fail(err, -EINVAL, "%s is UTF-8 text%s without control characters", setting_name(key),
			    table[key].lines ? "" : " of one line");
	if (key == SET_DESCRIPTION && characters(value, *len) > 256)
		return setting_too_long(key, err);
	int r = check_one(key, value, len, err);
	if (r)
		return r;
	value[(*len)++] = '\n';
	value[*len] = 0;
	return 0;
}
