#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A hundred servers of one image, started by a loop and written all at the same time: none sees another's bytes.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
begin 'a hundred'
instance_store
MANY=${IMAGEFS_TEST_INSTANCES:-100}

noise "$T/a.img" $((12 << 20))
a=$T/a.img
import base "$a"
imagefs gc "$STORE" >/dev/null
packs=$(pack_bytes)

begin 'a loop'
start_all() {
	local n
	for ((n = 1; n <= MANY; n++)); do
		mkdir "$I/vm$n" && ln -s ../../custom/base "$I/vm$n/image" || return
	done
}
ok "$MANY servers are started" start_all
is 'there they are' "$(ls "$I" | wc -l)" "$MANY"
ok "which stores nothing ($(($(pack_bytes) - packs)) bytes)" test $(($(pack_bytes) - packs)) -lt 100000

# mark N FILE: what is different in server N: a text all over, and a megabyte of noise of its own
mark() {
	local at
	for at in 0 100000 65530 3000000 7777777 12582900; do
		printf 'server %04d' "$1" | dd of="$2" bs=64 oflag=seek_bytes seek="$at" conv=notrunc status=none || return
	done
	dd if="$T/noise" bs=65536 skip="$1" count=2 2>/dev/null | dd of="$2" bs=64K seek=$((20 + $1)) conv=notrunc status=none
}
noise "$T/noise" $(((MANY + 2) * 65536))

begin 'all at the same time'
pids=()
for ((n = 1; n <= MANY; n++)); do
	mark "$n" "$I/vm$n/disk" &
	pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do
	wait "$pid" || failed=$((failed + 1))
done
is 'all of them have written' "$failed" 0

check_all() {
	local n wrong=
	for ((n = 1; n <= MANY; n++)); do
		cp "$a" "$T/model"
		mark "$n" "$T/model"
		cmp -s "$T/model" "$1$n/disk" || wrong+=" $n"
	done
	printf '%s' "$wrong"
}
is 'each has its own bytes, and no others' "$(check_all "$I/vm")" ''
ok 'the image has none of them' same "$a" "$C/base/disk"

begin 'images of all of them, at the same time'
pids=()
for ((n = 1; n <= MANY; n++)); do
	cp -r "$I/vm$n" "$C/backup$n" &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid" || failed=$((failed + 1))
done
is 'all of them are made' "$failed" 0
is 'each of its own' "$(check_all "$C/backup")" ''
imagefs gc "$STORE" >/dev/null
grown=$((($(pack_bytes) - packs) / MANY))
ok "each cost what was changed ($grown bytes for 131 thousand and six edges)" test "$grown" -lt $((9 * 65536 + 40000))

begin 'all are destroyed'
ok 'rm -r' rm -r "$I"/vm*
is 'none is left' "$(ls "$I" | wc -l)" 0
is 'their images are' "$(check_all "$C/backup")" ''

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
