/* SPDX-License-Identifier: Apache-2.0 */
/* What type a key has is decided by the key, never by what its value happens to look like: a description
 * "12" stays a string. */
#include "cli/facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const number_keys[] = {
	"virtual", "stored", "stored-alone", "bytes", "objects", "packs", "pack-bytes", "catalog-bytes", "commits",
	"pool-total", "pool-free", "public", "marketplace", "custom", "instances", "trash", "mounts", "daemon-pid",
	"keeper-pid", "images", "disks", "nodes", "chunks", "problems", "packs-removed", "packs-compacted",
	"packs-squeezed", "images-purged", "store-format", "catalog-format", "control-version", "read", "written", "received", "unfolded",
	"uid", "free-storage", NULL,
};

static const char *const list_keys[] = { "use", "shared-with", "problem", "library", "software", "category", "mount", "uid", NULL };

bool facts_next(const char **lines, struct fact *ret)
{
	while (**lines) {
		const char *line = *lines;
		size_t n = strcspn(line, "\n");
		const char *colon = memchr(line, ':', n);
		*lines = line + n + (line[n] == '\n');
		if (!colon || colon == line)
			continue;
		const char *value = colon + 1;
		while (*value == ' ')
			value++;
		*ret = (struct fact){ line, value, (size_t)(colon - line), 0 };
		ret->value_len = value < line + n ? (size_t)(line + n - value) : 0;
		return true;
	}
	return false;
}

bool fact_is(const struct fact *f, const char *key)
{
	return strlen(key) == f->key_len && memcmp(f->key, key, f->key_len) == 0;
}

static bool key_in(const struct fact *f, const char *const *keys)
{
	while (*keys && !fact_is(f, *keys))
		keys++;
	return *keys;
}

static bool is_number(const struct fact *f)
{
	return key_in(f, number_keys) && f->value_len > 0 && f->value_len < 20 &&
	       strspn(f->value, "0123456789") >= f->value_len && (f->value[0] != '0' || f->value_len == 1);
}

static void add_text(struct buf *b, const char *text, size_t len)
{
	AUTO_BUF struct buf copy = BUF_INIT;
	buf_add(&copy, text, len);
	buf_json(b, copy.data);
}

static void add_value(struct buf *b, const struct fact *f)
{
	if (is_number(f))
		buf_add(b, f->value, f->value_len);
	else
		add_text(b, f->value, f->value_len);
}

/* "uid=0 account=root allow-other=no dir=/any path": an object; `dir` is the rest of the line. */
static void add_mount(struct buf *b, const struct fact *f)
{
	const char *at = f->value, *end = f->value + f->value_len, *comma = "";
	buf_adds(b, "{");
	while (at < end) {
		size_t key = strcspn(at, "="), n;
		const char *value = at + key + 1;
		if (value > end)
			break;
		n = key == 3 && memcmp(at, "dir", 3) == 0 ? (size_t)(end - value) : strcspn(value, " \n");
		buf_adds(b, comma);
		add_text(b, at, key);
		buf_adds(b, ": ");
		if (key == 3 && memcmp(at, "uid", 3) == 0)
			buf_add(b, value, n);
		else
			add_text(b, value, n);
		comma = ", ";
		at = value + n + 1;
	}
	buf_adds(b, "}");
}

static void add_list(struct buf *b, const char *lines, const struct fact *first)
{
	struct fact f;
	const char *comma = "";
	buf_adds(b, "[");
	while (facts_next(&lines, &f)) {
		if (f.key_len != first->key_len || memcmp(f.key, first->key, f.key_len))
			continue;
		buf_adds(b, comma);
		if (fact_is(&f, "mount"))
			add_mount(b, &f);
		else
			add_value(b, &f);
		comma = ", ";
	}
	buf_adds(b, "]");
}

/* Was this key in a line before this one? */
static bool seen_before(const char *lines, const struct fact *fact)
{
	struct fact f;
	while (facts_next(&lines, &f) && f.key < fact->key)
		if (f.key_len == fact->key_len && memcmp(f.key, fact->key, f.key_len) == 0)
			return true;
	return false;
}

void facts_json(const char *lines, struct buf *ret)
{
	const char *all = lines, *comma = "\n";
	struct fact f;
	buf_adds(ret, "{");
	while (facts_next(&lines, &f)) {
		if (seen_before(all, &f))
			continue;
		buf_addf(ret, "%s  ", comma);
		add_text(ret, f.key, f.key_len);
		buf_adds(ret, ": ");
		if (key_in(&f, list_keys))
			add_list(ret, all, &f);
		else
			add_value(ret, &f);
		comma = ",\n";
	}
	buf_adds(ret, "\n}\n");
}

bool facts_get(const char *lines, const char *key, char *ret, unsigned size)
{
	struct fact f;
	while (facts_next(&lines, &f)) {
		if (!fact_is(&f, key))
			continue;
		snprintf(ret, size, "%.*s", (int)f.value_len, f.value);
		return true;
	}
	return false;
}

void facts_add(struct buf *b, const char *key, const char *format, ...)
{
	char value[5000];
	va_list ap;
	va_start(ap, format);
	vsnprintf(value, sizeof value, format, ap);
	va_end(ap);
	for (char *p = value; *p; p++)
		if (*p == '\n')
			*p = ' ';
	buf_addf(b, "%s: %s\n", key, value);
}
