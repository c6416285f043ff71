#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Space: stored once, told honestly, given back when nothing refers to it, and not a moment before.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
begin 'space'
data_store

noise "$T/a.img" $((12 << 20))
noise "$T/b.img" $((12 << 20))
a=$T/a.img b=$T/b.img

purge() {
	rm -r "${1%/*/*}/.trash/custom/${1##*/}@"*
}

# packs_between DESC LOW HIGH, in MiB, after gc
packs_between() {
	local now
	run imagefs gc "$STORE"
	now=$(pack_bytes)
	ok "$1: $2 to $3 MiB are stored ($now)" test "$now" -ge $(($2 << 20)) -a "$now" -le $(($3 << 20))
}

on_host() {
	find "$STORE/pool" -type f -printf '%s\n' | awk '{ n += $1 } END { print int(n / 1048576) }'
}

begin 'stored once'
import one "$a"
packs_between 'one image' 12 13
import two "$a"
mkdir "$C2/three"
cp --sparse=never "$a" "$C2/three/"
packs_between 'three imports of the same, in two regions' 12 13
is 'status says that they share all' "$(status_of two stored-alone)" 0
import other "$b"
packs_between 'another' 24 26
is 'du of an image is what is stored for it' "$(du -sB1 "$C/one/disk" | cut -f1)" \
	$((($(status_of one stored) + 511) / 512 * 512))
(head -c 6M "$a"; tail -c 6M "$b") >"$T/mixed.img"
import mixed "$T/mixed.img"
packs_between 'one of halves of both' 24 26
holds 'which is right' mixed "$T/mixed.img"

begin 'deleted while it is read'
exec 3<"$C/other/disk"
head -c 1M <&3 | cmp - <(head -c 1M "$b") || flunk 'reading begins' 'other bytes'
rm -r "$C/mixed"
purge "$C/mixed"
rm -r "$C/other"
purge "$C/other"
ok 'gc while it is open' imagefs gc "$STORE"
ok 'the reader reads on' bash -c "cmp - <(tail -c +1048577 '$b') <&3"
exec 3<&-
packs_between 'after it was closed it is gone' 12 13
is 'on the disk as well' "$(($(on_host) <= 13))" 1

begin 'the trash'
rm -r "$C/two"
packs_between 'what is in the trash is there' 12 13
rm -r "$C/one"
rm -r "$C2/three"
packs_between 'even if nothing else is' 12 13
ok 'and comes back' mv "$M"/ap-beijing/.trash/custom/one@* "$C/one"
holds 'with its bytes' one "$a"
rm -r "$C/one"
rm -r "$M"/ap-beijing/.trash/custom/* "$M"/ap-guangzhou/.trash/custom/*
packs_between 'an emptied trash' 0 1
is 'gives it back to the disk' "$(on_host)" 0

begin 'uploads that are given up'
image given-up
cp "$a" "$C/given-up/.x"
rm "$C/given-up/.x"
image given-up2
(head -c 1M "$T/mixed.img"; cat "$a" "$b") >"$C/given-up2/x.img"
rm -r "$C/given-up2"
rm -r "$M"/ap-beijing/.trash/custom/* 2>/dev/null
packs_between 'leave nothing' 0 1
is 'in the overlay neither' "$(find "$STORE/overlay" -type f 2>/dev/null | wc -l)" 0

begin 'written again and again'
image often
for n in 1 2 3 4 5; do
	cat "$a" >"$C/often/x.img"
	cat "$b" >"$C/often/x.img"
done
packs_between 'the trash has what was whole' 24 26
purge "$C/often"
packs_between 'out of the trash, only the last is kept' 12 13
holds 'which is right' often "$b"
ok 'everything is in order' imagefs check --read-data "$STORE"

begin 'unfinished files'
no_overlay() { [ -z "$(ls "$STORE/overlay")" ]; }
scratch_files() {
	local n
	for n in 1 2 3 4 5 6; do
		head -c 100000 /dev/urandom >"$1/.file$n"
	done
}
wait_until 5 no_overlay
image many
scratch_files "$C/many"
is 'what is written has files in the store' "$(ls "$STORE/overlay" | grep -c data)" 6
ok 'an image with unfinished files alone can be removed' rmdir "$C/many"
ok 'and nothing is left of them' wait_until 5 no_overlay
done_testing
