#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What an account deletes, and the names that it gives, have bounds: nobody fills the catalog, that all share, with rows that cost nothing.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need jq fusermount3

tenants_store
give_disk "$T/a.img" 1
C2=ap-shanghai
trash_of() { as_user "$1" find "$T/$1/mnt/$2/.trash" -mindepth 2 -maxdepth 2 | wc -l; }

begin 'what never had a byte'
bob mkdir "$B/$R/custom/web"
ok 'is made and removed 300 times' bob bash -c 'cd "$1" && for ((i = 0; i < 300; i++)); do : >x && rm x || exit 1; done' _ "$B/$R/custom/web"
is 'leaves nothing in the trash' "$(trash_of bob $R)" 0
is 'and one image' "$(listing bob $R/custom)" web
is 'in which there is nothing' "$(listing bob $R/custom/web)" ''
lines() { as_user "$1" grep -c "$2" "$T/$1/mnt/.log"; }
is 'and no deletion is in the log' "$(lines bob 'delete.*/web')" 0
bob bash -c 'cd "$1" && echo kept >description && : >x' _ "$B/$R/custom/web"
ok 'what has settings' bob rm -r "$B/$R/custom/web"
is 'is in the trash with them' "$(bob bash -c 'cat "$1"/.trash/custom/web@*/description' _ "$B/$R")" kept
bob bash -c 'rm -r "$1"/.trash/custom/*' _ "$B/$R" || flunk 'empty' 'failed'
ok 'a name that was made, and nothing put there' bob bash -c 'mkdir "$1" && : >"$1/disk" && rm -r "$1"' _ "$B/$R/custom/none"
is 'is nothing in the trash either' "$(trash_of bob $R)" 0

begin 'policy trash-per-region'
echo 'trash-per-region 5' >"$M/accounts/bob/.policy"
make_image bob base "$T/a.img"
bob bash -c 'for i in 1 2 3 4 5; do mkdir "$1/v$i" && echo x >"$1/v$i/description" && : >"$1/v$i/x" && rm -r "$1/v$i" || exit 1; done' _ "$B/$R/custom" ||
	flunk 'five deletions' 'failed'
is 'five are there' "$(trash_of bob $R)" 5
refused_to bob 'the sixth is refused' EDQUOT 'trash-per-region.*rm -r' rm -r "$B/$R/custom/base"
ok 'and nothing is gone' bob cmp "$B/$R/custom/base/disk" "$T/a.img"
bob bash -c 'echo settings >"$1/description"' _ "$B/$R/custom/base"
refused_to bob 'rm does not begin with the settings either' EDQUOT 'trash-per-region' rm -r "$B/$R/custom/base"
is 'they stay' "$(bob cat "$B/$R/custom/base/description")" settings
ok 'a server is started' bob cp -r "$B/$R/custom/base" "$B/$R/instances/vm"
refused_to bob 'is not installed anew, as its disk would go to the trash' EDQUOT 'trash-per-region' \
	ln -sfnr "$B/$R/custom/base" "$B/$R/instances/vm/image"
refused_to bob 'and not destroyed' EDQUOT 'trash-per-region' rm -r "$B/$R/instances/vm"
ok 'it has its disk' bob cmp "$B/$R/instances/vm/disk" "$T/a.img"
make_image carol hers "$T/a.img"
ok 'another account deletes' carol rm -r "$C/$R/custom/hers"
make_image bob there "$T/a.img" $C2
ok 'and bob in another region' bob rm -r "$B/$C2/custom/there"
ok 'he empties his trash' bob bash -c 'rm -r "$1"/.trash/custom/v[12]@*' _ "$B/$R"
ok 'and deletes' bob rm -r "$B/$R/instances/vm"
is 'the policy counts all types' "$(trash_of bob $R)" 4

begin 'policy aliases-per-region'
echo 'aliases-per-region 3' >"$M/accounts/bob/.policy"
for i in 1 2 3; do bob ln -s base "$B/$R/custom/alias$i" || flunk "alias $i" 'failed'; done
refused_to bob 'the fourth is refused' EDQUOT 'aliases-per-region' ln -s base "$B/$R/custom/alias4"
ok 'one is moved, as ln -sfn does it' bob ln -sfn base "$B/$R/custom/alias1"
ok 'one is renamed' bob mv "$B/$R/custom/alias1" "$B/$R/custom/first"
ok 'one is removed' bob rm "$B/$R/custom/first"
ok 'and another is made' bob ln -s base "$B/$R/custom/alias4"
refused_to bob 'and no more' EDQUOT 'aliases-per-region' ln -s base "$B/$R/custom/alias5"
begin 'policy operations-per-day'
bob cp -r "$B/$R/custom/base" "$B/$R/instances/again" || flunk 'a server' 'failed'
printf 'trash-per-region -\noperations-per-day 1\n' >"$M/accounts/bob/.policy"
bob mkdir "$B/$R/custom/spent" || flunk "the only operation" "failed"
refused_to bob 'a server that is installed anew is an operation, since it is a line on a bill' EDQUOT 'operations-per-day' \
	ln -sfnr "$B/$R/custom/base" "$B/$R/instances/again/image"
ok 'the catalog is in order' imagefs check "$STORE"
done_testing
