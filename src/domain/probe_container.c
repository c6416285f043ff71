/* SPDX-License-Identifier: Apache-2.0 */
/* probe_container: bytes that hold a disk in some wrapping, rather than being one.
 *
 * Known by the marks that qemu and the unpackers themselves go by, so that what is taken as raw is not
 * taken for something else by another program later. Only a mark is looked at, nothing in it is
 * followed.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "domain/probe_int.h"

#define HEAD 1024u

#define BY_QEMU "qemu-img convert -O raw FILE DIR/disk"

struct mark {
	const char *name, *command;
	uint16_t offset;
	uint8_t len;
	const char *bytes;
};

static const struct mark marks[] = {
	{ "a qcow2 image", BY_QEMU, 0, 4, "QFI\xfb" },
	{ "a QED image", BY_QEMU, 0, 4, "QED" },
	{ "a VMDK image", BY_QEMU, 0, 4, "KDMV" },
	{ "a VMDK image", BY_QEMU, 0, 4, "COWD" },
	{ "a VMDK image", BY_QEMU, 0, 8, "\xbe\xba\xfe\xca\0\0\0" },
	{ "a VHD image", BY_QEMU, 0, 8, "conectix" },
	{ "a VHDX image", BY_QEMU, 0, 8, "vhdxfile" },
	{ "a VDI image", BY_QEMU, 0x40, 4, "\x7f\x10\xda\xbe" },
	{ "a Parallels image", BY_QEMU, 0, 16, "WithoutFreeSpace" },
	{ "a Parallels image", BY_QEMU, 0, 16, "WithouFreSpacExt" },
	{ "a Bochs image", BY_QEMU, 0, 22, "Bochs Virtual HD Image" },
	{ "encrypted with LUKS", "cryptsetup open FILE plain && qemu-img convert -O raw /dev/mapper/plain DIR/disk",
	  0, 6, "LUKS\xba\xbe" },
	{ "compressed with xz", "xz -dc FILE > DIR/disk", 0, 6, "\xfd" "7zXZ" },
	{ "compressed with zstd", "zstd -dc FILE > DIR/disk", 0, 4, "\x28\xb5\x2f\xfd" },
	{ "compressed with gzip", "gzip -dc FILE > DIR/disk", 0, 3, "\x1f\x8b\x08" },
	{ "compressed with bzip2", "bzip2 -dc FILE > DIR/disk", 4, 6, "1AY&SY" },
	{ "a 7z archive", "7z x -so FILE > DIR/disk", 0, 6, "7z\xbc\xaf\x27\x1c" },
};

static int refuse(const char *name, const char *command, struct error *err)
{
	return fail(err, -EINVAL, "The file is %s, not a raw disk. This converts it: %s", name, command);
}

static bool has_mark(const struct mark *m, const uint8_t *head)
{
	return memcmp(head + m->offset, m->bytes, m->len) == 0;
}

/* The text that stands for a VMDK whose bytes are elsewhere: comments, empty lines, then version=N. */
static bool is_vmdk_text(const uint8_t *head)
{
	static const char title[] = "# Disk DescriptorFile";
	if (memcmp(head, title, sizeof title - 1) == 0)
		return true;
	unsigned i = 0;
	while (i < HEAD && (head[i] == '#' || isspace(head[i]))) {
		bool comment = head[i] == '#';
		while (comment && i < HEAD && head[i] != '\n')
			i++;
		i += i < HEAD;
	}
	return i + 9 <= HEAD && memcmp(head + i, "version=", 8) == 0 && head[i + 8] >= '1' && head[i + 8] <= '3';
}

/* An appliance: a tar whose first member is the description of a machine. */
static bool is_ova(const uint8_t *head)
{
	const char *name = (const char *)head;
	size_t len = strnlen(name, 100);
	return memcmp(head + 257, "ustar", 5) == 0 && len > 4 && memcmp(name + len - 4, ".ovf", 4) == 0;
}

/* A fixed VHD: raw bytes with a footer after them. Its checksum is the complement of the sum of its
 * other bytes. */
static bool is_vhd_footer(const uint8_t foot[SECTOR])
{
	uint32_t sum = 0;
	for (unsigned i = 0; i < SECTOR; i++)
		sum += i >= 64 && i < 68 ? 0 : foot[i];
	return memcmp(foot, "conectix", 8) == 0 && get_be32(foot + 64) == ~sum;
}

static int check_foot(const struct source *src, struct error *err)
{
	uint8_t foot[SECTOR];
	if (src->size < 2 * SECTOR)
		return 0;
	int r = probe_read(src, foot, sizeof foot, src->size - SECTOR, err);
	if (r < 0)
		return r;
	if (is_vhd_footer(foot))
		return refuse("a VHD image", BY_QEMU, err);
	if (memcmp(foot, "koly\0\0\0\4", 8) == 0)
		return refuse("a DMG image", BY_QEMU, err);
	return 0;
}

int probe_container(const struct source *src, struct error *err)
{
	uint8_t head[HEAD] = { 0 };
	int r = probe_read(src, head, (uint32_t)MIN(src->size, (uint64_t)HEAD), 0, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < sizeof marks / sizeof *marks; i++)
		if (has_mark(&marks[i], head))
			return refuse(marks[i].name, marks[i].command, err);
	if (is_vmdk_text(head))
		return refuse("the description of a VMDK image (the bytes are in its -flat file)", BY_QEMU, err);
	if (is_ova(head))
		return refuse("an OVA appliance (a tar with a disk in it)",
			      "tar -xf FILE, then for the disk in it: " BY_QEMU, err);
	return check_foot(src, err);
}
