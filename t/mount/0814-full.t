#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A store on a file system that is full: uploads are refused and leave nothing half-done, deleting works, and with the
# space that it gives back everything works again. Only root can make such a file system.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
begin 'a small file system'
STORE=$T/small/store
mkdir "$T/small"
[ "$(id -u)" -ne 0 ] || mount -t tmpfs -o size=40M none "$T/small"
data_store
for n in 1 2 3 4; do
	make_disk "$T/$n.img" 24 20 "$n"
done
make_disk "$T/small.img" 8 5 5
daemon=$(store_status daemon-pid)

# From here on there is not one byte left.
fill() {
	head -c 64M /dev/zero >"$T/small/rest" 2>/dev/null
	true
}
clean() {
	imagefs check --read-data "$STORE"
}
has_room() {
	[ "$(df --output=avail -m "$T/small" | tail -n 1)" -ge "$1" ]
}

if [ "$(id -u)" -eq 0 ]; then
	begin 'uploads until it is full'
	import one "$T/1.img"
	refused=0
	for n in 2 3 4; do
		mkdir "$C/n$n"
		run cp "$T/$n.img" "$C/n$n/" && continue
		refused=$((refused + 1))
		like "upload $n is not available" "$(state_of "n$n")" 'pending|failed'
		like '.why says so' "$(last_why)" 'ENOSPC'
	done
	ok 'some are refused' test "$refused" -gt 1
	holds 'what was there is whole' one "$T/1.img"
	fill
	is 'there is no room at all' "$(df --output=avail -k "$T/small" | tail -n 1 | xargs)" 0
	ok 'settings can be written' bash -c "echo 'a text' >'$C/one/description'"
	holds 'the disk can be read' one "$T/1.img"
	for n in 2 3 4; do
		ok "upload $n can be deleted" rm -r "$C/n$n"
	done
	ok 'and the trash emptied' rm -r "$M"/ap-beijing/.trash/custom/*
	rm "$T/small/rest"
	ok 'their space is there again' wait_until 20 has_room 20
	begin 'afterwards'
	import two "$T/small.img"
	holds 'an upload is taken' two "$T/small.img"
	is 'it is the same daemon' "$(store_status daemon-pid)" "$daemon"
fi
ok 'nothing is damaged' clean
umount_store
[ "$(id -u)" -ne 0 ] || umount "$T/small"
done_testing
