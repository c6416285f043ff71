#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# mv of images, within a region and across, and aliases that are moved in one step.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need rsync busybox

new_store
mount_store
make_disk "$T/a.img" 4 1 1
make_disk "$T/b.img" 4 1 2
touch -d 2001-02-03T04:05:06 "$T/a.img"
C=$M/ap-beijing/custom
cd "$C" || exit 99
mkdir web && cp -p "$T/a.img" web/disk && echo 'debian 12' >web/os
mkdir db && cp "$T/b.img" db/disk
id_of() { sed -n 's/^id: //p' "$1/.status"; }
id=$(id_of web)
number=$(stat -c %i web web/disk web/os)

begin 'within a region'
ok 'mv' mv web app
ok 'the old name is gone' absent web
is 'it is the same image' "$(id_of app)" "$id"
is 'with the same numbers' "$(stat -c %i app app/disk app/os)" "$number"
is 'and settings' "$(cat app/os)" 'debian 12'
ok 'and disk' same "$T/a.img" app/disk
ok 'mv into the same folder' mv app ./web
ok 'mv -n onto one that is there does nothing' mv -nT web db
ok 'both are there' test -d web -a -d db
is 'as they were' "$(id_of web)" "$id"
refused 'mv -T onto it' ENOTEMPTY 'there is an image called db already' mv -T web db
refused 'mv into an image' EINVAL 'an image has no directories' mv web db/
refused 'rename into an image' EXDEV 'an image has no directories' \
	perl -e 'rename("web", "db/web") or die "$!\n"'
ok 'both are there still' test -f web/disk -a -f db/disk
case $(uname -m) in x86_64) renameat2=316 ;; aarch64) renameat2=276 ;; *) renameat2= ;; esac
rename_with() {
	perl -e 'my ($nr, $from, $to, $flags) = @ARGV; syscall($nr + 0, -100, $from, -100, $to, $flags + 0) == 0 or die "$!\n"' \
		"$renameat2" "$@"
}
if [ -n "$renameat2" ]; then
	fails 'RENAME_NOREPLACE is kept' 'File exists' rename_with web db 1
	ok 'and renames where there is nothing' rename_with web free 1
	ok 'back' rename_with free web 1
	refused 'names are not exchanged' EINVAL 'not exchanged' rename_with web db 2
fi
ok 'an image that is open can be renamed' bash -c 'exec 3<web/disk && mv web open && cmp -s - "$1" <&3' _ "$T/a.img"
mv open web
mkdir half && head -c 1M "$T/b.img" >half/x.img
ok 'one that is pending, too' mv half half2
ok 'and goes on' dd if="$T/b.img" of=half2/x.img bs=1M skip=1 seek=1 status=none
is 'and is available' "$(grep state: half2/.status)" 'state: available'
ok 'with all bytes' same "$T/b.img" half2/disk
ok 'busybox mv' busybox mv half2 half
ok 'worked' test -f half/disk

begin 'across regions'
ok 'mv' mv web "$M/ap-shanghai/custom/"
ok 'it is gone here' absent web
ok 'and there' same "$T/a.img" "$M/ap-shanghai/custom/web/disk"
is 'with its mtime' "$(stat -c %Y "$M/ap-shanghai/custom/web/disk")" "$(stat -c %Y "$T/a.img")"
is 'and settings' "$(cat "$M/ap-shanghai/custom/web/os")" 'debian 12'
ok 'it is another image' test "$(id_of "$M/ap-shanghai/custom/web")" != "$id"
like 'the first one is in the trash' "$(ls "$M/ap-beijing/.trash/custom")" '^web@'
refused 'moving into a region that takes no copies' EROFS 'takes no copies' mv db "$M/na-siliconvalley/custom/"
ok 'loses nothing' same "$T/b.img" db/disk
rm -r "$M/na-siliconvalley/custom/db"
ok 'busybox mv' busybox mv "$M/ap-shanghai/custom/web" "$C/"
ok 'it is back' same "$T/a.img" web/disk
is 'with its mtime' "$(stat -c %Y web/disk)" "$(stat -c %Y "$T/a.img")"
ok 'rsync --remove-source-files' rsync -a --remove-source-files web "$M/ap-shanghai/custom/"
ok 'copies' same "$T/a.img" "$M/ap-shanghai/custom/web/disk"
ok 'back' mv -T "$M/ap-shanghai/custom/web" "$C/web2"
ok 'one of two' rm -r web

begin 'aliases'
mkdir v1 v2 && cp "$T/a.img" v1/disk && cp "$T/b.img" v2/disk
ok 'ln -s' ln -s v1 latest
is 'shows where it leads' "$(readlink latest)" v1
ok 'leads there' same "$T/a.img" latest/disk
is 'is counted as a use' "$(grep ^use: v1/.status)" 'use: alias ap-beijing/custom/latest'
ok 'ln -sfn' ln -sfn v2 latest
is 'moves it' "$(readlink latest)" v2
is 'it is a use no more' "$(grep -c ^use: v1/.status)" 0
ok 'busybox ln -sfn' busybox ln -sfn v1 latest
is 'moves it, too' "$(readlink latest)" v1
refused 'to what is not there' ENOENT 'no image v3 here' ln -s v3 broken
refused 'to an alias' ENOENT 'no image latest here' ln -s latest newest
refused 'with a path' EINVAL 'without a path' ln -s ../custom/v1 broken
refused 'absolute' EINVAL 'without a path' ln -s "$C/v1" broken
refused 'to nothing' EINVAL 'without a path|beside it' perl -e 'symlink("/", "broken") or die "$!\n"'
refused 'with a name that cannot be' EINVAL 'cannot contain @' ln -s v1 new@est
fails 'a second of this name' 'File exists' ln -sT v1 latest
fails 'over an image' 'cannot overwrite directory' ln -sfT v1 v2
ok 'it can be renamed' mv latest newest
is 'and leads to the same' "$(readlink newest)" v1
ok 'rmdir is not for it' bash -c '! rmdir newest'
ok 'rm removes it' rm newest
ok 'and only it' same "$T/a.img" v1/disk
ok 'ls -l shows it' bash -c 'ln -s v1 latest && ls -l | grep -q "latest -> v1$"'
ok 'a renamed target' mv v1 v1.1
is 'leaves the alias where it pointed, or follows' "$(readlink latest | grep -xE 'v1|v1\.1' | wc -l)" 1
mv v1.1 v1

begin 'it is moved in one step'
touch "$T/go"
sums="$(cksum <"$T/a.img") $(cksum <"$T/b.img")"
readers() {
	local n=0
	while [ -e "$T/go" ]; do
		sum=$(cksum <latest/disk) && [[ $sums == *"$sum"* ]] || echo "bad read $n"
		readlink latest | grep -qxE 'v1|v2' || echo "bad link $n"
		n=$((n + 1))
	done
	echo "$n" >"$T/reads.$BASHPID"
}
readers >"$T/reader.1" &
one=$!
readers >"$T/reader.2" &
two=$!
for n in $(seq 100); do
	ln -sfn "v$((n % 2 + 1))" latest || flunk "move $n" 'failed'
done
rm "$T/go"
wait $one $two
is 'who reads meanwhile always finds one or the other' "$(cat "$T/reader.1" "$T/reader.2")" ''
ok 'and did read' test "$(cat "$T"/reads.* | sort -n | head -n 1)" -gt 0
is 'nothing is left of the moves' "$(ls -A | xargs)" 'db half latest v1 v2 web2'
cd / || exit 99
done_testing
