/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void need(struct buf *b, size_t more)
{
	if (b->len + more + 1 <= b->room)
		return;
	size_t room = b->room ? b->room : 128;
	while (room < b->len + more + 1)
		room *= 2;
	char *data = realloc(b->data, room);
	if (!data)
		abort();
	b->data = data;
	b->room = room;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	need(b, len);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = 0;
}

void buf_adds(struct buf *b, const char *text) { buf_add(b, text, strlen(text)); }

void buf_addf(struct buf *b, const char *format, ...)
{
	va_list ap, again;
	va_start(ap, format);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n > 0) {
		need(b, (size_t)n);
		vsnprintf(b->data + b->len, (size_t)n + 1, format, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void buf_json(struct buf *b, const char *text)
{
	buf_adds(b, "\"");
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			buf_addf(b, "\\%c", *p);
		else if (*p < 0x20)
			buf_addf(b, "\\u%04x", *p);
		else
			buf_add(b, p, 1);
	}
	buf_adds(b, "\"");
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = 0;
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT;
}

char *buf_detach(struct buf *b)
{
	need(b, 0);
	b->data[b->len] = 0;
	char *data = b->data;
	*b = (struct buf)BUF_INIT;
	return data;
}
