#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Kernels are told of changes that their user may see, and of no others: a mount whose kernel forgot a name that its user has planted there
# would tell that user what a neighbour did. What a mount's kernel is told is counted as the writes of its notifier.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need fusermount3 jq
new_store
# mounted NAME DIR: mounts as NAME; the process that tells its kernel is in notifier[DIR].
declare -A notifier
mounted() {
	test_mounts+=("$T/$2")
	install -d -o "$(user_id "$1")" -m 755 "$T/${2%/*}" "$T/$2"
	ok "$1 mounts" as_user "$1" imagefs mount "$STORE" "$T/$2"
	notifier[$2]=$(pgrep -n -x imagefs-notify -P "$(store_daemon_pid)")
}
mount_store
for name in alice bob carol; do imagefs account add "$STORE" $name --uid $name || exit 99; done
printf 'images-per-region 1000\n' >"$M/.policy"
mounted alice alice/mnt
mounted alice alice/mnt2
mounted bob bob/mnt
mounted carol carol/mnt
is 'each has its notifier' "$(printf '%s\n' "${notifier[@]}" | sort -u | wc -l)" 4
writes() { sed -n 's/^syscw: //p' "/proc/${notifier[$1]}/io"; }
# Notes are carried out in order, so a region that comes is the last thing that all are told of.
declare -A before told
region=0
# watch CMD...: who was told of what CMD changed is in told[], "yes" or "no".
watch() {
	local at count marker
	all_told
	for at in "${!notifier[@]}"; do before[$at]=$(writes "$at"); done
	run "$@" || flunk "$*" "failed"
	all_told
	marker=2 # entry and attributes
	for at in "${!notifier[@]}"; do
		count=$(($(writes "$at") - before[$at] - marker))
		told[$at]=no
		[ "$count" -eq 0 ] || told[$at]=yes
	done
}
all_told() {
	local at
	region=$((region + 1))
	for at in "${!notifier[@]}"; do before[.$at]=$(writes "$at"); done
	mkdir "$M/marker-$region" || flunk 'a region is made' 'failed'
	for at in "${!notifier[@]}"; do wait_until 10 has_more "$at" || flunk "$at is told of a region" 'it is not'; done
}
has_more() { [ "$(writes "$1")" -ge $((before[.$1] + 2)) ]; }
who() { echo "alice2=${told[alice/mnt2]} bob=${told[bob/mnt]} carol=${told[carol/mnt]}"; }

give_disk "$T/a.img" 1
as_user bob mkdir "$B/$R/custom/web" # what alice will call hers
watch as_user alice mkdir "$A/$R/custom/web"
is 'an image of alice is told to alice' "$(who)" 'alice2=yes bob=no carol=no'
watch as_user alice cp "$T/a.img" "$A/$R/custom/web/disk"
is 'so is its upload' "$(who)" 'alice2=yes bob=no carol=no'
watch as_user alice chmod a-w "$A/$R/custom/web"
is 'and its mode' "$(who)" 'alice2=yes bob=no carol=no'
as_user alice chmod u+w "$A/$R/custom/web"
watch as_user alice ln -s "$A/$R/custom/web" "$A/accounts/carol/$R/shared/web"
is 'a share is told to both of it' "$(who)" 'alice2=yes bob=no carol=yes'
as_user carol ls "$C/$R/shared/web@alice" >/dev/null
watch as_user alice rm "$A/accounts/carol/$R/shared/web"
is 'so is its end' "$(who)" 'alice2=yes bob=no carol=yes'
ok 'after which carol sees nothing of it' absent "$C/$R/shared/web@alice"
watch as_user alice cp -r "$A/$R/custom/web" "$A/$R/instances/v"
is 'a server is told to alice' "$(who)" 'alice2=yes bob=no carol=no'
watch as_user alice rm -r "$A/$R/instances/v"
is 'so is its end, and the trash' "$(who)" 'alice2=yes bob=no carol=no'
watch as_user alice mv "$A/$R/custom/web" "$A/$R/custom/web2"
is 'and a new name' "$(who)" 'alice2=yes bob=no carol=no'

begin 'what everybody sees'
public() { mkdir "$M/$R/public/deb" && cp "$T/a.img" "$M/$R/public/deb/disk"; }
watch public
is 'a public image is told to all when it is there' "$(who)" 'alice2=yes bob=yes carol=yes'
as_user bob ls "$B/$R/public/deb" >/dev/null
watch rm -r "$M/$R/public/deb"
is 'and when it goes' "$(who)" 'alice2=yes bob=yes carol=yes'
ok 'bob does not see it any more' absent "$B/$R/public/deb"

begin 'the marketplace'
imagefs account set "$STORE" alice vendor yes
submit() { as_user alice bash -c 'cd "$1/$2" && echo x >custom/web2/support && echo x >custom/web2/guide && cp -r custom/web2 marketplace/app' _ "$A" "$R"; }
watch submit
is 'what is submitted is told to alice' "$(who)" 'alice2=yes bob=no carol=no'
watch chmod a+rx "$M/$R/marketplace/app"
is 'what is published, to all' "$(who)" 'alice2=yes bob=yes carol=yes'
ok 'bob sees it' as_user bob test -d "$B/$R/marketplace/app"
watch chmod go-rx "$M/$R/marketplace/app"
is 'that it is withdrawn, too' "$(who)" 'alice2=yes bob=yes carol=yes'
ok 'bob does not see it any more' absent "$B/$R/marketplace/app"
watch as_user alice rm -r "$A/$R/marketplace/app"
is 'that it is deleted then, to alice' "$(who)" 'alice2=yes bob=no carol=no'
done_testing
