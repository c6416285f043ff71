#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A catalog that has no room: every answer is ENOSPC and says so, retries leave nothing in the pool, and when there is room again, or
# something was deleted, everything works without a restart.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need_root
need jq
new_store
mkdir "$T/small"
mount -t tmpfs -o size=3M tmpfs "$T/small"
cp -a "$STORE/catalog/." "$T/small/"
mount --bind "$T/small" "$STORE/catalog"
chmod 700 "$STORE/catalog"
mount_store
echo 'images-per-region 100000' >"$M/.policy"
make_disk "$T/a.img" 4 1 1
make_disk "$T/b.img" 32 12 2
import first "$T/a.img"
packs() { find "$STORE/pool" -name 'pack-*' | wc -l; }
rows() { imagefs status --json "$STORE" | jq .packs; }

begin 'until it is full'
image second
while echo "$RANDOM" | cat - /dev/zero | head -c 200 | tr '\0' x >"$C/second/description" 2>/dev/null; do
	dd if=/dev/zero of="$T/small/filler" bs=64k count=1 oflag=append conv=notrunc status=none 2>/dev/null || break
done
# fill: until a few in a row have failed
n=0
fill() {
	local failed=0
	while [ $failed -lt 5 ] && [ $n -lt 9000 ]; do
		n=$((n + 1))
		if mkdir "$C/x$n" 2>"$T/said"; then failed=0; else failed=$((failed + 1)); fi
	done
}
fill
like 'mkdir says so' "$(cat "$T/said")" 'No space left'
like 'in words' "$(last_why)" 'ENOSPC'

begin 'uploads'
refused=0
for try in $(seq 30); do
	[ $refused -lt 12 ] || break
	if cp "$T/b.img" "$C/second/disk" 2>"$T/said"; then
		: >"$C/second/disk" # there was just enough: once more
		fill
		continue
	fi
	refused=$((refused + 1))
	grep -q 'No space left' "$T/said" || cat "$T/said" >>"$T/wrong"
done
is 'twelve are refused' $refused 12
quiet 'each for want of room' "$T/wrong"
ok 'no pack is left behind' wait_until 5 bash -c '[ "$(find "$1/pool" -name "pack-*" | wc -l)" = "$(imagefs status --json "$1" | jq .packs)" ]' _ "$STORE"
diag "$(packs) packs, $(rows) rows"

begin 'a way out'
rm "$T/small/filler"
ok 'when there is room the upload works' cp "$T/b.img" "$C/second/disk"
holds 'with its bytes' second "$T/b.img"
ok 'deleting works' bash -c 'rmdir "$1"/x*' _ "$C"
is 'every pack in the pool is known' "$(packs)" "$(rows)"
ok 'nothing is wrong' imagefs check --read-data "$STORE"
umount_store
wait_until 10 umount "$STORE/catalog"
umount "$T/small"
done_testing
