#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# copy_file_range with any offsets and lengths does what reading and writing would do.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
begin 'copy_file_range'
data_store

seed=${IMAGEFS_TEST_SEED:-$RANDOM}
diag "IMAGEFS_TEST_SEED=$seed"
make_disk "$T/a.img" 6 4 5
a=$T/a.img
size=$(stat -c %s "$a")
import from "$a"
from=$C/from/disk
cat "$from" >/dev/null

# copies FROM_OFFSET TO_OFFSET LENGTH: into an empty disk, which then ends where it should
copies() {
	local want=$(($1 >= size ? 0 : $1 + $3 > size ? size - $1 : $3))
	image "to-$1-$2-$3"
	is "copy of $3 bytes from $1 to $2" "$(fileop copy "$from" "$1" "$C/to-$1-$2-$3/x" "$2" "$3")" "$want"
	: >"$T/model"
	fileop copy "$a" "$1" "$T/model" "$2" "$3" >/dev/null
	ok "is right" same "$T/model" "$C/to-$1-$2-$3"/*
}

copies 0 0 "$size"
copies 0 0 1
copies 1 0 100000
copies 0 1 100000
copies 65536 0 131072
copies 65535 65537 131073
copies 1000 66536 3000000
copies 2097152 7000000 65536
copies $((size - 1)) 0 1
copies $((size - 1000)) 3 5000
copies "$size" 0 100
copies 511 131583 4000000

begin 'over what is there'
image over
cp "$a" "$C/over/x"
cp "$a" "$T/model"
for range in '0 4000000 2000000' '1000000 3999999 500001' '3 5 3000000' '65536 131072 2000000'; do
	read -r in out length <<<"$range"
	fileop copy "$from" "$in" "$C/over/x" "$out" "$length" >/dev/null
	fileop copy "$a" "$in" "$T/model" "$out" "$length" >/dev/null
done
ok 'ranges over each other' same "$T/model" "$C/over/disk"

begin 'random'
for n in 1 2 3; do
	image "random$n"
	ok "200 copies and writes, seed $((seed + n))" fileop copy-fuzz "$from" "$C/random$n/x" "$T/model" $((seed + n)) 200
	ok 'are right' same "$T/model" "$C/random$n"/[xd]*
done

begin 'inside one disk'
image self
head -c 5M "$a" >"$C/self/x"
head -c 5M "$a" >"$T/model"
is 'a copy inside a disk that is being written' "$(fileop copy "$C/self/x" 0 "$C/self/x" 3000000 1000000)" 1000000
fileop copy "$T/model" 0 "$T/model" 3000000 1000000 >/dev/null
ok 'is right' same "$T/model" "$C/self/x"

begin 'after a restart'
digests=$(for n in 1 2 3; do sha256sum <"$(ls -d "$C/random$n"/[xd]*)"; done)
umount_store
mount_store
is 'the same bytes' "$(for n in 1 2 3; do sha256sum <"$(ls -d "$C/random$n"/[xd]*)"; done)" "$digests"
ok 'everything is in order' imagefs check --read-data "$STORE"

done_testing
