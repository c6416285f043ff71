#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a disk takes in the store: bytes that it has many times are there once, and du says so; a large disk is closed as fast as a small one.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
begin 'repeats'
data_store

noise "$T/noise" $((1 << 20))
for ((n = 0; n < 40; n++)); do
	cat "$T/noise"
done >"$T/a.img"
import repeats "$T/a.img"
taken() {
	status_of "$1" stored
}
ok "40 times the same MiB take one ($(taken repeats) bytes)" test "$(taken repeats)" -lt 1200000
ok 'and not nothing' test "$(taken repeats)" -gt 1000000
is 'du says the same' "$((($(stat -c %b "$C/repeats/disk") * 512 + 511) / 512))" "$((($(taken repeats) + 511) / 512))"

begin 'a disk of 4 TiB that is full of them'
image large
from=$C/repeats/disk
size=$(stat -c %s "$from")
fileop copy "$from" 0 "$C/large/x" 0 "$size" >/dev/null
exec 8<>"$C/large/disk"
grow() {
	local at=$size
	while [ "$at" -lt $((4 << 40)) ]; do
		fileop copy "$C/repeats/disk" 0 "$C/large/disk" "$at" "$size" >/dev/null || return
		at=$((at * 8))
	done
}
ok 'it becomes large' grow
exec 8>&-
ok 'is available' has_state large available
ok "and takes little ($(taken large) bytes)" test "$(taken large)" -lt 5000000

begin 'more than one close counts'
noise "$T/b.img" $((24 << 20))
import one "$T/b.img"
before=$(taken one)
ok 'all of it is counted' test "$before" -gt $((24 << 20))

done_testing
