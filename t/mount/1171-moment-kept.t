#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a file reads stays for as long as it is open, over the death of the daemon too, and no longer: the moment of a disk that is
# copied, whoever shares bytes with whom, and the disk of an image that is gone for good.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
need_kernel 6.9
private_dev_fuse
begin 'what is read stays'
instance_store
diskop=$(helper_path diskop)

objects() {
	imagefs status --json "$STORE" | jq .objects
}

kill_daemon() {
	local pid
	pid=$(store_daemon_pid)
	kill -KILL "$pid"
	wait_until 10 daemon_is_not "$pid" || flunk 'a new daemon comes' 'none'
}

daemon_is_not() {
	local now
	now=$(store_daemon_pid)
	[ -n "$now" ] && [ "$now" != "$1" ]
}

# read_over_death NAME FILE: the moment of the instance NAME at which it has FILE's bytes is read after it has others, the daemon has
# died and all that nobody needs is gone
read_over_death() {
	coproc READ { "$diskop" moment "$I/$1/disk" "$T/out" 2>"$T/read.err"; }
	local reader=$READ_PID line=''
	read -r line <&"${READ[0]}"
	is "$1: a reader has its moment" "$line" pinned
	noise "$T/later" $((1 << 20))
	dd if="$T/later" of="$I/$1/disk" bs=1M seek=5 conv=notrunc status=none
	cp -r "$I/$1" "$C/later-$1"
	imagefs gc "$STORE" >/dev/null
	kill_daemon
	imagefs gc "$STORE" >/dev/null
	echo >&"${READ[1]}"
	wait "$reader"
	ok "$1: and reads it" cmp "$T/out" "$2"
}

for policy in account store; do
	ok "dedup $policy" imagefs policy set "$STORE" dedup "$policy"
	noise "$T/$policy.img" $((8 << 20))
	cp "$T/$policy.img" "$T/$policy.moment"
	import "base-$policy" "$T/$policy.img"
	cp -r "$C/base-$policy" "$I/$policy"
	noise "$T/change" $((1 << 20))
	dd if="$T/change" of="$I/$policy/disk" bs=1M seek=5 conv=notrunc status=none
	dd if="$T/change" of="$T/$policy.moment" bs=1M seek=5 conv=notrunc status=none
	read_over_death "$policy" "$T/$policy.moment"
done
rm -r "$C"/* "$I"/*
purge_trash
is 'when all is closed and gone, nothing is kept' "$(objects)" 0

begin 'a moment that nobody read after the daemon died'
import idle "$T/store.img"
cp -r "$C/idle" "$I/idle"
printf x | dd of="$I/idle/disk" bs=1 seek=70000 conv=notrunc status=none
coproc READ { "$diskop" moment "$I/idle/disk" "$T/out"; }
reader=$READ_PID
read -r line <&"${READ[0]}"
kill_daemon
exec {READ[1]}>&-
wait "$reader"
rm -r "$C/idle" "$I/idle"
purge_trash
is 'is not kept either' "$(objects)" 0

begin 'the disk of an image that is gone for good'
noise "$T/big.img" $((48 << 20))
import gone "$T/big.img"
cmp -n 1 "$C/gone/disk" "$T/big.img"
import fresh "$T/store.img"
cmp "$C/fresh/disk" "$T/store.img"
exec 3<"$C/gone/disk" 4<"$C/fresh/disk"
head -c 1M <&3 >"$T/first"
rm -r "$C/gone" "$C/fresh"
purge_trash
kill_daemon
imagefs gc "$STORE" >/dev/null
ok 'it is read to its end' bash -c "cat '$T/first' - <&3 | cmp - '$T/big.img'"
kill_daemon
imagefs gc "$STORE" >/dev/null
ok 'over a second death too, and from the first byte if nothing was read' bash -c "cmp - '$T/store.img' <&4"
exec 3<&- 4<&-
imagefs gc "$STORE" >/dev/null
is 'and then it goes' "$(objects)" 0
ok 'check finds nothing' imagefs check --read-data "$STORE"
done_testing
