#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# imagefs serve under a user of its own, as the shipped unit runs it: users of the machine mount it without privileges and see
# their own account, operators all; who has no account is told so; and nobody gets at the store but through the daemon.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq fusermount3

# The service's own user; alice operates, bob and carol are customers, 61009 is nobody here.
service=61010
install -d -o $service -g $service -m 711 "$T/lib"
STORE=$T/lib/main
for name in alice bob carol 61009; do
	install -d -o "$(user_id $name)" -m 755 "$T/$name" "$T/$name/mnt"
	test_mounts+=("$T/$name/mnt")
done
install -d -m 755 "$T/rootmnt"
echo 'eve:x:61009:61009::/:/bin/sh' >>/etc/passwd # the namespace's own; fusermount3 wants a name
make_disk "$T/a.img" 4 1 1
make_disk "$T/b.img" 4 1 2
chmod 644 "$T"/*.img
alice() { as_user alice "$@"; }
bob() { as_user bob "$@"; }
carol() { as_user carol "$@"; }
A=$T/alice/mnt B=$T/bob/mnt C=$T/carol/mnt

begin 'the unit'
unit=$top_builddir/scripts/imagefs@.service
ok 'is made' test -s "$unit"
like 'runs the program that is installed' "$(grep ^ExecStart= "$unit")" '^ExecStart=/[^@]*/imagefs serve /var/lib/imagefs/%i$'
for line in Type=notify NotifyAccess=all User=imagefs UMask=0077 StateDirectoryMode=0711 NoNewPrivileges=yes CapabilityBoundingSet=; do
	ok "says $line" grep -qx "$line" "$unit"
done

begin 'a store for all users of the machine'
ok 'init in an empty folder that cannot be removed' bash -c 'install -d -o "$1" "$2/lib2" && exec setpriv --reuid "$1" --clear-groups imagefs init "$2/lib2"' _ $service "$T"
ok 'init' as_user $service env -u USER bash -c 'umask 027; imagefs init "$1" --account admin' _ "$STORE"
ok 'root makes an operator, as the owner' imagefs account add "$STORE" ops --uid alice operator yes
ok 'and the next' imagefs account add "$STORE" web --uid bob
ok 'and the next' imagefs account add "$STORE" db --uid carol

"$top_builddir/t/lib/notified" "$T/notify" "$T/notified" &
manager=$!
wait_until 5 test -S "$T/notify"
serve() {
	setpriv --reuid $service --regid $service --clear-groups --inh-caps=-all \
		env NOTIFY_SOCKET="$T/notify" bash -c 'umask 077; exec imagefs serve "$1"' _ "$STORE" 2>>"$T/log" &
	server=$!
}
serve
ok 'it tells that it is ready' wait_until 10 grep -qx "$service READY=1" "$T/notified"

begin 'modes'
is 'the folder can be passed through' "$(stat -c '%a %u' "$STORE")" "711 $service"
is 'the socket is for everybody' "$(stat -c '%a %F' "$STORE/socket")" '666 socket'
is 'all else is for the daemon alone' "$(find "$STORE" -mindepth 1 ! -type s \( -perm /077 -o ! -uid $service \))" ''
is 'its processes are that user' "$(ps -o uid= -p "$(imagefs status "$STORE" --json | jq -r '"\(.["daemon-pid"]),\(.["keeper-pid"])"')" | xargs)" \
	"$service $service"

begin 'who mounts'
ok 'bob, without any privilege' bob imagefs mount "$STORE" "$B"
ok 'carol, too' carol imagefs mount "$STORE" "$C"
ok 'alice, who operates' alice imagefs mount "$STORE" "$A"
is 'bob sees his account' "$(bob readlink "$B/accounts/web")" ..
is 'carol hers' "$(carol readlink "$C/accounts/db")" ..
ok 'bob imports' bob bash -c 'mkdir "$1" && cp "$2" "$1/"' _ "$B/ap-beijing/custom/web" "$T/a.img"
ok 'carol, too, under the same name' carol bash -c 'mkdir "$1" && cp "$2" "$1/"' _ "$C/ap-beijing/custom/web" "$T/b.img"
ok 'each has his own: bob' bob cmp "$T/a.img" "$B/ap-beijing/custom/web/disk"
ok 'carol' carol cmp "$T/b.img" "$C/ap-beijing/custom/web/disk"
is 'and sees no other' "$(bob ls "$B/accounts/db/ap-beijing")" shared
is 'files are theirs' "$(bob stat -c %u "$B/ap-beijing/custom/web/disk")" "$(user_id bob)"
ok 'alice sees what bob has' alice cmp "$T/a.img" "$A/accounts/web/ap-beijing/custom/web/disk"
ok 'and carol' alice cmp "$T/b.img" "$A/accounts/db/ap-beijing/custom/web/disk"
ok 'and policies' alice bash -c 'echo images-per-region 1 > "$1"' _ "$A/accounts/web/.policy"
fails 'which hold' 'Disk quota' bob mkdir "$B/ap-beijing/custom/two"
is 'the daemon tells who mounted' "$(alice imagefs status "$STORE" --json | jq -r '.mount[].account' | sort | xargs)" 'db ops web'
is 'to bob his own' "$(bob imagefs status "$STORE" --json | jq -r '.mount[].account')" web
fails "bob's mount is closed to carol" 'Permission denied' carol ls "$B"
fails 'and to the service' 'Permission denied' as_user $service ls "$B"
fails 'and to root' 'Permission denied' ls "$B"

begin 'who does not'
fails 'a uid without an account' 'you are eve, and uid 61009 has no account' as_user 61009 imagefs mount "$STORE" "$T/61009/mnt"
is 'with the exit code for it' "$status" 6
like 'is told whom to ask' "$(cat "$T/.err")" 'ask an operator \(admin, ops\)'
is 'and has no mount' "$(left_mounts | grep -c 61009)" 0
fails 'root is a uid like any other' 'you are root, and uid 0 has no account' imagefs mount "$STORE" "$T/rootmnt"
ok 'an operator can change that' alice imagefs account add "$STORE" guest --uid 61009
ok 'at once' as_user 61009 imagefs mount "$STORE" "$T/61009/mnt"
is 'with a view of its own' "$(as_user 61009 readlink "$T/61009/mnt/accounts/guest")" ..
as_user 61009 imagefs umount "$T/61009/mnt"
for name in bob 61009; do
	fails "$name lists no store" 'Permission denied' as_user $name ls "$STORE"
	for part in imagefs.store lock catalog/data.mdb pool overlay; do
		fails "$name does not read $part" 'Permission denied' as_user $name head -c 1 "$STORE/$part"
	done
done
daemon=$(imagefs status "$STORE" --json | jq '.["daemon-pid"]')
for part in mem environ maps fd/0; do
	fails "nor /proc/DAEMON/$part" 'Permission denied' bob head -c 1 "/proc/$daemon/$part"
done
fails 'nor signals it' 'not permitted' bob bash -c 'kill -9 "$1"' _ "$daemon"
fails 'nor checks it' 'only root' bob imagefs check "$STORE"
ok 'an operator does' alice imagefs check "$STORE"

begin 'a writer of another user'
carol bash -c 'mkdir "$1" && exec 3>"$1/disk" && cat "$2" >&3; exit 0' _ "$C/ap-beijing/custom/open" "$T/a.img"
is 'that ends without closing is not killed' "$(carol head -n 2 "$C/ap-beijing/custom/open/.status" | grep state)" 'state: available'
carol mkdir "$C/ap-beijing/custom/killed"
mkfifo -m 644 "$T/fifo"
exec 9<>"$T/fifo"
carol dd bs=64k iflag=fullblock if="$T/fifo" of="$C/ap-beijing/custom/killed/disk" status=none 9>&- 2>/dev/null &
head -c 1M "$T/b.img" >&9
wait_until 10 carol bash -c '[ "$(stat -c %s "$1/disk" 2>/dev/null)" = 1048576 ]' _ "$C/ap-beijing/custom/killed"
kill -9 "$(pgrep -u "$(user_id carol)" -x dd)"
wait $! 2>/dev/null
exec 9>&-
ok 'that is killed is noticed' wait_until 5 carol grep -q 'state: pending' "$C/ap-beijing/custom/killed/.status"
like 'and told' "$(carol grep reason "$C/ap-beijing/custom/killed/.status")" 'killed'

begin 'the daemon dies'
kill -9 "$daemon"
ok 'bob does not notice' bob cmp "$T/a.img" "$B/ap-beijing/custom/web/disk"
ok 'nor carol' carol cmp "$T/b.img" "$C/ap-beijing/custom/web/disk"
is 'rights are what they were' "$(bob ls "$B/accounts/db/ap-beijing")" shared
ok 'it tells again that it is ready' wait_until 10 bash -c '[ "$(grep -c READY=1 "$1")" = 2 ]' _ "$T/notified"

begin 'the end'
for name in alice bob carol; do ok "$name unmounts" as_user $name imagefs umount "$T/$name/mnt"; done
kill "$server"
wait "$server"
is 'ends with 0' "$?" 0
is 'it told that it would' "$(tail -n 1 "$T/notified")" "$service STOPPING=1"
fails 'nobody serves it now' 'its owner can' bob imagefs mount "$STORE" "$B"
serve
ok 'until it is started again' wait_until 10 bash -c '[ "$(grep -c READY=1 "$1")" = 3 ]' _ "$T/notified"
ok 'bob mounts' bob imagefs mount "$STORE" "$B"
ok 'and has what he had' bob cmp "$T/a.img" "$B/ap-beijing/custom/web/disk"
bob imagefs umount "$B"
kill "$server"
wait "$server"
kill $manager
done_testing
