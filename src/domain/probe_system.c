/* SPDX-License-Identifier: Apache-2.0 */
/* probe_system: which system is on a disk, and for which processor.
 *
 * Every partition (or the whole disk, when there are none) is asked: an ext file system for what its files tell
 * (probe_inside.c, in a cage); a volume of NTFS for the name of the boot manager. What no file system tells about the processor, the partition table may: by type of
 * its root partition, or by the name of the boot loader in the EFI partition. The first answer to each
 * question counts.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "domain/probe_int.h"

#define EXT_MAX 16u          /* file systems looked into */
#define EFI_SCAN (8u << 20)  /* bytes of an EFI partition looked through */
#define PIECE (256u << 10)

struct found {
	const struct cage *cage;
	char *os, *arch;
	unsigned ext_opened;
};

struct guid_arch {
	uint8_t guid[16];
	const char *arch;
};

/* Types of root partitions (Discoverable Partitions Specification), as they are on disk. */
static const struct guid_arch roots[] = {
	{ { 0xe3, 0xbc, 0x68, 0x4f, 0xcd, 0xe8, 0xb1, 0x4d, 0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09 }, "x86_64" },
	{ { 0x40, 0x95, 0x47, 0x44, 0x97, 0xf2, 0xb2, 0x41, 0x9a, 0xf7, 0xd1, 0x31, 0xd5, 0xf0, 0x45, 0x8a }, "i386" },
	{ { 0x45, 0xb0, 0x21, 0xb9, 0xf0, 0x1d, 0xc3, 0x41, 0xaf, 0x44, 0x4c, 0x6f, 0x28, 0x0d, 0x3f, 0xae }, "aarch64" },
	{ { 0x10, 0xd7, 0xda, 0x69, 0xe4, 0x2c, 0x3c, 0x4e, 0xb1, 0x6c, 0x21, 0xa1, 0xd4, 0x9a, 0xbe, 0xd3 }, "arm" },
	{ { 0xa6, 0x70, 0xec, 0x72, 0x74, 0xcf, 0xe6, 0x40, 0xbd, 0x49, 0x4b, 0xda, 0x08, 0xe8, 0xf2, 0x24 }, "riscv64" },
	{ { 0xe6, 0x45, 0xc3, 0x31, 0x39, 0x3f, 0x2e, 0x41, 0x80, 0xfb, 0x48, 0x09, 0xc4, 0x98, 0x05, 0x99 }, "ppc64le" },
	{ { 0xa9, 0xd9, 0xea, 0x5e, 0x09, 0xfe, 0x1e, 0x4a, 0xa1, 0xd7, 0x52, 0x0d, 0x00, 0x53, 0x13, 0x06 }, "s390x" },
	{ { 0x00, 0x58, 0x05, 0x77, 0x2c, 0x79, 0x94, 0x4f, 0xb3, 0x9a, 0x98, 0xc9, 0x1b, 0x76, 0x2b, 0xb6 }, "loongarch64" },
};

static const uint8_t efi_guid[16] = {
	0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
};

static void set(char *to, const char *text, size_t size)
{
	size_t len = strnlen(text, size - 1);
	if (to[0])
		return;
	memcpy(to, text, len);
	to[len] = 0;
}

/* ---- kinds of volumes */

static void look_into_ext(const struct source *src, uint64_t offset, uint64_t size, struct found *f)
{
	struct ext_facts facts = { .os = "" };
	if (f->ext_opened == EXT_MAX || !probe_ext_is_sane(src, offset, size))
		return;
	f->ext_opened++;
	if (f->cage)
		cage_look(f->cage, src, offset, size, &facts);
	else
		probe_inside(src, offset, size, &facts);
	set(f->os, facts.os, OS_SIZE);
	set(f->arch, facts.arch, ARCH_SIZE);
}

/* The boot code of a volume that Windows made names the boot manager, in one or two bytes a letter. */
static void look_into_ntfs(const struct source *src, uint64_t offset, uint64_t size, struct found *f)
{
	static const char wide[] = "B\0O\0O\0T\0M\0G\0R";
	uint8_t boot[8192];
	if (size < sizeof boot || probe_read(src, boot, sizeof boot, offset, NULL) < 0 ||
	    memcmp(boot + 3, "NTFS    ", 8) != 0)
		return;
	if (memmem(boot, sizeof boot, wide, sizeof wide) || memmem(boot, sizeof boot, "BOOTMGR", 7))
		set(f->os, "windows", OS_SIZE);
}

static const char *arch_from_loader(const uint8_t *piece, size_t len)
{
	static const struct { char name[12]; const char *arch; } loaders[] = {
		{ "BOOTX64 EFI", "x86_64" }, { "BOOTAA64EFI", "aarch64" },
		{ "BOOTARM EFI", "arm" },    { "BOOTIA32EFI", "i386" }, /* last: may lie beside BOOTX64 */
	};
	for (unsigned i = 0; i < sizeof loaders / sizeof *loaders; i++)
		for (size_t at = 0; at + 32 <= len; at += 32)
			if (memcmp(piece + at, loaders[i].name, 11) == 0)
				return loaders[i].arch;
	return "";
}

/* Entries of FAT folders are 32 bytes, aligned, and begin with the short name: no need to understand
 * the rest. */
static void look_into_efi(const struct source *src, uint64_t offset, uint64_t size, struct found *f)
{
	AUTO_FREE uint8_t *piece = malloc(PIECE);
	uint64_t end = MIN(size, (uint64_t)EFI_SCAN);
	for (uint64_t at = 0; piece && at < end && !f->arch[0]; at += PIECE) {
		uint32_t len = (uint32_t)MIN(end - at, (uint64_t)PIECE);
		if (probe_read(src, piece, len, offset + at, NULL) < 0)
			return;
		set(f->arch, arch_from_loader(piece, len), ARCH_SIZE);
	}
}

/* ---- the table's own word */

static bool is_efi(const struct partition *p)
{
	return p->mbr_type == 0xef || memcmp(p->guid, efi_guid, sizeof efi_guid) == 0;
}

static void look_at_types(const struct source *src, const struct partitions *t, struct found *f)
{
	for (unsigned i = 0; i < t->count; i++)
		for (unsigned k = 0; k < sizeof roots / sizeof *roots; k++)
			if (memcmp(t->items[i].guid, roots[k].guid, 16) == 0)
				set(f->arch, roots[k].arch, ARCH_SIZE);
	for (unsigned i = 0; i < t->count && !f->arch[0]; i++)
		if (is_efi(&t->items[i]))
			look_into_efi(src, t->items[i].offset, t->items[i].size, f);
}

void probe_system(const struct source *src, const struct cage *cage, char ret_os[OS_SIZE], char ret_arch[ARCH_SIZE])
{
	struct found f = { cage, ret_os, ret_arch, 0 };
	ret_os[0] = ret_arch[0] = 0;
	AUTO_FREE struct partitions *t = calloc(1, sizeof *t);
	if (!t || probe_table(src, t, NULL) < 0)
		return;
	if (t->kind == TABLE_NONE)
		t->items[t->count++] = (struct partition){ .size = src->size };
	for (unsigned i = 0; i < t->count && !(f.os[0] && f.arch[0]); i++) {
		look_into_ext(src, t->items[i].offset, t->items[i].size, &f);
		look_into_ntfs(src, t->items[i].offset, t->items[i].size, &f);
	}
	look_at_types(src, t, &f);
}
