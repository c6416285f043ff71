#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Functions are short: half of them have at most 12 lines, nine in ten at most 50.
. "$(dirname "$0")/lib/test-lib.sh"
begin 'lengths of functions'

cd "$top_srcdir" || exit 99
scripts/function-lengths src/*/*.c >"$T/lengths"
count=$(wc -l <"$T/lengths")
median=$(sed -n "$((count - count / 2))p" "$T/lengths")
tenth=$(sed -n "$((count / 10 + 1))p" "$T/lengths")
diag "$count functions; the longest:"
diag "$(head -n 8 "$T/lengths")"

ok 'there are functions' test "$count" -gt 0
ok "the median is at most 12 lines (it is ${median%% *})" test "${median%% *}" -le 12
ok "the 90th percentile is at most 50 lines (it is ${tenth%% *})" test "${tenth%% *}" -le 50

printf 'static int f(void)\n{\n\treturn 0;\n}\n\nstatic const int x[] = {\n\t1,\n};\n\nvoid g(void)\n{\n\tf();\n\tf();\n}\n' >"$T/a.c"
is 'the script counts bodies' "$(scripts/function-lengths "$T/a.c" | tr '\n' ' ')" "2 $T/a.c:10 1 $T/a.c:1 "

done_testing
