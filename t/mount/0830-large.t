#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Images that are larger than a pack, and more than one at a time.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need qemu-img
begin 'large images'
data_store

noise "$T/a.img" $((200 << 20))
a=$T/a.img
import a "$a"
holds 'an image of several packs' a "$a"
packs=$(store_status packs)
ok "it took several ($packs)" test "$packs" -ge 4
ok 'none is larger than 64 MiB' test -z "$(find "$STORE/pool" -name 'pack-*' -size +65536k)"
stored=$(pack_bytes)
ok 'a copy of it' cp -r "$C/a" "$C2/"
is 'costs nothing' "$(pack_bytes)" "$stored"
holds 'and is right' "$C2/a" "$a"

begin 'four at a time, each half new, half known'
for n in 1 2 3 4; do
	(noise "$T/new$n" $((20 << 20)); head -c 20M "$a" >>"$T/new$n") &
done
wait
for n in 1 2 3 4; do
	mkdir "$C/n$n"
done
pids=()
cp "$T/new1" "$C/n1/x" &
pids+=($!)
dd if="$T/new2" of="$C/n2/x" bs=100k status=none &
pids+=($!)
qemu-img convert -n -W -m 4 -O raw "$T/new3" "$C/n3/x" 2>/dev/null || qemu-img convert -f raw -O raw "$T/new3" "$C/n3/x" &
pids+=($!)
cat "$T/new4" >"$C/n4/x" &
pids+=($!)
for pid in "${pids[@]}"; do
	ok 'a writer is done' wait "$pid"
done
for n in 1 2 3 4; do
	holds "its bytes are right: $n" "n$n" "$T/new$n"
done
ok 'what was known is not stored again' test $(($(pack_bytes) - stored)) -lt $((90 << 20))

begin 'written in place'
truncate -s 150M "$T/model"
image place
truncate -s 150M "$C/place/x"
exec 3<>"$C/place/x"
for n in 1 77 3 140 78 1 60; do
	dd if="$a" bs=1M skip="$n" count=9 seek="$n" of="$T/model" conv=notrunc status=none
	dd if="$a" bs=1M skip="$n" count=9 seek="$n" of="$C/place/x" conv=notrunc status=none
done
exec 3>&-
holds 'pieces all over a large disk' place "$T/model"

begin 'afterwards'
umount_store
mount_store
ok 'it is the same after a restart' same "$a" "$C/a/disk"
ok 'everything is in order' imagefs check --read-data "$STORE"
rm -r "$C/a" "$C2/a" "$C"/n? "$C/place"
rm -r "$M"/*/.trash/custom/*
ok 'gc' imagefs gc "$STORE"
is 'gives everything back' "$(pack_bytes)" 0

done_testing
