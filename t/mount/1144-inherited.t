#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the caller of a command had open is not kept open by the processes that stay, and what it does with signals is nothing to them.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq flock perl
new_store
mkdir "$M"
test_mounts+=("$M")
is_free() { flock -n "$T/lock" true; }

begin 'a lock of the caller'
exec 9>"$T/lock"
flock 9
ok 'mount' imagefs mount "$STORE" "$M"
exec 9>&-
ok 'leaves the lock to its caller' is_free
umount_store
exec 9>"$T/lock"
flock 9
imagefs serve "$STORE" 2>"$T/log" &
server=$!
exec 9>&-
is_served() { [ -n "$(store_daemon_pid)" ]; }
wait_until 10 is_served
ok 'so does serve' is_free
kill "$server"
wait "$server"

begin 'a pipe that somebody reads to its end'
ok 'is at its end when mount has returned' timeout 20 bash -c '{ imagefs mount "$1" "$2" >/dev/null 2>&1; } 9>&1 | cat' _ "$STORE" "$M"
umount_store

begin 'no input, no output'
imagefs mount "$STORE" "$M" <&- >&- 2>&-
is 'mount' "$?" 0
ok 'works all the same' test -d "$M/ap-beijing/custom"
ok 'and has the store locked' bash -c '! flock -n "$1" true' _ "$STORE/lock"
umount_store

begin 'a program that waits for none of its children'
# shellcheck disable=SC2016 # perl's
careless() { timeout 20 perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' "$@"; }
ok 'mount' careless imagefs mount "$STORE" "$M"
if printf '%s\n%s\n' 6.9 "$(uname -r)" | sort -VC; then
	keeper=$(keeper_pid)
	old=$(pgrep -P "$keeper" | head -n 1)
	kill -9 "$old"
	ok 'when the daemon dies, there is another' timeout 10 test -d "$M/ap-beijing/custom"
	pgrep -P "$keeper" >/dev/null || kill -9 "$keeper" # what hangs would keep the test from ending
fi
umount_store
imagefs mount "$STORE" "$M"
ok 'umount' careless imagefs umount "$M"

begin 'what a service manager passes'
: >"$T/passed"
# shellcheck disable=SC2016 # for the other shell
bash -c 'LISTEN_FDS=1 LISTEN_PID=$$ exec imagefs serve "$1"' _ "$STORE" 3<"$T/passed" 4<"$T/lock" 2>"$T/log" &
server=$!
wait_until 10 is_served
fd_of() { readlink "/proc/$1/fd/$2"; }
is 'is kept by serve' "$(fd_of "$server" 3)" "$T/passed"
is 'what it does not is closed' "$(find "/proc/$server/fd" -lname "$T/lock" | wc -l)" 0
is 'the daemon has neither' "$(find "/proc/$(store_daemon_pid)/fd" -lname "$T/lock" -o -lname "$T/passed" | wc -l)" 0
kill "$server"
wait "$server"
is 'it ends in order' "$?" 0
done_testing
