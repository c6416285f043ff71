/* SPDX-License-Identifier: Apache-2.0 */
/* pack_read: bytes of packs are hostile until they are verified; every number is bounded before use. */
#include "store/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "store/pack_format.h"

char *pack_name(uint32_t number, char ret[20])
{
	snprintf(ret, 20, "pack-%08x", number);
	return ret;
}

uint32_t pack_number_of(const char *name)
{
	if (strncmp(name, "pack-", 5) || strlen(name) != 13 || strspn(name + 5, "0123456789abcdef") != 8)
		return 0;
	return (uint32_t)strtoul(name + 5, NULL, 16);
}

/* read() of the backend, where a pack that ends too early is damage. */
static int read_pack(struct backend *b, uint32_t number, void *buf, size_t len, uint64_t offset,
		     struct error *err)
{
	char name[20];
	int r = b->ops->read(b, pack_name(number, name), buf, len, offset, err);
	if (r == -ENODATA)
		return fail(err, ERR_DAMAGED, "%s is damaged: it ends before offset %llu", name,
			    (unsigned long long)(offset + len));
	return r;
}

int pack_read_frame(struct backend *b, const struct place *place, void *buf, struct error *err)
{
	if (place->length == 0 || place->length > FRAME_MAX || place->offset < PACK_HEADER_SIZE)
		return fail(err, ERR_DAMAGED, "there can be no frame of %u bytes at offset %u of pack-%08x",
			    place->length, place->offset, place->pack);
	return read_pack(b, place->pack, buf, place->length, place->offset, err);
}

static int damaged(struct error *err, uint32_t number, const char *what)
{
	return fail(err, ERR_DAMAGED, "pack-%08x is damaged: %s", number, what);
}

/* Header and footer agree on what this is. A newer version must be claimed by both: one flipped
 * bit is damage. */
static int check_frame(uint32_t number, const uint8_t *header, const uint8_t *footer, struct error *err)
{
	uint32_t version = get_le32(header + PACK_HEADER_VERSION);
	if (memcmp(header, PACK_HEADER_MAGIC, 8))
		return damaged(err, number, "its header is not that of a pack");
	if (memcmp(footer, PACK_FOOTER_MAGIC, 8))
		return damaged(err, number, "its footer is not that of a pack");
	if (version != get_le32(footer + PACK_FOOTER_VERSION))
		return damaged(err, number, "header and footer disagree on the version");
	if (version > PACK_VERSION)
		return fail(err, ERR_NEWER, "pack-%08x is of version %u; this program knows %u", number, version,
			    PACK_VERSION);
	if (version != PACK_VERSION)
		return damaged(err, number, "there is no such version");
	if (get_le32(header + PACK_HEADER_NUMBER) != number || get_le32(footer + PACK_FOOTER_NUMBER) != number)
		return damaged(err, number, "it says to be another pack");
	return 0;
}

/* Do the numbers of the footer fit each other and the object's size? */
static bool footer_fits(const uint8_t *footer, uint64_t size)
{
	uint64_t count = get_le32(footer + PACK_FOOTER_COUNT), index = get_le32(footer + PACK_FOOTER_INDEX);
	return count > 0 && index > PACK_HEADER_SIZE && get_le32(footer + PACK_FOOTER_TOTAL) == size &&
	       get_le32(footer + PACK_FOOTER_ZERO) == 0 &&
	       index + count * PACK_ENTRY_SIZE + PACK_FOOTER_SIZE == size;
}

static bool parse_entry(const uint8_t *entry, uint32_t number, uint32_t frames_end, struct pack_item *ret)
{
	struct place p = { .pack = number,
			   .offset = get_le32(entry + PACK_ENTRY_OFFSET),
			   .length = get_le32(entry + PACK_ENTRY_LENGTH),
			   .kind = entry[PACK_ENTRY_KIND] };
	memcpy(&ret->hash, entry + PACK_ENTRY_HASH, HASH_SIZE);
	ret->place = p;
	return p.offset >= PACK_HEADER_SIZE && p.length > 0 && p.length <= FRAME_MAX &&
	       (uint64_t)p.offset + p.length <= frames_end && p.kind <= OBJECT_NODE &&
	       is_zero(entry + PACK_ENTRY_KIND + 1, 3) && !hash_is_none(&ret->hash);
}

/* Entries in order, each within the frames, and together as long as the frames. */
static int parse_index(const uint8_t *index, uint32_t number, uint32_t count, uint32_t frames_end,
		       struct pack_item *items, struct error *err)
{
	uint64_t sum = PACK_HEADER_SIZE;
	for (uint32_t i = 0; i < count; i++) {
		if (!parse_entry(index + (size_t)i * PACK_ENTRY_SIZE, number, frames_end, &items[i]))
			return damaged(err, number, "an entry of its index cannot be");
		if (i > 0 && hash_compare(&items[i - 1].hash, &items[i].hash) >= 0)
			return damaged(err, number, "its index is not in order");
		sum += items[i].place.length;
	}
	return sum == frames_end ? 0 : damaged(err, number, "its index does not cover its frames");
}

/* Read the two ends, and check all that can be before the index is read. */
static int read_ends(struct backend *b, uint32_t number, uint64_t size, uint8_t footer[PACK_FOOTER_SIZE],
		     struct error *err)
{
	uint8_t header[PACK_HEADER_SIZE];
	if (size < PACK_HEADER_SIZE + PACK_FOOTER_SIZE || size > PACK_MAX)
		return damaged(err, number, "no pack has its size");
	int r = read_pack(b, number, header, sizeof header, 0, err);
	if (!r)
		r = read_pack(b, number, footer, PACK_FOOTER_SIZE, size - PACK_FOOTER_SIZE, err);
	if (!r)
		r = check_frame(number, header, footer, err);
	if (!r && !footer_fits(footer, size))
		r = damaged(err, number, "its footer does not fit its size");
	return r;
}

int pack_read_index(struct backend *b, uint32_t number, struct pack_item **ret, size_t *ret_count,
		    struct error *err)
{
	uint8_t footer[PACK_FOOTER_SIZE];
	char name[20];
	uint64_t size;
	int r = b->ops->size(b, pack_name(number, name), &size, err);
	if (!r)
		r = read_ends(b, number, size, footer, err);
	if (r)
		return r;
	uint32_t count = get_le32(footer + PACK_FOOTER_COUNT), frames_end = get_le32(footer + PACK_FOOTER_INDEX);
	size_t len = (size_t)count * PACK_ENTRY_SIZE;
	AUTO_FREE uint8_t *index = malloc(len + PACK_FOOTER_DIGEST);
	AUTO_FREE struct pack_item *items = reallocarray(NULL, count, sizeof *items);
	if (!index || !items)
		return fail(err, -ENOMEM, "no memory for the index of %s", name);
	r = read_pack(b, number, index, len, frames_end, err);
	if (r)
		return r;
	struct hash digest;
	memcpy(index + len, footer, PACK_FOOTER_DIGEST);
	hash_of(index, len + PACK_FOOTER_DIGEST, &digest);
	if (memcmp(&digest, footer + PACK_FOOTER_DIGEST, HASH_SIZE))
		return damaged(err, number, "its index does not match its checksum");
	r = parse_index(index, number, count, frames_end, items, err);
	if (r)
		return r;
	*ret = steal(&items);
	*ret_count = count;
	return 0;
}
