/* SPDX-License-Identifier: Apache-2.0 */
/* hold_text: what was written to settings that are still open.
 *
 * As in hold_handle.c a text that changes is written to a second slot, with a higher generation, before the first is freed. They are few: a setting is
 * written and closed at once, but by a shell that keeps it open. */
#include <string.h>

#include "base/cleanup.h"
#include "keeper/hold_int.h"

static struct text_slot *find(struct hold *h, uint32_t conn, uint64_t fh)
{
	struct text_slot *newest = NULL;
	for (struct text_slot *s = h->memory->texts; s < h->memory->texts + TEXTS_MAX + 1; s++)
		if (s->generation && s->conn == conn && s->fh == fh && (!newest || s->generation > newest->generation))
			newest = s;
	return newest;
}

static void free_text(struct hold *h, struct text_slot *s)
{
	atomic_store_explicit(&s->generation, 0, memory_order_release);
	h->texts--;
}

/* Slots that a daemon left behind as it died: what is not the newest of its handle, or of no handle. */
void texts_prepare(struct hold *h)
{
	struct hold_handle handle;
	for (struct text_slot *s = h->memory->texts; s < h->memory->texts + TEXTS_MAX + 1; s++) {
		h->texts += s->generation != 0;
		h->text_generation = s->generation > h->text_generation ? s->generation : h->text_generation;
	}
	for (struct text_slot *s = h->memory->texts; s < h->memory->texts + TEXTS_MAX + 1; s++)
		if (s->generation && (find(h, s->conn, s->fh) != s || !hold_handle_get(h, s->conn, s->fh, &handle)))
			free_text(h, s);
}

bool hold_text_put(struct hold *h, uint32_t conn, uint64_t fh, const void *text, unsigned len)
{
	WITH_LOCK(&h->texts_lock);
	struct text_slot *old = find(h, conn, fh), *s = h->memory->texts;
	if (len > HOLD_TEXT_MAX || (!old && h->texts >= TEXTS_MAX))
		return false;
	while (s->generation)
		s++; /* one is spare */
	s->conn = conn;
	s->fh = fh;
	s->len = len;
	memcpy(s->text, text, len);
	atomic_store_explicit(&s->generation, ++h->text_generation, memory_order_release);
	h->texts++;
	if (old)
		free_text(h, old);
	return true;
}

bool hold_text_get(struct hold *h, uint32_t conn, uint64_t fh, char ret[HOLD_TEXT_MAX], unsigned *ret_len)
{
	WITH_LOCK(&h->texts_lock);
	const struct text_slot *s = h->texts ? find(h, conn, fh) : NULL;
	if (!s || s->len > HOLD_TEXT_MAX)
		return false;
	memcpy(ret, s->text, s->len);
	*ret_len = s->len;
	return true;
}

void hold_text_remove(struct hold *h, uint32_t conn, uint64_t fh)
{
	WITH_LOCK(&h->texts_lock);
	struct text_slot *s = h->texts ? find(h, conn, fh) : NULL;
	if (s)
		free_text(h, s);
}

void hold_texts_remove_conn(struct hold *h, uint32_t conn)
{
	WITH_LOCK(&h->texts_lock);
	for (struct text_slot *s = h->memory->texts; h->texts && s < h->memory->texts + TEXTS_MAX + 1; s++)
		if (s->generation && s->conn == conn)
			free_text(h, s);
}
