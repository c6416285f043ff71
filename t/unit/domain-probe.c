/* SPDX-License-Identifier: Apache-2.0 */
/* Disks made by hand (and by mkfs.ext4, where there is one), whole and damaged, through domain/probe.h. */
#include "domain/probe.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "../fuzz/fuzz-probe.c"
#include "../lib/tap.h"

#define MIB (UINT64_C(1) << 20)

/* ---- a disk in memory */

struct disk_mem {
	uint8_t *bytes;
	uint64_t size;
	uint64_t reads, read_bytes;
	bool outside;          /* something beyond the end was asked for */
	uint64_t fails_from;   /* reads that touch this offset and later fail */
};

static int mem_read(void *ctx, void *buf, uint32_t len, uint64_t offset, struct error *err)
{
	struct disk_mem *d = ctx;
	d->reads++;
	d->read_bytes += len;
	if (offset > d->size || len > d->size - offset) {
		d->outside = true;
		return fail(err, -EIO, "outside");
	}
	if (offset + len > d->fails_from)
		return fail(err, ERR_DAMAGED, "The test broke this.");
	memcpy(buf, d->bytes + offset, len);
	return 0;
}

static struct disk_mem disk_make(uint64_t size)
{
	struct disk_mem d = { .bytes = calloc(1, size + 1), .size = size, .fails_from = UINT64_MAX };
	if (!d.bytes)
		bail("no memory");
	return d;
}

static struct source source_of(struct disk_mem *d)
{
	return (struct source){ .read = mem_read, .ctx = d, .size = d->size };
}

static struct error why;

static int probe(struct disk_mem *d)
{
	struct source src = source_of(d);
	why = (struct error){ 0, "" };
	int r = probe_disk(&src, NULL, &why);
	if (d->outside)
		bail("probe_disk read beyond the end");
	return r;
}

static bool says(const char *words)
{
	if (strstr(why.text, words))
		return true;
	diag("  it says: %s", why.text);
	return false;
}

static char os[64], arch[16];

static void look(struct disk_mem *d)
{
	struct source src = source_of(d);
	memset(os, 'x', sizeof os);
	memset(arch, 'x', sizeof arch);
	probe_system(&src, NULL, os, arch);
	if (d->outside)
		bail("probe_system read beyond the end");
}

/* ---- tables */

static void mbr_entry(struct disk_mem *d, uint64_t at, unsigned i, uint8_t type, uint32_t first, uint32_t count)
{
	uint8_t *e = d->bytes + at * 512 + 446 + i * 16;
	e[4] = type;
	put_le32(e + 8, first);
	put_le32(e + 12, count);
	put_le16(d->bytes + at * 512 + 510, 0xaa55);
}

static uint32_t crc32_of(const uint8_t *p, size_t len)
{
	uint32_t crc = UINT32_MAX;
	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static const uint8_t linux_data[16] = { 0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
					0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4 };
static const uint8_t root_arm64[16] = { 0x45, 0xb0, 0x21, 0xb9, 0xf0, 0x1d, 0xc3, 0x41,
					0xaf, 0x44, 0x4c, 0x6f, 0x28, 0x0d, 0x3f, 0xae };
static const uint8_t efi_system[16] = { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
					0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b };

struct part {
	const uint8_t *type;
	uint64_t first, last;
};

struct gpt_plan {
	uint32_t sector;
	uint64_t sectors, other, last_usable; /* 0: what is right */
	struct part parts[4];
};

static uint8_t *gpt_header(struct disk_mem *d, const struct gpt_plan *p, bool backup)
{
	return d->bytes + (backup ? p->sectors - 1 : 1) * p->sector;
}

static void gpt_seal(struct disk_mem *d, const struct gpt_plan *p, bool backup)
{
	uint8_t *h = gpt_header(d, p, backup);
	put_le32(h + 88, crc32_of(d->bytes + get_le64(h + 72) * p->sector, 128 * 128));
	put_le32(h + 16, 0);
	put_le32(h + 16, crc32_of(h, 92));
}

static void gpt_copy(struct disk_mem *d, const struct gpt_plan *p, bool backup)
{
	uint64_t table_sectors = 128 * 128 / p->sector;
	uint64_t table = backup ? p->sectors - 1 - table_sectors : 2;
	uint8_t *h = gpt_header(d, p, backup);
	memcpy(h, "EFI PART", 8);
	put_le32(h + 8, 0x10000);
	put_le32(h + 12, 92);
	put_le64(h + 24, backup ? p->sectors - 1 : 1);
	put_le64(h + 32, backup ? 1 : p->other ? p->other : p->sectors - 1);
	put_le64(h + 40, 2 + table_sectors);
	put_le64(h + 48, p->last_usable ? p->last_usable : p->sectors - table_sectors - 2);
	put_le64(h + 72, table);
	put_le32(h + 80, 128);
	put_le32(h + 84, 128);
	for (unsigned i = 0; i < 4 && p->parts[i].type; i++) {
		uint8_t *e = d->bytes + table * p->sector + i * 128;
		memcpy(e, p->parts[i].type, 16);
		put_le64(e + 32, p->parts[i].first);
		put_le64(e + 40, p->parts[i].last);
	}
	gpt_seal(d, p, backup);
}

static struct gpt_plan gpt_write(struct disk_mem *d, struct gpt_plan p)
{
	if (!p.sector)
		p.sector = 512;
	p.sectors = d->size / p.sector;
	mbr_entry(d, 0, 0, 0xee, 1, UINT32_MAX);
	gpt_copy(d, &p, false);
	gpt_copy(d, &p, true);
	return p;
}

/* ---- is it a disk? */

static void test_zeros_and_sizes(void)
{
	for (uint64_t size = 0; size <= 5 * MIB; size = size ? size * 5 : 512) {
		struct disk_mem d = disk_make(size);
		struct source src = source_of(&d);
		bool zero = false;
		ok(probe_disk(&src, &zero, &why) == -EINVAL && zero, "%llu zeros", (unsigned long long)size);
		free(d.bytes);
	}
	const uint64_t spots[] = { 0, 511, MIB - 1, MIB, 2 * MIB + 12345, 4 * MIB, 4 * MIB + 511 };
	for (unsigned i = 0; i < sizeof spots / sizeof *spots; i++) {
		struct disk_mem d = disk_make(4 * MIB + 512);
		struct source src = source_of(&d);
		bool zero = true;
		d.bytes[spots[i]] = 1;
		ok(probe_disk(&src, &zero, &why) == 0 && !zero, "one byte at %llu is a data disk",
		   (unsigned long long)spots[i]);
		free(d.bytes);
	}
	struct disk_mem d = disk_make(1000);
	d.bytes[7] = 7;
	ok(probe(&d) == -EINVAL && says("multiple of 512"), "an odd size");
	d.bytes[7] = 0;
	d.bytes[900] = 7;
	ok(probe(&d) == -ENODATA && says("no beginning"), "an odd size, and nothing in the first sector");
	d.bytes[7] = 7;
	d.size = 512;
	is_int(probe(&d), 0, "one sector");
	d.size = 1;
	d.bytes[0] = 1;
	is_int(probe(&d), -EINVAL, "one byte");
	free(d.bytes);
}

static void test_random_data(void)
{
	uint64_t seed = test_seed();
	for (unsigned i = 0; i < 200; i++) {
		struct disk_mem d = disk_make(512 * (1 + test_random(&seed) % 64));
		for (uint64_t k = 0; k < d.size; k++)
			d.bytes[k] = (uint8_t)test_random(&seed);
		d.bytes[0] &= 0x0f; /* not the mark of something */
		int r = probe(&d);
		look(&d);
		if (r != 0 || os[0] || arch[0]) {
			ok(false, "random bytes are a data disk: %s", why.text);
			free(d.bytes);
			return;
		}
		free(d.bytes);
	}
	ok(true, "random bytes are a data disk");
}

struct wrapped {
	const char *word, *bytes;
	unsigned at, len;
	unsigned vital; /* a byte of it without which it is something else */
};

static void test_containers(void)
{
	static const struct wrapped all[] = {
		{ "qcow2", "QFI\xfb", 0, 4, 1 }, { "QED", "QED\0", 0, 4, 1 }, { "VMDK", "KDMV", 0, 4, 1 },
		{ "VMDK", "COWD", 0, 4, 1 }, { "VMDK", "# Disk DescriptorFile\nversion=1\n", 0, 32, 0 },
		{ "VMDK", "#x\n\n \r\n# y\nversion=3\n", 0, 21, 12 }, { "VHD", "conectix", 0, 8, 1 },
		{ "VHDX", "vhdxfile", 0, 8, 1 }, { "VDI", "\x7f\x10\xda\xbe", 0x40, 4, 1 },
		{ "LUKS", "LUKS\xba\xbe\0\2", 0, 8, 1 }, { "Parallels", "WithouFreSpacExt", 0, 16, 1 },
		{ "xz", "\xfd" "7zXZ\0", 0, 6, 1 }, { "zstd", "\x28\xb5\x2f\xfd", 0, 4, 1 }, { "gzip", "\x1f\x8b\x08", 0, 3, 1 },
		{ "bzip2", "BZh91AY&SY", 0, 10, 5 },
	};
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		struct disk_mem d = disk_make(8192);
		memcpy(d.bytes + all[i].at, all[i].bytes, all[i].len);
		ok(probe(&d) == -EINVAL && says(all[i].word) && says("DIR/disk"), "%s is refused", all[i].word);
		d.bytes[all[i].at + all[i].vital] ^= 0x20;
		is_int(probe(&d), 0, "something like %s isn't", all[i].word);
		free(d.bytes);
	}
	struct disk_mem d = disk_make(8192);
	memcpy(d.bytes, "QFI\xfb", 4);
	probe(&d);
	ok(says("qemu-img convert -O raw FILE DIR/disk"), "the command that helps is named");
	d.size = 5;
	ok(probe(&d) == -EINVAL && says("qcow2"), "a qcow2 that was cut to five bytes is a qcow2 first of all");
	free(d.bytes);
}

static void test_fixed_vhd(void)
{
	struct disk_mem d = disk_make(8192);
	uint8_t *foot = d.bytes + 8192 - 512;
	d.bytes[0] = 1;
	memcpy(foot, "conectix", 8);
	is_int(probe(&d), 0, "the word alone at the end is no footer");
	uint32_t sum = 0;
	for (unsigned i = 0; i < 512; i++)
		sum += foot[i];
	put_be32(foot + 64, ~sum);
	ok(probe(&d) == -EINVAL && says("VHD"), "a fixed VHD is known by its footer");
	free(d.bytes);
}

static void test_ova(void)
{
	struct disk_mem d = disk_make(10240);
	memcpy(d.bytes, "machine.ovf", 11);
	memcpy(d.bytes + 257, "ustar", 5);
	ok(probe(&d) == -EINVAL && says("OVA"), "an appliance is refused");
	memcpy(d.bytes, "machine.txt", 11);
	is_int(probe(&d), 0, "another tar on a disk is data");
	free(d.bytes);
}

/* ---- MBR */

static void test_mbr(void)
{
	struct disk_mem d = disk_make(2 * MIB);
	mbr_entry(&d, 0, 0, 0x83, 64, 1000);
	mbr_entry(&d, 0, 3, 0x83, 2000, 2096);
	is_int(probe(&d), 0, "an MBR that just fits");
	d.size -= 512;
	ok(probe(&d) == -ENODATA && says("The disk ends at 2096640 bytes, but its partition table needs 2097152") &&
	   says("the upload is cut"), "one sector less is a cut upload");
	d.size += 512;
	d.bytes[446 + 16] = 0x42;
	d.size -= 512;
	is_int(probe(&d), 0, "flags that are none: this is no table");
	free(d.bytes);

	d = disk_make(MIB);
	mbr_entry(&d, 0, 0, 0x83, UINT32_MAX, UINT32_MAX);
	ok(probe(&d) == -ENODATA && says("cut"), "the largest numbers");
	memcpy(d.bytes + 3, "NTFS    ", 8);
	is_int(probe(&d), 0, "the boot sector of a volume has no table");
	free(d.bytes);
}

static void test_logical(void)
{
	struct disk_mem d = disk_make(4 * MIB);
	mbr_entry(&d, 0, 1, 0x05, 1000, 7192);
	mbr_entry(&d, 1000, 0, 0x83, 10, 100);
	mbr_entry(&d, 1000, 1, 0x05, 500, 6692);
	mbr_entry(&d, 1500, 0, 0x83, 10, 6682);
	is_int(probe(&d), 0, "logical partitions that fit");
	mbr_entry(&d, 1500, 0, 0x83, 10, 6683);
	ok(probe(&d) == -ENODATA && says("cut"), "one that doesn't");
	mbr_entry(&d, 1500, 0, 0x83, 10, 10);
	mbr_entry(&d, 1500, 1, 0x05, 500, 500);
	is_int(probe(&d), 0, "a chain that bites its tail");
	mbr_entry(&d, 1500, 1, 0x05, UINT32_MAX, 500);
	is_int(probe(&d), 0, "a chain that leads outside");
	free(d.bytes);
}

/* ---- GPT */

static void test_gpt_whole(uint32_t sector)
{
	struct disk_mem d = disk_make(2 * MIB);
	struct gpt_plan p = gpt_write(&d, (struct gpt_plan){ sector, .parts = { { linux_data, 40, 200 } } });
	is_int(probe(&d), 0, "GPT, sectors of %u", sector);
	bool all_cut = true;
	uint64_t whole = d.size;
	for (d.size = whole - 512; d.size >= 2 * sector; d.size -= d.size > 40960 ? 40960 : 512)
		all_cut = all_cut && probe(&d) == -ENODATA && says("needs 2097152");
	ok(all_cut, "it is a cut upload, wherever it ends");
	d.size = sector;
	ok(probe(&d) == -EINVAL && says("GPT"), "even when only the promise is left");
	d.size = whole;
	memset(gpt_header(&d, &p, true), 0, sector);
	is_int(probe(&d), 0, "the backup may be gone");
	free(d.bytes);
}

/* Every byte of a header that is covered by its checksum. */
static void test_gpt_damage(void)
{
	struct disk_mem d = disk_make(MIB);
	struct gpt_plan p = gpt_write(&d, (struct gpt_plan){ .parts = { { linux_data, 40, 200 } } });
	uint8_t *first = gpt_header(&d, &p, false), *second = gpt_header(&d, &p, true);
	bool one = true, both = true, late = true;
	for (unsigned i = 0; i < 92; i++) {
		first[i] ^= 0x10;
		one = one && probe(&d) == 0;
		second[91 - i] ^= 0x10;
		both = both && probe(&d) == -EINVAL && says("neither");
		first[i] ^= 0x10;
		late = late && probe(&d) == 0;
		second[91 - i] ^= 0x10;
	}
	ok(one, "a damaged first header: the second helps");
	ok(both, "both damaged: refused");
	ok(late, "a damaged second header: the first is enough");
	d.bytes[1024 + 60] ^= 1;
	is_int(probe(&d), 0, "damaged entries: the second table helps");
	d.bytes[(p.sectors - 33) * 512 + 60] ^= 1;
	ok(probe(&d) == -EINVAL && says("neither"), "both tables damaged: refused");
	mbr_entry(&d, 0, 0, 0x83, 1, 10);
	is_int(probe(&d), 0, "what no MBR promises is not asked for");
	free(d.bytes);
}

/* Headers with right checksums and wrong content. */
static void test_gpt_lies(void)
{
	struct gpt_plan plans[] = {
		{ .other = 5000 }, { .last_usable = 5000 }, { .parts = { { linux_data, 40, 5000 } } },
		{ .other = UINT64_MAX }, { .last_usable = UINT64_MAX }, { .parts = { { linux_data, 40, UINT64_MAX } } },
		{ .parts = { { linux_data, UINT64_MAX, UINT64_MAX - 1 } } },
	};
	for (unsigned i = 0; i < sizeof plans / sizeof *plans; i++) {
		struct disk_mem d = disk_make(MIB);
		gpt_write(&d, plans[i]);
		ok(probe(&d) == -ENODATA && says("cut"), "GPT that reaches beyond the end (%u)", i);
		look(&d);
		free(d.bytes);
	}
	static const struct { unsigned at; uint64_t value; } fields[] = {
		{ 72, UINT64_MAX }, { 72, 1 << 20 }, { 80, UINT32_MAX }, { 80, 0 }, { 84, 0 }, { 84, 127 },
		{ 84, UINT32_MAX }, { 12, 513 }, { 12, 91 }, { 12, UINT32_MAX }, { 24, 2 },
	};
	for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++) {
		struct disk_mem d = disk_make(MIB);
		struct gpt_plan p = gpt_write(&d, (struct gpt_plan){ 0 });
		for (unsigned k = 0; k < 2; k++) {
			uint8_t *h = gpt_header(&d, &p, k);
			if (fields[i].at == 72 || fields[i].at == 24)
				put_le64(h + fields[i].at, fields[i].value);
			else
				put_le32(h + fields[i].at, (uint32_t)fields[i].value);
			put_le32(h + 16, 0);
			put_le32(h + 16, crc32_of(h, fields[i].at == 12 ? MIN(fields[i].value, 512u) : 92));
		}
		is_int(probe(&d), fields[i].at == 72 ? -ENODATA : -EINVAL, "a GPT with a strange field at %u (%u)", fields[i].at, i);
		look(&d);
		free(d.bytes);
	}
}

/* ---- systems */

static void load(struct disk_mem *d, uint64_t at, const char *path)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	struct error err;
	if (io_read_file(path, 64 << 20, &text, &len, &err) < 0)
		bail("%s", err.text);
	if (at + len > d->size)
		bail("the test's disk is too small");
	memcpy(d->bytes + at, text, len);
}

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int run(const char *format, ...)
{
	char command[3000];
	va_list ap;
	va_start(ap, format);
	vsnprintf(command, sizeof command, format, ap);
	va_end(ap);
	return system(command);
}

/* mkfs.ext4 of a folder that `script` fills; NULL when there is no mkfs.ext4. */
static const char *make_ext(const char *options, const char *script)
{
	static char path[2000];
	snprintf(path, sizeof path, "%s/ext", test_folder());
	if (run("cd '%s' && rm -rf ext root && mkdir -p root/etc root/usr/lib root/usr/bin && cd root && %s",
		test_folder(), script))
		bail("the script failed: %s", script);
	if (run("PATH=$PATH:/sbin:/usr/sbin; mkfs.ext4 -q -F %s -d '%s/root' '%s' 2048k >/dev/null 2>&1", options,
		test_folder(), path))
		return NULL;
	return path;
}

#define RELEASE "printf 'NAME=\"Some\"\\nVERSION_ID=\"12\"\\nID=debian\\n' "
#define ELF_X86 "{ printf '\\177ELF\\002\\001\\001'; head -c 9 /dev/zero; printf '\\003\\000\\076\\000'; } "
#define ELF_ARM "{ printf '\\177ELF\\002\\001\\001'; head -c 9 /dev/zero; printf '\\003\\000\\267\\000'; } "

static void test_ext_whole(void)
{
	const char *path = make_ext("-b 1024", RELEASE "> usr/lib/os-release; ln -s ../usr/lib/os-release etc; "
				    "ln -s usr/bin bin; " ELF_X86 "> usr/bin/dash; ln -s dash usr/bin/sh");
	if (!path) {
		ok(true, "ext4 # SKIP there is no mkfs.ext4");
		return;
	}
	struct disk_mem d = disk_make(2 * MIB);
	load(&d, 0, path);
	is_int(probe(&d), 0, "an ext4 without a partition table is a disk");
	look(&d);
	is_str(os, "debian 12", "its os-release, through a link");
	is_str(arch, "x86_64", "and its shell, through two");
	d.size = MIB;
	ok(probe(&d) == -ENODATA && says("file system needs 2097152"), "cut");
	look(&d);
	is_str(os, "", "a cut file system is not looked into");
	free(d.bytes);
}

static void check_ext_at(struct disk_mem *d, uint64_t at, const char *path, const char *want_os, const char *want_arch,
			 const char *what)
{
	load(d, at, path);
	is_int(probe(d), 0, "%s: a disk", what);
	look(d);
	is_str(os, want_os, "%s: os", what);
	is_str(arch, want_arch, "%s: arch", what);
}

static void test_ext_in_partitions(void)
{
	const char *path = make_ext("-b 4096 -O ^metadata_csum,64bit", RELEASE "| sed s/12// > etc/os-release; "
				    "mkdir bin; " ELF_ARM "> bin/busybox; ln -s /bin/busybox bin/sh");
	if (!path)
		return;
	struct disk_mem d = disk_make(6 * MIB);
	gpt_write(&d, (struct gpt_plan){ .parts = { { linux_data, 40, 50 }, { linux_data, 4096, 8191 } } });
	check_ext_at(&d, 2 * MIB, path, "debian", "aarch64", "second partition of a GPT");
	free(d.bytes);

	d = disk_make(6 * MIB);
	gpt_write(&d, (struct gpt_plan){ 4096, .parts = { { linux_data, 512, 1023 } } });
	check_ext_at(&d, 2 * MIB, path, "debian", "aarch64", "GPT with sectors of 4096");
	free(d.bytes);

	d = disk_make(6 * MIB);
	mbr_entry(&d, 0, 0, 0x0f, 2048, 8192);
	mbr_entry(&d, 2048, 0, 0x83, 2048, 4096);
	check_ext_at(&d, 2 * MIB, path, "debian", "aarch64", "a logical partition");
	free(d.bytes);
}

static void test_ext_odd(void)
{
	static const struct { const char *script, *os, *arch, *what; } all[] = {
		{ "true", "", "", "an empty system" },
		{ "ln -s os-release etc/os-release; ln -s a bin; ln -s bin a", "", "", "links in a circle" },
		{ "ln -s ../../../../etc/debian_version etc/os-release", "", "", "a link that climbs" },
		{ "mkdir etc/os-release", "", "", "a folder of that name" },
		{ "printf 'ID=\"bad id\"\\n' > etc/os-release", "", "", "a value with a space" },
		{ "printf 'ID=../x\\nID=debian' > etc/os-release", "", "", "a value with a slash" },
		{ "printf \"ID='fedora'\\nVERSION_ID=41\" > etc/os-release", "fedora 41", "", "single quotes, no newline" },
		{ "{ printf 'ID='; head -c 100 /dev/zero | tr '\\0' a; } > etc/os-release", "", "", "a long value" },
		{ ": > etc/os-release; " RELEASE "> usr/lib/os-release", "debian 12", "", "an empty file, then a good one" },
		{ "mkdir lib; " RELEASE "> lib/os-release", "debian 12", "", "a file system for /usr" },
		{ "head -c 300000 /dev/zero | tr '\\0' '\\n' > etc/os-release", "", "", "a large file" },
	};
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		const char *path = make_ext("", all[i].script);
		if (!path)
			return;
		struct disk_mem d = disk_make(2 * MIB);
		check_ext_at(&d, 0, path, all[i].os, all[i].arch, all[i].what);
		free(d.bytes);
	}
}

/* Bytes turn at random where the file system keeps its own affairs. */
static void test_ext_damage(void)
{
	const char *path = make_ext("-b 1024", RELEASE "> etc/os-release; mkdir bin; " ELF_ARM "> bin/sh; "
				    "for i in 1 2 3 4 5 6 7 8 9; do mkdir etc/$i; echo > etc/$i/some-long-name-$i; done");
	if (!path)
		return;
	uint64_t seed = test_seed(), known = 0;
	struct disk_mem good = disk_make(2 * MIB);
	load(&good, 0, path);
	for (unsigned i = 0; i < 600; i++) {
		struct disk_mem d = disk_make(good.size);
		memcpy(d.bytes, good.bytes, good.size);
		uint64_t area = i % 3 == 0 ? 2048 : i % 3 == 1 ? 65536 : d.size;
		for (unsigned k = 0; k < 1 + i % 40; k++) {
			uint64_t at = test_random(&seed) % area;
			d.bytes[at] = test_random(&seed) % 3 ? (uint8_t)test_random(&seed) : 0xff;
		}
		put_le16(d.bytes + 1080, 0xef53);
		look(&d);
		known += os[0] != 0;
		if (d.read_bytes > 17 * (64 * MIB) || strnlen(os, 64) == 64 || strnlen(arch, 16) == 16)
			ok(false, "damage number %u is bounded", i);
		free(d.bytes);
	}
	ok(known > 20, "damaged file systems harm nobody, and some still tell (%u of 600)", (unsigned)known);
	free(good.bytes);
}

static void test_superblock_lies(void)
{
	static const struct { unsigned at; uint32_t value; } fields[] = {
		{ 4, UINT32_MAX }, { 4, 0 }, { 24, 7 }, { 24, UINT32_MAX }, { 32, 0 }, { 32, 1 }, { 32, UINT32_MAX },
		{ 40, 0 }, { 40, UINT32_MAX }, { 88, 0xffff }, { 88, 0 }, { 96, UINT32_MAX }, { 20, UINT32_MAX }, { 28, 31 },
		{ 254, 0xffff }, { 336, UINT32_MAX }, { 0, UINT32_MAX }, { 0, 0 },
	};
	const char *path = make_ext("-b 1024", RELEASE "> etc/os-release");
	if (!path)
		return;
	for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++) {
		struct disk_mem d = disk_make(2 * MIB);
		load(&d, 0, path);
		put_le32(d.bytes + 1024 + fields[i].at, fields[i].value);
		probe(&d);
		look(&d);
		free(d.bytes);
	}
	ok(true, "a super block that lies harms nobody");
}

static void test_windows(void)
{
	struct disk_mem d = disk_make(2 * MIB);
	gpt_write(&d, (struct gpt_plan){ .parts = { { efi_system, 40, 1000 }, { linux_data, 1024, 3000 } } });
	uint8_t *boot = d.bytes + 1024 * 512;
	memcpy(boot + 3, "NTFS    ", 8);
	look(&d);
	is_str(os, "", "an NTFS volume alone is no system");
	memcpy(boot + 514, "B\0O\0O\0T\0M\0G\0R", 14);
	memcpy(d.bytes + 40 * 512 + 96 * 32, "BOOTX64 EFI", 11);
	is_int(probe(&d), 0, "a disk of Windows");
	look(&d);
	is_str(os, "windows", "the boot manager tells");
	is_str(arch, "x86_64", "and the EFI loader's name");
	free(d.bytes);
}

static void test_guid(void)
{
	struct disk_mem d = disk_make(MIB);
	gpt_write(&d, (struct gpt_plan){ .parts = { { root_arm64, 40, 1000 } } });
	look(&d);
	is_str(arch, "aarch64", "the type of the root partition tells");
	is_str(os, "", "but not which system");
	free(d.bytes);
}

static void test_read_errors(void)
{
	struct disk_mem d = disk_make(2 * MIB);
	gpt_write(&d, (struct gpt_plan){ .parts = { { efi_system, 40, 1000 } } });
	bool passed_on = true;
	for (d.fails_from = 0; d.fails_from < 17408; d.fails_from += 512) {
		passed_on = passed_on && probe(&d) == ERR_DAMAGED && says("broke");
		look(&d);
		passed_on = passed_on && !os[0] && !arch[0];
	}
	ok(passed_on, "a failing read is passed on, and never taken for a verdict");
	free(d.bytes);
}

/* ---- the fuzzer's corpus */

static void test_corpus(void)
{
	const char *top = getenv("top_srcdir");
	char dir[2000], path[2300];
	unsigned count = 0;
	snprintf(dir, sizeof dir, "%s/t/fuzz/corpus/probe", top ? top : ".");
	DIR *folder = opendir(dir);
	if (!folder)
		bail("%s cannot be opened; set top_srcdir", dir);
	for (struct dirent *e; (e = readdir(folder)) != NULL;) {
		AUTO_FREE char *text = NULL;
		size_t len;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		if (e->d_name[0] == '.')
			continue;
		if (io_read_file(path, 1 << 20, &text, &len, &why) < 0)
			bail("%s", why.text);
		LLVMFuzzerTestOneInput((const uint8_t *)text, len);
		count++;
	}
	closedir(folder);
	ok(count >= 5, "%u files of the corpus", count);
}

int main(void)
{
	test_zeros_and_sizes();
	test_random_data();
	test_containers();
	test_fixed_vhd();
	test_ova();
	test_mbr();
	test_logical();
	test_gpt_whole(512);
	test_gpt_whole(4096);
	test_gpt_damage();
	test_gpt_lies();
	test_ext_whole();
	test_ext_in_partitions();
	test_ext_odd();
	test_ext_damage();
	test_superblock_lies();
	test_windows();
	test_guid();
	test_read_errors();
	test_corpus();
	return done_testing();
}
