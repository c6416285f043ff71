#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copies of servers: another server, by cp -r of the one; and images of servers that have nothing on their disks.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
begin 'clones'
instance_store

noise "$T/a.img" $((12 << 20))
import base "$T/a.img"
import other "$T/a.img"
start() { mkdir "$I/$1" && ln -s ../../custom/base "$I/$1/image"; }
start v
cp "$T/a.img" "$T/model"
for at in 0 70000 $((12 * 1048576 - 30)); do
	try_write "$I/v/disk" "$at" "server v"
	try_write "$T/model" "$at" "server v"
done

begin 'cp -r of a server'
packs=$(pack_bytes)
ok 'makes another' cp -r "$I/v" "$I/w"
is_instance 'it has what the one has' w "$T/model" "$C/base"
ok "at the cost of what was written ($(($(pack_bytes) - packs)) bytes)" test $(($(pack_bytes) - packs)) -lt $((4 * 65536 + 60000))
is 'its image knows of it' "$(grep -c 'instances/w' "$C/base/.status")" 1
try_write "$I/w/disk" 100 'server w'
ok 'what is written to it' same "$T/model" "$I/v/disk"
try_write "$I/v/disk" 200 'server v'
is 'is its own' "$(bytes_at "$I/w/disk" 100 8) $(bytes_at "$I/v/disk" 200 8)" 'server w server v'
try_write "$T/model" 200 'server v'
ok 'cp -a as well' cp -a "$I/v" "$I/x"
is_instance 'with the same' x "$T/model" "$C/base"
ok 'a copy of a copy' cp -r "$I/x" "$I/y"
is_instance 'is a server of the same image' y "$T/model" "$C/base"
ok 'cp -r into the folder' cp -r "$I/v" "$I/y2"
rm -r "$C/base"
ok 'when its image is gone' cp -r "$I/v" "$I/z"
holds 'as well' "$I/z" "$T/model"
imagefs gc "$STORE" >/dev/null
holds 'also after gc' "$I/z" "$T/model"

begin 'one moment'
diskop=$(helper_path diskop)
"$diskop" count "$I/v/disk" 100 69632 >"$T/rounds" &
writer=$!
ok 'a writer goes round' wait_until 30 grep -q round "$T/rounds"
ok 'cp -r while it writes' cp -r "$I/v" "$I/moment"
ok 'the copy is of one moment' "$diskop" count-check "$I/moment/disk" 100 69632
kill $writer
wait $writer 2>/dev/null

begin 'many at once'
pids=()
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
	cp -r "$I/w" "$I/many$n" &
	pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do
	wait "$pid" || failed=$((failed + 1))
done
is 'all of them are made' "$failed" 0
is 'each has its disk' "$(for n in "$I"/many*; do cmp "$I/w/disk" "$n/disk" && echo same; done | sort | uniq -c | xargs)" '12 same'

begin 'what starts a server all the same'
perl -e 'my ($link, $new) = @ARGV; readlink($link) or die; mkdir($new) or die; symlink("../../custom/other", "$new/image") or die' \
	"$I/w/image" "$I/scripted"
is_instance 'a program that reads one link and makes another' scripted "$T/a.img" "$C/other"
mkdir "$I/linked"
cp -P "$I/scripted/image" "$I/linked/"
is_instance 'a link that is copied into a folder that was there' linked "$T/a.img" "$C/other"
mkdir "$I/again"
ln -s "$(readlink "$I/scripted/image")" "$I/again/image"
is_instance 'a link with the text of another one' again "$T/a.img" "$C/other"

begin 'a link without its disk'
perl -e 'my ($link, $new) = @ARGV; my $text = readlink($link); mkdir($new) or die; symlink($text, "$new/image") or die' \
	"$I/scripted/image" "$I/half"
is 'a copy that ended after its link is no server yet' "$(state_of "$I/half")" pending
like 'and says what to do' "$(status_of "$I/half" reason)" 'ln -sfn'
ok 'which is done' ln -sfn ../../custom/other "$I/half/image"
is_instance 'and starts it' half "$T/a.img" "$C/other"

begin 'nothing but zeros'
mkdir "$I/zero"
ln -s ../../custom/other "$I/zero/image"
ok 'a server whose disk was discarded' fallocate --punch-hole --offset 0 --length $((12 << 20)) "$I/zero/disk"
head -c $((12 << 20)) /dev/zero >"$T/zero"
ok 'cp -r makes an image of it' cp -r "$I/zero" "$C/zero"
holds 'which is there' zero "$T/zero"
like 'and knows where it came from' "$(readlink "$C/zero/from")" 'instances/zero$'
ok 'a copy of that' cp -r "$C/zero" "$C2/zero"
holds 'is there too' "$C2/zero" "$T/zero"
image extents
ok 'a newer cp asks for the data, and there is none' fileop copy-extents "$I/zero/disk" "$C/extents/disk"
holds 'the image is there as well' extents "$T/zero"
like 'and knows it too' "$(readlink "$C/extents/from")" 'instances/zero$'
image extents2
ok 'the same with data' fileop copy-extents "$I/v/disk" "$C/extents2/disk"
ok 'is that data' same "$I/v/disk" "$C/extents2/disk"
mkdir "$I/fromzero"
ln -s ../../custom/zero "$I/fromzero/image"
is_instance 'a server can be made of it' fromzero "$T/zero" "$C/zero"
image upload
cp "$T/zero" "$C/upload/"
is 'an upload of zeros still waits for more' "$(state_of upload)" pending

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
