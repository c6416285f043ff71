#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What test scripts rely on: a test ends where going on tells nothing, and the people of a test are its own, whoever else
# this machine knows.
. "$(dirname "$0")/lib/test-lib.sh"
need_root
unshare --mount true 2>/dev/null || skip_all 'mount namespaces are not permitted'

# script LINE...: a test script of these lines, in $T/script.t
script() {
	{
		echo '#!/bin/bash'
		printf '. %q\n' "$top_srcdir/t/lib/test-lib.sh"
		printf '%s\n' "$@"
	} >"$T/script.t"
	chmod 755 "$T/script.t"
}

begin 'set-up that fails'
script "must 'a disk is there' false" "ok 'it boots' true" done_testing
run "$T/script.t"
is 'a test whose set-up failed fails' "$status" 1
is 'and ends at once' "$(grep -c 'it boots' "$T/.out")" 0
is 'with a plan of what it had tried' "$(tail -n 1 "$T/.out")" '1..1'
script "must 'a disk is there' true" "ok 'it boots' true" done_testing
run "$T/script.t"
is 'one whose set-up worked goes on to its end' "$status $(tail -n 1 "$T/.out")" '0 1..3'

begin 'people'
cp /etc/passwd "$T/passwd"
sed -i '1i alice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\ncarol:x:999:999::/home/carol:/bin/sh' "$T/passwd"
script private_dev_fuse "echo \"\$(id -u alice) \$(id -u bob) \$(id -u carol) \$(as_user alice id -un)\" >'$T/people'" done_testing
# shellcheck disable=SC2016 # for the other shell
run unshare --mount --propagation private bash -c 'mount --bind "$1" /etc/passwd && "$2"' _ "$T/passwd" "$T/script.t"
is 'a machine that has users called alice, bob and carol is no trouble' "$(cat "$T/people")" '61001 61002 61003 alice'

done_testing
