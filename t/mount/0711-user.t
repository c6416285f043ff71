#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything as an ordinary user; and what is said when a mount can't be.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq fusermount3

make_disk "$T/a.img" 4 1 1
chmod 644 "$T/a.img"
install -d -o "$(user_id alice)" -m 755 "$T/alice" "$T/alice/mnt" "$T/alice/mnt2"
install -d -o "$(user_id bob)" -m 755 "$T/bob" "$T/bob/mnt"
STORE=$T/alice/store
M=$T/alice/mnt
alice() { as_user alice "$@"; }
bob() { as_user bob "$@"; }

begin 'an ordinary user'
ok 'init' alice imagefs init "$STORE"
for part in catalog pool overlay; do
	fails "$part is closed to others" 'Permission denied' bob ls "$STORE/$part"
done
fails 'and what is in the store cannot be listed' 'Permission denied' bob ls "$STORE"
test_mounts+=("$M")
ok 'mount' alice imagefs mount "$STORE" "$M"
is 'keeper and daemon are hers' "$(ps -o user= -p "$(alice imagefs status "$STORE" --json | jq -r '"\(.["daemon-pid"]),\(.["keeper-pid"])"')" | sort -u)" alice
is 'what is there, too' "$(alice stat -c %U "$M" "$M/ap-beijing/custom" | sort -u)" alice
ok 'she is operator' alice bash -c 'echo images-per-region 5 > "$1/.policy"' _ "$M"
ok 'import' alice imagefs import "$T/a.img" "$M/ap-beijing/custom/web" --os 'debian 12'
ok 'cp' alice bash -c 'mkdir "$1" && cp "$2" "$1/"' _ "$M/ap-beijing/custom/db" "$T/a.img"
ok 'reading' alice cmp "$T/a.img" "$M/ap-beijing/custom/web/disk"
ok 'cp -a to another region' alice cp -a "$M/ap-beijing/custom/web" "$M/ap-shanghai/custom/"
ok 'mv' alice mv "$M/ap-shanghai/custom/web" "$M/ap-guangzhou/custom/"
ok 'chmod' alice chmod a-w "$M/ap-guangzhou/custom/web"
fails 'protects from herself' 'Operation not permitted' alice rm -rf "$M/ap-guangzhou/custom/web"
ok 'until' alice chmod u+w "$M/ap-guangzhou/custom/web"
ok 'rm -r' alice rm -r "$M/ap-guangzhou/custom/web"
fails 'root does not see it' 'Permission denied' ls "$M/ap-beijing"
fails 'nor does bob' 'Permission denied' bob ls "$M/ap-beijing"
ok 'a second mount' alice imagefs mount "$STORE" "$M"2
ok 'shows the same' alice cmp "$T/a.img" "$M"2/ap-beijing/custom/web/disk
ok 'umount' alice imagefs umount "$M"2
kill -9 "$(alice imagefs status "$STORE" --json | jq '.["daemon-pid"]')"
ok 'the daemon comes back when it is killed' alice cmp "$T/a.img" "$M/ap-beijing/custom/db/disk"

begin 'mounts that cannot be'
# says CODE DESC TEXT CMD...
says() {
	local code=$1 what=$2 text=$3
	shift 3
	fails "$what" "$text" "$@"
	is '… with its exit code' "$status" "$code"
}
says 3 'a folder that is no store' 'is not a store' alice imagefs mount "$T/alice/mnt2" "$T/alice/mnt2"
says 3 'no folder to mount at' 'nowhere' alice imagefs mount "$STORE" "$T/alice/nowhere"
says 6 'a folder of somebody else' "$T/bob/mnt" alice imagefs mount "$STORE" "$T/bob/mnt"
says 6 "somebody else's store" 'account' bob imagefs mount "$STORE" "$T/bob/mnt"
says 4 'a folder that has the store' 'mounted' alice imagefs mount "$STORE" "$M"
touch "$T/alice/file" && chown "$(user_id alice)" "$T/alice/file"
fails 'a file instead of a folder' 'file' alice imagefs mount "$STORE" "$T/alice/file"
ok 'umount' alice imagefs umount "$M"
ok 'leaves nothing running' wait_until 10 nothing_left
says 6 'a store that nobody serves and that is not his' 'store' bob imagefs mount "$STORE" "$T/bob/mnt"
sed -i 's/imagefs store [0-9]*/imagefs store 99/' "$STORE/imagefs.store"
says 1 'a store of a newer version' 'newer' alice imagefs mount "$STORE" "$M"
sed -i 's/imagefs store 99/imagefs store 2/' "$STORE/imagefs.store"
alice bash -c 'exec 9<"$1/lock" && flock 9 && echo $$ >"$2" && exec sleep 60' _ "$STORE" "$T/home-alice/locker" 2>/dev/null &
locker=$!
wait_until 5 test -s "$T/home-alice/locker"
says 4 'a store that something else has open' 'in use' alice imagefs mount "$STORE" "$M"
kill "$(cat "$T/home-alice/locker")"
wait "$locker" 2>/dev/null
umount /dev/fuse
chmod 600 "$T/.private/fuse"
mount --bind "$T/.private/fuse" /dev/fuse
says 6 'a /dev/fuse that is closed' '/dev/fuse' alice imagefs mount "$STORE" "$M"
says 6 'and root, who may open it, has no account' 'uid 0 has no account' imagefs mount "$STORE" "$M"
umount /dev/fuse
: >"$T/.private/none"
mount --bind "$T/.private/none" /dev/fuse
fails 'no /dev/fuse at all' '/dev/fuse' alice imagefs mount "$STORE" "$M"
umount /dev/fuse
ok 'nothing of all this is left' wait_until 10 nothing_left

begin 'a mount that others can reach'
mount --bind "$T/.private/fuse" /dev/fuse
STORE=$T/store M=$T/mnt
new_store
mount_store --allow-other
ok 'its owner works in it' imagefs import "$T/a.img" "$M/ap-beijing/custom/web"
fails 'a stranger does not' 'Permission denied' alice ls "$M/ap-beijing/custom"
fails 'nor by a name' 'Permission denied' alice cat "$M/ap-beijing/custom/web/disk"
fails 'nor with files' 'Permission denied' alice cat "$M/.list"
fails 'nor makes anything' 'Permission denied' alice mkdir "$M/ap-beijing/custom/x"
mkdir "$M/accounts/alice" && echo "uids $(user_id alice)" >"$M/accounts/alice/.account"
fails 'nor with an account of her own: it is the view of another' 'Permission denied' alice ls "$M/ap-beijing/custom"
rmdir "$M/accounts/alice"
echo "uids 0 $(user_id alice)" >"$M/accounts/root/.account"
ok 'a second uid of the account does' wait_until 5 as_user alice cmp "$T/a.img" "$M/ap-beijing/custom/web/disk"
done_testing
