/* SPDX-License-Identifier: Apache-2.0 */
/* Kept as settings of the keys SET_LINK … SET_LINK_MAX: name, NUL, text. */
#include "domain/links.h"

#include <stdio.h>
#include <string.h>

struct link_search {
	const char *name;
	uint8_t key;
	char *text;
};

static int match_link(void *ctx, uint8_t key, const char *value, unsigned len)
{
	struct link_search *s = ctx;
	size_t n = strnlen(value, len);
	if (key < SET_LINK || key > SET_LINK_MAX || n == len || strcmp(value, s->name))
		return 0;
	s->key = key;
	snprintf(s->text, 1024, "%.*s", (int)(len - n - 1), value + n + 1);
	return 1;
}

uint8_t link_find(struct cat_txn *txn, uint64_t node, const char *name, char ret_text[1024])
{
	struct link_search s = { .name = name, .text = ret_text };
	return setting_each(txn, node, match_link, &s) == 1 ? s.key : 0;
}

int link_text(struct cat_txn *txn, uint64_t node, uint8_t key, char ret_text[1024])
{
	char value[SETTING_MAX + 1];
	unsigned len;
	int r = setting_get(txn, node, key, value, sizeof value, &len);
	if (r)
		return r;
	size_t n = strnlen(value, len);
	snprintf(ret_text, 1024, "%.*s", (int)(len > n ? len - n - 1 : 0), value + n + 1);
	return 0;
}

int link_keep(struct cat_txn *txn, struct act *a, const struct image *i, struct error *err)
{
	char value[SETTING_MAX + 1];
	unsigned len;
	size_t n = strlen(a->name), m = strlen(a->text);
	if (n > 255 || m > 1000)
		return -ENAMETOOLONG;
	memcpy(value, a->name, n + 1);
	memcpy(value + n + 1, a->text, m);
	for (unsigned k = SET_LINK; k <= SET_LINK_MAX; k++) {
		char other[SETTING_MAX + 1];
		int r = setting_get(txn, i->node, (uint8_t)k, other, sizeof other, &len);
		if (r != -ENOENT && r)
			return r;
		if (r == -ENOENT) {
			a->result = node_image(i->node, SLOT_KEPT_LINK + k - SET_LINK);
			return setting_put(txn, i->node, (uint8_t)k, value, (unsigned)(n + 1 + m));
		}
	}
	return fail(err, -EDQUOT, "there are too many links in %s: remove some", i->name);
}
