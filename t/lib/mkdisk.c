/* SPDX-License-Identifier: Apache-2.0 */
/* mkdisk FILE SIZE_MIB DATA_MIB SEED: a disk image for tests.
 *
 * A sparse file with a protective MBR, a GPT at both ends and one Linux partition. DATA_MIB of content are
 * spread over the partition in pieces of 64 KiB to 1 MiB with holes between: half of it noise, half text
 * that compresses. The same arguments give the same bytes, on any machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR 512u
#define MIB (UINT64_C(1) << 20)
#define PIECE (UINT64_C(64) << 10)
#define ENTRY_COUNT 128u
#define ENTRY_SIZE 128u
#define TABLE_SECTORS (ENTRY_COUNT * ENTRY_SIZE / SECTOR)
#define FIRST_SECTOR 2048u

struct disk {
	int fd;
	const char *name;
	uint64_t size;
	uint64_t data;
	uint64_t random;
};

static void die(const char *what)
{
	fprintf(stderr, "mkdisk: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* splitmix64 */
static uint64_t next_random(struct disk *disk)
{
	uint64_t z = (disk->random += 0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void put(uint8_t *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t crc32_of(const uint8_t *bytes, size_t length)
{
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < length; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static void write_at(struct disk *disk, const void *bytes, size_t length, uint64_t offset)
{
	const uint8_t *from = bytes;
	while (length > 0) {
		ssize_t done = pwrite(disk->fd, from, length, (off_t)offset);
		if (done < 0)
			die(disk->name);
		from += done;
		offset += (uint64_t)done;
		length -= (size_t)done;
	}
}

static void random_guid(struct disk *disk, uint8_t guid[16])
{
	put(guid, next_random(disk), 8);
	put(guid + 8, next_random(disk), 8);
	guid[7] = (guid[7] & 0x0f) | 0x40;
	guid[8] = (guid[8] & 0x3f) | 0x80;
}

static void write_protective_mbr(struct disk *disk, uint64_t sectors)
{
	static const uint8_t whole_disk[8] = { 0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff };
	uint8_t mbr[SECTOR] = { 0 };
	memcpy(mbr + 446, whole_disk, sizeof whole_disk);
	put(mbr + 454, 1, 4);
	put(mbr + 458, sectors - 1 > UINT32_MAX ? UINT32_MAX : sectors - 1, 4);
	put(mbr + 510, 0xaa55, 2);
	write_at(disk, mbr, sizeof mbr, 0);
}

static void fill_partition_table(struct disk *disk, uint8_t *table, uint64_t last)
{
	static const uint8_t linux_data[16] = { 0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
						0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4 };
	static const char name[] = "root";
	memcpy(table, linux_data, sizeof linux_data);
	random_guid(disk, table + 16);
	put(table + 32, FIRST_SECTOR, 8);
	put(table + 40, last, 8);
	for (unsigned i = 0; name[i]; i++)
		table[56 + 2 * i] = (uint8_t)name[i];
}

struct gpt {
	uint64_t sectors, last_usable;
	uint8_t guid[16];
	uint32_t table_crc;
};

static void write_gpt_header(struct disk *disk, const struct gpt *gpt, uint64_t here, uint64_t other, uint64_t table)
{
	uint8_t header[SECTOR] = "EFI PART";
	put(header + 8, 0x00010000, 4);
	put(header + 12, 92, 4);
	put(header + 24, here, 8);
	put(header + 32, other, 8);
	put(header + 40, 2 + TABLE_SECTORS, 8);
	put(header + 48, gpt->last_usable, 8);
	memcpy(header + 56, gpt->guid, sizeof gpt->guid);
	put(header + 72, table, 8);
	put(header + 80, ENTRY_COUNT, 4);
	put(header + 84, ENTRY_SIZE, 4);
	put(header + 88, gpt->table_crc, 4);
	put(header + 16, crc32_of(header, 92), 4);
	write_at(disk, header, sizeof header, here * SECTOR);
}

/* Returns the first sector behind the partition. */
static uint64_t write_gpt(struct disk *disk)
{
	static uint8_t table[ENTRY_COUNT * ENTRY_SIZE];
	struct gpt gpt = { .sectors = disk->size / SECTOR };
	gpt.last_usable = gpt.sectors - 2 - TABLE_SECTORS;
	uint64_t end = (gpt.last_usable + 1) / FIRST_SECTOR * FIRST_SECTOR;

	random_guid(disk, gpt.guid);
	fill_partition_table(disk, table, end - 1);
	gpt.table_crc = crc32_of(table, sizeof table);
	write_protective_mbr(disk, gpt.sectors);
	write_at(disk, table, sizeof table, 2 * SECTOR);
	write_at(disk, table, sizeof table, (gpt.last_usable + 1) * SECTOR);
	write_gpt_header(disk, &gpt, 1, gpt.sectors - 1, 2);
	write_gpt_header(disk, &gpt, gpt.sectors - 1, 1, gpt.last_usable + 1);
	return end;
}

static void fill_with_noise(struct disk *disk, uint8_t *piece)
{
	for (size_t i = 0; i < PIECE; i += 8)
		put(piece + i, next_random(disk), 8);
}

static void fill_with_text(struct disk *disk, uint8_t *piece)
{
	static const char *const words[16] = { "image ", "region ", "account ", "share ", "chunk ", "pack ", "map ",
					       "disk ",	 "copy ",   "alias ",	"trash ", "store ", "page ", "node ",
					       "key ",	 "\n" };
	size_t used = 0;
	while (used < PIECE) {
		uint64_t choice = next_random(disk);
		for (int i = 0; i < 16 && used < PIECE; i++, choice >>= 4) {
			const char *word = words[choice & 15];
			size_t length = strlen(word);
			if (length > PIECE - used)
				length = PIECE - used;
			memcpy(piece + used, word, length);
			used += length;
		}
	}
}

/* Extents of 1 to 16 pieces, with random gaps that share out the room that the data leave. */
static void write_content(struct disk *disk, uint64_t begin, uint64_t end)
{
	static uint8_t piece[PIECE];
	uint64_t room = (end - begin) / PIECE, left = disk->data / PIECE, at = begin / PIECE;
	if (left > room)
		left = room;
	while (left > 0) {
		uint64_t gap = room > left ? next_random(disk) % (2 * (room - left) / (left / 8 + 1) + 1) : 0;
		if (gap > room - left)
			gap = room - left;
		at += gap;
		room -= gap;
		bool text = next_random(disk) & 1;
		for (uint64_t n = 1 + next_random(disk) % 16; n > 0 && left > 0; n--, left--, room--, at++) {
			text ? fill_with_text(disk, piece) : fill_with_noise(disk, piece);
			write_at(disk, piece, sizeof piece, at * PIECE);
		}
	}
}

static uint64_t number(const char *text)
{
	char *end;
	errno = 0;
	uint64_t value = strtoull(text, &end, 0);
	if (errno || end == text || *end) {
		fprintf(stderr, "mkdisk: \"%s\" is not a number\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	if (argc != 5 || number(argv[2]) < 4 || number(argv[2]) > UINT32_MAX) {
		fprintf(stderr, "usage: mkdisk FILE SIZE_MIB DATA_MIB SEED, with at least 4 MiB\n");
		return 2;
	}
	struct disk disk = { .name = argv[1], .size = number(argv[2]) * MIB, .data = number(argv[3]) * MIB,
			     .random = number(argv[4]) };
	disk.fd = open(disk.name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (disk.fd < 0 || ftruncate(disk.fd, (off_t)disk.size) < 0)
		die(disk.name);
	uint64_t end = write_gpt(&disk);
	write_content(&disk, FIRST_SECTOR * SECTOR, end * SECTOR);
	if (close(disk.fd) < 0)
		die(disk.name);
	return 0;
}
