#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copies inside a mount: shared instead of read, right, and independent of what they were made from.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need rsync busybox tar
begin 'copies'
data_store

make_disk "$T/a.img" 40 16 4
a=$T/a.img
import web "$a"
echo 'debian 12' >"$C/web/os"
echo 'A web server' >"$C/web/description"
digest=$(status_of web digest)
packs=$(pack_bytes)

# shared DESC: what is stored has hardly grown since. (Chunks that were stored half-written may lie around.)
shared() {
	local now
	imagefs gc "$STORE" >/dev/null
	now=$(pack_bytes)
	ok "$1: nothing was stored again ($((now - packs)) bytes)" test $((now - packs)) -lt 65536
	packs=$now
}

# is_copy DESC IMAGE: with the bytes, the settings and the lineage of web
is_copy() {
	holds "$1: its bytes" "$2" "$a"
	is "$1: its digest" "$(status_of "$2" digest)" "$digest"
	is "$1: its lineage" "$(readlink -f "${2}/from")" "$C/web"
	shared "$1"
}

begin 'cp'
ok 'cp -r to another region' cp -r "$C/web" "$C2/"
is_copy 'cp -r' "$C2/web"
is 'settings came along' "$(cat "$C2/web/os" "$C2/web/description")" $'debian 12\nA web server'
ok 'cp -r in the same region' cp -r "$C/web" "$C/web2"
is_copy 'cp -r here' "$C/web2"
touch -d '2020-01-02 03:04:05' "$C/web/disk"
ok 'cp -a' cp -a "$C/web" "$C2/web-a"
is_copy 'cp -a' "$C2/web-a"
is 'cp -a keeps the mtime' "$(stat -c %y "$C2/web-a/disk")" "$(stat -c %y "$C/web/disk")"
for how in auto never always; do
	mkdir "$C2/reflink-$how"
	if [ "$how" = always ]; then
		fails 'cp --reflink=always is refused' '' cp --reflink=always "$C/web/disk" "$C2/reflink-always/disk"
	else
		ok "cp --reflink=$how of the disk alone" cp --reflink="$how" "$C/web/disk" "$C2/reflink-$how/disk"
		holds "cp --reflink=$how: its bytes" "$C2/reflink-$how" "$a"
		shared "cp --reflink=$how"
	fi
done
mkdir "$C2/alone"
ok 'cp of the disk alone' cp "$C/web/disk" "$C2/alone/disk"
is_copy 'the disk alone' "$C2/alone"
mkdir "$C2/into"
ok 'cp of the disk into a directory' cp "$C/web/disk" "$C2/into/"
is_copy 'the disk into a directory' "$C2/into"
mkdir "$C2/named"
ok 'cp of the disk under another name' cp "$C/web/disk" "$C2/named/web.img"
is_copy 'the disk under another name' "$C2/named"
cp -r "$C2/web" "$C2/grandchild"
is 'lineage names what was copied' "$(readlink -f "$C2/grandchild/from")" "$C2/web"

begin 'other tools read and write: an import, stored once'
ok 'busybox cp -a' busybox cp -a "$C/web" "$C2/busybox"
holds 'busybox: its bytes' "$C2/busybox" "$a"
shared busybox
ok 'rsync -a' rsync -a "$C/web/" "$C2/rsync"
holds 'rsync: its bytes' "$C2/rsync" "$a"
is 'rsync: its settings' "$(cat "$C2/rsync/description")" 'A web server'
shared rsync
ok 'tar' bash -o pipefail -c "mkdir '$C2/tar'; tar -C '$C/web' -cSf - . | tar -C '$C2/tar' -xf -"
holds 'tar: its bytes' "$C2/tar" "$a"
shared tar

begin 'the same cp again'
ok 'cp -rT' cp -rT "$C/web" "$C2/again"
ok 'cp -rTu does nothing' cp -rTu "$C/web" "$C2/again"
ok 'cp -rTn does nothing' cp -rTn "$C/web" "$C2/again"
holds 'it is as it was' "$C2/again" "$a"
fails 'cp -r into it would nest' 'Invalid argument' cp -r "$C/web" "$C2/again"
mkdir "$C2/cut"
head -c 10M "$a" >"$C2/cut/disk"
is 'what is pending has mtime 0' "$(stat -c %Y "$C2/cut/disk")" 0
ok 'so that cp -u takes it' cp -u "$C/web/disk" "$C2/cut/disk"
holds 'and completes it' "$C2/cut" "$a"
mkdir "$C2/cut2"
head -c 10M "$a" >"$C2/cut2/disk"
ok 'rsync as well' rsync -t "$C/web/disk" "$C2/cut2/disk"
holds 'and completes it' "$C2/cut2" "$a"

begin 'mv'
cp -r "$C/web" "$C/moving"
id=$(status_of moving id)
before=$(stat -c %y "$C/moving/disk")
ok 'mv to another region' mv "$C/moving" "$C2/"
is 'it is gone here' "$([ -e "$C/moving" ] && echo there)" ''
holds 'mv: its bytes' "$C2/moving" "$a"
is 'it is another image' "$([ "$(status_of "$C2/moving" id)" = "$id" ] && echo same)" ''
is 'with the mtime of the old' "$(stat -c %y "$C2/moving/disk")" "$before"
shared mv

begin 'what is pending cannot be copied'
image pending
head -c 10M "$a" >"$C/pending/x.img"
fails 'cp of a pending image' 'Device or resource busy' cp -r "$C/pending" "$C2/"
like '.why says so' "$(last_why)" 'EBUSY.*still being written'

begin 'replaced'
mkdir "$C2/replaced"
cp "$C/web/disk" "$C2/replaced/disk"
is 'a copy comes from somewhere' "$(readlink -f "$C2/replaced/from")" "$C/web"
make_disk "$T/b.img" 8 3 9
cp "$T/b.img" "$C2/replaced/disk"
holds 'other bytes, before its first use' "$C2/replaced" "$T/b.img"
is 'come from nowhere' "$(readlink "$C2/replaced/from")" ''

begin 'independent'
rm -r "$C/web"
rm -rf "$M"/ap-beijing/.trash/custom/web@*
ok 'gc after the original and its trash are gone' imagefs gc "$STORE"
holds 'a copy has its bytes' "$C2/web" "$a"
umount_store
mount_store
ok 'read again from the store' same "$a" "$C2/web-a/disk"
ok 'everything is in order' imagefs check --read-data "$STORE"

done_testing
