#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Instances: started from every kind of image, in every way that ln and cp have, and on their own from then on.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
need rsync tar
begin 'starting'
instance_store

make_disk "$T/a.img" 24 10 1
make_disk "$T/b.img" 12 6 2
a=$T/a.img b=$T/b.img
import web "$a"
import other "$b"
cp -r "$C/web" "$P/debian-12.6"
ln -s debian-12.6 "$P/debian-12"
ln -s web "$C/latest"
cp -r "$C/web" "$C2/far"
packs=$(pack_bytes)

# starts DESC NAME TEXT ORIGIN: mkdir, ln -s
starts() {
	mkdir "$I/$2"
	ok "$1" ln -s "$3" "$I/$2/image"
	is_instance "$1" "$2" "$a" "$4"
}

begin 'mkdir and ln -s'
starts 'a relative link' rel ../../custom/web "$C/web"
starts 'with a slash behind it' slash ../../custom/web/ "$C/web"
starts 'with dots and slashes in it' dots ..//./../custom/../custom/web "$C/web"
starts 'an absolute link' abs "$C/web" "$C/web"
starts 'an absolute link with a slash' abs2 "$C/web///" "$C/web"
starts 'a public image' public ../../public/debian-12.6 "$P/debian-12.6"
starts 'a public alias' alias ../../public/debian-12 "$P/debian-12.6"
starts 'a public alias with a slash' alias2 "$P/debian-12/" "$P/debian-12.6"
starts 'an own alias' alias3 ../../custom/latest "$C/web"
mkdir "$I/lnsr"
ok 'ln -sr' ln -sr "$C/web" "$I/lnsr/image"
is_instance 'ln -sr' lnsr "$a" "$C/web"
mkdir "$I/cd"
ok 'ln -s in the directory itself' bash -c "cd '$I/cd' && ln -s ../../custom/web image"
is_instance 'ln -s there' cd "$a" "$C/web"
mkdir "$I/sf"
ok 'ln -sf, of a first link' ln -sf ../../custom/web "$I/sf/image"
is_instance 'ln -sf' sf "$a" "$C/web"

begin 'cp -r'
ok 'cp -r of an own image' cp -r "$C/web" "$I/cp"
is_instance 'cp -r' cp "$a" "$C/web"
ok 'cp -r of an own image under its name' cp -r "$C/web" "$I/"
is_instance 'cp -r under its name' web "$a" "$C/web"
ok 'cp -a' cp -a "$C/web" "$I/cpa"
is_instance 'cp -a' cpa "$a" "$C/web"
ok 'cp -r of a public image' cp -r "$P/debian-12.6" "$I/cp-public"
is_instance 'cp -r of a public image' cp-public "$a" "$P/debian-12.6"
ok 'cp -r of an alias with a slash' cp -r "$P/debian-12/" "$I/cp-alias"
is_instance 'cp -r of an alias' cp-alias "$a" "$P/debian-12.6"
refused 'cp -r of an alias without' EINVAL 'put a slash.*ALIAS/' cp -r "$P/debian-12" "$I/cp-alias2"
refused 'ln -s beside instances' EINVAL 'put a slash' ln -s ../public/debian-12 "$I/cp-alias2"
ok 'leaves nothing' absent "$I/cp-alias2"
ok 'cp -rH of an alias' cp -rH "$P/debian-12" "$I/cp-h"
is_instance 'cp -rH' cp-h "$a" "$P/debian-12.6"
mkdir "$I/cp-disk"
ok 'cp of the disk alone' cp "$C/web/disk" "$I/cp-disk/disk"
is_instance 'cp of the disk' cp-disk "$a" "$C/web"
ok 'tar' bash -o pipefail -c "mkdir '$I/tar'; tar -C '$C/web' -cSf - . | tar -C '$I/tar' -xf -"
holds 'tar: its bytes' "$I/tar" "$a"
ok 'rsync' rsync -a "$C/web/" "$I/rsync"
holds 'rsync: its bytes' "$I/rsync" "$a"
cp -r "$C/latest/" "$C/app"
echo 'debian 12' >"$C/app/os"
echo 'An application' >"$C/app/description"
ok 'cp -r of an image with settings that an instance has not' cp -r "$C/app" "$I/app"
is_instance 'cp -r with settings' app "$a" "$C/app"
is 'the description came along' "$(cat "$I/app/description")" 'An application'
ok 'the system did not' absent "$I/app/os"
imagefs gc "$STORE" >/dev/null
ok "nothing was stored for all these ($(($(pack_bytes) - packs)) bytes)" test $(($(pack_bytes) - packs)) -lt 65536

begin 'what an instance is'
is 'its files, the disk first' "$(ls -U "$I/app" | tr '\n' ' ')" 'disk description image '
is 'the disk has the highest inode' "$(ls -i "$I/app" | sort -n | tail -n 1 | sed 's/.* //')" disk
is 'the text of its link leads there from anywhere' "$(cd / && readlink -f "$I/app/image/disk")" "$C/app/disk"
like 'and is relative' "$(readlink "$I/app/image")" '^\.\./'
is 'it can be written at once' "$(stat -c %a "$I/app" "$I/app/disk" | tr '\n' ' ')" '755 644 '
chmod a-w "$C/app"
ok 'cp -r of a protected image' cp -r "$C/app" "$I/app2"
ok 'is not protected' try_write "$I/app2/disk" 0 hello
ok 'cp -a of it' cp -a "$C/app" "$I/app3"
ok 'neither' try_write "$I/app3/disk" 0 hello
is 'its mode says so' "$(stat -c %a "$I/app3")" 755
ok 'it can be destroyed' rm -r "$I/app3"
chmod u+w "$C/app"
ok 'a description' bash -c "echo 'My server' >'$I/app/description'"
is 'is kept' "$(cat "$I/app/description")" 'My server'
is 'and is its own' "$(cat "$C/app/description")" 'An application'
refused 'no instance of an instance' EINVAL 'make an image of it first' \
	bash -c "mkdir '$I/nested' && ln -s ../app '$I/nested/image'"
is 'an instance that has no disk yet is pending' "$(status_of "$I/nested" state)" pending

begin 'zone'
echo 'zones ap-beijing-1 ap-beijing-2' >"$R/.region"
ok 'one of the region' bash -c "echo ap-beijing-2 >'$I/app/zone'"
is 'is kept' "$(cat "$I/app/zone")" ap-beijing-2
refused 'another is refused' EINVAL 'ap-beijing-1' bash -c "echo mars-1 >'$I/app/zone'"
is 'and the old one stays' "$(cat "$I/app/zone")" ap-beijing-2

begin 'refusals'
mkdir "$I/no"
refused 'an image of another region' EXDEV 'another region' ln -s "$C2/far" "$I/no/image"
refused 'the same, relative' EXDEV 'another region' ln -s ../../../ap-guangzhou/custom/far "$I/no/image"
refused 'what is not there' ENOENT 'names no image' ln -s ../../custom/nothing "$I/no/image"
refused 'what is no image' ENOENT 'names no image' ln -s ../.. "$I/no/image"
refused 'what lies outside' ENOENT 'names no image' ln -s /etc/passwd "$I/no/image"
refused 'what lies above' ENOENT 'names no image' ln -s ../../../../../custom/web "$I/no/image"
image pending
head -c 1M "$a" >"$C/pending/x.img"
refused 'a pending image' EBUSY 'not available yet' ln -s ../../custom/pending "$I/no/image"
refused 'cp -r of a pending image' EINVAL 'not available yet' cp -r "$C/pending" "$I/no2"
rm -r "$I/no2"
image empty
refused 'an empty image' EBUSY 'not available yet' ln -s ../../custom/empty "$I/no/image"
is 'nothing of them came to be' "$(ls "$I/no")" ''
ok 'and it can still start' ln -s ../../custom/web "$I/no/image"
is_instance 'after refusals' no "$a" "$C/web"
refused 'an own alias that lies beside it' EINVAL '' ln -s no "$I/beside"
ok 'cp -r of an image in another region is a copy' cp -r "$C2/far" "$I/copied"
holds 'cp -r from another region' "$I/copied" "$a"

begin 'as many as the policy has'
echo "instances-per-region $(ls "$I" | wc -l)" >"$M/.policy"
refused 'one more' EDQUOT 'instances' mkdir "$I/more"
refused 'one more by cp' EDQUOT 'instances' cp -r "$C/web" "$I/more"
ok 'elsewhere there is room' mkdir "$M/ap-guangzhou/instances/more"
rmdir "$M/ap-guangzhou/instances/more"
ok 'one that goes' rm -r "$I/dots"
ok 'makes room' cp -r "$C/web" "$I/more"
echo 'instances-per-region 1000' >"$M/.policy"

begin 'each on its own'
cp "$a" "$T/mine"
try_write "$T/mine" 5000000 'mine alone'
ok 'a write' try_write "$I/rel/disk" 5000000 'mine alone'
ok 'is there' same "$T/mine" "$I/rel/disk"
ok 'in no other' same "$a" "$I/slash/disk"
ok 'not in the image' same "$a" "$C/web/disk"
like 'uses of an image are in .status' "$(grep '^use:' "$C/web/.status")" 'use: instance ap-beijing/instances/rel'

begin 'an instance outlives its image'
chmod u+w "$C/web" 2>/dev/null
rm "$C/latest"
ok 'the image is deleted' rm -r "$C/web"
ok 'and for good' rm -rf "$R"/.trash/custom/web@*
imagefs gc "$STORE" >/dev/null
holds 'an instance that was never written' "$I/slash" "$a"
holds 'one that was' "$I/rel" "$T/mine"
ok 'what it was made from is still told' grep -q 'from.*custom/web' "$I/rel/.status"
rm -rf "$P/debian-12" "$P/debian-12.6" "$C/app"
purge_trash
holds 'one of a public image' "$I/cp-public" "$a"
umount_store
mount_store
holds 'after a restart, too' "$I/rel" "$T/mine"
holds 'and the other' "$I/cp-public" "$a"
ok 'an instance without an image is written' try_write "$I/cp-public/disk" 5000000 'mine alone'
holds 'as any other' "$I/cp-public" "$T/mine"
ok 'and imaged' cp -r "$I/cp-public" "$C/again"
holds 'the image of it' again "$T/mine"

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
