#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A hundred servers of one image read all of it, in requests of all sizes, some at the same time, and write a little: nothing is
# read twice from the pool for them. What the pool was asked for is in .metrics.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
begin 'read once'
instance_store
MANY=${IMAGEFS_TEST_INSTANCES:-100}

size=$((48 << 20))
noise "$T/a.img" $size
import base "$T/a.img"
start_all() {
	local n
	for ((n = 1; n <= MANY; n++)); do
		mkdir "$I/vm$n" && ln -s ../../custom/base "$I/vm$n/image" || return
	done
}
ok "$MANY servers are started" start_all
objects=$(metric objects)
ok "the image has $objects chunks and map nodes" test "$objects" -gt $((size / 65536))

block_sizes=(4k 64k 100k 256k 1M 4M)
# read_one DISK N [direct]: all of it; another size of request for each N
read_one() {
	dd if="$1" bs="${block_sizes[$2 % ${#block_sizes[@]}]}" ${3:+iflag="$3"} status=none | cmp -s - "$T/a.img"
}
read_counts() { echo "$(($(metric pool_reads_total) - reads)) reads of $objects objects"; }

begin 'together'
# Four times twenty at once; the others one after another, with and without the kernel's cache, and the image itself.
reads=$(metric pool_reads_total)
n=1
wrong=0
while [ $n -le $((MANY * 4 / 5)) ]; do
	pids=()
	for ((i = 0; i < MANY / 5; i++)); do
		read_one "$I/vm$n/disk" $n &
		pids+=($!)
		n=$((n + 1))
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || wrong=$((wrong + 1))
	done
done
is 'those who read at the same time get the right bytes' "$wrong" 0
ok "nothing was read twice for them: $(read_counts)" test $(($(metric pool_reads_total) - reads)) -le "$objects"

begin 'one after another'
while [ $n -le "$MANY" ]; do
	read_one "$I/vm$n/disk" $n "$([ $((n % 2)) = 0 ] && echo direct)" || wrong=$((wrong + 1))
	n=$((n + 1))
done
read_one "$C/base/disk" 4 || wrong=$((wrong + 1))
is 'all others too, and the image' "$wrong" 0
ok "nothing was read twice: $(read_counts)" test $(($(metric pool_reads_total) - reads)) -le "$objects"
ok 'what was read is what is stored' test "$(metric pool_read_bytes_total)" -le "$(metric pack_bytes)"

begin 'and written'
# Edges of chunks, so that what lies below them has to be read as well.
write_all() {
	local n at
	for ((n = 1; n <= MANY; n++)); do
		for at in 100 $((n * 65536 - 50)) $((size - 1000)); do
			try_write "$I/vm$n/disk" "$at" "server $n" || return
		done
	done
}
ok 'all are written to' write_all
ok 'each has what it wrote' test "$(bytes_at "$I/vm$MANY/disk" 100 $((7 + ${#MANY})))" = "server $MANY"
cat "$I"/vm?/disk >/dev/null
ok "that read nothing twice either: $(read_counts)" test $(($(metric pool_reads_total) - reads)) -le "$objects"

memory=$(awk '/^RssAnon/ { print $2 }' "/proc/$(store_daemon_pid)/status")
limit=256
! grep -q __asan_init "$IMAGEFS_BIN" || limit=1024 # the address sanitizer keeps what was freed
ok "the daemon has $((memory >> 10)) MiB of memory: less than $limit" test "$memory" -lt $((limit << 10))
done_testing
