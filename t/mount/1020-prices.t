#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Licence and price follow an image into everything that is made of it, whichever way; nobody gets rid of them; instances keep those at
# which they were started; and what a start costs is told before it.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
need_root
instance_store
R2=$M/ap-guangzhou
G=$M/ap-guangzhou/custom
make_disk "$T/a.img" 8 3 1
make_disk "$T/b.img" 8 3 2
make_disk "$T/c.img" 8 3 3
chmod 644 "$T"/*.img
ops=$(id -un)
printf 'instance-price 0.02\nwindows-fee 0.01\n' >"$R/.region"
printf 'instance-price 0.03\nwindows-fee 0\n' >"$R2/.region"

# publish NAME FILE [SETTING VALUE]...: a public image
publish() {
	local name=$1 file=$2
	mkdir "$P/$name" || return
	shift 2
	while [ $# -gt 0 ]; do
		echo "$2" >"$P/$name/$1" || return
		shift 2
	done
	cp "$file" "$P/$name/"
}

# terms IMAGE: its price and licence as settings; empty where there is none
terms() {
	echo "$(cat "$1/price" 2>/dev/null)/$(cat "$1/license" 2>/dev/null)"
}

# keeps DESC IMAGE: what must not be possible with a thing that inherited "5 once" and "windows"
keeps() {
	local what=$1 at=$2
	is "$what: has the terms" "$(terms "$at")" '5 once/windows'
	refused "$what: another price" EPERM 'the price of .* came with the image.*cannot be changed' bash -c 'echo "1 once" >"$1/price"' _ "$at"
	refused "$what: no price" EPERM 'cannot be changed' rm "$at/price"
	refused "$what: another licence" EPERM 'the license of .* cannot be changed' bash -c 'echo byol >"$1/license"' _ "$at"
	refused "$what: no licence" EPERM 'cannot be changed' rm "$at/license"
	refused "$what: an empty one" EPERM 'cannot be changed' bash -c 'echo >"$1/license"' _ "$at"
	refused "$what: sed -i" EPERM 'cannot be changed' sed -i s/5/1/ "$at/price"
	refused "$what: the price renamed" EPERM 'cannot be changed' mv "$at/price" "$at/description"
	refused "$what: another setting renamed onto it" EPERM 'cannot be changed' \
		bash -c 'echo "0 once" >"$1/description" && mv "$1/description" "$1/price"' _ "$at"
	rm -f "$at/description"
	echo other >"$at/software"
	refused "$what: a new file renamed onto it" EPERM 'cannot be changed' \
		bash -c 'echo "0 once" >"$1/.new" && mv "$1/.new" "$1/price"' _ "$at"
	rm -f "$at/.new" "$at/software"
	ok "$what: the same value is accepted" bash -c 'echo "5 once" >"$1/price" && echo 5.00 once >"$1/price" && echo windows >"$1/license"' _ "$at"
	is "$what: still has the terms" "$(terms "$at")" '5 once/windows'
}

begin 'what a start costs'
ok 'a public image with a price, of Windows' publish win "$T/a.img" os 'windows 2022' price '5.00 once'
ok 'a free one' publish free "$T/b.img" os 'debian 12'
is 'all parts' "$(status_of "$P/win" start-price)" \
	"0.02 USD/hour + 5 USD once (marketplace, vendor $ops) + 0.01 USD/hour (windows licence)"
is 'as an attribute' "$(getfattr --only-values -n user.imagefs.start-price "$P/win" 2>/dev/null)" "$(status_of "$P/win" start-price)"
is 'the instance alone' "$(status_of "$P/free" start-price)" '0.02 USD/hour'
echo 'instance-price 0' >"$R/.region"
is 'nothing' "$(status_of "$P/free" start-price)" free
echo 'instance-price 0.02' >"$R/.region"
echo 'currency CNY' >"$M/.policy"
is 'in the currency of the store' "$(status_of "$P/free" start-price)" '0.02 CNY/hour'
is 'which is a policy' "$(grep ^currency "$M/.policy")" 'currency CNY'
refused 'of the whole store' EINVAL 'one currency' bash -c 'echo "currency EUR" >"$1/.policy"' _ "$R"
refused 'and three letters' EINVAL 'three capital letters' bash -c 'echo "currency euro" >"$1/.policy"' _ "$M"
echo 'currency -' >"$M/.policy"
import own "$T/c.img"
echo '7 hour' >"$C/own/price"
is 'a price on a custom image is asked of nobody' "$(status_of own start-price)" '0.02 USD/hour'
for bad in 'free' '5' '-1 once' '0.0000001 hour' '5 week' '1e3 once' '5 once more'; do
	refused "\"$bad\" is no price" EINVAL 'AMOUNT once' bash -c 'echo "$2" >"$1/price"' _ "$C/own" "$bad"
done
refused 'rates of a region are amounts' EINVAL 'is an amount' bash -c 'echo "storage-price 0.0000001" >"$1/.region"' _ "$R"

begin 'into an instance, an image of it, its copy elsewhere, an instance of that'
mkdir "$I/linked"
ok 'an instance by a link' ln -sr "$P/win" "$I/linked/image"
ok 'an instance by cp' cp -r "$P/win" "$I/copied"
for name in linked copied; do
	is "$name: price" "$(status_of "$I/$name" price)" '5 USD once'
	is "$name: licence" "$(status_of "$I/$name" license)" windows
	is "$name: what it pays" "$(status_of "$I/$name" windows-fee), $(status_of "$I/$name" instance-price)" '0.01 USD/hour, 0.02 USD/hour'
	is "$name: by whom" "$(status_of "$I/$name" vendor)" "$ops"
	is "$name: no files of it" "$(ls -A "$I/$name" | xargs)" 'disk image'
done
ok 'an image of it' cp -r "$I/linked" "$C/golden"
keeps 'image of an instance' "$C/golden"
ok 'its copy elsewhere' cp -r "$C/golden" "$G/"
keeps 'copy in another region' "$G/golden"
ok 'a copy of the disk alone' bash -c 'mkdir "$1/alone" && cp "$1/golden/disk" "$1/alone/disk"' _ "$C"
keeps 'copy of the disk' "$C/alone"
cp -r "$G/golden" "$R2/instances/far"
is 'an instance of that, at the rates of its region' \
	"$(status_of "$R2/instances/far" price), $(status_of "$R2/instances/far" instance-price), $(status_of "$R2/instances/far" windows-fee)" \
	'5 USD once, 0.03 USD/hour, '
is 'it says so of itself' "$(status_of "$R2/instances/far" license)" windows
is 'and before' "$(status_of "$G/golden" start-price)" "0.03 USD/hour + 5 USD once (marketplace, vendor $ops)"
ok 'published again' cp -r "$C/golden" "$P/again"
is 'with the same terms' "$(terms "$P/again")" '5 once/windows'
refused 'which stay' EPERM 'cannot be changed' rm "$P/again/price"
umount_store
mount_store
keeps 'after a restart' "$C/golden"

begin 'nobody gets rid of them'
fails 'emptied, and a part of the same read and written' 'Invalid argument' bash -c \
	'truncate -s 0 "$1/alone/disk" && dd if="$1/golden/disk" of="$1/alone/disk" bs=1M count=4 status=none' _ "$C"
is 'has the terms' "$(terms "$C/alone")" '5 once/windows'
ok 'while it is being copied, another value is ignored' bash -c 'echo "1 once" >"$1/alone/price"' _ "$C"
is 'and the terms are what they were' "$(terms "$C/alone")" '5 once/windows'
cp "$C/golden/disk" "$C/alone/disk"
n=0
# by DESC CMD...: CMD makes the image $C/by-N of $C/golden by reading and writing
by() {
	local what=$1
	shift
	n=$((n + 1))
	mkdir "$C/by-$n"
	ok "$what" "$@" "$C/golden/disk" "$C/by-$n/disk"
	is '… has the terms' "$(terms "$C/by-$n")" '5 once/windows'
	rm -rf "$C/by-$n"
}
by 'dd' bash -c 'dd if="$0" of="$1" bs=1M status=none'
by 'dd of a part' bash -c 'dd if="$0" of="$1" bs=1M skip=1 count=2 status=none'
by 'cat' bash -c 'cat "$0" >"$1"'
by 'cp that reads' cp --reflink=never
by 'under another name' bash -c 'cp "$0" "${1%/disk}/x.img"'
by 'under a hidden name' bash -c 'cp "$0" "${1%/disk}/.x" && mv "${1%/disk}/.x" "$1"'
by 'by descriptors' bash -c 'exec 3<"$0" 4>"$1"; cat <&3 >&4'
by 'a pipe' bash -c 'cat "$0" | cat >"$1"'
by 'by way of a file' bash -c 'cat "$0" >"$T/out.img" && cat "$T/out.img" >"$1"'
by 'tar, without settings' bash -c 'tar -C "${0%/disk}" -c disk | tar -C "${1%/disk}" -x'
mkdir "$C/other" && cp "$T/b.img" "$C/other/"
is 'other bytes have none' "$(terms "$C/other")" /
ok 'beside a clean disk that is there' bash -c 'mkdir "$1/mixed" && cp "$2" "$1/mixed/" && cp "$1/golden/disk" "$1/mixed/disk"' _ "$C" "$T/b.img"
is '… has the terms' "$(terms "$C/mixed")" '5 once/windows'
rm -r "$C/alone"
ok 'through the trash' mv "$(printf '%s\n' "$R/.trash/custom"/alone@* | tail -n 1)" "$C/alone"
keeps 'restored' "$C/alone"
rm -r "$C/alone"
refused 'not in the trash either' EPERM 'cannot be changed' bash -c 'rm "$1"/alone@*/price' _ "$R/.trash/custom"
ok 'what is in the trash goes whole' bash -c 'rm -r "$1"/alone@*' _ "$R/.trash/custom"
ok 'tar brings them along' bash -c 'mkdir "$1/tarred" && tar -C "$1/golden" -c . | tar -C "$1/tarred" -x' _ "$C"
ok 'and rsync-like renames' bash -c 'cp "$1/golden/price" "$1/golden/.price.XyZ" && mv "$1/golden/.price.XyZ" "$1/golden/price"' _ "$C"
echo '9 hour' >"$P/free/price"
ok 'another image with a price' true
mkdir "$C/both"
cp "$C/golden/disk" "$C/both/disk"
refused 'bytes of two with a price' EPERM 'bytes of an image with another price' \
	dd if="$P/free/disk" of="$C/both/disk" bs=64K count=1 seek=20 conv=notrunc status=none
is 'nothing has changed' "$(terms "$C/both")" '5 once/windows'
rm -r "$C/both"
echo '0 once' >"$P/free/price"
is 'a price of nothing is none' "$(status_of "$P/free" start-price)" '0.02 USD/hour'
rm "$P/free/price"

begin 'terms are those of the start'
echo '8 hour' >"$P/win/price"
printf 'instance-price 0.5\nwindows-fee 0.7\n' >"$R/.region"
is 'an instance keeps its own' "$(status_of "$I/linked" price), $(status_of "$I/linked" instance-price), $(status_of "$I/linked" windows-fee)" \
	'5 USD once, 0.02 USD/hour, 0.01 USD/hour'
cp -r "$P/win" "$I/late"
is 'a later one has new ones' "$(status_of "$I/late" price), $(status_of "$I/late" instance-price), $(status_of "$I/late" windows-fee)" \
	'8 USD/hour, 0.5 USD/hour, 0.7 USD/hour'
is 'an image made before keeps them too' "$(terms "$C/golden")" '5 once/windows'
rm -r "$I/late"
mv "$R/.trash/instances"/late@* "$I/late"
is 'restored, it has its own' "$(status_of "$I/late" price)" '8 USD/hour'
ok 'installed anew with a free one' ln -sfnr "$P/free" "$I/late/image"
is 'it is free, at the rate of now' "$(status_of "$I/late" price)$(status_of "$I/late" license), $(status_of "$I/late" instance-price)" ', 0.5 USD/hour'
ok 'an image of it' cp -r "$I/late" "$C/clean"
is 'is free as well' "$(terms "$C/clean")" /
ok 'the disk that it had' mv "$R/.trash/instances"/late@* "$I/old"
is 'has the price that it had' "$(status_of "$I/old" price)" '8 USD/hour'
ok 'charged bytes into a running server' cp --no-preserve=all "$C/golden/disk" "$I/late/disk"
is 'bring their terms' "$(status_of "$I/late" price), $(status_of "$I/late" license)" '5 USD once, windows'
cp -r "$C/clean" "$I/fresh"
ok 'also by dd' dd if="$C/golden/disk" of="$I/fresh/disk" bs=1M conv=notrunc status=none
is 'bring their terms too' "$(status_of "$I/fresh" price), $(status_of "$I/fresh" license)" '5 USD once, windows'

begin 'other licences'
ok 'bring your own' publish byol "$T/c.img" os 'windows 2019' license byol
is 'costs no fee' "$(status_of "$P/byol" start-price)" '0.5 USD/hour'
cp -r "$P/byol" "$C/byol"
is 'and stays so' "$(status_of byol start-price)" '0.5 USD/hour'
refused 'a license that was inherited cannot be removed' EPERM 'cannot be changed' rm "$C/byol/license"

done_testing
