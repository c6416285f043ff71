#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The keeper: open files and all mounts outlive a daemon; its own end is a clean one; a daemon that cannot start
# again ends in errors, not in programs that hang.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
need_kernel 6.9
private_dev_fuse
begin 'the keeper'
data_store

make_disk "$T/a.img" 12 5 1
a=$T/a.img
import web "$a"
other=$T/other
M=$other mount_store
OC=$other/ap-beijing/custom

kill_daemon() {
	local pid
	pid=$(store_daemon_pid)
	kill -KILL "$pid"
	wait_until 10 daemon_is_not "$pid" || flunk 'a new daemon comes' 'none'
}

# One that answers
daemon_is_not() {
	local now
	now=$(store_daemon_pid)
	[ -n "$now" ] && [ "$now" != "$1" ]
}

begin 'two mounts'
kill_daemon
ok 'the first is there' same "$a" "$C/web/disk"
ok 'the other as well' same "$a" "$OC/web/disk"
image made
ok 'the other sees what is made in the first' wait_until 5 test -d "$OC/made"
ok 'the first sees what is removed in the other' bash -c "rmdir '$OC/made'"
ok 'at once' wait_until 5 bash -c "! test -e '$C/made'"
for n in 1 2 3; do
	kill_daemon
	ok "after kill $n both answer" ls "$C/web/disk" "$OC/web/disk"
done
M=$other umount_store
kill_daemon
ok 'one left alone lives on' same "$a" "$C/web/disk"

begin 'open files'
exec 3<"$C/web/disk"
head -c 3M <&3 >"$T/first"
kill_daemon
cat <&3 >"$T/rest"
exec 3<&-
ok 'a reader reads on' bash -c "cat '$T/first' '$T/rest' | cmp - '$a'"
image written
exec 3>"$C/written/x.img"
head -c 5000001 "$a" >&3
kill_daemon
tail -c +5000002 "$a" >&3
kill_daemon
exec 3>&-
holds 'a writer writes on' written "$a"
image cut
exec 3>"$C/cut/x.img"
head -c 5000000 "$a" >&3
kill_daemon
is 'what was written is there' "$(stat -c %s "$C/cut/x.img")" 5000000
ok 'byte for byte' cmp -n 5000000 "$a" "$C/cut/x.img"
exec 3>&-
is 'and pending' "$(state_of cut)" pending
ok 'done again' cp "$a" "$C/cut/x.img"
holds 'it is whole' cut "$a"
fileop hold "$C/cut/x.img" 0 x </dev/null >/dev/null 2>"$T/hold.err"
like 'what was used stays closed to writers' "$(cat "$T/hold.err")" 'not permitted'
exec 3<"$C/cut/disk"
rm -r "$C/cut"
kill_daemon
ok 'what was deleted is read on' bash -c "cmp - '$a' <&3"
exec 3<&-
mkdir "$T/cwd"
ok 'a shell in a directory stays there' bash -c "cd '$C/web' && kill -KILL $(store_daemon_pid) && cmp disk '$a'"
kill_daemon
why=$(wc -l <"$M/.why")
kill_daemon
is '.why is kept' "$(wc -l <"$M/.why")" "$why"

begin 'refusals stay refusals'
kill_daemon
fails 'mkdir of what is there' 'File exists' mkdir "$C/web"
fails 'writing what was used' 'Operation not permitted' cp "$a" "$C/web/disk"
fails 'reading what is not there' 'No such file' cat "$C/nothing/disk"

begin 'SIGTERM to the keeper'
keeper=$(keeper_pid) daemon=$(store_daemon_pid)
gone() {
	! [ -e "/proc/$1" ]
}
kill -TERM "$keeper"
ok 'the keeper ends' wait_until 20 gone "$keeper"
ok 'the daemon has ended' gone "$daemon"
is 'nothing is mounted' "$(left_mounts)" ''
ok 'the store is free' imagefs check "$STORE"
mount_store
ok 'and can be mounted again' same "$a" "$C/web/disk"

begin 'SIGTERM to the keeper while files are open'
keeper=$(keeper_pid)
exec 3<"$C/web/disk"
kill -TERM "$keeper"
ok 'the keeper ends' wait_until 40 gone "$keeper"
fails 'a reader gets an error' '' timeout 20 dd of=/dev/null iflag=direct bs=64k skip=3 status=none <&3
exec 3<&-
ok 'nothing is mounted' wait_until 5 bash -c "! grep -q '$M' /proc/self/mountinfo"
mount_store
holds 'everything is there afterwards' web "$a"

begin 'a daemon that cannot start again'
keeper=$(keeper_pid) daemon=$(store_daemon_pid)
exec 3<"$C/web/disk"
mv "$STORE/catalog" "$STORE/catalog.away"
mkdir "$STORE/catalog"
printf 'this is no catalog' >"$STORE/catalog/data.mdb"
kill -KILL "$daemon"
timeout 30 "$BASH" -c "ls -l '$C'; cat <&3; mkdir '$C/x'" >/dev/null 2>"$T/errors"
status=$?
ok 'programs end, in errors' test "$status" -gt 0 -a "$status" -lt 124
ok 'which they tell' test -s "$T/errors"
ok 'the keeper gives up' wait_until 20 gone "$keeper"
exec 3<&-
ok 'nothing is mounted' wait_until 5 bash -c "! grep -q '$M' /proc/self/mountinfo"
fails 'mount says what is wrong' 'catalog' imagefs mount "$STORE" "$M"
rm -r "$STORE/catalog"
mv "$STORE/catalog.away" "$STORE/catalog"
mount_store
holds 'once it is mended everything is there' web "$a"

begin 'a keeper that is killed'
keeper=$(keeper_pid) daemon=$(store_daemon_pid)
kill -KILL "$keeper"
ok 'the daemon does not stay alone' wait_until 20 gone "$daemon"
timeout 20 ls "$M" >/dev/null 2>&1
is 'nothing hangs' "$(($? < 124))" 1
ok 'a new mount clears up' wait_until 10 imagefs mount "$STORE" "$M"
holds 'and has everything' web "$a"

done_testing
