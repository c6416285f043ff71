/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "cli/facts.h"

#define COLUMNS_MAX 24

struct column {
	const char *key;
	size_t key_len, width;
};

/* Where the thing after this one begins. */
static const char *next_thing(const char *lines)
{
	const char *at = lines, *before = lines;
	struct fact f;
	bool first = true;
	while (facts_next(&at, &f)) {
		if (!first && fact_is(&f, "name"))
			return before;
		first = false;
		before = at;
	}
	return at;
}

static void cell(const char *lines, const char *end, const struct column *c, struct buf *ret)
{
	struct fact f;
	const char *comma = "";
	buf_clear(ret);
	while (lines < end && facts_next(&lines, &f)) {
		if (f.key_len != c->key_len || memcmp(f.key, c->key, c->key_len) || f.key >= end)
			continue;
		buf_adds(ret, comma);
		buf_add(ret, f.value, f.value_len);
		comma = ",";
	}
	if (ret->len == 0)
		buf_adds(ret, "-");
}

static unsigned find_columns(const char *lines, struct column ret[COLUMNS_MAX])
{
	struct fact f;
	unsigned n = 0, i;
	while (facts_next(&lines, &f)) {
		for (i = 0; i < n && (ret[i].key_len != f.key_len || memcmp(ret[i].key, f.key, f.key_len)); i++)
			;
		if (i == n && n < COLUMNS_MAX)
			ret[n++] = (struct column){ f.key, f.key_len, f.key_len };
	}
	return n;
}

static void measure(const char *lines, struct column *columns, unsigned n)
{
	AUTO_BUF struct buf text = BUF_INIT;
	for (const char *end; *lines; lines = end) {
		end = next_thing(lines);
		for (unsigned i = 0; i < n; i++) {
			cell(lines, end, &columns[i], &text);
			columns[i].width = text.len > columns[i].width ? text.len : columns[i].width;
		}
	}
}

/* The last one has nothing to be aligned with. */
static void add_cell(struct buf *ret, const char *text, size_t len, const struct column *c, bool last)
{
	buf_add(ret, text, len);
	if (last)
		buf_adds(ret, "\n");
	for (size_t i = len; !last && i < c->width + 2; i++)
		buf_adds(ret, " ");
}

void table_text(const char *lines, struct buf *ret)
{
	struct column columns[COLUMNS_MAX];
	AUTO_BUF struct buf text = BUF_INIT;
	unsigned n = find_columns(lines, columns);
	measure(lines, columns, n);
	for (unsigned i = 0; i < n; i++)
		add_cell(ret, columns[i].key, columns[i].key_len, &columns[i], i + 1 == n);
	for (const char *end; *lines; lines = end) {
		end = next_thing(lines);
		for (unsigned i = 0; i < n; i++) {
			cell(lines, end, &columns[i], &text);
			add_cell(ret, text.data, text.len, &columns[i], i + 1 == n);
		}
	}
}

void table_json(const char *lines, struct buf *ret)
{
	const char *comma = "";
	buf_adds(ret, "[");
	for (const char *end; *lines; lines = end) {
		AUTO_BUF struct buf thing = BUF_INIT, json = BUF_INIT;
		end = next_thing(lines);
		buf_add(&thing, lines, (size_t)(end - lines));
		facts_json(thing.data, &json);
		buf_addf(ret, "%s\n%.*s", comma, (int)json.len - 1, json.data); /* without its last newline */
		comma = ",";
	}
	buf_adds(ret, "\n]\n");
}
