#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sharing by links: every way to make, move and cancel one, what is refused, who sees what of it, and that nothing
# happens twice when the daemon dies.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need jq getfattr

begin 'accounts'
tenants_store
leak=$T/.private/leak
cp "$(helper_path leak)" "$leak"
give_disk "$T/a.img" 1
give_disk "$T/b.img" 2
make_image alice web "$T/a.img"
make_image alice db "$T/b.img"
make_image alice away "$T/b.img" ap-shanghai
make_image bob own "$T/b.img"
box=$A/accounts/bob/$R/shared
cbox=$A/accounts/carol/$R/shared
status_line() { as_user "$1" sed -n "s/^$3: //p" "$T/$1/mnt/$2/.status" | xargs; }
# shared_as DESC NAME: bob has it under that name and no other, soon; the link is followed to the image; then it is cancelled.
shared_as() {
	ok "$1" wait_until 2 sees bob $R/shared "$2@alice"
	ok '… leads to the image' alice cmp "$T/a.img" "$box/$2/disk"
	ok '… is a link' alice test -L "$box/$2"
	ok '… is cancelled by rm' alice rm "$box/$2"
	ok '… and gone' wait_until 2 sees bob $R/shared ''
}

begin 'ways to make one'
ok 'ln -sr' alice ln -sr "$A/$R/custom/web" "$box/"
is 'its text leads from there to the image' "$(alice readlink "$box/web")" "../../../../$R/custom/web"
shared_as 'it is there' web
ok 'ln -s, absolute' alice ln -s "$A/$R/custom/web" "$box/"
shared_as 'it is there' web
ok 'ln -s, absolute, with a slash behind it' alice ln -s "$A/$R/custom/web/" "$box/x"
shared_as 'it is there' x
ok 'relative, by hand' alice bash -c 'cd "$1" && ln -s "../../../../$2/custom/web" .' _ "$box" $R
shared_as 'it is there' web
ok 'with dots and slashes in it' alice ln -s "../../..//./../$R/../$R/custom/web//" "$box/dots"
shared_as 'it is there' dots
ok 'ln -srf' alice ln -srf "$A/$R/custom/web" "$box/web"
shared_as 'it is there' web
ok 'ln -sf onto itself' alice bash -c 'ln -s "$1" "$2/web" && ln -sfT "$1" "$2/web"' _ "$A/$R/custom/web" "$box"
shared_as 'it is there' web
ok 'ln -sfn, twice' alice bash -c 'ln -sfn "$1" "$2/web" && ln -sfn "$1" "$2/web"' _ "$A/$R/custom/web" "$box"
shared_as 'it is there' web
ok 'ln -sfnr, under another name' alice bash -c 'ln -sfnr "$1" "$2/web" && ln -sfnr "$1" "$2/app"' _ "$A/$R/custom/web" "$box"
shared_as 'it has the new one' app
ok 'cp -P of a link' alice bash -c 'ln -s "$1" "$3/l" && cp -P "$3/l" "$2/copied" && rm "$3/l"' _ "$A/$R/custom/web" "$box" "$T/alice"
shared_as 'it is there' copied
ok 'an alias' alice ln -s web "$A/$R/custom/latest"
ok 'ln -sr of the alias gives what it names' alice bash -c 'cd "$1" && ln -s "../../../../$2/custom/latest" .' _ "$box" $R
shared_as 'it is there' latest
ok 'by way of accounts/alice' alice ln -s "../../../alice/$R/custom/web" "$box/self"
shared_as 'it is there' self
ok 'tar brings one' alice bash -c 'mkdir "$3/d" && ln -s "$1" "$3/d/t" && tar -C "$3/d" -c t | tar -C "$2" -xP' _ "$A/$R/custom/web" "$box" "$T/alice"
shared_as 'it is there' t

begin 'through other paths'
mkdir "$T/bound" "$T/boundbox"
# Root may not enter her mount: it is her who looks for the folder, with leave to mount.
bind() {
	setpriv --reuid "$(user_id alice)" --regid "$(user_id alice)" --clear-groups --inh-caps=+sys_admin --ambient-caps=+sys_admin \
		"$leak" bind "$@"
}
ok 'they are bound' eval 'bind "$A" "$T/bound" && bind "$box" "$T/boundbox"'
ok 'a bind mount of all' alice ln -s "$T/bound/$R/custom/web" "$box/"
shared_as 'it is there' web
ok 'a link made in it' alice ln -sr "$T/bound/$R/custom/web" "$T/bound/accounts/bob/$R/shared/"
shared_as 'it is there' web
ok 'into a bind mount of the box' alice ln -s "$A/$R/custom/web" "$T/boundbox/"
shared_as 'it is there' web
ok 'from a folder that is called accounts' alice bash -c 'mkdir -p "$2/accounts/x" && ln -s "/srv/accounts/$3/custom/web" "$1/far"' _ "$box" "$T/alice" $R
shared_as 'it is there' far
umount "$T/bound" "$T/boundbox"

begin 'one at a time'
ok 'web is shared with bob' alice ln -sr "$A/$R/custom/web" "$box/"
ok 'and with carol' alice ln -sr "$A/$R/custom/web" "$cbox/"
ok 'db with bob' alice ln -sr "$A/$R/custom/db" "$box/"
is 'alice sees whom' "$(alice bash -c 'cd "$1" && printf "%s\n" */*/shared/*' _ "$A/accounts" | grep -v '^alice' | xargs)" \
	"bob/$R/shared/db bob/$R/shared/web carol/$R/shared/web"
fails 'ln -s of the same name' 'File exists' alice ln -sT "$A/$R/custom/web" "$box/web"
fails 'a second image by a name that is taken' 'File exists' alice ln -sT "$A/$R/custom/web" "$box/db"
ok 'a link is renamed' alice mv "$box/web" "$box/site"
ok 'and bob sees that' wait_until 2 sees bob $R/shared 'db@alice site@alice'
fails 'a rename that replaces nothing' 'File exists' alice "$leak" rename "$box/site" "$box/db"
ok 'ln -sfn gives a name to another image' alice ln -sfn "$A/$R/custom/web" "$box/db"
ok 'what had it is not shared any more' wait_until 2 sees bob $R/shared 'db@alice'
ok 'it is web now' bob grep -q . "$B/$R/shared/db@alice/.status"
is 'the log has both' "$(log_of alice | tail -n 2 | cut -f 1,2,4 | tr '\t' ' ' | xargs -n 3)" \
	"unshare accounts/bob/$R/shared/db $R/custom/db
share accounts/bob/$R/shared/db $R/custom/web"
ok 'back' alice bash -c 'mv "$1/db" "$1/web" && ln -sr "$2/custom/db" "$1/db"' _ "$box" "$A/$R"
ok 'mv to another receiver' alice mv "$box/db" "$cbox/"
ok 'bob has lost it' wait_until 2 sees bob $R/shared 'web@alice'
ok 'carol has it' wait_until 2 sees carol $R/shared 'db@alice web@alice'
ok 'an image is renamed while it is shared' alice mv "$A/$R/custom/web" "$A/$R/custom/web2"
is 'the share keeps its name' "$(listing bob $R/shared)" 'web@alice'
is 'the link leads to it' "$(alice readlink "$box/web")" "../../../../$R/custom/web2"
ok 'also when followed' alice cmp "$T/a.img" "$box/web/disk"
alice mv "$A/$R/custom/web2" "$A/$R/custom/web"

begin 'who sees what'
is 'bob: the image and its settings' "$(bob ls "$B/$R/shared/web@alice" | xargs)" 'disk owner reviewed'
is 'whose it is' "$(bob cat "$B/$R/shared/web@alice/owner")" alice
is 'not reviewed' "$(bob cat "$B/$R/shared/web@alice/reviewed")" no
is '.status tells it, too' "$(status_line bob $R/shared/web@alice reviewed) $(status_line bob $R/shared/web@alice owner)" 'no alice'
is 'but not who else has it' "$(status_line bob $R/shared/web@alice shared-with)" ''
is 'alice is told' "$(status_line alice $R/custom/web shared-with)" 'bob carol'
is 'by an xattr, too' "$(alice getfattr --only-values -n user.imagefs.shared-with "$A/$R/custom/web" | xargs)" 'bob carol'
is 'bob is not' "$(bob getfattr --only-values -n user.imagefs.shared-with "$B/$R/shared/web@alice" 2>&1 | grep -c 'No such attribute')" 1
is 'in his .list it is shared' "$(bob awk -F '\t' '$2 == "shared" { print $3, $11, $12 }' "$B/.list")" 'web@alice alice 0'
is 'hers counts the shares' "$(alice awk -F '\t' '$3 == "web" { print $12 }' "$A/.list")" 3
is 'in the box each has a namespace' "$(bob ls "$B/accounts/carol/$R/shared" | xargs)" ''
is 'bob may use the same name there' "$(bob bash -c 'ln -sr "$1/'$R'/custom/own" "$1/accounts/carol/'$R'/shared/web" && ls "$1/accounts/carol/'$R'/shared"' _ "$B" | xargs)" web
ok 'carol has both' wait_until 2 sees carol $R/shared 'db@alice web@alice web@bob'
is 'the operator sees everybodys' "$(ls "$M/accounts/carol/$R/shared" | xargs)" 'db@alice web@alice web@bob'
is 'and where it leads' "$(readlink "$M/accounts/carol/$R/shared/web@bob")" "../../../../accounts/bob/$R/custom/own"
ok 'which can be followed' cmp "$T/b.img" "$M/accounts/carol/$R/shared/web@bob/disk"
is 'nothing is left of a share in a strange box' "$(bob ls "$B/accounts/alice/$R/shared" | xargs)" ''
fails 'the name of a strange share opens nothing' 'No such file' bob cat "$B/accounts/carol/$R/shared/db/.status"
fails 'nor does it in the own folder' 'No such file' bob cat "$B/$R/shared/db@alice/.status"
is 'what is not there is answered in the same way' "$(bob stat "$B/$R/shared/db@alice" 2>&1 | sed 's/db@alice/X/')" \
	"$(bob stat "$B/$R/shared/xx@alice" 2>&1 | sed 's/xx@alice/X/')"
like 'the log of bob has what is shared with him' "$(log_of bob | grep -c "^share	accounts/bob/$R/shared/web	ok	$")" '^[1-9]'
is 'without what it is called at alice' "$(log_of bob | grep -c "accounts/bob.*custom")" 0
is 'and nothing of carol' "$(log_of bob | grep 'accounts/carol' | grep -vc 'share	accounts/carol/.*own')" 0
ok 'that of the operator has all' grep -q "carol/$R/shared/db	ok	$R/custom/db" "$M/.log"
bob rm "$B/accounts/carol/$R/shared/web"

begin 'the receivers side'
ok 'rmdir declines' carol rmdir "$C/$R/shared/db@alice"
is 'it is gone' "$(listing carol $R/shared)" 'web@alice'
ok 'the link is, too' wait_until 2 bash -c '! test -L "$1"' _ "$cbox/db"
is 'alice can read that in the log' "$(log_of alice | tail -n 1 | cut -f 1,2)" "decline	accounts/carol/$R/shared/db"
refused_to bob 'rm -r does not' EPERM 'rmdir declines' rm -r "$B/$R/shared/web@alice"
fails 'rm' 'Is a directory' bob rm "$B/$R/shared/web@alice"
refused_to bob 'a new name' EPERM 'keeps its name' mv -T "$B/$R/shared/web@alice" "$B/$R/shared/mine@alice"
refused_to bob 'settings' EPERM 'belongs to another account' bash -c 'echo x >"$1/description"' _ "$B/$R/shared/web@alice"
refused_to bob 'a file beside them' EPERM 'belongs to another account' touch "$B/$R/shared/web@alice/x.img"
refused_to bob 'protection' EPERM 'belongs to another account' chmod a-w "$B/$R/shared/web@alice"
refused_to bob 'sharing on' EPERM 'its owner shares it' ln -s "$B/$R/shared/web@alice" "$B/accounts/carol/$R/shared/"
refused_to bob 'mkdir in shared' EPERM 'nothing is made here' mkdir "$B/$R/shared/x"
refused_to bob 'ln into the own shared' EINVAL 'own account' ln -s ../custom/own "$B/$R/shared/x"
ok 'it can be shared again after it was declined' alice ln -sr "$A/$R/custom/db" "$cbox/"

begin 'what is refused'
refused_to alice 'into another region' EXDEV 'copy away into that region' ln -sr "$A/ap-shanghai/custom/away" "$box/"
refused_to alice 'with oneself' EINVAL 'own account' ln -sr "$A/$R/custom/web" "$A/accounts/alice/$R/shared/"
refused_to alice 'what there is not' ENOENT 'names no image of yours' ln -s "../../../../$R/custom/nothing" "$box/x"
refused_to alice 'what is resolved from there' ENOENT 'ln -sr finds the way' ln -s ../custom/web "$box/x"
is 'also what is there, to somebody else' "$(alice ln -s "../custom/own" "$box/x" 2>&1 | sed 's/own/X/')" \
	"$(alice ln -s "../custom/new" "$box/x" 2>&1 | sed 's/new/X/')"
cp -r "$M/accounts/alice/$R/custom/web" "$M/$R/public/debian-12" || flunk 'public' 'failed'
refused_to alice 'a public image' EPERM 'belongs to another account|custom images' ln -sr "$A/$R/public/debian-12" "$box/"
ok 'an instance is made' alice cp -r "$A/$R/custom/web" "$A/$R/instances/vm"
refused_to alice 'an instance' EPERM 'custom images are shared' ln -sr "$A/$R/instances/vm" "$box/"
alice mkdir "$A/$R/custom/pending"
refused_to alice 'a pending image' EPERM 'not available yet' ln -sr "$A/$R/custom/pending" "$box/"
make_image alice byol "$T/b.img"
alice bash -c 'echo byol >"$1"' _ "$A/$R/custom/byol/license"
refused_to alice 'with license byol' EPERM 'licence that you bring' ln -sr "$A/$R/custom/byol" "$box/"
refused_to alice 'a name that is none' EINVAL '@' ln -s "$A/$R/custom/db" "$box/a@b"
refused_to alice 'a folder' ENOENT 'names no image' ln -s "$A/$R/custom" "$box/x"
fails 'an image in the trash' 'No such file' alice bash -c 'mkdir "$1/custom/old" && cp "$3" "$1/custom/old/" && rm -r "$1/custom/old" && cd "$1" && ln -s "$1"/.trash/custom/old* "$2/old"' \
	_ "$A/$R" "$box" "$T/b.img"
refused_to alice 'a box is not for files' EINVAL 'mkdir' touch "$box/file"
refused_to alice 'nor for folders' EPERM 'nothing is made here' mkdir "$box/dir"
carol bash -c 'echo "accept bob" >"$1/.account"' _ "$C"
make_image alice more "$T/b.img"
refused_to alice 'who is not accepted' EACCES 'carol takes no shares from alice' ln -sr "$A/$R/custom/more" "$cbox/"
is 'what was shared before stays' "$(listing carol $R/shared)" 'db@alice web@alice'
ok 'and may be given another name' alice mv "$cbox/db" "$cbox/base"
carol bash -c 'echo "accept bob alice" >"$1/.account"' _ "$C"
ok 'she is accepted' alice ln -sr "$A/$R/custom/more" "$cbox/"
echo 'shares-per-image 1' >"$M/accounts/alice/.policy"
refused_to alice 'more than policy allows' EDQUOT 'shares-per-image allows 1' ln -sr "$A/$R/custom/more" "$box/"
ok 'the same once more is not more' alice ln -sfn "$A/$R/custom/more" "$cbox/more2"
echo 'shares-per-image -' >"$M/accounts/alice/.policy"
echo 'operations-per-day 0' >"$M/accounts/bob/.policy"
refused_to bob 'more operations than policy allows' EDQUOT 'operations-per-day' ln -sr "$B/$R/custom/own" "$B/accounts/alice/$R/shared/"
echo 'operations-per-day -' >"$M/accounts/bob/.policy"
echo 'types public marketplace custom instances' >"$M/$R/.region"
refused_to alice 'where the region offers none' EPERM 'does not offer shared' ln -sr "$A/$R/custom/more" "$box/"
echo 'types public marketplace custom instances shared' >"$M/$R/.region"

begin 'what is shared is not deleted'
before=$(alice ls "$A/$R/custom/web" | xargs)
alice bash -c 'echo words >"$1"' _ "$A/$R/custom/web/description"
refused_to alice 'rm -r' EBUSY 'shared with bob, carol: cancel' rm -r "$A/$R/custom/web"
refused_to alice 'rm of its disk' EBUSY 'shared with bob, carol' rm "$A/$R/custom/web/disk"
refused_to alice 'rm of a setting' EBUSY 'shared with' rm "$A/$R/custom/web/description"
refused_to alice 'rmdir' EBUSY 'shared with' rmdir "$A/$R/custom/web"
refused_to alice 'mv to another region' EBUSY 'shared with' mv "$A/$R/custom/web" "$A/ap-shanghai/custom/"
ok 'nothing of it is gone' alice bash -c 'cmp "$1/disk" "$2" && grep -qx words "$1/description"' _ "$A/$R/custom/web" "$T/a.img"
refused_to alice 'an upload over it' EPERM 'used' cp "$T/b.img" "$A/$R/custom/web/disk"
refused_to alice 'an upload beside it' EPERM 'used' bash -c 'cp "$1" "$2/.x" && mv "$2/.x" "$2/disk"' _ "$T/b.img" "$A/$R/custom/web"
alice rm -f "$A/$R/custom/web/.x"
ok 'a setting is changed' alice bash -c 'echo more >"$1"' _ "$A/$R/custom/web/description"
is 'and bob reads it' "$(bob cat "$B/$R/shared/web@alice/description")" more
make_image alice kept "$T/a.img"
alice chmod a-w "$A/$R/custom/kept"
ok 'a protected image is shared' alice ln -sr "$A/$R/custom/kept" "$box/"
is 'bob sees that it is' "$(bob stat -c %a "$B/$R/shared/kept@alice")" 555
ok 'an instance of it is not' bob bash -c 'cp -r "$1/shared/kept@alice" "$1/instances/k" && rm -r "$1/instances/k"' _ "$B/$R"
alice rm "$box/kept"

begin 'uses'
ok 'bob starts one' bob cp -r "$B/$R/shared/web@alice" "$B/$R/instances/v1"
ok 'and one by a link' bob bash -c 'mkdir "$1/instances/v2" && ln -sr "$1/shared/web@alice" "$1/instances/v2/image"' _ "$B/$R"
like 'alice is told how many' "$(alice grep ^use: "$A/$R/custom/web/.status")" '2 instances of receivers'
is 'not which' "$(alice grep -c 'v1\|v2' "$A/$R/custom/web/.status")" 0
is 'bob sees his' "$(bob grep '^use: instance' "$B/$R/shared/web@alice/.status" | xargs)" "use: instance $R/instances/v1 use: instance $R/instances/v2"
is 'and not hers' "$(carol grep -c '^use: instance' "$C/$R/shared/web@alice/.status")" 0

begin 'a second mount of the same account'
install -d -o "$(user_id bob)" "$T/bob/two"
test_mounts+=("$T/bob/two")
ok 'bob mounts once more' bob imagefs mount "$STORE" "$T/bob/two"
bob ls -lR "$B/$R" "$T/bob/two/$R" >/dev/null
bob cat "$T/bob/two/$R/shared/web@alice/description" >/dev/null
ok 'a share is cancelled' alice rm "$box/web"
two_sees() { [ "$(bob ls "$T/bob/two/$R/shared" | xargs)" = "$1" ]; }
ok 'both see that' wait_until 2 bash -c '! test -e "$1" && ! test -e "$2"' _ "$B/$R/shared/web@alice" "$T/bob/two/$R/shared/web@alice"
ok 'in listings' wait_until 2 two_sees ''
ok 'made again' alice ln -sr "$A/$R/custom/web" "$box/"
ok 'seen again' wait_until 2 two_sees web@alice
ok 'in the other, too' wait_until 2 sees bob $R/shared web@alice
bob imagefs umount "$T/bob/two" || flunk umount failed

begin 'the daemon dies in between'
before=$(log_of alice | grep -cE '^(un)?share')
for round in $(seq 8); do
	(sleep "0.0$((round * 7 % 10))"; kill -9 "$(store_daemon_pid)") 2>/dev/null &
	for n in $(seq 6); do
		alice ln -s "$A/$R/custom/more" "$box/k" || echo "ln, round $round.$n" >>"$T/failed"
		alice mv "$box/k" "$box/k2" || echo "mv, round $round.$n" >>"$T/failed"
		alice rm "$box/k2" || echo "rm, round $round.$n" >>"$T/failed"
	done
	wait $!
	wait_until 10 store_daemon_pid
done
quiet 'nobody noticed' "$T/failed"
is 'nothing was done twice' "$(($(log_of alice | grep -cE '^(un)?share') - before))" $((8 * 6 * 3))
is 'all is as it was' "$(listing bob $R/shared)" web@alice

begin 'an account that goes'
refused=$(rmdir "$M/accounts/alice" 2>&1) || like 'an account with images does not' "$refused" 'not empty'
carol ls "$C/$R/custom" >/dev/null
bob bash -c 'echo "accept carol alice" >"$1/.account"' _ "$B"
ok 'carol is removed' bash -c 'rmdir "$1"/accounts/carol' _ "$M"
is 'what was shared with her is not any more' "$(status_line alice $R/custom/web shared-with)" bob
is 'nor is the box there' "$(alice ls "$A/accounts" | xargs)" 'alice bob root'
make_image bob gone "$T/b.img"
is 'nobody accepts her by her name any more' "$(bob grep ^accept "$B/.account")" 'accept alice'
ok 'a new account of her name' imagefs account add "$STORE" carol
is 'has none of it' "$(ls "$M/accounts/carol/$R/shared" | xargs)" ''

ok 'the store is whole' imagefs check "$STORE"
done_testing
