#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files of the overlay folder are lost or cut off: that is damage, said by whoever reads and by imagefs check, and never zeros.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
begin 'lost files'
instance_store
noise "$T/base.img" 4194304
truncate -s 32M "$T/base.img"
import base "$T/base.img"
O=$STORE/overlay
put() { head -c 8192 /dev/urandom | dd of="$1" bs=4k seek=2000 conv=notrunc,fsync status=none; }
for v in lost empty short bitless torn whole; do
	cp -r "$C/base" "$I/$v"
	put "$I/$v/disk"
done
# overlay_of INSTANCE: the path of its files; those that are there now are known
declare -A files
for v in lost empty short bitless torn whole; do
	before=$(ls "$O")
	dd if=/dev/zero of="$I/$v/disk" bs=4k count=1 conv=notrunc,fsync status=none
	n=$(stat -c '%Y.%y %n' "$O"/*.data | sort | tail -n 1)
	files[$v]=${n##* }
	files[$v]=${files[$v]%.data}
done
is 'each has its own' "$(printf '%s\n' "${files[@]}" | sort -u | wc -l)" 6
ok 'nothing is wrong' imagefs check --read-data "$STORE"
fileop copy "$C/base/disk" 0 "$I/torn/disk" 8388608 4194304 >"$T/copied" # noted beside the disk
ok 'what was copied is noted' test -s "${files[torn]}.splice"
umount_store

begin 'while nobody serves'
cp "${files[lost]}.data" "$T/kept"
rm "${files[lost]}.data" "${files[bitless]}.bits"
truncate -s 0 "${files[empty]}.data"
truncate -s 4096 "${files[short]}.data"
printf '\377' | dd of="${files[torn]}.splice" bs=1 seek=20 conv=notrunc status=none
declare -A hurt=([lost]=data [empty]=data [short]=data [bitless]=bits [torn]=splice)
imagefs check "$STORE" >"$T/said" 2>&1
for v in "${!hurt[@]}"; do
	ok "check says what is damaged of $v" grep -q "instances/$v: .*${files[$v]##*/}.${hurt[$v]}" "$T/said"
done
is 'and nothing about one that is whole' "$(grep -c instances/whole "$T/said")" 0
mount_store
for v in "${!hurt[@]}"; do
	refused "$v cannot be read" EIO "overlay/${files[$v]##*/}.${hurt[$v]} .*put the file back" cat "$I/$v/disk"
done
ok 'the others can' cat "$I/whole/disk"
ok 'what must exist is not made' absent "${files[lost]}.data" "${files[bitless]}.bits"
cp -p "$T/kept" "${files[lost]}.data"
ok 'the file is put back, and the disk is whole' cat "$I/lost/disk"

begin 'while it is open'
exec 3<"$I/whole/disk"
rm "${files[whole]}.data"
fails 'check sees a file that went from under an open disk' "${files[whole]##*/}.data" bash -c "imagefs check '$STORE' >&2"
exec 3<&-
umount_store
done_testing
