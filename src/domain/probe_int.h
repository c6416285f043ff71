/* SPDX-License-Identifier: Apache-2.0 */
/* probe_int: between the files of probe. Nobody else includes it. */
#ifndef IMAGEFS_DOMAIN_PROBE_INT_H
#define IMAGEFS_DOMAIN_PROBE_INT_H

#include "domain/probe.h"
#include "domain/probe_cage.h"

#define SECTOR 512u

/* len bytes at offset; -ENODATA when they reach beyond the source: no caller has to check first. */
int probe_read(const struct source *, void *buf, uint32_t len, uint64_t offset, struct error *err) MUST_USE;

enum table_kind { TABLE_NONE, TABLE_MBR, TABLE_GPT };

struct partition {
	uint64_t offset, size; /* bytes; inside the source */
	uint8_t mbr_type;      /* TABLE_MBR */
	uint8_t guid[16];      /* TABLE_GPT: type, as on disk */
};

#define PARTITIONS_MAX 128
struct partitions {
	enum table_kind kind;
	uint64_t needs; /* bytes a disk must have for all that the table mentions; UINT64_MAX: more than there can be */
	unsigned count;
	struct partition items[PARTITIONS_MAX]; /* those that lie inside the source and are not empty */
};

/* The partition table, if there is one. -EINVAL when an MBR promises a GPT, and neither copy of it holds. */
int probe_table(const struct source *, struct partitions *ret, struct error *err) MUST_USE;

/* The GPT alone (ret was begun by probe_table). */
int probe_gpt(const struct source *, struct partitions *ret, struct error *err) MUST_USE;

/* Note that sectors first..last belong to a partition; it is listed if it is inside the source. */
struct partition *probe_partition(const struct source *, struct partitions *, uint32_t sector, uint64_t first,
				  uint64_t last);

/* 0 when the bytes are no container, else -EINVAL with its name and the command that unpacks it. */
int probe_container(const struct source *, struct error *err) MUST_USE;

/* A file system of the ext family at `offset`, at most `size` bytes long. */
#define EXT_SUPER_OFFSET 1024u
#define EXT_SUPER_SIZE 1024u
uint64_t probe_ext_bytes(const uint8_t super[EXT_SUPER_SIZE]); /* its length; 0: it is none */

/* Is its super block one that libext2fs may be shown? */
bool probe_ext_is_sane(const struct source *, uint64_t offset, uint64_t size);

struct probe_ext;
struct probe_ext *probe_ext_open(const struct source *, uint64_t offset, uint64_t size); /* NULL: not possible */
void probe_ext_close(struct probe_ext *);
/* What its files tell. By libext2fs in the calling process, which had better be in a cage (probe_cage.h). */
void probe_inside(const struct source *, uint64_t offset, uint64_t size, struct ext_facts *ret);

/* The first bytes of a regular file, links followed inside: how many, or -ENOENT. */
int probe_ext_read(struct probe_ext *, const char *path, void *buf, unsigned room) MUST_USE;

#endif
