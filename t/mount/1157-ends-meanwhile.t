#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# A mount that ends while the kernels of others are told to forget what their accounts lost ends like any other, and nobody is kept waiting.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need perl

begin 'many open files'
tenants_store
give_disk "$T/a.img" 1
make_image alice web "$T/a.img"
keeper=$(keeper_pid)
mkfifo "$T/stop" && chmod 666 "$T/stop"
alice bash -c 'ulimit -n 4096 && exec perl -e '\''for (1 .. 4000) { open($f[$_], "<", $ARGV[0]) or last } open(my $g, ">", $ARGV[1]); print $g "$#f\n"; close $g;
	open($g, "<", $ARGV[2]); <$g>'\'' "$@"' _ "$A/$R/custom/web/disk" "$T/alice/opened" "$T/stop" &
holder=$!
ok 'alice has files open' wait_until 20 test -s "$T/alice/opened"
diag "$(cat "$T/alice/opened") files"

begin 'rights that are lost while mounts end'
toggle() {
	until [ -e "$T/enough" ]; do
		timeout 20 imagefs account set "$STORE" alice vendor yes && timeout 20 imagefs account set "$STORE" alice vendor no ||
			{ echo 'an account could not be changed' >>"$T/failed"; return; }
	done
}
: >"$T/failed"
toggle >/dev/null 2>&1 &
toggler=$!
for ((n = 0; n < 60; n++)); do
	as_user bob timeout -s KILL 20 fusermount3 -u "$B" 2>>"$T/failed" || break
	as_user bob timeout -s KILL 20 imagefs mount "$STORE" "$B" 2>>"$T/failed" || { echo "mount $n failed" >>"$T/failed"; break; }
	[ ! -s "$T/failed" ] || break
done
: >"$T/enough"
wait "$toggler"
is 'all mounts end, and all accounts are changed' "$(head -n 3 "$T/failed")" ''
ok 'and everybody is answered' timeout 10 ls "$M"
if [ -s "$T/failed" ]; then # what hangs would keep the test from ending
	kill -9 "$(pgrep -P "$keeper" | head -n 1)"
fi
echo >"$T/stop"
wait "$holder"
done_testing
