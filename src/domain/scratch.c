/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/scratch.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "domain/settings.h"

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);
	return n >= m && strcmp(name + n - m, end) == 0;
}

/* What follows NAME when a tool has a file on its way to NAME, or keeps the old one. */
static bool is_ending(const char *rest)
{
	static const char *const endings[] = { ".new", ".tmp", ".temp", ".part", ".partial", ".bak", ".old", ".orig", ".swp" };
	if (rest[0] == '~')
		return true;
	for (size_t i = 0; rest[0] == '.' && i < sizeof endings / sizeof endings[0]; i++)
		if (ends_with(rest, endings[i]))
			return true;
	return rest[0] == '.' && ends_with(rest, "~");
}

/* Is it WORD with an ending, or #WORD#? */
static bool is_on_its_way(const char *name, const char *word)
{
	size_t n = strlen(word);
	if (strncmp(name, word, n) == 0)
		return is_ending(name + n);
	return name[0] == '#' && strncmp(name + 1, word, n) == 0 && strcmp(name + 1 + n, "#") == 0;
}

/* WORDXXXXXX: sed -i has its own word, that of busybox has the name of the file. */
static bool is_made_by_sed(const char *name, const char *word)
{
	size_t n = strlen(word);
	if (strncmp(name, word, n) || strlen(name) != n + 6)
		return false;
	while (isalnum((unsigned char)name[n]))
		n++;
	return !name[n];
}

/* The first name that is free of 4913, 5036, … */
static bool is_made_by_vim(const char *name)
{
	char *end;
	unsigned long n = strtoul(name, &end, 10);
	return isdigit((unsigned char)name[0]) && !*end && n >= 4913 && n < 100000 && (n - 4913) % 123 == 0;
}

bool scratch_is_link(const char *name) { return is_made_by_sed(name, "Cu"); }

bool scratch_is_name(const char *name)
{
	if (name[0] == '.' || strncmp(name, "tmp", 3) == 0 || is_made_by_sed(name, "sed") || is_made_by_vim(name))
		return true;
	for (int k = 1; k < SET_MAX_; k++)
		if (is_on_its_way(name, setting_name((enum setting_key)k)) || is_made_by_sed(name, setting_name((enum setting_key)k)))
			return true;
	return is_on_its_way(name, "disk");
}

int scratch_check_beside(const struct image *i, const char *name, struct error *err)
{
	if (strcmp(name, "disk") == 0 || scratch_is_name(name))
		return 0;
	return fail(err, -EINVAL, "only `disk` writes the disk of an instance, and %s is none of its settings: copy to %s/disk, or make an "
		    "image (mkdir REGION/custom/NAME) for this file. (When an image is copied that is not available yet, wait until it is.)",
		    name, i->name);
}

/* Without one character of either, or with two that changed places, or one for another, they are the same. Case does not count. */
static bool is_near(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), same = 0;
	while (same < n && same < m && tolower((unsigned char)a[same]) == tolower((unsigned char)b[same]))
		same++;
	a += same;
	b += same;
	if (!*a || !*b)
		return n + 1 >= m && m + 1 >= n;
	bool changed = tolower((unsigned char)a[0]) == tolower((unsigned char)b[1]) && tolower((unsigned char)a[1]) == tolower((unsigned char)b[0]);
	return strcasecmp(a + 1, b) == 0 || strcasecmp(a, b + 1) == 0 || strcasecmp(a + 1, b + 1) == 0 ||
	       (changed && strcasecmp(a + 2, b + 2) == 0);
}

/* Of short words nearly everything is near: of these, only what is longer, or in another case. */
static bool is_slip(const char *name, const char *word)
{
	size_t n = strlen(name), m = strlen(word);
	if (strcmp(name, word) == 0)
		return false;
	if (m > 3)
		return is_near(name, word);
	return strcasecmp(name, word) == 0 || (n == m + 1 && is_near(name, word) && strspn(name, word) == n);
}

int scratch_check_slip(const struct image *i, const char *name, struct error *err)
{
	for (int k = 1; k < SET_MAX_; k++) {
		const char *word = setting_name((enum setting_key)k);
		if (k != SET_REVIEW && setting_by_name(word, (enum image_type)i->shelf.type) && is_slip(name, word))
			return fail(err, -EINVAL, "there is no setting %s: did you mean %s? (A disk is uploaded by another name.)", name, word);
	}
	return 0;
}
