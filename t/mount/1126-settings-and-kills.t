#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A setting that is open while the daemon dies goes on as if it had not: what was truncated is empty, what was written is there.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need_root
need jq
need_kernel 6.9
data_store
image web
D=$C/web/description

# kill_daemon: and wait until another one answers
kill_daemon() {
	local old
	old=$(store_daemon_pid)
	kill -9 "$old" || flunk 'the daemon is killed' 'failed'
	is_another() { local now; now=$(store_daemon_pid) && [ -n "$now" ] && [ "$now" != "$old" ]; }
	wait_until 20 is_another || flunk 'another daemon comes' 'none'
}

# value DESC FILE TEXT: what it has after descriptor 7 was closed
value() {
	exec 7>&- || flunk "$1: close" 'failed'
	is "$1" "$(cat "$2")" "$3"
}

echo 'a much longer old description' >"$D"
exec 7>"$D"
kill_daemon
is 'truncation alone changes nothing' "$(cat "$D")" 'a much longer old description'
ok 'it is written after the daemon died' bash -c 'echo new >&7'
value 'nothing of the old value is left' "$D" new

exec 7>"$D"
printf 'one ' >&7
kill_daemon
printf 'two ' >&7
kill_daemon
printf 'three\n' >&7
value 'a text in three pieces, and two deaths between them' "$D" 'one two three'

exec 7>>"$D"
kill_daemon
echo four >&7
value 'a text that is added to' "$D" $'one two three\nfour'

sum=$(printf x | sha256sum | cut -d ' ' -f 1)
exec 7>"$C/web/sha256"
printf '%s' "${sum:0:30}" >&7
kill_daemon
printf '%s' "${sum:30}" >&7
kill_daemon
value 'a value that is none before its last piece, and has no newline' "$C/web/sha256" "$sum"

exec 7>"$C/web/sha256"
printf '%s' "${sum:0:30}" >&7
printf '%s\n' "${sum:30}" >&7
exec 7>&- || flunk 'a value in two pieces is closed without an error' 'it is not'
is 'and is whole' "$(cat "$C/web/sha256")" "$sum"

exec 7>"$M/.policy"
printf 'trash-' >&7
kill_daemon
printf 'days 5\n' >&7
exec 7>&- || flunk 'a value in two pieces is closed without an error' 'it is not'
is 'half a line of a policy' "$(grep '^trash-days' "$M/.policy")" 'trash-days 5'

begin 'more than the hold has room for'
mkdir "$C/n"{1..140} || flunk 'mkdir' 'failed'
cat >"$T/many.c" <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
/* many FOLDER: opens 140 descriptions, writes to each; waits for a line; writes the rest; tells how many writes and closes failed */
int main(int argc, char **argv)
{
	int fd[140], failed = 0;
	char path[4096], line[8];
	(void)argc;
	for (int i = 0; i < 140; i++) {
		snprintf(path, sizeof path, "%s/n%d/description", argv[1], i + 1);
		fd[i] = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		failed += fd[i] < 0 || write(fd[i], "first ", 6) != 6;
	}
	puts("written");
	fflush(stdout);
	if (!fgets(line, sizeof line, stdin))
		return 1;
	for (int i = 0; i < 140; i++) {
		failed += write(fd[i], "second\n", 7) != 7;
		failed += close(fd[i]) != 0;
	}
	printf("%d failed\n", failed);
	return 0;
}
END
${CC:-cc} -D_GNU_SOURCE -o "$T/many" "$T/many.c" || flunk 'the program is made' 'failed'
mkfifo "$T/to"
"$T/many" "$C" <"$T/to" >"$T/said" &
exec 8>"$T/to"
wait_until 20 grep -q written "$T/said"
kill_daemon
echo go >&8
exec 8>&-
wait $!
wrong() { cat "$C/n"*/description | grep -cvE '^(first second|first)$'; }
is 'a text that there is no room for is not mixed with another' "$(wrong)" 0
is 'most of them are whole' "$(test "$(cat "$C/n"*/description | grep -c '^first second$')" -ge 128 && echo yes)" yes
done_testing
