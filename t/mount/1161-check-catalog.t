#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A catalog whose rows or pages are noise: check reads every row of every table, says what is lost, and does not die of it.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need jq perl
data_store
make_disk "$T/a.img" 4 1 1
import web "$T/a.img"
umount_store
cp -a "$STORE" "$T/whole"
# spoil HOW TEXT: the store as it was, with noise in it
spoil() {
	rm -rf "$STORE"
	cp -a "$T/whole" "$STORE"
	[ "$("$top_srcdir/t/lib/spoil-catalog.pl" "$STORE/catalog/data.mdb" "$1" "$2")" -gt 0 ]
}
# checked: its exit status in $status, what it says in $T/.out, $T/.err
checked() { run timeout 120 imagefs check "$@" "$STORE"; }

begin 'a whole one'
ok 'has nothing' imagefs check "$STORE"
like 'no problem' "$(cat "$T/.out")" 'problems: 0'

begin 'rows that are noise'
ok 'the regions are made noise of' spoil values ap-guangzhou
checked
is 'check ends with 5' "$status" 5
like 'it tells each row' "$(grep -c 'row [0-9a-f]* of the catalog.s table "region" makes no sense' "$T/.out")" '^5$'
like 'and what is lost' "$(cat "$T/.out")" 'lost with it is a region: its name, prices and zones'
is 'it still compares the rest' "$(imagefs check --json "$STORE" | jq .disks)" 1

begin 'pages that are noise'
ok 'the pages of the regions are made noise of' spoil pages ap-guangzhou
checked
is 'check ends with 5' "$status" 5
like 'it says which table' "$(cat "$T/.out")" 'table "region"'
like 'and what is lost' "$(cat "$T/.out")" 'lost is what lies .*, in each row a region: its name, prices and zones'
like 'and that it compared nothing else' "$(cat "$T/.out")" 'nothing else was compared'
is 'the tables behind it are whole' "$(grep -c 'table "log"' "$T/.out")" 0

begin 'everything is noise'
rm -rf "$STORE" && cp -a "$T/whole" "$STORE"
size=$(stat -c %s "$STORE/catalog/data.mdb")
ok 'all pages but the first two are' bash -c 'head -c "$2" /dev/urandom | dd of="$1" bs=4096 seek=2 conv=notrunc status=none' _ "$STORE/catalog/data.mdb" "$((size - 8192))"
checked
is 'check ends with 5' "$status" 5
like 'and says so' "$(cat "$T/.out")" 'catalog'
rm -rf "$STORE" && cp -a "$T/whole" "$STORE"
ok 'cut off' truncate -s 20000 "$STORE/catalog/data.mdb"
checked
is 'check ends with 5' "$status" 5

begin 'while it is in use'
rm -rf "$STORE" && cp -a "$T/whole" "$STORE"
ok 'it is mounted' imagefs mount "$STORE" "$M"
ok 'a whole one has nothing' imagefs check "$STORE"
daemon=$(store_daemon_pid)
ok 'the regions become noise' "$top_srcdir/t/lib/spoil-catalog.pl" "$STORE/catalog/data.mdb" pages ap-guangzhou
checked
is 'check ends with 5' "$status" 5
like 'it says what is lost' "$(cat "$T/.out")" 'in each row a region: its name, prices and zones'
is 'the daemon lives on' "$(store_daemon_pid)" "$daemon"
done_testing
