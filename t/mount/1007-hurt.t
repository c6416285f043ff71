#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Which of my images are hurt? .status and .list tell it once somebody has read the damage, over restarts, until the bytes are healed.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
begin 'a damaged image'
instance_store
noise "$T/a.img" $((3 << 20))
noise "$T/b.img" $((3 << 20))
import a "$T/a.img"
import b "$T/b.img"

# health NAME: the column of .list, found by its name as a script would
health() {
	awk -F '\t' -v name="$1" '
		NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
		$at["name"] == name { print $at["health"] }' "$M/.list"
}
is 'an image that nobody has trouble with is ok' "$(health a)" ok
is 'its .status says nothing of damage' "$(status_of a damaged)" ''

umount_store
pack=$(find "$STORE/pool" -name 'pack-*' -size +2M | sort | head -n 1)
chmod u+w "$pack"
printf 'not what was there' | dd of="$pack" bs=1 seek=1500000 conv=notrunc status=none
mount_store
fails 'the damage is met by who reads' 'Input/output error' cmp "$C/a/disk" "$T/a.img"
is '.list tells which image is hurt' "$(health a)" damaged
is 'and which is not' "$(health b)" ok
like '.status tells where, since when, and what heals it' "$(status_of a damaged)" \
	'^at byte [0-9]+, found 20.*; upload the same image again, under any name, and it is healed$'
at=$(status_of a damaged | sed 's/^at byte \([0-9]*\),.*/\1/')
fails 'just there it cannot be read' 'Input/output error' dd if="$C/a/disk" bs=64K skip=$((at / 65536)) count=1 of=/dev/null
ok 'and before that it can' cmp -n "$at" "$C/a/disk" "$T/a.img"
umount_store
mount_store
is '.list still knows it after a restart' "$(health a)" damaged

begin 'a server that was started from it'
cp -r "$C/a" "$I/v"
is 'nobody has read the damage there yet' "$(health v)" ok
fails 'its reader meets it' 'Input/output error' cmp "$I/v/disk" "$T/a.img"
is '.list tells it of the server, too' "$(health v)" damaged

begin 'the bytes come again'
import again "$T/a.img"
ok 'the image can be read' cmp "$C/a/disk" "$T/a.img"
healed() {
	[ "$(health a) $(health v)" = 'ok ok' ]
}
ok '.list tells that it is healed' wait_until 30 healed
is '.status says no more of damage' "$(status_of a damaged)" ''

begin 'damage that nobody has met'
umount_store
pack=$(find "$STORE/pool" -name 'pack-*' -size +2M | sort | sed -n 2p)
chmod u+w "$pack"
printf 'not what was there' | dd of="$pack" bs=1 seek=1500000 conv=notrunc status=none
mount_store
is 'nobody knows of it' "$(health b)" ok
run imagefs check --read-data "$STORE"
is 'check finds it' "$status" 5
is 'and whose it is' "$(health b)" damaged
cp -r "$C/b" "$I/w"
run imagefs check "$STORE"
is 'a check that reads no data knows by then who else has it' "$(health w)" damaged
umount_store
mv "$pack" "$T/pack"
mount_store
run imagefs check "$STORE"
is 'a pack that is gone is found without reading' "$status" 5
imagefs gc "$STORE" >/dev/null
is 'what was in it is not taken for healed' "$(health b) $(health w)" 'damaged damaged'

done_testing
