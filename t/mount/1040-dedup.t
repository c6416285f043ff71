#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Policy `dedup account`: what such an account stores is nothing to others and theirs nothing to it, in no number; and it still
# starts servers from public and shared images at once.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root

alice() { as_user alice "$@"; }
bob() { as_user bob "$@"; }
carol() { as_user carol "$@"; }
A=$T/alice/mnt B=$T/bob/mnt C=$T/carol/mnt
R=ap-beijing
a=$T/a.img p=$T/p.img

# new_cloud STORE: alice is its operator; bob's bytes are his own.
new_cloud() {
	STORE=$1
	ok 'a store' alice imagefs init "$STORE"
	ok 'bob, who shares no bytes' alice imagefs account add "$STORE" bob --uid bob
	ok 'that is policy' alice imagefs policy set "$STORE" --account bob dedup account
	ok 'carol, who does' alice imagefs account add "$STORE" carol --uid carol
	mount_all
}
mount_all() {
	ok 'alice mounts' alice imagefs mount "$STORE" "$A"
	ok 'bob mounts' bob imagefs mount "$STORE" "$B"
	ok 'carol mounts' carol imagefs mount "$STORE" "$C"
}
umount_all() {
	local at
	for at in "$A" "$B" "$C"; do
		ok "umount ${at#"$T/"}" "$(basename "$(dirname "$at")")" imagefs umount "$at"
	done
}
# import USER NAME FILE: as a custom image
import() {
	ok "$1 imports $2" "$1" bash -c 'mkdir "$1" && cp "$2" "$1/"' _ "$T/$1/mnt/$R/custom/$2" "$3"
}
# key USER PATH KEY: of .status
key() {
	"$1" sed -n "s/^$3: //p" "$T/$1/mnt/$R/$2/.status"
}
# numbers USER PATH: all that is said of how much room it takes
numbers() {
	echo "stored $(key "$1" "$2" stored) alone $(key "$1" "$2" stored-alone) du $("$1" du -B1 "$T/$1/mnt/$R/$2/disk" | cut -f 1)"
}
# billed USER: bytes that are on the account's bill now, as .usage has them
billed() {
	"$1" awk '$2 == "storage" { print $3, $5, $6 }' "$T/$1/mnt/.usage"
}
metric() {
	alice sed -n "s/^imagefs_$1 //p" "$A/.metrics"
}
# grew DESC METRIC BEFORE WANT
grew() {
	is "$1" "$(($(metric "$2") - $3))" "$4"
}
# put USER DISK OFFSET TEXT: in place
put() {
	"$1" bash -c 'printf %s "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none' _ "$T/$1/mnt/$R/$2" "$3" "$4"
}
# gone USER PATH...: deleted, and out of the trash
gone() {
	local user=$1 path
	shift
	for path; do
		ok "$user deletes $path" "$user" bash -c 'rm -r "$1/$2" && cd "$(dirname "$1/$2")/.." && rm -r ".trash/$3/${2##*/}"@*' _ \
			"$T/$user/mnt/$R" "$path" "$(basename "$(dirname "$path")")"
	done
}
holds() {
	ok "$1" "$2" cmp "$4" "$T/$2/mnt/$R/$3/disk"
}
# changed FILE OFFSET TEXT: FILE as it is after that was written to it
changed() {
	cp "$1" "$1.$2"
	printf %s "$3" | dd of="$1.$2" bs=1 seek="$2" conv=notrunc status=none
	printf '%s\n' "$1.$2"
}

make_disk "$a" 24 10 1
make_disk "$p" 40 20 2
make_disk "$T/s.img" 30 8 3
chmod 644 "$a" "$p" "$T/s.img"
for user in alice bob carol; do
	install -d -o "$(user_id "$user")" -m 755 "$T/$user" "$T/$user/mnt"
	test_mounts+=("$T/$user/mnt")
done

begin 'a store where nobody has these bytes'
new_cloud "$T/alice/empty"
before=$(metric live_bytes)
import bob own "$a"
alone=$(numbers bob custom/own) bytes=$(($(metric live_bytes) - before))
billed_alone=$(billed bob)
like 'what is billed' "$billed_alone" '^images [0-9.]+ MiB$'
like 'what it takes there' "$alone" "^stored $bytes alone $bytes du "
before=$(metric live_bytes)
import bob other "$T/s.img"
bytes_s=$(($(metric live_bytes) - before))
umount_all

begin 'a store where others have them'
new_cloud "$T/alice/store"
import carol web "$a"
carol_alone=$(numbers carol custom/web)
is 'the first has them alone' "$carol_alone" "$alone"
before=$(metric live_bytes) objects=$(metric objects)
import bob own "$a"
grew 'bob stores them anew' live_bytes "$before" "$bytes"
is 'his numbers are those of bytes that nobody else has' "$(numbers bob custom/own)" "$alone"
is 'his bill, too' "$(billed bob)" "$billed_alone"
is 'and hers are what they were' "$(numbers carol custom/web)" "$carol_alone"
before=$(metric live_bytes)
import alice web "$a"
grew 'alice, who shares, stores nothing' live_bytes "$before" 0
umount_all
mount_all
carol ls "$C/$R/custom/web" >/dev/null
cold=$(metric pool_reads_total)
holds 'carol reads hers' carol custom/web "$a"
reads=$(($(metric pool_reads_total) - cold))
cold=$(metric pool_reads_total)
holds 'then bob his' bob custom/own "$a"
grew 'which nobody has warmed for him' pool_reads_total "$cold" "$reads"
cold=$(metric pool_reads_total)
holds 'and alice hers' alice custom/web "$a"
grew 'which carol has' pool_reads_total "$cold" 0
is 'which carol can see: the default gives that away' "$(key carol custom/web stored-alone)" 0
is 'but bob not' "$(numbers bob custom/own) $(billed bob)" "$alone $billed_alone"
is 'and what alice has to pay gives it away to her' "$(billed alice)" 'images 0 B'
import bob again "$a"
grew 'his own bytes are shared among his disks' live_bytes "$before" 0
is 'which he can see' "$(key bob custom/own stored-alone)" 0
gone bob custom/again
is 'and his numbers are as before' "$(numbers bob custom/own)" "$alone"
gone carol custom/web
gone alice custom/web
ok 'all that is nobody'\''s goes' alice imagefs gc "$STORE"
is 'what is left is his' "$(metric live_bytes)" "$bytes"
is 'which he cannot see' "$(numbers bob custom/own) $(billed bob)" "$alone $billed_alone"
before=$(metric live_bytes)
import carol same "$a"
grew 'nor does it help carol' live_bytes "$before" "$bytes"
is 'whose numbers are those of new bytes, too' "$(numbers carol custom/same)" "$alone"

begin 'servers from a public image'
import alice golden "$p"
ok 'it is published' alice cp -r "$A/$R/custom/golden" "$A/$R/public/golden"
before=$(metric live_bytes) objects=$(metric objects)
for user in bob carol; do
	ok "$user starts one" "$user" bash -c 'mkdir "$1" && ln -s ../../public/golden "$1/image"' _ "$T/$user/mnt/$R/instances/v"
	holds "$user's server" "$user" instances/v "$p"
done
grew 'both take no room' live_bytes "$before" 0
grew 'bob'\''s is one row more' objects "$objects" 1
is 'and he pays for nothing else' "$(billed bob | grep images)" "$billed_alone"
is 'what is borrowed is not his alone' "$(key bob instances/v stored-alone)" 0
for user in bob carol; do
	ok "$user writes to it" put "$user" instances/v/disk 70000 "written by $user"
	mine=$(changed "$p" 70000 "written by $user")
	mv "$mine" "$T/$user.img" && chmod 644 "$T/$user.img"
	holds "$user reads it" "$user" instances/v "$T/$user.img"
	ok "$user makes an image of it" "$user" cp -r "$T/$user/mnt/$R/instances/v" "$T/$user/mnt/$R/custom/backup"
	holds "$user's image" "$user" custom/backup "$T/$user.img"
	ok "$user makes a server of that" "$user" cp -r "$T/$user/mnt/$R/custom/backup" "$T/$user/mnt/$R/instances/w"
	holds "$user's second server" "$user" instances/w "$T/$user.img"
done
ok 'a part of it is copied' bob bash -c 'mkdir "$1" && cp "$2/disk" "$1/"' _ "$B/$R/custom/copy" "$B/$R/public/golden"
holds 'the copy' bob custom/copy "$p"
ok 'another region' bob cp -r "$B/$R/custom/backup" "$B/ap-shanghai/custom/"
ok 'the bytes there' bob cmp "$T/bob.img" "$B/ap-shanghai/custom/backup/disk"
ok 'everything is in order' alice imagefs check --read-data "$STORE"

begin 'what was lent outlives its origin'
gone alice public/golden custom/golden
gone carol instances/v instances/w custom/backup
ok 'gc' alice imagefs gc "$STORE"
for path in instances/v custom/backup instances/w; do
	holds "bob's $path" bob "$path" "$T/bob.img"
done
holds 'and his copy' bob custom/copy "$p"
ok 'everything is in order' alice imagefs check --read-data "$STORE"
umount_all
mount_all
holds 'after a restart, too' bob instances/w "$T/bob.img"
ok 'he writes on' put bob instances/w/disk 30000000 'later'
later=$(changed "$T/bob.img" 30000000 'later')
ok 'and makes an image of it' bob cp -r "$B/$R/instances/w" "$B/$R/custom/later"
holds 'which is right' bob custom/later "$later"
gone bob instances/v instances/w custom/own custom/backup custom/copy custom/later ../ap-shanghai/custom/backup
ok 'all of his goes' alice imagefs gc "$STORE"
is 'and with it what he had borrowed: what is left is carol'\''s' "$(metric live_bytes)" "$bytes"
ok 'everything is in order' alice imagefs check --read-data "$STORE"

begin 'what is shared is not found by others'
import bob secret "$T/s.img"
ok 'bob shares it with carol' bob ln -sr "$B/$R/custom/secret" "$B/accounts/carol/$R/shared/"
before=$(metric live_bytes)
ok 'she starts a server of it' carol bash -c 'mkdir "$1" && ln -s ../../shared/secret@bob "$1/image"' _ "$C/$R/instances/theirs"
ok 'and one by cp' carol cp -r "$C/$R/shared/secret@bob" "$C/$R/instances/copied"
grew 'which takes no room' live_bytes "$before" 0
ok 'she writes to it' put carol instances/theirs/disk 70000 'hers'
hers=$(changed "$T/s.img" 70000 'hers')
ok 'and makes an image of it' carol cp -r "$C/$R/instances/theirs" "$C/$R/custom/derived"
holds 'which is right' carol custom/derived "$hers"
before=$(metric live_bytes)
import alice guess "$T/s.img"
grew 'alice stores the same bytes anew' live_bytes "$before" "$bytes_s"
is 'and her numbers are those of bytes that nobody else has' "$(key alice custom/guess stored-alone)" "$bytes_s"
import carol guess "$T/s.img"
is 'unlike what somebody who shares has' "$(key carol custom/guess stored-alone)" 0
ok 'everything is in order' alice imagefs check --read-data "$STORE"
ok 'bob shares it no more' bob rm "$B/accounts/carol/$R/shared/secret"
gone bob custom/secret
gone alice custom/guess
gone carol custom/guess
ok 'gc' alice imagefs gc "$STORE"
holds 'her server has it still' carol instances/theirs "$hers"
holds 'and the other' carol instances/copied "$T/s.img"
gone carol instances/theirs instances/copied custom/derived
ok 'gc' alice imagefs gc "$STORE"
is 'with her servers it goes' "$(metric live_bytes)" "$bytes"
ok 'everything is in order' alice imagefs check --read-data "$STORE"

begin 'another policy'
before=$(metric live_bytes)
ok 'bob shares from now on' alice imagefs policy set "$STORE" --account bob dedup store
import bob shared "$a"
grew 'what carol has he does not store again' live_bytes "$before" 0
ok 'no longer, in one region' alice imagefs policy set "$STORE" --account bob --region "$R" dedup account
import bob anew "$a"
grew 'what he imports is stored anew' live_bytes "$before" "$bytes"
ok 'a copy of the earlier one' bob cp -r "$B/$R/custom/shared" "$B/$R/custom/own"
grew 'borrows, or finds what he has' live_bytes "$before" "$bytes"
ok 'elsewhere' bob bash -c 'mkdir "$1" && cp "$2" "$1/"' _ "$B/ap-shanghai/custom/there" "$a"
grew 'it is not' live_bytes "$before" "$bytes"
holds 'all are right' bob custom/own "$a"
ok 'everything is in order' alice imagefs check --read-data "$STORE"
umount_all
done_testing
