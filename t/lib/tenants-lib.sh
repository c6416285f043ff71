# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# tenants-lib.sh: what the tests of several accounts (10xx) share; sourced after test-lib.sh. Root has the store and is its operator
# (mounted at $M); alice, bob and carol are accounts that mount it at $A, $B and $C. All work in the region $R.

A=$T/alice/mnt B=$T/bob/mnt C=$T/carol/mnt
R=ap-beijing
alice() { as_user alice "$@"; }
bob() { as_user bob "$@"; }
carol() { as_user carol "$@"; }

# tenants_store: as said above; without limits that are in the way.
tenants_store() {
	local name
	new_store
	mount_store
	for name in alice bob carol; do
		install -d -o "$(user_id $name)" -m 755 "$T/$name" "$T/$name/mnt"
		imagefs account add "$STORE" $name --uid $name || flunk "account $name" 'failed'
		test_mounts+=("$T/$name/mnt")
		must "$name mounts" as_user $name imagefs mount "$STORE" "$T/$name/mnt"
	done
	printf 'images-per-region 1000\ninstances-per-region 1000\n' >"$M/.policy"
}

# give_disk FILE SEED: a disk that everybody may read.
give_disk() {
	make_disk "$1" 4 1 "$2" && chmod 644 "$1"
}

# make_image USER NAME FILE [REGION]
make_image() {
	as_user "$1" bash -c 'mkdir "$1" && cp "$2" "$1/disk"' _ "$T/$1/mnt/${4:-$R}/custom/$2" "$3" || flunk "$1 makes $2" 'failed'
}

# refused_to USER DESC ERRNO SENTENCE CMD...: CMD fails when USER does it, and the newest line of USER's .why says so.
refused_to() {
	local user=$1 why=$T/$1/mnt/.why what=$2 errno=$3 sentence=$4 before line
	shift 4
	before=$(as_user "$user" cat "$why")
	if run as_user "$user" "$@"; then
		flunk "$what" "succeeded: $*"
	elif [ "$status" -ge 124 ] || ! grep -qF -- "$(errno_text "$errno")" "$T/.err"; then
		flunk "$what" "failed without saying \"$(errno_text "$errno")\": $*"
	elif line=$(as_user "$user" tail -n 1 "$why") && [ "$(as_user "$user" cat "$why")" = "$before" ]; then
		flunk "$what" '.why has no new line'
	elif [ "$(cut -f 5 <<<"$line")" != "$errno" ] || ! cut -f 6 <<<"$line" | grep -qE -- "$sentence"; then
		flunk "$what" ".why says \"$line\""
	else
		pass "$what"
		return
	fi
	show_output
}

# listing USER FOLDER: names, in a line
listing() {
	as_user "$1" ls "$T/$1/mnt/$2" | xargs
}

# sees USER FOLDER NAMES: within a moment
sees() {
	[ "$(listing "$1" "$2")" = "$3" ]
}

# log_of USER: operation, path, result, detail
log_of() {
	as_user "$1" cut -f 4- "$T/$1/mnt/.log"
}
