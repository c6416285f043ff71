#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Damage in a pack is found when it is read, told, and never handed out.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
begin 'damage'
data_store

make_disk "$T/a.img" 16 9 6
noise "$T/b.img" $((4 << 20))
a=$T/a.img b=$T/b.img
import web "$a"
import noise "$b"
ok 'what is not damaged is found in order' imagefs check --read-data "$STORE"
umount_store

# pack: the largest one; flip FILE OFFSET
pack=$(find "$STORE/pool" -name 'pack-*' -size +3M -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
flip() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	# shellcheck disable=SC2059 # an octal escape
	printf "\\$(printf %o $((byte ^ 16)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
size=$(stat -c %s "$pack")
chmod u+w "$pack"
for part in 1 2 3 4 5; do
	flip "$pack" $((size * part / 6))
done
mount_store

# only_right FILE SOURCE: each chunk of FILE is the same as SOURCE's, or cannot be read; says how many cannot
only_right() {
	local n chunks unreadable=0 wrong=0
	chunks=$(($(stat -c %s "$2") >> 16))
	for ((n = 0; n < chunks; n++)); do
		if ! dd if="$1" of="$T/chunk" bs=64k skip="$n" count=1 iflag=direct status=none 2>"$T/dd.err"; then
			grep -q 'Input/output error' "$T/dd.err" || wrong=$((wrong + 1))
			unreadable=$((unreadable + 1))
		elif ! dd if="$2" bs=64k skip="$n" count=1 status=none | cmp -s - "$T/chunk"; then
			wrong=$((wrong + 1))
		fi
	done
	echo "$wrong $unreadable"
}

for pair in "web $a" "noise $b"; do
	read -r name source <<<"$pair"
	read -r wrong unreadable <<<"$(only_right "$C/$name/disk" "$source")"
	is "$name: no wrong bytes" "$wrong" 0
	damaged=$((${damaged:-0} + unreadable))
	if [ "$unreadable" -gt 0 ]; then
		fails "$name: reading it all says EIO" 'Input/output error' cat "$C/$name/disk"
		like "$name: .why says that it is damaged" "$(last_why)" "EIO.*damage"
		fails "$name: a copy by reading says EIO" 'Input/output error' cp "$C/$name/disk" "$T/out"
	fi
done
ok "some chunks are damaged ($damaged)" test "$damaged" -ge 1 -a "$damaged" -le 5

run imagefs check --read-data "$STORE"
is 'check --read-data ends with 5' "$status" 5
like 'and says what is damaged' "$(cat "$T/.out" "$T/.err")" 'damage'
like 'and where' "$(cat "$T/.out" "$T/.err")" "custom/(web|noise)"
umount_store
run imagefs check --read-data "$STORE"
is 'so it does without a mount' "$status" 5

begin 'a pack that is cut, and one that is gone'
flip_back=$T/pack.copy
cp -p "$pack" "$flip_back"
truncate -s $((size / 2)) "$pack"
mount_store
read -r wrong unreadable <<<"$(only_right "$C/web/disk" "$a")"
is 'cut: no wrong bytes' "$wrong" 0
umount_store
rm "$pack"
mount_store
read -r wrong unreadable <<<"$(only_right "$C/web/disk" "$a")"
is 'gone: no wrong bytes' "$wrong" 0
ok 'gone: what was there cannot be read' test "$unreadable" -gt 0
run imagefs check --read-data "$STORE"
is 'check finds it' "$status" 5
ok 'another image can still be imported' bash -c "mkdir '$C/new' && cp '$b' '$C/new/'"
is 'and is available' "$(state_of new)" available
holds 'an image that is imported beside a damaged one has its own bytes' new "$b"

done_testing
