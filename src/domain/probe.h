/* SPDX-License-Identifier: Apache-2.0 */
/* probe: looking into a disk: is it one, is it whole, which system is on it. Bytes are hostile: everything is
 * bounded, nothing is trusted, no path is opened; it reads through a source. */
#ifndef IMAGEFS_DOMAIN_PROBE_H
#define IMAGEFS_DOMAIN_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define OS_SIZE 64u
#define ARCH_SIZE 16u

struct cage;
struct source {
	/* exactly len bytes at offset (never beyond size), or an error */
	int (*read)(void *ctx, void *buf, uint32_t len, uint64_t offset, struct error *err);
	/* the first byte at or after offset that is not in a hole (size: none); NULL: holes are not known */
	int (*data)(void *ctx, uint64_t offset, uint64_t *ret, struct error *err);
	void *ctx;
	uint64_t size;
};

/* May these bytes be offered as a raw disk? 0; -ENODATA when there must be more to come ("the disk ends at N bytes, but its partition
 * table needs M"); -EINVAL with the reason when they can't: all zero (sets *ret_zero, still -EINVAL),
 * not a multiple of 512 bytes, an MBR partition or GPT (either header's last LBA, entries, backup header) that reaches beyond the end (-ENODATA), broken GPT header CRC while a protective MBR says GPT and the backup is no help either; contents that are
 * a container format rather than a raw disk (qcow2, qed, vmdk sparse/descriptor, vhd, vhdx, vdi, LUKS header at 0): named in the sentence with
 * the command that converts it (`qemu-img convert -O raw FILE DIR/disk`). No partition table at all is fine when a known filesystem, an ISO 9660, a boot
 * sector (0x55AA) or LVM is found at the start, and else also fine (a data disk) as long as it is not all zero. */
int probe_disk(const struct source *, bool *ret_zero, struct error *err) MUST_USE;

/* What system is on it, as far as can be told: "debian 12" (ID and VERSION_ID of the os-release of an ext file system), "windows"; and for
 * which processor: "x86_64", "aarch64", "i386" … (a program's ELF header, the type of the root partition, the name of the EFI loader). Empty
 * strings when unknown; never fails. libext2fs gets to see the bytes in the cage only (probe_cage.h); without one (NULL: tests) in this process. */
void probe_system(const struct source *, const struct cage *, char ret_os[OS_SIZE], char ret_arch[ARCH_SIZE]);

#endif
