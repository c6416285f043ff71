#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A damaged chunk must not spoil later uploads of the same bytes: they are stored anew, and heal it for everybody.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
begin 'a damaged chunk'
data_store

noise "$T/a.img" $((3 << 20))
noise "$T/b.img" $((3 << 20))
noise "$T/c.img" $((3 << 20))

# spoil N: one byte in the middle of the Nth pack, in order of their making, which has nothing but noise
spoil() {
	local pack byte at=1000000
	pack=$(find "$STORE/pool" -name 'pack-*' -size +2M -printf '%f %p\n' | sort | sed -n "$1p" | cut -d' ' -f2)
	chmod u+w "$pack"
	byte=$(od -An -tu1 -j "$at" -N 1 "$pack")
	# shellcheck disable=SC2059 # an octal escape
	printf "\\$(printf %o $((byte ^ 16)))" | dd of="$pack" bs=1 seek="$at" conv=notrunc status=none
}

import a "$T/a.img"
import b "$T/b.img"
import c "$T/c.img"
umount_store
spoil 1
spoil 2
spoil 3
mount_store

begin 'known to be damaged: it was read'
fails 'the damaged image cannot be read' 'Input/output error' cmp "$C/a/disk" "$T/a.img"
like 'and .why says what heals it' "$(last_why)" 'EIO.*damage.*Upload the same image once more'
import a2 "$T/a.img"
holds 'an upload of the same bytes is stored anew' a2 "$T/a.img"
holds 'and has healed the one that was damaged' a "$T/a.img"

begin 'known to be damaged, before the daemon was killed'
fails 'the second cannot be read' 'Input/output error' cmp "$C/b/disk" "$T/b.img"
umount_store
run imagefs check "$STORE"
like 'check knows of it without reading all data' "$status $(cat "$T/.out")" '^5 .*custom/b: chunk [0-9]+ .*damaged'
mount_store
import b2 "$T/b.img"
holds 'an upload after a restart is stored anew' b2 "$T/b.img"
holds 'and has healed it' b "$T/b.img"

begin 'not known to be damaged'
sum=$(sha256sum "$T/c.img" | cut -d' ' -f1)
ok 'an import with a sum is taken' imagefs import --sha256 "$sum" "$T/c.img" "$C/c2"
umount_store
mount_store
holds 'and did not count on what nobody could read' c2 "$T/c.img"
holds 'and has healed what had the same bytes' c "$T/c.img"
image c3
echo "$sum" >"$C/c3/sha256"
ok 'the same by files' cp "$T/c.img" "$C/c3/"

umount_store
ok 'nothing in use is damaged any more' imagefs gc "$STORE"
ok 'and check agrees' imagefs check --read-data "$STORE"
done_testing
