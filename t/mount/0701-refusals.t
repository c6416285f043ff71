#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every refusal has its errno, leaves a sentence in .why, and loses nothing.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need jq

new_store
mount_store
cd "$M" || exit 99
make_disk "$T/a.img" 4 1 1
C=ap-beijing/custom
mkdir $C/web
ok 'an import' cp "$T/a.img" $C/web/

begin 'places that are fixed'
refused 'mkdir in a region' EPERM 'directories are made in' mkdir ap-beijing/other
refused 'rmdir of a type' EPERM 'belongs to the tree' rmdir ap-beijing/custom
refused 'rmdir of accounts' EPERM 'belongs to the tree' rmdir accounts
refused 'mv of a region' EPERM 'belongs to the tree' mv -T ap-shanghai ap-elsewhere
refused 'mv of a type' EPERM 'belongs to the tree' mv -T ap-beijing/public ap-beijing/private
refused 'rm of a generated file' EPERM 'belongs to the tree' rm -f .list
refused 'a file in the root' EPERM 'files are made in the directory of an image' cp "$T/a.img" .
refused 'a file in a region' EPERM 'files are made in the directory of an image' cp "$T/a.img" ap-beijing/
refused 'mkdir in shared' EPERM 'what others share with you shows here' mkdir ap-beijing/shared/x
refused 'mkdir in the trash' EPERM 'fills when something is deleted' mkdir ap-beijing/.trash/custom/x
refused 'a link in a region' EPERM 'beside images' ln -s custom ap-beijing/mine

begin 'making images'
refused 'a file beside images' EINVAL 'first mkdir NAME here, then cp a.img NAME/' cp "$T/a.img" $C/
refused 'a directory in an image' EINVAL 'an image has no directories' mkdir $C/web/sub
refused 'cp -r of a folder into an image' EINVAL 'cp -rT' cp -r "$T" $C/web/sub
fails 'a name that is taken' 'File exists' mkdir $C/web
refused 'a name with a dot in front' EINVAL 'begin with a dot' mkdir $C/.hidden
refused 'a name with @' EINVAL 'cannot contain @' mkdir $C/web@bob
refused 'a name with a control character' EINVAL 'control characters' mkdir "$C/a"$'\t'b
is 'and .why has six fields all the same' "$(tail -n 1 .why | awk -F '\t' '{ print NF }')" 6
refused 'a name with a newline' EINVAL 'control characters' mkdir "$C/a"$'\n'b
is 'and .why has one line for it' "$(tail -n 1 .why | awk -F '\t' '{ print NF }')" 6
refused 'hard links' EPERM 'no hard links' ln $C/web/disk $C/web/other
refused 'a fifo' EPERM 'only ordinary files' mkfifo $C/web/fifo
[ "$(id -u)" -ne 0 ] || refused 'a device' EPERM 'only ordinary files' mknod $C/web/null c 1 3
refused 'a link in an image' EINVAL 'means nothing here' ln -s disk $C/web/latest

begin 'moving'
mkdir $C/other
refused 'from image to image' EXDEV 'not moved from one image to another' \
	perl -e 'rename($ARGV[0], $ARGV[1]) or die "$!\n"' $C/web/disk $C/other/disk
refused 'from region to region' EXDEV 'is copied to another place' \
	perl -e 'rename($ARGV[0], $ARGV[1]) or die "$!\n"' $C/web ap-guangzhou/custom/web
refused 'into the trash' EPERM 'rm -r' mv $C/web ap-beijing/.trash/custom/web
refused 'onto an image that is not empty' ENOTEMPTY 'called web already' mv -T $C/other $C/web
refused 'to a name that cannot be' EINVAL 'begin with a dot' \
	perl -e 'rename($ARGV[0], $ARGV[1]) or die "$!\n"' $C/other $C/.other
is 'nothing was lost' "$(ls $C | xargs)" 'other web'
ok 'nor changed' same "$T/a.img" $C/web/disk

begin 'removing'
refused 'rmdir of what has a disk' ENOTEMPTY 'rm -r deletes it' rmdir $C/web
echo x >$C/other/description
refused 'rmdir of what has settings' ENOTEMPTY 'has settings' rmdir $C/other
rm $C/other/description
ok 'rmdir of what is empty' rmdir $C/other
refused 'rmdir of a region that holds something' ENOTEMPTY 'still holds' rmdir ap-beijing

begin 'changing'
refused 'writing to a disk that was read' EPERM 'has been used' dd if="$T/a.img" of=$C/web/disk conv=notrunc status=none
refused 'truncating it' EPERM 'has been used' truncate -s 1M $C/web/disk
refused 'uploading another' EPERM 'has been used' cp "$T/a.img" $C/web/disk
ok 'nothing changed' same "$T/a.img" $C/web/disk

begin 'quota'
refused 'a policy that does not exist' EINVAL 'NAME VALUE' bash -c 'echo images 3 > .policy'
refused 'a value that is none' EINVAL 'is a number' bash -c 'echo images-per-region many > .policy'
is 'the policy is what it was' "$(grep ^images-per-region .policy)" 'images-per-region 10'
for n in 2 3 4 5 6 7 8 9 10; do mkdir $C/i$n || flunk "image $n" 'mkdir failed'; done
refused 'the eleventh image' EDQUOT '10 custom images here and policy images-per-region allows 10' mkdir $C/i11
ok 'another region has room' mkdir ap-guangzhou/custom/i11
ok 'an operator raises it in this region' bash -c 'echo images-per-region 11 > ap-beijing/.policy'
is 'it is in force there' "$(grep ^images-per-region ap-beijing/.policy)" 'images-per-region 11'
is 'and nowhere else' "$(grep ^images-per-region ap-guangzhou/.policy)" 'images-per-region 10'
ok 'the eleventh' mkdir $C/i11
refused 'the twelfth' EDQUOT 'allows 11' mkdir $C/i12
ok 'it goes back to the default' bash -c 'echo images-per-region - > ap-beijing/.policy'
is 'that is 10' "$(grep ^images-per-region ap-beijing/.policy)" 'images-per-region 10'
rmdir $C/i11 $C/i10 $C/i9
ok 'what was removed makes room' mkdir $C/i9
rm -r $C/web
ok 'also what is in the trash' mkdir $C/i10 $C/i11
refused 'restoring needs room again' EDQUOT 'allows 10' mv $C/../.trash/custom/web@* $C/web
rmdir $C/i10
ok 'and has it then' bash -c "mv $C/../.trash/custom/web@* $C/web"
ok 'operations can be limited, too' bash -c 'echo operations-per-day 2 > ap-hongkong/.policy'
mkdir ap-hongkong/custom/a ap-hongkong/custom/b
refused 'the third of the day' EDQUOT 'operations-per-day allows 2' mkdir ap-hongkong/custom/c

begin 'size'
ok 'max-disk' bash -c 'echo max-disk 2M > .policy'
mkdir ap-shanghai/custom/big
refused 'a larger one' EFBIG 'larger than policy max-disk allows' cp "$T/a.img" ap-shanghai/custom/big/disk
is 'is not available' "$(grep -c 'state: available' ap-shanghai/custom/big/.status)" 0
refused 'truncate' EFBIG 'max-disk' truncate -s 3M ap-shanghai/custom/big/disk
echo 'max-disk -' >.policy
ok 'it is taken when it may' cp "$T/a.img" ap-shanghai/custom/big/disk
is 'and is available' "$(grep state: ap-shanghai/custom/big/.status)" 'state: available'

begin 'a region that takes no copies'
mkdir na-siliconvalley/custom/web
refused 'a copy' EROFS 'na-siliconvalley takes no copies' cp $C/web/disk na-siliconvalley/custom/web/
is 'nothing came of it' "$(grep state: na-siliconvalley/custom/web/.status)" 'state: pending'
mkdir na-siliconvalley/custom/other
ok 'who reads and writes makes an import' cp --reflink=never --sparse=always $C/web/disk na-siliconvalley/custom/other/
ok 'an import is allowed' cp "$T/a.img" na-siliconvalley/custom/web/
ok 'copies inside of it, too' cp -r na-siliconvalley/custom/web na-siliconvalley/custom/again
is 'and becomes available' "$(grep state: na-siliconvalley/custom/web/.status)" 'state: available'
ok 'copies go out of it' cp -r na-siliconvalley/custom/web ap-guangzhou/custom/from-usa
ok 'whole' same "$T/a.img" ap-guangzhou/custom/from-usa/disk

begin 'no disk images'
mkdir ap-shanghai/custom/bad
head -c 100000 /dev/urandom >"$T/noise"
qcow() { printf 'QFI\373\0\0\0\3' && head -c 100000 /dev/zero; }
qcow >"$T/x.qcow2"
refused 'a container' EINVAL 'qcow2' cp "$T/x.qcow2" ap-shanghai/custom/bad/
is 'fails' "$(grep state: ap-shanghai/custom/bad/.status)" 'state: failed'
like 'and says why' "$(grep reason: ap-shanghai/custom/bad/.status)" 'qcow2'
ok 'it can be uploaded again' cp "$T/a.img" ap-shanghai/custom/bad/
is 'and is available then' "$(grep state: ap-shanghai/custom/bad/.status)" 'state: available'
like 'the failure is in .log' "$(awk -F '\t' '$6 == "EINVAL"' .log)" 'import.*ap-shanghai/custom/bad.*qcow2'

begin 'what is in the wrong place'
refused 'an instance from a link' EINVAL 'slash' ln -s ../custom/web ap-beijing/instances/vm
refused 'a marketplace image without support and guide' EINVAL 'support' cp -r $C/web ap-beijing/marketplace/
rm -r ap-beijing/marketplace/web
is 'nothing came of it' "$(ls ap-beijing/instances ap-beijing/marketplace | grep -vE ':$|^$')" ''

begin '.why'
for _ in $(seq 60); do mkdir $C/.a $C/.b $C/.c $C/.d; done 2>/dev/null
is 'keeps the last 200' "$(wc -l <.why)" 200
like 'each with a time' "$(cut -f 1 .why | sort -u | tail -n 1)" '^20[0-9-]+T[0-9:.]+Z$'
before=$(cat .why)
kill -9 "$(store_daemon_pid)"
is 'survives the daemon' "$(cat .why)" "$before"
cd / || exit 99
done_testing
