#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A store of format 1, with one of everything in it (t/data/make-store-1 made it), is opened by this version, and nothing of it is
# lost: names, bytes, settings, shares, bills, trash, what was not folded. All of it can be changed. A version that is killed
# while it upgrades leaves a store that opens.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
. "$(dirname "$0")/../lib/people-lib.sh"
. "$(dirname "$0")/../lib/upgrade-lib.sh"
private_dev_fuse
need_root
need jq xz
M=$T/alice/mnt
CU=$K/custom
printf 'dave:x:61004:61004::%s:/bin/sh\n' "$T/home-dave" >>/etc/passwd # our own: see furnish_namespace
for name in alice bob carol dave; do
	install -d -o "$(user_id "$(user_of $name)")" -m 755 "$T/$name" "$T/$name/mnt"
	test_mounts+=("$T/$name/mnt")
done

# old_store: as it was when it was made, at $STORE; by its clocks no time has passed since
old_store() {
	local made moved
	rm -rf "$STORE"
	tar -C "$T/alice" -xJf "$top_srcdir/t/data/store-1.tar.xz" || return
	{ read -r made && read -r moved; } <"$STORE/made"
	echo "$((moved + made - EPOCHSECONDS)) $((moved + made - EPOCHSECONDS)) later" >"$STORE/clock"
}
format() { head -n 1 "$STORE/imagefs.store"; }
problems() { alice imagefs check --read-data --json "$STORE" | jq -c '[.problems, .problem]'; }

begin 'opening it'
ok 'the store of format 1 is unpacked' old_store
is 'it is of format 1' "$(format)" 'imagefs store 1'
ok 'check reads it' alice imagefs check --read-data "$STORE"
like 'and says that it has another format from then on' "$(cat "$T/.err")" 'had format 1 and has format 2 now'
is 'it is of this format' "$(format)" "imagefs store $(imagefs version | sed -n 's/^store-format: //p')"
ok 'check has nothing more to say of that' alice imagefs check "$STORE"
is 'nothing' "$(cat "$T/.err")" ''

begin 'what is to be seen'
old_store
people_mount
store_facts 2>/dev/null | sort >"$T/now"
# Format 1 knew of a server's disk when it was started, and not when it was written: of these the files beside the pool tell.
sed -E '/ap-beijing.instances.(again|vm|borrowed) mode/s/1795885993$/1795885998/' "$top_srcdir/t/data/store-1.facts" | sort | comm -23 - "$T/now" >"$T/lost"
quiet 'everything that was there is there, as it was' "$T/lost"
[ ! -s "$T/lost" ] || head -n 30 "$T/lost" | sed 's/^/#   /'
is 'nothing is wrong with it' "$(problems)" '[0,null]'

begin 'changing it'
# do_as USER COMMAND: in the shell of USER, in the region ap-beijing of their mount
do_as() { ok "$1: $2" "$1" bash -ec "cd '$(mount_of "$1")/ap-beijing'; $2"; }
make_disk "$T/new.img" 4 1 1 && chmod 644 "$T/new.img"
do_as bob "mkdir custom/fresh; cp '$T/new.img' custom/fresh/; cmp '$T/new.img' custom/fresh/disk"
live=$(alice sed -n 's/^imagefs_live_bytes //p' "$M/.metrics")
do_as bob "cp custom/web/disk '$T/bob/web.img'; mkdir custom/anew; cat '$T/bob/web.img' >custom/anew/disk; cmp '$T/bob/web.img' custom/anew/disk"
is 'bytes that were there are not stored again' "$(($(alice sed -n 's/^imagefs_live_bytes //p' "$M/.metrics") - live))" 0
do_as bob 'echo "debian 13" >custom/web/os; grep -q 13 custom/web/os; echo x >custom/web/software; mv custom/db custom/data; ln -sfn data custom/latest; cmp custom/data/disk custom/latest/disk'
do_as bob 'chmod u+w custom/kept; rm -r custom/kept custom/waits custom/failed'
do_as bob 'mv .trash/custom/gone@* custom/gone; cmp custom/gone/disk custom/data/disk'
do_as bob 'cp -r custom/web ../ap-guangzhou/custom/second; rm ../accounts/carol/ap-beijing/shared/web; ln -sr custom/fresh ../accounts/carol/ap-beijing/shared/'
do_as alice 'chmod a+rx marketplace/waits; chmod go-rx marketplace/app; ln -sfn base public/stable; rm public/base/replaced-by; echo "storage-price 7" >.region; echo "images-per-region 60" >../.policy'
do_as carol 'mv .trash/instances/sold@* instances/sold; cmp instances/sold/disk public/new/disk; printf more | dd of=instances/sold/disk conv=notrunc,fsync status=none'
do_as carol 'printf again | dd of=instances/vm/disk bs=1 seek=100000 conv=notrunc,fsync status=none; printf again | dd of=instances/again/disk bs=1 seek=140000 conv=notrunc,fsync status=none'
do_as carol 'cp -r instances/again custom/made; cmp instances/again/disk custom/made/disk; cp -r marketplace/waits instances/waits; rm -r instances/waits'
do_as dave 'printf again | dd of=instances/borrowed/disk conv=notrunc,fsync status=none; cp -r instances/borrowed custom/borrowed; cmp instances/borrowed/disk custom/borrowed/disk; rm -r custom/alone; rm -r .trash/custom/alone@*'
do_as carol 'rm -r instances/shared; rm -r .trash/instances/*@*'
ok 'gc' alice imagefs gc "$STORE"
is 'nothing is wrong with it' "$(problems)" '[0,null]'
store_facts 2>/dev/null | sort >"$T/before"
for name in bob carol dave alice; do
	ok "$name unmounts" "$name" imagefs umount "$(mount_of $name)"
done
people_mount
store_facts 2>/dev/null | sort | comm -23 "$T/before" - >"$T/lost"
quiet 'what was changed is as it was after another start' "$T/lost"

begin 'the month that was under way'
bill=$(alice ls "$M/.bills" | tail -n 1)
read -r real boot word <"$STORE/clock"
echo "$((real + 31 * 86400)) $((boot + 31 * 86400)) $word" >"$STORE/clock.new" && mv "$STORE/clock.new" "$STORE/clock"
ok 'is closed' wait_until 90 alice bash -c 'cat "$1/.usage" >/dev/null; [ "$(ls "$1/.bills" | tail -n 1)" != "$2" ]' _ "$M" "$bill"
next=$(alice ls "$M/.bills" | tail -n 1)
like 'instances that ran before are on its bill' "$(dave cat "$(mount_of dave)/.bills/$next")" "instance,ins-.*,hour,.*instances/borrowed"
for name in bob carol dave alice; do
	ok "$name unmounts" "$name" imagefs umount "$(mount_of $name)"
done

begin 'killed while it is upgraded'
for at in $(seq 40); do
	old_store
	alice imagefs usage "$STORE" >/dev/null 2>&1 &
	sleep "0.0$((at % 3))$((RANDOM % 10))$((RANDOM % 10))"
	pkill -9 -P $! 2>/dev/null
	kill -9 $! 2>/dev/null
	wait $! 2>/dev/null
	format
	alice imagefs check "$STORE" >"$T/out" 2>&1 || { echo "round $at:"; cat "$T/out"; } >>"$T/wrong"
	[ "$(format)" = 'imagefs store 2' ] || echo "round $at: $(format)" >>"$T/wrong"
done | sort | uniq -c | sed 's/^/# after the kill:/'
quiet 'it opens, and nothing is wrong' "$T/wrong"
old_store
alice imagefs check "$STORE" >/dev/null 2>&1
sed -i 's/^imagefs store 2$/imagefs store 1/' "$STORE/imagefs.store"
ok 'a catalog that is further than its store opens' alice imagefs check "$STORE"
is 'and both are' "$(format)" 'imagefs store 2'

begin 'what is newer'
sed -i 's/^imagefs store 2$/imagefs store 3/' "$STORE/imagefs.store"
fails 'is refused' 'newer version' alice imagefs check "$STORE"
is 'and left alone' "$(format)" 'imagefs store 3'
done_testing
