#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The life of an instance: grown, written, re-installed, restored, destroyed, and brought back from the trash.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
begin 'an instance and its disk'
instance_store

make_disk "$T/a.img" 24 10 1
make_disk "$T/b.img" 12 6 2
a=$T/a.img b=$T/b.img
size=$(stat -c %s "$a")
import web "$a"
import other "$b"
cp -r "$C/web" "$I/v"
disk=$I/v/disk
id=$(status_of "$I/v" id)

# hold_open DISK: for writing, until let_go
hold_open() {
	exec 7<>"$1"
}
let_go() {
	exec 7<&-
}

begin 'size'
ok 'it grows' truncate -s 40M "$disk"
is 'to that size' "$(stat -c %s "$disk")" $((40 << 20))
cp "$a" "$T/model"
truncate -s 40M "$T/model"
ok 'with zeros' same "$T/model" "$disk"
refused 'shrinking' EINVAL 'can grow, but not shrink' truncate -s 30M "$disk"
refused 'to nothing' EINVAL 'can grow, but not shrink' truncate -s 0 "$disk"
ok 'truncation to the size that it has' truncate -s 40M "$disk"
ok 'a write in its middle' dd if="$b" of="$disk" bs=1M seek=20 conv=notrunc status=none
dd if="$b" of="$T/model" bs=1M seek=20 conv=notrunc status=none
ok 'keeps the rest' same "$T/model" "$disk"
exec 7<"$disk"
ok 'a new beginning by >' bash -c "echo hello >'$disk'"
echo hello >"$T/model"
truncate -s 40M "$T/model"
ok 'keeps the size and nothing else' same "$T/model" "$disk"
ok 'for whoever had it open, too' bash -c "cmp - '$T/model' <&7"
exec 7<&-
try_write "$disk" 20000000 'something old'
ok 'cp of a smaller disk with holes onto it' cp "$b" "$disk"
cp "$b" "$T/model"
truncate -s 40M "$T/model"
ok 'leaves nothing old in them' same "$T/model" "$disk"
is 'the image kept its size' "$(stat -c %s "$C/web/disk")" "$size"
ok 'a write behind the end grows it' dd if="$a" of="$disk" bs=1M count=1 seek=40 conv=notrunc status=none
dd if="$a" of="$T/model" bs=1M count=1 seek=40 conv=notrunc status=none
ok 'by what was written' same "$T/model" "$disk"
echo 'max-disk 50M' >"$M/.policy"
refused 'more than the policy has' EFBIG '' truncate -s 60M "$disk"
echo 'max-disk -' >"$M/.policy"

begin 're-installation'
echo 'My server' >"$I/v/description"
before=$(stat -c %i "$disk")
ok 'ln -sfn of another image' ln -sfn ../../custom/other "$I/v/image"
is_instance 'installed' v "$b" "$C/other"
is 'with its size' "$(stat -c %s "$disk")" "$(stat -c %s "$b")"
is 'under the same id' "$(status_of "$I/v" id)" "$id"
is 'with its settings' "$(cat "$I/v/description")" 'My server'
is 'and a new inode of the disk' "$([ "$(stat -c %i "$disk")" = "$before" ] && echo same)" ''
old=$(echo "$R"/.trash/instances/v@*)
ok 'the old disk is in the trash' same "$T/model" "$old/disk"
is 'with its image and settings' "$(readlink -f "$old/image") $(cat "$old/description")" "$C/web My server"
ok 'nothing else is' test "$(ls "$R/.trash/instances" | wc -l)" -eq 1
ok 'ln -sfnr' ln -sfnr "$C/web" "$I/v/image"
is_instance 'ln -sfnr' v "$a" "$C/web"
ok 'ln -sfn of the same image is a new beginning' bash -c "try() { echo bye >'$disk' && ln -sfn '$C/web' '$I/v/image'; }; try"
is_instance 'begun again' v "$a" "$C/web"
is 'all old disks are in the trash' "$(ls "$R/.trash/instances" | wc -l)" 3
fails 'a link where one is' 'File exists' ln -snT ../../custom/other "$I/v/image"
is 'nothing is left lying in the directory' "$(ls -A "$I/v" | sort | tr '\n' ' ')" 'description disk image '
ok 'an instance without an image link is filled by cp' bash -c "mkdir '$I/plain' && cp '$b' '$I/plain/disk'"
ok 'a first link beside it' ln -s ../../custom/web "$I/plain/image"
holds 'changes nothing' "$I/plain" "$b"
refused 'a link of another region' EXDEV 'another region' \
	bash -c "cp -r '$C/web' '$C2/far' && ln -sfn '$C2/far' '$I/v/image'"
refused 'a link to nothing' ENOENT 'names no image' ln -sfn ../../custom/nothing "$I/v/image"
is_instance 'a refusal changes nothing' v "$a" "$C/web"
is 'and leaves nothing' "$(ls -A "$I/v" | sort | tr '\n' ' ')" 'description disk image '

begin 'a disk that is in use'
hold_open "$disk"
refused 'rm -r' EBUSY 'open for writing' rm -r "$I/v"
refused 'ln -sfn' EBUSY 'open for writing' ln -sfn ../../custom/other "$I/v/image"
is 'nothing is gone' "$(ls -A "$I/v" | sort | tr '\n' ' ')" 'description disk image '
refused 'nor by rmdir' EBUSY 'open for writing' rm "$disk"
let_go
hold_open "$disk"
M=$T/other mount_store
REFUSED_WHY=$T/other/.why refused 'writing to it in another mount' EBUSY 'in another mount' \
	try_write "$T/other/ap-beijing/instances/v/disk" 0 hello
ok 'reading is free' cat "$T/other/ap-beijing/instances/v/disk"
let_go
ok 'afterwards writing is, too' wait_until 10 dd if="$a" of="$T/other/ap-beijing/instances/v/disk" bs=512 count=1 conv=notrunc
M=$T/other umount_store
exec 7<"$disk"
ok 'a reader is in nobodys way: ln -sfn' ln -sfn ../../custom/other "$I/v/image"
ok 'and reads on what it had opened' bash -c "cmp - '$a' <&7"
exec 7<&-
is_instance 'the new disk is another' v "$b" "$C/other"

begin 'destroyed, and restored'
try_write "$disk" 3000000 'of my own'
cp "$b" "$T/model"
try_write "$T/model" 3000000 'of my own'
rm -rf "$R"/.trash/instances/*@*
ok 'rm -r' rm -r "$I/v"
ok 'it is gone' absent "$I/v"
old=$(echo "$R"/.trash/instances/v@*)
ok 'to the trash, with what was written' same "$T/model" "$old/disk"
refused 'which cannot be written there' EPERM 'restore it' bash -c "echo x >'$old/disk'"
ok 'mv brings it back' mv "$old" "$I/back"
is_instance 'restored' back "$T/model" "$C/other"
is 'its settings' "$(cat "$I/back/description")" 'My server'
is 'its id' "$(status_of "$I/back" id)" "$id"
ok 'it can be written' try_write "$I/back/disk" 3000000 'of my OWN'
ok 'mv gives it another name' mv "$I/back" "$I/v"
is_instance 'renamed' v <(head -c 3000000 "$b"; printf 'of my OWN'; tail -c +3000010 "$b") "$C/other"
ok 'rm -r again' rm -r "$I/v"
ok 'and the trash emptied' rm -rf "$R"/.trash/instances/*@*
ok 'nothing is left' test "$(ls "$R/.trash/instances" | wc -l)" -eq 0
rm -r "$I/plain"
purge_trash
is 'not even in overlays' "$(find "$STORE" -path '*overlay*' -type f | wc -l)" 0

begin 'restore from a backup'
cp -r "$C/web" "$I/server"
try_write "$I/server/disk" 1000000 'monday'
ok 'the backup of monday' cp -r "$I/server" "$C/monday"
cp "$a" "$T/monday"
try_write "$T/monday" 1000000 'monday'
try_write "$I/server/disk" 1000000 'spoilt'
ok 'is restored' ln -sfn ../../custom/monday "$I/server/image"
is_instance 'monday' server "$T/monday" "$C/monday"
is 'which came from the server' "$(readlink -f "$C/monday/from")" "$I/server"

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
