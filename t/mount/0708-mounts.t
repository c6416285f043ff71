#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Several mounts of one store: what one changes the others see, whatever they had cached.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse

new_store
M=$T/one mount_store
M=$T/two mount_store
M=$T/three mount_store
make_disk "$T/a.img" 4 1 1
make_disk "$T/b.img" 4 1 2
A=$T/one/ap-beijing/custom
B=$T/two/ap-beijing/custom
C=$T/three/ap-beijing/custom
is 'it is one store' "$(store_status mounts)" 3

# seen DESC CMD...: both others agree within a moment. CMD has the folder as its last argument.
seen() {
	local what=$1
	shift
	ok "$what: the second mount" wait_until 2 "$@" "$B"
	ok "$what: the third" wait_until 2 "$@" "$C"
}
# Everything that can be cached is, in all of them.
warm() { ls -lRA "$T/one" "$T/two" "$T/three" >/dev/null; ls "$T"/*/ap-beijing/.trash/custom >/dev/null; }
listing_is() { [ "$(ls "$2" | xargs)" = "$1" ]; }
has() { [ -d "$2/$1" ]; }
has_not() { [ ! -e "$2/$1" ] && [ ! -L "$2/$1" ]; }
text_is() { [ "$(cat "$3/$1" 2>/dev/null)" = "$2" ]; }
disk_is() { cmp -s "$3/$1/disk" "$2"; }
mode_is() { [ "$(stat -c %a "$3/$1")" = "$2" ]; }
link_is() { [ "$(readlink "$3/$1")" = "$2" ]; }
trash_has() { [ "$(ls "$2/../.trash/custom" | grep -c "^$1@")" = 1 ]; }

warm
seen 'nothing is there' listing_is ''
seen 'nothing of that name' has_not web
mkdir "$A/web"
seen 'the listing, when it had been empty' listing_is web
rmdir "$A/web"
seen 'and is again' listing_is ''
warm
mkdir "$A/web"
seen 'mkdir' has web
seen 'its listing' listing_is web
warm
cp "$T/a.img" "$A/web/disk"
seen 'an import' disk_is web "$T/a.img"
echo 'debian 12' >"$A/web/os"
seen 'a setting' text_is web/os 'debian 12'
warm
echo 'debian 13' >"$A/web/os"
seen 'that changes' text_is web/os 'debian 13'
ok 'also its size' [ "$(stat -c %s "$B/web/os")" = 10 ]
warm
rm "$A/web/os"
seen 'that is removed' has_not web/os
warm
chmod a-w "$A/web"
seen 'protection' mode_is web 555
M=$T/two refused 'which holds there' EPERM protected rm -r "$B/web"
warm
chmod u+w "$A/web"
seen 'and goes' mode_is web 755
warm
mv "$A/web" "$A/app"
seen 'a new name' has app
seen 'and not the old one' has_not web
seen 'in the listing' listing_is app
ln -s app "$A/latest"
seen 'an alias' link_is latest app
mkdir "$A/v2" && cp "$T/b.img" "$A/v2/"
seen 'which leads there' disk_is latest "$T/a.img"
warm
ln -sfn v2 "$A/latest"
seen 'and moves' link_is latest v2
seen 'with all that is behind it' disk_is latest "$T/b.img"
warm
rm "$A/latest"
seen 'and goes' has_not latest
warm
rm -r "$A/app"
seen 'what is deleted' has_not app
seen 'also in the listing' listing_is v2
seen 'shows in the trash' trash_has app
warm
mv "$A"/../.trash/custom/app@* "$A/app"
seen 'and comes back from it' disk_is app "$T/a.img"
is 'the trash is empty' "$(ls "$B/../.trash/custom" "$C/../.trash/custom" | grep -c @)" 0
warm
rm -r "$A/app"
mkdir "$A/app" && cp "$T/b.img" "$A/app/"
seen 'another image of the same name' disk_is app "$T/b.img"
warm
mkdir "$T/one/eu-frankfurt"
seen 'a region' bash -c 'test -d "$0/../../eu-frankfurt/custom"'
rmdir "$T/one/eu-frankfurt"
seen 'that goes' bash -c 'test ! -e "$0/../../eu-frankfurt"'
echo 'images-per-region 7' >"$T/one/.policy"
seen 'a policy' bash -c 'grep -qx "images-per-region 7" "$0/../../.policy"'

mkdir "$A/grow"
head -c 1M "$T/a.img" >"$A/grow/x.img"
seen 'an upload under way' bash -c '[ "$(stat -c %s "$0/grow/x.img")" = 1048576 ]'
dd if="$T/a.img" of="$B/grow/x.img" bs=1M seek=1 skip=1 conv=notrunc status=none
ok 'may go on in another mount' disk_is grow "$T/a.img" "$A"
seen 'and is whole everywhere' disk_is grow "$T/a.img"

ok 'copies between two mounts' cp -r "$A/grow" "$T/two/ap-shanghai/custom/"
ok 'are whole' cmp "$T/three/ap-shanghai/custom/grow/disk" "$T/a.img"

begin 'all at once'
work() {
	local n
	for n in $(seq 25); do
		mkdir "$1/$2" && echo "$n" >"$1/$2/description" && mv "$1/$2" "$1/$2-x" && rm -r "$1/$2-x" || echo "failed in round $n"
	done
}
echo 'images-per-region none' >"$T/one/.policy"
work "$A" p >"$T/w1" 2>&1 &
one=$!
work "$B" q >"$T/w2" 2>&1 &
two=$!
work "$C" r >"$T/w3" 2>&1 &
wait $one $two $!
is 'three mounts change one folder' "$(cat "$T"/w?)" ''
seen 'and agree on what is left' listing_is 'app grow v2'

begin 'one goes'
M=$T/two umount_store
is 'two are left' "$(store_status mounts)" 2
ok 'and work' mkdir "$A/more"
ok 'both' wait_until 2 has more "$C"
ok 'the same place again' imagefs mount "$STORE" "$T/two"
ok 'sees all' disk_is grow "$T/a.img" "$B"

begin 'a descriptor without a mount'
cat >"$T/client.py" <<'END'
import array, os, socket, sys
c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
c.settimeout(5)
c.connect(sys.argv[1] + "/socket")
device = array.array("i", [os.open("/dev/fuse", os.O_RDWR)])
def ask(text, passed=[]):
    c.sendmsg([text.encode()], passed)
    return c.recv(6000).decode()
ask("hello 1")
ask("attach 0 " + sys.argv[2], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, device)])
sys.exit(ask("mounted"))
END
if command -v python3 >/dev/null; then
	fails 'is not served' 'nothing is mounted' python3 "$T/client.py" "$STORE" "$T"
	is 'nor kept' "$(store_status mounts)" 3
fi
done_testing
