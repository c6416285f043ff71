#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
# A daemon that is killed while images are overwritten in place: one row in the trash for each disk that was replaced, and each is whole.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need_root
need jq
data_store
make_disk "$T/a.img" 4 1 1
make_disk "$T/b.img" 4 1 2
trash=$M/ap-beijing/.trash/custom
must 'an image' bash -c 'mkdir "$1" && cp "$2" "$1/disk"' _ "$C/w" "$T/a.img"

begin 'kills'
kills=0
for round in {1..12}; do
	pid=$(store_daemon_pid)
	(
		sleep "0.0$((RANDOM % 30 + 10))" # when it dies, not what is waited for
		kill -9 "$pid"
	) &
	killer=$!
	for n in 1 2 3 4 5; do
		cp "$T/b.img" "$C/w/disk" || echo "round $round, copy $n" >>"$T/failed"
	done
	wait $killer && kills=$((kills + 1))
	wait_until 5 test -e "$C/w/disk" || echo "round $round: gone" >>"$T/failed"
done
is 'the daemon was killed each time' "$kills" 12
quiet 'every copy came to its end' "$T/failed"
is 'for each there is one row in the trash' "$(ls "$trash" | wc -l)" 60
for old in "$trash"/*; do
	cmp -s "$T/a.img" "$old/disk" || cmp -s "$T/b.img" "$old/disk" || echo "${old##*/}" >>"$T/torn"
done
quiet 'and each has the bytes of a whole disk' "$T/torn"
holds 'the image has the last' w "$T/b.img"
ok 'all is given up for good' bash -c 'rm -r "$1"/*' _ "$trash"
ok 'and the store is in order' imagefs check --read-data "$STORE"
done_testing
