#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# Whoever holds a duplicate of the descriptor of their mount can answer the kernel in the daemon's place, and have it ask about any inode
# number. bob does: numbers of what is alice's open nothing.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need jq

begin 'accounts'
tenants_store
give_disk "$T/a.img" 1
make_image alice priv "$T/a.img"
make_image alice gift "$T/a.img"
make_image bob own "$T/a.img"
for name in alice bob; do as_user $name bash -c 'echo words-of-"$2" >"$1/description"' _ "$T/$name/mnt/$R/custom/$([ $name = bob ] && echo own || echo priv)" $name; done
alice ln -sr "$A/$R/custom/priv" "$A/accounts/carol/$R/shared/secret" || flunk share failed
alice ln -sr "$A/$R/custom/gift" "$A/accounts/bob/$R/shared/" || flunk share failed
ok 'bob has what is shared' wait_until 2 sees bob $R/shared gift@alice
cp "$(helper_path forger)" "$T/.private/forger"
number() { as_user "$1" stat -c %i "$2"; }

# forged NODE KIND WAY: what bob gets
forged() {
	bob stat "$B/accounts/none" >/dev/null 2>&1 # so that only the last name is looked up
	timeout 20 "$T/.private/forger" "$(keeper_pid)" "$(store_daemon_pid)" "$B/accounts" "$(user_id bob)" "$@" 2>&1
}

begin 'what is his own is found by its number'
own=$(number bob "$B/$R/custom/own")
is 'the image' "$(forged "$own" dir xattr)" "ok $(bob sed -n 's/^id: //p' "$B/$R/custom/own/.status")"
like 'a setting' "$(forged "$(number bob "$B/$R/custom/own/description")" file read)" 'ok words-of-bob'
like 'the disk' "$(forged "$(number bob "$B/$R/custom/own/disk")" file read | tr -d '\0' | head -c 2)" 'ok'

begin 'what is hers is not'
image=$(number alice "$A/$R/custom/priv")
disk=$(number alice "$A/$R/custom/priv/disk")
words=$(number alice "$A/$R/custom/priv/description")
link=$(number alice "$A/accounts/carol/$R/shared/secret")
status=$(number alice "$A/$R/custom/priv/.status")
account=$(number bob "$B/accounts/alice")
place=$(number bob "$B/accounts/alice/$R")
# denied NODE KIND WAY...: none of them
denied() {
	local node=$1 kind=$2 way got
	shift 2
	for way; do
		got=$(forged "$node" "$kind" "$way" | tr -d '\0' | head -n 1)
		[ "$way $got" = 'list ok ' ] && got=ENOENT # to readdir(3) that is the end
		like "$kind $(printf %x "$node") $way" "$got" '^(ENOENT|ESTALE|EPERM|EACCES|EIO|ENODATA)$'
	done
}
denied "$image" dir list xattr chmod unlink create
denied "$disk" file read write truncate
denied "$words" file read write
denied "$status" file read
denied "$link" link readlink
denied $((place + 3)) dir list
denied $((place + 5)) dir list
denied $((account + 32 + 8)) file read write
denied $((account + 32 + 6)) file read write
denied $((place + 32 + 6)) file read write
denied $((32 + 5)) file read
begin 'and what he has of her is no more than before'
denied "$(number alice "$A/$R/custom/gift/disk")" file read write truncate
denied "$(number alice "$A/$R/custom/gift")" dir chmod unlink create
is 'his .why does not name hers' "$(bob grep -c 'priv\|secret' "$B/.why")" 0
ok 'she has all of it' alice bash -c 'cmp "$1/disk" "$2" && grep -qx words-of-alice "$1/description"' _ "$A/$R/custom/priv" "$T/a.img"
ok 'the store is whole' imagefs check "$STORE"
done_testing
