/* SPDX-License-Identifier: Apache-2.0 */
/* key, record: the order of keys, values there and back, and nothing read or written past an end. */
#include <stdlib.h>
#include <string.h>

#include "catalog/key.h"
#include "catalog/record.h"
#include "tap.h"

static int compare_keys(const struct key *a, const struct key *b)
{
	size_t len = a->len < b->len ? a->len : b->len;
	int c = memcmp(a->data, b->data, len);
	return c ? c : (a->len > b->len) - (a->len < b->len);
}

static void test_order(void)
{
	uint64_t random = test_seed();
	bool good = true;
	for (unsigned i = 0; i < 1000; i++) {
		struct key a, b;
		uint64_t x = test_random(&random) >> test_random(&random) % 64;
		uint64_t y = test_random(&random) >> test_random(&random) % 64;
		int want = (x > y) - (x < y), got = compare_keys(key_of_u64(&a, x), key_of_u64(&b, y));
		good = good && (got > 0) - (got < 0) == want;
		want = ((uint32_t)x > (uint32_t)y) - ((uint32_t)x < (uint32_t)y);
		got = compare_keys(key_of_u32(&a, (uint32_t)x), key_of_u32(&b, (uint32_t)y));
		good = good && (got > 0) - (got < 0) == want;
	}
	ok(good, "keys are in the order of their numbers");
}

static void test_key_too_long(void)
{
	struct key k;
	char text[KEY_MAX + 2];
	memset(text, 'x', sizeof text);
	text[KEY_MAX] = 0;
	is_int(key_of_text(&k, text)->len, KEY_MAX, "the longest key");
	text[KEY_MAX] = 'x';
	text[KEY_MAX + 1] = 0;
	ok(key_of_text(&k, text)->len > KEY_MAX, "one that is too long says so");
	key_u8(&k, 1);
	ok(k.len > KEY_MAX, "and stays so");
}

static void fill(struct record *r)
{
	char text[8] = "text";
	record_start(r, 5);
	record_u8(r, 200);
	record_u16(r, 60000);
	record_u32(r, 4000000000u);
	record_u64(r, 1ull << 63);
	RECORD_TEXT(r, text);
	record_blob(r, "\0b", 2);
	record_bytes(r, "raw", 3);
	record_u8(r, 1);
}

static int read_all(struct bytes b, bool *ret_same)
{
	struct fields f;
	char text[5], raw[3];
	fields_start(&f, b, 5);
	bool same = field_u8(&f) == 200;
	same &= field_u16(&f) == 60000;
	same &= field_u32(&f) == 4000000000u;
	same &= field_u64(&f) == 1ull << 63;
	FIELD_TEXT(&f, text);
	same &= strcmp(text, "text") == 0;
	struct bytes blob = field_blob(&f);
	same &= blob.len == 2 && memcmp(blob.data, "\0b", 2) == 0;
	field_bytes(&f, raw, 3);
	same &= memcmp(raw, "raw", 3) == 0;
	same &= field_bool(&f);
	*ret_same = same;
	return fields_end(&f);
}

static void test_there_and_back(void)
{
	struct record r;
	bool same, good = true;
	fill(&r);
	ok(!r.bad && read_all((struct bytes){ r.data, r.len }, &same) == 0 && same, "fields are read as they were written");
	for (size_t len = 0; len < r.len; len++) {
		uint8_t *cut = malloc(len + 1); /* of just that size, so that a sanitizer sees what is read behind it */
		if (!cut)
			bail("malloc");
		cut = realloc(cut, len ? len : 1);
		memcpy(cut, r.data, len);
		good = good && read_all((struct bytes){ cut, len }, &same) == ERR_DAMAGED && !same;
		free(cut);
	}
	ok(good, "what ends early is damage");
	record_u8(&r, 0);
	ok(read_all((struct bytes){ r.data, r.len }, &same) == ERR_DAMAGED, "what goes on is too");
	r.len--;
	r.data[0] = 4;
	ok(read_all((struct bytes){ r.data, r.len }, &same) == ERR_DAMAGED, "and another version");
}

/* Bytes follow in memory, but not in the value. */
static void test_missing_is_zero(void)
{
	static const uint8_t data[16] = { 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct fields f;
	char text[16] = "unchanged", raw[2] = "x";
	fields_start(&f, (struct bytes){ data, 3 }, 1);
	is_int(field_u32(&f), 0, "a number that is not all there is 0");
	is_int(field_u8(&f), 0, "and so is what comes after it");
	field_bytes(&f, raw, 2);
	is_int(raw[0], 0, "bytes too");
	field_text(&f, text, sizeof text);
	is_str(text, "", "a text is empty");
	fields_start(&f, (struct bytes){ data, 5 }, 1);
	struct bytes blob = field_blob(&f);
	ok(blob.len == 0 && f.bad, "a length that is too large gives nothing");
	is_int(fields_end(&f), ERR_DAMAGED, "all of this is damage");
}

static int text_of(const char *bytes, size_t len, size_t room)
{
	struct record r;
	struct fields f;
	char text[16];
	record_start(&r, 1);
	record_blob(&r, bytes, len);
	fields_start(&f, (struct bytes){ r.data, r.len }, 1);
	field_text(&f, text, room);
	return fields_end(&f);
}

static int bool_of(uint8_t byte)
{
	const uint8_t data[2] = { 1, byte };
	struct fields f;
	fields_start(&f, (struct bytes){ data, 2 }, 1);
	field_bool(&f);
	return fields_end(&f);
}

static void test_range(void)
{
	struct record r;
	char text[4] = { 'f', 'u', 'l', 'l' };
	static const uint8_t large[RECORD_MAX];
	is_int(text_of("abc", 3, 4), 0, "a text that fits with its NUL");
	is_int(text_of("abcd", 4, 4), ERR_DAMAGED, "one that does not");
	is_int(text_of("a\0c", 3, 16), ERR_DAMAGED, "one with a NUL in it");
	ok(bool_of(0) == 0 && bool_of(1) == 0 && bool_of(2) == ERR_DAMAGED, "a bool is 0 or 1");
	record_start(&r, 1);
	RECORD_TEXT(&r, text);
	ok(r.bad, "a text without end is not written");
	record_start(&r, 1);
	record_bytes(&r, large, RECORD_MAX - 1);
	ok(!r.bad && r.len == RECORD_MAX, "a record may be full");
	record_u8(&r, 1);
	ok(r.bad && r.len == RECORD_MAX, "but not more");
	record_start(&r, 1);
	record_blob(&r, large, 1 << 20);
	ok(r.bad, "nor hold a blob without measure");
}

static uint8_t version_of(uint8_t byte, uint8_t newest, int *ret_end)
{
	struct fields f;
	uint8_t version = fields_start_upto(&f, (struct bytes){ &byte, 1 }, newest);
	*ret_end = fields_end(&f);
	return version;
}

static void test_older_rows(void)
{
	int end;
	ok(version_of(1, 3, &end) == 1 && end == 0, "a row of an older version is read, and says so");
	ok(version_of(3, 3, &end) == 3 && end == 0, "one of the newest version is read");
	ok(version_of(4, 3, &end) == 0 && end == ERR_DAMAGED, "one of a version to come is bad");
	ok(version_of(0, 3, &end) == 0 && end == ERR_DAMAGED, "one of version 0 is bad");
}

int main(void)
{
	test_older_rows();
	test_order();
	test_key_too_long();
	test_there_and_back();
	test_missing_is_zero();
	test_range();
	return done_testing();
}
