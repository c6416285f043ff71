#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 200
# Whoever is given an image starts instances of it and gets at its bytes in no other way: every tool, every call, before and after
# the share is cancelled; and what they started outlives the share, the image and its owner's account.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need jq busybox qemu-img rsync losetup getfattr setfattr

begin 'accounts'
tenants_store
give_disk "$T/a.img" 1
give_disk "$T/b.img" 2
make_image alice web "$T/a.img"
make_image alice kept "$T/b.img"
make_image bob own "$T/b.img"
alice ln -sr "$A/$R/custom/web" "$A/accounts/bob/$R/shared/" || flunk 'share' 'failed'
S=$B/$R/shared/web@alice
D=$S/disk
H=$T/bob/host
install -d -o "$(user_id bob)" "$H"
cp "$(helper_path leak)" "$T/.private/leak"
leak=$T/.private/leak
ok 'it is there' wait_until 2 bob test -f "$D"

# denied DESC CMD...: it fails for bob, is not ended by a signal but SIGBUS, and nothing of it is in $H/out.
denied() {
	local what=$1
	shift
	rm -rf "$H/out"
	if run bob "$@"; then
		flunk "$what" "succeeded: $*"
	elif find "$H" -type f -size +0 -exec cmp -s -n 512 {} "$T/a.img" \; -print | grep -q .; then
		flunk "$what" 'the bytes are there'
	else
		pass "$what"
	fi
	rm -rf "${H:?}/out"
}

begin 'tools'
denied 'cat' bash -c 'cat "$1" >"$2"' _ "$D" "$H/out"
denied 'head' bash -c 'set -o pipefail; head -c 1 "$1" >"$2"' _ "$D" "$H/out"
denied 'tail' bash -c 'tail -c 1 "$1" >"$2"' _ "$D" "$H/out"
denied 'od' bash -c 'od -N 16 "$1" >"$2"' _ "$D" "$H/out"
denied 'cmp' cmp "$D" "$T/a.img"
denied 'sha256sum' sha256sum "$D"
denied 'grep' bash -c 'grep -c . "$1" || [ $? = 1 ] && exit 0; exit 2' _ "$D"
denied 'dd' dd if="$D" of="$H/out" status=none
denied 'dd, direct' dd if="$D" of="$H/out" iflag=direct bs=4096 count=1 status=none
denied 'dd in the middle' dd if="$D" of="$H/out" bs=512 skip=17 count=1 status=none
for options in '' -a '--reflink=always' '--reflink=auto' '--reflink=never' '--sparse=always' '--sparse=never' '-r' '-p' '-l'; do
	# shellcheck disable=SC2086 # options or none
	denied "cp $options to the host" cp $options "$D" "$H/out"
done
denied 'cp -l' cp -l "$D" "$B/$R/custom/own/linked"
denied 'cp -r of all' cp -r "$S" "$H/out"
denied 'cp -a of all' cp -a "$S" "$H/out"
denied 'busybox cp' busybox cp "$D" "$H/out"
denied 'busybox cat' bash -c 'busybox cat "$1" >"$2"' _ "$D" "$H/out"
denied 'install' install "$D" "$H/out"
denied 'ln' ln "$D" "$H/out"
denied 'ln beside' ln "$D" "$S/disk2"
denied 'mv' mv "$D" "$H/out"
denied 'mv of all' mv "$S" "$H/out"
denied 'tar' bash -c 'tar -C "$1" -cf "$2" disk' _ "$S" "$H/out"
denied 'rsync' rsync "$D" "$H/out"
denied 'rsync -a' rsync -a "$S/" "$H/out/"
denied 'rsync --inplace' rsync --inplace "$D" "$H/out"
denied 'qemu-img convert' qemu-img convert -f raw -O qcow2 "$D" "$H/out"
denied 'qemu-img dd' qemu-img dd -f raw -O raw bs=512 count=1 if="$D" of="$H/out"
denied 'qemu-img compare' qemu-img compare -f raw -F raw "$D" "$T/a.img"
denied 'qemu-img probing' qemu-img info "$D"
denied 'qemu-img convert to its own' qemu-img convert -n -f raw -O raw "$D" "$B/$R/custom/own/disk"
denied 'imagefs export' imagefs export "$S" "$H/out"
denied 'writing' bash -c 'echo x >"$1"' _ "$D"
denied 'appending' bash -c 'echo x >>"$1"' _ "$D"
denied 'truncating' truncate -s 0 "$D"
denied 'growing' truncate -s 1G "$D"
denied 'removing' rm "$D"
denied 'replacing' cp "$T/b.img" "$D"
denied 'touching' touch -d yesterday "$D"
denied 'xattrs' setfattr -n user.imagefs.state -v x "$S"
is 'no value of an xattr is the disk' "$(bob getfattr -d -m - "$S" "$D" 2>&1 | grep -v '^#' | xargs)" ''
if losetup -f >/dev/null 2>&1; then
	denied 'a loop device' losetup -f --show -r "$D"
	device=$(losetup -f --show -r "$D" 2>/dev/null) || device=
	is 'root, through a mount that is not its own' "$device" ''
elif [ "${IMAGEFS_NO_SKIPS:-0}" = 1 ]; then
	flunk 'a loop device' 'there are none here'
fi
is 'it is as it was' "$(alice sha256sum "$A/$R/custom/web/disk" | cut -d' ' -f1)" "$(sha256sum "$T/a.img" | cut -d' ' -f1)"

begin 'copies into what is his'
denied 'cp -r into custom' cp -r "$S" "$B/$R/custom/mine"
is 'what was begun is pending' "$(bob sed -n 's/^state: //p' "$B/$R/custom/mine/.status")" pending
bob rm -rf "$B/$R/custom/mine"
bob mkdir "$B/$R/custom/pending"
for options in '' '--reflink=always' '--reflink=never' '--sparse=always'; do
	# shellcheck disable=SC2086 # options or none
	denied "cp $options into a pending image" cp $options "$D" "$B/$R/custom/pending/disk"
done
is 'which still has nothing' "$(bob sed -n 's/^state: //p' "$B/$R/custom/pending/.status")" pending
bob cat "$B/$R/custom/own/disk" >/dev/null
denied 'over the image he has' cp "$D" "$B/$R/custom/own/disk"
ok 'which is what it was' bob cmp "$B/$R/custom/own/disk" "$T/b.img"
denied 'into an instance in another region' cp -r "$S" "$B/ap-shanghai/instances/far"
denied 'a link to one' bash -c 'mkdir -p "$2/instances/far2" && ln -sr "$1" "$2/instances/far2/image"' _ "$S" "$B/ap-shanghai"
denied 'into a custom image in another region' cp -r "$S" "$B/ap-shanghai/custom/far"
denied 'into a public image' cp -r "$S" "$B/$R/public/far"
denied 'into the marketplace' cp -r "$S" "$B/$R/marketplace/far"
bob rm -rf "$B/ap-shanghai/instances/far" "$B/ap-shanghai/instances/far2" "$B/ap-shanghai/custom/far"

begin 'calls'
# Times of what is one's own are set by others, too, and that is no byte of the disk.
brought() { grep ' bytes$' "$T/tried" | grep -v '^utimes ' | xargs; }
alice "$leak" "$A/$R/custom/kept/disk" "$T/alice/out" >"$T/control"
bob timeout 20 "$leak" "$D" "$H/out" >"$T/tried"
is 'none of them brings bytes' "$(brought)" ''
is 'reading' "$(grep -E '^(read|pread-odd|readv|aio|uring|reopen|direct) ' "$T/tried" | cut -d' ' -f2 | sort -u)" EPERM
is 'mapping' "$(grep -E '^(map-shared|map-private|readahead) ' "$T/tried" | cut -d' ' -f2 | sort -u)" SIGBUS
is 'opening it to write' "$(sed -n 's/^open-writing //p' "$T/tried")" EPERM
is 'there were as many as there are' "$(wc -l <"$T/tried")" "$(wc -l <"$T/control")"
rm -rf "$H/out"
bob timeout 20 "$leak" "$D" "$B/$R/custom/pending/other.img" >"$T/tried"
is 'nor into a file of his' "$(brought)" ''
is 'copy_file_range' "$(grep '^copy' "$T/tried" | cut -d' ' -f2 | sort -u)" EPERM
for way in read pread-odd map-shared map-private readahead splice sendfile vmsplice write-of-map aio uring reopen direct path-reopen sendfile-to; do
	ok "the owner gets bytes by $way" grep -qx "$way bytes" "$T/control"
done
setpriv --reuid "$(user_id bob)" --regid "$(user_id bob)" --clear-groups --inh-caps=-all,+setuid,+setgid --ambient-caps=-all,+setuid,+setgid \
	"$leak" pass "$D" "$(user_id carol)" >"$T/tried" 2>"$T/.err" || diag "$(cat "$T/.err")"
is 'a descriptor that is passed on to carol' "$(grep -c ' bytes$' "$T/tried")" 0
is 'it was tried' "$(wc -l <"$T/tried")" 18
is 'root is not let in at all' "$("$leak" "$D" "$H/out" | head -n 1)" 'open EACCES'
bob bash -c '"$1" pass "$2" 61002' _ "$leak" "$D" >"$T/tried"
is 'passed on by bob to himself' "$(grep -c ' bytes$' "$T/tried")" 0
is 'it was tried' "$(wc -l <"$T/tried")" 18
refused_to bob 'and says why' EPERM 'for starting instances and nothing else' cat "$D"

begin 'what was open'
coproc held { as_user bob "$leak" hold "$D"; }
holder=$held_PID # bash forgets it when it has ended
read -r line <&"${held[0]}"
is 'it is open' "$line" open
# ask: what a held descriptor brings now, in $T/held
ask() {
	local line
	: >"$T/held"
	echo >&"${held[1]}"
	while read -r line <&"${held[0]}" && [ "$line" != done ]; do echo "$line" >>"$T/held"; done
}
ask
is 'nothing while it is shared' "$(grep ' bytes$' "$T/held" | xargs)" 'seek bytes'
# Her own mount has the pages of it by now, his must not.
alice cat "$A/$R/custom/web/disk" >/dev/null
ask
is 'nor when the owner has read it' "$(grep ' bytes$' "$T/held" | xargs)" 'seek bytes'
alice rm "$A/accounts/bob/$R/shared/web"
ask
is 'nor when the share is cancelled' "$(grep ' bytes$' "$T/held" | xargs)" ''
is 'not even where its data are' "$(sed -n 's/^seek //p' "$T/held")" ENOENT
kill -9 "$(store_daemon_pid)"
wait_until 10 store_daemon_pid
ask
is 'nor from the next daemon' "$(grep ' bytes$' "$T/held" | xargs)" ''
alice ln -sr "$A/$R/custom/web" "$A/accounts/bob/$R/shared/"
bob rmdir "$S"
ask
is 'nor when it is declined' "$(grep ' bytes$' "$T/held" | xargs)" ''
alice ln -sr "$A/$R/custom/web" "$A/accounts/bob/$R/shared/"
is 'shared again it is a new directory, to who has the old one open, too' "$(bob ls "$S" | xargs)" 'disk owner reviewed'
ask
is 'what was open is no more than before' "$(grep ' bytes$' "$T/held" | xargs)" 'seek bytes'
eval "exec ${held[1]}>&-"
wait "$holder" 2>/dev/null
alice rm "$A/accounts/bob/$R/shared/web"
ok 'an operator reads it' cmp "$T/a.img" "$M/accounts/alice/$R/custom/web/disk"
coproc held { exec "$leak" hold "$M/accounts/alice/$R/custom/web/disk"; }
holder=$held_PID
read -r line <&"${held[0]}"
ask
ok 'also what is open' grep -qx 'read bytes' "$T/held"
alice imagefs umount "$A" && imagefs account set "$STORE" alice operator yes && alice imagefs mount "$STORE" "$A"
ok 'until they are none' alice bash -c 'echo "operator no" >"$1/accounts/root/.account"' _ "$A"
ask
is 'then nothing new' "$(grep -E '^(direct|reopen|read) bytes' "$T/held" | xargs | sed 's/^read bytes$//')" ''
eval "exec ${held[1]}>&-"
wait "$holder" 2>/dev/null
alice bash -c 'echo "operator yes" >"$1/accounts/root/.account"' _ "$A"
imagefs account set "$STORE" alice operator no

begin 'instances'
alice ln -sr "$A/$R/custom/web" "$A/accounts/bob/$R/shared/"
ok 'it is back' wait_until 2 bob test -f "$D"
ok 'cp -r' bob cp -r "$S" "$B/$R/instances/v1"
ok 'a link' bob bash -c 'mkdir "$1/instances/v2" && ln -sr "$2" "$1/instances/v2/image"' _ "$B/$R" "$S"
ok 'cp of the disk' bob bash -c 'mkdir "$1/instances/v3" && cp "$2" "$1/instances/v3/disk"' _ "$B/$R" "$D"
ok 'an absolute link' bob bash -c 'mkdir "$1/instances/v4" && ln -s "$2/" "$1/instances/v4/image"' _ "$B/$R" "$S"
for v in v1 v2 v3 v4; do
	ok "$v has its bytes" bob cmp "$T/a.img" "$B/$R/instances/$v/disk"
	is "$v is of that" "$(bob readlink "$B/$R/instances/$v/image")" "../../../$R/shared/web@alice"
done
ok 'it is written' bob bash -c 'echo changed | dd of="$1" conv=notrunc status=none' _ "$B/$R/instances/v1/disk"
ok 'alice has what she had' alice cmp "$T/a.img" "$A/$R/custom/web/disk"

begin 'images of these'
ok 'an image of an instance' bob cp -r "$B/$R/instances/v2" "$B/$R/custom/made"
ok 'has its bytes' bob cmp "$T/a.img" "$B/$R/custom/made/disk"
echo 'shared-instance-image no' >"$M/.policy"
refused_to bob 'policy shared-instance-image' EROFS 'shared-instance-image' cp -r "$B/$R/instances/v2" "$B/$R/custom/made2"
bob rm -rf "$B/$R/custom/made2"
ok 'also of an instance' bash -c '! "$@" 2>/dev/null' _ setpriv --reuid "$(user_id bob)" --clear-groups cp -r "$B/$R/instances/v2" "$B/$R/instances/v9"
bob rm -rf "$B/$R/instances/v9"
ok 'an instance of his own is started' bob cp -r "$B/$R/custom/own" "$B/$R/instances/mixed"
ok 'an image of it is made' bob cp -r "$B/$R/instances/mixed" "$B/$R/custom/mixed1"
ok 'a range of the shared disk goes into it' bob "$leak" copy "$B/$R/instances/mixed/disk" "$B/$R/custom/own/disk" 0 65536 "$D" 1048576 1048576
refused_to bob 'then no image is made of it any more' EROFS 'shared-instance-image' cp -r "$B/$R/instances/mixed" "$B/$R/custom/mixed2"
bob rm -rf "$B/$R/custom/mixed2"
ok 'a range of his own goes into that' bob "$leak" copy "$B/$R/instances/mixed/disk" "$B/$R/custom/own/disk" 0 65536
refused_to bob 'and changes nothing' EROFS 'shared-instance-image' cp -r "$B/$R/instances/mixed" "$B/$R/custom/mixed2"
bob rm -rf "$B/$R/custom/mixed2"
echo 'shared-instance-image -' >"$M/.policy"

begin 'policy shared-copy'
echo 'shared-copy same-region' >"$M/accounts/bob/.policy"
ok 'cp -r' bob cp -r "$S" "$B/$R/custom/copied"
ok 'it is whole' bob cmp "$T/a.img" "$B/$R/custom/copied/disk"
bob mkdir "$B/ap-shanghai/custom/x"
refused_to bob 'not into another region' EPERM 'own region|and nothing else' cp "$D" "$B/ap-shanghai/custom/x/disk"
denied 'reading is another thing' cat "$D"
echo 'shared-copy -' >"$M/accounts/bob/.policy"
denied 'and then not any more' cp -r "$S" "$B/$R/custom/copied2"
bob rm -rf "$B/$R/custom/copied2" "$B/ap-shanghai/custom/x"

begin 'policy download'
cp -r "$M/accounts/alice/$R/custom/kept" "$M/$R/public/linux" || flunk 'public' failed
cp -r "$M/accounts/alice/$R/custom/web" "$M/$R/public/windows" || flunk 'public' failed
echo windows >"$M/$R/public/windows/license"
P=$B/$R/public
reads() { bob cmp "$1" "$P/$2/disk"; }
ok 'what is free is read' reads "$T/b.img" linux
denied 'what has a fee is not' cat "$P/windows/disk"
denied 'nor copied' cp -r "$P/windows" "$B/$R/custom/windows"
bob rm -rf "$B/$R/custom/windows"
ok 'but started' bob cp -r "$P/windows" "$B/$R/instances/w"
bob "$leak" "$P/windows/disk" "$H/out" >"$T/tried"
is 'not by any call' "$(brought)" ''
echo 'download none' >"$M/.policy"
denied 'none: nothing is read, cached or not' cat "$P/linux/disk"
bob "$leak" "$P/linux/disk" "$H/out" >"$T/tried"
is 'not by any call' "$(brought)" ''
ok 'but started' bob cp -r "$P/linux" "$B/$R/instances/l"
echo 'download all' >"$M/.policy"
ok 'all: everything is read' reads "$T/a.img" windows
echo 'download -' >"$M/.policy"
denied 'as before' cat "$P/windows/disk"

begin 'instances outlive'
alice rm "$A/accounts/bob/$R/shared/web"
intact() {
	ok "$1: its bytes" bob cmp "$T/a.img" "$B/$R/instances/v2/disk"
	ok "$1: it is written" bob bash -c 'head -c 512 "$1" | dd of="$2" conv=notrunc status=none' _ "$T/a.img" "$B/$R/instances/v4/disk"
}
intact 'the share'
alice rm -r "$A/$R/custom/web" "$A/$R/custom/kept"
intact 'the image'
alice bash -c 'rm -rf "$1"/.trash/*/*@*' _ "$A/$R"
imagefs gc "$STORE" >/dev/null || flunk gc failed
intact 'its bytes in the trash'
ok 'the account goes' wait_until 10 rmdir "$M/accounts/alice"
imagefs gc "$STORE" >/dev/null || flunk gc failed
echo 3 >/proc/sys/vm/drop_caches
intact 'the account'
is 'it says where it was from' "$(bob readlink "$B/$R/instances/v2/image" | sed 's/@img-.*//')" "../../../$R/shared/web@alice"
ok 'the daemon starts again' bash -c 'kill -9 "$1"' _ "$(store_daemon_pid)"
wait_until 10 store_daemon_pid
intact 'the daemon'
ok 'the store is whole' imagefs check --read-data "$STORE"
done_testing
