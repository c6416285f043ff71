#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Policy bytes-per-region, in the path that writes: it counts what is really stored, for all that an account has in a region, and
# is not dodged by writing at once, by deleting during an upload, or through the trash. What takes nothing is never refused.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
MIB=1048576

limit() {
	echo "bytes-per-region $1" >"$M/ap-beijing/.policy"
}
# What all packs and overlays hold.
stored() {
	echo $(($(store_status stored) + $(du -sB1 "$STORE/overlay" | cut -f1)))
}
# up NAME FILE: an import that may be refused
up() {
	mkdir "$C/$1" && cp "$2" "$C/$1/"
}
refused() {
	local what=$1
	shift
	fails "$what" 'Disk quota exceeded' "$@"
	like "$what: .why has the numbers and the way out" "$(last_why)" 'EDQUOT.*stores [0-9]+ bytes in ap-beijing.*bytes-per-region.*operator'
}
purge() {
	rm -rf "$R"/.trash/*/*@*
	imagefs gc "$STORE" >/dev/null
}
clean() {
	imagefs check "$STORE"
}

begin 'the limit'
instance_store
for n in 1 2 3 4 5 6 7 8; do
	noise "$T/$n.img" $((8 * MIB))
done
import a "$T/1.img"
import b "$T/2.img"
limit 20M
refused 'over it an upload is refused' up c "$T/3.img"
like 'and not available' "$(state_of c)" 'pending|failed'
holds 'what was there is whole' a "$T/1.img"
rm -r "$C/c"
purge
ok 'the same bytes once more cost nothing' up again "$T/1.img"
holds 'and are an image' again "$T/1.img"
ok 'a copy costs nothing' cp -r "$C/a" "$C/copy"
ok 'nor does an instance' cp -r "$C/a" "$I/v"
mkdir "$C2/other"
ok 'in another region there is room' cp "$T/4.img" "$C2/other/"
rm -r "$C2/other"
rm -r "$M"/ap-guangzhou/.trash/custom/other@*
ok 'what is nothing but zeros fits' bash -c "head -c 64M /dev/zero | dd of='$I/v/disk' bs=1M conv=notrunc status=none"
refused 'something else is refused again' up c "$T/3.img"
limit 40M
ok 'when an operator raises it there is room at once' cp "$T/3.img" "$C/c/"
holds 'for what was refused' c "$T/3.img"
limit 4M
refused 'what is stored already stays, but nothing is added' up d "$T/5.img"
holds 'nothing is lost by it' c "$T/3.img"
ok 'and may be deleted' rm -r "$C/d"

begin 'what is compressed'
purge
limit 40M
yes 'it is said again and again' | head -c 96M >"$T/text.img"
ok 'what takes little in the pool may be larger than the limit' up text "$T/text.img"
holds 'and is an image' text "$T/text.img"

begin 'an instance'
rm -r "$I/v"
purge
cp -r "$C/a" "$I/v"
limit "$(($(stored) + 2 * MIB))"
noise "$T/noise" $((4 * MIB))
ok 'a server writes in the same place again and again' \
	bash -c "for i in 1 2 3 4 5 6 7 8; do head -c 1M '$T/noise' | dd of='$I/v/disk' bs=64K conv=notrunc status=none || exit; done"
refused 'one that writes too much is refused' dd if="$T/noise" of="$I/v/disk" bs=64K conv=notrunc status=none
ok 'it can be imaged' cp -r "$I/v" "$C/backup"

begin 'at once'
purge
rm -r "$I/v" "${C:?}"/*
purge
base=$(stored)
limit "$((base + 20 * MIB))"
for n in 1 2 3 4 5 6; do
	mkdir "$C/p$n"
done
for n in 1 2 3 4 5 6; do
	dd if="$T/$n.img" of="$C/p$n/disk" bs=64K status=none 2>"$T/p$n.err" &
done
wait
available=0
for n in 1 2 3 4 5 6; do
	has_state "p$n" available && available=$((available + 1)) && holds "p$n is whole" "p$n" "$T/$n.img"
done
ok 'not more than fit came through' test "$available" -le 2
ok 'and not more is stored than is allowed' test "$(stored)" -le $((base + 21 * MIB))

begin 'deleted during an upload'
rm -r "${C:?}"/*
purge
limit "$(($(stored) + 20 * MIB))"
mkdir "$C/x"
exec 7>"$C/x/disk"
head -c 12M "$T/1.img" >&7
cat "$T/2.img" >&7
rm -r "$C/x"
refused 'what was written is counted while it is open' up y "$T/3.img"
rm -rf "$R"/.trash/*/*@* "$C/y"
rm -rf "$R"/.trash/*/*@*
imagefs gc "$STORE" >/dev/null
refused 'even when it is deleted for good' up y "$T/3.img"
exec 7>&-
rm -rf "$C/y"
purge
ok 'until it is closed' up y "$T/3.img"
holds 'then there is room' y "$T/3.img"

begin 'a limit that comes during an upload'
rm -r "${C:?}"/*
purge
limit none
mkdir "$C/late" "$C/closed"
exec 7>"$C/late/disk"
head -c 4M "$T/6.img" >&7
coproc fileop hold "$C/closed/disk" 0 "$(head -c 48K "$T/7.img" | base64 -w0)"
read -r _ <&"${COPROC[0]}"
limit 1K
refused 'the next write is refused' bash -c "head -c 64K '$T/6.img' >&7"
exec 7>&-
like 'what it was in does not become available' "$(state_of late)" 'pending|failed'
exec {COPROC[1]}>&-
wait "$COPROC_PID"
is 'nor what was only closed' "$(state_of closed)" pending
like 'which is told why' "$(status_of closed reason)" 'bytes-per-region'
limit none
ok 'without the limit the same is written again' cp "$T/7.img" "$C/closed/"
holds 'and available' closed "$T/7.img"
limit 20M
rm -r "${C:?}"/*
purge

begin 'the trash'
import y "$T/3.img"
import z "$T/4.img"
rm -r "$C/z"
refused 'what is in the trash is counted' up w "$T/5.img"
rm -r "$C/w"
z=$(basename "$R"/.trash/custom/z@*)
limit 1M
ok 'it is restored when there is no room at all' mv "$R/.trash/custom/$z" "$C/z"
holds 'as it was' z "$T/4.img"
rm -r "$C/z"
limit "$(stored)"
purge
ok 'when it is emptied there is room' up w "$T/5.img"
holds 'for others' w "$T/5.img"

begin 'afterwards'
ok 'all bills together are what is stored' clean
umount_store
done_testing
