# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# test-lib.sh: what test scripts share. A script sources it and speaks TAP through it:
#
#	. "$(dirname "$0")/../lib/test-lib.sh"
#	private_dev_fuse
#	begin 'an import is found again'
#	new_store
#	mount_store
#	...
#	done_testing
#
# Every test has a folder of its own, $T, and a unique mark in its environment. What is mounted below $T and
# what runs with that mark belongs to the test: done_testing unmounts politely and counts whatever is
# left as a failure; the trap at exit then removes it by force, also after an early end.
# ok, fails, is and like count in the shell that calls them: don't call them in a subshell or a pipe.

set -u
export LC_ALL=C.UTF-8 TZ=UTC
unset XDG_RUNTIME_DIR XDG_DATA_HOME XDG_CONFIG_HOME
ORIGINAL_ARGUMENTS=("$@")
TEST_FILE=$(realpath "$0")
top_srcdir=${top_srcdir:-$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")}
if [ -z "${top_builddir:-}" ]; then
	top_builddir=$top_srcdir
	[ -e "$top_srcdir/imagefs" ] || [ ! -e "$top_srcdir/build/imagefs" ] || top_builddir=$top_srcdir/build
fi
IMAGEFS_BIN=${IMAGEFS_BIN:-$top_builddir/imagefs}
export top_srcdir top_builddir IMAGEFS_BIN
PATH=$(dirname "$IMAGEFS_BIN"):$PATH:/usr/sbin:/sbin

T=$(mktemp -d "${TMPDIR:-/tmp}/ift.XXXXXX") || exit 99
chmod 755 "$T"
export T TMPDIR=$T
export IMAGEFS_TEST_ID=$T.$$.$RANDOM
STORE=$T/store
M=$T/mnt
test_count=0
test_failures=0
test_mounts=()

# --- TAP ---------------------------------------------------------------------------------------------------

diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

begin() {
	diag "$*"
}

pass() {
	test_count=$((test_count + 1))
	printf 'ok %d - %s\n' "$test_count" "$1"
}

# flunk DESC REASON
flunk() {
	test_count=$((test_count + 1))
	test_failures=$((test_failures + 1))
	printf 'not ok %d - %s\n' "$test_count" "$1"
	local file=${BASH_SOURCE[2]:-$0} # called by a test itself it is one step nearer
	diag "  at ${file##*/}:${BASH_LINENO[1]:-?}: ${2:0:300}"
}

show_output() {
	head -n 40 "$T/.out" "$T/.err" | sed 's/^/#   /'
}

# run CMD...: keeps stdout and stderr in $T/.out and $T/.err, the status in $status.
run() {
	"$@" >"$T/.out" 2>"$T/.err" </dev/null
	status=$?
	return "$status"
}

# ok DESC CMD...
ok() {
	local what=$1
	shift
	if run "$@"; then
		pass "$what"
	else
		flunk "$what" "status $status of: $*"
		show_output
	fi
}

# must DESC CMD...: like ok, for what everything after it needs: when CMD fails, the test ends here, as failed.
must() {
	ok "$@"
	[ "$status" -eq 0 ] || give_up
}

# After a failure that leaves nothing to test.
give_up() {
	diag 'The rest of this test needs that, so it ends here.'
	printf '1..%d\n' "$test_count"
	exit 1
}

# fails DESC TEXT CMD...: CMD fails by itself (not by a signal, not for want of CMD) and says TEXT on stderr.
fails() {
	local what=$1 text=$2
	shift 2
	if run "$@"; then
		flunk "$what" "succeeded: $*"
	elif [ "$status" -ge 124 ]; then
		flunk "$what" "status $status is no orderly failure: $*"
	elif ! grep -qF -- "$text" "$T/.err"; then
		flunk "$what" "failed without saying \"$text\": $*"
	else
		pass "$what"
		return
	fi
	show_output
}

# quiet DESC FILE: FILE, where failures are noted, is empty or not there. Its first line becomes part of the name of a
# test that failed: a record that keeps nothing but names tells the cause, too.
quiet() {
	local first
	if [ ! -s "$2" ]; then
		pass "$1"
		return
	fi
	first=$(head -n 1 "$2")
	first=${first//[^[:print:]]/ }
	first=${first//[#\\]/} # they mean something in a name
	flunk "$1: ${first:0:250}" "$(head -n 3 "$2")"
}

# is DESC GOT WANT
is() {
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		flunk "$1" "got \"$2\", want \"$3\""
	fi
}

# like DESC GOT REGEX (extended)
like() {
	if [[ $2 =~ $3 ]]; then
		pass "$1"
	else
		flunk "$1" "\"$2\" doesn't match $3"
	fi
}

# A reason is acceptable if t/known-skips has it for this test; others are failures where nothing may be skipped.
known_skip() {
	local pattern reason
	while read -r pattern reason; do
		# shellcheck disable=SC2053 # the pattern is one
		if [[ ${TEST_FILE#"$top_srcdir/"} == $pattern && $reason == "$1" ]]; then
			return 0
		fi
	done <"$top_srcdir/t/known-skips"
	return 1
}

skip_all() {
	if [ "${IMAGEFS_NO_SKIPS:-0}" = 1 ] && ! known_skip "$1"; then
		printf 'not ok 1 - skipped: %s\n1..1\n' "$1"
		exit 1
	fi
	printf '1..0 # SKIP %s\n' "$1"
	exit 0
}

done_testing() {
	unmount_politely
	# Namespaces that other tests make meanwhile would keep copies of its mounts.
	if [ "$(id -u)" -eq 0 ] && [ "${#test_mounts[@]}" -gt 0 ] && [ -z "${namespace_is_private:-}" ]; then
		flunk 'it has a mount namespace of its own' 'private_dev_fuse is not called'
	fi
	if wait_until 10 nothing_left; then
		pass 'nothing is left mounted or running'
	else
		flunk 'nothing is left mounted or running' 'there are'
		diag "$(describe_left)"
	fi
	printf '1..%d\n' "$test_count"
	exit $((test_failures > 0))
}

# --- what a test leaves behind -----------------------------------------------------------------------------

# Mounts below $T, the innermost first. $T/.private holds what private_dev_fuse made.
left_mounts() {
	local at
	awk '{ print $5 }' /proc/self/mountinfo | tac | while IFS= read -r at; do
		at=$(printf '%b' "$at")
		case $at in "$T/.private" | "$T/.private/"*) ;; "$T"/*) printf '%s\n' "$at" ;; esac
	done
}

# Processes that carry the mark of this test, or name its folder. Nothing else is started meanwhile, as it would
# carry the mark, too; grep doesn't find itself, because the names of the files are expanded before it starts.
# The time limit is for processes that hang in a page fault on a dead mount: reading their files can block.
left_processes() {
	local found
	found=$(timeout 5 grep -lzxF --line-buffered "IMAGEFS_TEST_ID=$IMAGEFS_TEST_ID" /proc/[0-9]*/environ 2>/dev/null)
	found+=$'\n'$(timeout 5 grep -lzF --line-buffered "$T/" /proc/[0-9]*/cmdline 2>/dev/null)
	tr -dc '0-9\n' <<<"$found" | sort -un | sed '/^$/d'
}

# signal_left SIGNAL. They are collected before anything else is started, which would carry the mark, too.
signal_left() {
	local pids
	pids=$(left_processes)
	# shellcheck disable=SC2086 # a list
	[ -z "$pids" ] || kill -"$1" $pids 2>/dev/null
}

# What is left, in words.
describe_left() {
	local mounts pids
	mounts=$(left_mounts)
	pids=$(left_processes)
	[ -z "$mounts" ] || printf 'mounted: %s\n' "$mounts"
	# shellcheck disable=SC2086 # a list
	[ -z "$pids" ] || ps -o pid,ppid,stat,args -p ${pids//$'\n'/,}
}

nothing_left() {
	[ -z "$(left_mounts)" ] && [ -z "$(left_processes)" ]
}

unmount_politely() {
	local at
	for at in "${test_mounts[@]}"; do
		if left_mounts | grep -qxF "$at"; then
			timeout 20 imagefs umount "$at" >/dev/null 2>&1
		fi
	done
}

unmount_by_force() {
	local at
	left_mounts | while IFS= read -r at; do
		timeout 5 fusermount3 -u "$at" 2>/dev/null || timeout 5 umount "$at" 2>/dev/null ||
			fusermount3 -uz "$at" 2>/dev/null || umount -l "$at" 2>/dev/null
	done
}

clean_up() {
	local code=$?
	trap - EXIT
	unmount_politely
	unmount_by_force
	signal_left TERM
	wait_until 3 nothing_left || signal_left KILL
	umount -l "$T/.private" 2>/dev/null
	chmod -R u+rwx "$T" 2>/dev/null
	rm -rf --one-file-system "$T"
	exit "$code"
}
trap clean_up EXIT
trap 'exit 143' TERM INT HUP

# --- stores, mounts, disks ---------------------------------------------------------------------------------

# new_store [OPTION...]: a store in $STORE.
new_store() {
	must 'a store is made' imagefs init "$@" "$STORE"
}

# mount_store [OPTION...]: mounts $STORE at $M. For a second mount: M=$T/other mount_store
mount_store() {
	mkdir -p "$M"
	test_mounts+=("$M")
	must "the store is mounted at ${M#"$T/"}" imagefs mount "$@" "$STORE" "$M"
}

umount_store() {
	ok "${M#"$T/"} is unmounted" imagefs umount "$M"
}

# store_status FIELD: a field of `imagefs status --json`; empty where there is none.
store_status() {
	imagefs status "$STORE" --json | jq -r --arg field "$1" '.[$field] // empty'
}

store_daemon_pid() {
	store_status daemon-pid
}

keeper_pid() {
	store_status keeper-pid
}

# make_disk FILE SIZE_MIB DATA_MIB SEED: see t/lib/mkdisk.c.
make_disk() {
	local mkdisk=$top_builddir/t/lib/mkdisk
	if [ ! -x "$mkdisk" ]; then
		mkdisk=$T/.mkdisk
		[ -x "$mkdisk" ] || ${CC:-cc} -O2 -D_FILE_OFFSET_BITS=64 -D_GNU_SOURCE -o "$mkdisk" "$top_srcdir/t/lib/mkdisk.c" || return
	fi
	"$mkdisk" "$@"
}

same() {
	cmp "$1" "$2"
}

# absent PATH...: none of them is there, not even as a dangling link.
absent() {
	local path
	for path; do
		if [ -e "$path" ] || [ -L "$path" ]; then
			echo "$path is there" >&2
			return 1
		fi
	done
}

errno_text() {
	case $1 in
	EACCES) echo 'Permission denied' ;;
	EBUSY) echo 'Device or resource busy' ;;
	EDQUOT) echo 'Disk quota exceeded' ;;
	EEXIST) echo 'File exists' ;;
	EFBIG) echo 'File too large' ;;
	EINVAL) echo 'Invalid argument' ;;
	EIO) echo 'Input/output error' ;;
	EISDIR) echo 'Is a directory' ;;
	ENAMETOOLONG) echo 'File name too long' ;;
	ENOENT) echo 'No such file or directory' ;;
	ENOTDIR) echo 'Not a directory' ;;
	ENOTEMPTY) echo 'Directory not empty' ;;
	EPERM) echo 'Operation not permitted' ;;
	EROFS) echo 'Read-only file system' ;;
	EXDEV) echo 'Invalid cross-device link' ;;
	*) echo "an errno that test-lib.sh does not know: $1" ;;
	esac
}

# refused DESC ERRNO SENTENCE CMD...: CMD fails and says so, and the newest line that it left in $M/.why has this
# errno and SENTENCE (extended regex) as its reason. In $REFUSED_WHY, if that is set, for a mount elsewhere.
refused() {
	local what=$1 errno=$2 sentence=$3 why=${REFUSED_WHY:-$M/.why} before line
	shift 3
	before=$(cat "$why")
	if run "$@"; then
		flunk "$what" "succeeded: $*"
	elif [ "$status" -ge 124 ]; then
		flunk "$what" "status $status is no orderly failure: $*"
	elif ! grep -qF -- "$(errno_text "$errno")" "$T/.err"; then
		flunk "$what" "failed without saying \"$(errno_text "$errno")\": $*"
	elif line=$(tail -n 1 "$why") && [ "$(cat "$why")" = "$before" ]; then
		flunk "$what" ".why has no new line"
	elif [ "$(cut -f 5 <<<"$line")" != "$errno" ] || ! cut -f 6 <<<"$line" | grep -qE -- "$sentence"; then
		flunk "$what" ".why says \"$line\""
	else
		pass "$what"
		return
	fi
	show_output
}

# wait_until SECONDS CMD...: CMD is tried until it succeeds; fails when it hasn't by then. The seconds are those of a machine that
# has nothing else to do; one that is busy gets ten times as many: what is promised here is that it happens.
wait_until() {
	local end=$((${EPOCHREALTIME/[^0-9]/} + $1 * 10000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/[^0-9]/}" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# --- users and privileges ----------------------------------------------------------------------------------

need_root() {
	[ "$(id -u)" -eq 0 ] || skip_all 'needs root'
}

# need COMMAND...
need() {
	local command
	for command in "$@"; do
		command -v "$command" >/dev/null || skip_all "$command is not installed"
	done
}

need_kernel() {
	printf '%s\n%s\n' "$1" "$(uname -r)" | sort -VC || skip_all "kernel older than $1"
}

user_id() {
	case $1 in
	alice) echo 61001 ;;
	bob) echo 61002 ;;
	carol) echo 61003 ;;
	*) echo "$1" ;;
	esac
}

# as_user NAME CMD...: as alice, bob, carol or a number: without privileges and groups, with an own home.
as_user() {
	local name=$1 id
	shift
	id=$(user_id "$name")
	[ -d "$T/home-$name" ] || install -d -o "$id" -g "$id" "$T/home-$name"
	setpriv --reuid "$id" --regid "$id" --clear-groups --inh-caps=-all \
		env HOME="$T/home-$name" USER="$name" LOGNAME="$name" TMPDIR="$T/home-$name" "$@"
}

# private_dev_fuse: call it first. A test of root goes on in a mount namespace of its own where everybody may
# open /dev/fuse (many systems have it 0600), and where alice, bob and carol have names.
private_dev_fuse() {
	grep -qw fuse /proc/filesystems || skip_all 'this kernel has no FUSE'
	[ -c /dev/fuse ] || skip_all 'there is no /dev/fuse'
	if [ "$(id -u)" -ne 0 ]; then
		if [ ! -r /dev/fuse ] || [ ! -w /dev/fuse ]; then
			skip_all '/dev/fuse is closed to this user'
		fi
	elif [ -z "${IMAGEFS_OUTER_NAMESPACE:-}" ]; then
		enter_namespace
	elif [ "$(readlink /proc/self/ns/mnt)" = "$IMAGEFS_OUTER_NAMESPACE" ]; then
		skip_all 'mount namespaces are not permitted'
	else
		unset IMAGEFS_OUTER_NAMESPACE
		furnish_namespace
	fi
}

enter_namespace() {
	unshare --mount true 2>/dev/null || skip_all 'mount namespaces are not permitted'
	local folder=$T
	TMPDIR=${T%/*}
	export TMPDIR
	IMAGEFS_OUTER_NAMESPACE=$(readlink /proc/self/ns/mnt)
	export IMAGEFS_OUTER_NAMESPACE
	rm -rf "$folder"
	exec unshare --mount --propagation private "$BASH" "$TEST_FILE" "${ORIGINAL_ARGUMENTS[@]}"
}

# What was mounted outside when the namespace was made is mounted here as well, and would be after its owner has unmounted it.
let_go_of_others() {
	local at
	while read -r at; do
		umount -l "$at"
	done < <(awk '$0 ~ / - fuse\./ { print $5 }' /proc/self/mountinfo | tac)
}

# The people of this machine are not there in a test, who may be called like those of the test; its system's users are.
system_users() {
	awk -F : '($3 < 1000 || $3 == 65534) && $1 !~ /^(alice|bob|carol|dave|eve)$/' /etc/passwd
}

# In a build that counts executed lines every user's processes count: these write files in the folder of the build, which
# may be closed to them.
let_everybody_count() {
	find "$top_builddir/src" -name '*.gcno' | sed 's/gcno$/gcda/' | tr '\n' '\0' |
		xargs -0 sh -c 'touch -a "$@" && chmod 666 "$@"' _
	mkdir "$T/.private/build" && mount --bind "$top_builddir" "$T/.private/build" || return
	export GCOV_PREFIX=$T/.private/build GCOV_PREFIX_STRIP
	GCOV_PREFIX_STRIP=$(tr -dc / <<<"$(realpath "$top_builddir")" | wc -c)
}

furnish_namespace() {
	local private=$T/.private name id
	namespace_is_private=yes
	let_go_of_others
	mkdir "$private"
	mount -t tmpfs -o mode=755,dev tmpfs "$private" || skip_all 'mount namespaces are not permitted'
	mknod "$private/fuse" c 10 229 && chmod 666 "$private/fuse" && mount --bind "$private/fuse" /dev/fuse
	system_users >"$private/passwd"
	for name in alice bob carol; do
		id=$(user_id "$name")
		printf '%s:x:%s:%s::%s:/bin/sh\n' "$name" "$id" "$id" "$T/home-$name" >>"$private/passwd"
	done
	mount --bind "$private/passwd" /etc/passwd
	# A cache of names that runs outside would go on telling of the machine's people.
	[ ! -d /run/nscd ] || mount -t tmpfs -o mode=755 tmpfs /run/nscd
	! compgen -G "$top_builddir/src/base/*.gcno" >/dev/null || let_everybody_count
	if [ -x "$IMAGEFS_BIN" ]; then
		# The folder of the build may be closed to them.
		mkdir "$private/bin" && cp "$IMAGEFS_BIN" "$private/bin/imagefs"
		IMAGEFS_BIN=$private/bin/imagefs
		PATH=$private/bin:$PATH
	fi
}
