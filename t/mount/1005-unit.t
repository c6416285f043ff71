#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit closes what the service does not need, and leaves open what it needs: every system call that the service makes
# while it serves is one that the unit's filter lets pass.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need_root
need systemd-analyze strace jq mkfs.ext4
unit=$top_builddir/scripts/imagefs@.service

begin 'what is closed'
cp "$unit" "$T/imagefs@.service"
run systemd-analyze security --offline=true "$T/imagefs@.service"
exposure=$(sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\) .*/\1/p' "$T/.out")
ok "systemd counts an exposure of $exposure, at most 1.5" awk -v e="$exposure" 'BEGIN { exit !(e != "" && e <= 1.5) }'
for line in LimitCORE=0 OOMPolicy=continue PrivateNetwork=yes IPAddressDeny=any PrivateTmp=yes RemoveIPC=yes; do
	ok "the unit says $line" grep -qx "$line" "$unit"
done
is 'the daemon has one device, by which it joins the connections of mounts' "$(grep -E '^Device(Allow|Policy)=' "$unit" | xargs)" \
	'DevicePolicy=closed DeviceAllow=/dev/fuse rw'
like 'the unit bounds the tasks' "$(grep ^TasksMax= "$unit")" '=[0-9]+$'
like 'the unit bounds the memory' "$(grep ^MemoryHigh= "$unit")" '=[0-9]+G$'

# calls SET...: the system calls in these sets, and in those that they have in them
calls() {
	local set names
	for set; do
		names=$(systemd-analyze syscall-filter "$set" | sed -n 's/^    *\([@a-z0-9_-]*\)$/\1/p')
		grep -v '^@' <<<"$names"
		# shellcheck disable=SC2046 # names
		calls $(grep '^@' <<<"$names")
	done
}

# What the filter lets pass: its lines in turn add calls and sets, or take them away.
allowed() {
	local line word
	: >"$T/allowed"
	while read -r line; do
		for word in ${line#\~}; do
			case $word in @*) calls "$word" ;; *) echo "$word" ;; esac
		done | sort -u >"$T/word"
		case $line in
		\~*) comm -23 "$T/allowed" "$T/word" ;;
		*) sort -u "$T/allowed" "$T/word" ;;
		esac >"$T/next"
		mv "$T/next" "$T/allowed"
	done < <(sed -n 's/^SystemCallFilter=//p' "$unit")
}
allowed
ok 'the filter lets the service read' grep -qx pread64 "$T/allowed"
is 'the filter does not let it mount' "$(grep -cx mount "$T/allowed")" 0

begin 'what is needed'
new_store
strace -f -qq -o "$T/trace" imagefs serve "$STORE" 2>"$T/log" &
server=$!
wait_until 30 test -S "$STORE/socket"
mount_store
make_disk "$T/a.img" 8 4 1
import web "$T/a.img"
mkdir -p "$T/tree/etc" && printf 'ID=debian\nVERSION_ID="12"\n' >"$T/tree/etc/os-release"
truncate -s 24M "$T/system.img" && mkfs.ext4 -q -F -d "$T/tree" "$T/system.img"
import system "$T/system.img"
cp -r "$C/web" "$C2/copy"
cp -r "$C/web" "$M/ap-beijing/instances/v"
disk=$M/ap-beijing/instances/v/disk
for at in 1 3 5; do
	head -c 70000 /dev/urandom | dd of="$disk" bs=64K seek=$at conv=notrunc,fsync status=none
done
fallocate -p -o 65536 -l 65536 "$disk"
cat "$disk" >/dev/null
sha256sum "$C/web/disk" >"$T/sum"
mv "$C/web" "$C/web2"
echo 'a description' >"$C/web2/description"
rm -r "$C2/copy" "$M/ap-beijing/instances/v"
imagefs gc "$STORE" >/dev/null
imagefs check "$STORE" >/dev/null
os=$(cat "$C/system/os")
kill -9 "$(store_daemon_pid)"
ok 'the service works while it is watched, also after its daemon died' grep -qx 'state: available' "$C/web2/.status"
imagefs umount "$M"
kill -TERM "$(pgrep -P "$server" -f 'imagefs' | head -n 1)"
wait "$server"
sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' "$T/trace" | sort -u >"$T/made"
ok 'it was watched' grep -qx pwrite64 "$T/made"
is 'the service looked into a file system' "$os" 'debian 12'
# shellcheck disable=SC2016 # a program of awk
is 'a process of its own did that, which from then on only read, wrote and ended' "$(awk '
	$2 ~ /^execve/ && /"prober"/ { caged[$1] = 1 }
	$2 ~ /^prctl/ && /PR_SET_SECCOMP/ && caged[$1] { closed[$1] = 1; next }
	closed[$1] && $2 != "+++" && $2 != "<..." { sub(/\(.*/, "", $2); print $2 }' "$T/trace" | sort -u | xargs)" 'exit_group read write'
is 'the filter lets every system call of the service pass' "$(comm -23 "$T/made" "$T/allowed" | xargs)" ''

done_testing
