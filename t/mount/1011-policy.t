#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Counts are counted in the transaction that makes something: scripts that run at once, the trash and every way of making an image
# come to the same number.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse

begin 'a store'
new_store
mount_store
R=$M/ap-beijing
policy() { echo "$1" >"$R/.policy"; }
make_disk "$T/a.img" 4 1 1

# at_once COMMAND...: twenty times at the same time, with the number as the last argument; how many succeeded
at_once() {
	local n pids=() done=0
	for n in $(seq 20); do
		"$@" "$n" 2>/dev/null &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		! wait "$n" || done=$((done + 1))
	done
	echo "$done"
}

begin 'images-per-region'
policy 'images-per-region 7'
new_image() { mkdir "$R/custom/i$1"; }
is 'twenty at once, seven are made' "$(at_once new_image)" 7
is 'seven are there' "$(ls "$R/custom" | wc -l)" 7
rm -r "$R/custom"/*
mkdir "$R/custom/web" && cp "$T/a.img" "$R/custom/web/"
cp -r "$R/custom/web" "$R/instances/vm"
copy() { cp -r "$R/custom/web" "$R/custom/c$1"; }
is 'copies count as well' "$(at_once copy)" 6
refused 'an image of an instance' EDQUOT 'images-per-region allows 7' cp -r "$R/instances/vm" "$R/custom/more"
refused 'an image from another region' EDQUOT 'allows 7' bash -c 'cp -r "$1/custom/web" "$1/../ap-shanghai/custom/" && cp -r "$1/../ap-shanghai/custom/web" "$1/custom/back"' _ "$R"
old=$(ls -d "$R"/custom/c* | head -n 1)
rm -r "$old"
in_trash=$(ls -d "$R/.trash/custom/$(basename "$old")"@*)
ok 'the place of what is deleted is free' mkdir "$R/custom/next"
refused 'what comes back from the trash needs one' EDQUOT 'allows 7' mv "$in_trash" "$old"
ok 'it is in the trash still' test -e "$in_trash/disk"
rmdir "$R/custom/next"
ok 'and comes back when there is one' mv "$in_trash" "$old"
begin 'an upload that is deleted while it goes on'
rm -r "$R/custom"/c*
mkdir "$R/custom/up"
exec {upload}>"$R/custom/up/x"
head -c 100000 "$T/a.img" >&"$upload"
rm -r "$R/custom/up"
ok 'gives its place free' test ! -e "$R/custom/up"
is 'so that six more can be made, and no seventh' "$(at_once new_image)" 6
exec {upload}>&-
is 'closing it makes none' "$(ls "$R/custom" | wc -l)" 7
rm -r "$R/custom"/i*
policy 'images-per-region 0'
refused '0 turns custom images off' EDQUOT 'allows 0' mkdir "$R/custom/none"
policy 'images-per-region -'

begin 'instances-per-region'
policy 'instances-per-region 5'
new_server() { cp -r "$R/custom/web" "$R/instances/s$1"; }
is 'one is there, four more are made' "$(at_once new_server)" 4
is 'all of them have a disk' "$(ls "$R/instances"/*/disk | wc -l)" 5

begin 'operations-per-day'
policy 'operations-per-day 3'
is 'three of twenty' "$(at_once new_image)" 3
refused 'deleting is one, too' EDQUOT 'operations-per-day' rm -r "$R/custom/web"
ok 'nothing of it is gone' cmp "$T/a.img" "$R/custom/web/disk"
policy 'operations-per-day -'

begin 'shares-per-image'
policy 'shares-per-image 4'
for n in $(seq 20); do mkdir "$M/accounts/team$n"; done
share() { ln -sr "$R/custom/web" "$M/accounts/team$1/ap-beijing/shared/"; }
is 'four of twenty' "$(at_once share)" 4
is 'who is told' "$(grep -c ^shared-with "$R/custom/web/.status")" 4

done_testing
