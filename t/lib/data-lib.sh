# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# data-lib.sh: what the tests of disks (08xx) share; sourced after test-lib.sh. They work in $C, the own images
# of the region ap-beijing, and in $C2, those of ap-guangzhou.

C=$M/ap-beijing/custom
C2=$M/ap-guangzhou/custom

# A store, mounted, with room for many images.
data_store() {
	new_store
	mount_store "$@"
	echo 'images-per-region 1000' >"$M/.policy"
}

# Where the program is; made here when the build has not made it.
fileop_path() {
	local fileop=$top_builddir/t/lib/fileop
	if [ ! -x "$fileop" ]; then
		fileop=$T/.fileop
		[ -x "$fileop" ] || ${CC:-cc} -O2 -D_FILE_OFFSET_BITS=64 -D_GNU_SOURCE -pthread -o "$fileop" "$top_srcdir/t/lib/fileop.c" || return
	fi
	printf '%s\n' "$fileop"
}

# See t/lib/fileop.c.
fileop() {
	"$(fileop_path)" "$@"
}

# status_of IMAGE KEY, IMAGE being a path or a name in $C
status_of() {
	local image=$1
	[[ $image == /* ]] || image=$C/$image
	sed -n "s/^$2: //p" "$image/.status"
}

state_of() {
	status_of "$1" state
}

# has_state IMAGE STATE
has_state() {
	[ "$(state_of "$1")" = "$2" ]
}

# holds DESC IMAGE FILE: the image is available and its disk has FILE's bytes.
holds() {
	local image=$2
	[[ $image == /* ]] || image=$C/$image
	if ! has_state "$image" available; then
		flunk "$1" "state $(state_of "$image"): $(status_of "$image" reason)"
		tail -n 3 "$M/.why" | sed 's/^/#   /'
	elif ! run cmp "$3" "$image/disk"; then
		flunk "$1" "other bytes"
		show_output
	else
		pass "$1"
	fi
}

# image NAME: an empty one, in $C
image() {
	mkdir "$C/$1" || flunk "mkdir $1" 'failed'
}

# import NAME FILE: as an image in $C
import() {
	image "$1"
	cp "$2" "$C/$1/" || flunk "import of $1" 'cp failed'
}

# metric NAME: what .metrics says
metric() {
	sed -n "s/^imagefs_$1 //p" "$M/.metrics"
}

pack_bytes() {
	metric pack_bytes
}

last_why() {
	tail -n 1 "$M/.why"
}

# noise FILE BYTES
noise() {
	head -c "$2" /dev/urandom >"$1"
}
