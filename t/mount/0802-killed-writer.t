#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A writer that is killed leaves its image pending, whatever it had written; the upload can be done again.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need rsync
begin 'killed writers'
data_store

# Noise has no partition table, by which a cut could be seen.
noise "$T/noise" 6000128
make_disk "$T/a.img" 12 5 1
mkfifo "$T/pipe"

# has_bytes FILE BYTES: as many have arrived
has_bytes() {
	[ "$(stat -c %s "$1")" -ge "$2" ]
}

# An image is filled from the pipe by a program in the background, which is killed in the middle.
killed() {
	local what=$1 signal=$2 pid
	shift 2
	N=$C/$what
	image "$what"
	"$@" <"$T/pipe" &
	pid=$!
	exec 9>"$T/pipe"
	cat "$T/noise" >&9
	ok "$what: bytes have arrived" wait_until 20 has_bytes "$N/x.img" 5900000
	is "$what: meanwhile it is pending" "$(state_of "$what")" pending
	kill "-$signal" "$pid"
	wait "$pid" 2>/dev/null
	exec 9>&-
	is "$what: after SIG$signal it is pending" "$(state_of "$what")" pending
	like "$what: .status says that its writer was killed" "$(status_of "$what" reason)" killed
	is "$what: its name is listed" "$(ls "$N")" x.img
	ok "$what: it can be done again" cp "$T/a.img" "$N/x.img"
	holds "$what: and is whole" "$what" "$T/a.img"
}

# Each becomes the tool, so that the tool is what is killed.
cat_to_x() { exec cat >"$N/x.img"; }
dd_to_x() { exec dd of="$N/x.img" bs=10000 status=none; }
cp_to_x() { exec cp /dev/stdin "$N/x.img"; }
busybox_to_x() { exec busybox cat >"$N/x.img"; }

killed cat KILL cat_to_x
killed dd KILL dd_to_x
killed cp KILL cp_to_x
killed busybox-cat KILL busybox_to_x
killed cat-TERM TERM cat_to_x
killed cat-HUP HUP cat_to_x

begin 'a program with threads'
image threads
coproc { exec "$(fileop_path)" write-threads "$C/threads/x.img" 6000000; }
pid=$COPROC_PID
read -r line <&"${COPROC[0]}"
is 'it has written' "$line" written
kill -KILL "$pid"
wait "$pid" 2>/dev/null
ok 'is pending' wait_until 5 has_state threads pending
like 'for its writer was killed' "$(status_of threads reason)" killed
ok 'it can be done again' cp "$T/a.img" "$C/threads/x.img"
holds 'and is whole' threads "$T/a.img"

begin 'rsync'
image rsync
N=$C/rsync
noise "$T/big.img" $((30 << 20))
rsync --bwlimit=20M "$T/big.img" "$N/" &
pid=$!
has_scratch() {
	grep -q 'unfolded\|received' "$N/.status" || [ -n "$(find "$STORE/overlay" -type f -size +1M)" ]
}
ok 'rsync is writing' wait_until 20 has_scratch
pkill -KILL -P "$pid"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
is 'killed, it leaves the image pending' "$(state_of rsync)" pending
ok 'it can be done again' rsync "$T/big.img" "$N/"
holds 'and is whole' rsync "$T/big.img"

begin 'exit without close'
image exits
ok 'a shell that exits in good order' "$BASH" -c "exec 3>'$C/exits/x.img'; cat '$T/a.img' >&3; exit 0"
holds 'has finished it' exits "$T/a.img"
image exits1
"$BASH" -c "exec 3>'$C/exits1/x.img'; head -c 1000448 '$T/noise' >&3; exec head -c 512 '$T/noise' >&3; exit 0"
is 'so has one that ends as another program' "$(state_of exits1)" available

begin 'continued'
image continued
N=$C/continued
cat_part() { exec cat >"$N/a.img"; }
cat_part <"$T/pipe" &
pid=$!
exec 9>"$T/pipe"
head -c 5M "$T/a.img" >&9
ok 'bytes have arrived' wait_until 20 has_bytes "$N/a.img" $((5 << 20))
kill -KILL "$pid"
wait "$pid" 2>/dev/null
exec 9>&-
is 'pending after the kill' "$(state_of continued)" pending
ok 'continued by rsync --append' rsync --append "$T/a.img" "$N/"
holds 'it is whole' continued "$T/a.img"

done_testing
