#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bills: what they say together is what is stored; who pays for what; free allowance, fees and prices; they add up, and never change again,
# whatever happens to the clock or the daemon. The clock of this store is moved by hand.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
need_root
need jq
export IMAGEFS_TEST_CLOCK=1
chmod 755 "$T"
for user in alice bob; do
	install -d -o "$(user_id $user)" -m 755 "$T/$user" "$T/$user/mnt"
	test_mounts+=("$T/$user/mnt")
done
make_disk "$T/a.img" 16 4 1
make_disk "$T/b.img" 16 3 2
make_disk "$T/c.img" 16 2 3
chmod 644 "$T"/*.img
GIB=$((1 << 30))
DAY=86400

# The ledger's clocks, as seconds away from the machine's: that of the calendar, and that which nobody sets.
real=0
boot=0
set_clocks() {
	echo "$real $boot" >"$STORE/clock.new" && mv "$STORE/clock.new" "$STORE/clock"
}
go() {
	real=$((real + $1))
	boot=$((boot + $1))
	set_clocks
}
now() {
	echo $((EPOCHSECONDS + real))
}
# The begin of a month so many months from now
month_begin() {
	date -u -d "$(date -u -d "@$(now)" +%Y-%m-01) $1 month" +%s
}
month_name() {
	date -u -d "@$(month_begin "$1")" +%Y-%m
}
# To the second after the begin of a month so many months from now
go_to_month() {
	go $(($(month_begin "$1") - $(now) + 1))
}

# column FILE NAME [KIND]: the sum of a column of all lines (of that kind)
column() {
	awk -F , -v want="$2" -v kind="${3:-}" '
		NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
		kind == "" || $at["kind"] == kind { sum += $at[want] }
		END { printf "%.9g\n", sum }' "$1"
}
# line FILE NAME KIND COLUMN: a column of the line of that name and kind
line() {
	awk -F , -v name="$2" -v kind="$3" -v want="$4" '
		NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
		$at["kind"] == kind && $NF == name { print $at[want] }' "$1"
}
# near DESC GOT WANT TOLERANCE
near() {
	if awk -v a="$2" -v b="$3" -v t="$4" 'BEGIN { d = a - b; exit !(a != "" && d <= t && -d <= t) }'; then
		pass "$1"
	else
		flunk "$1" "got $2, want $3"
	fi
}
# adds_up DESC FILE: each amount is quantity times rate, to the millionth; what is free is never more than what is stored
adds_up() {
	if awk -F , '
		NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
		{ d = $at["quantity"] * $at["rate"] - $at["amount"]; if (d > 0.0000011 || d < -0.0000011) bad = 1; sum += $at["amount"]
		  if ($at["kind"] == "storage" || $at["kind"] == "free-storage") { s[$at["account"] " " $at["region"]] += $at["amount"] } }
		END { for (k in s) if (s[k] < -0.0000001) bad = 1; exit bad }' "$2"; then
		pass "$1"
	else
		flunk "$1" "$(cat "$2")"
	fi
}
live_bytes() {
	sed -n 's/^imagefs_live_bytes //p' "$M/.metrics"
}
write_as() {
	as_user "$1" bash -c 'printf "%s\n" "$2" >"$1"' _ "$2" "$3"
}

begin 'a store whose months can be seen to go by'
new_store
like 'it says so' "$(imagefs status "$STORE")" 'clock: test'
set_clocks
mount_store
for user in alice bob; do
	mkdir "$M/accounts/$user"
	printf 'uids %s\nvendor %s\n' "$(user_id $user)" "$([ $user = alice ] && echo yes || echo no)" >"$M/accounts/$user/.account"
	ok "$user mounts" as_user $user imagefs mount "$STORE" "$T/$user/mnt"
done
A=$T/alice/mnt
B=$T/bob/mnt
for region in "$R" "$M/ap-guangzhou"; do
	printf 'storage-price 100\nfree-storage 0\ninstance-price 0.25\nwindows-fee 0.5\n' >"$region/.region"
done
echo 'free-storage 1073741824' >"$M/ap-guangzhou/.region"
echo 'windows-fee 0' >"$M/ap-guangzhou/.region"
is 'there is no bill yet' "$(ls -A "$M/.bills")" ''
ok 'usage of nothing' grep -q '^total: 0 USD$' "$M/.usage"
is 'nothing lists them' "$(ls "$M" "$M/accounts" | grep -c bills)" 0
refused 'bills are not written' EPERM 'made when it is read' bash -c 'echo x >"$1/.usage"' _ "$M"
go_to_month 1 # from here on months are whole
this=$(month_name 0)

begin 'who pays for what'
as_user alice bash -c 'mkdir "$1/web" && cp "$2" "$1/web/"' _ "$A/ap-beijing/custom" "$T/a.img"
as_user bob bash -c 'mkdir "$1/same" "$1/own" && cp "$2" "$1/same/" && cp "$3" "$1/own/"' _ "$B/ap-beijing/custom" "$T/a.img" "$T/b.img"
as_user alice cp -r "$A/ap-beijing/custom/web" "$A/ap-guangzhou/custom/"
as_user alice ln -sr "$A/ap-beijing/custom/web" "$A/accounts/bob/ap-beijing/shared/"
mkdir "$P/base" && cp "$T/c.img" "$P/base/"
ok 'an instance of a share' as_user bob cp -r "$B/ap-beijing/shared/web@alice" "$B/ap-beijing/instances/vm"
stored=$(live_bytes)
begun=$(now)
go $((10 * DAY))
imagefs usage "$STORE" --csv >"$T/all.csv"
near 'what all bills say together is what is stored' "$(column "$T/all.csv" quantity storage)" \
	"$(awk -v b="$stored" -v s=$((10 * DAY)) -v m=$(($(month_begin 1) - $(month_begin 0))) -v g=$GIB 'BEGIN { print b * s / m / g }')" 0.00001
near 'bytes that two have are on the account of one' \
	"$(awk -v x="$(line "$T/all.csv" custom/same storage quantity)" 'BEGIN { print x + 0 }')" 0 0.000002
is 'a copy in another region brings nothing' "$(line "$T/all.csv" custom/web storage region)" ap-beijing
is 'nor does an instance of a share' "$(line "$T/all.csv" instances/vm storage quantity)" ''
is 'what is public is the operator'"'"'s' "$(line "$T/all.csv" public/base storage account)" root
near 'it runs for ten days' "$(line "$T/all.csv" instances/vm instance quantity)" 240 0.1
is 'and is paid by who started it' "$(line "$T/all.csv" instances/vm instance account)" bob
adds_up 'they add up' "$T/all.csv"
as_user alice cat "$A/.usage" >"$T/usage"
like "alice's, for a person" "$(grep '^ap-beijing' "$T/usage")" 'storage +images +1 +[0-9.]+ MiB +0\.00[0-9]+ +- +0\.[0-9]+'
like 'with a sum' "$(tail -n 1 "$T/usage")" '^total: 0\.[0-9]+ USD$'
is 'one region is that one' "$(as_user alice cat "$A/ap-guangzhou/.usage" | grep -c beijing)" 0
ok 'nobody sees what others pay' bash -c '! grep -q "bob\|same" "$1"' _ "$T/usage"
as_user alice imagefs usage "$A" --csv >"$T/alice.csv"
is 'nor on the command line' "$(tail -n +2 "$T/alice.csv" | cut -d , -f 2 | sort -u)" alice
fails 'which others are asked for' 'only operators' as_user alice imagefs usage "$STORE" --account bob
fails 'or whether they are' 'only operators' as_user alice imagefs usage "$STORE" --account nobody
ok 'there is no place for it either' bash -c '! ls -A "$1" | grep -q "^\.[bu]"' _ "$A/accounts"
fails '… nor one that is not shown' 'No such file' as_user alice cat "$A/accounts/.usage"
ok 'operators see anybody' grep -q '^ap-beijing' "$M/accounts/bob/.usage"
ok 'and all' grep -q '^bob .*ap-beijing' "$M/accounts/.usage"

begin 'a month is over'
go_to_month 1
is 'it has a bill' "$(as_user alice ls "$A/.bills" | tail -n 1)" "$this.csv"
is 'so has the one before' "$(ls "$M/.bills" | wc -l)" 2
as_user alice cat "$A/.bills/$this.csv" >"$T/alice.csv"
cat "$M/accounts/bob/.bills/$this.csv" >"$T/bob.csv"
cat "$M/accounts/.bills/$this.csv" >"$T/all.csv"
near 'all together is what was stored' "$(column "$T/all.csv" quantity storage)" \
	"$(awk -v b="$stored" -v s=$(($(month_begin 0) - begun)) -v m=$(($(month_begin 0) - $(month_begin -1))) -v g=$GIB 'BEGIN { print b * s / m / g }')" 0.00001
near 'and the sum of each' "$(column "$T/all.csv" amount)" \
	"$(awk -v a="$(column "$T/alice.csv" amount)" -v b="$(column "$T/bob.csv" amount)" -v c="$(column "$M/.bills/$this.csv" amount)" 'BEGIN { printf "%.9g\n", a + b + c }')" 0.0000001
for file in alice bob all; do adds_up "$file adds up" "$T/$file.csv"; done
refused 'a bill is not written' EPERM 'made when it is read' bash -c 'echo x >"$1/.bills/$2.csv"' _ "$M" "$this"
fails 'nor removed' 'Operation not permitted' rm -f "$M/.bills/$this.csv"
fails 'this month has none yet' 'No such file' cat "$M/.bills/$(month_name 0).csv"
fails 'others have theirs to themselves' 'No such file' as_user bob cat "$B/accounts/alice/.bills/$this.csv"
imagefs usage "$STORE" --month "$this" --csv >"$T/cli.csv"
ok 'the command says the same' same "$T/all.csv" "$T/cli.csv"
imagefs usage "$M" --month "$this" --account bob --csv >"$T/cli.csv"
ok 'of one account, through a mount' same "$T/bob.csv" "$T/cli.csv"
near 'as JSON' "$(imagefs usage "$STORE" --month "$this" --json | jq '[.[].amount] | add')" "$(column "$T/all.csv" amount)" 0.0000001
like 'for people' "$(imagefs usage "$STORE" --month "$this" --account bob)" "^month: $this"
fails 'a month that is none' 'given as 2026-11' imagefs usage "$STORE" --month 2026-13
run imagefs usage "$STORE" --month 2001-01
is 'one before the store' "$status" 3
run imagefs usage "$STORE" --csv --json
is 'both forms' "$status" 2
ok 'the example for last month' env CLOUD="$M" bash "$top_srcdir/scripts/examples/bills" "$this"
near 'says what it comes to' "$(awk '$1 == "bob" { print $2 }' "$T/.out")" "$(column "$T/bob.csv" amount)" 0.006

begin 'fees and prices'
this=$(month_name 0)
mkdir "$P/win" && echo 'windows 2022' >"$P/win/os" && cp "$T/a.img" "$P/win/"
for region in ap-beijing ap-guangzhou; do
	[ $region = ap-beijing ] || ok 'it is published elsewhere, too' cp -r "$P/win" "$M/$region/public/"
	as_user bob cp -r "$B/$region/public/win" "$B/$region/instances/win"
done
for unit in once hour month; do
	mkdir "$P/app-$unit" && echo "3 $unit" >"$P/app-$unit/price" && cp "$T/c.img" "$P/app-$unit/"
	as_user bob cp -r "$B/ap-beijing/public/app-$unit" "$B/ap-beijing/instances/$unit"
	echo "9 $unit" >"$P/app-$unit/price"
done
as_user alice bash -c 'cd "$1" && mkdir app && cp "$2" app/ && echo "2 hour" >app/price && echo "a@b" >app/support && echo "read this" >app/guide' \
	_ "$A/ap-beijing/custom" "$T/b.img"
ok 'a vendor submits an image with a price' as_user alice cp -r "$A/ap-beijing/custom/app" "$A/ap-beijing/marketplace/"
ok 'it is published' chmod a+rx "$R/marketplace/app"
is 'its price is shown before' "$(as_user bob sed -n 's/^start-price: //p' "$B/ap-beijing/marketplace/app/.status")" \
	'0.25 USD/hour + 2 USD/hour (marketplace, vendor alice)'
ok 'and bob starts it' as_user bob cp -r "$B/ap-beijing/marketplace/app" "$B/ap-beijing/instances/app"
ok 'he makes an image of that' as_user bob cp -r "$B/ap-beijing/instances/app" "$B/ap-beijing/custom/mine"
fails 'which keeps the price' 'Operation not permitted' as_user bob rm "$B/ap-beijing/custom/mine/price"
as_user bob bash -c 'mkdir "$1/web" && cp "$2" "$1/web/"' _ "$B/ap-guangzhou/custom" "$T/b.img"
before=$(now)
as_user bob rm -r "$B/ap-beijing/instances/vm"
go $((5 * DAY))
as_user bob bash -c 'mv "$1"/.trash/instances/vm@* "$1/instances/vm"' _ "$B/ap-beijing"
go_to_month 1
hours=$(awk -v s=$(($(month_begin 0) - before)) 'BEGIN { print s / 3600 }')
cat "$M/accounts/bob/.bills/$this.csv" >"$T/bob.csv"
adds_up 'it adds up' "$T/bob.csv"
near 'a licence is paid by the hour' "$(line "$T/bob.csv" instances/win windows quantity)" "$hours" 0.05
is 'by the region of the instance' "$(line "$T/bob.csv" instances/win windows region)" ap-beijing
is 'once is once' "$(line "$T/bob.csv" instances/once marketplace amount)" 3
near 'an hour each hour' "$(line "$T/bob.csv" instances/hour marketplace amount)" "$(awk -v h="$hours" 'BEGIN { print 3 * h }')" 0.5
near 'a month for its part' "$(line "$T/bob.csv" instances/month marketplace quantity)" 1 0.001
is 'at the price of the start' "$(line "$T/bob.csv" instances/month marketplace rate)" 3
near 'a vendor is paid' "$(line "$T/bob.csv" instances/app marketplace amount)" "$(awk -v h="$hours" 'BEGIN { print 2 * h }')" 0.5
is 'by name' "$(line "$T/bob.csv" instances/app marketplace vendor)" alice
is 'and who gets it' "$(line "$T/bob.csv" instances/month marketplace vendor)" root
near 'in the trash nothing runs' "$(line "$T/bob.csv" instances/vm instance quantity)" \
	"$(awk -v h="$hours" 'BEGIN { print h - 120 }')" 0.1
near 'what is free' "$(awk -F , '$3 == "ap-guangzhou" && $4 ~ /storage/ { s += $9 } END { print s + 0 }' "$T/bob.csv")" 0 0.0000001
rm "$T/bob.csv"
go $((3 * DAY))
as_user bob imagefs usage "$B" --csv >"$T/bob.csv"
is 'once is not again' "$(line "$T/bob.csv" instances/once marketplace amount)" ''

begin 'closed is closed'
cat "$M/accounts/.bills/$this.csv" >"$T/closed.csv"
unchanged() {
	cat "$M/accounts/.bills/$this.csv" >"$T/again.csv"
	ok "$1" same "$T/closed.csv" "$T/again.csv"
}
printf 'storage-price 7\nwindows-fee 7\ninstance-price 7\n' >"$R/.region"
echo 'currency CNY' >"$M/.policy"
as_user bob rm -r "$B/ap-beijing/custom/own"
as_user bob rm -r "$B/ap-beijing/instances/once"
purge_trash
unchanged 'when prices change and images go'
as_user bob imagefs umount "$B"
as_user alice imagefs umount "$A"
umount_store
bill_count=$(($(imagefs usage "$STORE" --month "$this" --csv | wc -l) - 1))
is 'without a daemon' "$bill_count" "$(($(wc -l <"$T/closed.csv") - 1))"
mount_store
unchanged 'after a restart'
kill -9 "$(store_daemon_pid)"
unchanged 'after a kill'
real=$((real - 70 * DAY))
set_clocks
imagefs gc "$STORE" >/dev/null
unchanged 'when the clock is set back'
is 'it is the month that it was' "$(ls "$M/.bills" | tail -n 1)" "$this.csv"
go $((10 * DAY))
unchanged 'and goes on'
real=$((real + 70 * DAY))
set_clocks
unchanged 'and is set right again'

begin 'nobody looks for months'
bill=$(ls "$M/.bills" | wc -l)
umount_store
go_to_month 3
mount_store
is 'each has its bill' "$(ls "$M/.bills" | wc -l)" $((bill + 3))
for file in $(ls "$M/accounts/.bills" | tail -n 2); do
	cat "$M/accounts/.bills/$file" >"$T/all.csv"
	near "$file: the whole month" "$(column "$T/all.csv" quantity storage)" "$(awk -v b="$(live_bytes)" -v g=$GIB 'BEGIN { print b / g }')" 0.00001
	is "$file: in the currency of now" "$(tail -n +2 "$T/all.csv" | cut -d , -f 10 | sort -u)" CNY
done
unchanged 'and the old one is what it was'

done_testing
