#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Several programs write one disk at the same time, each closing when it likes: in the end all of it is there,
# stored, and copied.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
begin 'parallel writers'
data_store

make_disk "$T/a.img" 8 5 1
a=$T/a.img

# writer NAME PART: two MiB, in pieces of 256 KiB, each by a program of its own, which may be told at its close that the disk is not
# whole yet
writer() {
	local piece
	for piece in 5 2 0 7 3 1 6 4; do
		dd if="$a" of="$C/$1/x" bs=256k skip=$(($2 * 8 + piece)) seek=$(($2 * 8 + piece)) count=1 conv=notrunc status=none 2>"$T/said.$2" ||
			grep -q 'Invalid argument' "$T/said.$2" || echo "$1 $2 $piece: $(cat "$T/said.$2")" >>"$T/failed"
	done
}

for round in {1..24}; do
	image "p$round"
	for part in 0 1 2 3; do
		writer "p$round" "$part" &
	done
	wait
	cp -r "$C/p$round" "$C2/" || echo "$round cannot be copied" >>"$T/failed"
	cmp "$C2/p$round/disk" "$a" >>"$T/failed" 2>&1
	cmp "$C/p$round/disk" "$a" >>"$T/failed" 2>&1
done
ok 'nothing failed, nothing is wrong' test ! -s "$T/failed"
import whole "$a"
is 'what is stored is the same everywhere' "$(for i in "$C"/*/ "$C2"/*/; do status_of "${i%/}" digest; done | sort -u)" "$(status_of whole digest)"

begin 'one file, many children'
image children
exec 3>"$C/children/x"
for part in 0 1 2 3; do
	dd if="$a" bs=2M skip="$part" count=1 status=none >&3
	(true) 3>&3 &
	(exec 3>&-) &
done
wait
exec 3>&-
holds 'early closes by the side do no harm' children "$a"

done_testing
