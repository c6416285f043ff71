#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1200
# A guest boots from the disk of an instance, writes, and powers off; an image of it has what it wrote, and so has a
# second guest that is started from that image.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
need qemu-system-x86_64 grub-mkimage mkfs.ext3 apt-get
[ "$(dpkg --print-architecture)" = amd64 ] || skip_all 'the guest is for amd64'
begin 'guests'
instance_store
declare -A guests inputs
sums=()
boot=$top_srcdir/scripts/boot

# The machine's own busybox need not be the static one that a guest wants.
mkdir "$T/other" && printf '#!/bin/sh\nexit 1\n' >"$T/other/busybox" && chmod 755 "$T/other/busybox"
must 'a disk that boots is made, whatever busybox this machine has' \
	env PATH="$T/other:$PATH" "$top_srcdir/scripts/make-guest" "$T/guest.img"
must 'the disk is imported' imagefs import "$T/guest.img" "$C/guest"
is 'as a Debian' "$(sed 's/ .*//' "$C/guest/os")" "$(. /etc/os-release && echo "$ID")"

# start NAME INSTANCE OPTION...: boots it and waits until it is up; its console is in $T/console.NAME
start() {
	local name=$1 instance=$2
	shift 2
	mkfifo "$T/in.$name"
	timeout 600 "$boot" --no-network "$@" "$instance" <"$T/in.$name" >"$T/console.$name" 2>&1 &
	guests[$name]=$!
	exec {inputs[$name]}>"$T/in.$name"
	if wait_until 60 grep -q 'guest is ready' "$T/console.$name"; then
		pass "$name is up"
	else
		flunk "$name is up" 'it is not'
		tail -c 2000 "$T/console.$name" | tr -d '\033' | sed 's/^/#   /'
		give_up
	fi
}

# type_in NAME COMMAND: in its shell
type_in() {
	printf '%s\n' "$2" >&"${inputs[$1]}"
}

# answers NAME REGEX: its console says so, in time
answers() {
	wait_until 60 grep -qE "$2" "$T/console.$1"
}

# halt NAME: it powers off, and QEMU ends
halt() {
	type_in "$1" poweroff
	ok "$1 powers off" wait "${guests[$1]}"
	exec {inputs[$1]}>&-
}

for cache in none writeback; do
	begin "cache=$cache"
	cp -r "$C/guest" "$I/$cache"
	start "$cache" "$I/$cache" --cache "$cache"
	refused 'a running server is not destroyed' EBUSY 'open for writing' rm -r "$I/$cache"
	fails 'nor does a second QEMU get it' 'lock' timeout 120 "$boot" --no-network "$I/$cache"
	type_in "$cache" "head -c 3000000 /dev/urandom >/root/noise; echo I am $cache >/root/name; sync; echo synced-\$((40 + 2))"
	ok 'it has written and synced' answers "$cache" '^synced-42'
	ok 'an image of the running server' cp -r "$I/$cache" "$C/live-$cache"
	type_in "$cache" "echo sum-\$(sha256sum </root/noise)"
	ok 'it knows what it wrote' answers "$cache" '^sum-[0-9a-f]{64}'
	sum=$(grep -oE '^sum-[0-9a-f]{64}' "$T/console.$cache")
	halt "$cache"
	ok 'its file system is whole' bash -c "dd if='$I/$cache/disk' of='$T/part' bs=1M skip=1 status=none && fsck.ext4 -fn '$T/part'"
	ok 'an image of the server' cp -r "$I/$cache" "$C/after-$cache"
	sums+=("$sum")
done

begin 'second servers, from the images, both at once'
ok 'a server from the first image' cp -r "$C/after-none" "$I/second"
ok 'a server from the image of the other while it ran' \
	bash -c "mkdir '$I/third' && ln -s ../../custom/live-writeback '$I/third/image'"
start second "$I/second"
start third "$I/third" --cache writeback
type_in second 'cat /root/name; echo sum-$(sha256sum </root/noise)'
type_in third 'cat /root/name; echo sum-$(sha256sum </root/noise)'
ok 'the second finds what the first wrote' answers second '^I am none'
ok 'every byte' answers second "^${sums[0]}"
ok 'the third finds what was synced when its image was made' answers third '^I am writeback'
ok 'every byte' answers third "^${sums[1]}"
halt second
halt third

begin 'the image of the beginning'
ok 'is as it was' same "$T/guest.img" "$C/guest/disk"
ok 'scripts/boot tells what it can do' bash -c "'$boot' --help | grep -q 'R/instances/V'"
fails 'and what is no disk' 'is no disk' "$boot" "$I/nothing"

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
