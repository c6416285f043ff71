/* SPDX-License-Identifier: Apache-2.0 */
/* Both directions carry a flag instead of an error from each field, so that an encoder reads like a list
 * of its fields; the flag is looked at once, at the end. Nothing is read or written out of bounds. */
#include "catalog/record.h"

#include <string.h>

#include "base/num.h"

static uint8_t *grow(struct record *r, size_t len)
{
	if (r->bad || len > RECORD_MAX - r->len) {
		r->bad = true;
		return NULL;
	}
	uint8_t *at = r->data + r->len;
	r->len += len;
	return at;
}

void record_start(struct record *r, uint8_t version)
{
	r->len = 0;
	r->bad = false;
	record_u8(r, version);
}

void record_u8(struct record *r, uint8_t v)
{
	uint8_t *at = grow(r, 1);
	if (at)
		*at = v;
}

void record_u16(struct record *r, uint16_t v)
{
	uint8_t *at = grow(r, 2);
	if (at)
		put_le16(at, v);
}

void record_u32(struct record *r, uint32_t v)
{
	uint8_t *at = grow(r, 4);
	if (at)
		put_le32(at, v);
}

void record_u64(struct record *r, uint64_t v)
{
	uint8_t *at = grow(r, 8);
	if (at)
		put_le64(at, v);
}

void record_bytes(struct record *r, const void *data, size_t len)
{
	uint8_t *at = grow(r, len);
	if (at && len)
		memcpy(at, data, len);
}

void record_blob(struct record *r, const void *data, size_t len)
{
	if (len > RECORD_MAX) {
		r->bad = true;
		return;
	}
	record_u16(r, (uint16_t)len);
	record_bytes(r, data, len);
}

void record_text(struct record *r, const char *text, size_t room)
{
	size_t len = strnlen(text, room);
	if (len == room)
		r->bad = true;
	record_blob(r, text, len);
}

static const uint8_t *take(struct fields *f, size_t len)
{
	if (f->bad || len > (size_t)(f->end - f->at)) {
		f->bad = true;
		return NULL;
	}
	const uint8_t *at = f->at;
	f->at += len;
	return at;
}

void fields_start(struct fields *f, struct bytes b, uint8_t version)
{
	*f = (struct fields){ b.data, b.data + b.len, false };
	if (field_u8(f) != version)
		f->bad = true;
}

uint8_t fields_start_upto(struct fields *f, struct bytes b, uint8_t newest)
{
	*f = (struct fields){ b.data, b.data + b.len, false };
	uint8_t version = field_u8(f);
	if (version < 1 || version > newest)
		f->bad = true;
	return f->bad ? 0 : version;
}

uint8_t field_u8(struct fields *f)
{
	const uint8_t *at = take(f, 1);
	return at ? *at : 0;
}

uint8_t field_below(struct fields *f, uint8_t limit)
{
	uint8_t v = field_u8(f);
	if (v >= limit)
		f->bad = true;
	return v;
}

bool field_bool(struct fields *f) { return field_below(f, 2) == 1; }

uint16_t field_u16(struct fields *f)
{
	const uint8_t *at = take(f, 2);
	return at ? get_le16(at) : 0;
}

uint32_t field_u32(struct fields *f)
{
	const uint8_t *at = take(f, 4);
	return at ? get_le32(at) : 0;
}

uint64_t field_u64(struct fields *f)
{
	const uint8_t *at = take(f, 8);
	return at ? get_le64(at) : 0;
}

void field_bytes(struct fields *f, void *ret, size_t len)
{
	const uint8_t *at = take(f, len);
	if (at)
		memcpy(ret, at, len);
	else
		memset(ret, 0, len);
}

struct bytes field_blob(struct fields *f)
{
	size_t len = field_u16(f);
	const uint8_t *at = take(f, len);
	return (struct bytes){ at, at ? len : 0 };
}

void field_text(struct fields *f, char *ret, size_t room)
{
	struct bytes b = field_blob(f);
	ret[0] = 0;
	if (!b.data || b.len >= room || memchr(b.data, 0, b.len)) {
		f->bad = true;
		return;
	}
	memcpy(ret, b.data, b.len);
	ret[b.len] = 0;
}

int fields_end(const struct fields *f) { return f->bad || f->at != f->end ? ERR_DAMAGED : 0; }
