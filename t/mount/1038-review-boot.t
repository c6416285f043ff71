#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A review as it is done: an operator boots what a vendor has submitted, finds in the guest what was promised, and publishes it
# from the directory where they stand; somebody else boots what is published.
# shellcheck disable=SC2016 # scripts for other shells
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/people-lib.sh"
private_dev_fuse
need_root
need jq qemu-system-x86_64 grub-mkimage mkfs.ext3 busybox apt-get
[ "$(dpkg --print-architecture)" = amd64 ] || skip_all 'the guest is for amd64'
people_store
mkdir "$T/scripts" && cp -r "$top_srcdir/scripts/boot" "$top_srcdir/scripts/examples" "$T/scripts/" && chmod -R a+rX "$T/scripts"

must 'a disk that boots is made' "$top_srcdir/scripts/make-guest" "$T/guest.img"
chmod 644 "$T/guest.img"
bob mkdir "$B/custom/app"
write bob "$B/custom/app/support" 'bob@example.net'
write bob "$B/custom/app/guide" 'log in as root'
bob cp "$T/guest.img" "$B/custom/app/"
ok 'bob submits it' bob cp -r "$B/custom/app" "$B/marketplace/"

# boots USER COMMAND...: until it is up; then it is asked, and powered off
boots() {
	local user=$1 guest input
	shift
	mkfifo "$T/in.$user"
	timeout 240 setpriv --reuid "$(user_id "$user")" --regid "$(user_id "$user")" --clear-groups --inh-caps=-all \
		"$@" <"$T/in.$user" >"$T/console.$user" 2>&1 &
	guest=$!
	exec {input}>"$T/in.$user"
	ok "$user: the guest is up" wait_until 200 grep -q 'guest is ready' "$T/console.$user"
	printf 'echo answer-$((40 + 2)); poweroff\n' >&"$input"
	ok "$user: it answers" wait_until 100 grep -q '^answer-42' "$T/console.$user"
	ok "$user: it powers off" wait "$guest"
	exec {input}>&-
}

begin 'the review'
alice bash -c 'cd "$1/marketplace/app" && cat .status guide support' _ "$A" \
	>"$T/looked"
ok 'alice looks at it' grep -q 'state: submitted' "$T/looked"
boots alice env CLOUD="$A/.." "$T/scripts/examples/review-marketplace" try "$(basename "$A")/marketplace/app" --no-network
is 'her server is gone' "$(alice ls "$A/instances")" ''
is 'what she changed in her server is not in it' "$(sum_as alice "$A/marketplace/app/disk")" "$(sum_as bob "$T/guest.img")"
ok 'she publishes it' alice bash -c 'cd "$1/marketplace/app" && chmod a+rx .' _ "$A"

begin 'its use'
ok 'carol sees it' wait_until 5 carol test -d "$K/marketplace/app"
ok 'starts it' carol cp -r "$K/marketplace/app" "$K/instances/vm"
boots carol "$T/scripts/boot" --no-network "$K/instances/vm"
is 'it is as it was reviewed' "$(sum_as alice "$A/marketplace/app/disk")" "$(sum_as bob "$T/guest.img")"
run alice imagefs check "$STORE"
is 'everything is in order' "$status" 0
done_testing
