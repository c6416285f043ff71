#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The marketplace: what a vendor submits is sealed as it is, an operator tries it, publishes, withdraws or rejects it, and others
# see what is published and nothing else. The vendor cannot slip other bytes, or another price, under a review.
# shellcheck disable=SC2016 # scripts for other shells
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/people-lib.sh"
private_dev_fuse
need_root
need jq rsync busybox
people_store
AM=$A/marketplace BM=$B/marketplace KM=$K/marketplace DM=$D/marketplace
fileop_path >/dev/null
FILEOP=$T/fileop
cp "$(fileop_path)" "$FILEOP" && chmod 755 "$FILEOP"
make_disk "$T/a.img" 4 1 1
make_disk "$T/b.img" 4 1 2
chmod 644 "$T/a.img" "$T/b.img"
SUM_A=$(sum_as bob "$T/a.img")
SUM_B=$(sum_as bob "$T/b.img")
echo 'images-per-region 100' | alice tee "$M/.policy" >/dev/null

# texts USER IMAGE KEY...: settings, one item each
texts() {
	local user=$1 image=$2 key
	shift 2
	for key; do
		write "$user" "$image/$key" "$key of it" || flunk "$key" 'cannot be set'
	done
}
# submit NAME [FILE]: by bob, from custom/app or as FILE
submit() {
	bob cp -r "$B/custom/app" "$BM/$1" || flunk "submission of $1" 'cp failed'
}
publish() { alice chmod a+rx "$AM/$1"; }
state() { status_as alice "$AM/$1" state; }
mode() { alice stat -c %a "$AM/$1"; }
# sees USER NAME: by lookup
sees() { "$1" test -d "$(mount_of "$1")/ap-beijing/marketplace/$2"; }
unseen() { ! sees "$@"; }

begin 'a submission'
bob mkdir "$B/custom/app" "$B/custom/bare"
texts bob "$B/custom/app" description support guide
write bob "$B/custom/app/price" '0.25 hour'
bob cp "$T/a.img" "$B/custom/app/"
bob cp "$T/a.img" "$B/custom/bare/"
refused_to carol 'is not for everybody' EPERM 'submitted by vendors' cp -r "$K/public" "$KM/x"
ok 'bob submits' bob cp -r "$B/custom/app" "$BM/"
is 'it is submitted' "$(state app)" submitted
is 'its mode' "$(bob stat -c %a "$BM/app")" 700
is 'its price came along' "$(alice cat "$AM/app/price")" '0.25 hour'
is 'it says that it is not reviewed' "$(alice cat "$AM/app/reviewed") $(status_as alice "$AM/app" reviewed)" 'no no'
is 'and whose it is' "$(alice cat "$AM/app/owner")" bob
is 'the operator lists it' "$(alice ls "$AM")" app
is 'its vendor lists it' "$(bob ls "$BM")" app
is 'in .list, too' "$(bob awk -F '\t' '$2 == "marketplace" { print $3, $5 }' "$T/bob/mnt/.list")" 'app submitted'
like 'the log says so' "$(bob awk -F '\t' '$4 == "submit"' "$T/bob/mnt/.log" | cut -f 2,4,6)" "bob.submit.ok"
for user in carol dave; do
	place=$(mount_of $user)/ap-beijing/marketplace
	is "$user does not see it" "$($user ls -a "$place" | grep -vxF -e . -e .. | xargs)" ''
	is "$user has it not in .list" "$($user awk 'NR > 1' "$(mount_of $user)/.list")" ''
	for way in '' /.status /disk /price; do
		fails "$user does not reach app$way" 'No such file' $user cat "$place/app$way"
	done
	fails "$user does not start it" 'No such file' $user bash -c 'mkdir "$1/v" && ln -s ../../marketplace/app "$1/v/image"' _ "$place/../instances"
	$user rmdir "$place/../instances/v"
	fails "$user does not publish it" 'No such file' $user chmod a+rx "$place/app"
	is "$user reads nothing of it in .log" "$($user grep -c app "$(mount_of $user)/.log")" 0
done
refused_to dave 'another vendor learns that the name is taken, no more' EEXIST 'there is a marketplace called app' mkdir "$DM/app"
refused_to bob 'there are no aliases' EPERM 'no aliases' ln -s app "$BM/latest"

begin 'sealed'
# sealed_to USER DIR STATE: nothing of it can be changed
sealed_to() {
	local user=$1 at=$2 why=$3 before after
	before=$("$user" bash -c 'tail -n +1 "$1"/[a-eg-z]* | sha256sum' _ "$at")
	refused_to "$user" "$user: price" EPERM "$why" bash -c 'echo "9 hour" >"$1/price"' _ "$at"
	refused_to "$user" "$user: a new setting" EPERM "$why" bash -c 'echo php >"$1/software"' _ "$at"
	refused_to "$user" "$user: emptying one" EPERM "$why" bash -c ': >"$1/guide"' _ "$at"
	refused_to "$user" "$user: truncating one" EPERM "$why" truncate -s 0 "$at/price"
	refused_to "$user" "$user: removing one" EPERM "$why" rm -f "$at/price"
	refused_to "$user" "$user: moving one" EPERM "$why" mv "$at/guide" "$at/software"
	refused_to "$user" "$user: an editor" EPERM "$why" sed -i s/of/for/ "$at/guide"
	refused_to "$user" "$user: its name" EPERM "$why" mv -T "$at" "${at%/*}/other"
	refused_to "$user" "$user: its disk" EPERM "$why" cp "$T/b.img" "$at/disk"
	refused_to "$user" "$user: its disk in place" EPERM "$why" dd if="$T/b.img" of="$at/disk" conv=notrunc bs=1M status=none
	refused_to "$user" "$user: its size" EPERM "$why" truncate -s 8M "$at/disk"
	refused_to "$user" "$user: holes" EPERM "$why" fallocate -p -l 65536 "$at/disk"
	refused_to "$user" "$user: another disk" EPERM "$why" cp "$T/b.img" "$at/b.img"
	refused_to "$user" "$user: by ranges" EPERM "$why" "$FILEOP" copy "$T/$user/mnt/ap-beijing/marketplace/${at##*/}/disk" 0 "$at/disk" 65536 4096
	refused_to "$user" "$user: by a mapping" EPERM "$why" "$FILEOP" mmap-write "$T/b.img" "$at/disk"
	after=$("$user" bash -c 'tail -n +1 "$1"/[a-eg-z]* | sha256sum' _ "$at")
	is "$user: nothing is changed" "$after" "$before"
}
sealed_to bob "$BM/app" 'submitted: what was submitted stays'
sealed_to alice "$AM/app" 'submitted: what was submitted stays'
is 'the same bytes' "$(sum_as alice "$AM/app/disk")" "$SUM_A"

begin 'what was open before'
bob mkdir "$BM/held"
texts bob "$BM/held" support guide
write bob "$BM/held/price" '1 hour'
bob bash -c '
	cd "$1" || exit 9
	exec 8<>price 9<>a.img || exit 8
	cat "$2" >a.img || exit 7
	grep -qx "state: submitted" .status || exit 6
	printf "2 hour\n" >&8 2>/dev/null && exit 5
	printf X >&9 2>/dev/null && exit 4
	exit 0' _ "$BM/held" "$T/a.img"
is 'files that were open for writing write no more' $? 0
is 'the price stays' "$(alice cat "$AM/held/price")" '1 hour'
is 'the disk stays' "$(sum_as alice "$AM/held/disk")" "$SUM_A"
bob mkdir "$BM/mapped"
texts bob "$BM/mapped" support guide
bob cp "$T/a.img" "$BM/mapped/x.img.part" 2>/dev/null
is 'by any name' "$(state mapped)" submitted
bob mkdir "$BM/late"
texts bob "$BM/late" support guide
run bob "$FILEOP" mmap-write-late "$T/a.img" "$BM/late/disk"
like 'pages that are written after the close' "$(state late)" '^(submitted|pending)$'
before=$(sum_as alice "$AM/late/disk")
[ "$(state late)" = pending ] || is 'are of what is reviewed, or nothing' "$before" "$SUM_A"
bob rm -r "$BM/held" "$BM/mapped" "$BM/late"

begin 'what lacks'
refused_to bob 'without support and guide' EINVAL 'needs support and guide' cp -r "$B/custom/bare" "$BM/"
is 'it is pending' "$(state bare)" pending
like 'and says what it needs' "$(status_as bob "$BM/bare" reason)" 'needs support and guide: write them'
write bob "$BM/bare/support" 'mail bob'
is 'one is not enough' "$(state bare)" pending
like 'it says which lacks' "$(status_as bob "$BM/bare" reason)" 'needs guide: write it'
refused_to alice 'it is not published like that' EPERM 'not submitted yet' chmod a+rx "$AM/bare"
refused_to alice 'nor rejected' EPERM 'not submitted yet' bash -c 'echo no >"$1/review"' _ "$AM/bare"
ok 'the other, in pieces' bob bash -c '{ echo first; echo second; } >"$1/guide"' _ "$BM/bare"
is 'submits it' "$(state bare)" submitted
is 'all of it' "$(alice cat "$AM/bare/guide")" $'first\nsecond'
is 'with its bytes' "$(sum_as alice "$AM/bare/disk")" "$SUM_A"
is 'it no longer gives a reason' "$(status_as bob "$BM/bare" reason)" ''
bob rm -r "$BM/bare"
bob mkdir "$BM/half"
head -c 2000000 "$T/a.img" >"$T/half.img"
chmod 644 "$T/half.img"
run bob cp "$T/half.img" "$BM/half/disk"
texts bob "$BM/half" support guide
is 'a cut disk is not submitted by its settings' "$(state half)" pending
ok 'when the rest of it comes' bob dd if="$T/a.img" of="$BM/half/disk" bs=1M conv=notrunc status=none
is 'it is' "$(state half)" submitted
bob mkdir "$BM/again"
texts bob "$BM/again" support
fails 'a whole disk without a guide' 'Invalid argument' bob cp "$T/a.img" "$BM/again/disk"
mkfifo "$T/hold" && chmod 666 "$T/hold"
bob "$FILEOP" hold "$BM/again/disk" 0 XY <>"$T/hold" >"$T/held" &
holder=$!
ok 'somebody writes to it again' wait_until 10 grep -q written "$T/held"
texts bob "$BM/again" guide
is 'it is not submitted half-written' "$(state again)" pending
kill -9 "$(pgrep -P $holder)"
wait $holder 2>/dev/null
is 'nor when that is killed' "$(state again)" pending
ok 'whole' bob cp "$T/b.img" "$BM/again/disk"
is 'it is' "$(state again) $(sum_as alice "$AM/again/disk")" "submitted $SUM_B"
bob mkdir "$BM/own"
texts bob "$BM/own" support guide
write bob "$BM/own/license" byol
refused_to bob 'a licence that cannot be passed on' EINVAL 'byol' cp "$T/a.img" "$BM/own/"
bob rm "$BM/own/license" && texts bob "$BM/own" support
is 'until it is taken away' "$(state own)" submitted
bob rm -r "$BM/half" "$BM/again" "$BM/own"

begin 'tools'
# Tools that do not take the disk last are told: first the settings, then the disk.
app=$B/custom/app
ok 'cp -a' bob cp -a "$app" "$BM/cp-a"
ok 'cp -rp' bob cp -rp "$app" "$BM/cp-rp"
ok 'rsync -a' bob rsync -a --exclude disk "$app/" "$BM/rsync"
ok 'and its disk' bob rsync -a --inplace "$app/disk" "$BM/rsync/"
ok 'mkdir -m, install' bob bash -c 'mkdir -m 755 "$1" && cd "$2" && install -m 644 guide support price disk "$1/"' _ "$BM/install" "$app"
fails 'busybox cp -a, the disk first' 'Invalid argument' bob busybox cp -a "$app" "$BM/busybox"
fails 'tar, too' 'Invalid argument' bob bash -c 'mkdir "$2" && tar -C "$1" -cf - . | tar -C "$2" -xf -' _ "$app" "$BM/tar"
for name in cp-a cp-rp rsync install busybox tar; do
	is "$name: submitted, not published" "$(state $name) $(mode $name) $(status_as alice "$AM/$name" reviewed)" 'submitted 700 no'
	ok "$name: has its price" alice grep -qE 'month|hour' "$AM/$name/price"
done
is 'the time of the disk was kept' "$(bob stat -c %Y "$BM/cp-a/disk")" "$(bob stat -c %Y "$app/disk")"
alice mkdir "$A/custom/own" && alice cp "$T/a.img" "$A/custom/own/" && texts alice "$A/custom/own" support guide
ok "an operator's own" alice cp -a "$A/custom/own" "$AM/operators"
is 'is reviewed like others' "$(state operators) $(mode operators)" 'submitted 700'
is 'and not seen by vendors' "$(bob ls "$BM" | grep -c operators)" 0
bob bash -c 'rm -r "$1"/cp-* "$1"/rsync* "$1"/install "$1"/busybox "$1"/tar' _ "$BM"

begin 'a review'
ok 'the operator starts it' alice bash -c 'mkdir "$1/try" && ln -s ../../marketplace/app "$1/try/image"' _ "$A/instances"
ok 'or copies it' alice cp -r "$AM/app" "$A/instances/try2"
ok 'its bytes' alice cmp "$T/a.img" "$A/instances/try2/disk"
is 'it is from there' "$(alice readlink "$A/instances/try/image")" ../../../ap-beijing/marketplace/app
ok 'so does its vendor' bob cp -r "$BM/app" "$B/instances/try"
is 'that changed nothing' "$(state app)" submitted
refused_to bob 'a vendor does not publish' EPERM 'published by an operator' chmod a+rx "$BM/app"
refused_to bob 'nor by number' EPERM 'published by an operator' chmod 755 "$BM/app"
refused_to bob 'nor reviews' EPERM 'written by an operator' bash -c 'echo fine >"$1/review"' _ "$BM/app"
ok 'a mode that says nothing is fine' bob chmod g+w,u+s "$BM/app"
is 'and changes nothing' "$(mode app)" 700
id=$(status_as alice "$AM/app" id)
ok 'the operator publishes' publish app
is 'it is available' "$(state app) $(mode app)" 'available 755'
is 'it is the same image' "$(status_as alice "$AM/app" id)" "$id"
ok 'carol sees it' wait_until 5 sees carol app
is 'in listings' "$(carol ls "$KM")" app
is 'and .list' "$(carol awk -F '\t' '$2 == "marketplace" { print $3, $5, $11 }' "$T/carol/mnt/.list")" 'app available bob'
is 'it is reviewed' "$(carol cat "$KM/app/reviewed") $(carol cat "$KM/app/owner") $(carol cat "$KM/app/price")" 'yes bob 0.25 hour'
ok 'so does dave' wait_until 5 sees dave app
like 'it is in the log of its vendor' "$(bob awk -F '\t' '$4 == "publish"' "$T/bob/mnt/.log" | cut -f 2,4,5,6,7)" "^alice.publish.*marketplace/app.ok.$id"
sealed_to bob "$BM/app" 'is published'
sealed_to alice "$AM/app" 'is published'
refused_to carol 'it is not hers' EPERM 'belongs to another' bash -c 'echo 0 >"$1/price"' _ "$KM/app"
refused_to carol 'not to withdraw, either' EPERM 'withdrawn by an operator' chmod 700 "$KM/app"
refused_to carol 'nor to protect' EPERM 'belongs to another' chmod u-w "$KM/app"
refused_to dave 'nor his' EPERM 'belongs to another' rm -r "$DM/app"
refused_to bob 'its vendor does not remove it' EPERM 'ask an operator to withdraw' rm -r "$BM/app"
is 'nor anything in it' "$(carol ls "$KM/app" | xargs)" 'description disk guide owner price reviewed support'
refused_to bob 'nor withdraws it' EPERM 'withdrawn by an operator' chmod go-rx "$BM/app"

begin 'what buyers may do'
reading() { carol cp "$1/disk" "$T/carol/copy" && carol rm "$T/carol/copy"; }
ok 'ln -s starts it' carol bash -c 'mkdir "$1/vm1" && ln -s ../../marketplace/app "$1/vm1/image"' _ "$K/instances"
ok 'cp -r starts it' carol cp -r "$KM/app" "$K/instances/vm2"
ok 'with its bytes' carol cmp "$T/a.img" "$K/instances/vm2/disk"
refused_to carol 'reading one with a price' EPERM 'uncharged, and it has a price' cat "$KM/app/disk"
refused_to carol 'copying it to her own' EPERM 'uncharged, and it has a price' cp -r "$KM/app" "$K/custom/mine"
refused_to carol 'without copy_file_range' EPERM 'uncharged, and it has a price' cp -r --reflink=never "$KM/app" "$K/custom/mine2"
fails 'to a file' 'not permitted' reading "$KM/app"
is 'nothing came of it' "$(carol du -sb --apparent-size "$K/custom/mine/disk" "$K/custom/mine2/disk" 2>/dev/null | awk '{ n += $1 } END { print n + 0 }')" 0
carol rm -rf "$K/custom/mine" "$K/custom/mine2"
bob cp -r "$B/custom/app" "$B/custom/free" && bob rm "$B/custom/free/price"
bob cp -r "$B/custom/free" "$B/custom/windows" && write bob "$B/custom/windows/os" 'windows 2022'
for name in free windows; do
	bob cp -r "$B/custom/$name" "$BM/$name" || flunk "submission of $name" 'failed'
	publish $name
done
ok 'reading one without' wait_until 5 reading "$KM/free"
ok 'is reading it' carol cmp "$T/a.img" "$KM/free/disk"
ok 'copying it' carol cp -r "$KM/free" "$K/custom/mine"
is 'brings no review along' "$(carol ls "$K/custom/mine" | xargs)" 'description disk from guide support'
refused_to carol 'reading Windows' EPERM 'a licence fee' cat "$KM/windows/disk"
refused_to carol 'copying it' EPERM 'a licence fee' cp -r "$KM/windows" "$K/custom/windows"
ok 'starting it' carol cp -r "$KM/windows" "$K/instances/windows"
write alice "$M/.policy" 'download none'
refused_to carol 'policy none: what is free' EPERM 'policy download is none' cat "$KM/free/disk"
ok 'its vendor reads it' bob cmp "$T/a.img" "$BM/app/disk"
ok 'it starts' carol cp -r "$KM/free" "$K/instances/vm3"
write alice "$M/accounts/carol/.policy" 'download all'
ok 'policy all, for her: what has a price' carol cmp "$T/a.img" "$KM/app/disk"
refused_to dave 'not for dave' EPERM 'policy download is none' cat "$DM/free/disk"
write alice "$M/accounts/carol/.policy" 'download -'
write alice "$M/.policy" 'download -'
refused_to carol 'then no more' EPERM 'it has a price' cat "$KM/app/disk"

begin 'withdrawn'
carol cat "$KM/free/disk" >/dev/null
carol bash -c 'exec 7<"$1/disk"; echo open; read -r _; head -c 4096 <&7 | cmp -s -n 4096 - "$2" && echo read || echo refused' _ "$KM/free" "$T/a.img" \
	<>"$(mkfifo "$T/go"; chmod 666 "$T/go"; echo "$T/go")" >"$T/reader" 2>/dev/null &
reader=$!
ok 'while she has it open' wait_until 10 grep -q open "$T/reader"
ok 'it is withdrawn' alice chmod go-rx "$AM/free"
is 'submitted, as before' "$(state free) $(mode free)" 'submitted 700'
ok 'she sees it no more' wait_until 5 unseen carol free
is 'not in listings' "$(carol ls "$KM" | xargs)" 'app windows'
refused_to carol 'nor starts it' ENOENT 'names no image' bash -c 'mkdir "$1/vm4" && ln -s ../../marketplace/free "$1/vm4/image"' _ "$K/instances"
echo go >"$T/go"
wait $reader
is 'nor reads what she had opened' "$(tail -n 1 "$T/reader")" refused
ok 'her instance lives on' carol cmp "$T/a.img" "$K/instances/vm3/disk"
ok 'and her copy' carol cmp "$T/a.img" "$K/custom/mine/disk"
like 'the log has it' "$(bob tail -n 1 "$T/bob/mnt/.log" | cut -f 4,5)" '^withdraw.*free'
ok 'it may be published again' publish free
ok 'seen again' wait_until 5 sees carol free
ok 'read again' wait_until 5 carol cmp "$T/a.img" "$KM/free/disk"

begin 'protected'
ok 'a published one' alice chmod a-w "$AM/free"
is 'shows so' "$(mode free)" 555
refused_to alice 'and is not removed' EPERM 'protected' rm -rf "$AM/free"
ok 'withdrawn, it is protected still' alice chmod go-rx "$AM/free"
is 'it shows' "$(mode free) $(state free)" '500 submitted'
ok 'published with it' alice chmod 0555 "$AM/free"
is 'it shows' "$(mode free) $(state free)" '555 available'
ok 'not protected' alice chmod u+w "$AM/free"
is 'it shows' "$(mode free) $(state free)" '755 available'

begin 'rejected'
submit bad
refused_to alice 'a review says something' EINVAL 'echo REASON' bash -c 'printf " \n" >"$1/review"' _ "$AM/bad"
refused_to alice 'what is published is withdrawn first' EPERM 'withdraw it first' bash -c 'echo no >"$1/review"' _ "$AM/app"
ok 'with a reason' alice bash -c 'echo "no sshd" >"$1/review"' _ "$AM/bad"
is 'it is rejected' "$(state bad) $(mode bad)" 'rejected 700'
is 'its vendor reads why' "$(bob cat "$BM/bad/review")" 'no sshd'
ok 'and finds it' bob bash -c 'ls "$1" | grep -qx review' _ "$BM/bad"
is 'also in .status' "$(status_as bob "$BM/bad" reason)" 'no sshd'
like 'and in the log' "$(bob awk -F '\t' '$4 == "reject" && $6 == "ok"' "$T/bob/mnt/.log" | cut -f 2,4,5,6,7)" '^alice.reject.*marketplace/bad.ok.no sshd'
is 'others see nothing' "$(carol ls "$KM" | xargs)" 'app free windows'
refused_to alice 'it is not published any more' EPERM 'was rejected' chmod a+rx "$AM/bad"
ok 'its vendor may see for himself' bob bash -c 'mkdir "$1/bad" && ln -s ../../marketplace/bad "$1/bad/image"' _ "$B/instances"
refused_to bob 'nor changed' EPERM 'rejected: what was submitted stays' bash -c 'echo x >"$1/guide"' _ "$BM/bad"
refused_to bob 'nor its review removed' EPERM 'what was submitted stays' rm -f "$BM/bad/review"
ok 'the operator says more' alice bash -c '{ echo "no sshd"; echo "no guide"; } >"$1/review"' _ "$AM/bad"
is 'that shows' "$(bob cat "$BM/bad/review" | xargs)" 'no sshd no guide'
ok 'its vendor copies it back' bob cp -r "$BM/bad" "$B/custom/fixed"
is 'without the review' "$(bob ls "$B/custom/fixed" | grep -cx review)" 0
ok 'with all tools' bob bash -c 'mkdir "$2" && tar -C "$1" -cf - . | tar -C "$2" -xf - && rsync -a "$1/" "$3"' _ "$BM/bad" "$B/custom/tar" "$B/custom/rsync"
ok 'submits another' bob cp -r "$BM/bad" "$BM/better"
is 'which has none' "$(state better) $(bob ls "$BM/better" | grep -cx review)" 'submitted 0'
old=$(status_as bob "$BM/bad" id)
ok 'removes it' bob rm -r "$BM/bad"
submit bad
is 'and submits by the same name' "$(state bad) $(bob ls "$BM/bad" | grep -cx review)" 'submitted 0'
[ "$(status_as bob "$BM/bad" id)" != "$old" ]
is 'what is another image' $? 0
bob rm -r "$BM/better"

begin 'the trash'
bob rm -r "$BM/bad"
trash=$(bob bash -c 'ls -d "$1"/bad@* | tail -n 1' _ "$B/.trash/marketplace")
id=$(status_as bob "$trash" id)
refused_to bob 'changes nothing there' EPERM 'is in the trash' rm -f "$trash/price"
refused_to bob 'by writing' EPERM 'is in the trash' bash -c 'echo "0 hour" >"$1/price"' _ "$trash"
ok 'what he submitted comes back' bob mv "$trash" "$BM/bad"
is 'submitted' "$(state bad) $(mode bad)" 'submitted 700'
is 'the same' "$(status_as bob "$BM/bad" id) $(bob cat "$BM/bad/price")" "$id 0.25 hour"
trash=$(bob bash -c 'ls -d "$1"/bad@* | head -n 1' _ "$B/.trash/marketplace")
ok 'what was rejected' bob mv "$trash" "$BM/worse"
is 'stays so' "$(state worse)" rejected
ok 'an operator removes what is published' alice rm -r "$AM/free"
ok 'it goes for carol' wait_until 5 unseen carol free
ok "it is in the trash of its vendor" bob bash -c 'test -d "$1"/free@*' _ "$B/.trash/marketplace"
ok 'he restores it' bob bash -c 'mv "$1"/free@* "$2/free"' _ "$B/.trash/marketplace" "$BM"
is 'and it needs a review' "$(state free) $(mode free)" 'submitted 700'
is 'carol sees nothing of it' "$(carol ls "$KM" | xargs)" 'app windows'
publish free

begin 'other bytes under a review'
alice bash -c 'cd "$1" && cat .status && read -r _ && chmod a+rx .' _ "$AM/bad" <>"$T/go" >"$T/reader" 2>&1 &
reader=$!
ok 'an operator stands in what they review' wait_until 10 grep -q 'state: submitted' "$T/reader"
bob rm "$BM/bad/disk"
refused_to bob 'what is left of a deleted one takes no disk' EPERM 'was deleted' cp "$T/b.img" "$BM/bad/disk"
bob rm -r "$BM/bad"
ok 'its vendor submits another' bob cp -r "$B/custom/fixed" "$BM/bad"
echo go >"$T/go"
wait $reader
is 'the operator publishes nothing else' $? 1
is 'so the other one is not published' "$(state bad)" submitted
bob rm -r "$BM/bad" "$BM/worse"

begin 'vendors that write while an operator publishes'
for round in 1 2 3 4; do
	rm -f "$T/stop"
	bob bash -c '
		while [ ! -e "$3" ]; do
			for n in 1 2 3 4; do
				echo "$n hour" >"$1/price"
				dd if="$2" of="$1/disk" bs=1M conv=notrunc
				truncate -s 4M "$1/disk"
				rm "$1/guide"
				echo "guide $n" >"$1/guide"
			done
		done' _ "$BM/race" "$T/b.img" "$T/stop" >/dev/null 2>&1 &
	racer=$!
	bob mkdir "$BM/race"
	bob bash -c 'echo support >"$1/support"; echo guide >"$1/guide"' _ "$BM/race" 2>/dev/null
	bob cp "$T/a.img" "$BM/race/disk" 2>/dev/null
	wait_until 20 alice grep -qx 'state: submitted' "$AM/race/.status" || bob cp "$T/a.img" "$BM/race/disk" 2>/dev/null
	ok "round $round: it is submitted" wait_until 20 alice grep -qx 'state: submitted' "$AM/race/.status"
	reviewed=$(alice cat "$AM/race/price" "$AM/race/guide" "$AM/race/disk" 2>/dev/null | sha256sum)
	ok 'what was reviewed is published' publish race
	is 'and nothing else' "$(alice cat "$AM/race/price" "$AM/race/guide" "$AM/race/disk" 2>/dev/null | sha256sum)" "$reviewed"
	touch "$T/stop"
	wait $racer
	is 'whatever its vendor goes on to do' "$(alice cat "$AM/race/price" "$AM/race/guide" "$AM/race/disk" 2>/dev/null | sha256sum)" "$reviewed"
	alice rm -r "$AM/race"
done

begin 'the daemon is killed'
kill_daemon() { kill -9 "$(store_daemon_pid)"; }
bob cp -a "$B/custom/app" "$BM/killed" &
copier=$!
kill_daemon
wait $copier
is 'while it is submitted' $? 0
is 'it is' "$(state killed) $(mode killed)" 'submitted 700'
kill_daemon
refused_to bob 'it is sealed after that' EPERM 'what was submitted stays' bash -c 'echo "1 hour" >"$1/price"' _ "$BM/killed"
alice chmod a+rx "$AM/killed" &
chmod=$!
kill_daemon
wait $chmod
is 'while it is published' $? 0
is 'it is' "$(state killed) $(mode killed)" 'available 755'
is 'once' "$(bob awk -F '\t' '$4 == "publish" && $5 ~ /killed/' "$T/bob/mnt/.log" | wc -l)" 1
ok 'carol sees it' wait_until 5 sees carol killed
alice chmod go-rx "$AM/killed" &
chmod=$!
kill_daemon
wait $chmod
is 'while it is withdrawn' $? 0
ok 'carol does not' wait_until 5 unseen carol killed
alice bash -c 'echo "too slow" >"$1/review"' _ "$AM/killed" &
review=$!
kill_daemon
wait $review
is 'while it is rejected' "$? $(state killed) $(bob cat "$BM/killed/review")" '0 rejected too slow'

run alice imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
