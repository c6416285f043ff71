#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The scripts of scripts/examples: what administrators do, done in a tree with three teams.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root

begin "a cloud with alice as its operator"
chmod 755 "$T"
# The folder of the sources may be closed to them.
mkdir "$T/scripts" && cp -r "$top_srcdir/scripts/boot" "$top_srcdir/scripts/examples" "$T/scripts/" && chmod -R a+rX "$T/scripts"
examples=$T/scripts/examples
install -d -o "$(user_id alice)" -m 755 "$T/alice"
STORE=$T/alice/store
as_user alice env IMAGEFS_TEST_CLOCK=1 imagefs init "$STORE"
for user in alice bob carol; do
	install -d -o "$(user_id "$user")" -m 755 "$T/$user" "$T/$user/mnt"
	test_mounts+=("$T/$user/mnt")
done
ok 'it is mounted' as_user alice imagefs mount "$STORE" "$T/alice/mnt"

# run_as USER EXAMPLE ARGUMENT...: in the user's mount
example_as() {
	local user=$1 name=$2
	shift 2
	as_user "$user" env CLOUD="$T/$user/mnt" PATH="$PATH" bash "$examples/$name" "$@"
}
A=$T/alice/mnt
B=$T/bob/mnt
R=ap-beijing

begin 'onboard-team'
ok 'bob' example_as alice onboard-team bob "$(user_id bob)" images-per-region=50
ok 'carol, by two uids' example_as alice onboard-team carol "$(user_id carol),61033"
like 'she has both' "$(as_user alice cat "$A/accounts/carol/.account")" "^uids $(user_id carol) 61033"
ok 'again, with another limit' example_as alice onboard-team bob "$(user_id bob)" images-per-region=60
like 'it is in force' "$(as_user alice cat "$A/accounts/bob/.policy")" 'images-per-region 60'
fails 'a limit that there is not' 'Invalid argument' example_as alice onboard-team bob "$(user_id bob)" images-per-year=1
ok 'bob mounts' as_user bob imagefs mount "$STORE" "$B"
ok 'carol mounts' as_user carol imagefs mount "$STORE" "$T/carol/mnt"

begin 'import-folder'
mkdir "$T/disks" && chmod 755 "$T/disks"
make_disk "$T/disks/web.img" 4 1 1
make_disk "$T/disks/db.raw" 4 1 2
make_disk "$T/disks/bad-sum.img" 4 1 3
head -c 100000 /dev/urandom >"$T/disks/noise.img"
sha256sum "$T/disks/db.raw" >"$T/disks/db.raw.sha256"
printf '%064d  bad-sum.img\n' 0 >"$T/disks/bad-sum.img.sha256"
chmod 644 "$T/disks"/*
run example_as bob import-folder "$T/disks" "$R"
is 'it says that something failed' "$status" 1
is 'two are there' "$(as_user bob ls "$B/$R/custom" | xargs)" 'db web'
like 'what failed, and why' "$(cat "$T/.err")" 'bad-sum.img: .*SHA-256'
like '… both of them' "$(cat "$T/.err")" 'noise.img: .'
rm "$T/disks"/{noise.img,bad-sum.img,bad-sum.img.sha256}
ok 'again' example_as bob import-folder "$T/disks" "$R"
ok 'its bytes' as_user bob cmp "$T/disks/web.img" "$B/$R/custom/web/disk"

begin 'release-image'
run example_as bob release-image "$R/custom/web"
is 'it succeeds' "$status" 0
is 'latest is it in four regions' "$(as_user bob sh -c "cd $B; readlink */custom/latest" | sort | uniq -c | xargs)" '4 web'
like 'the one that takes no copies is named' "$(cat "$T/.out")" 'na-siliconvalley takes no copies'
as_user bob cp -r "$B/$R/custom/web" "$B/$R/custom/web-2"
ok 'the next one' example_as bob release-image "$R/custom/web-2"
is 'latest has moved' "$(as_user bob readlink "$B/ap-shanghai/custom/latest")" web-2
ok 'and leads to a disk' as_user bob cmp "$T/disks/web.img" "$B/ap-shanghai/custom/latest/disk"

begin 'test-servers'
ok 'a hundred' example_as bob test-servers start "$R/custom/web"
is 'are there' "$(as_user bob ls "$B/$R/instances" | wc -l)" 100
ok 'each with its disk' as_user bob cmp "$T/disks/web.img" "$B/$R/instances/test-100/disk"
ok 'they are destroyed' example_as bob test-servers destroy "$R"
is 'all' "$(as_user bob ls "$B/$R/instances" "$B/$R/.trash/instances" | grep -c test-)" 0

begin 'backup-instances and restore-server'
as_user bob cp -r "$B/$R/custom/web" "$B/$R/instances/vm1"
as_user bob cp -r "$B/$R/custom/db" "$B/$R/instances/vm2"
is_later_than() { [ "$(date +%s)" -gt "$1" ]; }
next_second() { wait_until 5 is_later_than "$(date +%s)"; }
put() { as_user bob sh -c "echo '$2' | dd of='$1' conv=notrunc status=none"; }
begins() { as_user bob head -c "${#2}" "$1" | grep -qx "$2"; }
for day in one two three; do
	put "$B/$R/instances/vm1/disk" "day $day"
	ok "the night of day $day" example_as bob backup-instances 2
	next_second # which is in the name of the next backup
done
is 'two are kept of each' "$(as_user bob ls "$B/$R/custom" | grep -c backup-)" 4
is 'the first one is in the trash' "$(as_user bob ls "$B/$R/.trash/custom" | grep -c '^vm1.backup-')" 1
put "$B/$R/instances/vm1/disk" 'broken by an update'
ok 'it is restored' example_as bob restore-server "$R/instances/vm1"
ok 'as it was in the last backup' begins "$B/$R/instances/vm1/disk" 'day three'
is 'its broken disk is in the trash' "$(as_user bob ls "$B/$R/.trash/instances" | grep -c '^vm1@')" 1
ok 'or to an image' example_as bob restore-server "$R/instances/vm1" "$R/custom/db"
ok 'which it has' as_user bob cmp "$T/disks/db.raw" "$B/$R/instances/vm1/disk"
fails 'without a backup' 'no backup' example_as bob restore-server "$R/instances/vm3"

begin 'share-with-teams'
teams=()
for n in $(seq 29); do teams+=("team$n"); done
for team in "${teams[@]}"; do as_user alice mkdir "$A/accounts/$team"; done
printf '%s\n' '# who gets it' "${teams[@]}" >"$T/teams"
chmod 644 "$T/teams"
run example_as bob share-with-teams "$R/custom/web" carol "$T/teams"
is 'thirty have it' "$status $(wc -l <"$T/.out")" '0 30'
ok 'carol starts a server of it' as_user carol cp -r "$T/carol/mnt/$R/shared/web@bob" "$T/carol/mnt/$R/instances/hers"
run example_as bob share-with-teams --revoke "$R/custom/web" carol
is 'one less' "$status $(wc -l <"$T/.out")" '0 29'
is 'she sees it no more' "$(as_user carol ls "$T/carol/mnt/$R/shared")" ''
ok 'but has her server' as_user carol cmp "$T/disks/web.img" "$T/carol/mnt/$R/instances/hers/disk"
as_user carol sh -c "echo accept alice > $T/carol/mnt/.account"
run example_as bob share-with-teams "$R/custom/web" carol team1
is 'who takes no shares of his is told' "$status" 1
like 'with the reason' "$(cat "$T/.err")" 'carol: carol takes no shares from bob'
ok 'all of them are revoked' example_as bob share-with-teams --revoke "$R/custom/web" "$T/teams"

begin 'unused-images'
as_user bob cp -r "$B/$R/custom/db" "$B/$R/custom/forgotten"
is 'nothing is that old' "$(example_as bob unused-images 1)" ''
run example_as bob unused-images -1
like 'the one that nobody uses' "$(cat "$T/.out")" "rm -r $R/custom/forgotten"
is 'what has an alias, a server or a copy is none' "$(grep -cE "$R/custom/(web-2|web|db)$" "$T/.out")" 0

begin 'newest-image'
for release in 12.1 12.2; do
	as_user alice mkdir "$A/$R/public/debian-$release"
	as_user alice cp "$T/disks/web.img" "$A/$R/public/debian-$release/"
	as_user alice sh -c "cd $A/$R/public/debian-$release; echo debian 12 > os; echo x86_64 > arch"
done
is 'of debian 12' "$(example_as bob newest-image "$R" 'debian 12' x86_64)" "$R/public/debian-12.2"
is 'of any debian' "$(example_as bob newest-image "$R" debian x86_64 alice)" "$R/public/debian-12.2"
run example_as bob newest-image "$R" debian x86_64 mallory
is 'of somebody else there is none' "$status $(cat "$T/.out")" '1 '
run example_as bob newest-image "$R" debian aarch64
is 'nor of another architecture' "$status $(cat "$T/.out")" '1 '

begin 'review-marketplace'
as_user alice sh -c "echo vendor yes > $A/accounts/bob/.account"
for app in wiki shop; do
	as_user bob cp -r "$B/$R/custom/web" "$B/$R/custom/$app"
	as_user bob sh -c "cd $B/$R/custom/$app; echo debian 12 >os; echo 2 month >price; echo help@example.org >support; echo read me >guide"
	ok "bob submits $app" as_user bob cp -r "$B/$R/custom/$app" "$B/$R/marketplace/"
done
run example_as alice review-marketplace
is 'two are to be reviewed' "$status $(wc -l <"$T/.out")" '0 2'
like 'with what has to be known' "$(grep wiki "$T/.out")" "^$R/marketplace/wiki: img-[0-9a-f]* by bob, debian 12, price 2 month, support help@example.org$"
fails 'one that was looked at is not another' 'look at it again' example_as alice review-marketplace publish "$R/marketplace/wiki" img-0
wiki=$(sed -n 's/^id: //p' <<<"$(as_user alice cat "$A/$R/marketplace/wiki/.status")")
ok 'one is published' example_as alice review-marketplace publish "$R/marketplace/wiki" "$wiki"
ok 'the other is not' example_as alice review-marketplace reject "$R/marketplace/shop" 'the guide does not say how to begin'
like 'its vendor reads why' "$(as_user bob cat "$B/$R/marketplace/shop/review")" 'how to begin'
is 'buyers see one' "$(as_user carol ls "$T/carol/mnt/$R/marketplace")" wiki
is 'none is left' "$(example_as alice review-marketplace)" ''

begin 'windows-abroad'
as_user alice sh -c "cd $A; echo mainland no > na-siliconvalley/.region; echo windows-fee 0.05 > na-siliconvalley/.region"
for region in na-siliconvalley "$R"; do
	as_user alice sh -c "mkdir $A/$region/public/win && cp $T/disks/web.img $A/$region/public/win && echo windows 2022 > $A/$region/public/win/os"
done
run example_as bob windows-abroad
is 'one is abroad' "$status $(wc -l <"$T/.out")" '0 1'
like 'and what it costs' "$(cat "$T/.out")" 'na-siliconvalley/public/win  *windows 2022 .*0.05'

begin 'bills'
as_user alice sh -c "cd $A; for r in ap-*/.region; do echo instance-price 0.01 > \$r; done"
as_user carol cp -r "$T/carol/mnt/$R/public/debian-12.1" "$T/carol/mnt/$R/instances/billed"
is 'no month is over yet' "$(example_as alice bills)" ''
as_user alice sh -c "echo $((62 * 86400)) $((62 * 86400)) > $STORE/clock.new && mv $STORE/clock.new $STORE/clock"
last=$(date -u -d "$(date -u -d '62 days' +%Y-%m-15) 1 month ago" +%Y-%m)
run example_as alice bills "$last"
is 'the one before the last is' "$status" 0
like 'carol ran a server all the month' "$(grep '^carol' "$T/.out")" '^carol  *[67]\.[0-9][0-9] USD$'
like 'a sum stands below' "$(tail -n 1 "$T/.out")" '^all  *[0-9.]+ USD$'

done_testing
