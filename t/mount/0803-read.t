#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What was imported is read back the same in every way; sparse stays sparse; sizes and times are honest.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need rsync busybox qemu-img
begin 'reading'
data_store

make_disk "$T/a.img" 24 7 3
a=$T/a.img
import web "$a"
disk=$C/web/disk

# reads DESC COMMAND...: stdout is the disk. Each time from a mount whose cache is empty and from one that has it.
reads() {
	local what=$1
	shift
	ok "$what" bash -o pipefail -c "$(printf '%q ' "$@") | cmp - $(printf '%q' "$a")"
}

begin 'byte for byte'
fileop=$(fileop_path)
reads 'O_DIRECT, 4096' "$fileop" direct-read "$disk" 4096
reads 'O_DIRECT, 1 MiB' "$fileop" direct-read "$disk" 1048576
reads 'mapped' "$fileop" mmap-read "$disk"
reads 'cat' cat "$disk"
reads 'dd bs=1000' dd if="$disk" bs=1000 status=none
reads 'dd bs=65537' dd if="$disk" bs=65537 status=none
reads 'dd bs=3M' dd if="$disk" bs=3M status=none
reads 'dd direct' dd if="$disk" bs=64k iflag=direct status=none
reads 'busybox cat' busybox cat "$disk"
ok 'a range in the middle' bash -c "cmp <(dd if='$disk' bs=1 skip=5000001 count=70001 status=none) <(dd if='$a' bs=1 skip=5000001 count=70001 status=none)"
ok 'cp to the outside' cp "$disk" "$T/out"
ok 'is the same' same "$a" "$T/out"
is 'and sparse' "$(($(stat -c %b "$T/out") <= $(stat -c %b "$a") + 2048))" 1
ok 'cp --sparse=never' cp --sparse=never "$disk" "$T/out"
ok 'is the same' same "$a" "$T/out"
ok 'rsync to the outside' rsync "$disk" "$T/out2"
ok 'is the same' same "$a" "$T/out2"
ok 'qemu-img compares it' qemu-img compare -f raw -F raw "$a" "$disk"
ok 'export' imagefs export "$C/web" "$T/out3"
ok 'is the same' same "$a" "$T/out3"
is 'reading behind the end gives nothing' "$(dd if="$disk" bs=1M skip=24 status=none | wc -c)" 0

begin 'sparse'
is 'data and holes are where they were' "$("$fileop" map "$disk")" "$("$fileop" map "$a")"
image full
cp --sparse=never "$a" "$C/full/"
is 'zeros that were written are holes as well' "$("$fileop" map "$C/full/disk")" "$("$fileop" map "$a")"
is 'they cost nothing' "$(stat -c %b "$C/full/disk")" "$(stat -c %b "$disk")"
stored=$(status_of web stored)
is 'du tells what is stored' "$(du -B1 "$disk" | cut -f1)" $(((stored + 511) / 512 * 512))
is 'not more than the data' "$((stored < 8 << 20))" 1
is 'du --apparent-size tells the size' "$(du -B1 --apparent-size "$disk" | cut -f1)" $((24 << 20))
truncate -s 1T "$T/huge"
dd if="$a" of="$T/huge" bs=64k count=16 seek=$((1000000 << 4)) conv=notrunc,sparse status=none
dd if="$a" of="$T/huge" bs=64k skip=16 count=48 seek=$((48 << 14)) conv=notrunc,sparse status=none
image huge
ok 'a terabyte of holes is imported' cp --sparse=auto "$T/huge" "$C/huge/"
is 'and available' "$(state_of huge)" available
is 'with its size' "$(stat -c %s "$C/huge/disk")" $((1 << 40))
is 'and its holes' "$("$fileop" map "$C/huge/disk")" "$("$fileop" map "$T/huge")"
ok 'its data are right' bash -c "cmp <(dd if='$C/huge/disk' bs=64k skip=$((48 << 14)) count=48 status=none) <(dd if='$a' bs=64k skip=16 count=48 status=none)"
ok 'it is copied at once' timeout 30 cp -r "$C/huge" "$C2/"
is 'with its holes' "$("$fileop" map "$C2/huge/disk")" "$("$fileop" map "$T/huge")"
image grown
truncate -s 12M "$C/grown/x"
dd if="$a" of="$C/grown/x" bs=1M count=3 conv=notrunc status=none
is 'so has a disk that is being written' "$(fileop map "$C/grown/x" | tail -n 1 | cut -d' ' -f2)" "$(head -c 3M "$a" >"$T/h"; fileop map "$T/h" | tail -n 1 | cut -d' ' -f2)"

begin 'fallocate'
image holes
cp "$a" "$T/model"
truncate -s 25M "$T/model"
head -c 20M "$a" >"$C/holes/x"
ok 'a size' fallocate -l 24M "$C/holes/x"
dd if="$a" of="$C/holes/x" bs=1M skip=20 seek=20 conv=notrunc status=none
is 'is given' "$(stat -c %s "$C/holes"/[xd]*)" $((24 << 20))
ok 'so it is with space beyond the end' fallocate -n -o 24M -l 1M "$C/holes/x"
is 'which does not show' "$(stat -c %s "$C/holes"/[xd]*)" $((24 << 20))
truncate -s 24M "$T/model"
for range in '2097152 3000000' '1000001 70001' '9000000 5'; do
	read -r offset length <<<"$range"
	ok "a hole at $offset" fallocate -p -o "$offset" -l "$length" "$C/holes/x"
	fallocate -p -o "$offset" -l "$length" "$T/model"
	ok "zeros after it" fallocate -z -o $((offset + 9999999)) -l "$length" "$C/holes/x"
	fallocate -z -o $((offset + 9999999)) -l "$length" "$T/model"
done
holds 'they are there, and nothing else changed' holes "$T/model"

begin 'statfs'
is 'df tells of the pool' "$(df --output=size "$M/ap-beijing" | tail -n 1)" "$(df --output=size "$STORE" | tail -n 1)"
is 'in a directory of an image, too' "$(df --output=size "$C/web" | tail -n 1)" "$(df --output=size "$STORE" | tail -n 1)"

begin 'times and inodes'
touch -d '2020-01-02 03:04:05' "$a"
image kept
cp -p "$a" "$C/kept/"
is 'cp -p keeps the mtime' "$(stat -c %y "$C/kept/disk")" "$(stat -c %y "$a")"
image kept2
rsync -t "$a" "$C/kept2/"
is 'rsync -t keeps it' "$(stat -c %Y "$C/kept2/disk")" "$(stat -c %Y "$a")"
image kept3
busybox cp -p "$a" "$C/kept3/"
is 'busybox cp -p keeps it' "$(stat -c %Y "$C/kept3/disk")" "$(stat -c %Y "$a")"
image kept4
tar -C "$T" -cf - a.img | tar -C "$C/kept4" -xf -
is 'tar keeps it' "$(stat -c %Y "$C/kept4/disk")" "$(stat -c %Y "$a")"
ok 'touch of a used disk' touch -d '2021-01-01' "$disk"
is 'is kept' "$(stat -c %Y "$disk")" "$(date -d 2021-01-01 +%s)"
ok 'chmod of a used disk succeeds' chmod 600 "$disk"
before=$(stat -c '%Y %i' "$disk")
mv "$C/web" "$C/moved"
is 'mv keeps mtime and inode' "$(stat -c '%Y %i' "$C/moved/disk")" "$before"
is 'the disk has the highest inode of its directory' "$(stat -c '%i %n' "$C/moved"/* | sort -n | tail -n 1 | sed 's,.*/,,')" disk
inodes=$(stat -c %i "$C"/*/disk)
umount_store
mount_store
is 'inodes survive a restart' "$(stat -c %i "$C"/*/disk)" "$inodes"
is 'times do, too' "$(stat -c '%Y %i' "$C/moved/disk")" "$before"
touch -d '2022-02-02' "$a"
holds 'bytes do' moved "$a"

done_testing
