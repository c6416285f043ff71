#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Only `disk` writes an instance's disk: files of other names beside it are refused, and a disk that is replaced goes to the trash.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
need rsync tar qemu-img qemu-system-x86_64 busybox perl
begin 'names beside a disk'
instance_store

make_disk "$T/a.img" 24 10 1
make_disk "$T/b.img" 12 6 2
head -c 1M "$T/b.img" >"$T/1M.img"
noise "$T/junk" 700
a=$T/a.img b=$T/b.img
import web "$a"
import other "$b"
ok 'a server' cp -r "$C/web" "$I/v"
ok 'another one, of another image' cp -r "$C/other" "$I/w"
disk=$I/v/disk
before=$(stat -c %i "$disk")

trash_is() {
	[ "$(ls "$R/.trash/instances" | wc -l)" -eq "$1" ]
}

# unharmed DESC: the disk of v is the one that it was, and nothing lies beside it.
unharmed() {
	is "$1: the disk is the same file" "$(stat -c %i "$disk")" "$before"
	ok "$1: with the same bytes" same "$T/model" "$disk"
	is "$1: nothing is beside it" "$(ls -A "$I/v" | sort | xargs)" 'disk image'
	is "$1: it was made from what it was made from" "$(readlink -f "$I/v/image")" "$C/web"
	ok "$1: nothing came into the trash" trash_is 0
}

# try_all WHEN: everything that puts another file beside the disk
try_all() {
	local sentence='only .disk. writes|is called disk'
	mkdir -p "$T/from/v"
	cp "$b" "$T/from/v/other.img"
	refused "$1: cp of another name" EINVAL "$sentence" cp "$b" "$I/v/x.img"
	refused "$1: cp of a small disk to another name" EINVAL "$sentence" cp "$T/1M.img" "$I/v/upload.img"
	refused "$1: cp of a disk in the tree to another name" EINVAL "$sentence" cp "$C/other/disk" "$I/v/foo"
	refused "$1: cp of another server's disk to another name" EINVAL "$sentence" cp "$I/w/disk" "$I/v/foo"
	refused "$1: busybox cp of another name" EINVAL "$sentence" busybox cp "$b" "$I/v/x.img"
	refused "$1: tar of another name" EINVAL "$sentence" bash -c "tar -C '$T/from' -cf - v | tar -C '$I' -xf -"
	refused "$1: qemu-img convert to another name" EINVAL "$sentence" qemu-img convert -O raw "$b" "$I/v/foo.raw"
	refused "$1: dd to another name" EINVAL "$sentence" dd if="$b" of="$I/v/zz" bs=1M status=none
	refused "$1: rsync of another name" EINVAL "$sentence" rsync "$b" "$I/v/x.img"
	refused "$1: rsync -I of another name" EINVAL "$sentence" rsync -I --inplace "$b" "$I/v/x.img"
	refused "$1: an empty file" EINVAL "$sentence" bash -c ": >'$I/v/notes'"
	refused "$1: truncate, which makes its file" EINVAL "$sentence" truncate -s 1M "$I/v/notes"
	refused "$1: 700 bytes of noise" EINVAL "$sentence" cp "$T/junk" "$I/v/junk"
	refused "$1: the disk to another name" EINVAL "$sentence" perl -e 'rename($ARGV[0], $ARGV[1]) or die "$!\n"' "$disk" "$I/v/disk.bak"
	ok "$1: a file with a dot is no disk yet" cp "$b" "$I/v/.tmp"
	refused "$1: nor by another name" EINVAL "$sentence" perl -e 'rename($ARGV[0], $ARGV[1]) or die "$!\n"' "$I/v/.tmp" "$I/v/foo"
	ok "$1: it goes again" rm "$I/v/.tmp"
}

begin 'nobody has it open'
cp "$a" "$T/model"
try_write "$disk" 3000000 'of the server'
try_write "$T/model" 3000000 'of the server'
try_all 'idle'
unharmed 'idle'

begin 'somebody writes it'
exec 3<>"$disk"
try_all 'open'
for way in 'rename onto it' 'mv' 'rsync' 'rsync -I'; do
	case $way in
	rename*) set -- bash -c "cp '$b' '$I/v/.disk.AbCdEf' && perl -e 'rename(\$ARGV[0], \$ARGV[1]) or die \"\$!\n\"' '$I/v/.disk.AbCdEf' '$disk'" ;;
	mv) set -- bash -c "cp '$b' '$I/v/.new' && mv '$I/v/.new' '$disk'" ;;
	rsync) set -- rsync "$b" "$disk" ;;
	*) set -- rsync -I "$a" "$disk" ;;
	esac
	refused "open: $way" EBUSY 'open for writing' "$@"
	rm -f "$I/v"/.disk.* "$I/v/.new"
done
unharmed 'open'
ok 'who writes it goes on' perl -e 'open(F, ">&=", 3) && sysseek(F, 2048, 0) && syswrite(F, "more\n") or die "$!\n"'
printf 'more\n' | dd of="$T/model" bs=512 seek=4 conv=notrunc status=none
exec 3>&-
unharmed 'written on'

begin 'a server runs on it'
qemu-system-x86_64 -machine pc,accel=tcg -m 16 -S -display none -nodefaults -daemonize -pidfile "$T/qemu.pid" \
	-drive "file=$disk,format=raw,if=virtio"
ok 'it runs' kill -0 "$(cat "$T/qemu.pid")"
try_all 'running'
refused 'running: rsync onto its disk' EBUSY 'open for writing' rsync -I "$b" "$disk"
refused 'running: another name onto its disk' EBUSY 'open for writing' bash -c "cp '$b' '$I/v/.new' && mv '$I/v/.new' '$disk'"
rm -f "$I/v/.new"
kill "$(cat "$T/qemu.pid")"
ok 'it ends' wait_until 10 bash -c "! kill -0 $(cat "$T/qemu.pid")"
unharmed 'running'

begin 'a disk that is replaced'
# replaces DESC FILE CMD...: the disk has FILE's bytes then, and the old disk is in the trash.
replaces() {
	local what=$1 file=$2 old
	shift 2
	ok "$what" "$@"
	holds "$what: the disk is that" "$I/v" "$file"
	old=$(ls -d "$R/.trash/instances"/v@*)
	ok "$what: the old one is in the trash" same "$T/model" "$old/disk"
	is "$what: made from what it was" "$(readlink -f "$old/image")" "$C/web"
	ok "$what: nothing is left beside it" bash -c "! ls -A '$I/v' | grep -vxE 'disk|image'"
	like "$what: the log tells where it is" "$(tail -n 1 "$M/.log")" "reinstall.*\.trash/instances/v@"
	rm -r "$I/v"
	mv "$old" "$I/v"
	purge_trash
	holds "$what: it comes back" "$I/v" "$T/model"
}
replaces 'rsync onto it' "$b" rsync -I "$b" "$disk"
replaces 'rsync of a folder' "$b" bash -c "mkdir '$T/backup' && cp '$b' '$T/backup/disk' && rsync -aI '$T/backup/' '$I/v'"
replaces 'mv of a file with a dot' "$b" bash -c "cp '$b' '$I/v/.disk.tmp' && mv '$I/v/.disk.tmp' '$disk'"
replaces 'mv of disk.new' "$b" bash -c "cp '$b' '$I/v/disk.new' && mv '$I/v/disk.new' '$disk'"
replaces 'mv of a small file' "$T/junk" bash -c "cp '$T/junk' '$I/v/.disk.tmp' && mv '$I/v/.disk.tmp' '$disk'"
replaces 'mv of a copy of another image' "$b" bash -c "cp '$C/other/disk' '$I/v/.disk.tmp' && mv '$I/v/.disk.tmp' '$disk'"
replaces 'mv as rclone does it' "$b" bash -c "cp '$b' '$I/v/disk.0a1b2c3d.partial' && mv '$I/v/disk.0a1b2c3d.partial' '$disk'"
ok 'an empty file' bash -c ": >'$I/v/.disk.tmp'"
refused 'is no disk' EINVAL 'empty' perl -e 'rename($ARGV[0], $ARGV[1]) or die "$!\n"' "$I/v/.disk.tmp" "$disk"
ok 'and stays what it was' rm "$I/v/.disk.tmp"
holds 'the disk, too' "$I/v" "$T/model"
ok 'nothing came into the trash' trash_is 0
ok 'a file that is only copied beside it' cp "$C/other/disk" "$I/v/.disk.tmp"
is 'says nothing about what the disk was made from' "$(readlink -f "$I/v/image")" "$C/web"
rm "$I/v/.disk.tmp"

begin 'what goes on working'
ok 'cp -r of an image' cp -r "$C/other" "$I/one"
is_instance 'cp -r' one "$b" "$C/other"
echo 'My server' >"$I/v/description"
ok 'cp -r of a server' cp -r "$I/v" "$I/two"
is_instance 'cp -r of a server' two "$T/model" "$C/web"
is 'with its description' "$(cat "$I/two/description")" 'My server'
ok 'mkdir and cp of a disk' bash -c "mkdir '$I/three' && cp '$C/other/disk' '$I/three/disk'"
is_instance 'cp of a disk' three "$b" "$C/other"
ok 'mkdir and rsync of a file called disk' bash -c "mkdir '$I/four' && rsync '$T/backup/disk' '$I/four/'"
holds 'rsync' "$I/four" "$b"
ok 'tar of a server' bash -o pipefail -c "tar -C '$I' -cSf - v | tar --xform 's/^v/five/' -C '$I' -xf -"
holds 'tar' "$I/five" "$T/model"
ok 'rsync of a server' rsync -a "$I/v/" "$I/six"
holds 'rsync of a server' "$I/six" "$T/model"
ok 'dd to its disk' dd if="$b" of="$I/six/disk" bs=1M conv=notrunc status=none
ok 'qemu-img convert to its disk' qemu-img convert -n -O raw "$a" "$I/six/disk"
holds 'is written in place' "$I/six" "$a"
ok 'sed -i' sed -i 's/My/Your/' "$I/v/description"
is 'sets' "$(cat "$I/v/description")" 'Your server'
ok 'busybox sed -i' busybox sed -i 's/Your/Her/' "$I/v/description"
is 'sets' "$(cat "$I/v/description")" 'Her server'
ok 'a file that is renamed to a setting' bash -c "echo His server >'$I/v/description.new' && mv '$I/v/description.new' '$I/v/description'"
is 'sets' "$(cat "$I/v/description")" 'His server'
if command -v vim >/dev/null; then
	ok 'vim' vim -es -u NONE -c 'set backup backupcopy=no' -c '%s/His/Its/' -c 'wq' "$I/v/description"
	is 'sets' "$(cat "$I/v/description")" 'Its server'
	rm -f "$I/v/description~"
fi
is 'nothing is beside it' "$(ls -A "$I/v" | sort | xargs)" 'description disk image'
ok 'nothing but the disks that were replaced came into the trash' trash_is 0

begin 'a server without a disk'
mkdir "$I/new"
refused 'takes none by another name' EINVAL "only .disk. writes" cp "$b" "$I/new/x.img"
refused 'nor anything small' EINVAL "only .disk. writes" bash -c "echo hello >'$I/new/notes'"
is 'it is pending' "$(state_of "$I/new")" pending
ok 'but by a name with a dot' bash -c "cp '$b' '$I/new/.disk.partial' && mv '$I/new/.disk.partial' '$I/new/disk'"
holds 'it has it' "$I/new" "$b"

begin 'an image'
import twice "$a"
ok 'takes another file before its first use' cp "$b" "$C/twice/second.img"
holds 'it has that' twice "$b"
old=$(ls -d "$R/.trash/custom"/twice@*)
ok 'the disk that was replaced is in the trash' same "$a" "$old/disk"
ok 'and comes back' mv "$old" "$C/first"
holds 'as an image' first "$a"
import held "$a"
exec 3<>"$C/held/disk"
ok 'a second upload while the first is written waits beside it' cp "$b" "$C/held/.x"
refused 'and does not take its place' EBUSY 'open for writing' mv "$C/held/.x" "$C/held/disk"
exec 3>&-
rm "$C/held/.x"
holds 'the first is what it was' held "$a"
ok 'nothing came into the trash' absent "$R/.trash/custom"/held@*

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
