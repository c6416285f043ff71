#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An image of an instance: of one moment, while it is written; knowing where it came from; for what was changed.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
begin 'images of instances'
instance_store
diskop=$(helper_path diskop)
BLOCKS=300 GAP=69632

noise "$T/a.img" $((24 << 20))
a=$T/a.img
import base "$a"
cp -r "$C/base" "$I/v"
disk=$I/v/disk

# the_rounds N: the writer has gone round that often
the_rounds() {
	[ "$(grep -c round "$T/rounds")" -ge "$1" ]
}

# count_on DISK: a writer, until it is stopped
count_on() {
	"$diskop" count "$1" $BLOCKS $GAP >"$T/rounds" &
	writer=$!
	wait_until 30 the_rounds 1 || flunk 'the writer goes round' 'it does not'
}

stop_writer() {
	kill "$writer"
	wait "$writer" 2>/dev/null
}

# is_moment DESC DISK: prints nothing, and sets $last
is_moment() {
	ok "$1" diskop count-check "$2" $BLOCKS $GAP
	last=$(cat "$T/.out")
}

begin 'one moment, while it is written'
count_on "$disk"
before=0
for n in 1 2 3 4 5 6; do
	ok "cp -r while it is written, $n" cp -r "$I/v" "$C/moment$n"
	is_moment "image $n is of one moment" "$C/moment$n/disk"
	ok "a later one than before ($last after $before)" test "$last" -gt "$before"
	before=$last
done
ok 'the same under load of gc' imagefs gc "$STORE"
cp -r "$I/v" "$C/p1" &
ok 'two copies at the same time' cp -r "$I/v" "$C/p2"
ok 'succeed both' wait $!
is_moment 'the one' "$C/p1/disk"
is_moment 'the other' "$C/p2/disk"
ok 'the writer is still at work' kill -0 "$writer"
stop_writer
is_moment 'and what it wrote is right' "$disk"
ok 'the last is as it was when it was made' diskop count-check "$C/moment1/disk" $BLOCKS $GAP

begin 'a copy in pieces'
cp -r "$C/base" "$I/pieces"
truncate -s 10G "$I/pieces/disk"
for at in 0 3 5 9; do
	try_write "$I/pieces/disk" $((at * 1073741824 + 4096)) "first $at"
done
mkdir "$C/pieces"
coproc COPY { "$diskop" pieces "$I/pieces/disk" "$C/pieces/disk" $((1 << 30)); }
copy=$COPY_PID
read -r line <&"${COPY[0]}"
is 'the first GiB is copied' "$line" 'copied 1073741824'
for at in 0 3 5 9; do
	try_write "$I/pieces/disk" $((at * 1073741824 + 4096)) "later $at"
done
truncate -s 11G "$I/pieces/disk"
imagefs gc "$STORE" >/dev/null
n=1
while echo >&"${COPY[1]}" 2>/dev/null && read -r line <&"${COPY[0]}"; do
	n=$((n + 1))
	try_write "$I/pieces/disk" $((9 * 1073741824 + 4096 * n)) "between"
done 2>/dev/null
wait "$copy"
is 'so are the others' "$n $line" '10 '
is 'the size of the moment' "$(stat -c %s "$C/pieces/disk")" $((10 << 30))
for at in 0 3 5 9; do
	is "at $at GiB what was there when it began" "$(bytes_at "$C/pieces/disk" $((at * 1073741824 + 4096)) 7)" "first $at"
	is 'the instance has the later' "$(bytes_at "$I/pieces/disk" $((at * 1073741824 + 4096)) 7)" "later $at"
done
ok 'cp of so much is one moment as well' cp -r "$I/pieces" "$C/pieces2"
is 'at its end' "$(bytes_at "$C/pieces2/disk" $((9 * 1073741824 + 4096 * 10)) 7)" between

begin 'over the death of the daemon'
mkdir "$C/died"
coproc COPY { "$diskop" pieces "$I/pieces/disk" "$C/died/disk" $((1 << 30)); }
copy=$COPY_PID
read -r line <&"${COPY[0]}"
try_write "$I/pieces/disk" $((9 * 1073741824 + 4096)) "lastly9"
daemon=$(store_daemon_pid)
if printf '%s\n6.9\n' "$(uname -r)" | sort -VC; then
	pass 'the kernel is too old to outlive a daemon'
else
	ok 'the daemon dies between two pieces' kill -KILL "$daemon"
fi
while echo >&"${COPY[1]}" 2>/dev/null && read -r line <&"${COPY[0]}"; do :; done 2>/dev/null
wait "$copy"
is 'the copy is of the moment when it began' "$(bytes_at "$C/died/disk" $((9 * 1073741824 + 4096)) 7)" 'later 9'
is 'not so the instance' "$(bytes_at "$I/pieces/disk" $((9 * 1073741824 + 4096)) 7)" 'lastly9'

begin 'lineage'
is 'from' "$(readlink -f "$C/moment1/from")" "$I/v"
is 'from, when it was copied in pieces' "$(readlink -f "$C/pieces/from")" "$I/pieces"
ok 'the origin tells of its instances' grep -qx 'use: instance ap-beijing/instances/v' "$C/base/.status"
ok 'an instance of its images' grep -qE '^use: image( made from it)? ap-beijing/custom/moment1$' "$I/v/.status"
ok 'and of no others' bash -c "! grep -E 'use:.*pieces' '$I/v/.status'"
rm -r "$C/moment2"
ok 'in the trash, too' grep -qE '^use: .*\.trash/custom/moment2@' "$I/v/.status"
purge_trash
ok 'until that is gone' bash -c "! grep moment2 '$I/v/.status'"
cp -r "$C/moment1" "$I/second"
is 'an instance of the image of an instance' "$(readlink -f "$I/second/image")" "$C/moment1"
is_moment 'is of that moment' "$I/second/disk"

begin 'the cost is what was changed'
cp -r "$C/base" "$I/cost"
imagefs gc "$STORE" >/dev/null
packs=$(pack_bytes)
noise "$T/change" 65536
dd if="$T/change" of="$I/cost/disk" bs=64K seek=100 conv=notrunc status=none
truncate -s 2G "$I/cost/disk"
ok 'an image of 2 GiB with one changed chunk' cp -r "$I/cost" "$C/cost"
ok "$(($(pack_bytes) - packs)) bytes are stored for it" test $(($(pack_bytes) - packs)) -lt 200000
ok 'that and nothing else' cp -r "$I/cost" "$C/cost2"
ok "and for a second nothing ($(($(pack_bytes) - packs)))" test $(($(pack_bytes) - packs)) -lt 200000
ok "which .status tells ($(status_of cost stored-alone))" test "$(status_of cost stored-alone)" -lt 200000
cp "$a" "$T/model"
dd if="$T/change" of="$T/model" bs=64K seek=100 conv=notrunc status=none
truncate -s 2G "$T/model"
holds 'it is right' cost "$T/model"

begin 'whatever is on the disk'
dd if=/dev/urandom of="$I/cost/disk" bs=1M count=1 conv=notrunc status=none
printf '\x55\xaa' | dd of="$I/cost/disk" bs=1 seek=510 conv=notrunc status=none
truncate -s $(((2 << 30) + 12345)) "$I/cost/disk"
ok 'an image of a disk that no system understands' cp -r "$I/cost" "$C/strange"
ok 'is one' same "$I/cost/disk" "$C/strange/disk"
is 'and available' "$(state_of strange)" available
ok 'it can be copied on' cp -r "$C/strange" "$C2/strange"
is 'and started' "$(cp -r "$C/strange" "$I/strange" && status_of "$I/strange" state)" available
mkdir "$C/import"
fails 'an import of the same is refused' 'Invalid argument' cp --reflink=never "$I/cost/disk" "$C/import/x.img"

begin 'an image is independent of its instance'
rm -r "$I/v"
purge_trash
is_moment 'it is what it was' "$C/moment1/disk"
ok 'gone is gone in from, too' test ! -e "$C/moment1/from"

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
