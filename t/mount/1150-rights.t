#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A uid that is taken out of its account loses all rights at once: on mounts that it has, for files that it has open, over restarts
# of the daemon; an operator's uid, too. Whoever else belongs to the account does not notice.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq fusermount3

service=61010
install -d -o $service -g $service -m 711 "$T/lib"
STORE=$T/lib/main
# alice and eve (61005) operate; bob and dave (61004) are one account, carol is another.
for name in alice bob carol 61004 61005; do
	install -d -o "$(user_id $name)" -m 755 "$T/$name" "$T/$name/mnt"
	test_mounts+=("$T/$name/mnt")
done
printf '%s:x:%s:%s::/:/bin/sh\n' dave 61004 61004 eve 61005 61005 >>/etc/passwd
alice() { as_user alice "$@"; }
bob() { as_user bob "$@"; }
carol() { as_user carol "$@"; }
dave() { as_user 61004 "$@"; }
eve() { as_user 61005 "$@"; }
A=$T/alice/mnt B=$T/bob/mnt C=$T/carol/mnt D=$T/61004/mnt E=$T/61005/mnt
R=ap-beijing
cp "$top_builddir/t/lib/outlast" "$T/.private/bin/"
make_disk "$T/a.img" 4 1 1
chmod 644 "$T/a.img"

install -d -o "$(user_id bob)" -m 755 "$T/bob/other"

begin 'a service with mounts'
ok 'a store' as_user $service imagefs init "$STORE" --account admin
imagefs account add "$STORE" ops --uid alice --uid 61005 operator yes && imagefs account add "$STORE" web --uid bob --uid 61004 &&
	imagefs account add "$STORE" db --uid carol || exit 99
setpriv --reuid $service --regid $service --clear-groups --inh-caps=-all imagefs serve "$STORE" 2>>"$T/log" &
server=$!
ok 'it is served' wait_until 10 test -S "$STORE/socket"
for name in alice bob carol 61004 61005; do
	ok "$name mounts" as_user $name imagefs mount "$STORE" "$T/$name/mnt"
done
ok 'bob has an image' bob bash -c 'mkdir "$1" && cp "$2" "$1/disk"' _ "$B/$R/custom/web" "$T/a.img"
ok 'and a server' bob cp -r "$B/$R/custom/web" "$B/$R/instances/vm"
ok 'which his colleague sees' wait_until 5 dave test -f "$D/$R/instances/vm/disk"

# outlast USER READ WRITE: what USER has open is in $said; said asks it.
declare -A holders
outlast() {
	mkfifo "$T/asked-$1"
	as_user "$1" "$T/.private/bin/outlast" "$2" "$3" <"$T/asked-$1" >"$T/said-$1" 2>&1 &
	exec {holders[$1]}>"$T/asked-$1"
	ok "$1 has files open" wait_until 10 grep -qx open "$T/said-$1"
}
lines() { [ "$(wc -l <"$1")" -gt "$2" ]; }
# tries USER: one more try; what came of it
tries() {
	local before
	before=$(wc -l <"$T/said-$1")
	echo >&"${holders[$1]}"
	wait_until 10 lines "$T/said-$1" "$before"
	tail -n 1 "$T/said-$1"
}
nothing='read EACCES map SIGBUS write EACCES sync EACCES size EACCES'
all='read ok map ok write ok sync ok size ok'
outlast bob "$B/$R/custom/web/disk" "$B/$R/instances/vm/disk"
is 'they work' "$(tries bob)" "$all"
bob ls -lR "$B/$R" >/dev/null # the kernel knows them now

# without DESC USER MOUNT IMAGE: nothing of it is to be had.
without() {
	local what=$1 user=$2 at=$3 image=$4
	fails "$what lists nothing" 'Permission denied' as_user "$user" ls "$at"
	fails "$what looks up nothing" 'Permission denied' as_user "$user" stat "$at/$image/disk"
	fails "$what reads nothing" 'Permission denied' as_user "$user" head -c 1 "$at/$image/disk"
	fails "$what reads no log" 'Permission denied' as_user "$user" cat "$at/.log"
	fails "$what reads no .status" 'Permission denied' as_user "$user" cat "$at/$image/.status"
	fails "$what makes nothing" 'Permission denied' as_user "$user" mkdir "$at/$R/custom/mine"
	fails "$what removes nothing" 'Permission denied' as_user "$user" rm -r "$at/$image"
	fails "$what sets nothing" 'Permission denied' as_user "$user" bash -c 'echo x >"$1"' _ "$at/$image/description"
	is "$what can do nothing with open files" "$(tries "$user")" "$nothing"
}
begin 'a uid is taken out of its account'
ok 'an operator does it' alice imagefs account set "$STORE" web uids '61004'
without bob bob "$B" $R/custom/web
fails 'bob mounts no more' 'has no account' bob imagefs mount "$STORE" "$T/bob/other"
ok 'dave has all of it' dave cmp "$D/$R/custom/web/disk" "$T/a.img"
ok 'carol does not notice' carol mkdir "$C/$R/custom/hers"

begin 'over a restart'
imagefs status "$STORE" --json | jq '.["daemon-pid"]' | xargs kill -9
ok 'dave is served by the next daemon' dave cmp "$D/$R/custom/web/disk" "$T/a.img"
without 'after a restart bob' bob "$B" $R/custom/web

begin 'a uid that comes to another account'
ok 'carol takes him in' alice imagefs account set "$STORE" db uids '61003 61002'
without 'in another account bob' bob "$B" $R/custom/web

begin 'a uid that comes back'
alice imagefs account set "$STORE" db uids '61003' && alice imagefs account set "$STORE" web uids '61004 61002' || flunk 'back' 'failed'
ok 'bob lists his images' bob ls "$B/$R/custom/web"
ok 'and reads them' bob cmp "$B/$R/custom/web/disk" "$T/a.img"
is 'his open files work again' "$(tries bob)" "$all"

begin 'an upload under way'
mkfifo -m 644 "$T/fifo"
exec 7<>"$T/fifo"
bob mkdir "$B/$R/custom/late"
bob dd bs=64k iflag=fullblock if="$T/fifo" of="$B/$R/custom/late/disk" status=none 7>&- 2>"$T/dd" &
writer=$!
head -c 1M "$T/a.img" >&7
ok 'has begun' wait_until 10 dave bash -c '[ "$(stat -c %s "$1")" = 1048576 ]' _ "$D/$R/custom/late/disk"
ok 'when its uid is taken out' alice imagefs account set "$STORE" web uids '61004'
head -c 64K "$T/a.img" >&7 # a block of dd, and what a pipe holds: nobody may read it
exec 7>&-
wait $writer
is 'it fails' "$? $(grep -cm 1 'Permission denied' "$T/dd")" '1 1'
ok 'and its image is none' wait_until 5 dave grep -q '^state: failed' "$D/$R/custom/late/.status"

begin "an operator's uid"
ok 'eve makes a server' eve cp -r "$E/accounts/web/$R/custom/web" "$E/$R/instances/own"
outlast 61005 "$E/accounts/web/$R/custom/web/disk" "$E/$R/instances/own/disk"
ok 'eve sees all' eve ls -lR "$E/accounts"
ok 'alice takes her out' alice imagefs account set "$STORE" ops uids '61001'
without eve 61005 "$E" accounts/web/$R/custom/web
is 'nothing of the daemon is hers' "$(eve imagefs status "$STORE" 2>&1 | grep -c 'has no account')" 1

begin 'an account that operates no more'
drop() { # USER: its files are closed, its mount goes
	exec {holders[$1]}>&-
	rm -f "$T/asked-$1"
	ok "$1 unmounts" wait_until 10 as_user "$1" imagefs umount "$T/$1/mnt"
}
drop 61005
alice imagefs account add "$STORE" eve --uid 61005 operator yes || flunk 'an account' 'failed'
ok 'eve mounts again' eve imagefs mount "$STORE" "$E"
ok 'with something of her own' eve bash -c 'mkdir "$1" && cp "$2" "$1/disk"' _ "$E/$R/custom/own" "$T/a.img"
ok 'and a server' eve cp -r "$E/$R/custom/own" "$E/$R/instances/own"
outlast 61005 "$E/accounts/web/$R/custom/web/disk" "$E/$R/instances/own/disk"
ok 'it operates no more' alice imagefs account set "$STORE" eve operator 'no'
like "she reads no more of others' disks, and what is hers is hers" "$(tries 61005)" '^read ENOENT map SIGBUS write ok sync ok'

begin 'the end'
alice imagefs account set "$STORE" web uids '61004 61002' || flunk 'back' 'failed'
drop 61005
drop bob
for name in alice carol 61004; do ok "$name unmounts" as_user $name imagefs umount "$T/$name/mnt"; done
kill "$server"
wait "$server"
is 'it ends in order' "$?" 0
done_testing
