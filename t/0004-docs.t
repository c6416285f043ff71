#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each command and its manual page tell the same: every option of --help is an item of the page and the
# other way round; every command has a page; pages have the sections that they need.
. "$(dirname "$0")/lib/test-lib.sh"
begin 'manual pages'

pages=$top_srcdir/docs/man
commands='init mount umount serve import export status why check gc account region policy'
[ -x "$IMAGEFS_BIN" ] || skip_all 'imagefs is not built'

# The long options in stdin, one a line.
long_options() {
	grep -oE -- '(^|[^A-Za-z0-9-])--[a-z][a-z0-9-]*' | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u
}

page_options() {
	grep -E '^=item' "$1" | sed -E 's/[A-Z]<+ ?([^<>]*) ?>+/\1/g' | long_options
}

# check_page FILE
check_page() {
	local section
	ok "${1##*/} is good pod" podchecker "$1"
	for section in NAME SYNOPSIS DESCRIPTION 'EXIT STATUS'; do
		ok "${1##*/} has $section" grep -qx "=head1 $section" "$1"
	done
}

check_page "$pages/imagefs.pod"
for command in $commands; do
	page=$pages/imagefs-$command.pod
	check_page "$page"
	ok "imagefs $command --help works" imagefs "$command" --help
	is "imagefs $command: --help and the page have the same options" \
		"$(long_options <"$T/.out" | tr '\n' ' ')" "$(page_options "$page" | tr '\n' ' ')"
	ok "imagefs help names $command" sh -c 'imagefs help | grep -qw "$1"' sh "$command"
	ok "imagefs.pod names $command" grep -q "imagefs-$command(1)" "$pages/imagefs.pod"
done

done_testing
