/* SPDX-License-Identifier: Apache-2.0 */
/* probe_table: partitions by MBR, with the logical ones in an extended partition. A protective entry
 * hands over to probe_gpt.c.
 *
 * The same mark (0x55AA) ends boot sectors of FAT and NTFS, whose bytes at the table's place are code:
 * a sector that says it is one of these, or whose four entries do not all begin with 0x00 or 0x80, is
 * no table. Chains of logical partitions are followed for LOGICAL_MAX links at most, wherever they
 * lead.
 */
#include <string.h>

#include "base/num.h"
#include "domain/probe_int.h"

#define ENTRY_AT 446u
#define ENTRY_SIZE 16u
#define LOGICAL_MAX 64u
#define PROTECTIVE 0xeeu

struct mbr_entry {
	uint8_t flag, type;
	uint32_t first, count; /* sectors */
};

static struct mbr_entry entry_of(const uint8_t *sector, unsigned i)
{
	const uint8_t *e = sector + ENTRY_AT + i * ENTRY_SIZE;
	return (struct mbr_entry){ e[0], e[4], get_le32(e + 8), get_le32(e + 12) };
}

static bool is_boot_sector(const uint8_t *sector)
{
	return get_be16(sector + 510) == 0x55aa;
}

static bool is_volume(const uint8_t *s)
{
	return memcmp(s + 3, "NTFS    ", 8) == 0 || memcmp(s + 3, "EXFAT   ", 8) == 0 ||
	       memcmp(s + 54, "FAT1", 4) == 0 || memcmp(s + 82, "FAT32", 5) == 0;
}

static bool is_table(const uint8_t *sector)
{
	if (!is_boot_sector(sector) || is_volume(sector))
		return false;
	bool any = false;
	for (unsigned i = 0; i < 4; i++) {
		struct mbr_entry e = entry_of(sector, i);
		if (e.flag != 0 && e.flag != 0x80)
			return false;
		any |= e.type && (e.count || e.type == PROTECTIVE);
	}
	return any;
}

struct partition *probe_partition(const struct source *src, struct partitions *t, uint32_t sector, uint64_t first,
				  uint64_t last)
{
	uint64_t end = last >= UINT64_MAX / sector - 1 ? UINT64_MAX : (last + 1) * sector;
	t->needs = MAX(t->needs, end);
	if (first > last || end > src->size || t->count == PARTITIONS_MAX)
		return NULL;
	struct partition *p = &t->items[t->count++];
	*p = (struct partition){ .offset = first * sector, .size = end - first * sector };
	return p;
}

static void add_entry(const struct source *src, struct partitions *t, uint64_t base, const struct mbr_entry *e)
{
	struct partition *p = probe_partition(src, t, SECTOR, base + e->first, base + e->first + e->count - 1);
	if (p)
		p->mbr_type = e->type;
}

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* A link: entry 0 is a partition, from where the link is; entry 1 the next link, from where the chain
 * began. */
static int add_logical(const struct source *src, struct partitions *t, uint64_t start, struct error *err)
{
	uint64_t at = start;
	for (unsigned i = 0; i < LOGICAL_MAX; i++) {
		uint8_t sector[SECTOR];
		if (at * SECTOR + SECTOR > src->size)
			return 0;
		int r = probe_read(src, sector, sizeof sector, at * SECTOR, err);
		if (r < 0)
			return r;
		if (!is_boot_sector(sector))
			return 0;
		struct mbr_entry e = entry_of(sector, 0), next = entry_of(sector, 1);
		if (e.type && e.count)
			add_entry(src, t, at, &e);
		if (!is_extended(next.type) || !next.first)
			return 0;
		at = start + next.first;
	}
	return 0;
}

int probe_table(const struct source *src, struct partitions *ret, struct error *err)
{
	uint8_t sector[SECTOR];
	bool protective = false;
	*ret = (struct partitions){ .kind = TABLE_NONE };
	if (src->size < SECTOR)
		return 0;
	int r = probe_read(src, sector, sizeof sector, 0, err);
	if (r < 0 || !is_table(sector))
		return r;
	ret->kind = TABLE_MBR;
	for (unsigned i = 0; i < 4; i++) {
		struct mbr_entry e = entry_of(sector, i);
		if (e.type == PROTECTIVE)
			protective = true; /* its length is not to be relied on */
		else if (e.type && e.count)
			add_entry(src, ret, 0, &e);
		if (is_extended(e.type) && e.count && (r = add_logical(src, ret, e.first, err)) < 0)
			return r;
	}
	return protective ? probe_gpt(src, ret, err) : 0;
}
