/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/scratch.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

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
