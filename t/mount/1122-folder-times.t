#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The mtime of a folder of images moves when a name comes or goes in it, and only then: backup tools and find -newer rely on it.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/people-lib.sh"
private_dev_fuse
need_root
need jq
people_store
make_disk "$T/a.img" 4 1 1
chmod 644 "$T/a.img"

mtime() { "$1" stat -c %.Y "$2"; }

# times WHO REGION: of all its folders
times() {
	"$1" bash -c 'cd "$1" && stat -c "%n %.Y" * .trash/*' _ "$2"
}

# moves WHO REGION FOLDERS DESC CMD...: CMD moves the mtimes of these folders in the view of WHO, and no others
moves() {
	local who=$1 region=$2 folders=$3 what=$4 before
	shift 4
	before=$(times "$who" "$region")
	run "$@" || { flunk "$what" "failed: $*"; show_output; return; }
	is "$what" "$(diff <(printf '%s\n' "$before") <(times "$who" "$region") | sed -n 's/^> \(.*\) .*/\1/p' | xargs)" "$folders"
}

# She returns when carol's kernel has heard of it: it is told while cp goes on.
alice_publishes() {
	local before
	before=$(mtime carol "$K/public")
	alice cp -r "$A/custom/web2" "$A/public/"
	wait_until 10 moved "$before"
}
moved() { [ "$(mtime carol "$K/public")" != "$1" ]; }

begin 'names come and go'
moves alice "$A" custom 'an image is made' alice mkdir "$A/custom/web"
moves alice "$A" '' 'its disk and settings are no names of the folder' alice bash -c 'cp "$1" "$2/" && echo x >"$2/description"' _ "$T/a.img" "$A/custom/web"
moves alice "$A" custom 'an alias' alice ln -s web "$A/custom/latest"
moves alice "$A" custom 'an image is renamed' alice mv "$A/custom/web" "$A/custom/web2"
moves alice "$A" instances 'a server is started' alice cp -r "$A/custom/web2" "$A/instances/vm"
moves alice "$A" 'instances .trash/instances' 'a server is destroyed' alice rm -r "$A/instances/vm"
moves alice "$A" '.trash/instances' 'the trash is emptied' alice bash -c 'rm -r "$1"/.trash/instances/*' _ "$A"
moves alice "$A" 'custom' 'an alias is removed' alice rm "$A/custom/latest"
moves bob "$B" 'shared' 'bob is given an image' alice ln -sr "$A/custom/web2" "$M/accounts/bob/ap-beijing/shared/"
moves carol "$K" '' 'which carol does not see' true
before=$(mtime alice "$M/accounts/bob/ap-beijing/shared")
moves bob "$B" 'shared' 'and it is taken away' alice rm "$M/accounts/bob/ap-beijing/shared/web2"
isnt_before() { [ "$(mtime alice "$M/accounts/bob/ap-beijing/shared")" != "$before" ]; }
ok 'the folder of links moves for who made them' isnt_before
moves carol "$K" '' 'a submission shows to nobody else' bob mkdir "$B/marketplace/app"
moves bob "$B" 'marketplace' 'its vendor sees it go' bob rmdir "$B/marketplace/app"
carol ls "$K/public" >/dev/null
moves carol "$K" 'public' 'a public image comes' alice_publishes
is 'and is in a listing that was read before' "$(carol ls "$K/public")" web2

begin 'they stay'
before=$(times alice "$A")
for name in alice bob carol dave; do
	"$name" imagefs umount "$T/$name/mnt" >/dev/null || flunk "$name unmounts" 'failed'
done
people_mount
is 'the times are those of before' "$(times alice "$A")" "$before"
done_testing
