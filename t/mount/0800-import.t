#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whatever tool brings the bytes of a disk: they are there, all of them, and the image is available.
# shellcheck disable=SC2016 # the scripts of sh_by are expanded by the shell that runs them
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need rsync busybox qemu-img tar install
begin 'imports by every tool'
data_store

make_disk "$T/a.img" 12 5 1
make_disk "$T/b.img" 6 3 2
a=$T/a.img
size=$(stat -c %s "$a")

# by NAME COMMAND...: the command fills image NAME, which is in $N, through $F.
by() {
	local name=$1
	shift
	N=$C/$name
	image "$name"
	ok "$name: the tool succeeds" "$@"
	holds "$name: its bytes are the image's" "$name" "$a"
	is "$name: the name that was used is not listed" "$(ls "$N")" "$(settings_and_disk "$name")"
}

# What `ls` shows of an image without settings of a user's
settings_and_disk() {
	find "$C/$1" -mindepth 1 -printf '%f\n' | grep -xE 'disk|os|arch' | sort
}

sh_by() {
	local name=$1 script=$2
	by "$name" env N="$C/$name" a="$a" M="$M" "$BASH" -o pipefail -ec "$script"
}

begin 'cp and its relatives'
sh_by cp 'cp $a $N/'
sh_by cp-to-disk 'cp $a $N/disk'
sh_by cp-sparse-never 'cp --sparse=never $a $N/'
sh_by cp-sparse-always 'cp --sparse=always $a $N/'
sh_by cp-a 'cp -a $a $N/'
sh_by cp-p 'cp -p $a $N/'
sh_by cp-preserve-all 'cp --preserve=all --remove-destination $a $N/x.raw'
sh_by busybox-cp 'busybox cp $a $N/'
sh_by busybox-cp-p 'busybox cp -p $a $N/'
sh_by install 'install -m 600 $a $N/x.img'
sh_by mv 'cp $a $a.2; mv $a.2 $N/'
! command -v python3 >/dev/null || sh_by python 'python3 -c "import shutil, sys; shutil.copy2(sys.argv[1], sys.argv[2])" $a $N/any.img'

begin 'dd'
sh_by dd 'dd if=$a of=$N/x'
sh_by dd-1M 'dd if=$a of=$N/x bs=1M conv=fsync'
sh_by dd-1000 'dd if=$a of=$N/x bs=1000'
sh_by dd-4096 'dd if=$a of=$N/x bs=4096 conv=sparse'
sh_by dd-65537 'dd if=$a of=$N/x bs=65537'
sh_by dd-direct 'dd if=$a of=$N/x bs=1M oflag=direct'
sh_by dd-backwards 'for i in $(seq 11 -1 0); do dd if=$a of=$N/x bs=1M skip=$i seek=$i count=1 conv=notrunc; done'
sh_by dd-shuffled 'truncate -s 12M $N/x
	for i in 7 0 11 3 5 9 1 10 2 8 4 6; do dd if=$a of=$N/x bs=1M skip=$i seek=$i count=1 conv=notrunc; done'
sh_by dd-odd-shuffled 'n=$(($(stat -c %s $a) / 300001 + 1))
	for i in $(seq 0 $((n - 1)) | sort -R --random-source=$a); do
		dd if=$a of=$N/x bs=300001 skip=$i seek=$i count=1 conv=notrunc || true; done' # all but the last are told that it is not whole

begin 'the shell'
sh_by cat 'cat $a > $N/x'
sh_by append 'head -c 5000001 $a > $N/x || true; tail -c +5000002 $a >> $N/x'
sh_by subshell '(head -c 3000000 $a; tail -c +3000001 $a) > $N/x'
sh_by many-subshells '( (head -c 70000 $a); (dd if=$a bs=1000 skip=70 count=130); cat /dev/null; tail -c +200001 $a) > $N/x'
sh_by pipe 'cat $a | tee $N/x >/dev/null'
sh_by early-close 'exec 3>$N/x; (true) 3>&3; (exec 3>&-); head -c 100000 $a >&3; (exec 3>&-; true); /bin/true 3>&3; tail -c +100001 $a >&3
	(true); exec 3>&-'
sh_by rdwr 'exec 3<>$N/x; cat $a >&3; exec 3>&-'
sh_by compressed 'zstd -qc $a | zstd -dc > $N/x'

begin 'qemu-img, rsync, tar'
sh_by qemu-raw 'qemu-img convert -O raw $a $N/x.raw'
sh_by qemu-qcow2 'qemu-img convert -O qcow2 $a $a.qcow2; qemu-img convert -f qcow2 -O raw $a.qcow2 $N/x.raw'
sh_by qemu-threads 'truncate -s 12M $N/x; qemu-img convert -n -W -m 8 -O raw $a $N/x'
sh_by qemu-S0 'qemu-img convert -S 0 -O raw $a $N/x.raw'
sh_by qemu-direct 'qemu-img convert -t none -O raw $a $N/x.raw'
sh_by qemu-dd 'qemu-img dd -O raw if=$a of=$N/x bs=1M'
sh_by rsync 'rsync $a $N/'
sh_by rsync-a 'rsync -aX $a $N/'
sh_by rsync-sparse 'rsync -S $a $N/'
sh_by rsync-inplace 'rsync --inplace $a $N/'
sh_by rsync-inplace-again 'rsync --inplace $a $N/; rsync --inplace -I $a $N/'
sh_by rsync-append 'head -c 7000000 $a > $N/a.img || true; rsync --append $a $N/'
sh_by rsync-append-verify 'head -c 7000000 $a > $N/a.img || true; rsync --append-verify $a $N/'
sh_by tar-sparse 'tar -C ${a%/*} -cSf - a.img | tar -C $N -xf -'
sh_by tar 'tar -C ${a%/*} -cf - a.img | tar -C $N -xf -'

begin 'mapped'
sh_by truncate-first 'truncate -s 12M $N/x; dd if=$a of=$N/x bs=64k conv=notrunc'
N=$C/mmap
image mmap
ok 'mmap: written through a mapping' fileop mmap-write "$a" "$N/x"
holds 'mmap: its bytes are the image'\''s' mmap "$a"
N=$C/mmap-late
image mmap-late
ok 'mmap-late: written through a mapping after close' fileop mmap-write-late "$a" "$N/x"
ok 'mmap-late: becomes available' wait_until 10 has_state mmap-late available
holds 'mmap-late: its bytes are the image'\''s' mmap-late "$a"

begin 'a saved directory'
mkdir "$T/saved"
cp "$a" "$T/saved/disk"
echo 'debian 12' >"$T/saved/os"
echo 'A saved image' >"$T/saved/description"
tar -C "$T" -cf "$T/saved.tar" saved
ok 'tar -x makes an image' tar -C "$C" -xf "$T/saved.tar"
holds 'its disk is there' saved "$a"
is 'its settings are there' "$(cat "$C/saved/os" "$C/saved/description")" $'debian 12\nA saved image'
ok 'cp -r of a plain directory makes an image' cp -r "$T/saved" "$C/saved2"
holds 'its disk is there' saved2 "$a"
ok 'rsync -a of a plain directory makes an image' rsync -a "$T/saved" "$C2/"
holds 'its disk is there' "$C2/saved" "$a"
is 'and its settings' "$(cat "$C2/saved/os")" 'debian 12'
ok 'tar of an image in the mount' tar -C "$C" -cSf "$T/out.tar" saved
mkdir "$T/out"
ok 'is unpacked outside' tar -C "$T/out" -xf "$T/out.tar"
ok 'with the same disk' same "$a" "$T/out/saved/disk"

begin 'none was different from the others'
is 'every copy has the same digest' "$(for i in "$C"/*/; do status_of "${i%/}" digest; done | sort -u | wc -l)" 1
is 'and none is stored twice' "$(($(pack_bytes) < 8 * size))" 1

done_testing
