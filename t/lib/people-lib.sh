# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# people-lib.sh: a store with several people, each with a mount of their own; sourced after test-lib.sh. alice is the
# operator, bob a vendor, carol somebody who uses images, dave (61004) another vendor. A function of each one's name runs a
# command as them; $A, $B, $K and $D are the region ap-beijing in their mounts.

STORE=$T/alice/store
A=$T/alice/mnt/ap-beijing
B=$T/bob/mnt/ap-beijing
K=$T/carol/mnt/ap-beijing
D=$T/dave/mnt/ap-beijing
M=$T/alice/mnt

# user_of NAME: for as_user
user_of() {
	case $1 in
	dave) echo 61004 ;;
	*) echo "$1" ;;
	esac
}
alice() { as_user alice "$@"; }
bob() { as_user bob "$@"; }
carol() { as_user carol "$@"; }
dave() { as_user 61004 "$@"; }

mount_of() { echo "$T/$1/mnt"; }

# people_store [OPTION...]: the store, and all of them mounted
people_store() {
	local name
	printf 'dave:x:61004:61004::%s:/bin/sh\n' "$T/home-dave" >>/etc/passwd # our own: see furnish_namespace
	for name in alice bob carol dave; do
		install -d -o "$(user_id "$(user_of "$name")")" -m 755 "$T/$name" "$T/$name/mnt"
		test_mounts+=("$T/$name/mnt")
	done
	must 'a store' alice imagefs init "$@" "$STORE"
	alice imagefs account add "$STORE" bob --uid bob vendor yes || flunk 'bob has an account' 'failed'
	alice imagefs account add "$STORE" carol --uid carol || flunk 'carol has an account' 'failed'
	alice imagefs account add "$STORE" dave --uid 61004 vendor yes || flunk 'dave has an account' 'failed'
	people_mount
}

people_mount() {
	local name
	for name in alice bob carol dave; do
		must "$name mounts it" "$name" imagefs mount "$STORE" "$T/$name/mnt"
	done
}

# write USER FILE TEXT
write() {
	# shellcheck disable=SC2016 # for the other shell
	"$1" bash -c 'printf "%s\n" "$2" >"$1"' _ "$2" "$3"
}

# refused_to USER DESC ERRNO SENTENCE CMD...: like refused, for USER and the .why of their mount
refused_to() {
	local user=$1 what=$2
	shift 2
	"$user" cat "$(mount_of "$user")/.why" >"$T/.why-before"
	local errno=$1 sentence=$2 line
	shift 2
	if run "$user" "$@"; then
		flunk "$what" "succeeded: $*"
	elif ! grep -qF -- "$(errno_text "$errno")" "$T/.err"; then
		flunk "$what" "failed without saying \"$(errno_text "$errno")\": $*"
	elif "$user" cat "$(mount_of "$user")/.why" >"$T/.why-after" && cmp -s "$T/.why-before" "$T/.why-after"; then
		flunk "$what" '.why has no new line'
	elif ! diff "$T/.why-before" "$T/.why-after" | grep '^>' | cut -f 5,6 | grep -qE "^$errno"$'\t'".*$sentence"; then
		flunk "$what" ".why says \"$(tail -n 1 "$T/.why-after" | cut -f 5,6)\""
	else
		pass "$what"
		return
	fi
	show_output
}

# sum_as USER FILE
sum_as() {
	"$1" sha256sum "$2" | cut -d ' ' -f 1
}

# status_as USER IMAGE KEY
status_as() {
	"$1" sed -n "s/^$3: //p" "$2/.status"
}
