#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disk below the overlays fails: the kernel cannot write what was written, says so once to whoever asks next, and forgets the pages.
# What is read there afterwards are zeros. It is a file system in a file whose own file system becomes full.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
need_root
need losetup mkfs.ext4
losetup -f >/dev/null 2>&1 || skip_all 'no loop devices'
private_dev_fuse
begin 'a failing disk'

# Only data fail: there is no journal, and what describes the files has its room at the front from the start.
mkdir "$T/host"
mount -t tmpfs -o size=64m tmpfs "$T/host"
truncate -s 512M "$T/host/image"
mkfs.ext4 -q -F -N 1024 -O ^has_journal -E lazy_itable_init=0 "$T/host/image"
fallocate -l 24M "$T/host/image"
new_store
mount -o loop "$T/host/image" "$STORE/overlay"
rmdir "$STORE/overlay/lost+found"
dd if=/dev/zero of="$STORE/overlay/front" bs=1M count=24 status=none
sync -f "$STORE/overlay"
mount_store
echo 'images-per-region 1000' >"$M/.policy"
echo 'instances-per-region 1000' >"$M/.policy"

disk_fails() { dd if=/dev/zero of="$T/host/full" bs=1M status=none 2>/dev/null || dd if=/dev/zero bs=4k status=none >>"$T/host/full" 2>/dev/null; }
disk_works() { rm "$T/host/full"; }
# The kernel writes what is dirty, and then needs the memory.
kernel_writes() {
	sync -f "$STORE/overlay" 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
}
daemon_dies() {
	local was
	was=$(store_daemon_pid)
	kill -9 "$was"
	wait_until 10 is_another_than "$was"
}
is_another_than() { local now; now=$(store_daemon_pid) && [ -n "$now" ] && [ "$now" != "$1" ]; }
# put DISK OFFSET_KIB: 60 KiB of letters, less than a chunk: they are in the overlay and nowhere else
letters=$(head -c 61440 /dev/zero | tr '\0' x)
put() { printf '%s' "$letters" | dd of="$1" bs=4k seek="$(($2 / 4))" conv=notrunc status=none; }
has_letters() { [ "$(dd if="$1" bs=4k skip="$(($2 / 4))" count=15 status=none | tr -dc x | wc -c)" -eq 61440 ]; }

noise "$T/base.img" 4194304
import base "$T/base.img"
for v in folded synced logged; do
	cp -r "$C/base" "$I/$v"
	put "$I/$v/disk" 0
	sync "$I/$v/disk" # its files are there before the disk fails
done
for n in 1 2 3; do # small syncs go into a log from the third on
	put "$I/logged/disk" 64
	sync "$I/logged/disk"
done
for v in left synced; do # they are whole with 8 MiB
	image "$v"
	echo 8388608 >"$C/$v/size"
	truncate -s 4M "$C/$v/disk"
	put "$C/$v/disk" 0
	sync "$C/$v/disk"
done

begin 'nobody synced before the pages went'
disk_fails
put "$I/folded/disk" 1024
put "$I/logged/disk" 1024
put "$C/left/disk" 1024
kernel_writes
touch -d '2 minutes ago' "$STORE"/overlay/*.data
imagefs gc "$STORE" >/dev/null 2>&1
ok 'a quiet server keeps its overlay: nothing that was lost is taken for zeros' test "$(status_of "$I/folded" unfolded)" -gt 0
fails 'the next fsync says that writes are lost' "error syncing" sync "$I/folded/disk"
fails 'so does a small one' "error syncing" sync "$I/logged/disk"
fails 'the upload cannot be completed' 'failed to close' truncate -s 8M "$C/left/disk"
ok 'it is not available' test "$(state_of left)" != available

begin 'an fsync failed, and the daemon died'
put "$I/synced/disk" 1024
fails 'the fsync of a server fails' 'error syncing' sync "$I/synced/disk"
put "$C/synced/disk" 1024
fails 'the fsync of an upload fails' 'error syncing' sync "$C/synced/disk"
kernel_writes
daemon_dies
fails 'it fails for the next daemon, too' 'error syncing' sync "$I/synced/disk"
fails 'so does that of one whose writes were lost unsynced' 'error syncing' sync "$I/folded/disk"
disk_works
fails 'and when the disk works again: what is lost stays lost' 'error syncing' sync "$I/synced/disk"
like '.why says of a failed sync that written data may be lost' "$(last_why)" 'may be lost'
for v in left synced; do
	fails "the upload $v cannot be completed then" 'failed to close' truncate -s 8M "$C/$v/disk"
	ok "$v is not available" test "$(state_of $v)" != available
done
touch -d '2 minutes ago' "$STORE"/overlay/*.data
imagefs gc "$STORE" >/dev/null 2>&1
ok 'the server keeps its overlay' test "$(status_of "$I/synced" unfolded)" -gt 0

begin 'what can be done'
ok 'what was synced before reads' has_letters "$I/synced/disk" 0
ok 'a server is installed anew' ln -sfnr "$C/base" "$I/synced/image"
ok 'and can be synced' put "$I/synced/disk" 0
ok 'a server that was installed anew goes on syncing' sync "$I/synced/disk"
truncate -s 8M "$T/base.img"
ok 'an upload is made anew' cp "$T/base.img" "$C/left/disk"
is 'and is available' "$(state_of left)" available
ok 'its bytes are right' cmp "$T/base.img" "$C/left/disk"

umount_store
umount "$STORE/overlay"
umount "$T/host"
done_testing
