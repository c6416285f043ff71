#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The commands around a mount: what they print, and the exit codes that scripts rely on.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need jq

# exits CODE DESC CMD...
exits() {
	local code=$1 what=$2
	shift 2
	run "$@"
	is "$what" "$status" "$code"
}
# json DESC FILTER CMD...: prints JSON of which the filter is true.
json() {
	local what=$1 filter=$2
	shift 2
	run "$@"
	cp "$T/.out" "$T/json" # which the next command writes anew
	ok "$what" jq -e "$filter" "$T/json"
}
make_disk "$T/a.img" 4 1 1
sum=$(sha256sum "$T/a.img" | cut -d' ' -f1)

begin 'version and help'
like 'version' "$(imagefs version)" '^imagefs [0-9]+\.[0-9]+'
exits 0 'its exit code' imagefs version
exits 2 'no command' imagefs
exits 2 'an unknown command' imagefs frobnicate
fails 'which it names' frobnicate imagefs frobnicate
exits 0 'help' imagefs help
for command in init mount umount serve import export status why check gc account region policy version help; do
	exits 0 "$command --help" imagefs $command --help
	like 'tells how it is used' "$(imagefs $command --help)" "^Usage: imagefs $command"
	exits 2 'an option that it has not' imagefs $command --nonsense
done

begin 'init'
exits 2 'without a store' imagefs init
exits 0 'a store' imagefs init "$STORE"
exits 1 'a second time' imagefs init "$STORE"
fails 'says what is there' 'store' imagefs init "$STORE"
mkdir "$T/full" && touch "$T/full/file"
exits 1 'where something is' imagefs init "$T/full"
is 'which stays' "$(ls -A "$T/full")" file
mkdir "$T/empty"
exits 0 'in an empty folder' imagefs init "$T/empty"
exits 3 'below a folder that is not there' imagefs init "$T/nowhere/store"

begin 'not mounted'
exits 3 'mount of what is no store' imagefs mount "$T/full" "$T/full"
fails 'says so' 'is not a store' imagefs mount "$T/full" "$T/full"
exits 3 'mount on a folder that is not there' imagefs mount "$STORE" "$T/nowhere"
exits 3 'mount of nothing' imagefs mount "$T/nowhere" "$T/full"
exits 3 'umount of what is not mounted' imagefs umount "$T/full"
exits 3 'status of neither' imagefs status "$T/full"
exits 3 'why of what is in no mount' imagefs why "$T/full"
exits 0 'status of a store that nobody has mounted' imagefs status "$STORE"
json 'as JSON' '.custom == 0 and .store' imagefs status "$STORE" --json
exits 0 'gc' imagefs gc "$STORE"
json 'as JSON' 'type == "object"' imagefs gc "$STORE" --json
exits 3 'gc of what is no store' imagefs gc "$T/full"

begin 'mount'
mount_store
exits 4 'the same folder again' imagefs mount "$STORE" "$M"
mkdir "$T/busy" && touch "$T/busy/file"
exits 0 'a folder with files can be mounted on, as ever' imagefs mount "$STORE" "$T/busy"
ok 'and has them back' bash -c 'imagefs umount "$1" && test -f "$1/file"' _ "$T/busy"
exits 0 'mounting does not need options' imagefs status "$M"
json 'status of a mount' '.mounts == 1 and (.mount[0].dir | endswith("mnt"))' imagefs status "$M" --json
json 'has the processes' '(.["daemon-pid"] | type) == "number" and .["keeper-pid"] != .["daemon-pid"]' imagefs status "$M" --json
cd "$M/ap-beijing/custom" || exit 99

begin 'import'
exits 0 'a file' imagefs import "$T/a.img" web --os 'debian 12' --arch x86_64 --description 'a server' --sha256 "$sum"
ok 'is taken in' same "$T/a.img" web/disk
is 'with its settings' "$(cat web/os web/arch web/description web/sha256 | xargs)" "debian 12 x86_64 a server $sum"
exits 0 'from a pipe' bash -c 'imagefs import - pipe < "$1"' _ "$T/a.img"
ok 'the same' same "$T/a.img" pipe/disk
json 'as JSON' '.state == "available" and .virtual == 4194304' imagefs import "$T/a.img" third --json
exits 1 'a name that is taken' imagefs import "$T/a.img" web
ok 'which stays' same "$T/a.img" web/disk
exits 3 'a file that is not there' imagefs import "$T/nowhere" x
exits 1 'one whose sum is another' imagefs import "$T/a.img" x --sha256 "$(printf '0%.0s' $(seq 64))"
fails 'says so' 'SHA-256' imagefs import "$T/a.img" x --sha256 "$(printf '0%.0s' $(seq 64))"
printf 'QFI\373\0\0\0\3%1000s' x >"$T/x.qcow2"
fails 'a container says which' 'qcow2' imagefs import "$T/x.qcow2" x
fails 'a bad setting says why' 'ID VERSION' imagefs import "$T/a.img" x --os 'Not Valid'
fails 'a bad name does, too' 'begin with a dot' imagefs import "$T/a.img" .x
exits 2 'a sum that is none' imagefs import "$T/a.img" x --sha256 abc
echo 'images-per-region 3' >"$M/.policy"
fails 'a quota, too' 'images-per-region allows 3' imagefs import "$T/a.img" x
echo 'images-per-region -' >"$M/.policy"
is 'of all these nothing is left' "$(ls -A | xargs)" 'pipe third web'
exits 3 'outside of a mount' imagefs import "$T/a.img" "$T/nowhere/x"

begin 'export'
exits 0 'an image' imagefs export web "$T/out.img"
ok 'the same bytes' same "$T/a.img" "$T/out.img"
ok 'sparse' test "$(stat -c %b "$T/out.img")" -lt 8000
json 'as JSON' '.verified == "yes" and .virtual == 4194304' imagefs export web "$T/out.img" --json
exits 0 'its disk' imagefs export web/disk "$T/out2.img"
ok 'the same bytes' same "$T/a.img" "$T/out2.img"
exits 3 'what is not there' imagefs export nowhere "$T/out3.img"
ok 'makes nothing' absent "$T/out3.img" "$T/out3.img.part"

begin 'status'
exits 0 'of an image' imagefs status web
is 'its .status' "$(imagefs status web)" "$(cat web/.status)"
json 'as JSON' '.state == "available" and .virtual == 4194304 and .owner' imagefs status web --json
is 'of its disk the same' "$(imagefs status web/disk)" "$(cat web/.status)"
exits 3 'of what is not there' imagefs status nowhere
exits 0 'wait until it is settled' imagefs status --wait web
mkdir later
run timeout 20 imagefs status --wait later &
waiter=$!
cp "$T/a.img" later/
wait $waiter
is 'wait until it is available' "$(cat "$T/.out" | grep state:)" 'state: available'
mkdir failed && run cp "$T/x.qcow2" failed/
exits 1 'wait for what has failed' timeout 20 imagefs status --wait failed

begin 'why'
mkdir "a@b" 2>/dev/null
like 'the last refusal' "$(imagefs why | tail -n 1)" 'a name cannot contain @'
is 'is what .why says' "$(imagefs why "$M")" "$(cat "$M/.why")"
json 'as JSON' '.[-1] | .errno == "EINVAL" and .operation == "mkdir" and .path == "ap-beijing/custom/a@b" and (.pid | type) == "number" and .why and .time' \
	imagefs why --json
is 'as many as lines' "$(imagefs why --json | jq length)" "$(wc -l <"$M/.why")"

begin 'while it is in use'
exits 0 'gc' imagefs gc "$STORE"
rm -r third && rm -r "$M"/ap-beijing/.trash/custom/*
json 'gc as JSON' 'type == "object"' imagefs gc "$STORE" --json
exits 0 'status by the store' imagefs status "$STORE"
exits 4 'umount while somebody is in it' imagefs umount "$M"
fails 'says so' 'is in use' imagefs umount "$M"
ok 'and it is there still' same "$T/a.img" web/disk
cd / || exit 99
exits 0 'umount' imagefs umount "$M"
ok 'nothing runs then' wait_until 10 nothing_left
mount_store
ok 'it is there again' same "$T/a.img" "$M/ap-beijing/custom/web/disk"
ok 'fusermount3 -u ends it, too' fusermount3 -u "$M"
ok 'nothing runs then' wait_until 10 nothing_left
mount_store
kill -TERM "$(keeper_pid)"
ok 'and SIGTERM to the keeper' wait_until 10 nothing_left
imagefs serve "$STORE" >/dev/null 2>&1 &
server=$!
daemon_runs() { [ -n "$(store_daemon_pid)" ]; }
ok 'serve makes it ready' wait_until 10 daemon_runs
exits 4 'and has it for itself' imagefs serve "$STORE"
mount_store
umount_store
ok 'it stays when the last mount goes' daemon_runs
kill "$server"
wait "$server"
is 'it ends when it is told to' $? 0
ok 'and nothing runs then' wait_until 10 nothing_left
done_testing
