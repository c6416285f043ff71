#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Hashing a sparse disk takes as long as hashing a full one: it ends with whoever waits for it, and too much of it is refused.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
begin 'sums of sparse disks'
data_store
zeros=$(printf '%064d' 0)

# sparse NAME SIZE: an image that is to have another sum than it has
sparse() {
	noise "$T/$1.img" 65536
	truncate -s "$2" "$T/$1.img"
	image "$1"
	echo "$zeros" >"$C/$1/sha256"
}

# upload NAME: in the background, until its close is hashed; its process is $uploader
upload() {
	cp --sparse=always "$T/$1.img" "$C/$1/x" 2>"$T/$1.err" &
	uploader=$!
	ok "$1: its close waits for the sum" wait_until 30 in_close
}

# in_close: the uploader waits for an answer to its close
in_close() {
	grep -q flush "/proc/$uploader/stack" || grep -q fuse_flush "/proc/$uploader/wchan"
}

has_ended() {
	! kill -0 "$1" 2>/dev/null
}

begin 'too large'
sparse huge 15T
refused 'a sum of 15 TiB is refused at once' EFBIG 'no SHA-256 is made of a disk of more than 1024 GiB' \
	cp --sparse=always "$T/huge.img" "$C/huge/x"
is 'what was copied is not lost for that' "$(state_of huge)" pending
rm "$C/huge/sha256"
ok 'without the setting its next close makes it available' try_write "$C/huge/x" 1000 x
is 'that is so' "$(state_of huge)" available

begin 'killed'
sparse killed 900G
upload killed
kill -9 "$uploader"
ok 'a program that is killed ends' wait_until 10 has_ended "$uploader"
wait "$uploader" 2>/dev/null
is 'its image waits to be continued' "$(state_of killed)" pending

begin 'removed'
sparse removed 900G
upload removed
rm "$C/removed/"* 2>/dev/null
ok 'the folder is removed meanwhile' rmdir "$C/removed"
ok 'the program that copied it ends' wait_until 10 has_ended "$uploader"
wait "$uploader" 2>/dev/null

begin 'the daemon ends'
sparse ending 900G
upload ending
daemon=$(store_daemon_pid)
kill -TERM "$(keeper_pid)"
ok 'it does not hash to the end' wait_until 10 has_ended "$daemon"
wait "$uploader" 2>/dev/null
ok 'nor does the program wait for it' has_ended "$uploader"

done_testing
