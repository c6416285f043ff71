#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What came in of an upload that was refused for want of room stands in nobody's way: when the store is full it is given back at once,
# over policy bytes-per-region it is kept, to be continued, until its room is needed; and what was deleted for good is room at once.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
need_root
MIB=1048576
STORE=$T/small/store
mkdir "$T/small"
mount -t tmpfs -o size=64M none "$T/small"
instance_store
for n in 1 2 3; do
	noise "$T/$n.img" $((12 * MIB))
done
noise "$T/large.img" $((100 * MIB))

limit() {
	echo "bytes-per-region $1" >"$M/ap-beijing/.policy"
}
# kept IMAGE: bytes that there are of it
kept() {
	status_of "$1" received
}
gave_back() {
	[ "$(kept "$1")" = 0 ]
}
has_room() {
	[ "$(df --output=avail -m "$T/small" | tail -n 1)" -ge "$1" ]
}

begin 'the store is full'
has_room 50 || flunk 'there is room to begin with' "$(df "$T/small")"
image full
fails 'an upload that does not fit is refused' 'No space left' cp "$T/large.img" "$C/full/"
like 'and .why says what is full' "$(last_why)" 'ENOSPC.*the store is full'
is 'it has failed' "$(state_of full)" failed
ok 'what came in of it is given back' wait_until 20 gave_back full
ok 'so that others have the room' wait_until 20 has_room 50
like 'and .status says so' "$(status_of full reason)" 'the store was full.*given back.*upload it again'
ok 'another upload is taken' cp "$T/1.img" "$C/full/x.img"
holds 'into the same image' full "$T/1.img"

begin 'over policy'
limit 28M
image over
fails 'an upload over the limit is refused' 'Disk quota' cp "$T/large.img" "$C/over/"
is 'it has failed' "$(state_of over)" failed
like 'and .status says what is kept, and for how long' "$(status_of over reason)" 'bytes-per-region.*kept until.*room is needed.*continue'
ok "some of it is kept ($(kept over))" test "$(kept over)" -gt $((8 * MIB))
limit 200M
had=$(kept over)
ok 'with a higher limit it is continued' bash -c "tail -c +$((had / MIB * MIB + 1)) '$T/2.img' >/dev/null; head -c 20M '$T/large.img' |
	dd of='$C/over/large.img' bs=1M seek=$((had / MIB)) skip=$((had / MIB)) iflag=fullblock status=none"
head -c 20M "$T/large.img" >"$T/part.img"
holds 'and is an image' over "$T/part.img"
rm -r "$C/over"
purge_trash
limit 28M
image over
fails 'once more' 'Disk quota' cp "$T/large.img" "$C/over/"
image next
ok 'an upload that fits without what was refused is taken' cp "$T/2.img" "$C/next/"
holds 'and whole' next "$T/2.img"
is 'for which that was given back' "$(kept over)" 0
like 'and .status says so' "$(status_of over reason)" 'bytes-per-region.*given back.*upload it again'
image third
fails 'what does not fit even so is refused' 'Disk quota' cp "$T/3.img" "$C/third/"

begin 'over policy only when it was closed'
rm -r "$C/over" "$C/third"
purge_trash
limit none
image closed
mkfifo "$T/fifo"
dd if="$T/fifo" of="$C/closed/x.img" bs=1M iflag=fullblock status=none 2>"$T/dd.err" &
writer=$!
exec 7>"$T/fifo"
cat "$T/3.img" >&7
all_written() {
	[ "$(stat -c %s "$C/closed/x.img")" = $((12 * MIB)) ]
}
wait_until 20 all_written || flunk 'all is written' "$(stat -c %s "$C/closed/x.img")"
limit "$(($(store_status stored) + 4 * MIB))"
exec 7>&-
wait "$writer"
like 'a close over the limit is refused' "$(cat "$T/dd.err")" 'Disk quota'
is 'it is pending' "$(state_of closed)" pending
like 'and .status says what is kept' "$(status_of closed reason)" 'bytes-per-region.*kept until.*room is needed'
limit "$(($(store_status stored) + 2 * MIB))"
noise "$T/4.img" $((12 * MIB))
image fourth
ok 'what fits without it is taken' cp "$T/4.img" "$C/fourth/"
holds 'and whole' fourth "$T/4.img"
like 'for which that was given back' "$(kept closed) $(status_of closed reason)" '^0 .*given back.*upload it again'
rm -r "$C/fourth" "$C/closed"
purge_trash
image third
limit 28M
fails 'something that does not fit' 'Disk quota' cp "$T/large.img" "$C/third/"

begin 'room that was made as .why advises'
rm -r "$C/next"
rm -r "$R"/.trash/custom/next@*
ok 'is there at once' cp "$T/3.img" "$C/third/"
holds 'for what was refused' third "$T/3.img"
ok 'check finds nothing' imagefs check --read-data "$STORE"
umount_store
umount "$T/small"
done_testing
