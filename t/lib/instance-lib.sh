# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# instance-lib.sh: what the tests of instances (09xx) share; sourced after data-lib.sh. They work in $I, the instances
# of the region ap-beijing; $P are its public images.

R=$M/ap-beijing
I=$R/instances
P=$R/public

instance_store() {
	data_store "$@"
	echo 'instances-per-region 1000' >"$M/.policy"
}

# helper_path NAME: the program t/lib/NAME; made here when the build has not made it.
helper_path() {
	local helper=$top_builddir/t/lib/$1
	if [ ! -x "$helper" ]; then
		helper=$T/.$1
		[ -x "$helper" ] || ${CC:-cc} -std=gnu11 -O2 -D_FILE_OFFSET_BITS=64 -D_GNU_SOURCE -pthread -o "$helper" \
			"$top_srcdir/t/lib/$1.c" || return
	fi
	printf '%s\n' "$helper"
}

# See t/lib/diskop.c.
diskop() {
	"$(helper_path diskop)" "$@"
}

# See t/lib/fsx.c.
fsx() {
	"$(helper_path fsx)" "$@"
}

# is_instance DESC NAME FILE ORIGIN: available, with FILE's bytes, made from ORIGIN (a path).
is_instance() {
	holds "$1: its bytes" "$I/$2" "$3"
	is "$1: its image" "$(readlink -f "$I/$2/image")" "$4"
}

purge_trash() {
	rm -rf "$R"/.trash/*/*@*
	imagefs gc "$STORE" >/dev/null
}

# try_write DISK OFFSET TEXT: in place
try_write() {
	printf '%s' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# bytes_at DISK OFFSET LENGTH
bytes_at() {
	tail -c "+$(($2 + 1))" "$1" | head -c "$3"
}
