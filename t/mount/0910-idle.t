#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What was written to a server that is quiet now becomes chunks: deduplicated, compressed, and made by nobody but the thread that runs
# on idle processors. Quiet is what was not written to for a minute: here the overlay's files are made as old as that.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
begin 'idle'
instance_store

noise "$T/a.img" $((16 << 20))
truncate -s 32M "$T/a.img"
import base "$T/a.img"
start() { mkdir "$I/$1" && ln -s ../../custom/base "$I/$1/image"; }
for n in 1 2 3 4 5; do
	start "vm$n"
done
base_stored=$(status_of base stored)

# 8 MiB that shrink, and in each chunk a block that is not written: no chunk becomes full, so none is made while it is written.
blocks=$((8 << 20 >> 12))
noise "$T/noise" $((8 << 20))
base64 -w0 <"$T/noise" | head -c $((8 << 20)) >"$T/text"
for ((n = 0; n < blocks; n += 16)); do
	printf '%s\n' "$n"
done | while read -r n; do
	dd if=/dev/zero of="$T/text" bs=4k count=1 seek="$n" conv=notrunc status=none
done
cp "$T/a.img" "$T/model"
dd if="$T/text" of="$T/model" bs=4k seek=4096 conv=notrunc,sparse status=none
write_text() { dd if="$T/text" of="$I/$1/disk" bs=4k seek=4096 conv=notrunc,sparse,fsync status=none; }
grow_old() { touch -d '2 minutes ago' "$STORE"/overlay/*.data; }
is_folded() { [ "$(status_of "$I/$1" unfolded)" = 0 ]; }
sizes_of() { echo "stored $(status_of "$I/$1" stored), unfolded $(status_of "$I/$1" unfolded)"; }

begin 'while it is in use'
for n in 1 2 3 4 5; do
	write_text "vm$n"
done
written=$(status_of "$I/vm1" unfolded)
ok ".status shows both numbers ($(sizes_of vm1))" test "$written" -gt $((7 << 20))
is 'nothing was stored yet' "$(status_of "$I/vm1" stored)" "$base_stored"
imagefs gc "$STORE" >/dev/null
is 'nor is it while it is not quiet' "$(status_of "$I/vm1" unfolded)" "$written"
packs=$(pack_bytes)
by_workers=$(metric chunks_absorbed_total)
by_idle=$(metric chunks_folded_total)
grow_old

begin 'when it is quiet'
# policy_of THREAD: 0 is the normal one, 5 is SCHED_IDLE
policy_of() {
	local task
	for task in "/proc/$(store_daemon_pid)/task"/*; do
		[ "$(cat "$task/comm")" = "$1" ] && sed 's/.*) //' "$task/stat" | cut -d' ' -f39
	done
}
is 'there is a thread for idle processors' "$(policy_of idle-0)" 5
is 'those that uploads use are others' "$(policy_of compress-0)" 0
# One that reads, or writes to the catalog, would make others wait for it on a busy machine.
idle_threads() { cut -d' ' -f2,41 "/proc/$(store_daemon_pid)/task"/*/stat | sed -n 's/ 5$//p'; }
is 'nothing else waits for idle processors' "$(idle_threads)" '(idle-0)'
imagefs gc "$STORE" >/dev/null
for n in 1 2 3 4 5; do
	is_folded "vm$n" || flunk "vm$n is folded" "$(sizes_of "vm$n")"
done
is 'all is folded' "$(status_of "$I/vm5" unfolded)" 0
is 'by the idle thread' "$(($(metric chunks_folded_total) - by_idle))" $((5 * 128))
is 'and by no other' "$(($(metric chunks_absorbed_total) - by_workers))" 0
ok ".status shows it ($(sizes_of vm1))" test "$(status_of "$I/vm1" stored)" -gt $((base_stored + (4 << 20)))
grown=$(($(pack_bytes) - packs))
ok "the same 8 MiB in five servers are stored once, and compressed ($grown bytes)" test "$grown" -gt $((4 << 20)) -a "$grown" -lt $((15 << 19))
for n in 1 5; do
	ok "vm$n has its bytes" same "$T/model" "$I/vm$n/disk"
done
is 'the overlays are gone' "$(ls "$STORE/overlay" | grep -c data)" 0

begin 'by itself'
start vm6
write_text vm6
grow_old
kill -9 "$(store_daemon_pid)" # the next one looks at once
ok 'a quiet server is folded without being asked for' wait_until 60 is_folded vm6
is 'by the idle thread as well' "$(metric chunks_absorbed_total)" 0
ok 'with its bytes' same "$T/model" "$I/vm6/disk"

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
