#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Settings are files: whatever writes small files sets them; a bad value is refused and the old one stays.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need busybox rsync

new_store
mount_store
make_disk "$T/a.img" 4 1 1
I=$M/ap-beijing/custom/web
mkdir "$I" && cp "$T/a.img" "$I/"
cd "$I" || exit 99

begin 'all of them'
while IFS='|' read -r name value; do
	ok "$name is set" bash -c 'echo "$2" > "$1"' _ "$name" "$value"
	is "$name reads back" "$(cat "$name")" "$value"
	is "$name has its size" "$(stat -c %s "$name")" $((${#value} + 1))
done <<END
os|debian 12
arch|x86_64
description|a web server
software|nginx 1.22
category|web
support|https://example.com
guide|log in as admin
license|byol
price|0.25 hour
size|$((4 << 20))
sha256|$(sha256sum "$T/a.img" | cut -d' ' -f1)
END
is 'the listing has them, disk first' "$(ls -fA | xargs)" \
	'disk os arch description software category license price size sha256 support guide'
is '.list has os and arch' "$(awk -F '\t' '$3 == "web" { print $6 "/" $7 }' "$M/.list")" 'debian 12/x86_64'

begin 'bad values'
refuse() {
	local name=$1 value=$2 shown=${2@Q} before
	before=$(cat "$name")
	refused "$name: ${shown:0:30}" EINVAL "$3" bash -c 'echo "$2" > "$1"' _ "$name" "$value"
	is "$name stays" "$(cat "$name")" "$before"
}
refuse os 'Debian GNU/Linux' 'ID VERSION as in os-release'
refuse arch 'x86 64' 'one word'
refuse description "$(printf 'x%.0s' $(seq 257))" 'at most 256 characters'
refuse description $'bad\001character' 'control characters'
refuse description $'bad\377utf' 'UTF-8'
refuse license 'two words' 'windows, or byol'
refuse price 'much' 'AMOUNT'
refuse price '0.25 day' 'AMOUNT'
refuse size '4M' 'number of bytes'
refuse size 12345 'has 4194304 bytes'
refuse sha256 abc '64 hexadecimal digits'
refuse sha256 "$(printf '0%.0s' $(seq 64))" 'another SHA-256'
fails 'too long for any' 'File too large' bash -c 'printf "x%.0s" $(seq 6000) > software'
is 'and it stays' "$(cat software)" 'nginx 1.22'
refused 'without a newline it is refused at close' EINVAL '64 hexadecimal' \
	perl -e 'open(F, ">", "sha256") or die "open: $!\n"; print F "abc"; close(F) or die "close: $!\n"'
like 'and stays' "$(cat sha256)" '^[0-9a-f]{64}$'

begin 'description'
long=$(printf 'ü%.0s' $(seq 256))
ok '256 characters of two bytes' bash -c 'echo "$1" > description' _ "$long"
is 'are kept' "$(cat description)" "$long"
ok 'several lines' bash -c 'printf "one\ntwo\n\n\n" > description'
is 'are kept, with one newline at the end' "$(od -An -c description | tr -d ' \n')" 'one\ntwo\n'
ok 'text without a newline' bash -c 'printf x > description'
is 'gets one' "$(od -An -c description | tr -d ' \n')" 'x\n'

begin 'other ways to write'
ok '>>' bash -c 'printf "one\n" > software && echo two >> software'
is 'appends' "$(cat software)" $'one\ntwo'
ok 'sed -i' sed -i 's/two/three/' software
is 'changes' "$(cat software)" $'one\nthree'
ok 'busybox sed -i' busybox sed -i 's/three/four/' software
is 'changes too' "$(cat software)" $'one\nfour'
ok 'a file that is renamed onto it' bash -c 'echo debian 13 > .os.swp && mv .os.swp os'
is 'sets it' "$(cat os)" 'debian 13'
ok 'one with another name' bash -c 'echo debian 11 > os.new && mv os.new os'
is 'does, too' "$(cat os)" 'debian 11'
ok 'an editor: backup, write, unlink' bash -c 'mv os os~ 2>/dev/null || cp os os~; echo ubuntu 24.04 > os; rm -f os~'
is 'leaves the new value' "$(cat os)" 'ubuntu 24.04'
echo Not Valid >.os.new
refused 'a bad one that is renamed onto it' EINVAL 'ID VERSION' \
	perl -e 'rename(".os.new", "os") or die "$!\n"' # mv has words of its own for EINVAL
is 'leaves the old one' "$(cat os)" 'ubuntu 24.04'
rm -f .os.new
refused 'sed -i to a bad value' EINVAL 'ID VERSION' sed -i s/ubuntu/UBUNTU/ os
is 'leaves it, too' "$(cat os)" 'ubuntu 24.04'
rm -f sed*
echo 'nginx 1.26' >"$T/software"
ok 'cp' cp "$T/software" software
is 'sets' "$(cat software)" 'nginx 1.26'
echo apache >"$T/software"
ok 'rsync' rsync -c "$T/software" ./
is 'sets' "$(cat software)" apache
echo lighttpd >"$T/software"
ok 'install' install -m 644 "$T/software" software
is 'sets' "$(cat software)" lighttpd
ok 'tee -a' bash -c 'echo caddy | tee -a software'
is 'appends' "$(cat software)" $'lighttpd\ncaddy'
ok 'dd' bash -c 'echo tomcat | dd of=software status=none'
is 'sets' "$(cat software)" tomcat
ok 'truncating by opening changes nothing, as long as nothing is written' bash -c ': > software'
is 'the value stays' "$(cat software)" tomcat
ok 'an empty line clears' bash -c 'echo > software'
ok 'it is gone' absent software
is 'nothing else is left of all that' "$(ls -A | xargs)" 'arch category description disk guide license os price sha256 size support'
ok 'the disk is what it was' same "$T/a.img" disk

begin 'removing'
ok 'rm' rm price
ok 'clears' absent price
fails 'a second time there is none' 'No such file' rm price
ok 'it can be set again' bash -c 'echo 1 once > price'
is 'and is' "$(cat price)" '1 once'

begin 'before the disk'
I=$M/ap-beijing/custom/sums
mkdir "$I" && cd "$I" || exit 99
for name in os arch description; do echo "$name" >$name; done
is 'settings may come first' "$(ls | xargs)" 'arch description os'
ok 'size' bash -c "echo $((4 << 20)) > size"
ok 'sha256' bash -c "sha256sum < $T/a.img | cut -c 1-64 > sha256"
head -c 1M "$T/a.img" >"$T/cut.img"
run cp "$T/cut.img" disk
is 'half of it is pending' "$(grep state: .status)" 'state: pending'
like 'and says what is missing' "$(grep reason: .status)" '1048576.*4194304'
make_disk "$T/b.img" 4 1 2
refused 'other bytes' EINVAL 'SHA-256' cp "$T/b.img" disk
is 'have failed' "$(grep state: .status)" 'state: failed'
ok 'the right ones' cp "$T/a.img" disk
is 'are available' "$(grep state: .status)" 'state: available'
is 'with their sum in .status' "$(sed -n 's/^sha256: //p' .status)" "$(cat sha256)"
is 'os stays what it was set to' "$(cat os)" os

begin 'what a copy brings along'
mkdir "$M/ap-beijing/custom/copy" && cd "$M/ap-beijing/custom/copy" || exit 99
for name in from owner reviewed image zone; do
	ok "$name is accepted as a file" bash -c 'echo anything > "$1"' _ $name
done
for name in from image; do
	ok "$name is accepted as a link" ln -s ../web $name
done
is 'and nothing is made of it' "$(ls -A)" ''
ok 'cp -r of an image with settings' cp -r "$M/ap-beijing/custom/web" "$M/ap-guangzhou/custom/"
ok 'brings them' diff -r "$M/ap-beijing/custom/web" "$M/ap-guangzhou/custom/web" -x from
is 'and the link to where it came from' "$(readlink "$M/ap-guangzhou/custom/web/from")" '../../../ap-beijing/custom/web'
ok 'which leads there' test "$M/ap-guangzhou/custom/web/from/" -ef "$M/ap-beijing/custom/web"
ok 'cp of its disk alone' bash -c 'mkdir "$2" && cp "$1" "$2/"' _ "$M/ap-beijing/custom/web/disk" "$M/ap-guangzhou/custom/bare"
is 'knows its sum without a setting' "$(sed -n 's/^sha256: //p' "$M/ap-guangzhou/custom/bare/.status")" \
	"$(sha256sum <"$T/a.img" | cut -c 1-64)"
ok 'and not when it is written again' dd if="$T/b.img" of="$M/ap-guangzhou/custom/bare/disk" bs=1M count=1 seek=1 skip=1 conv=notrunc status=none
is 'unless somebody asks' "$(grep -c ^sha256: "$M/ap-guangzhou/custom/bare/.status")" 0
ok 'a copy of the copy' cp -r "$M/ap-guangzhou/custom/web" "$M/ap-shanghai/custom/web"
is 'comes from the copy' "$(readlink "$M/ap-shanghai/custom/web/from")" '../../../ap-guangzhou/custom/web'
tar -C "$M/ap-guangzhou/custom" -cf "$T/web.tar" web
ok 'tar brings them, too' tar -C "$M/ap-hongkong/custom" -xf "$T/web.tar"
ok 'all' diff -r "$M/ap-beijing/custom/web" "$M/ap-hongkong/custom/web" -x from
ok 'but no lineage: its bytes came from a file' absent "$M/ap-hongkong/custom/web/from"

if command -v mke2fs >/dev/null; then
	begin 'os and arch are found in the disk'
	mkdir -p "$T/root/etc" "$T/root/usr/lib" "$T/root/bin"
	printf 'NAME="Debian"\nID=debian\nVERSION_ID="12"\n' >"$T/root/usr/lib/os-release"
	ln -s ../usr/lib/os-release "$T/root/etc/os-release"
	printf '\177ELF\002\001\001\0\0\0\0\0\0\0\0\0\002\0\076\0\001\0\0\0' >"$T/root/bin/sh"
	head -c 1000 /dev/zero >>"$T/root/bin/sh"
	truncate -s 8M "$T/os.img"
	ok 'a file system with a system' mke2fs -q -t ext4 -d "$T/root" "$T/os.img"
	I=$M/ap-shanghai/custom/os
	mkdir "$I" && cd "$I" || exit 99
	ok 'is taken' cp "$T/os.img" disk
	is 'os' "$(cat os)" 'debian 12'
	is 'arch' "$(cat arch)" x86_64
	ok 'they can be changed' bash -c 'echo debian 12.6 > os'
	is 'and stay so' "$(cat os)" 'debian 12.6'
	I=$M/ap-shanghai/custom/os2
	mkdir "$I" && cd "$I" || exit 99
	echo arch >os
	ok 'what was set before' cp "$T/os.img" disk
	is 'is not overwritten' "$(cat os)" arch
fi
cd / || exit 99
done_testing
