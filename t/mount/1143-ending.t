#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
# A daemon that ends is in nobody's way: whoever comes next, at the same place, has a store that works, and nobody is told that it is in
# use.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq strace flock

begin 'a store that is made anew while its daemon ends'
mkdir -p "$M"
test_mounts+=("$M")
# times N CMD...: until it fails; then what it said is in $T/rounds.
times() {
	local n=$1 i
	shift
	: >"$T/rounds"
	for ((i = 1; i <= n; i++)); do
		"$@" >"$T/said" 2>&1 || { echo "the ${i}th failed: $(tail -n 1 "$T/said")" >"$T/rounds"; return; }
	done
}
anew() {
	imagefs mount "$STORE" "$M" && [ -S "$STORE/socket" ] && ls "$M/ap-beijing" && umount "$M" && { rm -rf "$STORE"; imagefs init "$STORE"; }
}
new_store
times 30 anew
quiet 'umount, rm -r STORE, init STORE, mount' "$T/rounds"
# Everything in the folder goes, and the folder stays.
emptied() {
	imagefs mount "$STORE" "$M" && [ -S "$STORE/socket" ] && umount "$M" && rm -rf "${STORE:?}"/* && imagefs init "$STORE"
}
[ -e "$STORE/imagefs.store" ] || { rm -rf "$STORE"; imagefs init "$STORE" >/dev/null; }
times 30 emptied
quiet 'the same in a folder that stays' "$T/rounds"
[ -e "$STORE/imagefs.store" ] || { rm -rf "$STORE"; imagefs init "$STORE" >/dev/null; }
mount_store
has_socket() { [ -S "$STORE/socket" ]; }
ok 'who came last has its socket' has_socket
umount_store

begin 'imagefs umount of the last mount returns when the store is free'
mkdir "$T/second"
test_mounts+=("$T/second")
# The second mount's end is still on its way to the daemon when the last one is undone.
last() {
	imagefs mount "$STORE" "$M" && imagefs mount "$STORE" "$T/second" && umount "$T/second" && imagefs umount "$M" && flock -n "$STORE/lock" true
}
times 30 last
quiet 'also when another one went just before' "$T/rounds"

begin 'a daemon whose keeper is gone ends at once'
mount_store
mkdir "$M/ap-beijing/custom/web" && make_disk "$T/a.img" 64 48 1 && cp "$T/a.img" "$M/ap-beijing/custom/web/disk"
keeper=$(keeper_pid)
daemon=$(store_daemon_pid)
strace -f -q -o /dev/null -e trace=pread64 -e inject=pread64:delay_enter=500ms -p "$daemon" 2>/dev/null &
slow=$!
imagefs check --read-data "$STORE" >"$T/check" 2>&1 &
check=$!
checks() { grep -q pread /proc/"$daemon"/task/*/wchan 2>/dev/null || [ "$(sed -n 's/^TracerPid:\t//p' /proc/"$daemon"/status)" != 0 ]; }
ok 'a check is under way that takes minutes' wait_until 10 checks
kill -9 "$keeper"
ended() { ! kill -0 "$daemon" 2>/dev/null || grep -q '^State:	Z' "/proc/$daemon/status"; }
ok 'its keeper is killed: it does not wait for it' wait_until 1 ended
wait "$check" "$slow" 2>/dev/null
umount -l "$M" 2>/dev/null
mount_store
ok 'the store is served again' grep -q 'state: available' "$M/ap-beijing/custom/web/.status"
umount_store
done_testing
