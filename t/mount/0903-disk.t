#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disk of an instance behaves as a disk: for programs that know how to ask for that.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
need qemu-img
begin 'a disk as a disk'
instance_store

make_disk "$T/a.img" 24 10 1
a=$T/a.img
size=$(stat -c %s "$a")
import web "$a"
cp -r "$C/web" "$I/v"
disk=$I/v/disk
model=$T/model
cp "$a" "$model"

# both DESC COMMAND...: done with the disk and with an ordinary file (in place of DISK), which then are the same
both() {
	local what=$1
	shift
	ok "$what" "${@//DISK/$disk}"
	run "${@//DISK/$model}"
	ok "$what: what it should be" same "$model" "$disk"
}

begin 'O_DIRECT, O_SYNC, fsync'
noise "$T/noise" $((1 << 20))
both 'O_DIRECT' dd if="$T/noise" of=DISK bs=64K seek=3 oflag=direct conv=notrunc
both 'O_DIRECT of sectors' dd if="$T/noise" of=DISK bs=512 count=7 seek=1001 oflag=direct conv=notrunc
both 'O_SYNC' dd if="$T/noise" of=DISK bs=4K seek=333 count=20 oflag=sync conv=notrunc
both 'O_DSYNC and O_DIRECT' dd if="$T/noise" of=DISK bs=4K seek=777 count=20 oflag=dsync,direct conv=notrunc
both 'fsync' dd if="$T/noise" of=DISK bs=1M seek=9 conv=notrunc,fsync
both 'fdatasync' dd if="$T/noise" of=DISK bs=5000 seek=100 conv=notrunc,fdatasync
both 'single bytes' dd if="$T/noise" of=DISK bs=1 seek=65535 count=3 conv=notrunc
ok 'read by O_DIRECT' bash -o pipefail -c "'$(fileop_path)' direct-read '$disk' 65536 | cmp - '$model'"
ok 'read by a mapping' bash -o pipefail -c "'$(fileop_path)' mmap-read '$disk' | cmp - '$model'"
ok 'sync' sync "$disk"
ok 'sync of all of it' sync -f "$disk"

begin 'holes'
both 'punch a hole' fallocate -p -o 1000000 -l 3000001 DISK
both 'punch chunks' fallocate -p -o $((5 << 20)) -l $((1 << 20)) DISK
both 'zero a range' fallocate -z -o 12345678 -l 777777 DISK
both 'zero beyond the end, keeping the size' fallocate -n -z -o $((size - 5000)) -l 100000 DISK
both 'zero beyond the end' fallocate -z -o $((size - 5000)) -l 1005000 DISK
both 'allocate beyond the end' fallocate -l $((size + 3000000)) DISK
both 'allocate what is there' fallocate -o 4096 -l 1000000 DISK
fails 'collapse is none of it' 'not supported' fallocate -c -o 65536 -l 65536 "$disk"
is 'no allocated range is lost by that' "$(stat -c %s "$disk")" $((size + 3000000))
holes=$("$(fileop_path)" map "$disk")
like 'SEEK_DATA and SEEK_HOLE see a hole' "$holes" '^0 [0-9]+'
ok 'where all is zeros' bash -c "
	end=0
	while read -r from to; do
		cmp -n \$((from - end)) -i \$end:0 '$model' /dev/zero || exit 1
		end=\$to
	done <<<'$holes'
	cmp -n \$(($size + 3000000 - end)) -i \$end:0 '$model' /dev/zero"
truncate -s 3G "$disk" "$model"
is 'a large hole is found at once' "$("$(fileop_path)" map "$disk")" "$holes"

begin 'memory that is mapped'
rm -r "$I/v"
cp -r "$C/web" "$I/v"
cp "$a" "$model"
dd if=/dev/urandom of="$T/all" bs=1M count=$((size >> 20)) status=none
ok 'a shared mapping' fileop mmap-write "$T/all" "$disk"
ok 'reaches the disk' same "$T/all" "$disk"
ok 'also when it is closed first' fileop mmap-write-late "$a" "$disk"
ok 'it does' wait_until 20 same "$a" "$disk"

begin 'locks, and several at once'
ok "QEMU's locks" diskop locks "$disk"
ok 'six writers side by side' diskop threads "$disk" 6
holds 'the image has nothing of it' web "$a"

begin 'qemu-img'
need qemu-io
ln -sfn "$C/web" "$I/v/image"
cp "$a" "$model"
is 'info' "$(qemu-img info --output=json -f raw "$disk" | jq -r '."virtual-size", .format' | tr '\n' ' ')" "$size raw "
fails 'check, which raw has not' 'does not support checks' qemu-img check -f raw "$disk"
ok 'compare' qemu-img compare -f raw -F raw "$disk" "$model"
ok 'compare with the image' qemu-img compare -f raw -F raw "$disk" "$C/web/disk"
ok 'qemu-io writes, discards and flushes' qemu-io -f raw -t none -d unmap -c 'write -P 7 1M 2M' -c 'write -z 5M 1M' \
	-c 'discard 8M 2M' -c 'aio_write -P 9 12M 64k' -c 'aio_write -P 9 13M 64k' -c aio_flush -c flush "$disk"
qemu-io -f raw -d unmap -c 'write -P 7 1M 2M' -c 'write -z 5M 1M' -c 'discard 8M 2M' -c 'write -P 9 12M 64k' \
	-c 'write -P 9 13M 64k' "$model" >/dev/null
ok 'as on a file' qemu-img compare -f raw -F raw "$disk" "$model"
ok 'with io_uring or native aio, whichever there is' bash -c "qemu-io -f raw -t none -i io_uring -c 'write -P 3 2M 64k' '$disk' || \
	qemu-io -f raw -t none -i native -c 'write -P 3 2M 64k' '$disk'"
qemu-io -f raw -c 'write -P 3 2M 64k' "$model" >/dev/null
ok 'convert to qcow2' qemu-img convert -f raw -O qcow2 "$disk" "$T/v.qcow2"
ok 'has what it has' qemu-img compare -f qcow2 -F raw "$T/v.qcow2" "$model"
ok 'convert onto it' qemu-img convert -n -f raw -O raw "$a" "$disk"
ok 'is right' same "$a" "$disk"
ok 'convert with direct i/o' qemu-img convert -n -t none -T none -f qcow2 -O raw "$T/v.qcow2" "$disk"
ok 'is right as well' same "$model" "$disk"
coproc HELD { qemu-io -f raw "$disk" 2>&1; }
held=$HELD_PID
echo 'read 0 512' >&"${HELD[1]}"
read -r line <&"${HELD[0]}"
refused 'rm -r of a running one' EBUSY 'open for writing' rm -r "$I/v"
echo quit >&"${HELD[1]}"
wait "$held"
ok 'afterwards it may write' qemu-io -f raw -c 'write 0 512' "$disk"

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
