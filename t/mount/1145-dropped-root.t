#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Root serves the store of somebody else as that somebody, from a terminal. He gets nothing of root's by it: not the terminal, no file that
# root has opened, and the process that was root's a moment ago cannot be traced.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need_root
need jq script strace

owner=61010
install -d -o $owner -g $owner -m 711 "$T/lib"
STORE=$T/lib/main
ok 'a store of somebody else' as_user $owner imagefs init "$STORE"
# serve: root does, from a terminal, and with a file that it may write to.
is_served() { [ -n "$(store_daemon_pid)" ]; }
serve() {
	# shellcheck disable=SC2016 # for the shell on the terminal
	STORE=$STORE script -qefc 'echo $$ >"$T/serve"; exec imagefs serve "$STORE"' /dev/null </dev/null >"$T/terminal" 2>&1 &
	terminal=$!
	ok 'root serves it, from a terminal' wait_until 10 is_served
	serve=$(cat "$T/serve") keeper=$(keeper_pid) daemon=$(store_daemon_pid)
}
uid_of() { awk '/^Uid:/ { print $2 }' "/proc/$1/status"; }
open_of() { readlink "/proc/$1/fd/"* | grep -E '^/dev/(pts|tty)|/log$'; }
tty_of() { sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f 5; }
owner() { setpriv --reuid $owner --regid $owner --clear-groups --inh-caps=-all "$@"; }

serve
is 'keeper and daemon are its owner' "$(uid_of "$keeper") $(uid_of "$daemon")" "$owner $owner"
for who in keeper daemon; do
	is "the $who has no terminal open" "$(open_of "${!who}")" ''
	is "and none that it could open as /dev/tty ($who)" "$(tty_of "${!who}")" 0
	is "the standard input of the $who is nobody's" "$(readlink "/proc/${!who}/fd/0")" /dev/null
done
fails 'its owner does not see what the keeper has open' 'denied' owner ls "/proc/$keeper/fd"
fails 'nor can trace it' 'permitted' owner strace -p "$keeper"
ok 'what it says is seen on the terminal' grep -q "serving $STORE" "$T/terminal"
mkdir "$M"
test_mounts+=("$M")
kill -9 "$daemon"
other_daemon() { is_served && [ "$(store_daemon_pid)" != "$daemon" ]; }
ok 'the daemon is replaced when it dies' wait_until 10 other_daemon
kill "$serve"
wait "$terminal"
is 'it ends in order when it is asked to' "$?" 0
ok 'and says so' grep -q 'info ending' "$T/terminal"

serve
kill -9 "$serve"
wait "$terminal"
gone() { ! kill -0 "$keeper" 2>/dev/null && ! kill -0 "$daemon" 2>/dev/null; }
ok 'when root'\''s process is killed, all end' wait_until 10 gone

begin 'what goes wrong is said, with its exit code'
setpriv --reuid $owner --regid $owner --clear-groups --inh-caps=-all imagefs serve "$STORE" 2>>"$T/log" &
other=$!
wait_until 10 is_served
fails 'a store that is in use' 'in use by another process' imagefs serve "$STORE"
is 'is exit code 4' "$status" 4
kill "$other"
wait "$other"
done_testing
