#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installing what the project needs never takes anything away: apt, asked about a machine where a busybox is installed
# that busybox-static would replace, and a package that depends on it.
. "$(dirname "$0")/lib/test-lib.sh"
need apt-get apt-cache dpkg-query
[ "$(id -u)" -eq 0 ] || skip_all 'needs root'
apt-cache show busybox-static >/dev/null 2>&1 || apt-get -qq update >/dev/null 2>&1
apt-cache show busybox-static >/dev/null 2>&1 || skip_all 'apt reaches no packages'

# A machine that has busybox and what needs it, and nothing else; apt only says what it would do.
mkdir "$T/dpkg"
cat >"$T/dpkg/status" <<-END
	Package: busybox
	Status: install ok installed
	Priority: optional
	Section: utils
	Maintainer: A user <user@example.org>
	Architecture: $(dpkg --print-architecture)
	Version: 1:1.0-1
	Conflicts: busybox-static
	Description: the busybox of a user

	Package: tools-of-a-user
	Status: install ok installed
	Priority: optional
	Section: utils
	Maintainer: A user <user@example.org>
	Architecture: $(dpkg --print-architecture)
	Version: 1.0-1
	Depends: busybox
	Description: what needs it
END
touch "$T/dpkg/available"
mkdir "$T/dpkg/info"
printf '%s\n' "Dir::State::status \"$T/dpkg/status\";" 'APT::Get::Simulate "true";' 'quiet "0";' >"$T/apt.conf"
on_that_machine() {
	env DPKG_ADMINDIR="$T/dpkg" APT_CONFIG="$T/apt.conf" "$@"
}

is 'that machine has a busybox' "$(on_that_machine dpkg-query -W -f '${db:Status-Status}' busybox)" installed
# lines PATTERN: of the last output, in one line
lines() {
	grep -hE "$1" "$T/said" | xargs
}
on_that_machine apt-get -y install busybox-static >"$T/said" 2>&1
like 'apt would remove it for busybox-static' "$(lines '^Remv ')" 'Remv busybox .*'

for set in build run test bench; do
	on_that_machine "$top_srcdir/scripts/deps" "$set" >"$T/said" 2>&1
	is "busybox-static is not wanted to $set, where there is a busybox" "$(lines busybox)" ''
done

on_that_machine "$top_srcdir/scripts/deps" --install build run test >"$T/said" 2>&1
is 'everything can be installed there' "$?" 0
is 'nothing is removed for it' "$(lines '^Remv ')" ''
like 'apt was asked for what the tests need' "$(lines '^Inst qemu-utils ')" 'Inst qemu-utils'

done_testing
