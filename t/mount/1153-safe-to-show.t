#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is refused is told to who was refused, as the kernel proved them, and to nobody else; and nothing that somebody chose moves the
# cursor, makes a line or turns the writing round in what others are shown.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq fusermount3

service=61010
install -d -o $service -g $service -m 711 "$T/lib"
STORE=$T/lib/main
# alice operates; bob and dave (61004) are one account, carol is another.
printf 'dave:x:61004:61004::/:/bin/sh\n' >>/etc/passwd
for name in alice bob carol 61004; do
	install -d -o "$(user_id $name)" -m 755 "$T/$name" "$T/$name/mnt"
	test_mounts+=("$T/$name/mnt")
done
alice() { as_user alice "$@"; }
bob() { as_user bob "$@"; }
carol() { as_user carol "$@"; }
dave() { as_user 61004 "$@"; }
A=$T/alice/mnt B=$T/bob/mnt C=$T/carol/mnt D=$T/61004/mnt R=ap-beijing
ok 'a store' as_user $service imagefs init "$STORE" --account admin
imagefs account add "$STORE" ops --uid alice operator yes && imagefs account add "$STORE" web --uid bob --uid 61004 &&
	imagefs account add "$STORE" db --uid carol || exit 99
setpriv --reuid $service --regid $service --clear-groups --inh-caps=-all imagefs serve "$STORE" 2>>"$T/log" &
server=$!
ok 'it is served' wait_until 10 test -S "$STORE/socket"
for name in alice bob carol 61004; do ok "$name mounts" as_user $name imagefs mount "$STORE" "$T/$name/mnt"; done
cp "$top_builddir/t/lib/masquerade" "$T/.private/bin/"

# Escape codes, C1 in UTF-8 and raw, a bidi override, a zero-width space.
ugly=$(printf 'x\033]0;owned\007\302\2331m\342\200\256\342\200\213')
# is_safe FILE: nothing of it is there.
is_safe() {
	! LC_ALL=C grep -qaP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xaa-\xae]' "$1"
}

begin 'another uid, in a user namespace'
bob mkdir -p "$T/bob/other"
if setpriv --reuid 61002 --regid 61002 --clear-groups unshare -U -m true 2>/dev/null; then
	bob mkdir "$B/$R/custom/no@name" 2>/dev/null
	before=$(bob wc -l <"$B/.why")
	is 'bob is called carol, and is refused' "$(bob masquerade "$STORE" "$T/bob/other" 61003 "$R/$ugly" 300)" EACCES
	is "nothing of it is in carol's .why" "$(carol cat "$C/.why")" ''
	is 'and it does not push out his own' "$(bob wc -l <"$B/.why")" "$before"
elif [ "${IMAGEFS_NO_SKIPS:-0}" = 1 ]; then
	flunk 'another uid' 'user namespaces are not permitted here'
fi

begin '.why'
fails 'a name that cannot be' 'Invalid argument' bob mkdir "$B/$R/custom/$ugly"
bob cat "$B/.why" >"$T/why"
ok 'is told' grep -q 'custom/x' "$T/why"
ok 'and is safe to show' is_safe "$T/why"

begin '.log'
ok "a comment in one's .account" carol bash -c 'printf "# %s\naccept all\n" "$2" >"$1/.account"' _ "$C" "$ugly"
fails 'a refusal' 'Operation not permitted' bob mkdir "$B/$R/public/$ugly"
alice cat "$A/.log" >"$T/oplog"
ok 'the operator reads of it' grep -q 'accept all' "$T/oplog"
ok 'and it is safe to show' is_safe "$T/oplog"
is 'each line has its fields' "$(awk -F '\t' 'NF != 7' "$T/oplog")" ''

begin "where a mount is"
dir=$T/bob/$ugly$'\n'"mount: uid=0 account=ops allow-other=yes dir=/nowhere"
dir=${dir//\/nowhere/here}
ok 'a folder with a name of two lines' bob mkdir "$dir"
ok 'is mounted on' bob imagefs mount "$STORE" "$dir"
alice imagefs status "$STORE" >"$T/status"
ok 'imagefs status is safe to show' is_safe "$T/status"
is 'it lists no mount that there is not' "$(alice imagefs status "$STORE" --json | jq '[.mount[] | select(.uid == 0 or .uid == "0")] | length')" 0
is 'and all that there are' "$(alice imagefs status "$STORE" --json | jq '.mount | length')" 5
ok 'the daemon writes a log' grep -q 'of uid 61002 at' "$T/log"
ok 'that is safe to show' is_safe "$T/log"
is 'and of which each line is one' "$(grep -vc '^20[0-9-]*T' "$T/log")" 0
ok 'it is unmounted' bob imagefs umount "$dir"

for name in alice bob carol 61004; do as_user $name imagefs umount "$T/$name/mnt" || flunk "umount $name" 'failed'; done
kill "$server"
wait "$server"
is 'it ends in order' "$?" 0
done_testing
