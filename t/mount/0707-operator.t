#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What operators do: regions, accounts, policies, public images; and what others see of it.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq

begin "alice's store"
install -d -o "$(user_id alice)" -m 755 "$T/alice"
STORE=$T/alice/store
chmod 755 "$T"
ok 'she makes it' as_user alice imagefs init "$STORE"
M=$T/alice/mnt
as_user alice mkdir "$M"
test_mounts+=("$M")
ok 'and mounts it' as_user alice imagefs mount "$STORE" "$M"
alice() { as_user alice "$@"; }
# refused_to USER DESC ERRNO SENTENCE CMD...
refused_to() {
	local user=$1 what=$2 errno=$3 sentence=$4 before
	shift 4
	before=$(as_user "$user" cat "$(mount_of "$user")/.why")
	fails "$what" "$(errno_text "$errno")" as_user "$user" "$@"
	like '… with its reason' "$(as_user "$user" cat "$(mount_of "$user")/.why" | tail -n 1 | cut -f 5-)" "^$errno"$'\t'".*$sentence"
	[ "$(as_user "$user" cat "$(mount_of "$user")/.why")" != "$before" ] || flunk "$what" 'no new line in .why'
}
mount_of() { echo "$T/$1/mnt"; }
make_disk "$T/a.img" 4 1 1
chmod 644 "$T/a.img"
write() { as_user "$1" bash -c 'printf "%s\n" "$2" > "$1"' _ "$M/$2" "$3"; }

begin 'regions'
ok 'mkdir of a region' alice mkdir "$M/eu-frankfurt"
is 'it has the five types' "$(alice ls "$M/eu-frankfurt" | xargs)" 'custom instances marketplace public shared'
like 'and settings' "$(alice cat "$M/eu-frankfurt/.region")" 'copy yes'
ok 'which can be changed' write alice eu-frankfurt/.region 'copy no'
is 'one at a time' "$(alice cat "$M/eu-frankfurt/.region" | grep -E '^(copy|mainland)' | xargs)" 'mainland yes copy no'
ok 'or several' write alice eu-frankfurt/.region $'copy yes\nstorage-price 0.12\nzones a b'
is 'they are' "$(alice cat "$M/eu-frankfurt/.region" | grep -E '^(copy|storage-price|zones)' | xargs)" 'copy yes zones a b storage-price 0.12'
refused_to alice 'a bad value' EINVAL 'yes or no' bash -c 'echo "copy perhaps" > "$1"' _ "$M/eu-frankfurt/.region"
refused_to alice 'an unknown one' EINVAL 'no setting colour' bash -c 'echo "colour red" > "$1"' _ "$M/eu-frankfurt/.region"
refused_to alice 'one bad line of several' EINVAL 'is an amount' \
	bash -c 'set -o pipefail; printf "copy no\nstorage-price dear\n" | dd of="$1" status=none' _ "$M/eu-frankfurt/.region"
is 'and nothing of it is taken' "$(alice grep ^copy "$M/eu-frankfurt/.region")" 'copy yes'
ok 'only custom' write alice eu-frankfurt/.region 'types custom'
refused_to alice 'other types are not offered' EPERM 'does not offer public' mkdir "$M/eu-frankfurt/public/x"
write alice eu-frankfurt/.region 'types public marketplace custom shared instances'
refused_to alice 'a name in capitals' EINVAL 'a-z 0-9' mkdir "$M/EU"
refused_to alice 'a name of 33' EINVAL '1 to 32' mkdir "$M/$(printf 'x%.0s' $(seq 33))"
fails 'a second of this name' 'File exists' alice mkdir "$M/eu-frankfurt"
fails 'accounts is taken' 'File exists' alice mkdir "$M/accounts"
ok 'something in it' alice mkdir "$M/eu-frankfurt/custom/x"
refused_to alice 'rmdir of it' ENOTEMPTY 'still holds images' rmdir "$M/eu-frankfurt"
alice rmdir "$M/eu-frankfurt/custom/x"
ok 'rmdir when it is empty' alice rmdir "$M/eu-frankfurt"
ok 'it is gone' alice test ! -e "$M/eu-frankfurt"
ok 'it can be made anew' alice mkdir "$M/eu-frankfurt"
like 'as if it had never been' "$(alice grep storage-price "$M/eu-frankfurt/.region")" '^storage-price 0$'

begin 'accounts'
ok 'mkdir of one' alice mkdir "$M/accounts/bob"
is 'it has no uids yet' "$(alice cat "$M/accounts/bob/.account" | head -n 1)" 'uids'
mkdir -p "$T/bob/mnt" "$T/carol/mnt"
chown "$(user_id bob)" "$T/bob/mnt"
chown "$(user_id carol)" "$T/carol/mnt"
fails 'and who has no account does not mount' 'account' as_user bob imagefs mount "$STORE" "$T/bob/mnt"
ok 'he gets his uid' write alice accounts/bob/.account "uids $(user_id bob)"
is 'it is there' "$(alice head -n 1 "$M/accounts/bob/.account")" "uids $(user_id bob)"
refused_to alice "a uid that is somebody else's" EEXIST 'belongs to another account' \
	bash -c 'echo "uids $2" > "$1"' _ "$M/accounts/bob/.account" "$(user_id alice)"
refused_to alice 'no uid' EINVAL 'up to' bash -c 'echo "uids bob" > "$1"' _ "$M/accounts/bob/.account"
is 'he keeps his' "$(alice head -n 1 "$M/accounts/bob/.account")" "uids $(user_id bob)"
alice mkdir "$M/accounts/carol" && write alice accounts/carol/.account "uids $(user_id carol)"
test_mounts+=("$T/bob/mnt" "$T/carol/mnt")
ok 'bob mounts' as_user bob imagefs mount "$STORE" "$T/bob/mnt"
ok 'carol, too' as_user carol imagefs mount "$STORE" "$T/carol/mnt"
B=$T/bob/mnt
is 'he sees his own view' "$(as_user bob readlink "$B/accounts/bob")" ..
is 'alice is another account to him' "$(as_user bob stat -c %F "$B/accounts/alice")" directory

refused_to alice 'she stays operator' EPERM 'from themselves' bash -c 'echo operator no > "$1"' _ "$M/.account"
is 'and is' "$(alice grep operator "$M/.account")" 'operator yes'
is 'he sees what he is' "$(as_user bob cat "$B/.account" | head -n 2 | xargs)" "uids $(user_id bob) operator no"
refused_to bob 'and cannot change it' EPERM 'only operators' bash -c 'echo operator yes > "$1"' _ "$B/.account"

begin 'what others see'
ok 'alice has an image' alice bash -c 'mkdir "$1" && cp "$2" "$1/"' _ "$M/ap-beijing/custom/secret" "$T/a.img"
is 'bob sees nothing of it' "$(as_user bob ls "$B/ap-beijing/custom")" ''
is 'nor in .list' "$(as_user bob cat "$B/.list" | wc -l)" 1
is 'nor in .log' "$(as_user bob cat "$B/.log" | grep -c secret)" 0
is 'nor under accounts' "$(as_user bob ls "$B/accounts/alice/ap-beijing")" shared
fails 'nor by its name' 'No such file' as_user bob ls "$B/accounts/alice/ap-beijing/custom/secret"
fails 'nor in the trash' 'No such file' as_user bob ls "$B/accounts/alice/ap-beijing/.trash"
fails 'nor by its path in her mount' 'Permission denied' as_user bob ls "$M/ap-beijing/custom"
ok 'he may use the name' as_user bob bash -c 'mkdir "$1" && cp "$2" "$1/"' _ "$B/ap-beijing/custom/secret" "$T/a.img"
is 'her .list has her own' "$(alice awk -F '\t' '$3 == "secret" { print $11 }' "$M/.list")" alice
like '.log is for her all of it' "$(alice cut -f 2,4,5 "$M/.log" | grep secret | xargs)" 'alice create .*bob create'
ok 'she sees what he has' alice cmp "$T/a.img" "$M/accounts/bob/ap-beijing/custom/secret/disk"
refused_to alice 'and cannot change it' EPERM 'belongs to another account' \
	bash -c 'echo x > "$1"' _ "$M/accounts/bob/ap-beijing/custom/secret/description"
refused_to alice 'nor delete it' EPERM 'belongs to another account' rm -r "$M/accounts/bob/ap-beijing/custom/secret"
ok 'he has it still' as_user bob cmp "$T/a.img" "$B/ap-beijing/custom/secret/disk"

begin 'what they may not do'
refused_to bob 'regions' EPERM 'only operators' mkdir "$B/new-region"
refused_to bob 'removing them' EPERM 'only operators' rmdir "$B/eu-frankfurt"
refused_to bob 'accounts' EPERM 'only operators' mkdir "$B/accounts/eve"
refused_to bob 'removing them' EPERM 'only operators' rmdir "$B/accounts/carol"
refused_to bob 'policy' EPERM 'only operators' bash -c 'echo "images-per-region 99" > "$1"' _ "$B/.policy"
refused_to bob 'policy of a region' EPERM 'only operators' bash -c 'echo "images-per-region 99" > "$1"' _ "$B/ap-beijing/.policy"
refused_to bob 'settings of a region' EPERM 'only operators' bash -c 'echo "copy no" > "$1"' _ "$B/ap-beijing/.region"
fails 'settings of an account' 'No such file' as_user bob cat "$B/accounts/alice/.account"
refused_to bob 'public images' EPERM 'published by operators' mkdir "$B/ap-beijing/public/x"
refused_to bob 'marketplace images' EPERM 'by vendors' mkdir "$B/ap-beijing/marketplace/x"
fails '.metrics' 'No such file' as_user bob cat "$B/.metrics"
ok 'reading the policy' as_user bob cat "$B/.policy" "$B/ap-beijing/.region"

begin 'policies'
ok 'for one account' write alice accounts/bob/.policy 'images-per-region 1'
is 'he sees it' "$(as_user bob grep images-per-region "$B/.policy")" 'images-per-region 1'
is 'others are not concerned' "$(as_user carol grep images-per-region "$T/carol/mnt/.policy")" 'images-per-region 10'
refused_to bob 'it holds' EDQUOT 'images-per-region allows 1' mkdir "$B/ap-beijing/custom/two"
ok 'for an account in a region' write alice accounts/bob/ap-beijing/.policy 'images-per-region 2'
ok 'that is narrower' as_user bob mkdir "$B/ap-beijing/custom/two"
ok 'in another region' as_user bob mkdir "$B/ap-shanghai/custom/one"
refused_to bob 'it is the first that counts' EDQUOT 'allows 1' mkdir "$B/ap-shanghai/custom/two"
write alice accounts/bob/.policy 'images-per-region -'
write alice accounts/bob/ap-beijing/.policy 'images-per-region -'
is 'reset' "$(as_user bob grep images-per-region "$B/ap-beijing/.policy")" 'images-per-region 10'

begin 'public images'
ok 'alice publishes' alice cp -r "$M/ap-beijing/custom/secret" "$M/ap-beijing/public/debian-12.1"
P=$B/ap-beijing/public
ok 'bob sees it' wait_until 5 as_user bob test -f "$P/debian-12.1/disk"
ok 'and reads it' as_user bob cmp "$T/a.img" "$P/debian-12.1/disk"
is 'it has an owner' "$(as_user bob cat "$P/debian-12.1/owner")" alice
is 'it is in his .list' "$(as_user bob awk -F '\t' '$2 == "public" { print $3, $11 }' "$B/.list")" 'debian-12.1 alice'
is 'he is not told where it is from' "$(as_user bob test -e "$P/debian-12.1/from/disk" && echo leads)" ''
ok 'he copies it' as_user bob cp -r "$P/debian-12.1" "$B/ap-shanghai/custom/mine"
ok 'whole' as_user bob cmp "$T/a.img" "$B/ap-shanghai/custom/mine/disk"
is 'from there' "$(as_user bob readlink "$B/ap-shanghai/custom/mine/from")" '../../../ap-beijing/public/debian-12.1'
refused_to bob 'he cannot delete it' EPERM 'belongs to another account' rm -r "$P/debian-12.1"
refused_to bob 'nor rename it' EPERM 'belongs to another account' mv "$P/debian-12.1" "$P/mine"
refused_to bob 'nor set it' EPERM 'belongs to another account' bash -c 'echo x > "$1/os"' _ "$P/debian-12.1"
refused_to bob 'nor protect it' EPERM 'belongs to another account' chmod a-w "$P/debian-12.1"
refused_to bob 'nor alias it' EPERM 'published by operators' ln -s debian-12.1 "$P/latest"
ok 'alice does' alice ln -s debian-12.1 "$M/ap-beijing/public/debian-12"
ok 'he follows it' wait_until 5 as_user bob cmp "$T/a.img" "$P/debian-12/disk"
ok 'the next one' alice cp -r "$M/ap-beijing/custom/secret" "$M/ap-beijing/public/debian-12.2"
ok 'the alias moves' alice ln -sfn debian-12.2 "$M/ap-beijing/public/debian-12"
ok 'for him, too' wait_until 5 as_user bob bash -c '[ "$(readlink "$1/debian-12")" = debian-12.2 ]' _ "$P"
ok 'a pending one' alice mkdir "$M/ap-beijing/public/next"
is 'is not for him to see' "$(as_user bob ls "$P" | xargs)" 'debian-12 debian-12.1 debian-12.2'
ok 'alice deletes one' alice rm -r "$M/ap-beijing/public/debian-12.1"
ok 'it goes for him' wait_until 5 as_user bob bash -c '[ ! -e "$1/debian-12.1" ]' _ "$P"
ok 'his copy does not' as_user bob cmp "$T/a.img" "$B/ap-shanghai/custom/mine/disk"

begin 'an account that goes'
refused_to alice 'rmdir while it has anything' ENOTEMPTY 'still has images' rmdir "$M/accounts/bob"
ok 'carol has nothing' alice rmdir "$M/accounts/carol"
ok 'and is shut out of her mount' wait_until 5 bash -c '! "$@" 2>/dev/null' _ setpriv --reuid "$(user_id carol)" \
	--regid "$(user_id carol)" --clear-groups ls "$T/carol/mnt"
as_user carol imagefs umount "$T/carol/mnt" || flunk 'carol unmounts' 'failed'
as_user bob imagefs umount "$T/bob/mnt" || flunk 'bob unmounts' 'failed'
as_user alice imagefs umount "$M" || flunk 'alice unmounts' 'failed'
done_testing
