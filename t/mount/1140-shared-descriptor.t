#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A user shares the descriptor of his mount with the daemon, and does with it what he can: has read() sleep on it, answers the kernel's INIT
# himself, hands over one on which poll() sleeps. He loses his own mount by it; nobody else notices.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq fusermount3

service=61010
install -d -o $service -g $service -m 711 "$T/lib"
STORE=$T/lib/main
for name in alice bob carol; do
	install -d -o "$(user_id $name)" -m 755 "$T/$name" "$T/$name/mnt"
	test_mounts+=("$T/$name/mnt")
done
alice() { as_user alice "$@"; }
bob() { as_user bob "$@"; }
A=$T/alice/mnt/ap-beijing/custom B=$T/bob/mnt
ok 'a store' as_user $service imagefs init "$STORE" --account admin
for name in alice bob carol; do imagefs account add "$STORE" $name --uid $name || exit 99; done
is_served() { [ -n "$(store_daemon_pid)" ]; }
serve() {
	setpriv --reuid $service --regid $service --clear-groups --inh-caps=-all imagefs serve "$STORE" 2>>"$T/log" &
	server=$!
	ok 'it is served' wait_until 10 is_served
}
serve
ok 'alice mounts' alice imagefs mount "$STORE" "$T/alice/mnt"
mkdir "$T/.private/saboteur" && cp "$top_builddir/t/lib/saboteur" "$T/.private/saboteur/fusermount3"
# sabotage NAME HOW: mounts as NAME, with a descriptor that is worked on.
sabotage() { as_user "$1" env PATH="$T/.private/saboteur:$PATH" SABOTEUR="$2" imagefs mount "$STORE" "$T/$1/mnt"; }
# made NAME: alice makes an image of this name.
made() { alice timeout 20 mkdir "$A/$1"; }
# All threads of the daemon wait for something.
daemon_sleeps() {
	local state
	state=$(ps -L -o stat= -p "$(store_daemon_pid)") && ! grep -q R <<<"$state"
}
mounts_of() { imagefs status "$STORE" --json | jq "[.mount[]? | select(.uid == \"$1\" or .uid == $1)] | length"; }

begin 'read() that sleeps'
ok 'bob mounts, and has read() sleep' sabotage bob sleep
ok 'he uses his mount' bob timeout 60 bash -c 'for i in {1..40}; do stat "$1/ap-beijing/custom/none$i" & done >/dev/null 2>&1; wait; true' _ "$B"
for i in 1 2 3; do ok "alice goes on ($i)" made "while-$i"; done
ok 'bob, too' bob timeout 20 ls "$B/ap-beijing"
kill -9 "$(store_daemon_pid)"
ok 'also with the next daemon' made 'next'
ok 'which serves bob as well' bob timeout 20 ls "$B/ap-beijing"
pkill -u "$(user_id bob)" -x fusermount3
ok 'bob unmounts' bob imagefs umount "$B"

begin 'an INIT that somebody else answered'
fails 'such a mount is refused' 'INIT' sabotage carol init
ok 'nobody works on it' wait_until 10 daemon_sleeps
is 'it is not served' "$(mounts_of "$(user_id carol)")" 0
ok 'alice goes on' made 'init'
kill -9 "$(store_daemon_pid)"
ok 'also with the next daemon' made 'init-next'
ok 'which does not work on it either' wait_until 10 daemon_sleeps
pkill -u "$(user_id carol)" -x fusermount3
umount -l "$T/carol/mnt" 2>/dev/null
ok 'carol mounts as others do' as_user carol imagefs mount "$STORE" "$T/carol/mnt"
ok 'and is served' as_user carol ls "$T/carol/mnt/ap-beijing"

begin 'poll() that sleeps'
cp "$top_builddir/t/lib/saboteur" "$T/.private/bin/"
bob saboteur "$STORE" 8 >"$T/said" 2>&1 &
crowd=$!
ok 'bob asks with descriptors that are not mounted' wait_until 20 grep -q . "$T/said"
if grep -q asked "$T/said"; then
	ok 'and is answered' wait_until 25 grep -q answered "$T/said"
	is 'on all connections' "$(sed -n 2p "$T/said")" 'answered 8'
else
	wait "$crowd"
	is 'this kernel has no such descriptors' "$?" 77
fi
ok 'alice is served' alice timeout 20 imagefs account show "$STORE"
pkill -u "$(user_id bob)" -x saboteur
wait "$crowd" 2>/dev/null
ok 'so is bob' wait_until 5 bob timeout 20 imagefs account show "$STORE"

begin 'where the daemon may not open /dev/fuse'
chown 0:"$(user_id bob)" /dev/fuse && chmod 660 /dev/fuse
fails 'a user is told what is missing' 'may not open /dev/fuse (its mode is 0660)' bob imagefs mount "$STORE" "$B"
is 'nothing is left mounted' "$(left_mounts | grep -c "$B\$")" 0
imagefs account add "$STORE" root --uid 0 || flunk 'an account for root' 'failed'
mkdir "$T/mnt"
test_mounts+=("$T/mnt")
ok 'root mounts' imagefs mount "$STORE" "$T/mnt"
ok 'and is served' test -d "$T/mnt/ap-beijing/custom"
kill -9 "$(store_daemon_pid)"
ok 'by the next daemon, too' test -d "$T/mnt/ap-guangzhou/custom"
ok 'so are those who mounted before' made 'closed'
imagefs umount "$T/mnt"
chown 0:0 /dev/fuse && chmod 666 /dev/fuse

alice imagefs umount "$T/alice/mnt"
as_user carol imagefs umount "$T/carol/mnt"
kill "$server"
wait "$server"
is 'the daemon ends in order' "$?" 0
done_testing
