#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One user takes all connections and mounts that he is given, and no others are kept from theirs.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq fusermount3

service=61010
install -d -o $service -g $service -m 711 "$T/lib"
STORE=$T/lib/main
for name in alice bob carol; do install -d -o "$(user_id $name)" -m 755 "$T/$name" "$T/$name/mnt"; done
alice() { as_user alice "$@"; }
bob() { as_user bob "$@"; }
carol() { as_user carol "$@"; }
cp "$top_builddir/t/lib/crowd" "$T/.private/bin/"
ok 'a store' as_user $service imagefs init "$STORE" --account admin
imagefs account add "$STORE" ops --uid alice operator yes && imagefs account add "$STORE" web --uid bob &&
	imagefs account add "$STORE" db --uid carol || exit 99
setpriv --reuid $service --regid $service --clear-groups --inh-caps=-all imagefs serve "$STORE" 2>>"$T/log" &
server=$!
ok 'it is served' wait_until 10 test -S "$STORE/socket"

# crowd ID COUNT: until kill $crowd.
crowd() {
	rm -f "$T/said"
	setpriv --reuid "$(user_id "$1")" --clear-groups crowd "$STORE" "$2" >"$T/said" &
	crowd=$!
	wait_until 10 test -s "$T/said"
}
begin 'connections'
crowd bob 20
is 'bob gets 8' "$(cat "$T/said")" 'served 8 refused 12'
fails 'and no more' 'uid 61002 has 8 connections' bob imagefs account show "$STORE"
is 'with the exit code for busy' "$status" 4
fails 'also not to mount' '8 connections' bob imagefs mount "$STORE" "$T/bob/mnt"
ok 'carol is served' carol imagefs account show "$STORE"
ok 'and mounts' carol imagefs mount "$STORE" "$T/carol/mnt"
ok 'alice, too' alice imagefs status "$STORE"
kill "$crowd"
wait "$crowd" 2>/dev/null
ok 'bob again, when they are gone' wait_until 5 bob imagefs account show "$STORE"
crowds=()
for uid in 62000 62001 62002; do
	crowd $uid 20
	crowds+=("$crowd")
done
is 'who has no account shares with those who have none' "$(cat "$T/said")" 'served 0 refused 20'
ok 'bob has his' bob imagefs account show "$STORE"
kill "${crowds[@]}"
wait "${crowds[@]}" 2>/dev/null
crowd alice 40
is 'an operator gets 32' "$(cat "$T/said")" 'served 32 refused 8'
ok 'bob has his' bob imagefs account show "$STORE"
kill "$crowd"
wait "$crowd" 2>/dev/null

begin 'mounts'
bob mkdir -p "$T/bob/m/"{1..33}
for i in {1..32}; do
	bob imagefs mount "$STORE" "$T/bob/m/$i" || flunk "mount $i" 'failed'
done
is 'bob has 32' "$(bob imagefs status "$STORE" --json | jq '.mount | length')" 32
fails 'and no more' 'uid 61002 has 32 mounts' bob imagefs mount "$STORE" "$T/bob/m/33"
is 'nothing is left of it' "$(left_mounts | grep -c /33)" 0
ok 'those that he has work' bob ls "$T/bob/m/32/ap-beijing/custom"
ok 'carol goes on' carol bash -c 'mkdir "$1/ap-beijing/custom/web"' _ "$T/carol/mnt"
ok 'alice mounts' alice imagefs mount "$STORE" "$T/alice/mnt"
ok 'bob unmounts one' bob imagefs umount "$T/bob/m/7"
ok 'and mounts another' wait_until 5 bob imagefs mount "$STORE" "$T/bob/m/33"
ok 'an operator can stop this' alice imagefs account set "$STORE" web uids ''
fails 'a uid that was taken out of its account cannot list its mount any more' 'Permission denied' bob ls "$T/bob/m/1/ap-beijing"

for i in {1..33}; do [ $i = 7 ] || bob imagefs umount "$T/bob/m/$i" || flunk "umount $i" 'failed'; done
carol imagefs umount "$T/carol/mnt"
alice imagefs umount "$T/alice/mnt"
kill "$server"
wait "$server"
is 'it ends in order' "$?" 0
done_testing
