/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/names.h"

#include <stdio.h>
#include <string.h>

/* Length of the UTF-8 sequence at p (within len), 0 if it is not valid; *ret is its character. Overlong forms and surrogates are
 * refused: two byte strings must never look like the same name. */
static unsigned utf8_read(const unsigned char *p, unsigned len, unsigned *ret)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	if (n == 0 || n > len)
		return 0;
	*ret = p[0];
	if (n == 1)
		return 1;
	unsigned c = p[0] & (0x7fu >> n);
	for (unsigned i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	*ret = c;
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

static unsigned utf8_length(const unsigned char *p, unsigned len)
{
	unsigned ignored;
	return utf8_read(p, len, &ignored);
}

/* What takes no room, or turns the direction of writing: two names with and without it look the same, or like another. */
static bool is_unseen(unsigned c)
{
	static const struct { unsigned from, to; } ranges[] = {
		{ 0xad, 0xad }, { 0x34f, 0x34f }, { 0x61c, 0x61c }, { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180f },
		{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 }, { 0xfe00, 0xfe0f },
		{ 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb }, { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
	};
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (c >= ranges[i].from && c <= ranges[i].to)
			return true;
	return false;
}

static bool has_unseen(const char *text, unsigned len)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;
	unsigned c = 0, n;
	while (p < end && (n = utf8_read(p, (unsigned)(end - p), &c))) {
		if (is_unseen(c))
			return true;
		p += n;
	}
	return false;
}

static bool is_control(const unsigned char *p, unsigned n)
{
	return p[0] < 0x20 || p[0] == 0x7f || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

bool text_is_clean(const char *text, unsigned len, const char *allow)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;
	while (p < end) {
		unsigned n = utf8_length(p, (unsigned)(end - p));
		if (n == 0 || (is_control(p, n) && !(p[0] && strchr(allow, p[0]))))
			return false;
		p += n;
	}
	return true;
}

static unsigned count_characters(const char *text)
{
	unsigned n = 0;
	for (; *text; text++)
		n += ((unsigned char)*text >> 6) != 2;
	return n;
}

int name_check_image(const char *name, struct error *err)
{
	unsigned len = (unsigned)strlen(name);
	if (len == 0 || len > IMAGE_NAME_MAX || count_characters(name) > 60)
		return fail(err, -EINVAL, "a name has 1 to 60 characters and at most %d bytes", IMAGE_NAME_MAX);
	if (name[0] == '.')
		return fail(err, -EINVAL, "a name cannot begin with a dot");
	if (strchr(name, '@'))
		return fail(err, -EINVAL, "a name cannot contain @: it separates the name of a shared image from its owner");
	if (strchr(name, '/') || !text_is_clean(name, len, ""))
		return fail(err, -EINVAL, "a name is UTF-8 text without slashes and control characters");
	if (has_unseen(name, len))
		return fail(err, -EINVAL, "a name cannot contain characters that are not seen or that turn the direction of writing (zero-width, "
			    "bidi): it would look like another");
	return 0;
}

int name_check_place(const char *what, const char *name, struct error *err)
{
	size_t len = strlen(name);
	if (len == 0 || len > PLACE_NAME_MAX || name[0] == '.' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") != len)
		return fail(err, -EINVAL, "the name of %s is 1 to %d of a-z 0-9 . _ - and does not begin with a dot",
			    what, PLACE_NAME_MAX);
	if (strcmp(name, "accounts") == 0)
		return fail(err, -EINVAL, "%s cannot be called \"accounts\": that directory is there already", what);
	return 0;
}

static const char *const type_names[TYPE_MAX_] = { "public", "marketplace", "custom", "shared", "instances" };

const char *type_name(enum image_type type) { return type < TYPE_MAX_ ? type_names[type] : "?"; }

int type_by_name(const char *name)
{
	for (int i = 0; i < TYPE_MAX_; i++)
		if (strcmp(name, type_names[i]) == 0)
			return i;
	return -1;
}

const char *state_name(enum image_state state)
{
	static const char *const names[] = { "pending", "available", "failed", "submitted", "rejected", "deprecated",
					     "trashed" };
	return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "?";
}

char *id_text(const struct image *i, char ret[ID_TEXT_SIZE])
{
	snprintf(ret, ID_TEXT_SIZE, "%s-%08llx", i->shelf.type == TYPE_INSTANCE ? "ins" : "img", (unsigned long long)i->id);
	return ret;
}
