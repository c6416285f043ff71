#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# .log and .list of several accounts: who, when, what, with what result; refusals, too, but not so many that they push out the rest;
# each reads their own; it survives restarts. And .list is of one moment, whatever changes meanwhile.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need jq

begin 'accounts'
tenants_store
give_disk "$T/a.img" 1
make_image alice web "$T/a.img"
alice ln -sr "$A/$R/custom/web" "$A/accounts/bob/$R/shared/" || flunk share failed
ok 'bob has it' wait_until 2 sees bob $R/shared web@alice

begin 'what was done'
is 'alice: who and what' "$(alice tail -n 1 "$A/.log" | cut -f 2-6)" "alice	$(user_id alice)	share	accounts/bob/$R/shared/web	ok"
like 'when' "$(alice tail -n 1 "$A/.log" | cut -f 1)" '^20[0-9-]{8}T[0-9:]{8}Z$'
is 'bob: what was done to him' "$(bob tail -n 1 "$B/.log" | cut -f 2-)" "alice	$(user_id alice)	share	accounts/bob/$R/shared/web	ok	"
is 'nothing of what she does alone' "$(bob grep -c custom "$B/.log")" 0
is 'carol: nothing' "$(carol cat "$C/.log")" ''
ok 'an operator: all of it' grep -q "	import	$R/custom/web	ok" "$M/.log"
fails 'nobody writes it' 'not permitted' bash -c 'echo x >"$1"' _ "$M/.log"

begin 'what was refused'
bob rm -r "$B/$R/shared/web@alice" 2>/dev/null
is 'EPERM, once for all files of an image' "$(log_of bob | grep -c "EPERM")" 1
like 'with the reason' "$(log_of bob | tail -n 1)" "^delete	$R/shared/web@alice	EPERM	.*rmdir declines"
alice rm -r "$A/$R/custom/web" 2>/dev/null
like 'EBUSY' "$(log_of alice | tail -n 1)" "^delete	$R/custom/web	EBUSY	.*shared with bob"
echo 'images-per-region 1' >"$M/accounts/alice/.policy"
alice mkdir "$A/$R/custom/second" 2>/dev/null
like 'EDQUOT' "$(log_of alice | tail -n 1)" "^create	$R/custom/second	EDQUOT	.*images-per-region"
carol bash -c 'echo "accept bob" >"$1/.account"' _ "$C"
alice ln -sr "$A/$R/custom/web" "$A/accounts/carol/$R/shared/" 2>/dev/null
like 'EACCES' "$(log_of alice | tail -n 1)" "^share	accounts/carol/$R/shared/web	EACCES	"
alice ln -sr "$A/$R/custom/web" "$A/accounts/bob/ap-shanghai/shared/" 2>/dev/null
like 'EXDEV of a share' "$(log_of alice | tail -n 1)" "^share	accounts/bob/ap-shanghai/shared/web	EXDEV	"
before=$(log_of alice | wc -l)
alice mkdir "$A/$R/custom/web" 2>/dev/null
alice rm "$A/$R/custom/none" 2>/dev/null
alice ln -s nothing "$A/$R/custom/alias" 2>/dev/null
alice touch "$A/$R/custom/file" 2>/dev/null
is 'what tools try is no refusal' "$(log_of alice | wc -l)" "$before"
is 'alice does not read what others were refused' "$(log_of alice | grep -c 'web@alice')" 0
ok 'operators do' grep -q "bob	.*web@alice	EPERM" "$M/.log"
is 'names cannot make lines' "$(alice ln -s ../x "$A/accounts/bob/$R/shared/a	b" 2>/dev/null; alice awk -F '\t' 'NF != 7' "$A/.log" | wc -l)" 0

begin 'too many of them'
ok 'carol does something' carol mkdir "$C/$R/custom/mine"
bob bash -c 'for i in $(seq 200); do mkdir "$1/$2/public/n$i" 2>/dev/null; done' _ "$B" $R
lines=$(bob grep -c '	EPERM	' "$B/.log")
ok "of 200 refusals $lines are lines" [ "$lines" -ge 10 -a "$lines" -le 60 ]
ok 'the line of carol is there' grep -q "carol	.*create	$R/custom/mine	ok" "$M/.log"
ok 'bob works on' bob mkdir "$B/$R/custom/own"
is 'which is logged' "$(log_of bob | tail -n 1 | cut -f 1-3)" "create	$R/custom/own	ok"

begin 'restarts'
cut -f 1-6 "$M/.log" >"$T/before"
kill -9 "$(store_daemon_pid)"
wait_until 10 store_daemon_pid
ok 'a daemon that was killed' bash -c 'head -n "$(wc -l <"$1")" "$2/.log" | cut -f 1-6 | cmp - "$1"' _ "$T/before" "$M"
bob bash -c 'for i in $(seq 100); do mkdir "$1/$2/public/n$i" 2>/dev/null; done' _ "$B" $R
for name in alice bob carol; do as_user $name imagefs umount "$T/$name/mnt" || flunk umount failed; done
umount_store
ok 'nobody has it open' wait_until 10 bash -c '! imagefs status "$1" --json | jq -e ".[\"daemon-pid\"]"' _ "$STORE"
mount_store
ok 'a store that was closed' bash -c 'head -n "$(wc -l <"$1")" "$2/.log" | cut -f 1-6 | cmp - "$1"' _ "$T/before" "$M"
like 'how many were left out is told' "$(grep '	refused	' "$M/.log" | cut -f 2,7)" 'bob	[0-9]+ more refusals are not listed'
for name in alice bob; do ok "$name mounts again" as_user $name imagefs mount "$STORE" "$T/$name/mnt"; done

begin '.list, while everything changes'
echo 'images-per-region -' >"$M/accounts/alice/.policy"
alice bash -c 'for i in $(seq 40); do mkdir "$1/i$i-0" || exit; done' _ "$A/$R/custom" || flunk mkdir failed
renamer() {
	local n=0
	until [ -e "$T/stop" ]; do
		n=$((n + 1))
		for i in $(seq "$1" 2 40); do mv "$A/$R/custom/i$i-"* "$A/$R/custom/i$i-$n" || echo "mv $i" >>"$T/alice/failed"; done
	done
}
export -f renamer
export A R
for first in 1 2; do alice bash -c 'renamer "$1"' _ $first & done 2>>"$T/failed"
alice bash -c 'until [ -e "$2/stop" ]; do mkdir "$1/z" && rmdir "$1/z"; done' _ "$A/$R/custom" "$T" &
for n in $(seq 60); do
	alice cat "$A/.list" | awk -F '\t' -v n="$n" '$3 ~ /^i[0-9]/ { sub(/-.*/, "", $3); seen[$3]++; ids[$4]++; all++ }
		END { if (all != 40) print n ": " all " rows"; for (i in seen) if (seen[i] != 1) print n ": " i " " seen[i] " times"; for (i in ids) if (ids[i] != 1) print n ": " i }' >>"$T/failed"
done
touch "$T/stop"
wait
quiet 'both renamed' "$T/alice/failed"
quiet 'no row is there twice, and none is not' "$T/failed"
alice awk -F '\t' '{ print NF }' "$A/.list" | sort -u >"$T/fields"
is 'every line has its fields' "$(cat "$T/fields")" 13
ok 'the store is whole' imagefs check "$STORE"
done_testing
