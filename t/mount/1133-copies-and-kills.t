#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 400
# What a daemon knew of a program that copies is known to the next one: a copy of a shared image never fails when the daemon dies.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
need_kernel 6.9
private_dev_fuse
need_root
need perl

begin 'accounts'
tenants_store
KILLS=${IMAGEFS_TEST_KILLS:-60}
make_disk "$T/a.img" 24 6 1 && chmod 644 "$T/a.img"
give_disk "$T/b.img" 2
make_image alice web "$T/a.img"
make_image alice windows "$T/b.img"
alice bash -c 'echo windows >"$1"' _ "$A/$R/custom/windows/license"
alice ln -sr "$A/$R/custom/web" "$A/accounts/bob/$R/shared/" || flunk 'share' 'failed'
S=$B/$R/shared/web@alice
I=$B/$R/instances
ok 'it is shared' wait_until 2 bob test -f "$S/disk"
keeper=$(keeper_pid)

# another_daemon: the daemon dies, and another one is there
another_daemon() {
	local old
	old=$(pgrep -P "$keeper" | head -n 1)
	kill -9 "$old"
	wait_until 10 bash -c "p=\$(pgrep -P $keeper | head -n 1) && [ -n \"\$p\" ] && [ \"\$p\" != $old ]"
}

# program USER SCRIPT ARG...: a perl script, in which kill_daemon() waits until there is another daemon
mkfifo "$T/asked" "$T/done"
chmod 666 "$T/asked" "$T/done"
program() {
	local user=$1 script=$2 child
	shift 2
	as_user "$user" perl -MFcntl -e 'my ($asked, $done) = splice @ARGV, 0, 2;
		sub kill_daemon { open(my $f, ">", $asked) or die; print $f "x\n"; close $f; open(my $g, "<", $done) or die; <$g>; }
		'"$script" "$T/asked" "$T/done" "$@" &
	child=$!
	read -r _ <"$T/asked"
	another_daemon
	echo done >"$T/done"
	wait "$child"
}

begin 'cp of what may not be read'
ok 'a disk that cp has open looks full to it after the death of the daemon, too' program bob '
	mkdir $ARGV[1] or die "mkdir: $!\n";
	sysopen(my $f, $ARGV[0], O_RDONLY | O_NOFOLLOW) or die "open: $!\n";
	kill_daemon();
	my @s = stat($f) or die "stat: $!\n";
	$s[12] * 512 >= $s[7] or die "$s[12] blocks of $s[7] bytes\n";' "$S/disk" "$I/full"
ok 'to nobody else' bob perl -e '@s = stat($ARGV[0]); exit($s[12] * 512 >= $s[7])' "$S/disk"

begin 'cp -r of a server'
ok 'a server' bob bash -c 'mkdir "$1" && ln -sr "$2" "$1/image" && echo mine >"$1/disk"' _ "$I/v" "$S"
ok 'its link comes along, when the daemon dies after mkdir' program bob '
	mkdir $ARGV[1] or die "mkdir: $!\n";
	kill_daemon();
	symlink(readlink("$ARGV[0]/image"), "$ARGV[1]/image") or die "symlink: $!\n";
	sysopen(my $f, "$ARGV[1]/disk", O_WRONLY | O_CREAT | O_EXCL) or die "disk: $!\n";
	syswrite($f, "mine"); close($f) or die "close: $!\n";' "$I/v" "$I/w"

ok 'and when it dies between reading the link and making it' program bob '
	mkdir $ARGV[1] or die "mkdir: $!\n";
	my $text = readlink("$ARGV[0]/image");
	kill_daemon();
	symlink($text, "$ARGV[1]/image") or die "symlink: $!\n";
	sysopen(my $f, "$ARGV[1]/disk", O_WRONLY | O_CREAT | O_EXCL) or die "disk: $!\n";
	syswrite($f, "mine"); close($f) or die "close: $!\n";' "$I/v" "$I/x"

begin 'licences'
ok 'a program that has read a licensed disk, and writes it when the daemon has died' program alice '
	sysopen(my $f, $ARGV[0], O_RDONLY) or die "open: $!\n";
	sysread($f, my $all, 16 << 20) or die "read: $!\n";
	kill_daemon();
	mkdir $ARGV[1] or die "mkdir: $!\n";
	substr($all, 100, 1) = "x";
	sysopen(my $g, "$ARGV[1]/disk", O_WRONLY | O_CREAT) or die "disk: $!\n";
	syswrite($g, $all); close($g) or die "close: $!\n";' "$A/$R/custom/windows/disk" "$A/$R/custom/taken"
is 'takes the licence along' "$(alice cat "$A/$R/custom/taken/license")" windows

begin 'many kills'
kill_often() {
	local n pid
	for ((n = 0; n < KILLS; n++)); do
		another_daemon
		[ ! -s "$T/failed" ] || break
	done
	: >"$T/stop"
}
: >"$T/failed"
kill_often &
killer=$!
n=0
until [ -e "$T/stop" ]; do
	n=$((n + 1))
	bob cp -r "$S" "$I/k$n" 2>"$T/said" || echo "copy $n: $(xargs <"$T/said")" >>"$T/failed"
	bob cp -r "$I/k$n" "$I/l$n" 2>"$T/said" || echo "copy of server $n: $(xargs <"$T/said")" >>"$T/failed"
	[ $((n % 20)) -gt 0 ] || bob bash -c 'rm -r "$1"/[kl]* && rm -r "$2"/.trash/instances/*' _ "$I" "$B/$R" >/dev/null 2>&1
done
wait "$killer"
diag "$n copies, $KILLS kills"
quiet 'no copy fails' "$T/failed"
ok 'there were copies' test "$n" -ge 10

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
