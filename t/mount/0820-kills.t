#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
# The daemon is killed a hundred times, at any moment, while programs read, import, copy and rename. None of
# them notices.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
need_kernel 6.9
private_dev_fuse
begin 'kill -9 of the daemon'
data_store
KILLS=${IMAGEFS_TEST_KILLS:-100}
seed=${IMAGEFS_TEST_SEED:-$RANDOM}
diag "IMAGEFS_TEST_SEED=$seed"
RANDOM=$seed

make_disk "$T/a.img" 12 5 1
make_disk "$T/b.img" 6 3 2
a=$T/a.img b=$T/b.img
noise "$T/large.img" $((80 << 20))
import read "$a"
import copied "$b"
fileop=$(fileop_path)
keeper=$(keeper_pid)

# complain WHAT: a failure in a loop, in one line, is kept for the end
complain() {
	echo "round $round, $(wc -l <"$T/kills") kills: $1: $(tail -n 2 "$T/out.$loop" | tr '\n' ' ')" >>"$T/failed.$loop"
}

# must WHAT COMMAND...: in a loop
must() {
	local what=$1
	shift
	"$@" >"$T/out.$loop" 2>&1 || complain "$what ($?)"
}

is_available() {
	has_state "$1" available || {
		echo "state $(state_of "$1"): $(status_of "$1" reason)"
		tail -n 1 "$M/.why"
		return 1
	}
}

# in_loop NAME: calls round_NAME until it is told to stop; says how often in rounds.NAME
in_loop() {
	loop=$1
	round=0
	until [ -e "$T/stop" ]; do
		round=$((round + 1))
		"round_$loop"
	done
	echo "$round" >"$T/rounds.$loop"
}

round_direct() {
	must read bash -o pipefail -c "'$fileop' direct-read '$C/read/disk' 65536 | cmp - '$a'"
}

round_cached() {
	must read cmp "$C/read/disk" "$a"
	must list ls -lR "$C/read" "$M/accounts"
	must status grep -q 'state: available' "$C/read/.status"
}

round_import() {
	must mkdir mkdir "$C/import"
	must cp cp "$b" "$C/import/"
	must available is_available import
	must compare cmp "$b" "$C/import/disk"
	must rm rm -r "$C/import"
}

# One file that is open all the time, written by many programs.
round_pieces() {
	local n
	must mkdir mkdir "$C/pieces"
	for n in 0 1 2 3 4 5 6 7 8 9 10 11; do
		dd if="$a" bs=1M skip="$n" count=1 status=none
	done 2>"$T/out.$loop" >"$C/pieces/x" || complain 'writing pieces'
	must available is_available pieces
	must compare cmp "$a" "$C/pieces/disk"
	must rm rm -r "$C/pieces"
}

round_copy() {
	must 'cp -r' cp -r "$C/copied" "$C2/copy"
	must compare cmp "$b" "$C2/copy/disk"
	must 'cp -a' cp -a "$C2/copy" "$C2/copy2"
	must compare cmp "$b" "$C2/copy2/disk"
	must mv mv "$C2/copy2" "$C/copy3"
	must compare cmp "$b" "$C/copy3/disk"
	must rm rm -r "$C2/copy" "$C/copy3"
}

# Carried out twice, each of these would say EEXIST or ENOENT.
round_names() {
	local n
	for n in 1 2 3; do
		must mkdir mkdir "$C/n$n"
		must set sh -c "echo 'debian $n' >'$C/n$n/os'"
		must mv mv -T "$C/n$n" "$C/m$n"
		must ln ln -s "m$n" "$C/l$n"
		must 'ln -sfn' ln -sfn read "$C/l$n"
		must readlink test "$(readlink "$C/l$n")" = read
		must get test "$(cat "$C/m$n/os")" = "debian $n"
		must protect chmod a-w "$C/m$n"
		must unprotect chmod u+w "$C/m$n"
		must 'rm link' rm "$C/l$n"
		must clear rm "$C/m$n/os"
		must rmdir rmdir "$C/m$n"
	done
}

# More than a pack.
round_large() {
	must mkdir mkdir "$C/large"
	must dd dd if="$T/large.img" of="$C/large/x" bs=300000 status=none
	must available is_available large
	must compare cmp "$T/large.img" "$C/large/disk"
	must rm rm -r "$C/large"
}

round_mapped() {
	must mkdir mkdir "$C/mapped"
	must mmap "$fileop" mmap-write "$b" "$C/mapped/x"
	must available is_available mapped
	must compare cmp "$b" "$C/mapped/disk"
	must rm rm -r "$C/mapped"
}

# Writes, truncations and copies that are compared with a model all the time.
round_fuzz() {
	must mkdir mkdir "$C/fuzz"
	must fuzz "$fileop" copy-fuzz "$C/copied/disk" "$C/fuzz/x" "$T/model" $((seed + round)) 60
	must compare sh -c "cmp '$T/model' '$C/fuzz/'[xd]*"
	must rm rm -r "$C/fuzz"
}

# What the others delete is given back meanwhile.
round_purge() {
	local all=("$M"/*/.trash/custom/*)
	[ ! -e "${all[0]}" ] || must purge rm -r "${all[@]}"
	sleep 0.1
}

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

: >"$T/kills"
loops='direct cached import pieces copy names large mapped fuzz purge'
for loop in $loops; do
	in_loop "$loop" &
done
killed=0
for ((n = 0; n < KILLS; n++)); do
	pid=$(daemon_child)
	kill -KILL "$pid" && killed=$((killed + 1))
	echo "$pid" >>"$T/kills"
	wait_until 60 daemon_is_another "$pid" || break
	# This is the random moment of the next: up to a quarter of a second of work.
	sleep "0.$(printf %03d $((RANDOM % 250)))"
done
touch "$T/stop"
wait

is 'the daemon was killed that often' "$killed" "$KILLS"
is 'the keeper is still the same' "$(keeper_pid)" "$keeper"
for loop in $loops; do
	[ -s "$T/rounds.$loop" ] || echo 'the loop itself ended' >>"$T/failed.$loop"
	quiet "$loop noticed nothing in $(cat "$T/rounds.$loop") rounds" "$T/failed.$loop"
done
holds 'what was read all the time is as it was' read "$a"
holds 'what was copied all the time is as it was' copied "$b"
is 'nothing is left of the loops' "$(ls "$C" "$C2" | grep -vE '^(read|copied|.*:|)$')" ''
run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output

done_testing
