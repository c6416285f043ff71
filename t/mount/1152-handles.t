#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
# Open files have room in the keeper's memory, which all users share, and some keep a text in the daemon's: nobody takes it all.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need jq perl fusermount3

tenants_store
give_disk "$T/a.img" 1
make_image bob web "$T/a.img"
make_image carol web "$T/a.img"
cp "$top_builddir/t/lib/hoarder" "$T/.private/bin/"
ulimit -n 20000

# hoard USER COUNT FILE: until kill $hoarder
hoard() {
	rm -f "$T/said"
	setpriv --reuid "$(user_id "$1")" --regid "$(user_id "$1")" --clear-groups hoarder "$2" "$3" >"$T/said" &
	hoarder=$!
	wait_until 60 test -s "$T/said"
}
let_go() {
	kill "$hoarder"
	wait "$hoarder" 2>/dev/null
}

begin 'files'
hoard bob 9000 "$B/$R/custom/web/disk"
is 'one user has 8192 open' "$(cat "$T/said")" 'open 8192 EDQUOT'
ok 'carol opens hers' carol cmp "$C/$R/custom/web/disk" "$T/a.img"
ok 'the operator, too' cmp "$M/accounts/bob/$R/custom/web/disk" "$T/a.img"
fails 'bob opens no more, not by another way either' 'Disk quota' bob head -c 1 "$B/$R/custom/web/.status"
imagefs status "$STORE" --json | jq '.["daemon-pid"]' | xargs kill -9
ok 'carol is served by the next daemon' carol cmp "$C/$R/custom/web/disk" "$T/a.img"
fails 'which has not forgotten' 'Disk quota' bob head -c 1 "$B/$R/custom/web/disk"
let_go
ok 'when he has closed them, he opens others' wait_until 20 bob cmp "$B/$R/custom/web/disk" "$T/a.img"
like 'he finds the reason' "$(bob grep EDQUOT "$B/.why" | tail -n 1)" 'uid 61002 has 8192 files of this store open'

begin 'texts'
long=$(printf 'n%.0s' {1..55})
bob bash -c 'cd "$1" && mkdir "$2" && for i in {1..700}; do mv "$2" "$2$i" && mv "$2$i" "$2" || exit 1; done' _ "$B/$R/custom" "$long" ||
	flunk 'a long log' 'failed'
size=$(bob cat "$B/.log" | wc -c)
ok 'a log has some length' test "$size" -gt 200000
hoard bob 1000 "$B/.log"
read -r _ count why <"$T/said"
is 'one user does not keep a thousand of it' "$why" EDQUOT
ok 'but some' test "$count" -gt 10
ok 'of at most 32 MiB' test $((count * size)) -lt $((33 << 20))
ok 'carol reads her log' carol grep -q custom/web "$C/.log"
ok 'the operator reads all of it' grep -q custom/web "$M/.log"
let_go
ok 'bob reads his again' wait_until 20 bob grep -q custom "$B/.log"
daemon=$(imagefs status "$STORE" --json | jq '.["daemon-pid"]')
ok 'the daemon stays small' test "$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$daemon/status")" -lt 262144
begin 'a line that is written in pieces'
# shellcheck disable=SC2016 # perl's
like 'a piece that is refused for want of memory' "$(as_user alice perl -e '
	use Errno; my ($file) = @ARGV; my @others;
	sub piece { return defined(syswrite($_[0], $_[1])) ? "ok" : $!{EDQUOT} ? "EDQUOT" : "$!" }
	open(my $f, ">>", $file) or die "open: $!\n";
	print "first ", piece($f, "accept bob"), "\n";
	for my $size (60000, 1000, 10, 1) {
		for (1 .. 800) {
			open(my $g, ">>", $file) or die "open: $!\n";
			push @others, $g;
			last if piece($g, "#" x $size) ne "ok";
		}
	}
	print @others . " others\n";
	print "second ", piece($f, " carol"), "\n";
	close($f) or print "close: $!\n";
	exit 0;' "$A/.account" 2>/dev/null | xargs)" 'first ok .* others second EDQUOT$'
is 'is none of what is taken when it is closed' "$(alice grep '^accept' "$A/.account")" 'accept bob'

done_testing
