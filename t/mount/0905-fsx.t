#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Random operations on the disk of an instance, against a model: fsx (t/lib/fsx.c), and fio with checksums.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
need fio
begin 'random operations'
instance_store
seed=${IMAGEFS_TEST_SEED:-$RANDOM}
count=${IMAGEFS_TEST_STEPS:-2500}
diag "IMAGEFS_TEST_SEED=$seed"

make_disk "$T/a.img" 6 4 1
import web "$T/a.img"
cp -r "$C/web" "$C/other"

begin 'fsx'
for n in 1 2; do
	cp -r "$C/web" "$I/v$n"
	ok "$count operations, seed $((seed + n))" fsx -s $((seed + n)) -n "$count" -c "$C/other/disk" "$I/v$n/disk"
done
holds 'the image has nothing of it' web "$T/a.img"
sums=$(cat "$I"/v[12]/disk | sha256sum)
umount_store
mount_store
is 'after a restart it is the same' "$(cat "$I"/v[12]/disk | sha256sum)" "$sums"
ok "the same file goes on, seed $((seed + 3))" fsx -s $((seed + 3)) -n $((count / 2)) "$I/v1/disk"

begin 'fsx, while images are made and space is collected'
cp -r "$C/web" "$I/busy"
fsx -s $((seed + 4)) -n "$count" -c "$C/other/disk" "$I/busy/disk" >"$T/fsx" 2>&1 &
pid=$!
copies=0
while kill -0 "$pid" 2>/dev/null; do
	copies=$((copies + 1))
	cp -r "$I/busy" "$C/copy$copies" || echo "copy $copies"
	[ $((copies % 4)) -ne 2 ] || imagefs gc "$STORE" >/dev/null || echo "gc $copies"
	[ "$copies" -lt 4 ] || rm -r "$C/copy$((copies - 3))"
done >"$T/failed" 2>&1
is 'copies and gc succeed' "$(cat "$T/failed")" ''
ok "fsx noticed nothing of $copies copies" wait "$pid"
diag "$(cat "$T/fsx")"
cp -r "$I/busy" "$C/last"
ok 'an image of what it left' same "$I/busy/disk" "$C/last/disk"

begin 'fio with checksums'
for jobs in 1 4; do
	cp -r "$C/web" "$I/fio$jobs"
	truncate -s 32M "$I/fio$jobs/disk"
	for engine in 'psync --direct=0' 'libaio --direct=1 --iodepth=8'; do
		# shellcheck disable=SC2086 # options
		ok "randrw, $jobs jobs, ${engine%% *}" fio --name=verify --filename="$I/fio$jobs/disk" --size=$((32 / jobs))M \
			--offset_increment=$((32 / jobs))M --numjobs="$jobs" --rw=randrw --bsrange=512-64k --blockalign=512 \
			--verify=crc32c --verify_fatal=1 --verify_state_save=0 --randseed="$seed" --ioengine=$engine --output="$T/fio"
	done
done

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
