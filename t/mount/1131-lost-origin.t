#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A server whose image its owner may not see any more, or that is gone, is re-installed by ln -sfn like any other.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root

begin 'accounts'
tenants_store
give_disk "$T/a.img" 1
give_disk "$T/b.img" 2
make_image alice web "$T/a.img"
make_image bob own "$T/b.img"
alice ln -sr "$A/$R/custom/web" "$A/accounts/bob/$R/shared/" || flunk 'share' 'failed'
ok 'it is there' wait_until 2 bob test -f "$B/$R/shared/web@alice/disk"
I=$B/$R/instances
for v in v w; do
	ok "a server of what is shared: $v" bob bash -c 'mkdir "$1/instances/$2" && ln -sr "$1/shared/web@alice" "$1/instances/$2/image"' _ "$B/$R" $v
done
ok 'and one by cp -r' bob cp -r "$B/$R/shared/web@alice" "$I/x"

# broken NAME: something goes wrong on its disk
broken() {
	bob bash -c 'echo broken >"$1"' _ "$I/$1/disk"
}

# reinstalled NAME CMD...: its disk is that of bob's own image then, and the old one is in the trash
reinstalled() {
	local name=$1
	shift
	broken "$name"
	ok "$name: $1" bob "$@"
	ok "$name: its disk is that of the image" bob cmp "$T/b.img" "$I/$name/disk"
	is "$name: it was made from that" "$(bob readlink -f "$I/$name/image")" "$B/$R/custom/own"
	is "$name: the broken disk is in the trash" "$(bob bash -c 'head -c 6 "$1"@*/disk' _ "$B/$R/.trash/instances/$name")" broken
}

begin 'the share is cancelled'
ok 'alice cancels' alice rm "$A/accounts/bob/$R/shared/web"
ok 'bob sees it no more' wait_until 2 bob test ! -e "$B/$R/shared/web@alice"
like 'the link still says what it was' "$(bob readlink "$I/v/image")" "^\.\./\.\./\.\./$R/shared/web@alice@img-[0-9a-f]{8}\$"
is 'it leads nowhere' "$(bob test -e "$I/v/image" || echo nowhere)" nowhere
like 'it is listed' "$(bob ls "$I/v" | xargs)" 'image'
like '.status says so, too' "$(bob grep '^from:' "$I/v/.status")" 'shared/web@alice'
fails 'ln -s is refused, as where it leads somewhere' 'File exists' bob ln -s ../../custom/own "$I/v/image"
reinstalled v ln -sfnr "$B/$R/custom/own" "$I/v/image"
reinstalled x ln -sfn ../../custom/own "$I/x/image"
ok 'cp -r of such a server' bob cp -r "$I/w" "$I/copy"
ok 'is a server with the same disk' bob cmp "$I/w/disk" "$I/copy/disk"

begin 'the image is gone for good'
ok 'alice deletes it' alice rm -r "$A/$R/custom/web"
ok 'alice empties the trash of the image' alice bash -c 'rm -r "$1"/.trash/custom/web@*' _ "$A/$R"
reinstalled w ln -sfnr "$B/$R/custom/own" "$I/w/image"
reinstalled copy ln -sfnr "$B/$R/custom/own" "$I/copy/image"

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
