#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A disk whose files cannot be opened for a long time keeps nobody from opening another one. The medium that is slow is the
# mount of another store, whose daemon is stopped.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
need_root
begin 'a slow medium'
instance_store
noise "$T/a.img" $((1 << 20))
import base "$T/a.img"
import other "$T/a.img"
cp -r "$C/base" "$I/slow"
ok 'a server writes' try_write "$I/slow/disk" 5000 written
sync "$I/slow/disk"
umount_store
bits=$(echo "$STORE"/overlay/*.bits)
ok 'it has an overlay' test -f "$bits"

begin 'the other store'
(
	STORE=$T/second
	imagefs init "$STORE" && mkdir "$T/m2" && imagefs mount "$STORE" "$T/m2"
) >/dev/null
test_mounts+=("$T/m2")
second=$(imagefs status "$T/second" --json | jq -r '."daemon-pid"')
mkdir "$T/m2/ap-beijing/custom/held"
cp "$bits" "$T/bits"
cp "$bits" "$T/m2/ap-beijing/custom/held/.bits"
rm "$bits"
ln -s "$T/m2/ap-beijing/custom/held/.bits" "$bits"

mount_store
kill -STOP "$second"
cat "$I/slow/disk" >"$T/slow" 2>/dev/null &
reader=$!
waits() {
	grep -q request_wait_answer "/proc/$reader/stack"
}
ok 'a reader of the slow disk waits' wait_until 30 waits
cmp "$T/a.img" "$C/other/disk" && touch "$T/same" &
other=$!
ok 'another disk is opened and read meanwhile' wait_until 10 test -e "$T/same"
ok 'the first one still waits' waits
kill -CONT "$second"
wait "$other"
wait "$reader"
rm "$bits"
cp "$T/bits" "$bits"
ok 'when its files are there again, the slow one is read' wait_until 30 test "$(bytes_at "$I/slow/disk" 5000 7)" = written

done_testing
