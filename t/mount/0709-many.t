#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ten thousand images in one directory: nothing is missing, twice, or refused.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need busybox jq

N=10000
new_store
mount_store
C=$M/ap-beijing/custom
cd "$C" || exit 99
echo 'images-per-region none' >"$M/.policy"
seq -f 'image-%05g' $N >"$T/names"
ok "mkdir of $N" xargs -P 16 -n 50 -a "$T/names" mkdir
make_disk "$T/a.img" 4 1 1
cp "$T/a.img" image-05000/ && echo 'debian 12' >image-05000/os
ln -s image-05000 latest

sort "$T/names" - <<<latest >"$T/sorted"
listed() { "$@" | sort | cmp "$T/sorted" -; }
ok 'ls' listed ls
ok 'ls -f' listed bash -c 'ls -f | grep -vx "\.\.\?"'
ok 'a glob' listed bash -c 'printf "%s\n" *'
ok 'find' listed find . -mindepth 1 -maxdepth 1 -printf '%f\n'
ok 'busybox ls' listed busybox ls
is 'ls -l' "$(ls -l | grep -c '^drwxr-xr-x')" $N
is 'ls -lR finds what is in them' "$(ls -lR | grep -E ' (disk|os)$' | awk '{ print $5 }' | xargs)" "$((4 << 20)) 10"
is 'ls -lR lists all' "$(ls -lR | grep -c '^\./')" $N
is 'find goes through all' "$(find . -type d | wc -l) $(find . -type f | wc -l) $(find . -type l | wc -l)" "$((N + 1)) 2 1"
is 'each with a number of its own' "$(find . -printf '%i\n' | sort -u | wc -l)" $((N + 4))
is '.list has all' "$(wc -l <"$M/.list")" $((N + 1))
is '.list has each once' "$(tail -n +2 "$M/.list" | cut -f 3 | sort | cmp - "$T/names" && echo each)" each
is 'imagefs status counts them' "$(imagefs status "$STORE" --json | jq .custom)" $N
ok 'each can be looked up' xargs -a "$T/names" stat -t
is 'who lists while others are removed sees the others once' \
	"$(perl -e 'opendir D, "."; my %n; while (defined(my $f = readdir D)) { $n{$f}++; rmdir $f if $f =~ /^image-0[01]..[13579]$/ }
		print join " ", scalar(grep { /^image/ } keys %n), scalar(grep { $_ > 1 } values %n)')" "$N 0"
is 'they are gone' "$(ls | grep -c ^image)" $((N - 1000))
is 'also for a listing that was kept' "$(ls -f | grep -c ^image)" $((N - 1000))
ok 'a new one' mkdir image-00001
is 'is there' "$(ls | head -n 1)" image-00001
cd / || exit 99
umount_store
mount_store
is 'all is there after a restart' "$(ls "$C" | wc -l)" $((N - 998))
ok 'whole' same "$T/a.img" "$C/image-05000/disk"
done_testing
