#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No number that one is told changes by what neighbours do.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need jq fusermount3 getfattr

tenants_store
give_disk "$T/a.img" 1
give_disk "$T/b.img" 2
mkdir "$M/$R/custom/base" && cp "$T/a.img" "$M/$R/custom/base/disk" && cp -r "$M/$R/custom/base" "$M/$R/public/base" || flunk 'publish' 'failed'
make_image alice web "$T/b.img"
alice ln -sr "$A/$R/custom/web" "$A/accounts/bob/$R/shared/" || flunk 'share' 'failed'
ok 'what is shared is there' wait_until 5 bob test -f "$B/$R/shared/web@alice/disk"

# what USER is told that should not change
told() { as_user "$1" bash -c 'cat "$1/$2/.status"; ls -la --time-style=full-iso "$1/$2" | grep -v total; grep -- "$3" "$1/.list"' _ "$T/$1/mnt" "$2" "${2##*/}"; }
begin 'a public image that a neighbour begins to use'
told bob $R/public/base >"$T/before"
ok 'carol starts a server of it' carol cp -r "$C/$R/public/base" "$C/$R/instances/vm"
told bob $R/public/base >"$T/after"
is 'bob is told of nothing' "$(diff "$T/before" "$T/after")" ''
is 'there is no last-used for him' "$(grep -c last-used "$T/after")" 0
fails 'not as an attribute either' 'No such attribute' bob getfattr -n user.imagefs.last-used "$B/$R/public/base"
is 'the operator is told' "$(grep -c ^last-used "$M/$R/public/base/.status")" 1

begin 'a shared image that its receiver uses'
# Its first uses are alice's own.
alice cp -r "$A/$R/custom/web" "$A/$R/instances/mine" || flunk 'a server of hers' 'failed'
alice grep ^last-used "$A/$R/custom/web/.status" >"$T/before"
ok 'alice is told when she used it' test -s "$T/before"
ok 'bob starts a server of it' bob cp -r "$B/$R/shared/web@alice" "$B/$R/instances/theirs"
is 'which is no use of hers' "$(alice grep ^last-used "$A/$R/custom/web/.status")" "$(cat "$T/before")"
is 'bob is told nothing of hers' "$(bob grep -c ^last-used "$B/$R/shared/web@alice/.status")" 0
is 'nor what nobody else has of a disk that he may not read' "$(bob grep -c ^stored-alone "$B/$R/shared/web@alice/.status")" 0
is 'alice is' "$(alice grep -c ^stored-alone "$A/$R/custom/web/.status")" 1

begin 'the store'
bob imagefs status "$STORE" >"$T/before"
ok 'carol imports' carol bash -c 'mkdir "$1/custom/big" && cp "$2" "$1/custom/big/disk" && mkdir "$1/custom/other"' _ "$C/$R" "$T/b.img"
bob imagefs status "$STORE" >"$T/after"
is 'bob is told of nothing' "$(diff "$T/before" "$T/after")" ''
like 'but what store it is' "$(cat "$T/after")" 'uuid'
is 'and of his mount' "$(bob imagefs status "$STORE" --json | jq '.mounts')" 1
ok 'the operator is told how much there is' bash -c 'imagefs status "$1" --json | jq -e ".objects > 0 and .mounts == 4"' _ "$STORE"
fails 'metrics are not for bob' 'No such file' bob cat "$B/.metrics"
done_testing
