#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# File systems on the disk of an instance, through loop devices: made, mounted, filled, trimmed, checked, imaged.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
need_root
private_dev_fuse
need losetup mkfs.ext4 fsck.ext4 fstrim resize2fs
losetup -f >/dev/null 2>&1 || skip_all 'no loop devices'
begin 'loop devices'
instance_store

loops=()
detach() {
	local loop
	for loop in "${loops[@]}"; do
		losetup -d "$loop" 2>/dev/null
	done
	loops=()
}
leave() {
	local code=$?
	umount "$T/fs" 2>/dev/null
	detach
	(exit "$code")
	clean_up
}
trap leave EXIT

# attach DESC OPTION... DISK: sets $loop
attach() {
	local what=$1
	shift
	ok "$what" losetup -f --show "$@"
	loop=$(cat "$T/.out")
	loops+=("$loop")
}

# fill FOLDER: files of many sizes
fill() {
	local n
	for n in 1 2 3 4 5 6 7 8; do
		mkdir -p "$1/d$n"
		head -c $((n * n * 20000 + n)) /dev/urandom >"$1/d$n/noise"
		seq $((n * 3000)) >"$1/d$n/text"
	done
}
mkdir "$T/fs" "$T/tree"
fill "$T/tree"

# An image with a file system.
truncate -s 300M "$T/base.img"
mkfs.ext4 -q -F -L test -d "$T/tree" "$T/base.img"
import base "$T/base.img"
cp -r "$C/base" "$I/v"
disk=$I/v/disk

begin 'mount -o loop'
ok 'fsck' fsck.ext4 -fn "$disk"
ok 'mount' mount -o loop "$disk" "$T/fs"
ok 'what is in the image' diff -r "$T/tree" "$T/fs" --exclude lost+found
fails 'it cannot be destroyed now' 'Device or resource busy' rm -r "$I/v"
fails 'nor re-installed' 'Device or resource busy' ln -sfn "$C/base" "$I/v/image"
ok 'it is written' cp -r "$T/tree" "$T/fs/more"
ok 'and synced' sync -f "$T/fs"
ok 'an image of it while it is mounted' cp -r "$I/v" "$C/live"
ok 'umount' umount "$T/fs"
ok 'fsck' fsck.ext4 -fn "$disk"
ok 'mount again' mount -o loop "$disk" "$T/fs"
ok 'all is there' diff -r "$T/tree" "$T/fs/more"
umount "$T/fs"
ok 'the image is as after a power cut: its journal repairs it' bash -c "cp -r '$C/live' '$I/live' && fsck.ext4 -fp '$I/live/disk' >'$T/fsck' || test \$? -eq 1"
ok 'then it is whole' fsck.ext4 -fn "$I/live/disk"
ok 'with what had been synced' mount -o loop,ro "$I/live/disk" "$T/fs"
ok 'all of it' diff -r "$T/tree" "$T/fs/more"
umount "$T/fs"
ok 'the image of the beginning' fsck.ext4 -fn "$C/base/disk"

begin 'fstrim gives space back'
stored() {
	echo $(($(stat -c %b "$disk") * 512))
}
ok 'mount' mount -o loop "$disk" "$T/fs"
before=$(stored)
noise "$T/fs/large" $((40 << 20))
sync -f "$T/fs"
full=$(stored)
ok "40 MiB take 40 MiB (from $before to $full)" test $((full - before)) -ge $((40 << 20))
rm "$T/fs/large"
sync -f "$T/fs"
ok 'fstrim' fstrim -v "$T/fs"
like 'did something' "$(cat "$T/.out")" '[1-9]'
after=$(stored)
ok "gives them back (to $after)" test $((after - before)) -le $((4 << 20))
umount "$T/fs"
ok 'fsck' fsck.ext4 -fn "$disk"
ok 'an image of it costs no more' cp -r "$I/v" "$C/trimmed"
ok "$(status_of trimmed stored) bytes" test "$(status_of trimmed stored)" -lt $((20 << 20))

begin 'losetup --direct-io'
cp -r "$C/base" "$I/direct"
disk=$I/direct/disk
attach 'attach' --direct-io=on "$disk"
is 'it is direct' "$(losetup -n -O DIO "$loop" | tr -d ' ')" 1
ok 'mkfs' mkfs.ext4 -q -F "$loop"
ok 'mount' mount "$loop" "$T/fs"
cp -r "$T/tree/." "$T/fs/"
ok 'umount' umount "$T/fs"
detach
ok 'fsck' wait_until 10 fsck.ext4 -fn "$disk"
ok 'mount -o loop' mount -o loop,ro "$disk" "$T/fs"
ok 'what was written' diff -r "$T/tree" "$T/fs" --exclude lost+found
umount "$T/fs"

begin 'grown'
ok 'truncate' truncate -s 500M "$disk"
attach 'attach with a larger block' --sector-size 4096 "$disk"
detach
attach 'attach' "$disk"
is 'the device is as large' "$(blockdev --getsize64 "$loop")" $((500 << 20))
ok 'fsck' fsck.ext4 -fp "$loop"
ok 'resize2fs' resize2fs "$loop"
ok 'discard of a range' blkdiscard -o $((490 << 20)) -l $((5 << 20)) "$loop"
ok 'zeroes' blkdiscard -z -o $((495 << 20)) -l $((5 << 20)) "$loop"
detach
ok 'fsck' wait_until 10 fsck.ext4 -fn "$disk"

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
