#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is said helps: users are added to an account beside those that it has, waiting says what it waits for, an owner is told which
# file is closed to them, a path in a mount will do for its store, and damage comes with its cure.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need_root
need jq
alice() { as_user alice "$@"; }
uids() {
	alice imagefs account show "$STORE" bob --json | jq -c .uid
}

chmod 755 "$T"
for user in alice carol; do
	install -d -o "$(user_id $user)" -m 755 "$T/$user" "$T/$user/mnt"
done

begin 'uids of an account'
STORE=$T/alice/store
alice imagefs init "$STORE"
alice imagefs account add "$STORE" bob --uid 61050
ok 'a user more' alice imagefs account set "$STORE" bob --add-uid 61051
is 'is one beside the other' "$(uids)" '[61050,61051]'
ok 'two more and one less, at once' alice imagefs account set "$STORE" bob --add-uid 61052 --add-uid 61053 --remove-uid 61050
is 'and that is what there is' "$(uids)" '[61051,61052,61053]'
fails 'one that is not there' 'does not belong to the account bob' alice imagefs account set "$STORE" bob --remove-uid 61050
fails 'her own' 'nobody takes their own uid' alice imagefs account set "$STORE" alice --remove-uid alice
fails 'all of them and one more' usage alice imagefs account set "$STORE" bob --uid 61050 --add-uid 61051
ok '--uid says all that there are' alice imagefs account set "$STORE" bob --uid 61054
is 'and no others' "$(uids)" '[61054]'
like 'who has no account is told of the way that adds' "$(as_user carol imagefs mount "$STORE" "$T/carol/mnt" 2>&1; as_user carol imagefs account list "$STORE" 2>&1)" \
	'nobody serves|--add-uid'

begin 'a file that is closed to the owner'
chown root: "$STORE/catalog/data.mdb"
fails 'is named' "yours, but $STORE/catalog/data.mdb may not be read" alice imagefs gc "$STORE"
chown "$(stat -c %u "$STORE")" "$STORE/catalog/data.mdb"
chown root: "$STORE/lock"
fails 'also when a daemon is to start' "yours, but $STORE/lock may not be read" alice imagefs mount "$STORE" "$T/alice/mnt"
chown "$(stat -c %u "$STORE")" "$STORE/lock"
fails 'to others it is the store that is closed' 'nobody serves' as_user bob imagefs gc "$STORE"

begin 'a path in a mount'
STORE=$T/store
data_store
noise "$T/a.img" $((3 << 20))
import a "$T/a.img"
cd "$C/a" || exit 99
ok 'gc of here' imagefs gc .
ok 'check of here' imagefs check .
ok 'accounts of here' imagefs account list .
cd / || exit 99

begin 'waiting'
image cut
make_disk "$T/whole.img" 12 5 1
head -c 5M "$T/whole.img" >"$T/part.img"
cp "$T/part.img" "$C/cut/" 2>/dev/null
is 'an upload that is cut is pending' "$(state_of cut)" pending
imagefs status --wait "$C/cut" >"$T/wait.out" 2>"$T/wait.err" &
waiter=$!
said() {
	grep -q "$1" "$T/wait.err"
}
ok 'what is waited for is said' wait_until 10 said 'still pending: .*partition table'
rm -r "$C/cut"
wait "$waiter"
image junk
printf 'QFI\xfb%0512d' 0 | head -c 512 >"$T/junk.img"
cp "$T/junk.img" "$C/junk/" 2>/dev/null
run imagefs status --wait "$C/junk"
is 'what has failed ends with 1' "$(state_of junk) $status" 'failed 1'
like 'and says why' "$(cat "$T/.err")" 'failed: .'

begin 'damage'
umount_store
pack=$(find "$STORE/pool" -name 'pack-*' -size +2M)
chmod u+w "$pack"
printf 'xxxxxxxx' | dd of="$pack" bs=1 seek=1000000 conv=notrunc status=none
run imagefs check --read-data "$STORE"
is 'is found' "$status" 5
like 'and what heals it is said' "$(cat "$T/.err")" 'heal when they are uploaded once more'
done_testing
