#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# imagefs account, region and policy: what the files .account, .region and .policy do, for the same people, with a daemon
# and without; the four scopes of policy; and the one setting that is everybody's own.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq

install -d -o "$(user_id alice)" -m 755 "$T/alice" "$T/alice/mnt"
install -d -o "$(user_id bob)" -m 755 "$T/bob" "$T/bob/mnt"
install -d -o "$(user_id carol)" -m 755 "$T/carol"
STORE=$T/alice/store
M=$T/alice/mnt
B=$T/bob/mnt
alice() { as_user alice "$@"; }
bob() { as_user bob "$@"; }
write() { "$1" bash -c 'printf "%s\n" "$2" > "$1"' _ "$2" "$3"; }
# exits CODE DESC TEXT CMD...
exits() {
	local code=$1 what=$2 text=$3
	shift 3
	fails "$what" "$text" "$@"
	is '… with its exit code' "$status" "$code"
}
ok 'a store' alice imagefs init "$STORE"

begin 'without a daemon'
ok 'an account' alice imagefs account add "$STORE" bob --uid bob vendor yes
is 'a name of a user is its uid' "$(alice imagefs account show "$STORE" bob --json | jq -c '[.uid, .vendor, .operator]')" \
	"[[$(user_id bob)],\"yes\",\"no\"]"
is 'all of them' "$(alice imagefs account list "$STORE" --json | jq -r '.[].name' | xargs)" 'alice bob'
like 'for people' "$(alice imagefs account list "$STORE" | tail -n 1 | xargs)" "^bob $(user_id bob) no yes all "
exits 1 'the same name again' 'already' alice imagefs account add "$STORE" bob
exits 1 'a uid that is taken' 'another account, alice' alice imagefs account add "$STORE" eve --uid carol --uid alice
exits 3 'made none of it' 'no account eve' alice imagefs account show "$STORE" eve
exits 2 'a user that there is not' 'no user nobodyatall' alice imagefs account add "$STORE" eve --uid nobodyatall
exits 2 'a bad key' 'no setting colour' alice imagefs account set "$STORE" bob colour red
exits 2 'a bad value' 'yes or no' alice imagefs account set "$STORE" bob vendor no operator perhaps
is 'changed nothing' "$(alice imagefs account show "$STORE" bob --json | jq -r .vendor)" yes
exits 3 'a name that there is not' 'no account nobody' alice imagefs account set "$STORE" nobody vendor no
exits 2 'a key without its value' 'no value' alice imagefs account set "$STORE" bob vendor
exits 2 'nothing to set' usage alice imagefs account set "$STORE" bob
exits 2 'no such verb' usage alice imagefs account frobnicate "$STORE"
exits 3 'no store' 'not a store' alice imagefs account list "$T/alice"
exits 6 'her own operatorship' 'from themselves' alice imagefs account set "$STORE" alice operator no
exits 6 'her own uid' 'their own uid' alice imagefs account set "$STORE" alice --uid carol
exits 6 'a store that is closed to bob' 'nobody serves' bob imagefs account list "$STORE"
ok 'root acts as the owner' imagefs account add "$STORE" carol --uid carol
is 'and leaves nothing that she cannot open' "$(find "$STORE" ! -user alice)" ''

begin 'with a daemon'
test_mounts+=("$M" "$B")
ok 'alice mounts' alice imagefs mount "$STORE" "$M"
ok 'bob mounts' bob imagefs mount "$STORE" "$B"
bob ls "$B/accounts" "$B" >/dev/null
ok 'an account' alice imagefs account add "$STORE" dave --uid 61004
ok 'shows in a mount that had looked' wait_until 2 bob test -d "$B/accounts/dave"
is 'it is the same as the file' "$(alice cat "$M/accounts/dave/.account" | head -n 1)" 'uids 61004'
write alice "$M/accounts/dave/.account" 'vendor yes'
is 'and the other way round' "$(alice imagefs account show "$STORE" dave --json | jq -r .vendor)" yes
like 'it is in the log' "$(alice grep accounts/dave "$M/.log" | cut -f 2,3,4,5,7 | head -n 1)" "alice.$(user_id alice).create.accounts/dave.uids 61004"
ok 'it goes' alice imagefs account remove "$STORE" dave
ok 'in the mount, too' wait_until 2 bob test ! -e "$B/accounts/dave"
exits 4 'not the one that she works as' 'working as' alice imagefs account remove "$STORE" alice
ok 'a region' alice imagefs region add "$STORE" eu-west copy no zones 'eu-1 eu-2'
ok 'shows' wait_until 2 bob grep -qx 'zones eu-1 eu-2' "$B/eu-west/.region"
ok 'is changed' alice imagefs region set "$STORE" eu-west zones eu-3 free-storage 5
is 'as told' "$(bob imagefs region show "$STORE" eu-west --json | jq -c '[.zones, ."free-storage", .copy]')" '["eu-3",5,"no"]'
for bad in -1 +1 5G '' 99999999999999999999; do
	exits 2 "free-storage \"$bad\"" 'number of bytes' alice imagefs region set -- "$STORE" eu-west free-storage "$bad"
done
ok 'goes' alice imagefs region remove "$STORE" eu-west
ok 'everywhere' wait_until 2 bob test ! -e "$B/eu-west"
is 'list' "$(bob imagefs region list "$STORE" --json | jq length)" 5

begin 'who is no operator'
exits 6 'adds no account' 'only operators' bob imagefs account add "$STORE" eve
exits 6 'changes none' 'only operators' bob imagefs account set "$STORE" carol vendor yes
exits 6 'not their own either' 'only operators' bob imagefs account set "$STORE" bob operator yes
exits 6 'not by giving themselves a uid' 'only operators' bob imagefs account set "$STORE" bob --uid 0
exits 6 'removes none' 'only operators' bob imagefs account remove "$STORE" carol
exits 6 'sees none' 'only operators' bob imagefs account show "$STORE" carol
is 'but the names, and themselves' "$(bob imagefs account list "$STORE" --json | jq -c '[.[] | [.name, .uid]]')" \
	"[[\"alice\",null],[\"bob\",[$(user_id bob)]],[\"carol\",null]]"
is 'show is of oneself' "$(bob imagefs account show "$STORE" | head -n 1)" 'name: bob'
exits 6 'adds no region' 'only operators' bob imagefs region add "$STORE" eu-west
exits 6 'changes none' 'only operators' bob imagefs region set "$STORE" ap-beijing copy no
exits 6 'removes none' 'only operators' bob imagefs region remove "$STORE" ap-beijing
exits 6 'sets no policy' 'only operators' bob imagefs policy set "$STORE" max-disk 1T
exits 6 'not for themselves' 'only operators' bob imagefs policy set --account bob "$STORE" max-disk 1T
exits 6 'not as a reset' 'only operators' bob imagefs policy reset "$STORE" max-disk
exits 6 'sees none of others' 'only operators' bob imagefs policy show --account carol "$STORE"
exits 6 'a uid without an account' 'has no account' as_user 61009 imagefs region list "$STORE"
exits 6 'is told which, and whom to ask' "uid 61009" as_user 61009 imagefs account show "$STORE"
like 'by name' "$(cat "$T/.err")" 'operator \(alice\)'

begin 'accept'
ok 'is chosen by oneself' bob imagefs account set "$STORE" bob accept 'carol alice'
is 'shows' "$(bob grep accept "$B/.account")" 'accept carol alice'
ok 'by a file' write bob "$B/.account" 'accept alice'
is 'shows' "$(bob imagefs account show "$STORE" --json | jq -r .accept)" alice
ok 'of nobody' write bob "$B/.account" 'accept'
is 'shows' "$(bob grep accept "$B/.account")" 'accept '
ok 'of everybody' write bob "$B/.account" 'accept all'
ok 'by its own name, too' write bob "$B/accounts/bob/.account" 'accept carol'
is 'the file can be written, it says' "$(bob stat -c %a "$B/.account")" 644
exits 2 'an account that there is not' 'no account eve' bob imagefs account set "$STORE" bob accept 'alice eve'
exits 6 'not for others' 'only operators' bob imagefs account set "$STORE" carol accept bob
fails 'in a file' 'Invalid argument' write bob "$B/.account" 'accept all bob'
printf 'accept all\nvendor no\n' >"$T/two"
fails 'nothing else beside it' 'not permitted' bob bash -c 'cat "$2" > "$1"' _ "$B/.account" "$T/two"
is 'so nothing of it' "$(bob grep -E 'accept|vendor' "$B/.account" | xargs)" 'vendor yes accept carol'
like 'there is a reason' "$(bob tail -n 1 "$B/.why" | cut -f 5,6)" 'EPERM.only operators'
exits 2 'nobody is called all' 'everybody' alice imagefs account add "$STORE" all

begin 'files of operators'
# written FILE LINE ERRNO-TEXT SENTENCE
written() {
	fails "${1#"$M/"} takes no \"$2\"" "$3" write alice "$1" "$2"
	like 'and says why' "$(alice tail -n 1 "$M/.why" | cut -f 6)" "$4"
}
for file in .policy ap-beijing/.policy accounts/bob/.policy accounts/bob/ap-beijing/.policy; do
	written "$M/$file" 'no-such-policy 1' 'Invalid argument' 'NAME VALUE'
	written "$M/$file" 'max-disk many' 'Invalid argument' 'max-disk is a number'
	written "$M/$file" 'download some' 'Invalid argument' 'is one of: all'
	written "$M/$file" 'max-disk' 'Invalid argument' 'NAME VALUE'
	ok "$file can be read and written" alice sh -c '[ "$(stat -c %a "$1")" = 644 ] && grep -q "^max-disk 16T$" "$1"' sh "$M/$file"
done
written "$M/ap-beijing/.region" 'colour red' 'Invalid argument' 'no setting colour'
written "$M/accounts/bob/.account" 'uids x' 'Invalid argument' 'up to 64 numbers'
written "$M/accounts/bob/.account" 'uids 4294967295' 'Invalid argument' 'up to 64 numbers'
written "$M/accounts/bob/.account" 'uids -1' 'Invalid argument' 'up to 64 numbers'
written "$M/accounts/bob/.account" "uids $(user_id alice)" 'File exists' 'another account, alice'
is 'bob is what he was' "$(alice head -n 1 "$M/accounts/bob/.account")" "uids $(user_id bob)"
for file in .policy ap-beijing/.policy ap-beijing/.region; do
	fails "bob does not write $file" 'not permitted' write bob "$B/$file" 'max-disk 1T'
	like 'and is told why' "$(bob tail -n 1 "$B/.why" | cut -f 5,6)" 'EPERM.only operators'
	is 'it looks like that' "$(bob stat -c %a "$B/$file")" 444
done
fails 'he has none of others' 'not permitted' write bob "$B/accounts/carol/.policy" 'max-disk 1T'

begin 'the four scopes'
bobs() { bob grep '^images-per-region' "$B/$1.policy" | cut -d' ' -f2; }
scope() { alice imagefs policy show "$STORE" "$@" --json | jq -r '.[] | select(.name == "images-per-region") | "\(.value) \(.scope)"'; }
is 'the default' "$(bobs '') $(bobs ap-beijing/) $(scope)" '10 10 10 default'
write alice "$M/.policy" 'images-per-region 4'
is 'of the store' "$(bobs '') $(bobs ap-beijing/) $(scope)" '4 4 4 store'
write alice "$M/ap-beijing/.policy" 'images-per-region 3'
is 'of a region' "$(bobs '') $(bobs ap-beijing/) $(bobs ap-shanghai/)" '4 3 4'
is 'told' "$(scope --region ap-beijing) $(scope --region ap-shanghai)" '3 region 4 store'
write alice "$M/accounts/bob/.policy" 'images-per-region 2'
is 'of an account' "$(bobs '') $(bobs ap-beijing/) $(bobs ap-shanghai/)" '2 2 2'
is 'told' "$(scope --account bob --region ap-beijing) $(scope --account carol --region ap-beijing)" '2 account 3 region'
write alice "$M/accounts/bob/ap-beijing/.policy" 'images-per-region 1'
is 'of an account in a region' "$(bobs '') $(bobs ap-beijing/) $(bobs ap-shanghai/)" '2 1 2'
is 'told' "$(scope --account bob --region ap-beijing) $(scope --account bob)" '1 account in region 2 account'
is 'to bob himself' "$(bob imagefs policy show "$STORE" --region ap-beijing | grep ^images-per | xargs)" 'images-per-region 1 account in region'
# fits REGION COUNT: so many images and not one more.
fits() {
	local n
	for n in $(seq "$2"); do ok "image $n of $2 in $1" bob mkdir "$B/$1/custom/i$n"; done
	fails "and no more" 'Disk quota exceeded' bob mkdir "$B/$1/custom/more"
	bob bash -c 'rmdir "$1"/i*' _ "$B/$1/custom" || flunk 'they go again' 'failed'
}
fits ap-beijing 1
fits ap-shanghai 2
write alice "$M/accounts/bob/ap-beijing/.policy" 'images-per-region -'
write alice "$M/accounts/bob/.policy" 'images-per-region -'
is 'reset' "$(bobs '') $(bobs ap-beijing/)" '4 3'
fits ap-beijing 3
ok 'reset by command' alice imagefs policy reset --region ap-beijing "$STORE" images-per-region
fits ap-beijing 4
ok 'set by command' alice imagefs policy set --account bob --region ap-beijing "$STORE" images-per-region 1 max-disk 1T
fits ap-beijing 1
is 'by both names' "$(bob grep max-disk "$B/ap-beijing/.policy")" 'max-disk 1T'
exits 2 'a bad value' 'max-disk is a number' alice imagefs policy set "$STORE" images-per-region 1 max-disk x
is 'takes nothing of it' "$(scope)" '4 store'
exits 3 'a region that there is not' 'no region nowhere' alice imagefs policy set --region nowhere "$STORE" max-disk 1T
ok 'an operator in a mount can be limited, too' alice imagefs policy set --account alice "$STORE" images-per-region 7
is 'only she' "$(alice grep images-per-region "$M/.policy") $(bobs '')" 'images-per-region 7 4'
like 'the log tells the scope' "$(alice cut -f 4,5,7 "$M/.log" | grep images-per-region | tail -n 2 | head -n 1)" \
	'configure.accounts/bob/ap-beijing/.policy.images-per-region 1;max-disk 1T'

alice imagefs umount "$M" && bob imagefs umount "$B" || flunk 'umount' 'failed'
ok 'without a daemon it is all there' wait_until 10 alice imagefs policy show "$STORE" --account alice
is 'as it was' "$(scope --account alice)" '7 account'
done_testing
