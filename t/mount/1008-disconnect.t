#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An operator ends the mounts of an account: whoever uses them is told at once, nobody else notices, and they can mount again unless
# they were taken out of the account. Nobody but an operator can.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/people-lib.sh"
private_dev_fuse
need_root
people_store
make_disk "$T/a.img" 8 4 1
chmod 644 "$T/a.img"
ok 'bob imports an image' bob bash -c 'mkdir "$1" && cp "$2" "$1/"' _ "$B/custom/web" "$T/a.img"

fails 'carol cannot end the mounts of bob' 'only root, the owner' carol imagefs account set "$STORE" bob --disconnect
ok 'his mount is as it was' bob cmp "$T/a.img" "$B/custom/web/disk"
fails 'an account that there is not is named' 'no account nobody' alice imagefs account set "$STORE" nobody --disconnect
fails 'only set can disconnect' 'usage' alice imagefs account show "$STORE" bob --disconnect

# bob has a second mount, and a program that reads.
mkdir -p "$T/bob/second" && chown "$(user_id bob)" "$T/bob/second"
test_mounts+=("$T/bob/second")
ok 'bob mounts a second time' bob imagefs mount "$STORE" "$T/bob/second"
mkfifo "$T/go"
# shellcheck disable=SC2016 # for the other shell
bob bash -c 'exec 5<"$1"; echo open; read -r _ <"$2"; dd bs=64K count=1 <&5 >/dev/null' _ "$B/custom/web/disk" "$T/go" >"$T/reader" 2>&1 &
reader=$!
ok 'a program of his has a disk open' wait_until 10 grep -qx open "$T/reader"
run alice imagefs account set "$STORE" bob --disconnect
is 'alice, who operates, ends them' "$status" 0
like 'she is told how many there were' "$(cat "$T/.out")" 'ended: +2'
fails 'the mount is over' 'Transport endpoint is not connected' bob ls "$B"
fails 'the other, too' 'Transport endpoint is not connected' bob ls "$T/bob/second"
echo go >"$T/go"
wait "$reader"
is 'his program is told' "$(grep -c 'Transport endpoint is not connected\|Input/output error' "$T/reader")" 1
ok 'carol notices nothing' carol ls "$K"
is 'no mount of bob is left in the list' "$(alice imagefs status "$STORE" | grep -c 'account=bob')" 0

begin 'mounting again'
ok 'bob unmounts what is over' bob imagefs umount "$T/bob/mnt"
ok 'and the second' bob imagefs umount "$T/bob/second"
ok 'he may mount again' bob imagefs mount "$STORE" "$T/bob/mnt"
ok 'and finds what he had' bob cmp "$T/a.img" "$B/custom/web/disk"
run alice imagefs account set "$STORE" bob --remove-uid bob --disconnect
is 'a user is taken out, and disconnected with the same command' "$status" 0
ok 'what is over is unmounted' bob imagefs umount "$T/bob/mnt"
fails 'he cannot mount any more' 'has no account' bob imagefs mount "$STORE" "$T/bob/mnt"

begin 'no daemon'
for name in alice carol dave; do
	"$name" imagefs umount "$T/$name/mnt"
done
run alice imagefs account set "$STORE" carol --disconnect
is 'nothing is mounted, and that is no mistake' "$status" 0
done_testing
