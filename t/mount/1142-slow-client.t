#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A client that asks for the status and never reads it holds up nobody: mounts that end meanwhile are gone at once.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq fusermount3

new_store
imagefs serve "$STORE" 2>"$T/log" &
server=$!
is_served() { [ -n "$(store_daemon_pid)" ]; }
ok 'it is served' wait_until 10 is_served
# More than a socket takes of lines that nobody reads, which name folders of 3000 bytes.
part=$(printf 'x%.0s' {1..240})
deep=$T/deep
for _ in {1..12}; do deep+=/$part; done
for i in {1..60}; do
	mkdir -p "$deep/$i" && imagefs mount "$STORE" "$deep/$i" || flunk "mount $i" 'failed'
done
mount_store
is 'there are many mounts' "$(imagefs status "$STORE" --json | jq '.mounts')" 61
cp "$top_builddir/t/lib/saboteur" "$T/.private/bin/"
saboteur "$STORE" slow >"$T/said" &
client=$!
wait_until 10 grep -q asked "$T/said"
# The thread that answers it waits for it to read.
waits() { grep -q sock_alloc_send_pskb /proc/"$(store_daemon_pid)"/task/*/wchan; }
ok 'a client asks for the status, and does not read it' wait_until 10 waits
umount_store
ok 'a mount that ends is gone' wait_until 1 grep -q "at $M is gone" "$T/log"
ok 'while that client still waits' waits
kill "$client"
wait "$client" 2>/dev/null
for i in {1..60}; do
	umount "$deep/$i" || flunk "umount $i" 'failed'
done
kill "$server"
wait "$server"
is 'the daemon ends in order' "$?" 0
done_testing
