#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The pool is full or fails, and the overlays have room: running servers notice nothing. What goes wrong in the background is shown,
# and told to who closes an upload.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
need_root
private_dev_fuse
begin 'a pool of its own'
new_store
mount -t tmpfs -o size=24m tmpfs "$STORE/pool"
mount_store
echo 'images-per-region 1000' >"$M/.policy"
echo 'instances-per-region 1000' >"$M/.policy"
noise "$T/base.img" 4194304
truncate -s 256M "$T/base.img"
import base "$T/base.img"
cp -r "$C/base" "$I/server"

fill() { dd if=/dev/zero of="$STORE/pool/full" bs=64k status=none 2>/dev/null || dd if=/dev/zero bs=4k status=none >>"$STORE/pool/full" 2>/dev/null; }
# write MIB: noise into the server's disk, so much that packs are made of it, and fsync
cp "$T/base.img" "$T/model"
at=8
write() {
	noise "$T/noise" $(($1 << 20))
	dd if="$T/noise" of="$T/model" bs=1M seek="$at" conv=notrunc status=none
	dd if="$T/noise" of="$I/server/disk" bs=1M seek="$at" conv=notrunc,fsync status=none
	local result=$?
	at=$((at + $1))
	return "$result"
}

begin 'it is full'
fill
ok 'a server writes more than goes into it, and syncs' write 80
ok 'a server writes and syncs a second time while the pool is full' write 4
ok '.status of the server tells what is wrong' wait_until 10 grep -q '^trouble: .*space' "$I/server/.status"
is 'so do the metrics' "$(metric disks_in_trouble)" 1
touch -d '2 minutes ago' "$STORE"/overlay/*.data
imagefs gc "$STORE" >/dev/null 2>&1
ok 'the server syncs after its disk could not be folded' write 1
ok 'all its bytes are there' cmp "$T/model" "$I/server/disk"
noise "$T/up.img" $((80 << 20))
image up
fails 'an upload is refused at its close' 'No space left' cp "$T/up.img" "$C/up/"
ok 'it is not available' test "$(state_of up)" != available

begin 'it has room again'
rm "$STORE/pool/full"
mount -o remount,size=400m "$STORE/pool"
absorbed=$(metric chunks_absorbed_total)
ok 'a server that writes on' write 64
ok 'is tried again, though nothing is told' test "$(metric chunks_absorbed_total)" -gt "$((absorbed + 256))"
for n in 1 2; do # the first one tells of what was
	touch -d '2 minutes ago' "$STORE"/overlay/*.data
	imagefs gc "$STORE" >/dev/null 2>&1
done
is 'the server is folded' "$(status_of "$I/server" unfolded)" 0
is 'it has no trouble any more' "$(status_of "$I/server" trouble)" ''
ok 'its bytes are right' cmp "$T/model" "$I/server/disk"
ok 'the upload is made' cp "$T/up.img" "$C/up/"
is 'an upload that is made after the pool had room is available' "$(state_of up)" available
is 'no disk has trouble' "$(metric disks_in_trouble)" 0

umount_store
umount "$STORE/pool"
done_testing
