#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The times of a server's disk move with its bytes, so backup tools see every change; they outlive the daemon.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
need rsync restic tar fallocate
private_dev_fuse
begin 'times of a disk'
instance_store
noise "$T/base.img" 2097152
truncate -s 8M "$T/base.img"
import base "$T/base.img"
cp -r "$C/base" "$I/v"
V=$I/v/disk

mtime() { stat -c %.9Y "$V"; }
ctime() { stat -c %.9Z "$V"; }
# A file system's clock may be some milliseconds behind: each change comes in a later one.
later() { local was; was=$(date +%s%N); until [ "$(date +%s%N)" -gt $((was + 20000000)) ]; do :; done; }
# moves DESC CMD...: both times are others after it
moves() {
	local what=$1 m c
	shift
	m=$(mtime) c=$(ctime)
	later
	run "$@" || flunk "$what: it works" "status $status of: $*"
	is "$what: the mtime moves" "$([ "$(mtime)" != "$m" ] && [[ $(mtime) > $m ]] && echo yes)" yes
	is "$what: and the ctime" "$([[ $(ctime) > $c ]] && echo yes)" yes
}
put() { printf 'change %s' "$2" | dd of="$V" bs=1 seek="$1" conv=notrunc status=none; }

begin 'whatever changes it'
moves 'a write' put 100 a
exec 3<>"$V"
moves 'a write that nobody has closed yet' bash -c 'printf xyz >&3'
exec 3>&-
moves 'truncation' truncate -s 9M "$V"
moves 'punching' fallocate -p -o 0 -l 65536 "$V"
moves 'zeros' fallocate -z -o 1048576 -l 65536 "$V"
cp "$T/base.img" "$T/longer.img"
truncate -s 9M "$T/longer.img"
moves 'a mapped write' fileop mmap-write "$T/longer.img" "$V"
moves 'a copy of a range' fileop copy "$C/base/disk" 0 "$V" 0 1048576
m=$(mtime)
cat "$V" >/dev/null
sync "$V"
is 'reading and syncing move nothing' "$(mtime)" "$m"

begin 'as they were'
before="$(mtime) $(ctime)"
was=$(store_daemon_pid)
is_another() { local now; now=$(store_daemon_pid) && [ -n "$now" ] && [ "$now" != "$was" ]; }
kill -9 "$was"
wait_until 20 is_another
is 'after the death of the daemon' "$(mtime) $(ctime)" "$before"
umount_store
mount_store
is 'after an unmount' "$(mtime) $(ctime)" "$before"
touch -d '2 minutes ago' "$STORE"/overlay/*.data
imagefs gc "$STORE" >/dev/null
is 'after the disk was folded' "$(status_of "$I/v" unfolded) $(mtime) $(ctime)" "0 $before"
umount_store
mount_store
is 'the times of the disk are the same after the store was unmounted and mounted' "$(mtime) $(ctime)" "$before"
later
c=$(ctime)
touch -d '2020-01-01 UTC' "$V"
is 'a time that is set is the time' "$(mtime)" 1577836800.000000000
ok 'and moves the ctime' test "$(ctime)" \> "$c"
moves 'and what is written after it' put 200 b
touch -d '2020-01-01 UTC' "$V"
umount_store
mount_store
is 'set over what was written it stays' "$(mtime)" 1577836800.000000000
put 300 c

begin 'tools'
mkdir "$T/rsynced" "$T/cp" "$T/out"
export RESTIC_PASSWORD=x RESTIC_REPOSITORY=$T/restic XDG_CACHE_HOME=$T/cache
restic init >"$T/.restic" 2>&1
backup() {
	rsync -a "$I/v/disk" "$T/rsynced/" &&
		cp -u --preserve=timestamps "$I/v/disk" "$T/cp/" &&
		restic backup -q "$I/v/disk" &&
		(cd "$I" && tar -c -g "$T/snar" -f "$T/tar.$1" --no-check-device v/disk)
}
ok 'a first backup with each' backup 1
for n in 2 3; do
	later
	put 4096 "number $n" # the size stays
	ok "backup $n" backup "$n"
	ok "rsync has the change $n" cmp "$V" "$T/rsynced/disk"
	ok "cp -u has it" cmp "$V" "$T/cp/disk"
	rm -rf "$T/out"
	mkdir "$T/out"
	restic restore -q latest --target "$T/out" >"$T/.restic" 2>&1
	ok "restic has it" cmp "$V" "$T/out$V"
	rm -rf "$T/x"
	mkdir "$T/x"
	tar -x -g /dev/null -f "$T/tar.$n" -C "$T/x" 2>"$T/.tar"
	ok "tar -g has it" cmp "$V" "$T/x/v/disk"
done
ok 'a backup of what did not change' backup 4
is 'takes nothing: tar' "$(tar -t -f "$T/tar.4" | grep -c 'v/disk$')" 0
is 'nor rsync' "$(rsync -ain "$V" "$T/rsynced/")" ''
umount_store
done_testing
