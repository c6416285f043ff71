#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
# A user who steals requests of his own mount and never answers them: the kernel then holds a folder's lock there, and whoever tells
# it of a change hangs, be it one by a colleague. Nobody else notices: changes show, the daemon ends, the store is served again.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq fusermount3

service=61010
install -d -o $service -g $service -m 711 "$T/lib"
STORE=$T/lib/main
for name in alice bob carol; do
	install -d -o "$(user_id $name)" -m 755 "$T/$name" "$T/$name/mnt" "$T/$name/mnt2"
done
test_mounts+=("$T/alice/mnt" "$T/alice/mnt2")
alice() { as_user alice "$@"; }
A=$T/alice/mnt
ok 'a store' as_user $service imagefs init "$STORE" --account admin
# One account: what one of them does is told to the others.
imagefs account add "$STORE" team --uid alice --uid bob --uid carol || exit 99
serve() {
	setpriv --reuid $service --regid $service --clear-groups --inh-caps=-all imagefs serve "$STORE" 2>>"$T/log" &
	server=$!
	ok 'it is served' wait_until 10 is_served
}
is_served() { [ -n "$(store_daemon_pid)" ]; }
serve
ok 'alice mounts' alice imagefs mount "$STORE" "$A"
ok 'twice' alice imagefs mount "$STORE" "${A}2"
alice ls -la "$A/ap-beijing/custom" "${A}2/ap-beijing/custom" >/dev/null

begin 'the thief'
mkdir "$T/.private/thief" && cp "$top_builddir/t/lib/thief" "$T/.private/thief/fusermount3"
# steals NAME DIR: mounts as NAME, and hangs.
steals() {
	local at=$T/$1/$2
	ok "$1 mounts" as_user "$1" env PATH="$T/.private/thief:$PATH" THIEF_DIR=ap-beijing/custom THIEF_DONE="$T/$1/done-$2" \
		imagefs mount "$STORE" "$at"
	ok 'and steals a request' wait_until 20 test -e "$T/$1/done-$2"
}
hangs() { ps -o stat= -C imagefs-notify | grep -q D; }
steals bob mnt
ok 'alice makes an image' alice mkdir "$A/ap-beijing/custom/web"
ok 'who tells bob hangs' wait_until 10 hangs

begin 'nobody else notices'
for i in 1 2 3; do
	ok 'alice makes an image' alice mkdir "$A/ap-beijing/custom/i$i"
	ok 'and sees it in her other mount' wait_until 3 alice test -d "${A}2/ap-beijing/custom/i$i"
	alice rmdir "${A}2/ap-beijing/custom/i$i"
	ok 'it goes in both' wait_until 3 alice test ! -e "$A/ap-beijing/custom/i$i"
done
steals carol mnt
# More than the ring takes (some 13000 notes), so that what is not told to bob and carol is dropped and not kept. Each of these is 4.
ok 'many changes' alice bash -c 'cd "$1" && for i in {1..2000}; do mkdir "many$i" && rmdir "many$i" || exit 1; done' _ "$A/ap-beijing/custom"
ok 'show all the same' wait_until 3 alice bash -c '[ "$(ls "$1" | grep -v ^stolen-)" = web ]' _ "${A}2/ap-beijing/custom"
daemon=$(imagefs status "$STORE" --json | jq '.["daemon-pid"]')
kill -9 "$daemon"
ok 'the daemon is replaced when it dies' alice bash -c 'mkdir "$1/new" && rmdir "$1/new"' _ "$A/ap-beijing/custom"
# The next daemon is sent what was stolen, and answers it.
steals bob mnt2
ok 'alice makes an image' alice mkdir "$A/ap-beijing/custom/again"
ok 'who tells bob hangs' wait_until 10 hangs

begin 'the end'
alice imagefs umount "$A" && alice imagefs umount "${A}2" || flunk 'alice unmounts' 'failed'
kill "$server"
ended() { ! kill -0 "$server" 2>/dev/null; }
ok 'the daemon ends' wait_until 30 ended
wait "$server"
is 'in order' "$?" 0
ok 'while they hang' hangs
serve
ok 'the store is served again' alice imagefs mount "$STORE" "$A"
ok 'by who does not know them' alice mkdir "$A/ap-beijing/custom/after"
alice imagefs umount "$A"
kill "$server"
wait "$server"
is 'ends in order' "$?" 0

for at in bob/mnt bob/mnt2 carol/mnt; do
	umount -f "$T/$at"
	umount -l "$T/$at" 2>/dev/null
done
pkill -u "$(user_id bob)" -x fusermount3
pkill -u "$(user_id carol)" -x fusermount3
ok 'root ends them by umount -f' wait_until 10 nothing_left
done_testing
