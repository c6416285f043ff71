#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rm -r puts an image into the trash as it was, whatever removes it and wherever it is interrupted.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need rsync busybox getfattr

new_store
mount_store
make_disk "$T/a.img" 4 1 1
make_disk "$T/b.img" 4 1 2
touch -d 2001-02-03T04:05:06 "$T/a.img"
C=$M/ap-beijing/custom
TRASH=$M/ap-beijing/.trash/custom
cd "$C" || exit 99
id_of() { sed -n 's/^id: //p' "$1/.status"; }
# image NAME: one with everything.
image() {
	mkdir "$1" && cp -p "$T/a.img" "$1/disk" && echo 'debian 12' >"$1/os" && echo "about $1" >"$1/description"
}
# as_it_was DIR NAME ID
as_it_was() {
	[ "$(id_of "$1")" = "$3" ] && [ "$(cat "$1/os" "$1/description")" = $'debian 12\nabout '"$2" ] &&
		[ "$(ls -A "$1" | xargs)" = 'description disk os' ] && cmp "$T/a.img" "$1/disk" &&
		[ "$(stat -c %Y "$1/disk")" = "$(stat -c %Y "$T/a.img")" ]
}

begin 'whatever removes it'
removers=(gnu busybox find_delete gnu_force)
gnu() { rm -r "$1"; }
gnu_force() { rm -rf "$1"; }
busybox() { command busybox rm -r "$1"; }
find_delete() { find "$1" -delete; }
if command -v python3 >/dev/null; then
	removers+=(python)
	python() { python3 -c 'import shutil, sys; shutil.rmtree(sys.argv[1])' "$1"; }
fi
for remover in "${removers[@]}"; do
	image $remover
	id=$(id_of $remover)
	numbers=$(stat -c %i $remover/disk)
	ok "$remover" $remover $remover
	ok 'it is gone' absent $remover
	in_trash=("$TRASH/$remover"@*)
	like 'it is in the trash, with its time' "${in_trash[0]##*/}" "^$remover@20[0-9]{6}T[0-9]{6}Z$"
	ok 'as it was' as_it_was "${in_trash[0]}" $remover "$id"
	is 'trashed' "$(grep state: "${in_trash[0]}/.status")" 'state: trashed'
	ok 'it comes back' mv "${in_trash[0]}" $remover
	ok 'as it was' as_it_was $remover $remover "$id"
	is 'available' "$(grep state: $remover/.status)" 'state: available'
	is 'the disk has its number' "$(stat -c %i $remover/disk)" "$numbers"
	is 'the trash is empty' "$(ls "$TRASH")" ''
	rm -r $remover && rm -r "$TRASH/$remover"@*
done
is '.log tells' "$(awk -F '\t' '$5 ~ /gnu($|@)/ && $4 != "set" { print $4 }' "$M/.log" | xargs)" 'create import delete restore delete purge'

begin 'in the trash'
image one
id=$(id_of one)
rm -r one
image one
id2=$(id_of one)
rm -r one
is 'two of a name are two' "$(ls "$TRASH" | wc -l)" 2
first=$(grep -l "id: $id\$" "$TRASH"/*/.status)
first=${first%/.status}
ok 'each is itself' as_it_was "$first" one "$id"
is 'they are not in the listing of their type' "$(ls -A)" ''
is 'nor in .list' "$(wc -l <"$M/.list")" 1
like '.usage has them' "$(grep ap-beijing "$M/.usage")" 'storage +trash +2 '
refused 'settings there do not change' EPERM 'in the trash: restore it first' bash -c 'echo x > "$1/os"' _ "$first"
refused 'nor disks' EPERM 'in the trash' dd if="$T/b.img" of="$first/disk" conv=notrunc status=none
refused 'nor names' EPERM 'keeps its name' mv "$first" "$TRASH/other"
refused 'nothing is put there' EPERM 'fills when something is deleted' mkdir "$TRASH/new"
refused 'it does not come back elsewhere' EXDEV 'goes back to the region and type' \
	perl -e 'rename($ARGV[0], $ARGV[1]) or die "$!\n"' "$first" "$M/ap-shanghai/custom/one"
mkdir one
refused 'nor onto another' ENOTEMPTY 'called one already' mv -T "$first" one
rmdir one
ok 'it may come back under another name' mv "$first" two
ok 'as it was' as_it_was two one "$id"
refused 'the trash itself stays' EPERM 'belongs to the tree' rmdir "$TRASH"
second=$(echo "$TRASH"/one@*)
ok 'it can be copied out' cp -r "$second" copy
ok 'whole' same "$T/a.img" copy/disk
cd / || exit 99
umount_store
mount_store
cd "$C" || exit 99
ok 'it is there after a restart' as_it_was "$second" one "$id2"
ok 'rm -r there is for good' rm -r "$second"
is 'it is gone' "$(ls "$TRASH")" ''
rm -r copy
ok 'rm -r of all' bash -c 'rm -r "$1"/*' _ "$TRASH"
is 'is, too' "$(ls "$TRASH")" ''
is 'and .usage knows' "$(grep -c trash "$M/.usage")" 0
ok 'what was restored is whole' as_it_was two one "$id"
rm -r two && rm -r "$TRASH"/*

begin 'an rm that is interrupted'
image cut
id=$(id_of cut)
ok 'only the disk is unlinked' rm cut/disk
trashed=$(echo "$TRASH"/cut@*)
ok 'the trash has all of it' as_it_was "$trashed" cut "$id"
is 'what is left is no image any more' "$(grep state: cut/.status)" 'state: pending'
ok 'nor of that id' test "$(id_of cut)" != "$id"
ok 'it says where it went' grep -q "reason: .*cut@" cut/.status
ok 'rm goes on' rm -r cut
is 'and makes no second entry' "$(ls "$TRASH" | wc -l)" 1
ok 'it comes back' mv "$trashed" cut
ok 'as it was' as_it_was cut cut "$id"
ok 'rm of the disk' rm cut/disk
trashed=$(echo "$TRASH"/cut@*)
ok 'something else is put in its place' cp "$T/b.img" cut/disk
ok 'and is there' same "$T/b.img" cut/disk
ok 'the trash has what was there' as_it_was "$trashed" cut "$id"
ok 'rm -r again' rm -r cut
is 'two in the trash' "$(ls "$TRASH" | wc -l)" 2
rm -r "$TRASH"/*
image sets
rm sets/os
rm -r sets
ok 'a setting that was removed before stays removed' absent "$TRASH"/sets@*/os
rm -r "$TRASH"/*

begin 'a kill in the middle'
image killed
id=$(id_of killed)
(exec rm -r killed) &
pid=$!
kill -9 "$(store_daemon_pid)"
wait $pid
ok 'rm ended' test ! -e killed -o -e killed/disk -o -e "$(echo "$TRASH"/killed@*)"
[ ! -e killed ] || rm -r killed
is 'one is in the trash' "$(ls "$TRASH" | wc -l)" 1
ok 'as it was' as_it_was "$TRASH"/killed@* killed "$id"
rm -r "$TRASH"/*

begin 'what has no disk'
mkdir empty
ok 'rmdir of an empty one' rmdir empty
is 'leaves nothing' "$(ls "$TRASH")" ''
mkdir half && echo x >half/description
ok 'rm -r of one with settings only' rm -r half
is 'leaves nothing' "$(ls "$TRASH")" ''
mkdir half && head -c 1M "$T/a.img" >half/x.img
echo $((4 << 20)) >half/size
ok 'rm -r of one that is half there' rm -r half
ok 'it is gone' absent half
half=$(echo "$TRASH"/half@*)
ok 'the trash has what there was' cmp -n 1048576 "$T/a.img" "$half/x.img"
ok 'it comes back' mv "$half" half
is 'pending' "$(grep state: half/.status)" 'state: pending'
ok 'and goes on' dd if="$T/a.img" of=half/x.img bs=1M skip=1 seek=1 conv=notrunc status=none
is 'to be available' "$(grep state: half/.status)" 'state: available'
ok 'whole' same "$T/a.img" half/disk

begin 'open files'
image open
ok 'who has it open reads on after rm -r' bash -c 'exec 3<open/disk && rm -r open && cmp "$1" - <&3' _ "$T/a.img"

begin 'names'
for name in "it's \"quoted\"" 'two words' $'\xc3\xbc\xe6\x97\xa5\xf0\x9f\x98\x80' '-r' '*' "$(printf 'ü%.0s' $(seq 60))"; do
	image "./$name"
	id=$(id_of "./$name")
	ok "rm -r of ${name:0:20}" rm -r -- "$name"
	ok 'puts it into the trash' as_it_was "$(find "$TRASH" -mindepth 1 -maxdepth 1 -newermt 2001-01-01 -name '*@*' | tail -n 1)" "./$name" "$id"
	rm -r "$TRASH"/*
done
cd / || exit 99
done_testing
