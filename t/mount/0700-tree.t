#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a mount shows: directories, generated files, status, times and numbers.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need jq getfattr

begin 'regions and types are directories'
new_store
mount_store
cd "$M" || exit 99
is 'the root has the regions and accounts' "$(ls | xargs)" \
	'accounts ap-beijing ap-guangzhou ap-hongkong ap-shanghai na-siliconvalley'
is 'a region has the five types' "$(ls ap-beijing | xargs)" 'custom instances marketplace public shared'
is 'the own name under accounts is a link to ..' "$(readlink "accounts/$(id -un)")" ..
ok 'and leads to the own view' test -d "accounts/$(id -un)/ap-beijing/custom"
is 'ls -a of the root' "$(ls -A | grep '^\.' | xargs)" '.account .bills .list .log .metrics .policy .usage .why'
is 'ls -a of a region' "$(ls -A ap-beijing | grep '^\.' | xargs)" '.list .policy .region .usage'
ok 'the trash is there though nobody lists it' test -d ap-beijing/.trash
is 'and has the types that things are deleted from' "$(ls ap-beijing/.trash | xargs)" 'custom instances marketplace public'
is 'every listing has . and ..' "$(ls -a ap-beijing/custom | xargs) $(ls -a | head -n 2 | xargs)" '. .. . ..'
is 'a type has no dot files' "$(ls -A ap-beijing/custom)" ''
is 'modes of directories' "$(stat -c %A . ap-beijing ap-beijing/custom | sort -u)" drwxr-xr-x
is 'what can be written is shown as such' "$(stat -c '%a %n' .policy ap-beijing/.policy ap-beijing/.region .list .why .log | xargs)" \
	'644 .policy 644 ap-beijing/.policy 644 ap-beijing/.region 444 .list 444 .why 444 .log'
is 'a listing shows the same modes' "$(find . -maxdepth 1 -name '.*' -printf '%m %f\n' | sort -k2 | xargs)" \
	'755 . 644 .account 755 .bills 444 .list 444 .log 444 .metrics 644 .policy 444 .usage 444 .why'

begin 'an image'
make_disk "$T/a.img" 8 3 1
before=$(date +%s)
ok 'mkdir' mkdir ap-beijing/custom/web
is 'an import begins as pending' "$(grep ^state: ap-beijing/custom/web/.status)" 'state: pending'
is 'and empty' "$(ls -A ap-beijing/custom/web)" ''
ok 'cp into it' cp "$T/a.img" ap-beijing/custom/web/
ok 'description' sh -c 'echo "a web server" > ap-beijing/custom/web/description'
is 'it holds its disk and what was set' "$(ls -A ap-beijing/custom/web | xargs)" 'description disk'
is 'the disk comes first in the directory itself' "$(ls -fA ap-beijing/custom/web | head -n 1)" disk
ok 'the name that was used leads to the disk still' test ap-beijing/custom/web/a.img -ef ap-beijing/custom/web/disk
ok 'it is the same disk' same "$T/a.img" ap-beijing/custom/web/disk
is 'size' "$(stat -c %s ap-beijing/custom/web/disk)" $((8 << 20))

begin '.status and the extended attributes'
facts=ap-beijing/custom/web/.status
is 'keys and their order' "$(cut -d: -f1 $facts | xargs)" \
	'id state protected sealed format virtual stored stored-alone digest created changed last-used owner start-price'
like 'id' "$(grep ^id: $facts)" '^id: img-[0-9a-f]{8}$'
is 'state' "$(grep ^state: $facts)" 'state: available'
is 'reading sealed it' "$(grep ^sealed: $facts)" 'sealed: yes'
is 'format' "$(grep ^format: $facts)" 'format: raw'
is 'virtual' "$(grep ^virtual: $facts)" "virtual: $((8 << 20))"
like 'digest' "$(grep ^digest: $facts)" '^digest: [0-9a-f]{64}$'
is 'owner' "$(grep ^owner: $facts)" "owner: $(id -un)"
while IFS=': ' read -r key value; do
	is "user.imagefs.$key is the same" "$(getfattr --only-values -n "user.imagefs.$key" ap-beijing/custom/web 2>/dev/null)" "$value"
done <$facts
is 'the disk has them, too' "$(getfattr --only-values -n user.imagefs.state ap-beijing/custom/web/disk)" available
is 'they are not listed' "$(getfattr -d -m - ap-beijing/custom/web ap-beijing/custom/web/disk)" ''
fails 'an unknown key is no attribute' 'No such attribute' getfattr -n user.imagefs.nonsense ap-beijing/custom/web
fails 'directories that are no images have none' 'No such attribute' getfattr -n user.imagefs.id ap-beijing/custom
unsupported='user.mime security.capability security.selinux system.posix_acl_access'
[ "$(id -u)" -ne 0 ] || unsupported+=' trusted.x' # nobody else gets so far
for name in $unsupported; do
	fails "getting $name is not supported" 'Operation not supported' getfattr -n $name ap-beijing/custom/web/disk
done
is 'what tools ask for all the time fills no .why' "$(grep -cE 'ENODATA|EOPNOTSUPP' .why)" 0
if command -v setfattr >/dev/null; then
	fails 'setting others is not supported' 'Operation not supported' setfattr -n user.mime -v x ap-beijing/custom/web
	fails 'removing others neither' 'Operation not supported' setfattr -x user.mime ap-beijing/custom/web
	refused 'what is computed cannot be set' EPERM 'computed' setfattr -n user.imagefs.state -v failed ap-beijing/custom/web
fi
refused '.status cannot be written' EPERM 'is made when it is read' sh -c "echo state: failed > ap-beijing/custom/web/.status"

begin 'files that are made when they are read'
is '.list has a header' "$(head -n 1 .list)" \
	"$(printf 'region\ttype\tname\tid\tstate\tos\tarch\tvirtual\tstored\tcreated\towner\tuses\thealth')"
is '.list has a line an image' "$(tail -n +2 .list | cut -f 1-3,5-8,11,12)" \
	"$(printf 'ap-beijing\tcustom\tweb\tavailable\t\t\t%d\t%s\t0' $((8 << 20)) "$(id -un)")"
is 'id and created are those of .status' "$(tail -n +2 .list | cut -f 4,10 | xargs)" \
	"$(sed -n 's/^\(id\|created\): //p' $facts | xargs)"
is "a region's .list has its own" "$(wc -l <ap-beijing/.list) $(wc -l <ap-guangzhou/.list)" '2 1'
ok 'a pending one' mkdir ap-guangzhou/custom/later
is 'is in .list' "$(awk -F '\t' '$3 == "later" { print $1, $5, $8 }' .list)" 'ap-guangzhou pending 0'
is '.log: who did what with what result' "$(head -n 1 .log | cut -f 2-6)" \
	"$(printf '%s\t%s\tcreate\tap-beijing/custom/web\tok' "$(id -un)" "$(id -u)")"
like '.log: when' "$(head -n 1 .log)" '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z'
is '.log: an import is in it once it is done' "$(awk -F '\t' '$4 == "import" { print $5, $6 }' .log)" 'ap-beijing/custom/web ok'
is '.log is oldest first' "$(cut -f 1 .log | sort -c && echo sorted)" sorted
like '.usage counts' "$(grep ap-beijing .usage)" '^ap-beijing +storage +images +1 +[1-9][0-9.]* [KM]iB '
is "a region's .usage has only itself" "$(awk '$2 == "storage" { print $1 }' ap-beijing/.usage | xargs)" ap-beijing
is '.metrics is Prometheus text' "$(grep -cvE '^(# (HELP|TYPE) imagefs_[a-z_]+ .+|imagefs_[a-z_]+ [0-9]+)$' .metrics)" 0
like '.metrics counts' "$(grep ^imagefs_objects .metrics)" '^imagefs_objects [1-9]'
is '.policy tells the default' "$(grep images-per-region .policy)" 'images-per-region 10'
is '.account' "$(head -n 2 .account | xargs)" "uids $(id -u) operator yes"
ok 'it is that under accounts' same .account "accounts/$(id -un)/.account"
like '.region' "$(cat na-siliconvalley/.region)" 'copy no'
for file in .list .why .log .usage .metrics; do
	fails "$file cannot be written" 'Operation not permitted' sh -c "echo x > $file"
done

begin 'times'
now=$(date +%s)
m=$(stat -c %Y ap-beijing/custom/web/disk)
ok 'mtime of a disk is when its content came' test "$m" -ge "$before" -a "$m" -le "$now"
m=$(stat -c %Y ap-beijing/custom/web)
ok 'mtime of the directory is when it was made' test "$m" -ge "$before" -a "$m" -le "$now"
is 'the same as created' "$(date -u -d "@$m" +%Y-%m-%dT%H:%M:%SZ)" "$(sed -n 's/^created: //p' $facts)"
touch -d 2001-02-03T04:05:06 "$T/a.img"
mkdir ap-beijing/custom/old
ok 'cp -p' cp -p "$T/a.img" ap-beijing/custom/old/disk
is 'keeps mtime' "$(stat -c %Y ap-beijing/custom/old/disk)" "$(stat -c %Y "$T/a.img")"
ok 'a disk can be touched' touch -d 2002-02-02T02:02:02 ap-beijing/custom/old/disk
is 'and has that time' "$(stat -c %Y ap-beijing/custom/old/disk)" "$(date -d 2002-02-02T02:02:02 +%s)"
mkdir ap-guangzhou/custom/now && cp -p "$T/a.img" ap-guangzhou/custom/now/
dd if="$T/a.img" of=ap-guangzhou/custom/now/disk bs=4096 count=1 conv=notrunc status=none
ok 'what is written later gives it a new one' test "$(stat -c %Y ap-guangzhou/custom/now/disk)" -ge "$before"
mkdir ap-guangzhou/custom/later2 && : >ap-guangzhou/custom/later2/x.img
is 'what is not available yet has mtime 0' "$(stat -c %Y ap-guangzhou/custom/later2/x.img)" 0

begin 'inode numbers'
numbers() { find "$M" -printf '%i %P\n' | sort -k 2; }
no_links() { find "$M" -printf '%i\n' | sort | uniq -d; }
is 'no two things have the same' "$(no_links)" ''
for image in web old; do
	is "$image: the disk has the highest of its directory" "$(ls -iA ap-beijing/custom/$image | sort -n | awk 'END { print $2 }')" disk
done
is 'stat and listing agree' "$(find . -mindepth 1 -exec stat -c '%i %n' {} + | sort)" "$(find . -mindepth 1 -printf '%i %p\n' | sort)"
numbers >"$T/before"
deleted=$(find ap-beijing/custom/old -printf '%i\n')
cd / || exit 99
umount_store
ok 'the daemon ended' wait_until 10 nothing_left
mount_store
cd "$M" || exit 99
numbers >"$T/after"
ok 'they are the same after all was unmounted and mounted again' same "$T/before" "$T/after"
kill -9 "$(store_daemon_pid)"
numbers >"$T/after"
ok 'and when the daemon was killed meanwhile' same "$T/before" "$T/after"
rm -r ap-beijing/custom/old
rm -r ap-beijing/.trash/custom/old*
mkdir ap-beijing/custom/new && cp "$T/a.img" ap-beijing/custom/new/ && echo x >ap-beijing/custom/new/description
is 'none is used a second time' "$(find ap-beijing/custom/new -printf '%i\n' | grep -Fx "$deleted")" ''
cd / || exit 99
done_testing
