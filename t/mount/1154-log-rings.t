#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
# Whoever does much pushes out of the log what they did themselves, and nothing of what their neighbours and the operator did.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need jq fusermount3

tenants_store
cp "$top_builddir/t/lib/renamer" "$T/.private/bin/"
carol mkdir "$C/$R/custom/quiet"
mkdir "$M/$R/custom/of-the-operator"
long=$(printf 'n%.0s' {1..55})
# 16 folders at a time: commits are shared.
bob bash -c 'cd "$1" && for i in {1..16}; do mkdir "$2$i" && renamer 900 "$2$i" "$3$i" & done; wait' _ "$B/$R/custom" "$long" "${long//n/m}"
ok 'bob renames 14 400 times, which is more than one view of the log has' test "$(bob cat "$B/.log" | wc -c)" -gt 1000000
ok "carol's view has what she did" carol grep -q "create.*custom/quiet" "$C/.log"
ok "the operator's has what they did" grep -q "create.*custom/of-the-operator" "$M/.log"
ok 'and what carol did' grep -q "create.*custom/quiet" "$M/.log"
ok 'and what bob did, the newest' grep -q "rename.*custom/[nm]*" "$M/.log"
cut -f 1 "$M/.log" | sort -c
is 'in order' "$?" 0
done_testing
