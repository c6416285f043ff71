/* SPDX-License-Identifier: Apache-2.0 */
/* probe_ext: files of an ext2/3/4 file system, by libext2fs over a source. The only file that knows
 * libext2fs.
 *
 * The file system may be hostile. What libext2fs would trust blindly is checked before it gets to see
 * it: the length and the number of groups in the super block. It then reads through an io_manager of
 * ours that stays inside the partition and gives up after READS_MAX reads or BYTES_MAX bytes, so that
 * cycles and bombs end. Nothing is ever written.
 */
#include <ext2fs/ext2fs.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "domain/probe_int.h"

#define READS_MAX 20000u
#define BYTES_MAX (64u << 20)
#define GROUPS_MAX (1u << 20) /* 128 TiB with blocks of 4 KiB */
#define LINKS_MAX 12u
#define LINK_SIZE 1024u
#define INCOMPAT_64BIT 0x80u

struct probe_ext {
	const struct source *src;
	uint64_t offset, size;
	unsigned reads;
	uint64_t bytes;
	struct struct_io_manager io;
	ext2_filsys fs;
};

struct super {
	uint64_t blocks, bytes;
	uint32_t per_group;
};

static bool parse_super(const uint8_t *s, struct super *ret)
{
	uint32_t log = get_le32(s + 24);
	if (get_le16(s + 56) != EXT2_SUPER_MAGIC || log > 6)
		return false;
	ret->blocks = get_le32(s + 4);
	if (get_le32(s + 96) & INCOMPAT_64BIT)
		ret->blocks |= (uint64_t)get_le32(s + 336) << 32;
	ret->per_group = get_le32(s + 32);
	if (ret->blocks == 0 || ret->blocks > UINT64_C(1) << 46 || ret->per_group == 0)
		return false;
	ret->bytes = ret->blocks << (10 + log);
	return true;
}

uint64_t probe_ext_bytes(const uint8_t super[EXT_SUPER_SIZE])
{
	struct super s;
	return parse_super(super, &s) ? s.bytes : 0;
}

bool probe_ext_is_sane(const struct source *src, uint64_t offset, uint64_t size)
{
	uint8_t bytes[EXT_SUPER_SIZE];
	struct super s;
	if (size < EXT_SUPER_OFFSET + sizeof bytes ||
	    probe_read(src, bytes, sizeof bytes, offset + EXT_SUPER_OFFSET, NULL) < 0)
		return false;
	return parse_super(bytes, &s) && s.bytes <= size && div_up(s.blocks, s.per_group) <= GROUPS_MAX;
}

/* ---- the io_manager. libext2fs hands open() a name only: it is the address of our struct, in hex. */

static errcode_t io_open(const char *name, int flags, io_channel *ret)
{
	(void)flags;
	uintptr_t address = (uintptr_t)strtoumax(name, NULL, 16);
	struct probe_ext *ext = (struct probe_ext *)address;
	io_channel c = calloc(1, sizeof *c);
	if (!c)
		return EXT2_ET_NO_MEMORY;
	c->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	c->manager = &ext->io;
	c->name = strdup("probe");
	c->block_size = EXT_SUPER_SIZE;
	c->refcount = 1;
	c->private_data = ext;
	*ret = c;
	return 0;
}

static errcode_t io_close(io_channel c)
{
	if (--c->refcount > 0)
		return 0;
	free(c->name);
	free(c);
	return 0;
}

static errcode_t io_set_blksize(io_channel c, int size)
{
	c->block_size = size;
	return 0;
}

/* count < 0: so many bytes instead of blocks. */
static errcode_t io_read64(io_channel c, unsigned long long block, int count, void *buf)
{
	struct probe_ext *ext = c->private_data;
	uint64_t size = (uint64_t)c->block_size;
	uint64_t len = count < 0 ? (uint64_t)-(int64_t)count : (uint64_t)count * size;
	if (block > ext->size / size || len > ext->size - block * size)
		return EXT2_ET_SHORT_READ;
	ext->bytes += len;
	if (++ext->reads > READS_MAX || ext->bytes > BYTES_MAX)
		return EXT2_ET_SHORT_READ;
	return probe_read(ext->src, buf, (uint32_t)len, ext->offset + block * size, NULL) < 0
		       ? EXT2_ET_SHORT_READ
		       : 0;
}

static errcode_t io_read(io_channel c, unsigned long block, int count, void *buf)
{
	return io_read64(c, block, count, buf);
}

static errcode_t io_write64(io_channel c, unsigned long long block, int count, const void *buf)
{
	(void)c, (void)block, (void)count, (void)buf;
	return EXT2_ET_RO_FILSYS;
}

static errcode_t io_write(io_channel c, unsigned long block, int count, const void *buf)
{
	return io_write64(c, block, count, buf);
}

static errcode_t io_flush(io_channel c)
{
	(void)c;
	return 0;
}

/* ---- */

static int open_fs(struct probe_ext *ext)
{
	char name[20];
	snprintf(name, sizeof name, "%" PRIxPTR, (uintptr_t)ext);
	ext->io = (struct struct_io_manager){
		.magic = EXT2_ET_MAGIC_IO_MANAGER,
		.name = "probe",
		.open = io_open,
		.close = io_close,
		.set_blksize = io_set_blksize,
		.read_blk = io_read,
		.read_blk64 = io_read64,
		.write_blk = io_write,
		.write_blk64 = io_write64,
		.flush = io_flush,
	};
	int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES | EXT2_FLAG_IGNORE_CSUM_ERRORS;
	return ext2fs_open(name, flags, 0, 0, &ext->io, &ext->fs) ? -EINVAL : 0;
}

struct probe_ext *probe_ext_open(const struct source *src, uint64_t offset, uint64_t size)
{
	if (!probe_ext_is_sane(src, offset, size))
		return NULL;
	struct probe_ext *ext = calloc(1, sizeof *ext);
	if (!ext)
		return NULL;
	ext->src = src;
	ext->offset = offset;
	ext->size = size;
	if (open_fs(ext) < 0) {
		free(ext);
		return NULL;
	}
	return ext;
}

void probe_ext_close(struct probe_ext *ext)
{
	if (!ext)
		return;
	ext2fs_free(ext->fs); /* unlike ext2fs_close(): never tries to write */
	free(ext);
}

/* ---- paths. Walked here, because libext2fs believes the length of a link. Inline data is not
 * understood: libext2fs believes too much on the way to it, and systems don't have it. */

static int load_inode(struct probe_ext *ext, ext2_ino_t ino, struct ext2_inode *ret)
{
	if (ext2fs_read_inode(ext->fs, ino, ret) || (ret->i_flags & EXT4_INLINE_DATA_FL))
		return -ENOENT;
	return 0;
}

static int read_inode(struct probe_ext *ext, ext2_ino_t ino, void *buf, unsigned room)
{
	ext2_file_t file;
	unsigned got = 0;
	if (ext2fs_file_open(ext->fs, ino, 0, &file))
		return -ENOENT;
	errcode_t r = ext2fs_file_read(file, buf, room, &got);
	ext2fs_file_close(file);
	return r ? -ENOENT : (int)got;
}

/* Where a link points to, with a NUL. */
static int read_link(struct probe_ext *ext, ext2_ino_t ino, const struct ext2_inode *inode, char ret[LINK_SIZE])
{
	uint32_t len = inode->i_size;
	if (len == 0 || len >= LINK_SIZE || inode->i_size_high)
		return -ENOENT;
	if (len < sizeof inode->i_block && ext2fs_is_fast_symlink((struct ext2_inode *)(uintptr_t)inode))
		memcpy(ret, inode->i_block, len);
	else if (read_inode(ext, ino, ret, len) != (int)len)
		return -ENOENT;
	ret[len] = 0;
	return 0;
}

struct walk {
	ext2_ino_t at; /* the folder that path is relative to, at last the file */
	struct ext2_inode inode;
	char path[2 * LINK_SIZE]; /* what is left to walk */
	unsigned links;
};

/* The link found takes the place of its name in the path; w->at is still the folder it is in. */
static int follow(struct probe_ext *ext, struct walk *w, ext2_ino_t link, const struct ext2_inode *inode,
		  const char *rest)
{
	char path[sizeof w->path], target[LINK_SIZE];
	if (++w->links > LINKS_MAX || read_link(ext, link, inode, target) < 0)
		return -ENOENT;
	if ((size_t)snprintf(path, sizeof path, "%s/%s", target, rest) >= sizeof path)
		return -ENOENT;
	memcpy(w->path, path, sizeof path);
	if (target[0] != '/')
		return 0;
	w->at = EXT2_ROOT_INO;
	return load_inode(ext, w->at, &w->inode);
}

/* One name further. 1: arrived. */
static int step(struct probe_ext *ext, struct walk *w)
{
	size_t skip = strspn(w->path, "/"), len = strcspn(w->path + skip, "/");
	char *name = w->path + skip, *rest = name + len;
	ext2_ino_t next;
	struct ext2_inode inode;
	if (len == 0)
		return 1;
	if (!LINUX_S_ISDIR(w->inode.i_mode) || ext2fs_lookup(ext->fs, w->at, name, (int)len, NULL, &next) ||
	    load_inode(ext, next, &inode) < 0)
		return -ENOENT;
	if (LINUX_S_ISLNK(inode.i_mode))
		return follow(ext, w, next, &inode, rest);
	w->at = next;
	w->inode = inode;
	memmove(w->path, rest, strlen(rest) + 1);
	return 0;
}

int probe_ext_read(struct probe_ext *ext, const char *path, void *buf, unsigned room)
{
	struct walk w = { .at = EXT2_ROOT_INO };
	int r = load_inode(ext, w.at, &w.inode);
	if (r < 0 || (size_t)snprintf(w.path, sizeof w.path, "%s", path) >= sizeof w.path)
		return -ENOENT;
	while ((r = step(ext, &w)) == 0)
		;
	return r == 1 && LINUX_S_ISREG(w.inode.i_mode) ? read_inode(ext, w.at, buf, room) : -ENOENT;
}
