#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is not a whole disk is not shown as available, says why, and can be continued or done again.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need qemu-img rsync
begin 'pending and failed uploads'
data_store

make_disk "$T/a.img" 12 5 1
make_disk "$T/b.img" 8 3 2
a=$T/a.img b=$T/b.img
half=$T/half.img
head -c 6M "$a" >"$half"

# pending DESC IMAGE PATTERN: the image is pending, and its reason matches.
pending() {
	is "$1: pending" "$(state_of "$2")" pending
	like "$1: with a reason" "$(status_of "$2" reason)" "$3"
	is "$1: mtime is 0" "$(stat -c %Y "$C/$2"/*.img)" 0
}

begin 'nothing yet'
image empty
is 'an image without a disk is pending' "$(state_of empty)" pending
: >"$C/empty/x.img"
is 'an empty file leaves it pending' "$(state_of empty)" pending
truncate -s 8M "$C/empty/x.img"
is 'a size alone leaves it pending' "$(state_of empty)" pending
dd if=/dev/zero of="$C/empty/x.img" bs=1M count=8 conv=notrunc status=none
pending 'nothing but zeros' empty zeros
is 'the name it was written by is listed' "$(ls "$C/empty")" x.img
cp "$b" "$C/empty/x.img"
holds 'a disk that is copied over it is taken' empty "$b"

begin 'a disk that is cut'
image cut
fails 'half of a disk is an error of close' 'Invalid argument' cp "$half" "$C/cut/x.img"
pending 'half of a disk' cut 'partition table'
ok 'the rest follows by dd seek=' dd if="$a" of="$C/cut/x.img" bs=1M skip=6 seek=6 conv=notrunc
holds 'then it is available' cut "$a"
image cut2
cp "$half" "$C/cut2/a.img" 2>/dev/null
ok 'or by rsync --append' rsync --append "$a" "$C/cut2/"
holds 'then it is available' cut2 "$a"
image cut3
cp "$half" "$C/cut3/a.img" 2>/dev/null
ok 'or cp of the whole' cp "$a" "$C/cut3/"
holds 'then it is available' cut3 "$a"
image cut4
cp "$half" "$C/cut4/a.img" 2>/dev/null
ok 'or cp of the whole by another name' cp "$a" "$C/cut4/b.img"
holds 'then it is available' cut4 "$a"
is 'and there is one disk' "$(ls "$C/cut4" | grep -vxE 'os|arch')" disk

image cut5
cp "$half" "$C/cut5/a.img" 2>/dev/null
ok 'or cp of the whole to disk' cp "$a" "$C/cut5/disk"
holds 'then it is available' cut5 "$a"
is 'and there is one disk' "$(ls "$C/cut5" | grep -vxE 'os|arch')" disk

begin 'truncate'
image grow
cp "$half" "$C/grow/x" 2>/dev/null
ok 'a pending disk grows' truncate -s 20M "$C/grow/x"
is 'its size is that' "$(stat -c %s "$C/grow"/x)" $((20 << 20))
ok 'shrinks, not on a boundary' truncate -s 2000001 "$C/grow/x"
ok 'and grows again' truncate -s 6M "$C/grow/x"
head -c 2000001 "$a" >"$T/model"
truncate -s 6M "$T/model"
ok 'what was cut off is zeros' same "$T/model" "$C/grow/x"
ok 'and it can be written on' dd if="$a" of="$C/grow/x" bs=100k conv=notrunc
holds 'to the end' grow "$a"

begin 'other formats'
qemu-img create -q -f qcow2 "$T/e.qcow2" 8M
qemu-img convert -O qcow2 "$b" "$T/b.qcow2"
qemu-img convert -O vmdk -o subformat=streamOptimized "$b" "$T/b.vmdk"
qemu-img convert -O vmdk "$b" "$T/b-sparse.vmdk"
qemu-img convert -O vpc "$b" "$T/b.vhd"
qemu-img convert -O vhdx "$b" "$T/b.vhdx"
for f in b.qcow2 e.qcow2 b.vmdk b-sparse.vmdk b.vhd b.vhdx; do
	image "in-$f"
	fails "$f is refused at close" 'Invalid argument' cp "$T/$f" "$C/in-$f/"
	is "$f: it is not available" "$(state_of "in-$f")" failed
	like "$f: .status names the command" "$(status_of "in-$f" reason)" 'qemu-img convert .*-O raw'
	like "$f: .why has the sentence" "$(last_why)" "EINVAL.*qemu-img convert"
done
ok 'a disk may follow' cp "$b" "$C/in-b.vhd/b.vhd"
holds 'and is taken' in-b.vhd "$b"
image text
fails 'a text is no disk' 'Invalid argument' cp "$TEST_FILE" "$C/text/"

begin 'size and sha256'
sum=$(sha256sum <"$b")
sum=${sum%% *}
image expect
echo 8388608 >"$C/expect/size"
echo "$sum" >"$C/expect/sha256"
ok 'a disk with the size and hash that are set' cp "$b" "$C/expect/"
is 'is available' "$(state_of expect)" available
is 'and has that hash in its status' "$(status_of expect sha256)" "$sum"
image smaller
echo 12582912 >"$C/smaller/size"
cp "$b" "$C/smaller/" 2>/dev/null
pending 'a disk smaller than its size' smaller 'size'
ok 'and grows to it' truncate -s 12582912 "$C/smaller/b.img"
is 'then it is available' "$(state_of smaller)" available
image larger
echo 4194304 >"$C/larger/size"
fails 'a disk larger than its size is refused' 'Invalid argument' cp "$b" "$C/larger/"
is 'and failed' "$(state_of larger)" failed
image other
echo "$sum" >"$C/other/sha256"
fails 'a disk of another hash is refused' 'Invalid argument' cp "$a" "$C/other/"
is 'and failed' "$(state_of other)" failed
like 'with a reason' "$(status_of other reason)" 'SHA-256'
ok 'the right one may follow' cp "$b" "$C/other/b.img"
holds 'and is taken' other "$b"

begin 'a write that failed'
image failed
echo 'max-disk 8M' >"$M/.policy"
fails 'a disk over policy' 'File too large' cp "$a" "$C/failed/x.img"
like 'has a reason in .why' "$(last_why)" 'EFBIG'
like 'it is not available' "$(state_of failed)" 'pending|failed'
image failed2
fails 'a program that goes on after a failed write' 'File too large' dd if="$b" of="$C/failed2/x.img" bs=1M seek=4 conv=notrunc
like 'has not finished it' "$(state_of failed2)" 'pending|failed'
like 'and .status says why' "$(status_of failed2 reason)" 'write'
echo 'max-disk -' >"$M/.policy"
ok 'it can be done again' cp "$a" "$C/failed/x.img"
holds 'and is whole' failed "$a"

begin 'before its first use a disk may be written again'
import again "$a"
ok 'the same upload again' cp "$a" "$C/again/"
is 'is available again' "$(state_of again)" available
ok 'another upload' cp "$b" "$C/again/a.img"
is 'is available, too' "$(state_of again)" available
coproc fileop hold "$C/again/disk" 0 x
holder=$COPROC_PID
read -r _ <&"${COPROC[0]}"
is 'while it is written it is pending' "$(state_of again)" pending
is 'with mtime 0' "$(stat -c %Y "$C/again/a.img")" 0
exec {COPROC[1]}>&-
wait "$holder"
is 'afterwards it is available' "$(state_of again)" available
is 'the name that was used still resolves' "$(stat -c %i "$C/again/a.img")" "$(stat -c %i "$C/again/disk")"
is 'but is not listed' "$(ls "$C/again" | grep -c a.img)" 0
cp "$b" "$T/model"
printf 'x' | dd of="$T/model" conv=notrunc status=none
holds 'it has what was written' again "$T/model"

begin 'after its first use it never changes'
fails 'open for writing' 'Operation not permitted' dd if="$a" of="$C/again/disk" conv=notrunc
fails 'opening alone' 'Operation not permitted' "$BASH" -c ": 3<>'$C/again/disk'"
fails 'opening it with O_TRUNC' 'Operation not permitted' cp "$a" "$C/again/disk"
fails 'cp by the name that was used' 'Operation not permitted' cp "$a" "$C/again/a.img"
fails 'truncate' 'Operation not permitted' truncate -s 1M "$C/again/disk"
fails 'truncate to the same size' 'Operation not permitted' truncate -s 8M "$C/again/a.img"
fails 'append' 'Operation not permitted' "$BASH" -c "echo >> '$C/again/disk'"
fails 'another file of a disk' 'Operation not permitted' cp "$a" "$C/again/b.img"
like '.why says so' "$(last_why)" 'EPERM.*has been used'
holds 'nothing happened to it' again "$T/model"
import late "$a"
exec 3<>"$C/late/disk"
ok 'a file opened for writing before the first use' true
head -c 1 "$C/late/disk" >/dev/null
fails 'cannot write after it' 'Operation not permitted' "$BASH" -c 'printf x >&3'
exec 3>&-
holds 'nothing happened to it' late "$a"

begin 'scratch files'
import scratch "$a"
echo 'something' >"$C/scratch/.editor"
is 'a dot file is not listed' "$(ls -A "$C/scratch" | grep -c editor)" 0
is 'but can be read' "$(cat "$C/scratch/.editor")" something
is 'the image stays as it is' "$(state_of scratch)" available
echo 'fedora 40' >"$C/scratch/.os.tmp"
ok 'renamed to a setting it sets it' mv "$C/scratch/.os.tmp" "$C/scratch/os"
is 'to what it has' "$(cat "$C/scratch/os")" 'fedora 40'
ok 'it can be removed' rm "$C/scratch/.editor"
ok 'sed -i changes a setting' sed -i 's/40/41/' "$C/scratch/os"
is 'in place' "$(cat "$C/scratch/os")" 'fedora 41'
image hidden
cp "$a" "$C/hidden/.x.tmp"
is 'a disk under a dot name is not judged' "$(state_of hidden)" pending
ok 'renamed it is' mv "$C/hidden/.x.tmp" "$C/hidden/x.img"
ok 'and becomes available' wait_until 5 has_state hidden available
holds 'with its bytes' hidden "$a"

begin 'an upload that fails beside a disk'
import beside "$a"
head -c 200000 /dev/urandom | sed 's/^/x/' >"$T/junk"
truncate -s 200001 "$T/junk"
fails 'is refused' 'Invalid argument' cp "$T/junk" "$C/beside/c.img"
is 'the image is what it was' "$(state_of beside)" available
fails 'half of one is an error of close' 'Invalid argument' cp "$half" "$C/beside/c.img"
is 'the image is what it was' "$(state_of beside)" available
ok 'and can be completed' dd if="$a" of="$C/beside/c.img" bs=1M skip=6 seek=6 conv=notrunc
is 'it took the place of the other' "$(ls "$C/beside" | grep -vxE 'os|arch')" disk
cp "$half" "$C/beside/d.img" 2>/dev/null
ok 'half of one is removed' rm "$C/beside/d.img"
holds 'and the disk is there' beside "$a"

begin 'a file that is renamed to the disk'
import onto "$a"
cp "$b" "$C/onto/.x.tmp"
ok 'before the first use it takes the place' mv "$C/onto/.x.tmp" "$C/onto/disk"
holds 'with its bytes' onto "$b"
cp "$a" "$C/onto/.x.tmp"
fails 'afterwards not' 'Operation not permitted' mv "$C/onto/.x.tmp" "$C/onto/disk"
fails 'nor by another name' 'Operation not permitted' mv "$C/onto/.x.tmp" "$C/onto/y.img"
head -c 5000 "$a" >"$C/onto/.y.tmp"
fails 'nor if it is small' 'Operation not permitted' mv "$C/onto/.y.tmp" "$C/onto/disk"
is 'there is one disk' "$(ls "$C/onto" | grep -vxE 'os|arch')" disk
ok 'what was refused is still there' same "$a" "$C/onto/.x.tmp"
holds 'and so is the disk' onto "$b"

done_testing
