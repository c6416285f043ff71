#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Many running servers, each of which writes and syncs: what the daemon keeps for each of them is bounded. With
# IMAGEFS_TEST_INSTANCES=3000 one sees that files, mappings and logs do not follow their number.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
begin 'many servers that run'
MANY=${IMAGEFS_TEST_INSTANCES:-200}
instance_store
echo 'instances-per-region 20000' >"$M/.policy"
ulimit -n "$(ulimit -H -n)"

truncate -s 15T "$T/a.img"
dd if=/dev/urandom of="$T/a.img" bs=64K count=4 conv=notrunc status=none
import base "$T/a.img"

# of the daemon: a field of /proc/PID/status in kB
status_kb() {
	sed -n "s/^$1:[[:space:]]*\([0-9]*\) kB/\1/p" "/proc/$(store_daemon_pid)/status"
}

start_all() {
	local n
	for ((n = 1; n <= MANY; n++)); do
		mkdir "$I/vm$n" && ln -s ../../custom/base "$I/vm$n/image" || return
	done
}
ok "$MANY servers are started" start_all

disks=()
for ((n = 1; n <= MANY; n++)); do
	disks+=("$I/vm$n/disk")
done
mkfifo "$T/end"
exec 9<>"$T/end"
diskop=$(helper_path diskop)

# run_servers NAME DISK...: they run until something is said to descriptor 9
run_servers() {
	local name=$1
	shift
	"$diskop" servers 5 $((3 << 40)) "$@" <"$T/end" >"$T/$name" 9>&- &
	servers=$!
	ok "$# of them write, far apart, sync five times, and run" wait_until 120 grep -q running "$T/$name"
}

begin 'what the first ones cost, all others share'
run_servers few "${disks[@]:0:20}"
before=$(status_kb RssAnon)

begin 'all'
run_servers all "${disks[@]:20}"
pid=$(store_daemon_pid)
each=$((($(status_kb RssAnon) - before) * 1024 / (MANY - 20)))
fds=$(ls "/proc/$pid/fd" | wc -l)
maps=$(wc -l <"/proc/$pid/maps")
logs=$(find "$STORE/overlay" -name '*.log' | wc -l)
diag "for each server: $each bytes of memory; in all: $(status_kb RssAnon) kB, $fds descriptors, $maps mappings, $logs logs"
ok "a server takes less than 30 kB of the daemon's memory ($each bytes)" test "$each" -lt 30000
ok "descriptors do not follow the number of servers ($fds)" test "$fds" -lt 5000
ok "nor do mappings ($maps)" test "$maps" -lt 5000
ok "nor do logs ($logs)" test "$logs" -lt 1200

begin 'and have what they wrote'
exec 9>&-
ok 'each reads what it wrote' wait "$servers"
is 'all of them' "$(tail -n 1 "$T/all")" "$((MANY - 20))"

done_testing
