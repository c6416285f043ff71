#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is killed while servers write: who has a disk open goes on, and what a write was answered for is there.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
need_kernel 6.9
private_dev_fuse
begin 'kill -9 under servers'
instance_store
KILLS=${IMAGEFS_TEST_KILLS:-25}
seed=${IMAGEFS_TEST_SEED:-$RANDOM}
diag "IMAGEFS_TEST_SEED=$seed"
RANDOM=$seed
diskop=$(helper_path diskop)
fsx=$(helper_path fsx)

make_disk "$T/a.img" 6 4 1
import web "$T/a.img"
cp -r "$C/web" "$C/other"
keeper=$(keeper_pid)

daemon_child() {
	local children
	read -r children <"/proc/$keeper/task/$keeper/children"
	echo "${children%% *}"
}

daemon_is_another() {
	local now
	now=$(daemon_child)
	[ -n "$now" ] && [ "$now" != "$1" ]
}

# has_written WORDS N: that often a thousand writes were acknowledged
has_written() {
	[ "$(grep -c written "$1")" -ge "$2" ]
}

# goes_on NAME PID OUTPUT: if it does not, what it said is noted
goes_on() {
	kill -0 "$2" 2>/dev/null || tail -n 3 "$3" | tr '\n' ' ' >"$T/ended.$1"
}

begin 'the daemon alone'
for n in 1 2; do
	cp -r "$C/web" "$I/v$n"
done
"$fsx" -s "$seed" -n 1000000 -c "$C/other/disk" "$I/v1/disk" >"$T/fsx" 2>&1 &
fsx_pid=$!
cp "$T/a.img" "$T/model"
"$diskop" scribble "$I/v2/disk" "$T/model" "$seed" >"$T/words" 2>"$T/scribble" &
scribble_pid=$!
killed=0
for ((n = 0; n < KILLS; n++)); do
	pid=$(daemon_child)
	kill -KILL "$pid" && killed=$((killed + 1))
	wait_until 60 daemon_is_another "$pid" || break
	# This is the random moment of the next.
	sleep "0.$(printf %03d $((RANDOM % 200)))"
done
is 'it was killed that often' "$killed" "$KILLS"
goes_on fsx "$fsx_pid" "$T/fsx"
quiet 'fsx goes on, and has found no difference' "$T/ended.fsx"
goes_on scribble "$scribble_pid" "$T/scribble"
quiet 'so does the other' "$T/ended.scribble"
ok 'which had thousands of writes answered' wait_until 60 has_written "$T/words" 2
kill "$fsx_pid" "$scribble_pid"
wait "$fsx_pid" "$scribble_pid" 2>/dev/null
diag "$(cat "$T/fsx" "$T/scribble")"
ok 'all of them are there' diskop scribble-check "$I/v2/disk" "$T/model"
ok 'an image can be made of it' cp -r "$I/v2" "$C/v2"
ok 'and is the same' same "$I/v2/disk" "$C/v2/disk"
ok 'nobody has it open any more' rm -r "$I/v1"

begin 'keeper and daemon'
cp -r "$C/web" "$I/v3"
cp "$T/a.img" "$T/model"
rm -f "$T/model.next"
for n in 1 2 3 4 5; do
	rm -f "$T/words"
	"$diskop" scribble "$I/v3/disk" "$T/model" $((seed + n)) >"$T/words" 2>"$T/scribble" &
	scribble_pid=$!
	wait_until 30 has_written "$T/words" 1 || flunk 'it writes' "$(cat "$T/scribble")"
	kill -KILL "$(keeper_pid)" "$(store_daemon_pid)"
	wait "$scribble_pid"
	status=$?
	[ "$status" -eq 3 ] || echo "status $status, $(tail -n 1 "$T/scribble")" >"$T/ended.$n"
	quiet "the writer is told, $n" "$T/ended.$n"
	umount -l "$M" 2>/dev/null || fusermount3 -uz "$M" 2>/dev/null
	mount_store
	ok 'every write that was acknowledged is there' diskop scribble-check "$I/v3/disk" "$T/model"
done
ok 'an image of it' cp -r "$I/v3" "$C/v3"
ok 'has them, too' diskop scribble-check "$C/v3/disk" "$T/model"
ok 'and it can be destroyed' rm -r "$I/v3"

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
