#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Holes that image services have had, as far as no other test has them: docs/threats.md tells which is where.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need jq qemu-img

begin 'accounts'
tenants_store
give_disk "$T/a.img" 1
make_image alice web "$T/a.img"
N=$B/$R/custom
W=$T/bob/files
install -d -o "$(user_id bob)" "$W"
state() { bob sed -n 's/^state: //p' "$N/$1/.status"; }
# refuses DESC FILE: it does not become an image, and nothing but its own bytes is behind it.
refuses() {
	bob mkdir "$N/x"
	fails "$1" 'Invalid argument' bob cp "$2" "$N/x/"
	like '… it is not available' "$(state x)" '^(failed|pending)$'
	ok '… nothing of the host is in it' bash -c '! grep -rqs secret-of-the-host "$1"' _ <(bob bash -c 'cat "$1"/* 2>/dev/null' _ "$N/x")
	bob rm -rf "$N/x"
}

begin 'files that name other files'
{ yes secret-of-the-host | head -c 1048576; } >"$T/host.raw"
chmod 644 "$T/host.raw"
qemu-img create -q -f qcow2 -F raw -b "$T/host.raw" "$W/backing.qcow2"
qemu-img create -q -f qcow2 -o data_file="$W/data.raw",data_file_raw=on "$W/datafile.qcow2" 1M
qemu-img create -q -f qcow2 "$W/plain.qcow2" 1M
qemu-img create -q -f vmdk -o subformat=monolithicFlat "$W/flat.vmdk" 1M
sed -i "s|flat-flat.vmdk|$T/host.raw|" "$W/flat.vmdk"
qemu-img create -q -f vmdk "$W/sparse.vmdk" 1M
qemu-img create -q -f vpc "$W/dynamic.vhd" 1M
qemu-img create -q -f vhdx "$W/x.vhdx" 8M
qemu-img create -q -f qed -F raw -b "$T/host.raw" "$W/backing.qed" 2>/dev/null || printf 'QED\0' >"$W/backing.qed"
chmod 644 "$W"/*
for file in backing.qcow2 datafile.qcow2 plain.qcow2 flat.vmdk sparse.vmdk dynamic.vhd x.vhdx backing.qed; do refuses "$file" "$W/$file"; done

begin 'a server that writes a header of another format onto its disk'
alice ln -sr "$A/$R/custom/web" "$A/accounts/bob/$R/shared/" || flunk share failed
wait_until 2 bob test -e "$B/$R/shared/web@alice/disk"
ok 'a server' bob cp -r "$B/$R/shared/web@alice" "$B/$R/instances/vm"
ok 'writes it' bob bash -c 'dd if="$1" of="$2" conv=notrunc status=none' _ "$W/backing.qcow2" "$B/$R/instances/vm/disk"
ok 'an image of that' bob cp -r "$B/$R/instances/vm" "$N/evil"
is 'is raw' "$(bob sed -n 's/^format: //p' "$N/evil/.status") $(bob stat -c %s "$N/evil/disk")" "raw $(stat -c %s "$T/a.img")"
ok 'and holds what was written' bob cmp -n 512 "$N/evil/disk" "$W/backing.qcow2"
ok 'also a server made of it' bob bash -c 'cp -r "$1" "$2" && cmp -n 512 "$2/disk" "$3"' _ "$N/evil" "$B/$R/instances/evil" "$W/backing.qcow2"

begin 'knowing a sum is no right'
sum=$(sha256sum "$T/a.img" | cut -d' ' -f1)
bob bash -c 'mkdir "$1" && echo "$2" >"$1/sha256" && echo "$3" >"$1/size"' _ "$N/claim" "$sum" "$(stat -c %s "$T/a.img")"
is 'an image with the sum of another has nothing' "$(state claim) $(bob ls "$N/claim" | xargs)" 'pending sha256 size'
id=$(alice sed -n 's/^id: //p' "$A/$R/custom/web/.status")
digest=$(alice sed -n 's/^digest: //p' "$A/$R/custom/web/.status")
for name in "$id" "$digest" "$sum" "../alice/$R/custom/web" "web@alice/../../custom/web"; do
	fails "nor does $name open it" 'No such file' bob cat "$N/$name/disk"
	fails 'or start it' '' bob bash -c 'mkdir -p "$1/instances/by" && ln -s "../../custom/$2" "$1/instances/by/image"' _ "$B/$R" "$name"
done
bob rm -rf "$B/$R/instances/by"

begin 'paths that the user chooses'
fails 'a link to a file of the host is no disk' 'Invalid argument' bob ln -s /etc/passwd "$N/claim/disk"
fails 'an instance of one' 'No such file' bob bash -c 'mkdir "$1/i" && ln -s /etc/passwd "$1/i/image"' _ "$B/$R/instances"
bob bash -c 'mkdir "$1/d" && ln -s /etc/passwd "$1/d/disk" && ln -s / "$1/d/root"' _ "$W"
bob cp -r "$W/d" "$N/d" 2>/dev/null
is 'a folder with links brings nothing' "$(bob find "$N/d" -type l -o -name disk 2>/dev/null | xargs)" ''
bob rm -rf "$N/d"
mkdir "$T/d2"
ln -s /etc "$T/d2/rootfs"
tar -C "$T/d2" -cf "$W/links.tar" rootfs
rm "$T/d2/rootfs" && mkdir "$T/d2/rootfs" && echo x >"$T/d2/rootfs/passwd"
tar -C "$T/d2" -rf "$W/links.tar" rootfs/passwd
before=$(sha256sum /etc/passwd)
bob tar -C "$N/claim" -xf "$W/links.tar" 2>/dev/null
is 'an archive with links writes nowhere else' "$(sha256sum /etc/passwd)" "$before"
is 'and nothing of it is unpacked' "$(bob find "$N/claim" -mindepth 1 ! -name sha256 ! -name size \( -type l -o -size +0 -o -type d \))" ''

begin 'numbers that are used again'
bob bash -c 'mkdir "$1/one" && cp "$2" "$1/one/disk"' _ "$N" "$T/a.img"
old="$(bob sed -n 's/^id: //p' "$N/one/.status") $(bob stat -c %i "$N/one" "$N/one/disk" | xargs)"
bob bash -c 'rm -r "$1/custom/one" && rm -rf "$1"/.trash/custom/one@*' _ "$B/$R"
imagefs gc "$STORE" >/dev/null
bob bash -c 'mkdir "$1/one" && cp "$2" "$1/one/disk"' _ "$N" "$T/a.img"
new="$(bob sed -n 's/^id: //p' "$N/one/.status") $(bob stat -c %i "$N/one" "$N/one/disk" | xargs)"
is 'of three none is' "$(printf '%s\n' $old $new | sort | uniq -d | xargs)" ''

begin 'what texts give away'
bob cat "$N/claim/disk" "$B/$R/shared/web@alice/disk" >/dev/null 2>&1
bob bash -c 'cd "$1" && cat .why .log .list .usage .policy .account '$R'/.region '$R'/.list; find . -name instances -prune -o -path "*/custom/*" -type d -exec cat {}/.status \; ; cat '$R'/shared/*/.status' \
	_ "$B" >"$T/texts" 2>/dev/null
is 'no path of the store' "$(grep -c "$STORE" "$T/texts")" 0
is 'no name at others' "$(grep -c 'accounts/alice' "$T/texts")" 0
ok 'there was text' [ "$(wc -l <"$T/texts")" -gt 40 ]
fails 'names have no control characters' 'Invalid argument' bob mkdir "$N/$(printf 'a\033[2Jb')"
fails 'nor lines' 'Invalid argument' bob mkdir "$N/$(printf 'a\nb')"
fails 'nor @, which is for whose it is' 'Invalid argument' bob mkdir "$N/web@alice"
fails 'a description has no control characters' 'Invalid argument' bob bash -c 'printf "a\033[2Jb\n" >"$1/description"' _ "$N/one"
fails 'nor is it a bomb' '' bob bash -c 'head -c 1048576 /dev/zero | tr "\0" x >"$1/description"' _ "$N/one"

ok 'the store is whole' imagefs check "$STORE"
done_testing
